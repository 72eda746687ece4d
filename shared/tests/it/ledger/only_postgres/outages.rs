//! PostgreSQL dies under load and comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use shared::clock::Clock;
use shared::db::{Connection, DbError};
use shared::id::RequestId;
use shared::ledger::{self, Ended, HoldDecision, LedgerError, WriterSettings};
use testkit::{Pair, Postgres};

use super::lost_answers::Way;
use crate::ledger::books::{Books, capture};
use crate::place::Place;

const CLIENTS: usize = 32;
const KILLS: usize = 3;
/// How long a caller waits at most, and what a busy machine may add to it.
const TIMEOUT: Duration = Duration::from_secs(4);
const SLACK: Duration = Duration::from_secs(6);
/// After the server's return the ledger works again within this time.
const BACK: Duration = Duration::from_secs(5);

/// What a caller knows of one request.
struct Known {
    request: RequestId,
    held: Option<HoldDecision>,
    paid: Option<i64>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_or_carried_out_twice_and_it_comes_back_by_itself() {
    let server = Arc::new(Postgres::start().unwrap());
    let settings = WriterSettings { timeout_ms: TIMEOUT.as_millis().try_into().unwrap(), ..WriterSettings::default() };
    let books = Arc::new(Books::in_place(Place::on_server(&server.database()), Clock::System, settings).await);
    let tenant = books.tenant("t", 1_000_000_000).await;
    let (over, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients = (0..CLIENTS).map(|_| {
        let (books, over, answered) = (Arc::clone(&books), Arc::clone(&over), Arc::clone(&answered));
        tokio::spawn(async move {
            let mut known = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let hold = books.hold(tenant, 10);
                let request = hold.request_id;
                let held = in_time(books.ledger.hold(hold)).await.ok();
                let paid = match held {
                    Some(HoldDecision::Held) => in_time(books.ledger.capture(capture(request, tenant, 7))).await.ok(),
                    _ => None,
                };
                let paid = paid.map(|answer| answer.unwrap().paid.nanos());
                if paid.is_some() {
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                known.push(Known { request, held, paid });
            }
            known
        })
    });
    let clients: Vec<_> = clients.collect();
    for _ in 0..KILLS {
        more(&answered, 200).await;
        let killed = Arc::clone(&server);
        tokio::task::spawn_blocking(move || {
            killed.kill9();
            killed.start_again().unwrap();
        })
        .await
        .unwrap();
        let back = Instant::now();
        more(&answered, 1).await;
        // So do reads, and the writes that go beside the ledger's.
        while books.database.read(move |connection| ledger::balance(connection, tenant)).await.is_err() {}
        while books.database.write(|_| Ok::<_, DbError>(())).await.is_err() {}
        assert!(back.elapsed() < BACK, "{:?}", back.elapsed());
    }
    more(&answered, 200).await;
    over.store(true, Ordering::Relaxed);
    let mut known = Vec::new();
    for client in clients {
        known.extend(client.await.unwrap());
    }

    let (mut settled, mut charged) = (0, 0);
    for Known { request, held, paid } in &known {
        assert_ne!(*held, Some(HoldDecision::Replayed), "no request was sent twice");
        // Who got no answer finds out by asking for the end: charged, or nothing.
        let end = books.ledger.end(*request, tenant, Ended::Voided).await.unwrap();
        let found = match end {
            Ok(()) => 0,
            Err(Some(settlement)) => settlement.amount.nanos(),
            Err(None) => {
                assert_eq!(*held, None, "a hold that was answered is there");
                0
            }
        };
        assert!(paid.is_none_or(|paid| paid == found), "answered {paid:?}, found {found}");
        settled += usize::from(found > 0);
        charged += found;
    }
    assert_eq!(books.balance(tenant).await, (1_000_000_000 - charged, 0));
    assert!(settled >= answered.load(Ordering::Relaxed));
    assert!(!books.ledger.is_failing());
    books.prove().await;
}

async fn in_time<T>(answer: impl Future<Output = T>) -> T {
    let asked = Instant::now();
    let answer = answer.await;
    assert!(asked.elapsed() < TIMEOUT + SLACK, "an answer after {:?}", asked.elapsed());
    answer
}

/// Waits until so many more calls were charged.
async fn more(answered: &AtomicUsize, count: usize) {
    let (before, asked) = (answered.load(Ordering::Relaxed), Instant::now());
    while answered.load(Ordering::Relaxed) < before + count {
        assert!(asked.elapsed() < Duration::from_secs(60), "no answers");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// A network that moves nothing for a while: callers get an answer in time, and afterwards it goes on by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_network_is_an_answer_and_passes() {
    let books = Books::on(Pair::Servers, Clock::System).await;
    let tenant = books.tenant("t", 100).await;
    let way = Way::to(books.database.url());
    let settings = WriterSettings { timeout_ms: 500, ..WriterSettings::default() };
    let behind = Books::in_place(Place::existing(way.url.clone()), Clock::System, settings).await;
    let request = behind.held(tenant, 10).await;
    way.proxy.stall(true);
    let asked = Instant::now();
    let (hold, charge) =
        tokio::join!(behind.ledger.hold(behind.hold(tenant, 20)), behind.ledger.capture(capture(request, tenant, 7)));
    assert!(matches!(hold, Err(LedgerError::TimedOut)), "{hold:?}");
    assert!(matches!(charge, Err(LedgerError::TimedOut)), "{charge:?}");
    assert!(asked.elapsed() < SLACK, "{:?}", asked.elapsed());
    way.proxy.stall(false);
    let back = Instant::now();
    while behind.ledger.hold(behind.hold(tenant, 1)).await.is_err() {
        assert!(back.elapsed() < BACK, "{:?}", back.elapsed());
    }
    // The charge was sent, and stands or not: whoever wants to know asks.
    let charged = match behind.ledger.end(request, tenant, Ended::Voided).await.unwrap() {
        Ok(()) => 0,
        Err(settlement) => settlement.unwrap().amount.nanos(),
    };
    assert!([0, 7].contains(&charged), "{charged}");
    assert_eq!(books.balance(tenant).await.0, 100 - charged);
    books.prove().await;
}

/// What becomes of the old server when another has taken its place (or of a disk that an operator protects): it takes no writes.
#[tokio::test]
async fn a_server_that_takes_no_writes_refuses_until_it_does() {
    let books = Books::on(Pair::Servers, Clock::System).await;
    let tenant = books.tenant("t", 100).await;
    let mut operator = books.bare_connection();
    let read_only = |operator: &mut Connection, is_read_only: bool| {
        let set = format!(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = {is_read_only}', current_database()); END $$"
        );
        operator.batch_execute(&format!("SET default_transaction_read_only = off; {set}")).unwrap();
    };
    read_only(&mut operator, true);
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    operator.batch_execute(end).unwrap();
    let refused = books.ledger.hold(books.hold(tenant, 10)).await;
    assert!(matches!(refused, Err(LedgerError::Database(DbError::Disconnected(_)))), "{refused:?}");
    assert!(books.ledger.is_failing());
    read_only(&mut operator, false);
    assert_eq!(books.ledger.hold(books.hold(tenant, 10)).await.unwrap(), HoldDecision::Held);
    assert!(!books.ledger.is_failing());
    // One read may find its connection gone; the others are asked before they are used.
    let _ = books.database.read(move |connection| ledger::balance(connection, tenant)).await;
    assert_eq!(books.balance(tenant).await, (100, 10));
    books.prove().await;
}
