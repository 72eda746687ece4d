//! What a writer remembers of the accounts that it wrote: enough to decide a batch without reading anything.
//!
//! It is a guess and never the truth, since other processes write too. So the database proves it: the statement that writes such a batch
//! fails as a whole if an account is not as it was remembered (see `store::postgres`), a second hold or settlement of a request fails by
//! its primary key, and then the batch is decided again from what was read. A wrong guess costs one statement, never money.

use std::collections::HashMap;

use super::LedgerError;
use super::decide::{AccountRow, HoldRow, State};
use super::operation::{HoldDecision, Operation, Outcome};
use crate::id::{RequestId, TenantId};

/// The most accounts that are remembered, and the most open holds. Beyond it all is forgotten, and learned again.
const MOST: usize = 10_000;
/// So many times in a row an account must have been found as it was remembered before it is relied on: where another process writes to it
/// too, most guesses would fail.
const ALIKE: u8 = 3;

#[derive(Debug, Default)]
pub(super) struct Memory {
    accounts: HashMap<TenantId, Known>,
    holds: HashMap<RequestId, HoldRow>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    row: AccountRow,
    alike: u8,
}

impl Memory {
    /// What deciding `operations` needs, if all of it is remembered of accounts that nobody else seems to write to.
    pub(super) fn guess<'a>(&self, operations: &[Operation]) -> Option<State<'a>> {
        let mut state = State::default();
        for operation in operations {
            let known = self.accounts.get(&operation.account()).filter(|known| known.alike >= ALIKE)?;
            state.accounts.insert(operation.account(), Some(known.row));
            match operation {
                Operation::Hold(hold) => state.holds.insert(hold.request_id, None),
                Operation::Capture(capture) => {
                    state.holds.insert(capture.request_id, Some(self.hold(capture.request_id)?))
                }
                Operation::End { request_id, .. } => state.holds.insert(*request_id, Some(self.hold(*request_id)?)),
                Operation::TopUp(_) | Operation::ReverseCapture { .. } => return None,
            };
        }
        Some(state)
    }

    fn hold(&self, request_id: RequestId) -> Option<HoldRow> {
        self.holds.get(&request_id).copied()
    }

    /// Compares with what was read under the lock.
    pub(super) fn compare(&mut self, read: &State<'_>) {
        for (tenant, row) in &read.accounts {
            if let (Some(known), Some(row)) = (self.accounts.get_mut(tenant), row) {
                known.alike = if known.row == *row { known.alike.saturating_add(1) } else { 0 };
            }
        }
    }

    /// Remembers what a batch made of its accounts and holds.
    pub(super) fn keep(&mut self, written: &State<'_>) {
        if self.accounts.len() > MOST || self.holds.len() > MOST {
            self.forget_all();
        }
        for (&tenant, row) in &written.accounts {
            let Some(row) = row.map(AccountRow::as_found) else { continue };
            self.accounts.entry(tenant).and_modify(|known| known.row = row).or_insert(Known { row, alike: 0 });
        }
        for (&request_id, hold) in &written.holds {
            match hold {
                Some(hold) if hold.settlement.is_none() => self.holds.insert(request_id, *hold),
                _ => self.holds.remove(&request_id),
            };
        }
    }

    /// Relies no more on the accounts of these operations: a guess about them was wrong.
    pub(super) fn forget(&mut self, operations: &[Operation]) {
        for operation in operations {
            self.accounts.remove(&operation.account());
        }
    }

    pub(super) fn forget_all(&mut self) {
        self.accounts.clear();
        self.holds.clear();
    }
}

