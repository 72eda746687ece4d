//! PostgreSQL dies under load and comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use shared::clock::Clock;
use shared::id::RequestId;
use shared::ledger::{Ended, HoldDecision, WriterSettings};
use testkit::Postgres;

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
                    Some(HoldDecision::Held) => in_time(books.ledger.capture(capture(request, 7))).await.ok(),
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
        let end = books.ledger.end(*request, Ended::Voided).await.unwrap();
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
