//! Batches that are decided by what the writer remembers: when they are, and that the database refuses each guess that is wrong.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use rstest::rstest;
use shared::clock::Clock;
use shared::db::{Connection, Database, DbError};
use shared::id::{RequestId, TenantId};
use shared::ledger::{
    self, Captured, Ended, HoldDecision, LedgerError, Operation, Outcome, Settlement, SettlementOutcome, TopUpDecision,
};
use shared::money::Amount;
use testkit::Pair;

use super::lost_answers::Way;
use crate::ledger::books::{Books, capture, in_order, top_up};
use crate::place;

/// So many reads in a row must agree after a guess was wrong.
const DOUBT: usize = 8;

/// Books that count which batches lock and read.
pub(super) struct Counted {
    pub(super) books: Books,
}

impl Counted {
    pub(super) async fn open() -> Self {
        let books = Books::on(Pair::Servers, Clock::System).await;
        // A sequence counts also what is rolled back.
        books
            .bare_connection()
            .batch_execute(
                "CREATE SEQUENCE reads;
                 CREATE OR REPLACE FUNCTION lock_accounts(ids BIGINT[]) RETURNS void LANGUAGE plpgsql AS $$
                 BEGIN
                     PERFORM nextval('reads');
                     PERFORM 1 FROM accounts WHERE id = ANY (ids) AND kind = 'customer' ORDER BY id FOR NO KEY UPDATE;
                 END $$",
            )
            .unwrap();
        Self { books }
    }

    /// A tenant whose account the writer guesses by.
    pub(super) async fn known_tenant(&self, posted: i64) -> TenantId {
        let name = RequestId::new().to_string();
        let tenant = self.books.tenant(&name, posted).await;
        make_known(&self.books, tenant).await;
        tenant
    }

    pub(super) fn reads(&self) -> usize {
        let reads = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS number FROM reads";
        self.books.numbers(reads)[0].try_into().unwrap()
    }
}

/// One read learns the account, the next finds it as it is remembered.
pub(super) async fn make_known(books: &Books, tenant: TenantId) {
    let request = books.held(tenant, 0).await;
    books.ledger.end(request, tenant, Ended::Voided).await.unwrap().unwrap();
}

/// Another process on the same database, which commits at once.
async fn elsewhere(books: &Books, operation: Operation) -> Outcome {
    let other = Database::open(books.database.url()).unwrap();
    let write = other.write(move |connection| ledger::apply_one(connection, operation, Clock::System.now()));
    write.await.unwrap()
}

#[tokio::test]
async fn who_writes_alone_reads_no_more() {
    let counted = Counted::open().await;
    let books = &counted.books;
    let tenants = [counted.known_tenant(1_000_000).await, counted.known_tenant(1_000_000).await];
    let (reads, commits) = (counted.reads(), books.commits());
    for (number, tenant) in tenants.into_iter().cycle().take(20).enumerate() {
        let request = books.held(tenant, 10).await;
        let other = books.held(tenant, 20).await;
        match number % 4 {
            0 => books.ledger.end(request, tenant, Ended::Voided).await.unwrap().unwrap(),
            1 => books.ledger.end(request, tenant, Ended::Expired).await.unwrap().unwrap(),
            // Nothing charged, and as much above the hold.
            2 => assert_eq!(books.ledger.capture(capture(request, tenant, 0)).await.unwrap().unwrap().paid.nanos(), 0),
            _ => {
                assert_eq!(books.ledger.capture(capture(request, tenant, 17)).await.unwrap().unwrap().paid.nanos(), 17)
            }
        }
        books.ledger.capture(capture(other, tenant, 7)).await.unwrap().unwrap();
    }
    assert_eq!((counted.reads() - reads, books.commits() - commits), (0, 80));
    let calls: Vec<_> = (0..256).map(|number| call(books, tenants[number % 2])).collect();
    in_order(calls, || ()).await;
    assert_eq!(counted.reads() - reads, 0);
    let charged = |once: i64| 10 * 7 + once + 128 * 3;
    assert_eq!(books.balance(tenants[0]).await, (1_000_000 - charged(0), 0));
    assert_eq!(books.balance(tenants[1]).await, (1_000_000 - charged(5 * 17), 0));
    books.prove().await;
}

async fn call(books: &Books, tenant: TenantId) {
    let request = books.held(tenant, 5).await;
    books.ledger.capture(capture(request, tenant, 3)).await.unwrap().unwrap();
}

