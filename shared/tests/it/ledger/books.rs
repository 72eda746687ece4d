//! A ledger on a temporary database, what the tests ask of it, and its proof.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use shared::catalogue::price_list::{self, NewPrice};
use shared::clock::{Clock, Timestamp};
use shared::config::DatabaseUrl;
use shared::db::{Connection, Database, DbError};
use shared::id::{ProcessId, RequestId, TenantId};
use shared::ledger::{
    self, Capture, Charge, Ended, Hold, HoldDecision, Ledger, LedgerError, Operation, Outcome, TopUp, TopUpDecision,
    TopUpSource, WriterSettings,
};
use shared::money::Amount;
use shared::price::{Basis, PriceVersion};
use shared::queue::Endpoint;
use shared::tenant;
use shared::tokens::Tally;
use testkit::Pair;

use crate::place::{self, Place};

/// The key of every sample charge.
pub(crate) const KEY: &str = "0123456789AB";
/// 1e-9 of the currency a token, so that a sample charge of N tokens costs N nanos.
const NANO_A_TOKEN: Amount = Amount::from_nanos(1_000_000);
/// An account that is not there.
pub(crate) const NOBODY: TenantId = TenantId(0);
/// How long a sample hold may stay open, in milliseconds.
const HOLD_MS: i64 = 600_000;

/// A database of one's own with a running ledger and one price.
pub(crate) struct Books {
    pub(crate) database: Database,
    pub(crate) ledger: Ledger,
    pub(crate) clock: Clock,
    pub(crate) owner: ProcessId,
    _place: Place,
}

impl Books {
    /// By the machine's clock.
    pub(crate) async fn new() -> Self {
        Self::with(Clock::System, WriterSettings::default()).await
    }

    /// By a clock that stands at `moment`.
    pub(crate) async fn at(moment: Timestamp) -> Self {
        Self::with(Clock::manual(moment), WriterSettings::default()).await
    }

    pub(crate) async fn with(clock: Clock, settings: WriterSettings) -> Self {
        Self::in_place(Place::new(Pair::of_this_run()), clock, settings).await
    }

    /// On this engine, whatever the run is for.
    pub(crate) async fn on(pair: Pair, clock: Clock) -> Self {
        Self::in_place(Place::new(pair), clock, WriterSettings::default()).await
    }

    pub(crate) async fn in_place(place: Place, clock: Clock, settings: WriterSettings) -> Self {
        if let (Clock::Manual(_), DatabaseUrl::Postgres(_)) = (&clock, &place.url) {
            place::bare_connection(&place.url).batch_execute(&set_clock_of_database(clock.now())).unwrap();
        }
        let (database, _) = Database::open_or_create(&place.url).unwrap();
        let ledger = Ledger::start(&database, clock.clone(), settings).unwrap();
        let books = Self { database, ledger, clock, owner: ProcessId::new(), _place: place };
        books.price(NANO_A_TOKEN, NANO_A_TOKEN, Amount::ZERO, Basis::Estimate).await;
        books
    }

    /// Another process on the same database, by this way to it.
    pub(crate) fn another_process(&self, url: &DatabaseUrl) -> Self {
        let database = Database::open(url).unwrap();
        let ledger = Ledger::start(&database, self.clock.clone(), WriterSettings::default()).unwrap();
        let place = Place::existing(url.clone());
        Self { database, ledger, clock: self.clock.clone(), owner: ProcessId::new(), _place: place }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.database.file().unwrap().to_path_buf()
    }

    pub(crate) fn is_sqlite(&self) -> bool {
        self.database.file().is_some()
    }

    /// Moves a clock that was set, also the database's own.
    pub(crate) fn advance(&self, milliseconds: i64) {
        self.clock.advance(milliseconds);
        if !self.is_sqlite() {
            self.bare_connection().batch_execute(&set_clock_of_database(self.clock.now())).unwrap();
        }
    }

    /// A bare connection, as anybody who may reach the database could open one.
    pub(crate) fn bare_connection(&self) -> Connection {
        place::bare_connection(self.database.url())
    }

    /// A tenant who has paid `posted` nanos (nothing is booked for 0).
    pub(crate) async fn tenant(&self, name: &str, posted: i64) -> TenantId {
        let (name, now) = (name.to_owned(), self.clock.now());
        let made = self.database.write(move |connection| tenant::create(connection, &name, now)).await.unwrap();
        if posted > 0 {
            let decision = self.ledger.top_up(top_up(made.id, posted, "the first payment")).await.unwrap();
            assert!(matches!(decision, TopUpDecision::Posted { replayed: false, .. }), "{decision:?}");
        }
        made.id
    }

