//! The ledger as one would write it on a napkin: sums in maps, whole numbers wide enough for anything, one operation at a time.

use std::collections::{HashMap, HashSet};

use shared::id::{RequestId, TenantId, TransferId};
use shared::ledger::{
    Capture, Captured, Ended, Hold, HoldDecision, Operation, Outcome, Reversal, Settlement, SettlementOutcome, TopUp,
    TopUpDecision, TopUpReversal, TopUpSource,
};
use shared::money::Amount;

/// What the ledger should answer; an error by its name.
pub(crate) type Answer = Result<Outcome, &'static str>;

pub(crate) const NO_ACCOUNT: &str = "no account";
pub(crate) const TOO_LARGE: &str = "too large";

/// The largest number that the ledger can write down.
const MOST: i128 = i64::MAX as i128;

/// All that there is to know.
#[derive(Default)]
pub(crate) struct Model {
    pub(crate) posted: HashMap<TenantId, i128>,
    pub(crate) held: HashMap<TenantId, i128>,
    holds: HashMap<RequestId, (TenantId, i128)>,
    ends: HashMap<RequestId, Settlement>,
    payments: HashMap<(TenantId, String), TransferId>,
    paid: HashMap<TransferId, Paid>,
    /// What captures took from customers, and what the house bore of each.
    captures: HashMap<RequestId, (i128, i128)>,
    reversed: HashSet<RequestId>,
    /// The request that a mark belongs to.
    marks: HashMap<(TenantId, [u8; 32]), RequestId>,
    /// What came into the house accounts, less what left them.
    pub(crate) cash: i128,
    pub(crate) revenue: i128,
    pub(crate) write_off: i128,
    pub(crate) promotion: i128,
}

/// A payment, and what was taken back of it by which transfer.
struct Paid {
    by: TenantId,
    amount: i128,
    source: TopUpSource,
    taken_back: Option<(TransferId, i128)>,
}

impl Model {
    pub(crate) fn open_account(&mut self, tenant: TenantId) {
        self.posted.insert(tenant, 0);
        self.held.insert(tenant, 0);
    }

    pub(crate) fn free(&self, tenant: TenantId) -> i128 {
        self.posted.get(&tenant).copied().unwrap_or(0) - self.held.get(&tenant).copied().unwrap_or(0)
    }

    /// Whose hold it is and how much, whether it is still open or not.
    pub(crate) fn hold(&self, request: RequestId) -> Option<(TenantId, i128)> {
        self.holds.get(&request).copied()
    }

    /// Whether the house bore a part of this capture.
    pub(crate) fn is_written_off(&self, request: RequestId) -> bool {
        self.captures.get(&request).is_some_and(|(_, written_off)| *written_off > 0)
    }

    /// Whose payment it was.
    pub(crate) fn paid_by(&self, transfer: TransferId) -> Option<TenantId> {
        self.paid.get(&transfer).map(|paid| paid.by)
    }

    /// What a customer paid and still has or used.
    pub(crate) fn granted(&self, tenant: TenantId) -> i128 {
        let of_tenant = self.paid.values().filter(|paid| paid.by == tenant);
        of_tenant.map(|paid| paid.amount - paid.taken_back.map_or(0, |(_, amount)| amount)).sum()
    }

    /// Does it, and says what the ledger should answer.
    pub(crate) fn apply(&mut self, operation: &Operation) -> Answer {
        match operation {
            Operation::TopUp(top_up) => self.top_up(top_up),
            Operation::Hold(hold) => self.set_aside(hold),
            Operation::Capture(capture) => self.capture(capture),
            Operation::End { request_id, account, ended } => Ok(self.end(*request_id, *account, *ended)),
            Operation::ReverseCapture { request_id, account } => self.reverse(*request_id, *account),
            Operation::ReverseTopUp { id, account, transfer, .. } => self.take_back(*id, *account, *transfer),
        }
    }

    fn top_up(&mut self, top_up: &TopUp) -> Answer {
        let Some(posted) = self.posted.get(&top_up.account).copied() else { return Err(NO_ACCOUNT) };
        let paid = i128::from(top_up.amount.nanos());
        if paid <= 0 {
            return Err(TOO_LARGE);
        }
        let name = (top_up.account, top_up.reference.clone());
        let before = self.payments.get(&name).and_then(|id| Some((*id, self.paid.get(id)?)));
        let decision = match before {
            Some((id, before)) if (before.amount, before.source) == (paid, top_up.source) => {
                TopUpDecision::Posted { id, posted: amount(posted), replayed: true }
            }
            Some((_, before)) => TopUpDecision::ReferenceTaken { amount: amount(before.amount) },
            None if posted + paid > MOST => return Err(TOO_LARGE),
            None => {
                self.payments.insert(name, top_up.id);
                let (by, source) = (top_up.account, top_up.source);
                self.paid.insert(top_up.id, Paid { by, amount: paid, source, taken_back: None });
                self.posted.insert(by, posted + paid);
                *self.house(source) -= paid;
                TopUpDecision::Posted { id: top_up.id, posted: amount(posted + paid), replayed: false }
            }
        };
        Ok(Outcome::TopUp(decision))
    }

    fn set_aside(&mut self, hold: &Hold) -> Answer {
        let needed = i128::from(hold.amount.nanos());
        if needed < 0 {
            return Err(TOO_LARGE);
        }
        let Some(held) = self.held.get(&hold.account).copied() else { return Err(NO_ACCOUNT) };
        let available = self.free(hold.account);
        let decision = match self.hold(hold.request_id) {
            Some(_) => HoldDecision::Replayed,
            None if self.is_repeated(hold) => HoldDecision::Repeated,
            None if needed > available => {
                HoldDecision::Insufficient { needed: hold.amount, available: amount(available) }
            }
            None => {
                self.holds.insert(hold.request_id, (hold.account, needed));
                if let Some(mark) = &hold.idempotency {
                    self.marks.insert((hold.account, *mark.key()), hold.request_id);
                }
                self.held.insert(hold.account, held + needed);
                HoldDecision::Held
            }
        };
        Ok(Outcome::Hold(decision))
    }

