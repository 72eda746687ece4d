//! One writer for many: no hold too many, commits that are shared, and turns for others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use rstest::rstest;
use shared::clock::Clock;
use shared::db::Database;
use shared::ledger::{self, Ended, HoldDecision, LedgerError, Operation, Outcome, Reversal, TopUpDecision};

use super::books::{Books, NOBODY, capture, in_order, top_up};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_balance_for_k_holds_gives_exactly_k() {
    const K: usize = 500;
    let books = Arc::new(Books::new().await);
    // Almost enough for one more.
    let tenant = books.tenant("t", 7 * K as i64 + 6).await;
    let tasks = (0..64).map(|_| {
        let books = Arc::clone(&books);
        tokio::spawn(async move {
            let mut held = 0;
            for _ in 0..16 {
                match books.ledger.hold(books.hold(tenant, 7)).await.unwrap() {
                    HoldDecision::Held => held += 1,
                    HoldDecision::Insufficient { needed, available } => assert!(available < needed),
                    HoldDecision::Replayed | HoldDecision::Repeated => panic!("every request is new"),
                }
            }
            held
        })
    });
    let mut held = 0;
    for task in tasks.collect::<Vec<_>>() {
        held += task.await.unwrap();
    }
    assert_eq!(held, K);
    assert_eq!(books.balance(tenant).await, (7 * K as i64 + 6, 7 * K as i64));
    books.prove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_captures_of_each_request_one_counts() {
    const TASKS: i64 = 256;
    const PAIRS: i64 = 4;
    let books = Arc::new(Books::new().await);
    let tenants = [books.tenant("one", 10 * TASKS * PAIRS).await, books.tenant("another", 10 * TASKS * PAIRS).await];
    let tasks = (0..TASKS as usize).map(|number| {
        let books = Arc::clone(&books);
        tokio::spawn(async move {
            for _ in 0..PAIRS {
                let tenant = tenants[number % 2];
                let request = books.held(tenant, 10).await;
                let both = [9, 8].map(|cost| books.ledger.capture(capture(request, tenant, cost))).into();
                let answers = in_order(both, || ()).await;
                let charged: Vec<_> = answers.iter().flat_map(|answer| answer.as_ref().unwrap()).collect();
                assert_eq!(charged.len(), 1, "{answers:?}");
                assert_eq!(charged[0].paid.nanos(), 9, "the first that was sent counts");
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    for tenant in tenants {
        assert_eq!(books.balance(tenant).await, ((10 * TASKS - 9 * TASKS / 2) * PAIRS, 0));
    }
    books.prove().await;
}

/// A hold or a charge of somebody else is not there, whoever it belongs to.
#[tokio::test]
async fn what_names_another_account_finds_nothing_and_changes_nothing() {
    let books = Books::new().await;
    let (owner, other) = (books.tenant("owner", 100).await, books.tenant("other", 100).await);
    let (open, charged) = (books.held(owner, 10).await, books.held(owner, 20).await);
    books.ledger.capture(capture(charged, owner, 7)).await.unwrap().unwrap();
    let before = books.commits();
    for account in [other, NOBODY] {
        for request in [open, charged] {
            assert!(matches!(books.ledger.capture(capture(request, account, 5)).await, Ok(Err(None))));
            for ended in [Ended::Voided, Ended::Expired] {
                assert!(matches!(books.ledger.end(request, account, ended).await, Ok(Err(None))));
            }
            let reversed = books.ledger.reverse_capture(request, account).await;
            assert!(matches!(reversed, Ok(Reversal::NothingCaptured)), "{reversed:?}");
        }
    }
    assert_eq!(books.commits(), before);
    assert_eq!((books.balance(owner).await, books.balance(other).await), ((93, 10), (100, 0)));

    // In one commit with those that name the right one.
    let end = |account| Operation::End { request_id: open, account, ended: Ended::Voided };
    let reverse = |account| Operation::ReverseCapture { request_id: charged, account };
    let answers = books.together(vec![end(other), end(owner), end(other), reverse(other), reverse(owner)]).await;
    let [
        Ok(Outcome::NoSuchHold),
        Ok(Outcome::Ended),
        Ok(Outcome::NoSuchHold),
        Ok(Outcome::Reversal(Reversal::NothingCaptured)),
        Ok(Outcome::Reversal(Reversal::Reversed(_))),
    ] = answers.as_slice()
    else {
        panic!("{answers:?}")
    };
    assert_eq!((books.balance(owner).await, books.balance(other).await), ((100, 0), (100, 0)));
    books.prove().await;
}

#[rstest]
#[case(1, 1)]
#[case(256, 1)]
#[case(257, 2)]
#[tokio::test]
async fn what_arrives_during_a_commit_shares_the_next(#[case] holds: usize, #[case] expected: usize) {
    let books = Books::new().await;
    let tenant = books.tenant("t", 1_000).await;
    let before = books.commits();
    let answers = books.together((0..holds).map(|_| Operation::Hold(books.hold(tenant, 1))).collect()).await;
    assert!(answers.iter().all(|answer| matches!(answer, Ok(Outcome::Hold(HoldDecision::Held)))));
    assert_eq!(books.commits() - before, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_arrangement_256_holds_take_far_fewer_commits() {
    let books = Books::new().await;
    let tenant = books.tenant("t", 1_000).await;
    let before = books.commits();
    let holds: Vec<_> = (0..256).map(|_| books.ledger.hold(books.hold(tenant, 1))).collect();
    assert!(in_order(holds, || ()).await.into_iter().all(|answer| answer.unwrap() == HoldDecision::Held));
    let commits = books.commits() - before;
    assert!((1..=64).contains(&commits), "{commits} commits");
}

/// 100 payments by commands, on connections of their own, while the writer has no pause.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_command_gets_its_turn_beside_a_writer_under_full_load() {
    let books = Arc::new(Books::new().await);
    let (busy, paying) = (books.tenant("busy", 1_000_000).await, books.tenant("paying", 0).await);
    let (over, charged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicI64::new(0)));
    let load = (0..64).map(|_| {
        let (books, over, charged) = (Arc::clone(&books), Arc::clone(&over), Arc::clone(&charged));
        tokio::spawn(async move {
            while !over.load(Ordering::Relaxed) {
                let request = books.held(busy, 1).await;
                let paid = books.ledger.capture(capture(request, busy, 1)).await.unwrap().unwrap().paid;
                charged.fetch_add(paid.nanos(), Ordering::Relaxed);
            }
        })
    });
    let load: Vec<_> = load.collect();
    while charged.load(Ordering::Relaxed) < 1_000 {
        tokio::task::yield_now().await;
    }

    let commands = (0..4).map(|command| {
        let url = books.database.url().clone();
        tokio::spawn(async move {
            let own = Database::open(&url).unwrap();
            for payment in 0..25 {
                let paid = Operation::TopUp(top_up(paying, 1, &format!("{command} {payment}")));
                let asked = Instant::now();
                let write = own.write(move |connection| ledger::apply_one(connection, paid, Clock::System.now()));
                let answer: Result<Outcome, LedgerError> = write.await;
                assert!(
                    matches!(answer, Ok(Outcome::TopUp(TopUpDecision::Posted { replayed: false, .. }))),
                    "{answer:?}"
                );
                assert!(asked.elapsed() < Duration::from_secs(10), "payment {payment} took {:?}", asked.elapsed());
            }
        })
    });
    for command in commands.collect::<Vec<_>>() {
        command.await.unwrap();
    }
    over.store(true, Ordering::Relaxed);
    for task in load {
        task.await.unwrap();
    }
    let charged = charged.load(Ordering::Relaxed);
    assert_eq!(books.balance(paying).await, (100, 0));
    assert_eq!(books.balance(busy).await, (1_000_000 - charged, 0));
    books.prove().await;
}
