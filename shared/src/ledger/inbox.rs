//! What waits for the ledger's writer, and what of it shares a commit.

use std::collections::{BTreeSet, VecDeque};

use tokio::sync::{mpsc, oneshot};

use super::LedgerError;
use super::operation::{Operation, Outcome};
use crate::db::Task;

/// A batch takes no further operation once its answers have this many bytes.
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// Whoever asked waits at the other end.
pub(super) type Answer = oneshot::Sender<Result<Outcome, LedgerError>>;

/// One thing to do.
pub(super) enum Work {
    Operation(Operation, Answer),
    /// A write that makes a transaction of its own.
    Task(Task),
}

/// Operations that share a commit, each with its answer.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) operations: Vec<Operation>,
    pub(super) answers: Vec<Answer>,
    /// Of what callers were sent, which some captures keep.
    bytes: usize,
}

impl Batch {
    /// Adds an operation, unless its caller has gone and it is one that is of no use then.
    pub(super) fn push(&mut self, operation: Operation, answer: Answer) {
        // Nobody would use this hold; and made so late, the sweeper could miss it.
        if !(matches!(operation, Operation::Hold(_)) && answer.is_closed()) {
            self.bytes = self.bytes.saturating_add(operation.answer_bytes());
            self.operations.push(operation);
            self.answers.push(answer);
        }
    }
}

/// The writer's end of the line.
pub(super) struct Inbox {
    waiting: mpsc::Receiver<Work>,
    /// What was looked at and could not join a batch: it comes before all that waits. At most one batch.
    aside: VecDeque<Work>,
    /// The most operations of a batch.
    most: usize,
}

impl Inbox {
    pub(super) fn new(waiting: mpsc::Receiver<Work>, most: usize) -> Self {
        Self { waiting, aside: VecDeque::new(), most }
    }

    /// Waits for something to do; `None` once nobody can ask any more.
    pub(super) fn wait(&mut self) -> Option<Work> {
        self.aside.pop_front().or_else(|| self.waiting.blocking_recv())
    }

    /// What has arrived by now, up to the batch's bound or the first task, which comes alone.
    pub(super) fn gather(&mut self, first: Work) -> (Batch, Option<Task>) {
        let mut batch = Batch::default();
        let mut next = Some(first);
        while let Some(work) = next {
            match work {
                Work::Operation(operation, answer) => batch.push(operation, answer),
                Work::Task(task) if batch.operations.is_empty() => return (batch, Some(task)),
                task @ Work::Task(_) => {
                    self.aside.push_front(task);
                    break;
                }
            }
            next = if batch.operations.len() < self.most && batch.bytes < MOST_BYTES {
                self.aside.pop_front().or_else(|| self.waiting.try_recv().ok())
            } else {
                None
            };
        }
        (batch, None)
    }

