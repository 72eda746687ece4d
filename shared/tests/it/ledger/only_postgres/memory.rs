//! Batches that are decided from what the writer remembers: they need no reading, and are never wrong, whatever others write meanwhile.

use diesel::connection::SimpleConnection;
use rstest::rstest;
use shared::clock::Clock;
use shared::id::{RequestId, TenantId};
use shared::ledger::{Ended, HoldDecision, Ledger, Operation, Outcome, Reversal, SettlementOutcome};
use shared::money::Amount;
use testkit::Pair;

use crate::ledger::books::{Books, capture, top_up};

/// More than it takes until a writer relies on what it remembers of an account.
const ENOUGH: usize = 6;

struct Scene {
    /// The process whose memory is tried.
    books: Books,
    /// Another one, which the first knows nothing of.
    other: Books,
    account: TenantId,
}

impl Scene {
    /// An account with 100 that the first process has written to so often that it relies on its memory.
    async fn set() -> Self {
        let books = Books::on(Pair::Servers, Clock::System).await;
        let account = books.tenant("remembered", 100).await;
        let other = books.another_process(books.database.url());
        let scene = Self { books, other, account };
        for _ in 0..ENOUGH {
            let request_id = scene.books.held(account, 1).await;
            end(&scene.books.ledger, request_id, account).await;
        }
        scene
    }

    /// Nobody can read under the lock any more: only what needs no reading goes on.
    fn forbid_reading(&self) {
        self.books.bare_connection().batch_execute("ALTER FUNCTION lock_accounts RENAME TO not_here").unwrap();
    }

    fn allow_reading(&self) {
        self.books.bare_connection().batch_execute("ALTER FUNCTION not_here RENAME TO lock_accounts").unwrap();
    }

    async fn hold(&self, nanos: i64) -> HoldDecision {
        self.books.ledger.hold(self.books.hold(self.account, nanos)).await.unwrap()
    }
}

