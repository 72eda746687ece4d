//! What each operation does. Pure: it sees the rows that the batch touches and gives the rows to write. The database's constraints
//! stand behind every decision made here.

use super::operation::{
    Capture, Captured, Ended, Hold, HoldDecision, Operation, Outcome, Reversal, Settlement, SettlementOutcome, TopUp,
    TopUpDecision, TopUpReversal,
};
use super::state::{
    AccountRow, CaptureRow, Change, ChargeRow, Effects, HoldRow, Line, ReferredRow, State, TopUpRow, Transfer,
    TransferKind,
};
use super::{LedgerError, REVENUE, WRITE_OFF};
use crate::id::{RequestId, TenantId, TransferId};
use crate::idempotency::Mark;
use crate::money::Amount;

/// A batch that is decided: what to write, and what to answer.
#[derive(Debug)]
pub(super) struct Decided<'a> {
    pub(super) state: State<'a>,
    pub(super) effects: Effects<'a>,
    /// One for each operation, in their order. One that is refused (its answer is an error) leaves the others alone.
    pub(super) outcomes: Vec<Result<Outcome, LedgerError>>,
}

/// Decides the operations of a batch in the order given.
pub(super) fn decide_all<'a>(mut state: State<'a>, operations: &'a [Operation]) -> Decided<'a> {
    let mut effects = Effects::default();
    let outcomes = operations.iter().map(|operation| decide(&mut state, &mut effects, operation)).collect();
    Decided { state, effects, outcomes }
}

/// Decides one operation. On an error neither `state` nor `effects` has changed.
fn decide<'a>(
    state: &mut State<'a>,
    effects: &mut Effects<'a>,
    operation: &'a Operation,
) -> Result<Outcome, LedgerError> {
    match operation {
        Operation::Hold(hold) => decide_hold(state, effects, hold).map(Outcome::Hold),
        Operation::Capture(capture) => decide_capture(state, effects, capture),
        Operation::End { request_id, account, ended } => decide_end(state, effects, *request_id, *account, *ended),
        Operation::TopUp(top_up) => decide_top_up(state, effects, top_up).map(Outcome::TopUp),
        Operation::ReverseCapture { request_id, account } => {
            decide_reversal(state, effects, *request_id, *account).map(Outcome::Reversal)
        }
        Operation::ReverseTopUp { id, account, transfer, reason } => {
            decide_top_up_reversal(state, effects, *id, *account, *transfer, reason).map(Outcome::TopUpReversal)
        }
    }
}

fn decide_hold<'a>(
    state: &mut State<'a>,
    effects: &mut Effects<'a>,
    hold: &'a Hold,
) -> Result<HoldDecision, LedgerError> {
    not_negative(hold.amount)?;
    let account = state.account(hold.account)?;
    if state.hold(hold.request_id).is_some() {
        return Ok(HoldDecision::Replayed);
    }
    if let Some(mark) = &hold.idempotency
        && state.is_taken(hold.account, mark)
    {
        return Ok(HoldDecision::Repeated);
    }
    let available = account.available()?;
    if available < hold.amount {
        return Ok(HoldDecision::Insufficient { needed: hold.amount, available });
    }
    let held = add(account.held, hold.amount)?;
    state.set_held(hold.account, account, held);
    state.holds.insert(hold.request_id, Some(HoldRow { account: hold.account, amount: hold.amount, settlement: None }));
    effects.holds.push(hold);
    if let Some(mark) = &hold.idempotency {
        state.marked.insert((hold.account, *mark.key()), Some(hold.request_id));
        effects.marks.push((hold.account, mark, hold.request_id));
    }
    Ok(HoldDecision::Held)
}

fn decide_capture<'a>(
    state: &mut State<'a>,
    effects: &mut Effects<'a>,
    capture: &'a Capture,
) -> Result<Outcome, LedgerError> {
    let Capture { request_id, account, charge, answer } = capture;
    let request_id = *request_id;
    let hold = match state.open_hold(request_id, *account) {
        Ok(hold) => hold,
        Err(outcome) => return Ok(outcome),
    };
    let account = state.account(hold.account)?;
    for component in [charge.prompt_cost, charge.completion_cost, charge.image_cost] {
        not_negative(component)?;
    }
    let total = charge.total().ok_or(LedgerError::TooLarge)?;
    let released = AccountRow { held: subtract(account.held, hold.amount)?, ..account };
    // A whole answer above its hold takes the free balance down to zero; the house bears the rest.
    let paid = total.min(released.available()?);
    let written_off = subtract(total, paid)?;

    let settlement = Settlement { outcome: SettlementOutcome::Captured, amount: paid };
    state.set_held(hold.account, account, released.held);
    state.settle(request_id, hold, settlement, effects);
    if paid > Amount::ZERO {
        let transfer = Transfer {
            id: request_id,
            kind: TransferKind::Capture,
            debit: hold.account.0,
            credit: REVENUE,
            amount: paid,
            request_id: Some(request_id),
            reverses: None,
            reference: None,
            note: None,
        };
        post(state, effects, hold.account, -paid.nanos(), transfer)?;
    }
    let mut write_off = None;
    if written_off > Amount::ZERO {
        let id = TransferId::new();
        write_off = Some((id, written_off));
        effects.transfers.push(Transfer {
            id,
            kind: TransferKind::WriteOff,
            debit: WRITE_OFF,
            credit: REVENUE,
            amount: written_off,
            request_id: Some(request_id),
            reverses: None,
            reference: None,
            note: None,
        });
    }
    if paid > Amount::ZERO {
        state.captures.insert(
            request_id,
            Some(CaptureRow { account: hold.account, paid, written_off: write_off, reversed: false }),
        );
    }
    effects.charges.push(ChargeRow { account: hold.account, request_id, charge, written_off });
    effects.answers.extend(answer.as_deref().map(|sealed| (request_id, sealed)));
    Ok(Outcome::Captured(Captured { paid, written_off }))
}

