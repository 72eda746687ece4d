//! One writer for many: no hold too many, commits that are shared, and nobody's failure or departure that touches another.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use diesel::RunQueryDsl;
use diesel::connection::SimpleConnection;
use rstest::rstest;
use shared::clock::Clock;
use shared::db::{Database, DbError};
use shared::id::{RequestId, TenantId};
use shared::ledger::{self, HoldDecision, LedgerError, Operation, Outcome, TopUp, TopUpDecision, WriterSettings};

use super::books::{Books, capture, in_order, top_up};

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
                    HoldDecision::Replayed => panic!("every request is new"),
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
                let request = books.held(tenants[number % 2], 10).await;
                let both = vec![books.ledger.capture(capture(request, 9)), books.ledger.capture(capture(request, 8))];
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

#[rstest]
#[case(1, 1)]
#[case(256, 1)]
#[case(257, 2)]
#[tokio::test]
async fn what_arrives_during_a_commit_shares_the_next(#[case] holds: usize, #[case] expected: usize) {
    let books = Books::new().await;
    let tenant = books.tenant("t", 1_000).await;
    let before = commits(&books.path());
    let answers = books.together((0..holds).map(|_| Operation::Hold(books.hold(tenant, 1))).collect()).await;
    assert!(answers.iter().all(|answer| matches!(answer, Ok(Outcome::Hold(HoldDecision::Held)))));
    assert_eq!(commits(&books.path()) - before, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_arrangement_256_holds_take_far_fewer_commits() {
    let books = Books::new().await;
    let tenant = books.tenant("t", 1_000).await;
    let before = commits(&books.path());
    let holds: Vec<_> = (0..256).map(|_| books.ledger.hold(books.hold(tenant, 1))).collect();
    assert!(in_order(holds, || ()).await.into_iter().all(|answer| answer.unwrap() == HoldDecision::Held));
    let commits = commits(&books.path()) - before;
    assert!((1..=64).contains(&commits), "{commits} commits");
}

/// Commits in the write-ahead log: frames that close a transaction give the size of the database after it.
fn commits(path: &Path) -> usize {
    let log = std::fs::read(format!("{}-wal", path.display())).unwrap();
    let number = |at: usize| u32::from_be_bytes(log[at..at + 4].try_into().unwrap());
    let (page, salts) = (number(8) as usize, &log[16..24]);
    let frames = (32..log.len()).step_by(24 + page);
    frames.filter(|at| &log[at + 8..at + 16] == salts && number(at + 4) != 0).count()
}

#[tokio::test]
async fn a_write_sees_what_was_sent_before_it_and_is_seen_after() {
    let books = Books::new().await;
    let tenant = books.tenant("t", 10).await;
    let hold = |nanos| {
        let hold = books.ledger.hold(books.hold(tenant, nanos));
        Box::pin(async { usize::from(hold.await.unwrap() == HoldDecision::Held) })
            as Pin<Box<dyn Future<Output = usize>>>
    };
    let write = books.database.write(move |connection| {
        let paid = Operation::TopUp(top_up(tenant, 5, "in between"));
        ledger::apply_one(connection, paid, Clock::System.now())?;
        Ok::<_, LedgerError>(
            diesel::sql_query("UPDATE epoch SET value = value WHERE (SELECT held FROM accounts WHERE id = 1001) = 10")
                .execute(connection)?,
        )
    });
    let steps = vec![hold(10), hold(1), Box::pin(async { write.await.unwrap() }), hold(5), hold(1)];
    let gate = books.close_gate().await;
    assert_eq!(in_order(steps, || gate.open()).await, [1, 0, 1, 1, 0]);
    assert_eq!(books.balance(tenant).await, (15, 15));
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
                let paid = books.ledger.capture(capture(request, 1)).await.unwrap().unwrap().paid;
                charged.fetch_add(paid.nanos(), Ordering::Relaxed);
            }
        })
    });
    let load: Vec<_> = load.collect();
    while charged.load(Ordering::Relaxed) < 1_000 {
        tokio::task::yield_now().await;
    }

    let commands = (0..4).map(|command| {
        let path = books.path();
        tokio::spawn(async move {
            let own = Database::open(&path).unwrap();
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

#[tokio::test]
async fn what_is_refused_leaves_the_others_of_its_commit_alone() {
    let books = Books::new().await;
    let tenant = books.tenant("t", 10).await;
    let before = commits(&books.path());
    let answers = books
        .together(vec![
            Operation::Hold(books.hold(tenant, 4)),
            Operation::TopUp(top_up(tenant, i64::MAX, "too much")),
            Operation::Hold(books.hold(TenantId(9_999), 1)),
            Operation::Hold(books.hold(tenant, -1)),
            Operation::Hold(books.hold(tenant, 6)),
        ])
        .await;
    let [
        Ok(Outcome::Hold(HoldDecision::Held)),
        Err(LedgerError::TooLarge),
        Err(LedgerError::NoSuchAccount(TenantId(9_999))),
        Err(LedgerError::TooLarge),
        Ok(Outcome::Hold(HoldDecision::Held)),
    ] = answers.as_slice()
    else {
        panic!("{answers:?}")
    };
    assert_eq!(commits(&books.path()) - before, 1);
    assert_eq!(books.balance(tenant).await, (10, 10));
    assert!(!books.ledger.is_failing());
}

/// What no decision can foresee: the database refuses one row, and with it the whole batch.
#[tokio::test]
async fn what_the_database_refuses_leaves_the_others_of_its_batch_alone() {
    let books = Books::new().await;
    let tenant = books.tenant("t", 10).await;
    let first = top_up(tenant, 5, "a payment");
    books.ledger.top_up(first.clone()).await.unwrap();
    let in_the_way = "CREATE TRIGGER in_the_way BEFORE INSERT ON holds WHEN NEW.amount = 3 BEGIN SELECT RAISE(ABORT, 'in the way'); END";
    books.bare_connection().batch_execute(in_the_way).unwrap();
    let before = commits(&books.path());
    let answers = books
        .together(vec![
            Operation::Hold(books.hold(tenant, 4)),
            Operation::Hold(books.hold(tenant, 3)),
            Operation::TopUp(top_up(tenant, 1, "another payment")),
            Operation::TopUp(TopUp { reference: "another payment under a taken id".to_owned(), ..first }),
            Operation::Hold(books.hold(tenant, 12)),
        ])
        .await;
    let [
        Ok(Outcome::Hold(HoldDecision::Held)),
        Err(LedgerError::Database(DbError::Query(trigger))),
        Ok(Outcome::TopUp(_)),
        Err(LedgerError::Database(DbError::Query(taken))),
        Ok(Outcome::Hold(HoldDecision::Held)),
    ] = answers.as_slice()
    else {
        panic!("{answers:?}")
    };
    assert_eq!((trigger.to_string(), taken.to_string()), ("in the way".to_owned(), "this transfer exists".to_owned()));
    assert_eq!(commits(&books.path()) - before, 3);
    assert_eq!(books.balance(tenant).await, (16, 16));
    books.prove().await;
}

#[tokio::test]
async fn who_gives_up_leaves_no_hold_but_a_charge_stands() {
    let books = Books::new().await;
    let tenant = books.tenant("t", 100).await;
    let running = books.held(tenant, 10).await;
    let gate = books.close_gate().await;
    // Polled once, which sends it, and dropped.
    let given_up = tokio::time::timeout(Duration::ZERO, books.ledger.hold(books.hold(tenant, 20))).await;
    assert!(given_up.is_err());
    let given_up = tokio::time::timeout(Duration::ZERO, books.ledger.capture(capture(running, 7))).await;
    assert!(given_up.is_err());
    gate.open();
    // Whatever is sent later is done later.
    assert_eq!(books.ledger.hold(books.hold(tenant, 1)).await.unwrap(), HoldDecision::Held);
    assert_eq!(books.balance(tenant).await, (93, 1));
    books.prove().await;
}

#[tokio::test]
async fn a_hold_that_timed_out_is_not_made_later() {
    let books = Books::with(Clock::System, WriterSettings { timeout_ms: 20, ..WriterSettings::default() }).await;
    let tenant = paid_directly(&books, 100).await;
    let gate = books.close_gate().await;
    let answer = books.ledger.hold(books.hold(tenant, 20)).await;
    assert!(matches!(answer, Err(LedgerError::TimedOut)), "{answer:?}");
    gate.open();
    books.database.write(|_| Ok::<_, DbError>(())).await.unwrap();
    assert_eq!(books.balance(tenant).await, (100, 0));
}

#[tokio::test]
async fn a_full_line_refuses_instead_of_growing() {
    let books =
        Books::with(Clock::System, WriterSettings { queue: 1, timeout_ms: 20, ..WriterSettings::default() }).await;
    let tenant = paid_directly(&books, 100).await;
    let gate = books.close_gate().await;
    let holds = (0..3).map(|_| books.ledger.hold(books.hold(tenant, 20))).collect();
    for answer in in_order(holds, || ()).await {
        assert!(matches!(answer, Err(LedgerError::TimedOut)), "{answer:?}");
    }
    let write: Result<(), DbError> = books.database.write(|_| Ok(())).await;
    assert!(matches!(write, Err(DbError::Busy(_))), "{write:?}");
    gate.open();
}

/// A tenant with a balance, made on a connection that waits as long as it takes.
async fn paid_directly(books: &Books, posted: i64) -> TenantId {
    let tenant = books.tenant("t", 0).await;
    let second = Database::open(&books.path()).unwrap();
    let paid = Operation::TopUp(top_up(tenant, posted, "paid"));
    second.write(move |connection| ledger::apply_one(connection, paid, Clock::System.now())).await.unwrap();
    tenant
}

#[tokio::test]
async fn a_lock_that_is_not_given_is_an_answer_and_passes() {
    let books = Books::with(Clock::System, WriterSettings { timeout_ms: 60_000, ..WriterSettings::default() }).await;
    let tenant = books.tenant("t", 100).await;
    let mut other = books.bare_connection();
    other.batch_execute("BEGIN IMMEDIATE").unwrap();
    let answers = in_order((0..2).map(|_| books.ledger.hold(books.hold(tenant, 1))).collect(), || ()).await;
    assert!(answers.iter().all(|answer| matches!(answer, Err(LedgerError::Database(DbError::Busy(_))))), "{answers:?}");
    assert!(books.ledger.is_failing());
    other.batch_execute("COMMIT").unwrap();
    // No call comes to a process that says that it cannot serve: its heartbeat must be enough. The second one waits for the first.
    for _ in 0..2 {
        books.database.write(|_| Ok::<_, DbError>(())).await.unwrap();
    }
    assert!(!books.ledger.is_failing());
    assert_eq!(books.balance(tenant).await, (100, 0));
}

#[tokio::test]
async fn a_write_that_panics_is_rolled_back_and_stops_nothing() {
    let books = Books::new().await;
    let tenant = books.tenant("t", 100).await;
    let paid = Operation::TopUp(top_up(tenant, 50, "paid in vain"));
    let write = books.database.write(move |connection| -> Result<(), LedgerError> {
        ledger::apply_one(connection, paid, Clock::System.now())?;
        panic!("on purpose")
    });
    assert!(matches!(write.await, Err(LedgerError::Database(DbError::WriterStopped))));
    assert_eq!(books.ledger.hold(books.hold(tenant, 100)).await.unwrap(), HoldDecision::Held);
    assert_eq!(books.balance(tenant).await, (100, 100));
    books.prove().await;
}

/// Its panic cannot be put away without another one: the one way to kill the writer's thread.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("on purpose, again");
    }
}

#[tokio::test]
async fn without_its_writer_the_ledger_says_so() {
    let books = Books::new().await;
    let tenant = books.tenant("t", 100).await;
    let gate = books.close_gate().await;
    let last = books.database.write(|_| -> Result<(), DbError> { std::panic::panic_any(Bomb) });
    let last: Pin<Box<dyn Future<Output = ()>>> = Box::pin(async { assert!(last.await.is_err()) });
    let waiting = books.ledger.hold(books.hold(tenant, 1));
    let waiting = Box::pin(async { assert!(matches!(waiting.await, Err(LedgerError::Stopped))) });
    in_order(vec![last, waiting], || gate.open()).await;
    assert!(matches!(books.ledger.reverse_capture(RequestId::new()).await, Err(LedgerError::Stopped)));
    let write: Result<(), DbError> = books.database.write(|_| Ok(())).await;
    assert!(matches!(write, Err(DbError::WriterStopped)), "{write:?}");
    assert!(books.ledger.is_failing());
    assert_eq!(books.balance(tenant).await, (100, 0));
}
