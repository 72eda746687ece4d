//! The ledger as one would write it on a napkin: sums in maps, whole numbers wide enough for anything, one operation at a time.

use std::collections::{HashMap, HashSet};

use shared::id::{RequestId, TenantId, TransferId};
use shared::ledger::{
    Capture, Captured, Ended, Hold, HoldDecision, Operation, Outcome, Reversal, Settlement, SettlementOutcome, TopUp,
    TopUpDecision,
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
    payments: HashMap<(TenantId, String), (TransferId, i128)>,
    /// What captures took from customers, and what the house bore of each.
    captures: HashMap<RequestId, (i128, i128)>,
    reversed: HashSet<RequestId>,
    /// What came into the house accounts, less what left them.
    pub(crate) cash: i128,
    pub(crate) revenue: i128,
    pub(crate) write_off: i128,
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

    /// Does it, and says what the ledger should answer.
    pub(crate) fn apply(&mut self, operation: &Operation) -> Answer {
        match operation {
            Operation::TopUp(top_up) => self.top_up(top_up),
            Operation::Hold(hold) => self.set_aside(hold),
            Operation::Capture(capture) => self.capture(capture),
            Operation::End { request_id, account, ended } => Ok(self.end(*request_id, *account, *ended)),
            Operation::ReverseCapture { request_id, account } => self.reverse(*request_id, *account),
        }
    }

    fn top_up(&mut self, top_up: &TopUp) -> Answer {
        let Some(posted) = self.posted.get(&top_up.account).copied() else { return Err(NO_ACCOUNT) };
        let paid = i128::from(top_up.amount.nanos());
        if paid <= 0 {
            return Err(TOO_LARGE);
        }
        let name = (top_up.account, top_up.reference.clone());
        let decision = match self.payments.get(&name) {
            Some((id, before)) if *before == paid => {
                TopUpDecision::Posted { id: *id, posted: amount(posted), replayed: true }
            }
            Some((_, before)) => TopUpDecision::ReferenceTaken { amount: amount(*before) },
            None if posted + paid > MOST => return Err(TOO_LARGE),
            None => {
                self.payments.insert(name, (top_up.id, paid));
                self.posted.insert(top_up.account, posted + paid);
                self.cash -= paid;
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
            None if needed > available => {
                HoldDecision::Insufficient { needed: hold.amount, available: amount(available) }
            }
            None => {
                self.holds.insert(hold.request_id, (hold.account, needed));
                self.held.insert(hold.account, held + needed);
                HoldDecision::Held
            }
        };
        Ok(Outcome::Hold(decision))
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
