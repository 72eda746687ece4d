//! Every write of a process goes through the ledger's writer, in the order of arrival.

use std::pin::Pin;

use diesel::RunQueryDsl;
use shared::clock::Clock;
use shared::db::DbError;
use shared::id::RequestId;
use shared::ledger::{self, HoldDecision, LedgerError, Operation};
use testkit::Pair;

use crate::ledger::books::{Books, in_order, top_up};

#[tokio::test]
async fn a_write_sees_what_was_sent_before_it_and_is_seen_after() {
    let books = Books::on(Pair::Embedded, Clock::System).await;
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

/// Its panic cannot be put away without another one: the one way to kill the writer's thread.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("on purpose, again");
    }
}

#[tokio::test]
async fn without_its_writer_the_ledger_says_so() {
    let books = Books::on(Pair::Embedded, Clock::System).await;
    let tenant = books.tenant("t", 100).await;
    let gate = books.close_gate().await;
    let last = books.database.write(|_| -> Result<(), DbError> { std::panic::panic_any(Bomb) });
    let last: Pin<Box<dyn Future<Output = ()>>> = Box::pin(async { assert!(last.await.is_err()) });
    let waiting = books.ledger.hold(books.hold(tenant, 1));
    let waiting = Box::pin(async { assert!(matches!(waiting.await, Err(LedgerError::Stopped))) });
    in_order(vec![last, waiting], || gate.open()).await;
    assert!(matches!(books.ledger.reverse_capture(RequestId::new(), tenant).await, Err(LedgerError::Stopped)));
    let write: Result<(), DbError> = books.database.write(|_| Ok(())).await;
    assert!(matches!(write, Err(DbError::WriterStopped)), "{write:?}");
    assert!(books.ledger.is_failing());
    assert_eq!(books.balance(tenant).await, (100, 0));
}