/// A refusal changes nothing, so nothing would prove it.
#[tokio::test]
async fn nobody_is_refused_by_what_is_remembered() {
    let counted = Counted::open().await;
    let books = &counted.books;
    let tenant = counted.known_tenant(100).await;
    let (open, settled) = (books.held(tenant, 10).await, books.held(tenant, 1).await);
    books.ledger.end(settled, tenant, Ended::Voided).await.unwrap().unwrap();
    let mut reads = counted.reads();
    let mut is_read = |counted: &Counted| std::mem::replace(&mut reads, counted.reads()) < reads;

    let refused = books.ledger.hold(books.hold(tenant, 91)).await.unwrap();
    assert!(matches!(refused, HoldDecision::Insufficient { available, .. } if available.nanos() == 90));
    assert!(is_read(&counted));
    assert!(books.ledger.end(RequestId::new(), tenant, Ended::Voided).await.unwrap().unwrap_err().is_none());
    assert!(is_read(&counted));
    assert!(books.ledger.capture(capture(settled, tenant, 1)).await.unwrap().unwrap_err().is_some());
    assert!(is_read(&counted));
    let again = ledger::Hold { request_id: open, ..books.hold(tenant, 10) };
    assert_eq!(books.ledger.hold(again).await.unwrap(), HoldDecision::Replayed);
    assert!(is_read(&counted));
    // It is guessed by all the time.
    make_known(books, tenant).await;
    assert!(!is_read(&counted));
    elsewhere(books, Operation::TopUp(top_up(tenant, 50, "from elsewhere"))).await;
    assert!(is_read(&counted));
    assert_eq!(books.ledger.hold(books.hold(tenant, 91)).await.unwrap(), HoldDecision::Held);
    assert!(is_read(&counted));
    assert_eq!(books.balance(tenant).await, (150, 101));
    books.prove().await;
}

/// What another process does with an account that has 100, of which 10 are held.
#[derive(Debug, Clone, Copy)]
enum Meanwhile {
    Pays50,
    Holds85,
    Charges7,
    Voids,
    Expires,
}
use Meanwhile::{Charges7, Expires, Holds85, Pays50, Voids};

/// What is asked of the writer that remembers otherwise.
#[derive(Debug, Clone, Copy)]
enum Asked {
    Hold(i64),
    Capture(i64),
    Void,
    Expire,
}
use Asked::{Capture, Expire, Hold, Void};

/// When the other process commits.
#[derive(Debug, Clone, Copy)]
enum Moment {
    BeforeItIsAsked,
    WhileTheStatementWaits,
}

const HELD: Outcome = Outcome::Hold(HoldDecision::Held);

const fn refused(needed: i64, available: i64) -> Outcome {
    let (needed, available) = (Amount::from_nanos(needed), Amount::from_nanos(available));
    Outcome::Hold(HoldDecision::Insufficient { needed, available })
}

const fn captured(paid: i64, written_off: i64) -> Outcome {
    Outcome::Captured(Captured { paid: Amount::from_nanos(paid), written_off: Amount::from_nanos(written_off) })
}

const fn settled(outcome: SettlementOutcome, amount: i64) -> Outcome {
    Outcome::AlreadySettled(Settlement { outcome, amount: Amount::from_nanos(amount) })
}

const CHARGED: Outcome = settled(SettlementOutcome::Captured, 7);
const VOIDED: Outcome = settled(SettlementOutcome::Voided, 0);
const EXPIRED: Outcome = settled(SettlementOutcome::Expired, 0);

