//! A commit whose answer is lost: the connection is cut while the server commits. The operation is asked for again, recognised, and
//! answered as if nothing had happened.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use rstest::rstest;
use secrecy::ExposeSecret;
use shared::clock::Clock;
use shared::config::DatabaseUrl;
use shared::id::RequestId;
use shared::ledger::{Ended, HoldDecision, Operation, Outcome, Reversal, TopUpDecision, TopUpReversal};
use testkit::{Pair, Proxy};
use url::Url;

use super::remembered::make_known;
use crate::ledger::books::{Books, capture, top_up};
use crate::place::{self, numbers};

/// A proxy in front of a database, and the way through it.
pub(super) struct Way {
    pub(super) proxy: Proxy,
    pub(super) url: DatabaseUrl,
}

impl Way {
    pub(super) fn to(url: &DatabaseUrl) -> Self {
        let DatabaseUrl::Postgres(url) = url else { panic!("not PostgreSQL") };
        let mut url = Url::parse(url.expose_secret()).unwrap();
        let port = url.port().unwrap();
        let proxy = Proxy::start(SocketAddr::from(([127, 0, 0, 1], port))).unwrap();
        url.set_port(Some(proxy.address().port())).unwrap();
        Self { proxy, url: DatabaseUrl::Postgres(String::from(url).into()) }
    }
}

#[derive(Debug, Clone, Copy)]
enum Asked {
    Hold,
    Capture,
    Void,
    TopUp,
    Reversal,
    TopUpReversal,
}

/// The server is held back inside its commit, the connection is cut, and then the commit is carried out.
#[rstest]
#[case::of_a_hold(Asked::Hold, "holds")]
#[case::of_a_capture(Asked::Capture, "settlements")]
#[case::of_a_void(Asked::Void, "settlements")]
#[case::of_a_payment(Asked::TopUp, "transfers")]
#[case::of_a_reversal(Asked::Reversal, "transfers")]
#[case::of_the_reversal_of_a_payment(Asked::TopUpReversal, "transfers")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer(#[case] asked: Asked, #[case] table: &str, #[values(false, true)] is_remembered: bool) {
    let books = Books::on(Pair::Servers, Clock::System).await;
    let tenant = books.tenant("t", 100).await;
    let way = Way::to(books.database.url());
    let behind = books.another_process(&way.url);
    let request = if is_remembered { behind.held(tenant, 10).await } else { books.held(tenant, 10).await };
    let (operation, balance) = match asked {
        Asked::Hold => (Operation::Hold(books.hold(tenant, 20)), (100, 30)),
        Asked::Capture => (Operation::Capture(Box::new(capture(request, tenant, 7))), (93, 0)),
        Asked::Void => (Operation::End { request_id: request, account: tenant, ended: Ended::Voided }, (100, 0)),
        Asked::TopUp => (Operation::TopUp(top_up(tenant, 5, "second")), (105, 10)),
        Asked::Reversal => {
            books.ledger.capture(capture(request, tenant, 7)).await.unwrap().unwrap();
            (Operation::ReverseCapture { request_id: request, account: tenant }, (100, 0))
        }
        Asked::TopUpReversal => {
            let paid = top_up(tenant, 5, "second");
            books.ledger.top_up(paid.clone()).await.unwrap();
            let (id, reason) = (RequestId::new(), "by mistake".to_owned());
            (Operation::ReverseTopUp { id, account: tenant, transfer: paid.id, reason }, (100, 10))
        }
    };
    if is_remembered {
        make_known(&behind, tenant).await;
    }
    let mut gate = place::bare_connection(books.database.url());
    gate.batch_execute(&format!(
        "CREATE FUNCTION wait_for_the_gate() RETURNS trigger LANGUAGE plpgsql AS \
         'BEGIN PERFORM pg_advisory_xact_lock_shared(42); RETURN NULL; END';
         CREATE CONSTRAINT TRIGGER gate AFTER INSERT ON {table} DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait_for_the_gate();
         SELECT pg_advisory_lock(42)"
    ))
    .unwrap();
    let running = tokio::spawn(async move { behind.ledger.run(operation).await });
    let in_commit =
        "SELECT count(*) AS number FROM pg_locks WHERE locktype = 'advisory' AND objid = 42 AND NOT granted";
    let begun = Instant::now();
    while numbers(&mut gate, in_commit) != [1] {
        assert!(begun.elapsed() < Duration::from_secs(8), "the commit has not come so far");
        tokio::task::yield_now().await;
    }
    way.proxy.cut();
    gate.batch_execute("SELECT pg_advisory_unlock(42)").unwrap();

    let answer = running.await.unwrap().unwrap();
    match (asked, answer) {
        (Asked::Hold, Outcome::Hold(HoldDecision::Held))
        | (Asked::Void, Outcome::Ended)
        | (Asked::TopUp, Outcome::TopUp(TopUpDecision::Posted { .. })) => {}
        (Asked::Capture, Outcome::Captured(captured)) => assert_eq!(captured.paid.nanos(), 7),
        (Asked::Reversal, Outcome::Reversal(Reversal::Already | Reversal::Reversed(_))) => {}
        (Asked::TopUpReversal, Outcome::TopUpReversal(TopUpReversal::Reversed { recovered, .. })) => {
            assert_eq!(recovered.nanos(), 5);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(books.balance(tenant).await, balance);
    books.prove().await;
}

const CLIENTS: usize = 32;
const CUTS: usize = 60;

/// How the connection is lost again and again under load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    /// On the way: the server may commit what nobody hears of.
    Cut,
    /// By the server, in the middle of whatever it does.
    Terminated,
}

/// At any moment, many times: no caller notices, and every unit is accounted for.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn connections_lost_at_any_moment_under_load(#[values(Loss::Cut, Loss::Terminated)] loss: Loss) {
    let books = Books::on(Pair::Servers, Clock::System).await;
    let tenant = books.tenant("t", 1_000_000).await;
    let way = Way::to(books.database.url());
    let behind = Arc::new(books.another_process(&way.url));
    let (over, charged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicI64::new(0)));
    let clients = (0..CLIENTS).map(|number| {
        let (behind, over, charged) = (Arc::clone(&behind), Arc::clone(&over), Arc::clone(&charged));
        tokio::spawn(async move {
            while !over.load(Ordering::Relaxed) {
                let request = behind.held(tenant, 10).await;
                if number % 4 == 0 {
                    behind.ledger.end(request, tenant, Ended::Voided).await.unwrap().unwrap();
                } else {
                    let captured = behind.ledger.capture(capture(request, tenant, 7)).await.unwrap().unwrap();
                    charged.fetch_add(captured.paid.nanos(), Ordering::Relaxed);
                }
            }
        })
    });
    let clients: Vec<_> = clients.collect();
    let mut server = place::bare_connection(books.database.url());
    for cut in 0..CUTS {
        // Each at another moment of a batch: after so many bytes more.
        let moved = way.proxy.bytes();
        let wait = 20_000 + 7_919 * cut as u64 % 30_000;
        while way.proxy.bytes() < moved + wait {
            assert!(!clients.iter().all(tokio::task::JoinHandle::is_finished), "all clients have failed");
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        match loss {
            Loss::Cut => way.proxy.cut(),
            Loss::Terminated => server
                .batch_execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() \
                     AND pid <> pg_backend_pid() AND state <> 'idle'",
                )
                .unwrap(),
        }
    }
    over.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(books.balance(tenant).await, (1_000_000 - charged.load(Ordering::Relaxed), 0));
    books.prove().await;
}