    /// Adds what has arrived since for the accounts of the batch, or for `any` account; the rest is put aside. Operations on one account
    /// keep their order: those that come after one that is put aside are put aside too.
    pub(super) fn join(&mut self, batch: &mut Batch, any: bool) {
        let accounts: BTreeSet<_> = batch.operations.iter().map(Operation::account).collect();
        let nothing_is_aside = self.aside.is_empty();
        while nothing_is_aside
            && batch.operations.len() < self.most
            && batch.bytes < MOST_BYTES
            && self.aside.len() < self.most
        {
            match self.waiting.try_recv() {
                Ok(Work::Operation(operation, answer)) if any || accounts.contains(&operation.account()) => {
                    batch.push(operation, answer);
                }
                Ok(work @ Work::Operation(..)) => self.aside.push_back(work),
                Ok(task @ Work::Task(_)) => return self.aside.push_back(task),
                Err(_) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::operation::{Captured, Hold, TopUp, TopUpSource};
    use super::*;
    use crate::clock::Timestamp;
    use crate::id::{ProcessId, RequestId, TenantId};
    use crate::money::Amount;
    use crate::price::PriceVersion;

    /// The bound of a batch.
    const MOST: usize = 4;

    /// What joins a batch.
    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Joins {
        ItsAccounts,
        Any,
    }
    use Joins::{Any, ItsAccounts};

    /// `a1` holds 1 on account `a`, `A1` pays 1 into it, `T` is a task; of `a1!` the caller has gone. Batches stand between bars.
    #[rstest]
    #[case::one("a1", "", ItsAccounts, "a1")]
    #[case::what_has_arrived_shares_a_batch("a1 b2 a3", "", ItsAccounts, "a1 b2 a3")]
    #[case::up_to_the_bound("a1 b2 a3 a4 a5 b6", "", ItsAccounts, "a1 b2 a3 a4 | a5 b6")]
    #[case::its_account_joins("a1", "a2 A3", ItsAccounts, "a1 a2 A3")]
    #[case::each_of_its_accounts_joins("a1 b2", "b3 a4", ItsAccounts, "a1 b2 b3 a4")]
    #[case::another_comes_afterwards("a1", "b2 a3", ItsAccounts, "a1 a3 | b2")]
    #[case::each_account_keeps_its_order("a1", "b2 a3 b4 A5 B6", ItsAccounts, "a1 a3 A5 | b2 b4 B6")]
    #[case::what_was_put_aside_comes_before_what_waits(
        "a1",
        "b2 a3 a4 a5 b6 a7",
        ItsAccounts,
        "a1 a3 a4 a5 | b2 b6 a7"
    )]
    #[case::any_joins("a1", "b2 a3", Any, "a1 b2 a3")]
    #[case::they_join_up_to_the_bound("a1 a2", "a3 a4 a5", ItsAccounts, "a1 a2 a3 a4 | a5")]
    #[case::any_joins_up_to_the_bound("a1 a2", "b3 b4 b5", Any, "a1 a2 b3 b4 | b5")]
    #[case::a_full_batch_is_not_joined("a1 a2 a3 a4", "b5 a6", ItsAccounts, "a1 a2 a3 a4 | b5 a6")]
    #[case::no_more_than_a_batch_is_put_aside("a1", "b2 b3 b4 b5 a6", ItsAccounts, "a1 | b2 b3 b4 b5 | a6")]
    #[case::a_task_comes_alone("T a1", "a2", ItsAccounts, "T | a1 a2")]
    #[case::tasks_come_one_by_one("T T", "", ItsAccounts, "T | T")]
    #[case::a_task_keeps_its_place("a1 T a2", "", ItsAccounts, "a1 | T | a2")]
    #[case::nothing_overtakes_a_task("a1 T a2", "a3", ItsAccounts, "a1 | T | a2 a3")]
    #[case::nothing_that_joins_overtakes_a_task("a1", "a2 T a3", ItsAccounts, "a1 a2 | T | a3")]
    #[case::any_joins_up_to_a_task("a1", "b2 T a3", Any, "a1 b2 | T | a3")]
    #[case::a_task_behind_what_was_put_aside("a1", "b2 T a3 b4", ItsAccounts, "a1 | b2 | T | a3 b4")]
    #[case::a_hold_that_nobody_waits_for("a1! a2", "", ItsAccounts, "a2")]
    #[case::a_hold_that_nobody_waits_for_alone("a1!", "", ItsAccounts, "")]
    #[case::a_hold_that_nobody_waits_for_joins("a1", "a2! a3", ItsAccounts, "a1 a3")]
    #[case::a_hold_that_nobody_waits_for_aside("a1", "b2! b3", ItsAccounts, "a1 | b3")]
    #[case::it_takes_no_place("a1 a2! a3 a4 a5 a6", "", ItsAccounts, "a1 a3 a4 a5 | a6")]
    #[case::a_payment_stands_all_the_same("A1! a2", "A3!", ItsAccounts, "A1 a2 A3")]
    #[case::a_task_behind_one_that_nobody_waits_for("a1! T a2", "", ItsAccounts, "T | a2")]
    fn batches(#[case] before: &str, #[case] meanwhile: &str, #[case] joins: Joins, #[case] expected: &str) {
        let (work, waiting) = mpsc::channel(32);
        let mut inbox = Inbox::new(waiting, MOST);
        let mut callers = send(&work, before);
        let mut later = Some((work, meanwhile));
        let mut batches = Vec::new();
        while let Some(first) = inbox.wait() {
            let (mut batch, task) = inbox.gather(first);
            if let Some((work, meanwhile)) = later.take() {
                callers.extend(send(&work, meanwhile));
            }
            // As the writer does: a batch waits for its lock, a task does not.
            if !batch.operations.is_empty() {
                inbox.join(&mut batch, joins == Any);
            }
            let names: Vec<String> = batch.operations.iter().map(name).collect();
            batches.extend((!names.is_empty()).then(|| names.join(" ")));
            batches.extend(task.map(|_| "T".to_owned()));
            assert_eq!(batch.operations.len(), batch.answers.len());
            for (operation, answer) in batch.operations.iter().zip(batch.answers) {
                let paid = amount(operation);
                let _ = answer.send(Ok(Outcome::Captured(Captured { paid, written_off: Amount::ZERO })));
            }
        }
        assert_eq!(batches.join(" | "), expected);
        for (asked, mut answered) in callers {
            let Ok(Ok(Outcome::Captured(Captured { paid, .. }))) = answered.try_recv() else {
                panic!("{asked:?} was not answered")
            };
            assert_eq!(paid, asked, "the answer of another");
        }
    }

    type Caller = (Amount, oneshot::Receiver<Result<Outcome, LedgerError>>);

    /// Gives those who wait for an answer, each with the amount that was asked for.
    fn send(work: &mpsc::Sender<Work>, names: &str) -> Vec<Caller> {
        let mut callers = Vec::new();
        for name in names.split_whitespace() {
            if name == "T" {
                work.try_send(Work::Task(Box::new(|_| ()))).unwrap();
                continue;
            }
            let (answer, answered) = oneshot::channel();
            let operation = operation(name.trim_end_matches('!'));
            if !name.ends_with('!') {
                callers.push((amount(&operation), answered));
            }
            work.try_send(Work::Operation(operation, answer)).unwrap();
        }
        callers
    }

    fn operation(name: &str) -> Operation {
        let (letter, number) = name.split_at(1);
        let account = TenantId(u32::from_str_radix(letter, 36).unwrap().into());
        let (request_id, amount) = (RequestId::new(), Amount::from_nanos(number.parse().unwrap()));
        if letter == letter.to_uppercase() {
            return Operation::TopUp(TopUp {
                id: request_id,
                account,
                amount,
                source: TopUpSource::Cash,
                reference: name.to_owned(),
                note: None,
            });
        }
        Operation::Hold(Hold {
            request_id,
            account,
            amount,
            owner: ProcessId::new(),
            expires_at: Timestamp(0),
            price_version: PriceVersion(1),
            idempotency: None,
        })
    }

    fn amount(operation: &Operation) -> Amount {
        match operation {
            Operation::Hold(hold) => hold.amount,
            Operation::TopUp(top_up) => top_up.amount,
            other => panic!("{other:?}"),
        }
    }

    fn name(operation: &Operation) -> String {
        let letter = char::from_digit(operation.account().0.try_into().unwrap(), 36).unwrap();
        let number = amount(operation).nanos();
        match operation {
            Operation::TopUp(_) => format!("{}{number}", letter.to_ascii_uppercase()),
            _ => format!("{letter}{number}"),
        }
    }
}
