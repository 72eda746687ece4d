//! What the writer remembers of what it wrote: enough to decide a batch without reading, where nobody else has written since.
//!
//! It is a guess and never the truth. The statement that writes a batch compares each account with what the decision started from, and
//! the keys of `holds` and `settlements` allow one hold and one end a request, so the database refuses what was guessed wrong, and the
//! batch is decided again by what is read. A refusal changes nothing, so nothing would prove it: it is never given by what is remembered.

use std::collections::HashMap;

use super::decide::{Decided, decide_all};
use super::operation::{HoldDecision, Operation, Outcome};
use super::state::{AccountRow, HoldRow, Numbers, State};
use crate::id::{RequestId, TenantId};
use crate::money::Amount;

/// The most accounts, and the most holds, that are remembered. Beyond it all is forgotten, which costs a few batches that read.
const MOST: usize = 65_536;
/// So many reads in a row must find an account as it is remembered before it is guessed at again after another process has written it:
/// accounts that several write are read, and cost no statement in vain.
const DOUBT: u8 = 8;

#[derive(Debug, Default)]
pub(super) struct Memory {
    accounts: HashMap<TenantId, Known>,
    /// Open holds of this writer's own making.
    holds: HashMap<RequestId, (TenantId, Amount)>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    numbers: Numbers,
    /// How many reads must find these numbers before they are guessed by.
    doubt: u8,
}

impl Memory {
    /// What the batch does if all is as remembered. `None` when an account is not known or in doubt, when anybody would be refused, and
    /// when more is to be read or written than accounts and holds.
    pub(super) fn guess<'a>(&self, operations: &'a [Operation]) -> Option<Decided<'a>> {
        if operations.iter().any(Operation::is_idempotent) {
            return None;
        }
        let mut state = State::default();
        for operation in operations {
            let (tenant, request_id) = (operation.account(), hold_of(operation)?);
            let known = self.accounts.get(&tenant).filter(|known| known.doubt == 0)?;
            state.accounts.insert(tenant, Some(AccountRow::starting_with(known.numbers)));
            if let Some((account, amount)) = self.holds.get(&request_id).copied() {
                state.holds.insert(request_id, Some(HoldRow { account, amount, settlement: None }));
            }
        }
        let decided = decide_all(state, operations);
        let all_change = decided.outcomes.iter().all(|outcome| {
            matches!(outcome, Ok(Outcome::Hold(HoldDecision::Held) | Outcome::Captured(_) | Outcome::Ended))
        });
        (all_change && !operations.is_empty()).then_some(decided)
    }

    /// Remembers a batch, once it is committed.
    pub(super) fn learn(&mut self, committed: &Decided<'_>) {
        if self.accounts.len() + committed.state.accounts.len() > MOST
            || self.holds.len() + committed.effects.holds.len() > MOST
        {
            self.forget();
        }
        for (tenant, account) in &committed.state.accounts {
            let Some(account) = account else { continue };
            let doubt = match self.accounts.get(tenant) {
                None => 1,
                Some(known) if known.numbers == account.start => known.doubt.saturating_sub(1),
                Some(_) => DOUBT,
            };
            self.accounts.insert(*tenant, Known { numbers: account.numbers(), doubt });
        }
        let made = committed.effects.holds.iter().map(|hold| (hold.request_id, (hold.account, hold.amount)));
        self.holds.extend(made);
        for (request_id, _) in &committed.effects.settlements {
            self.holds.remove(request_id);
        }
    }

    /// Guesses no more by what was remembered of these operations: it was wrong of one of them.
    pub(super) fn doubt(&mut self, operations: &[Operation]) {
        for operation in operations {
            if let Some(known) = self.accounts.get_mut(&operation.account()) {
                known.doubt = DOUBT;
            }
            if let Some(request_id) = hold_of(operation) {
                self.holds.remove(&request_id);
            }
        }
    }

    /// Forgets everything.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