fn decide_end(
    state: &mut State<'_>,
    effects: &mut Effects<'_>,
    request_id: RequestId,
    account: TenantId,
    ended: Ended,
) -> Result<Outcome, LedgerError> {
    let hold = match state.open_hold(request_id, account) {
        Ok(hold) => hold,
        Err(outcome) => return Ok(outcome),
    };
    let account = state.account(hold.account)?;
    let held = subtract(account.held, hold.amount)?;
    state.set_held(hold.account, account, held);
    state.settle(request_id, hold, Settlement { outcome: ended.into(), amount: Amount::ZERO }, effects);
    Ok(Outcome::Ended)
}

fn decide_top_up<'a>(
    state: &mut State<'a>,
    effects: &mut Effects<'a>,
    top_up: &'a TopUp,
) -> Result<TopUpDecision, LedgerError> {
    let account = state.account(top_up.account)?;
    if top_up.amount <= Amount::ZERO {
        return Err(LedgerError::TooLarge);
    }
    let key = (top_up.account, top_up.reference.as_str());
    if let Some(Some(ReferredRow { id, amount, source })) = state.references.get(&key).copied() {
        return Ok(if (amount, source) == (top_up.amount, top_up.source) {
            TopUpDecision::Posted { id, posted: account.posted, replayed: true }
        } else {
            TopUpDecision::ReferenceTaken { amount }
        });
    }
    let transfer = Transfer {
        id: top_up.id,
        kind: TransferKind::TopUp,
        debit: top_up.source.account(),
        credit: top_up.account.0,
        amount: top_up.amount,
        request_id: None,
        reverses: None,
        reference: Some(&top_up.reference),
        note: top_up.note.as_deref(),
    };
    let posted = post(state, effects, top_up.account, top_up.amount.nanos(), transfer)?;
    let TopUp { id, account, amount, source, .. } = *top_up;
    state.references.insert(key, Some(ReferredRow { id, amount, source }));
    state.top_ups.insert(id, Some(TopUpRow { account, amount, source, reversal: None }));
    Ok(TopUpDecision::Posted { id: top_up.id, posted, replayed: false })
}

fn decide_reversal(
    state: &mut State<'_>,
    effects: &mut Effects<'_>,
    request_id: RequestId,
    account: TenantId,
) -> Result<Reversal, LedgerError> {
    let Some(capture) = state.captures.get(&request_id).copied().flatten().filter(|found| found.account == account)
    else {
        return Ok(Reversal::NothingCaptured);
    };
    if capture.reversed {
        return Ok(Reversal::Already);
    }
    let reversal = |debit, credit, amount, reverses| Transfer {
        id: TransferId::new(),
        kind: TransferKind::Reversal,
        debit,
        credit,
        amount,
        request_id: Some(request_id),
        reverses: Some(reverses),
        reference: None,
        note: Some("the answer was not delivered"),
    };
    let back = reversal(REVENUE, capture.account.0, capture.paid, request_id);
    post(state, effects, capture.account, capture.paid.nanos(), back)?;
    if let Some((write_off, amount)) = capture.written_off {
        effects.transfers.push(reversal(REVENUE, WRITE_OFF, amount, write_off));
    }
    state.captures.insert(request_id, Some(CaptureRow { reversed: true, ..capture }));
    Ok(Reversal::Reversed(capture.paid))
}

