//! Failures of one caller, of the database and of the writer itself, and whom they touch.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use shared::clock::Clock;
use shared::db::{Database, DbError};
use shared::id::{RequestId, TenantId};
use shared::ledger::{self, Ended, HoldDecision, LedgerError, Operation, Outcome, TopUp, WriterSettings};

use super::books::{Books, capture, in_order, top_up};

#[tokio::test]
async fn what_is_refused_leaves_the_others_of_its_commit_alone() {
    let books = Books::new().await;
    let tenant = books.tenant("t", 10).await;
    let before = books.commits();
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
    assert_eq!(books.commits() - before, 1);
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
    let in_the_way = if books.is_sqlite() {
        "CREATE TRIGGER in_the_way BEFORE INSERT ON holds WHEN NEW.amount = 3 BEGIN SELECT RAISE(ABORT, 'in the way'); END"
    } else {
        "CREATE FUNCTION in_the_way() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'in the way'; END $$;
         CREATE TRIGGER in_the_way BEFORE INSERT ON holds FOR EACH ROW WHEN (NEW.amount = 3) EXECUTE FUNCTION in_the_way()"
    };
    books.bare_connection().batch_execute(in_the_way).unwrap();
    let before = books.commits();
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
    let refusal =
        if books.is_sqlite() { "this transfer exists" } else { "duplicate key value violates unique constraint" };
    assert_eq!(trigger.to_string(), "in the way");
    assert!(taken.to_string().contains(refusal), "{taken}");
    assert_eq!(books.commits() - before, 3);
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
    let given_up = tokio::time::timeout(Duration::ZERO, books.ledger.capture(capture(running, tenant, 7))).await;
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
    // Whatever is sent later is done later.
    while books.ledger.end(RequestId::new(), tenant, Ended::Voided).await.is_err() {}
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
    if books.is_sqlite() {
        let write: Result<(), DbError> = books.database.write(|_| Ok(())).await;
        assert!(matches!(write, Err(DbError::Busy(_))), "{write:?}");
    }
    gate.open();
}

/// A tenant with a balance, made on a connection that waits as long as it takes.
async fn paid_directly(books: &Books, posted: i64) -> TenantId {
    let tenant = books.tenant("t", 0).await;
    let second = Database::open(books.database.url()).unwrap();
    let paid = Operation::TopUp(top_up(tenant, posted, "paid"));
    second.write(move |connection| ledger::apply_one(connection, paid, Clock::System.now())).await.unwrap();
    tenant
}

#[tokio::test]
async fn a_lock_that_is_not_given_is_an_answer_and_passes() {
    let books = Books::with(Clock::System, WriterSettings { timeout_ms: 60_000, ..WriterSettings::default() }).await;
    let tenant = books.tenant("t", 100).await;
    let mut other = books.bare_connection();
    let lock =
        if books.is_sqlite() { "BEGIN IMMEDIATE" } else { "BEGIN; LOCK TABLE accounts IN SHARE ROW EXCLUSIVE MODE" };
    other.batch_execute(lock).unwrap();
    let answers = in_order((0..2).map(|_| books.ledger.hold(books.hold(tenant, 1))).collect(), || ()).await;
    assert!(answers.iter().all(|answer| matches!(answer, Err(LedgerError::Database(DbError::Busy(_))))), "{answers:?}");
    assert!(books.ledger.is_failing());
    other.batch_execute("COMMIT").unwrap();
    // No call comes to a process that says that it cannot serve: its heartbeat must be enough.
    let asked = Instant::now();
    while books.ledger.is_failing() {
        assert!(asked.elapsed() < Duration::from_secs(30), "it does not find out");
        books.ledger.try_again();
        books.database.write(|_| Ok::<_, DbError>(())).await.unwrap();
    }
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