/// The request whose hold the operation makes or ends. The others are rare, and need what is not remembered.
fn hold_of(operation: &Operation) -> Option<RequestId> {
    match operation {
        Operation::Hold(hold) => Some(hold.request_id),
        Operation::Capture(capture) => Some(capture.request_id),
        Operation::End { request_id, .. } => Some(*request_id),
        Operation::TopUp(_) | Operation::ReverseCapture { .. } | Operation::ReverseTopUp { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::operation::{Ended, Hold, TopUp, TopUpSource};
    use super::*;
    use crate::clock::Timestamp;
    use crate::id::ProcessId;
    use crate::price::PriceVersion;

    const ACCOUNT: TenantId = TenantId(1001);

    fn hold(request_id: RequestId, account: TenantId, nanos: i64) -> Operation {
        Operation::Hold(Hold {
            request_id,
            account,
            amount: Amount::from_nanos(nanos),
            owner: ProcessId::new(),
            expires_at: Timestamp(0),
            price_version: PriceVersion(1),
            idempotency: None,
        })
    }

    fn void(request_id: RequestId) -> Operation {
        Operation::End { request_id, account: ACCOUNT, ended: Ended::Voided }
    }

    /// A batch that was read: this is how it found the account.
    fn read(operations: &[Operation], posted: i64, held: i64) -> Decided<'_> {
        let mut state = State::default();
        let start = Numbers { posted: Amount::from_nanos(posted), held: Amount::from_nanos(held), seq: 1 };
        for operation in operations {
            state.accounts.insert(operation.account(), Some(AccountRow::starting_with(start)));
        }
        decide_all(state, operations)
    }

    /// A memory of an account with 100, of which 10 are held for `open`.
    fn memory(open: RequestId) -> Memory {
        let mut memory = Memory::default();
        memory.learn(&read(&[hold(open, ACCOUNT, 10)], 100, 0));
        memory.learn(&read(&[hold(RequestId::new(), ACCOUNT, 0)], 100, 10));
        memory
    }

    #[test]
    fn what_changes_a_known_account_is_guessed() {
        let open = RequestId::new();
        let memory = memory(open);
        let operations = [hold(RequestId::new(), ACCOUNT, 90), void(open), hold(RequestId::new(), ACCOUNT, 10)];
        let guess = memory.guess(&operations).unwrap();
        let account = guess.state.accounts[&ACCOUNT].unwrap();
        assert_eq!((account.held.nanos(), account.start.held.nanos()), (100, 10));
    }

    #[rstest]
    #[case::nothing(&|_| vec![])]
    #[case::a_refusal(&|_| vec![hold(RequestId::new(), ACCOUNT, 91)])]
    #[case::a_refusal_among_others(&|open| vec![void(open), hold(RequestId::new(), ACCOUNT, 101)])]
    #[case::a_hold_that_is_there(&|open| vec![hold(open, ACCOUNT, 10)])]
    #[case::an_unknown_hold(&|_| vec![void(RequestId::new())])]
    #[case::a_second_end(&|open| vec![void(open), void(open)])]
    #[case::an_unknown_account(&|_| vec![hold(RequestId::new(), TenantId(1002), 1)])]
    #[case::an_amount_below_zero(&|_| vec![hold(RequestId::new(), ACCOUNT, -1)])]
    #[case::a_payment(&|_| vec![Operation::TopUp(TopUp {
        id: RequestId::new(),
        account: ACCOUNT,
        amount: Amount::from_nanos(1),
        source: TopUpSource::Cash,
        reference: String::new(),
        note: None,
    })])]
    #[case::a_reversal(&|open| vec![Operation::ReverseCapture { request_id: open, account: ACCOUNT }])]
    #[case::a_reversal_of_a_payment(&|open| vec![Operation::ReverseTopUp {
        id: RequestId::new(),
        account: ACCOUNT,
        transfer: open,
        reason: String::new(),
    }])]
    fn what_is_not_guessed(#[case] operations: &dyn Fn(RequestId) -> Vec<Operation>) {
        let open = RequestId::new();
        assert!(memory(open).guess(&operations(open)).is_none());
    }

    #[test]
    fn an_account_in_doubt_is_guessed_by_again_after_reads_that_agree() {
        let operations = [hold(RequestId::new(), ACCOUNT, 0)];
        let mut memory = memory(RequestId::new());
        for wrong in 0..3 {
            // Noticed by the statement that wrote, or by a read.
            match wrong {
                0 => memory.doubt(&operations),
                _ => memory.learn(&read(&operations, 100 + wrong, 10)),
            }
            let posted = 100 + wrong;
            for _ in 0..DOUBT {
                assert!(memory.guess(&[hold(RequestId::new(), ACCOUNT, 0)]).is_none());
                memory.learn(&read(&operations, posted, 10));
            }
            assert!(memory.guess(&[hold(RequestId::new(), ACCOUNT, 0)]).is_some());
        }
    }

    #[test]
    fn no_more_is_remembered_than_the_bound() {
        let mut memory = Memory::default();
        for number in 0..MOST as i64 + 10 {
            let operations = [hold(RequestId::new(), TenantId(1001 + number % 3), 0)];
            memory.learn(&read(&operations, 100, 0));
            assert!(memory.holds.len() <= MOST);
        }
        assert_eq!((memory.holds.len(), memory.accounts.len()), (10, 3));
        for number in 0..MOST as i64 + 10 {
            let operations = [Operation::ReverseCapture { request_id: RequestId::new(), account: TenantId(number) }];
            memory.learn(&read(&operations, 100, 0));
            assert!(memory.accounts.len() <= MOST);
        }
    }
}