fn decide_top_up_reversal<'a>(
    state: &mut State<'a>,
    effects: &mut Effects<'a>,
    id: TransferId,
    tenant: TenantId,
    transfer: TransferId,
    reason: &'a str,
) -> Result<TopUpReversal, LedgerError> {
    let account = state.account(tenant)?;
    let Some(top_up) = state.top_ups.get(&transfer).copied().flatten().filter(|found| found.account == tenant) else {
        return Ok(TopUpReversal::NoSuchTopUp);
    };
    if let Some((before, recovered)) = top_up.reversal {
        if before != id {
            return Ok(TopUpReversal::AlreadyReversed { id: before, recovered });
        }
        let not_recovered = subtract(top_up.amount, recovered)?;
        return Ok(TopUpReversal::Reversed { id, recovered, not_recovered, posted: account.posted, replayed: true });
    }
    let recovered = top_up.amount.min(account.available()?);
    if recovered == Amount::ZERO {
        return Ok(TopUpReversal::NothingAvailable { amount: top_up.amount });
    }
    let not_recovered = subtract(top_up.amount, recovered)?;
    let back = Transfer {
        id,
        kind: TransferKind::Reversal,
        debit: tenant.0,
        credit: top_up.source.account(),
        amount: recovered,
        request_id: None,
        reverses: Some(transfer),
        reference: None,
        note: Some(reason),
    };
    let posted = post(state, effects, tenant, -recovered.nanos(), back)?;
    state.top_ups.insert(transfer, Some(TopUpRow { reversal: Some((id, recovered)), ..top_up }));
    Ok(TopUpReversal::Reversed { id, recovered, not_recovered, posted, replayed: false })
}

/// Appends the customer's side of `transfer` and gives the new balance.
fn post<'a>(
    state: &mut State<'_>,
    effects: &mut Effects<'a>,
    tenant: TenantId,
    delta: i64,
    transfer: Transfer<'a>,
) -> Result<Amount, LedgerError> {
    let account = state.account(tenant)?;
    let balance = add(account.posted, Amount::from_nanos(delta))?;
    let seq = account.seq + 1;
    effects.lines.push(Line {
        account: tenant,
        seq,
        transfer: transfer.id,
        delta,
        prev_balance: account.posted,
        balance,
    });
    effects.transfers.push(transfer);
    state.accounts.insert(tenant, Some(AccountRow { posted: balance, seq, change: Change::Posted, ..account }));
    Ok(balance)
}

impl AccountRow {
    fn available(&self) -> Result<Amount, LedgerError> {
        subtract(self.posted, self.held)
    }
}

impl State<'_> {
    fn account(&self, tenant: TenantId) -> Result<AccountRow, LedgerError> {
        self.accounts.get(&tenant).copied().flatten().ok_or(LedgerError::NoSuchAccount(tenant))
    }

    fn hold(&self, request_id: RequestId) -> Option<HoldRow> {
        self.holds.get(&request_id).copied().flatten()
    }

    /// Whether the mark's call runs or was charged. One that was not, or was given back, leaves the mark to others.
    fn is_taken(&self, account: TenantId, mark: &Mark) -> bool {
        let Some(first) = self.marked.get(&(account, *mark.key())).copied().flatten() else { return false };
        match self.hold(first).map(|hold| hold.settlement) {
            None => false,
            Some(None) => true,
            Some(Some(Settlement { outcome: SettlementOutcome::Captured, .. })) => {
                !self.captures.get(&first).copied().flatten().is_some_and(|capture| capture.reversed)
            }
            Some(Some(_)) => false,
        }
    }

    /// The hold on `account` if it is open, else what to answer.
    fn open_hold(&self, request_id: RequestId, account: TenantId) -> Result<HoldRow, Outcome> {
        match self.hold(request_id).filter(|hold| hold.account == account) {
            None => Err(Outcome::NoSuchHold),
            Some(HoldRow { settlement: Some(settlement), .. }) => Err(Outcome::AlreadySettled(settlement)),
            Some(hold) => Ok(hold),
        }
    }

    fn set_held(&mut self, tenant: TenantId, account: AccountRow, held: Amount) {
        let change = account.change.max(Change::Held);
        self.accounts.insert(tenant, Some(AccountRow { held, change, ..account }));
    }

    fn settle(&mut self, request_id: RequestId, hold: HoldRow, settlement: Settlement, effects: &mut Effects<'_>) {
        self.holds.insert(request_id, Some(HoldRow { settlement: Some(settlement), ..hold }));
        effects.settlements.push((request_id, settlement));
    }
}

/// No caller gives such an amount; the database would refuse it, and the whole batch with it.
fn not_negative(amount: Amount) -> Result<(), LedgerError> {
    if amount < Amount::ZERO { Err(LedgerError::TooLarge) } else { Ok(()) }
}

fn add(left: Amount, right: Amount) -> Result<Amount, LedgerError> {
    left.checked_add(right).ok_or(LedgerError::TooLarge)
}

fn subtract(left: Amount, right: Amount) -> Result<Amount, LedgerError> {
    left.checked_sub(right).ok_or(LedgerError::TooLarge)
}