async fn end(ledger: &Ledger, request_id: RequestId, account: TenantId) {
    ledger.end(request_id, account, Ended::Voided).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_nobody_else_writes_to_needs_no_reading() {
    let scene = Scene::set().await;
    let (account, ledger) = (scene.account, &scene.books.ledger);
    scene.forbid_reading();
    let (first, second) = (scene.books.held(account, 30).await, scene.books.held(account, 70).await);
    end(ledger, second, account).await;
    let paid = ledger.capture(capture(first, account, 25)).await.unwrap().unwrap();
    assert_eq!((paid.paid, paid.written_off), (Amount::from_nanos(25), Amount::ZERO));
    let beyond = scene.books.held(account, 10).await;
    let paid = ledger.capture(capture(beyond, account, 90)).await.unwrap().unwrap();
    assert_eq!((paid.paid, paid.written_off), (Amount::from_nanos(75), Amount::from_nanos(15)));
    // A refusal writes nothing that would prove it, so it is not given from memory.
    scene.books.ledger.hold(scene.books.hold(account, 1)).await.unwrap_err();
    scene.allow_reading();
    assert!(matches!(scene.hold(1).await, HoldDecision::Insufficient { .. }));
    assert_eq!(scene.books.balance(account).await, (0, 0));
    scene.books.prove().await;
}

#[tokio::test]
async fn a_payment_that_somebody_else_booked_counts_at_once() {
    let scene = Scene::set().await;
    assert!(matches!(scene.hold(500).await, HoldDecision::Insufficient { .. }));
    scene.other.ledger.top_up(top_up(scene.account, 400, "elsewhere")).await.unwrap();
    assert_eq!(scene.hold(500).await, HoldDecision::Held);
    scene.books.prove().await;
}

#[tokio::test]
async fn money_that_somebody_else_holds_cannot_be_held_again() {
    let scene = Scene::set().await;
    scene.other.held(scene.account, 60).await;
    let (needed, available) = (Amount::from_nanos(60), Amount::from_nanos(40));
    assert_eq!(scene.hold(60).await, HoldDecision::Insufficient { needed, available });
    assert_eq!(scene.hold(40).await, HoldDecision::Held);
    assert_eq!(scene.books.balance(scene.account).await, (100, 100));
    scene.books.prove().await;
}

#[tokio::test]
async fn money_that_somebody_else_spent_cannot_be_held() {
    let scene = Scene::set().await;
    let request_id = scene.other.held(scene.account, 60).await;
    // As the first process knew it, nothing is held.
    scene.other.ledger.capture(capture(request_id, scene.account, 60)).await.unwrap().unwrap();
    assert!(matches!(scene.hold(50).await, HoldDecision::Insufficient { .. }));
    assert_eq!(scene.hold(40).await, HoldDecision::Held);
    scene.books.prove().await;
}

#[derive(Debug, Clone, Copy)]
enum Settles {
    Capture,
    Void,
    Expire,
}

#[rstest]
#[tokio::test]
async fn what_somebody_else_settled_is_not_settled_again(
    #[values(Settles::Capture, Settles::Void, Settles::Expire)] theirs: Settles,
    #[values(Settles::Capture, Settles::Void)] ours: Settles,
    #[values(false, true)] gives_money_back: bool,
) {
    let scene = Scene::set().await;
    let account = scene.account;
    let request_id = scene.books.held(account, 30).await;
    let settle = |by: Settles| match by {
        Settles::Capture => Operation::Capture(Box::new(capture(request_id, account, 20))),
        Settles::Void => Operation::End { request_id, account, ended: Ended::Voided },
        Settles::Expire => Operation::End { request_id, account, ended: Ended::Expired },
    };
    scene.other.ledger.run(settle(theirs)).await.unwrap();
    if gives_money_back {
        // The account looks as it did before, but for what the settlement itself left.
        scene.other.held(account, 30).await;
    }
    let (outcome, posted) = match theirs {
        Settles::Capture => (SettlementOutcome::Captured, 80),
        Settles::Void => (SettlementOutcome::Voided, 100),
        Settles::Expire => (SettlementOutcome::Expired, 100),
    };
    match scene.books.ledger.run(settle(ours)).await.unwrap() {
        Outcome::AlreadySettled(settlement) => assert_eq!(settlement.outcome, outcome),
        other => panic!("{other:?}"),
    }
    let held = if gives_money_back { 30 } else { 0 };
    assert_eq!(scene.books.balance(account).await, (posted, held));
    scene.books.prove().await;
}

#[tokio::test]
async fn a_request_that_has_a_hold_elsewhere_gets_no_second_one() {
    let scene = Scene::set().await;
    let hold = scene.books.hold(scene.account, 10);
    assert_eq!(scene.other.ledger.hold(hold.clone()).await.unwrap(), HoldDecision::Held);
    assert_eq!(scene.books.ledger.hold(hold).await.unwrap(), HoldDecision::Replayed);
    assert_eq!(scene.books.balance(scene.account).await, (100, 10));
    scene.books.prove().await;
}

#[tokio::test]
async fn a_capture_can_be_given_back_after_it_was_made_from_memory() {
    let scene = Scene::set().await;
    let request_id = scene.books.held(scene.account, 30).await;
    scene.books.ledger.capture(capture(request_id, scene.account, 30)).await.unwrap().unwrap();
    let back = scene.books.ledger.reverse_capture(request_id, scene.account).await.unwrap();
    assert_eq!(back, Reversal::Reversed(Amount::from_nanos(30)));
    assert_eq!(scene.hold(100).await, HoldDecision::Held);
    scene.books.prove().await;
}

#[tokio::test]
async fn a_lost_connection_is_no_reason_to_do_anything_twice() {
    let scene = Scene::set().await;
    // The one whose last statement wrote a batch.
    let ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() \
                 AND pid <> pg_backend_pid() AND query LIKE '%UPDATE accounts SET posted%'";
    for _ in 0..3 {
        scene.books.bare_connection().batch_execute(ended).unwrap();
        let request_id = scene.books.held(scene.account, 5).await;
        scene.books.bare_connection().batch_execute(ended).unwrap();
        scene.books.ledger.capture(capture(request_id, scene.account, 5)).await.unwrap().unwrap();
    }
    assert_eq!(scene.books.balance(scene.account).await, (85, 0));
    scene.books.prove().await;
}

/// Two processes at once on few accounts, each with calls of its own, some of which the other settles first.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_on_the_same_accounts_agree_with_the_ledger() {
    const CALLERS: usize = 6;
    const CALLS: usize = 40;
    let scene = Scene::set().await;
    let mut accounts = vec![scene.account];
    for nth in 0..2 {
        accounts.push(scene.books.tenant(&format!("account {nth}"), 1_000).await);
    }
    let callers = (0..CALLERS * 2).map(|caller| {
        let (ours, theirs) = match caller % 2 {
            0 => (scene.books.ledger.clone(), scene.other.ledger.clone()),
            _ => (scene.other.ledger.clone(), scene.books.ledger.clone()),
        };
        let account = accounts[caller % accounts.len()];
        let holds: Vec<_> =
            (0..CALLS).map(|nth| scene.books.hold(account, 1 + i64::try_from(nth % 7).unwrap())).collect();
        tokio::spawn(async move {
            let mut paid = Amount::ZERO;
            for (nth, hold) in holds.into_iter().enumerate() {
                let request_id = hold.request_id;
                if ours.hold(hold).await.unwrap() != HoldDecision::Held {
                    continue;
                }
                let captures = [&ours, &theirs].map(|ledger| ledger.capture(capture(request_id, account, 1)));
                let [first, second] = captures;
                match nth % 3 {
                    0 => paid = paid.checked_add(first.await.unwrap().unwrap().paid).unwrap(),
                    1 => {
                        let (first, second) = tokio::join!(first, second);
                        let charges = [first.unwrap(), second.unwrap()].into_iter().filter_map(Result::ok);
                        let charges: Vec<_> = charges.map(|captured| captured.paid).collect();
                        assert_eq!(charges.len(), 1, "one of two captures is made");
                        paid = paid.checked_add(charges[0]).unwrap();
                    }
                    _ => {
                        let voided = theirs.end(request_id, account, Ended::Voided);
                        let (captured, voided) = tokio::join!(first, voided);
                        let (captured, voided) = (captured.unwrap(), voided.unwrap());
                        assert_ne!(captured.is_ok(), voided.is_ok(), "one of both");
                        paid = captured.map_or(paid, |captured| paid.checked_add(captured.paid).unwrap());
                    }
                }
            }
            (account, paid)
        })
    });
    let callers: Vec<_> = callers.collect();
    let mut expected: std::collections::BTreeMap<TenantId, i64> =
        accounts.iter().enumerate().map(|(nth, account)| (*account, if nth == 0 { 100 } else { 1_000 })).collect();
    for caller in callers {
        let (account, paid) = caller.await.unwrap();
        *expected.get_mut(&account).unwrap() -= paid.nanos();
    }
    for (account, posted) in expected {
        assert_eq!(scene.books.balance(account).await, (posted, 0));
    }
    scene.books.prove().await;
}