    /// Sets a price per million tokens and per image; the first one, of a nano a token, is version 1.
    pub(crate) async fn price(&self, prompt: Amount, completion: Amount, image: Amount, basis: Basis) -> PriceVersion {
        let now = self.clock.now();
        let new =
            NewPrice { model: Some("gpt-4".to_owned()), prompt, completion, image, images: Default::default(), basis };
        self.database
            .write(move |connection| price_list::set(connection, new, now))
            .await
            .map_err(|error: DbError| error)
            .unwrap()
            .version
    }

    /// A hold by this process, with the first price.
    pub(crate) fn hold(&self, account: TenantId, nanos: i64) -> Hold {
        Hold {
            request_id: RequestId::new(),
            account,
            amount: Amount::from_nanos(nanos),
            owner: self.owner,
            expires_at: self.clock.now().plus_ms(HOLD_MS),
            price_version: PriceVersion(1),
            idempotency: None,
        }
    }

    /// Makes such a hold and gives its request.
    pub(crate) async fn held(&self, account: TenantId, nanos: i64) -> RequestId {
        let hold = self.hold(account, nanos);
        let request_id = hold.request_id;
        assert_eq!(self.ledger.hold(hold).await.unwrap(), HoldDecision::Held);
        request_id
    }

    /// Posted and held, in nanos.
    pub(crate) async fn balance(&self, tenant: TenantId) -> (i64, i64) {
        let balance = self.database.read(move |connection| ledger::balance(connection, tenant)).await.unwrap().unwrap();
        (balance.posted.nanos(), balance.held.nanos())
    }

    /// Sends the operations in this order while the writer is kept busy, so that up to a batch's bound they share one commit.
    pub(crate) async fn together(&self, operations: Vec<Operation>) -> Vec<Result<Outcome, LedgerError>> {
        let gate = self.close_gate().await;
        let sending = operations.into_iter().map(|operation| self.ledger.run(operation));
        in_order(sending.collect(), move || gate.open()).await
    }

    /// Keeps the writer busy until the gate is opened.
    pub(crate) async fn close_gate(&self) -> Gate {
        if !self.is_sqlite() {
            return self.lock_accounts().await;
        }
        let (open, opened) = std::sync::mpsc::channel();
        let (reach, reached) = tokio::sync::oneshot::channel();
        let database = self.database.clone();
        tokio::spawn(async move {
            let kept_busy = move |_: &mut Connection| {
                let _ = reach.send(());
                // An error: the gate was dropped, which opens it too.
                let _ = opened.recv();
                Ok::<_, DbError>(())
            };
            database.write(kept_busy).await
        });
        reached.await.unwrap();
        Gate::Task(open)
    }

    /// On PostgreSQL only operations go through the writer. One that does nothing, on an account that is not there, waits for a lock on
    /// `accounts`, and the others behind it.
    async fn lock_accounts(&self) -> Gate {
        let mut connection = self.bare_connection();
        connection.batch_execute("BEGIN; LOCK TABLE accounts IN EXCLUSIVE MODE").unwrap();
        let first = self.ledger.clone();
        tokio::spawn(async move { first.end(RequestId::new(), NOBODY, Ended::Voided).await });
        let waiting = "SELECT count(*) AS number FROM pg_locks WHERE relation = 'accounts'::regclass AND NOT granted";
        let asked = Instant::now();
        while place::numbers(&mut connection, waiting) != [1] {
            assert!(asked.elapsed() < Duration::from_secs(8), "the writer does not wait");
            tokio::task::yield_now().await;
        }
        Gate::Lock(connection)
    }

    /// The audit finds nothing, and customers and house sum to zero by this test's own arithmetic.
    pub(crate) async fn prove(&self) {
        let report = ledger::audit(&self.database, &self.clock).await.unwrap();
        assert!(report.ok, "{:?}", report.violations);
        let customers: i128 = self.numbers("SELECT posted AS number FROM accounts").iter().sum();
        let into_house: i128 = self.numbers("SELECT amount AS number FROM transfers WHERE credit <= 1000").iter().sum();
        let out_of_house: i128 =
            self.numbers("SELECT amount AS number FROM transfers WHERE debit <= 1000").iter().sum();
        assert_eq!(customers + into_house - out_of_house, 0);
        let lines: i128 = self.numbers("SELECT delta AS number FROM lines").iter().sum();
        assert_eq!(lines, customers);
    }

