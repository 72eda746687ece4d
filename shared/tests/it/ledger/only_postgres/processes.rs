//! Several processes on one database: each with a writer of its own, and all on the same accounts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use shared::clock::Clock;
use shared::db::Database;
use shared::id::TenantId;
use shared::ledger::{self, HoldDecision, LedgerError, Operation, Outcome, SettlementOutcome, TopUpDecision};
use shared::tenant;
use testkit::Pair;

use crate::ledger::books::{Books, capture, in_order, top_up};
use crate::place::Place;

const PROCESSES: usize = 3;
const TASKS: usize = 48;
const ROUNDS: usize = 25;
const ACCOUNTS: usize = 5;
const PAID: i64 = 1_000_000;

/// Every hold and every capture is sent by two processes, while commands pay in and make tenants. One of the two is carried out, hardly a
/// transaction has to be rolled back, and no two writers ever wait for each other in a circle.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_two_processes_send_is_carried_out_once() {
    let first = Books::on(Pair::Servers, Clock::System).await;
    let url = first.database.url().clone();
    let mut accounts = Vec::new();
    for number in 0..ACCOUNTS {
        accounts.push(first.tenant(&format!("tenant {number}"), PAID).await);
    }
    let name = first.words("SELECT current_database()::text AS word").remove(0);
    let processes: Vec<Arc<Books>> = (0..PROCESSES).map(|_| Arc::new(first.another_process(&url))).collect();
    let calls = (0..TASKS).map(|task| {
        let (one, other) = (Arc::clone(&processes[task % PROCESSES]), Arc::clone(&processes[(task + 1) % PROCESSES]));
        let account = accounts[task % ACCOUNTS];
        tokio::spawn(async move {
            for round in 0..ROUNDS {
                twice(&one, &other, account, round).await;
            }
        })
    });
    let calls: Vec<_> = calls.collect();
    let commands = (0..2).map(|number| {
        let (books, accounts) = (Arc::clone(&processes[number]), accounts.clone());
        tokio::spawn(async move {
            for round in 0..ROUNDS {
                pay_and_make_a_tenant(&books, accounts[round % ACCOUNTS], number, round).await;
            }
        })
    });
    for task in calls.into_iter().chain(commands.collect::<Vec<_>>()) {
        task.await.unwrap();
    }
    // Of each task's rounds every third was given back.
    let charged = |account: usize| {
        let tasks = (0..TASKS).filter(|task| task % ACCOUNTS == account).count();
        let kept = (0..ROUNDS).filter(|round| round % 3 != 0).count();
        i64::try_from(7 * tasks * kept).unwrap()
    };
    for (number, account) in accounts.iter().enumerate() {
        let paid_in = i64::try_from(2 * (0..ROUNDS).filter(|round| round % ACCOUNTS == number).count()).unwrap();
        assert_eq!(first.balance(*account).await, (PAID + paid_in - charged(number), 0));
    }
    first.prove().await;
    drop((first, processes));
    let found = transactions(&name);
    assert_eq!(found.deadlocks, 0);
    // A guess that was wrong; accounts that several write are soon no more guessed by.
    assert!(found.rolled_back * 20 <= found.committed, "{found:?}");
}

async fn twice(one: &Books, other: &Books, account: TenantId, round: usize) {
    let hold = one.hold(account, 10);
    let request = hold.request_id;
    let mut held = in_order(vec![one.ledger.hold(hold.clone()), other.ledger.hold(hold)], || ()).await;
    held.sort_by_key(|answer| format!("{answer:?}"));
    assert!(matches!(held.as_slice(), [Ok(HoldDecision::Held), Ok(HoldDecision::Replayed)]), "{held:?}");

    let both =
        vec![one.ledger.capture(capture(request, account, 7)), other.ledger.capture(capture(request, account, 7))];
    let answers = in_order(both, || ()).await;
    let charged = answers.iter().filter(|answer| matches!(answer, Ok(Ok(_)))).count();
    let told = answers.iter().filter(|answer| {
        matches!(answer, Ok(Err(Some(settlement))) if settlement.outcome == SettlementOutcome::Captured && settlement.amount.nanos() == 7)
    });
    assert_eq!((charged, told.count()), (1, 1), "{answers:?}");
    if round.is_multiple_of(3) {
        let both = vec![one.ledger.reverse_capture(request, account), other.ledger.reverse_capture(request, account)];
        let mut reversed = in_order(both, || ()).await;
        reversed.sort_by_key(|answer| format!("{answer:?}"));
        let [Ok(ledger::Reversal::Already), Ok(ledger::Reversal::Reversed(_))] = reversed.as_slice() else {
            panic!("{reversed:?}")
        };
    }
}