    /// Whether another request of the same mark runs, or was charged and not given back.
    fn is_repeated(&self, hold: &Hold) -> bool {
        let first = hold.idempotency.as_ref().and_then(|mark| self.marks.get(&(hold.account, *mark.key())));
        first.is_some_and(|first| match self.ends.get(first) {
            None => true,
            Some(end) => end.outcome == SettlementOutcome::Captured && !self.reversed.contains(first),
        })
    }

    fn capture(&mut self, capture: &Capture) -> Answer {
        let request = capture.request_id;
        let Some((account, held)) = self.hold(request).filter(|(account, _)| *account == capture.account) else {
            return Ok(Outcome::NoSuchHold);
        };
        if let Some(end) = self.ends.get(&request) {
            return Ok(Outcome::AlreadySettled(*end));
        }
        let charge = &capture.charge;
        let costs =
            [charge.prompt_cost, charge.completion_cost, charge.image_cost].map(|cost| i128::from(cost.nanos()));
        let cost: i128 = costs.iter().sum();
        if cost > MOST || costs.iter().any(|cost| *cost < 0) {
            return Err(TOO_LARGE);
        }
        self.release(request, SettlementOutcome::Captured);
        let paid = cost.min(self.free(account));
        let written_off = cost - paid;
        debug_assert!(paid >= cost.min(held), "what was held can be paid");
        self.ends.insert(request, Settlement { outcome: SettlementOutcome::Captured, amount: amount(paid) });
        *self.posted.entry(account).or_default() -= paid;
        self.captures.insert(request, (paid, written_off));
        self.revenue += cost;
        self.write_off -= written_off;
        Ok(Outcome::Captured(Captured { paid: amount(paid), written_off: amount(written_off) }))
    }

    fn end(&mut self, request: RequestId, account: TenantId, ended: Ended) -> Outcome {
        if self.hold(request).is_none_or(|(of, _)| of != account) {
            return Outcome::NoSuchHold;
        }
        if let Some(end) = self.ends.get(&request) {
            return Outcome::AlreadySettled(*end);
        }
        let outcome = match ended {
            Ended::Voided => SettlementOutcome::Voided,
            Ended::Expired => SettlementOutcome::Expired,
        };
        self.release(request, outcome);
        Outcome::Ended
    }

    fn reverse(&mut self, request: RequestId, account: TenantId) -> Answer {
        let reversal = match (self.hold(request).filter(|(of, _)| *of == account), self.captures.get(&request).copied())
        {
            // What the customer did not pay cannot be given back.
            (_, None | Some((0, _))) | (None, _) => Reversal::NothingCaptured,
            _ if self.reversed.contains(&request) => Reversal::Already,
            (Some((account, _)), Some((paid, written_off))) => {
                let posted = self.posted.get(&account).copied().unwrap_or(0) + paid;
                if posted > MOST {
                    return Err(TOO_LARGE);
                }
                self.posted.insert(account, posted);
                self.reversed.insert(request);
                self.revenue -= paid + written_off;
                self.write_off += written_off;
                Reversal::Reversed(amount(paid))
            }
        };
        Ok(Outcome::Reversal(reversal))
    }

    fn take_back(&mut self, id: TransferId, account: TenantId, transfer: TransferId) -> Answer {
        let Some(posted) = self.posted.get(&account).copied() else { return Err(NO_ACCOUNT) };
        let free = self.free(account);
        let reversal = match self.paid.get_mut(&transfer).filter(|paid| paid.by == account) {
            None => TopUpReversal::NoSuchTopUp,
            Some(Paid { amount: paid, taken_back: Some((before, taken)), .. }) if *before == id => {
                let (recovered, not_recovered) = (amount(*taken), amount(*paid - *taken));
                TopUpReversal::Reversed { id, recovered, not_recovered, posted: amount(posted), replayed: true }
            }
            Some(Paid { taken_back: Some((before, taken)), .. }) => {
                TopUpReversal::AlreadyReversed { id: *before, recovered: amount(*taken) }
            }
            Some(paid) if free == 0 => TopUpReversal::NothingAvailable { amount: amount(paid.amount) },
            Some(paid) => {
                let taken = paid.amount.min(free);
                paid.taken_back = Some((id, taken));
                let (source, left) = (paid.source, paid.amount - taken);
                self.posted.insert(account, posted - taken);
                *self.house(source) += taken;
                TopUpReversal::Reversed {
                    id,
                    recovered: amount(taken),
                    not_recovered: amount(left),
                    posted: amount(posted - taken),
                    replayed: false,
                }
            }
        };
        Ok(Outcome::TopUpReversal(reversal))
    }

    fn house(&mut self, source: TopUpSource) -> &mut i128 {
        match source {
            TopUpSource::Cash => &mut self.cash,
            TopUpSource::Promotion => &mut self.promotion,
        }
    }

    fn release(&mut self, request: RequestId, outcome: SettlementOutcome) {
        if let Some((account, held)) = self.hold(request) {
            *self.held.entry(account).or_default() -= held;
            self.ends.insert(request, Settlement { outcome, amount: Amount::ZERO });
        }
    }
}

fn amount(number: i128) -> Amount {
    Amount::from_nanos(i64::try_from(number).expect("a number of the model fits"))
}