/// Whether an outcome that was decided from memory is proven once its batch is written: it must change its account. A refusal changes
/// nothing, so nothing would contradict it.
pub(super) const fn is_provable(outcome: &Result<Outcome, LedgerError>) -> bool {
    matches!(outcome, Ok(Outcome::Hold(HoldDecision::Held) | Outcome::Captured(_) | Outcome::Ended))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::id::ProcessId;
    use crate::ledger::{Ended, Hold, TopUp};
    use crate::money::Amount;
    use crate::price::PriceVersion;

    const A: TenantId = TenantId(1001);

    fn row(posted: i64, held: i64, seq: i64) -> AccountRow {
        AccountRow::found(Amount::from_nanos(posted), Amount::from_nanos(held), seq)
    }

    fn read(row: AccountRow) -> State<'static> {
        let mut state = State::default();
        state.accounts.insert(A, Some(row));
        state
    }

    fn hold(request_id: RequestId) -> Operation {
        Operation::Hold(Hold {
            request_id,
            account: A,
            amount: Amount::from_nanos(1),
            owner: ProcessId::new(),
            expires_at: Timestamp(0),
            price_version: PriceVersion(1),
        })
    }

    /// One that has found the account alike so many times.
    fn found_alike(times: u8) -> Memory {
        let mut memory = Memory::default();
        memory.keep(&read(row(10, 2, 1)));
        for _ in 0..times {
            memory.compare(&read(row(10, 2, 1)));
            memory.keep(&read(row(10, 2, 1)));
        }
        memory
    }

    #[test]
    fn an_account_is_relied_on_when_it_was_found_alike_often_enough() {
        let operations = [hold(RequestId::new())];
        assert!(Memory::default().guess(&operations).is_none());
        assert!(found_alike(ALIKE - 1).guess(&operations).is_none());
        let guess = found_alike(ALIKE).guess(&operations).unwrap();
        assert_eq!(guess.accounts[&A], Some(row(10, 2, 1)));
    }

    #[test]
    fn one_that_was_found_otherwise_is_not() {
        let operations = [hold(RequestId::new())];
        for other in [row(11, 2, 1), row(10, 3, 1), row(10, 2, 2)] {
            let mut memory = found_alike(ALIKE);
            memory.compare(&read(other));
            memory.keep(&read(other));
            assert!(memory.guess(&operations).is_none());
        }
        let mut memory = found_alike(ALIKE);
        memory.forget(&operations);
        assert!(memory.guess(&operations).is_none());
    }

    #[test]
    fn only_open_holds_are_remembered() {
        let (mut memory, request_id) = (found_alike(ALIKE), RequestId::new());
        let void = [Operation::End { request_id, account: A, ended: Ended::Voided }];
        assert!(memory.guess(&void).is_none());
        let mut state = read(row(10, 3, 1));
        let open = HoldRow { account: A, amount: Amount::from_nanos(1), settlement: None };
        state.holds.insert(request_id, Some(open));
        memory.keep(&state);
        assert_eq!(memory.guess(&void).unwrap().holds[&request_id].unwrap().amount, Amount::from_nanos(1));
        let settlement =
            crate::ledger::Settlement { outcome: crate::ledger::SettlementOutcome::Voided, amount: Amount::ZERO };
        state.holds.insert(request_id, Some(HoldRow { settlement: Some(settlement), ..open }));
        memory.keep(&state);
        assert!(memory.guess(&void).is_none());
    }

    #[test]
    fn payments_are_never_guessed() {
        let top_up =
            TopUp { id: RequestId::new(), account: A, amount: Amount::ZERO, reference: String::new(), note: None };
        assert!(found_alike(ALIKE).guess(&[Operation::TopUp(top_up)]).is_none());
    }

    #[test]
    fn it_is_bounded() {
        let mut memory = found_alike(ALIKE);
        let mut state = State::default();
        for id in 0..i64::try_from(MOST).unwrap() {
            state.accounts.insert(TenantId(2_000 + id), Some(row(1, 0, 1)));
        }
        memory.keep(&state);
        assert_eq!(memory.accounts.len(), MOST + 1);
        memory.keep(&read(row(10, 2, 1)));
        assert_eq!(memory.accounts.len(), 1);
    }
}
