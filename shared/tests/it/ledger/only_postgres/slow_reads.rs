//! A statement that reads for too long ends with the wait for it.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use shared::clock::Clock;
use shared::ledger;
use testkit::Pair;

use crate::ledger::books::Books;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_waits_for_any_more_keeps_no_connection() {
    let books = Books::on(Pair::Servers, Clock::System).await;
    let tenant = books.tenant("t", 1_000).await;
    let slow = || books.database.read_records(|connection| Ok(connection.batch_execute("SELECT pg_sleep(60)")?));
    let asked = Instant::now();
    let (one, other) = tokio::join!(slow(), slow());
    assert!(one.is_err() && other.is_err(), "{one:?} {other:?}");
    let balance = books.database.read_records(move |connection| ledger::balance(connection, tenant)).await;
    assert!(balance.unwrap().is_some());
    assert!(asked.elapsed() < Duration::from_secs(40), "{:?}", asked.elapsed());
}
