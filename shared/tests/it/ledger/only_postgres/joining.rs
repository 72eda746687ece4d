//! What arrives while the writer waits for the lock of an account that another process works on.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use shared::clock::Clock;
use shared::db::{Connection, DbError};
use shared::id::TenantId;
use shared::ledger::{Ended, HoldDecision, LedgerError, Operation, Outcome, TopUpDecision};
use testkit::Pair;

use crate::ledger::books::{Books, in_order, top_up};
use crate::place;

/// Another process's transaction on one account.
struct OtherProcess(Connection);

impl OtherProcess {
    fn work_on(books: &Books, account: TenantId) -> Self {
        let mut connection = books.bare_connection();
        let lock = format!("BEGIN; SELECT FROM accounts WHERE id = {account} FOR NO KEY UPDATE");
        connection.batch_execute(&lock).unwrap();
        Self(connection)
    }

    /// Sends the first operation, lets the writer come so far that it waits for the lock, sends the others in this order, and only then
    /// gives the lock back.
    async fn keeps_waiting(
        mut self,
        books: &Books,
        first: Operation,
        others: Vec<Operation>,
    ) -> Vec<Result<Outcome, LedgerError>> {
        let ledger = books.ledger.clone();
        let first = tokio::spawn(async move { ledger.run(first).await });
        let waiting = "SELECT count(*) AS number FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))";
        let asked = Instant::now();
        while place::numbers(&mut self.0, waiting) != [1] {
            assert!(asked.elapsed() < Duration::from_secs(8), "the writer does not wait");
            tokio::task::yield_now().await;
        }
        let others = others.into_iter().map(|operation| books.ledger.run(operation)).collect();
        let others = in_order(others, || self.0.batch_execute("COMMIT").unwrap()).await;
        std::iter::once(first.await.unwrap()).chain(others).collect()
    }
}

#[tokio::test]
async fn operations_on_the_locked_account_share_one_commit_and_others_come_afterwards() {
    let books = Books::on(Pair::Servers, Clock::System).await;
    let (locked, other) = (books.tenant("locked", 100).await, books.tenant("other", 100).await);
    let before = books.commits();
    let process = OtherProcess::work_on(&books, locked);
    let first = books.hold(locked, 60);
    let end = Operation::End { request_id: first.request_id, account: locked, ended: Ended::Voided };
    let others = vec![
        Operation::Hold(books.hold(other, 70)),
        // Each is decided by what stands before it.
        Operation::Hold(books.hold(locked, 100)),
        end,
        Operation::Hold(books.hold(other, 31)),
        Operation::Hold(books.hold(locked, 100)),
        Operation::TopUp(top_up(other, 1, "one more")),
        Operation::Hold(books.hold(other, 31)),
        Operation::Hold(books.hold(locked, 1)),
    ];
    let answers = process.keeps_waiting(&books, Operation::Hold(first), others).await;
    let [
        Ok(Outcome::Hold(HoldDecision::Held)),
        Ok(Outcome::Hold(HoldDecision::Held)),
        Ok(Outcome::Hold(HoldDecision::Insufficient { .. })),
        Ok(Outcome::Ended),
        Ok(Outcome::Hold(HoldDecision::Insufficient { .. })),
        Ok(Outcome::Hold(HoldDecision::Held)),
        Ok(Outcome::TopUp(TopUpDecision::Posted { .. })),
        Ok(Outcome::Hold(HoldDecision::Held)),
        Ok(Outcome::Hold(HoldDecision::Insufficient { .. })),
    ] = answers.as_slice()
    else {
        panic!("{answers:?}")
    };
    assert_eq!(books.commits() - before, 2);
    let [of_locked, of_other] = [locked, other].map(|account| {
        books.numbers(&format!("SELECT DISTINCT xmin::text::bigint AS number FROM holds WHERE account = {account}"))
    });
    assert_eq!((of_locked.len(), of_other.len()), (1, 1));
    assert!(of_locked < of_other, "the one that waited was the first");
    assert_eq!((books.balance(locked).await, books.balance(other).await), ((100, 100), (101, 101)));
    books.prove().await;
}

/// A batch that the database refuses is tried one by one, with what has joined it.
#[tokio::test]
async fn what_has_joined_is_answered_for_itself() {
    let books = Books::on(Pair::Servers, Clock::System).await;
    let tenant = books.tenant("t", 100).await;
    books
        .bare_connection()
        .batch_execute(
            "CREATE FUNCTION in_the_way() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'in the way'; END $$;
             CREATE TRIGGER in_the_way BEFORE INSERT ON holds FOR EACH ROW WHEN (NEW.amount = 3) EXECUTE FUNCTION in_the_way()",
        )
        .unwrap();
    let before = books.commits();
    let process = OtherProcess::work_on(&books, tenant);
    let others = [3, 5, 100].map(|nanos| Operation::Hold(books.hold(tenant, nanos)));
    let answers = process.keeps_waiting(&books, Operation::Hold(books.hold(tenant, 4)), others.into()).await;
    let [
        Ok(Outcome::Hold(HoldDecision::Held)),
        Err(LedgerError::Database(DbError::Query(refused))),
        Ok(Outcome::Hold(HoldDecision::Held)),
        Ok(Outcome::Hold(HoldDecision::Insufficient { .. })),
    ] = answers.as_slice()
    else {
        panic!("{answers:?}")
    };
    assert_eq!(refused.to_string(), "in the way");
    assert_eq!(books.commits() - before, 2);
    assert_eq!(books.balance(tenant).await, (100, 9));
    books.prove().await;
}