/// As commands do: in a transaction of their own, one at a time.
async fn pay_and_make_a_tenant(books: &Books, account: TenantId, number: usize, round: usize) {
    let paid = Operation::TopUp(top_up(account, 1, &format!("{number} {round}")));
    let write = books.database.write(move |connection| ledger::apply_one(connection, paid, Clock::System.now()));
    let answer: Result<Outcome, LedgerError> = write.await;
    assert!(matches!(answer, Ok(Outcome::TopUp(TopUpDecision::Posted { replayed: false, .. }))), "{answer:?}");
    let name = format!("tenant of {number} in {round}");
    let made = books.database.write(move |connection| tenant::create(connection, &name, Clock::System.now())).await;
    books.ledger.top_up(top_up(made.unwrap().id, 5, "first")).await.unwrap();
}

/// What became of a database's transactions.
#[derive(Debug)]
pub(super) struct Transactions {
    pub(super) committed: u64,
    pub(super) rolled_back: u64,
    pub(super) deadlocks: u64,
}

/// By the server's own count, to which a session adds when it ends: once all have ended.
pub(super) fn transactions(database: &str) -> Transactions {
    let server = testkit::shared_postgres();
    let sessions = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}'");
    let asked = Instant::now();
    while server.query("postgres", &sessions).unwrap() != "0" {
        assert!(asked.elapsed() < Duration::from_secs(30), "sessions do not end");
    }
    let counts =
        format!("SELECT xact_commit, xact_rollback, deadlocks FROM pg_stat_database WHERE datname = '{database}'");
    let counts = server.query("postgres", &counts).unwrap();
    let counts: Vec<u64> = counts.split('|').map(|count| count.parse().unwrap()).collect();
    Transactions { committed: counts[0], rolled_back: counts[1], deadlocks: counts[2] }
}

/// A process that is stopped in the middle of a transaction (SIGSTOP, a machine that freezes) keeps the others out for 3 s, not for ever.
#[tokio::test]
async fn a_process_that_stops_in_a_transaction_loses_its_locks() {
    use diesel::connection::SimpleConnection;
    let books = Books::on(Pair::Servers, Clock::System).await;
    let tenant = books.tenant("t", 100).await;
    let mut stopped = books.database.own_connection().unwrap();
    let lock = format!("BEGIN; SELECT FROM accounts WHERE id = {tenant} FOR NO KEY UPDATE");
    stopped.batch_execute(&lock).unwrap();
    let asked = Instant::now();
    assert_eq!(books.ledger.hold(books.hold(tenant, 10)).await.unwrap(), HoldDecision::Held);
    assert!((Duration::from_secs(1)..Duration::from_secs(8)).contains(&asked.elapsed()), "{:?}", asked.elapsed());
    stopped.batch_execute("COMMIT").unwrap_err();
    books.prove().await;
}

#[test]
fn two_that_migrate_at_the_same_time_do_it_once() {
    let place = Place::new(Pair::Servers);
    let run: usize = std::thread::scope(|scope| {
        let migrating: Vec<_> =
            (0..4).map(|_| scope.spawn(|| Database::open_or_create(&place.url).unwrap().1)).collect();
        migrating.into_iter().map(|migrating| migrating.join().unwrap()).sum()
    });
    let known = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations/postgres")).unwrap();
    assert_eq!(run, known.flatten().filter(|entry| entry.path().is_dir()).count());
    Database::open(&place.url).unwrap();
}