    /// How many commits have written something: on SQLite frames of the write-ahead log that close a transaction, which give the size of
    /// the database after it; on PostgreSQL the transactions that made the ledger's rows.
    pub(crate) fn commits(&self) -> usize {
        if !self.is_sqlite() {
            let made =
                ["holds", "settlements", "transfers"].map(|table| format!("SELECT xmin::text AS made FROM {table}"));
            let query = format!("SELECT count(*) AS number FROM ({}) rows", made.join(" UNION "));
            return usize::try_from(self.numbers(&query)[0]).unwrap();
        }
        let log = std::fs::read(format!("{}-wal", self.path().display())).unwrap();
        let number = |at: usize| u32::from_be_bytes(log[at..at + 4].try_into().unwrap());
        let (page, salts) = (number(8) as usize, &log[16..24]);
        let frames = (32..log.len()).step_by(24 + page);
        frames.filter(|at| &log[at + 8..at + 16] == salts && number(at + 4) != 0).count()
    }

    /// The column `number` of a query's rows.
    pub(crate) fn numbers(&self, query: &str) -> Vec<i128> {
        place::numbers(&mut self.bare_connection(), query)
    }

    /// The column `word` of a query's rows.
    pub(crate) fn words(&self, query: &str) -> Vec<String> {
        place::words(&mut self.bare_connection(), query)
    }

    /// Sixteen bytes as this engine's SQL writes them.
    pub(crate) fn blob(&self, hexadecimal: &str) -> String {
        place::blob(self.database.url(), hexadecimal)
    }
}

/// Processes on PostgreSQL agree about time by the database's clock. For connections that are made later, this function goes before it.
fn set_clock_of_database(now: Timestamp) -> String {
    format!(
        "CREATE OR REPLACE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS 'SELECT to_timestamp({}.{:03})'; \
         DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = public, pg_catalog', current_database()); END $$",
        now.0 / 1000,
        now.0 % 1000
    )
}

/// The writer waits behind it.
pub(crate) enum Gate {
    Task(std::sync::mpsc::Sender<()>),
    Lock(Connection),
}

impl Gate {
    pub(crate) fn open(self) {
        match self {
            Self::Task(open) => open.send(()).unwrap(),
            Self::Lock(mut connection) => connection.batch_execute("COMMIT").unwrap(),
        }
    }
}

/// Polls all futures at the same time, for the first time in the order given; `all_begun` is called after that.
pub(crate) async fn in_order<F: Future>(futures: Vec<F>, all_begun: impl FnOnce()) -> Vec<F::Output> {
    let mut running: Vec<Pin<Box<F>>> = futures.into_iter().map(Box::pin).collect();
    let mut answers: Vec<Option<F::Output>> = running.iter().map(|_| None).collect();
    let mut all_begun = Some(all_begun);
    let all = std::future::poll_fn(|context| {
        for (future, answer) in running.iter_mut().zip(&mut answers) {
            if answer.is_none()
                && let Poll::Ready(value) = future.as_mut().poll(context)
            {
                *answer = Some(value);
            }
        }
        if let Some(all_begun) = all_begun.take() {
            all_begun();
        }
        if answers.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    });
    // tokio lets a task do 128 things at a time; more are sent here.
    tokio::task::unconstrained(all).await;
    answers.into_iter().flatten().collect()
}

/// A payment.
pub(crate) fn top_up(account: TenantId, nanos: i64, reference: &str) -> TopUp {
    TopUp {
        id: RequestId::new(),
        account,
        amount: Amount::from_nanos(nanos),
        source: TopUpSource::Cash,
        reference: reference.to_owned(),
        note: None,
    }
}

/// A capture that costs `nanos`, by the first price.
pub(crate) fn capture(request_id: RequestId, account: TenantId, nanos: i64) -> Capture {
    Capture { request_id, account, charge: charge(nanos), answer: None }
}

/// A charge of `nanos` for as many prompt tokens, by the first price; it adds up.
pub(crate) fn charge(nanos: i64) -> Charge {
    Charge {
        key: KEY.parse().unwrap(),
        endpoint: Endpoint::Chat,
        model: "gpt-4".to_owned(),
        end_user: None,
        price_version: PriceVersion(1),
        basis: Basis::Estimate,
        prompt: Tally { texts: 1, hanzi: nanos, words: 0, tokens: nanos },
        completion: Tally::default(),
        upstream: None,
        images: 0,
        image_size: None,
        prompt_price: NANO_A_TOKEN,
        completion_price: NANO_A_TOKEN,
        image_price: Amount::ZERO,
        prompt_cost: Amount::from_nanos(nanos),
        completion_cost: Amount::ZERO,
        image_cost: Amount::ZERO,
        finished_early: false,
    }
}

/// A request id as it is made at `moment`; `number` tells those of one moment apart.
pub(crate) fn request_at(moment: Timestamp, number: u64) -> RequestId {
    let mut bytes = *RequestId::floor(moment).as_bytes();
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    // As in every id of this kind: version 7, and the variant.
    bytes[6] |= 0x70;
    bytes[8] |= 0x80;
    RequestId::from_slice(&bytes).unwrap()
}