#[rstest]
#[case(Pays50, Hold(90), HELD, (150, 100))]
#[case(Pays50, Capture(100), captured(100, 0), (50, 0))]
#[case(Pays50, Capture(160), captured(150, 10), (0, 0))]
#[case(Pays50, Void, Outcome::Ended, (150, 0))]
#[case(Holds85, Hold(90), refused(90, 5), (100, 95))]
#[case(Holds85, Hold(5), HELD, (100, 100))]
#[case(Holds85, Capture(100), captured(15, 85), (85, 85))]
#[case(Holds85, Expire, Outcome::Ended, (100, 85))]
#[case(Charges7, Hold(90), HELD, (93, 90))]
#[case(Charges7, Hold(88), HELD, (93, 88))]
#[case(Charges7, Capture(5), CHARGED, (93, 0))]
#[case(Charges7, Void, CHARGED, (93, 0))]
#[case(Voids, Hold(90), HELD, (100, 90))]
#[case(Voids, Capture(5), VOIDED, (100, 0))]
#[case(Voids, Void, VOIDED, (100, 0))]
#[case(Expires, Capture(5), EXPIRED, (100, 0))]
#[case(Expires, Expire, EXPIRED, (100, 0))]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_guess_is_noticed(
    #[case] meanwhile: Meanwhile,
    #[case] asked: Asked,
    #[case] expected: Outcome,
    #[case] balance: (i64, i64),
    #[values(Moment::BeforeItIsAsked, Moment::WhileTheStatementWaits)] moment: Moment,
) {
    let counted = Counted::open().await;
    let books = &counted.books;
    let tenant = counted.known_tenant(100).await;
    let request = books.held(tenant, 10).await;
    let end = |ended| Operation::End { request_id: request, account: tenant, ended };
    let other = match meanwhile {
        Pays50 => Operation::TopUp(top_up(tenant, 50, "from elsewhere")),
        Holds85 => Operation::Hold(books.hold(tenant, 85)),
        Charges7 => Operation::Capture(Box::new(capture(request, tenant, 7))),
        Voids => end(Ended::Voided),
        Expires => end(Ended::Expired),
    };
    let asked = match asked {
        Hold(nanos) => Operation::Hold(books.hold(tenant, nanos)),
        Capture(nanos) => Operation::Capture(Box::new(capture(request, tenant, nanos))),
        Void => end(Ended::Voided),
        Expire => end(Ended::Expired),
    };
    let answer = match moment {
        Moment::BeforeItIsAsked => {
            elsewhere(books, other).await;
            let reads = counted.reads();
            let answer = books.ledger.run(asked).await.unwrap();
            assert_eq!(counted.reads() - reads, 1);
            answer
        }
        Moment::WhileTheStatementWaits => {
            let mut connection = books.bare_connection();
            connection.batch_execute("BEGIN").unwrap();
            ledger::apply_one(&mut connection, other, Clock::System.now()).unwrap();
            while_it_waits(&counted, connection, asked).await.unwrap()
        }
    };
    assert_eq!(answer, expected);
    assert_eq!(books.balance(tenant).await, balance);
    books.prove().await;
}

/// Asks while `other` keeps the account, commits `other` once the guess waits for it, and gives the answer.
async fn while_it_waits(counted: &Counted, mut other: Connection, asked: Operation) -> Result<Outcome, LedgerError> {
    let reads = counted.reads();
    let ledger = counted.books.ledger.clone();
    let running = tokio::spawn(async move { ledger.run(asked).await });
    let waiting =
        "SELECT count(*) AS number FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))";
    let begun = Instant::now();
    while place::numbers(&mut other, waiting) != [1] {
        assert!(begun.elapsed() < Duration::from_secs(8), "the writer does not wait");
        tokio::task::yield_now().await;
    }
    assert_eq!(counted.reads(), reads, "it waits to read, and does not guess");
    other.batch_execute("COMMIT").unwrap();
    let answer = running.await.unwrap();
    assert_eq!(counted.reads() - reads, 1);
    answer
}

/// The comparison itself: each of the three numbers, changed by hand behind every rule's back.
#[rstest]
#[case::held("held = held + 1", "held = held - 1")]
#[case::posted("posted = posted + 1", "posted = posted - 1")]
#[case::seq("seq = seq + 1", "seq = seq - 1")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_statement_compares(
    #[case] change: &str,
    #[case] back: &str,
    #[values(Moment::BeforeItIsAsked, Moment::WhileTheStatementWaits)] moment: Moment,
) {
    let counted = Counted::open().await;
    let books = &counted.books;
    let tenant = counted.known_tenant(100).await;
    let mut other = books.bare_connection();
    // Without the rule that would refuse such a change, and the guess with it.
    let set = |change: &str| format!("UPDATE accounts SET {change} WHERE id = {tenant}");
    other.batch_execute("DROP TRIGGER accounts_posted_is_newest_line ON accounts").unwrap();
    let hold = Operation::Hold(books.hold(tenant, 90));
    let reads = counted.reads();
    let answer = match moment {
        Moment::BeforeItIsAsked => {
            other.batch_execute(&set(change)).unwrap();
            books.ledger.run(hold).await
        }
        Moment::WhileTheStatementWaits => {
            other.batch_execute(&format!("BEGIN; {}", set(change))).unwrap();
            while_it_waits(&counted, other, hold).await
        }
    };
    assert_eq!(answer.unwrap(), HELD);
    assert_eq!(counted.reads() - reads, 1);
    books.bare_connection().batch_execute(&set(back)).unwrap();
    assert_eq!(books.balance(tenant).await, (100, 90));
    books.prove().await;
}

/// An account that others write too costs no try in vain each time; one that is written alone again is guessed by again.
#[tokio::test]
async fn after_a_wrong_guess_it_reads_for_a_while() {
    let counted = Counted::open().await;
    let books = &counted.books;
    let tenant = counted.known_tenant(1_000).await;
    for round in 0..3 {
        elsewhere(books, Operation::TopUp(top_up(tenant, 1, &format!("{round}")))).await;
        let reads = counted.reads();
        // The first finds that it was wrong, and is read.
        for _ in 0..=DOUBT {
            books.held(tenant, 1).await;
        }
        assert_eq!(counted.reads() - reads, DOUBT + 1);
        books.held(tenant, 1).await;
        assert_eq!(counted.reads() - reads, DOUBT + 1);
    }
    // A payment through the writer itself leaves nothing to doubt.
    let paid = books.ledger.top_up(top_up(tenant, 1, "through the writer")).await.unwrap();
    assert!(matches!(paid, TopUpDecision::Posted { .. }));
    let reads = counted.reads();
    books.held(tenant, 1).await;
    assert_eq!(counted.reads(), reads);
    books.prove().await;
}

/// What fails only at the commit fails for whoever asked, and for nobody else.
#[tokio::test]
async fn an_error_of_the_commit_is_no_success() {
    let counted = Counted::open().await;
    let books = &counted.books;
    let tenant = counted.known_tenant(100).await;
    books
        .bare_connection()
        .batch_execute(
            "CREATE FUNCTION in_the_way() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'in the way'; END $$;
             CREATE CONSTRAINT TRIGGER in_the_way AFTER INSERT ON holds DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
             WHEN (NEW.amount = 3) EXECUTE FUNCTION in_the_way()",
        )
        .unwrap();
    let reads = counted.reads();
    let refused = books.ledger.hold(books.hold(tenant, 3)).await;
    let Err(LedgerError::Database(DbError::Query(error))) = refused else { panic!("{refused:?}") };
    assert_eq!(error.to_string(), "in the way");
    // As a batch, and by itself.
    assert_eq!(counted.reads() - reads, 2);
    assert_eq!(books.ledger.hold(books.hold(tenant, 4)).await.unwrap(), HoldDecision::Held);
    assert_eq!(books.balance(tenant).await, (100, 4));
    books.prove().await;
}

/// Whatever was remembered before a connection was lost is read again.
#[tokio::test]
async fn a_new_connection_remembers_nothing() {
    let counted = Counted::open().await;
    let books = &counted.books;
    let tenant = counted.known_tenant(100).await;
    let request = books.held(tenant, 10).await;
    for (charged, operation) in
        [(0, Operation::Hold(books.hold(tenant, 90))), (7, Operation::Capture(Box::new(capture(request, tenant, 7))))]
    {
        let reads = counted.reads();
        let mut server = books.bare_connection();
        server
            .batch_execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() \
                 AND application_name LIKE 'xiaoyi ledger %'",
            )
            .unwrap();
        let answer = books.ledger.run(operation).await.unwrap();
        assert!(matches!(answer, HELD | Outcome::Captured(_)), "{answer:?}");
        assert_eq!(counted.reads() - reads, 1);
        assert_eq!(books.balance(tenant).await.0, 100 - charged);
    }
    books.prove().await;
}

/// A statement that the server has received and not yet looked at when its connection is lost: who is told afterwards that there is no
/// such hold can rely on it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lies_unread_on_a_lost_connection_is_never_carried_out() {
    let counted = Counted::open().await;
    let books = &counted.books;
    let tenant = books.tenant("t", 100).await;
    let way = Way::to(books.database.url());
    let behind = books.another_process(&way.url);
    make_known(&behind, tenant).await;
    make_known(&behind, tenant).await;
    let session = "SELECT pid::bigint AS number FROM pg_stat_activity WHERE datname = current_database() \
        AND application_name LIKE 'xiaoyi ledger %' ORDER BY backend_start DESC LIMIT 1";
    let backend = books.numbers(session)[0];
    let signal = |name: &str| {
        let sent = std::process::Command::new("kill").args([name, &backend.to_string()]).status().unwrap();
        assert!(sent.success());
    };
    let (reads, bytes) = (counted.reads(), way.proxy.bytes());
    signal("-STOP");
    let hold = behind.hold(tenant, 20);
    let request_id = hold.request_id;
    // Who asks goes away, so that nobody asks again.
    let asking = tokio::time::timeout(Duration::from_millis(300), behind.ledger.hold(hold)).await;
    assert!(asking.is_err());
    assert!(way.proxy.bytes() > bytes);
    way.proxy.cut();
    let ended = behind.ledger.end(request_id, tenant, Ended::Voided).await.unwrap();
    assert!(matches!(ended, Err(None)), "{ended:?}");
    assert_eq!(counted.reads() - reads, 1);
    signal("-CONT");
    let alive = format!("SELECT count(*) AS number FROM pg_stat_activity WHERE pid = {backend}");
    let begun = Instant::now();
    while books.numbers(&alive) != [0] {
        assert!(begun.elapsed() < Duration::from_secs(8), "the old session does not end");
    }
    assert_eq!(books.balance(tenant).await, (100, 0));
    books.prove().await;
}
