//! Pairs of hold and capture a second on SQLite and on PostgreSQL (a server of its own, with its usual settings and all durability),
//! with every constraint and a charge for each capture: many callers sharing commits (the ledger's writer) against one transaction for
//! each operation. Prints a Markdown table; `cargo bench -p shared --bench ledger [-- sqlite | postgres]`.
//!
//! Fails when a figure is below what the project promises. `--short` (and any run that is not `cargo bench`) only shows that it works.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "its output is what it is for")]
#![expect(clippy::unwrap_used, reason = "a measurement that goes wrong should stop at once")]

use std::process::ExitCode;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use diesel::Connection as _;
use shared::clock::{Clock, Timestamp};
use shared::config::DatabaseUrl;
use shared::db::{Connection, Database, write_alone};
use shared::id::{ProcessId, RequestId, TenantId, TransferId};
use shared::ledger::{
    Capture, Captured, Charge, Hold, HoldDecision, Ledger, LedgerError, Operation, Outcome, TopUp, TopUpSource,
    WriterSettings, apply_one, audit, open_account,
};
use shared::money::Amount;
use shared::price::{Basis, PriceVersion, cost_of_tokens};
use shared::queue::Endpoint;
use shared::tokens::Tally;
use tokio::sync::{mpsc, oneshot};

/// Among how many accounts the calls are spread, unless all are of one.
const ACCOUNTS: i64 = 1_000;
/// Connections of the runs without the writer, each with a thread of its own.
const SINGLE_CONNECTIONS: usize = 8;
const PROMPT_PRICE: Amount = Amount::from_nanos(10_000_000_000);
const COMPLETION_PRICE: Amount = Amount::from_nanos(30_000_000_000);

/// What the project promises of an engine, in pairs a second on two cores.
struct Promise {
    engine: Engine,
    at_32: u64,
    at_256: u64,
    one_account: u64,
    /// How many times what single transactions give at 256 clients.
    gain: u64,
}

const PROMISES: [Promise; 2] = [
    Promise { engine: Engine::Sqlite, at_32: 10_000, at_256: 12_000, one_account: 12_000, gain: 6 },
    Promise { engine: Engine::Postgres, at_32: 5_000, at_256: 10_000, one_account: 10_000, gain: 6 },
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Engine {
    Sqlite,
    Postgres,
}

impl Engine {
    const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

/// One run.
#[derive(Debug, Clone, Copy)]
struct Run {
    engine: Engine,
    share_commits: bool,
    clients: usize,
    accounts: i64,
    warm_up: Duration,
    measured: Duration,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let given = |name: &str| arguments.iter().any(|argument| argument == name);
    let short = given("--short") || given("--test") || !given("--bench");
    let (warm_up, measured) = if short { (200, 1_000) } else { (1_000, 5_000) };
    let (warm_up, measured) = (Duration::from_millis(warm_up), Duration::from_millis(measured));
    let chosen = |engine: Engine| {
        given(engine.name()) || ![Engine::Sqlite, Engine::Postgres].iter().any(|engine| given(engine.name()))
    };

    metrics::set_global_recorder(BatchSizes).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    println!(
        "| database | commits | clients | accounts | pairs/s | hold p50 / p99 ms | capture p50 / p99 ms | CPU us a pair, here + server | operations a commit |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let mut missed = Vec::new();
    for promise in PROMISES.iter().filter(|promise| chosen(promise.engine)) {
        let engine = promise.engine;
        let rate = |share_commits: bool, clients: usize, accounts: i64| {
            let rate = runtime.block_on(measure(Run { engine, share_commits, clients, accounts, warm_up, measured }));
            println!("{rate}");
            rate.pairs_per_second
        };
        rate(true, 1, ACCOUNTS);
        let at_32 = rate(true, 32, ACCOUNTS);
        let at_256 = rate(true, 256, ACCOUNTS);
        let one_account = rate(true, 256, 1);
        let single = rate(false, 256, ACCOUNTS);
        let bounds = [
            ("pairs/s at 32 clients", at_32, promise.at_32),
            ("pairs/s at 256 clients", at_256, promise.at_256),
            ("pairs/s at 256 clients on one account", one_account, promise.one_account),
            ("pairs/s at 256 clients, as a multiple of the single transactions", at_256, single * promise.gain),
        ];
        for (what, found, least) in bounds.into_iter().filter(|(_, found, least)| found < least) {
            missed.push(format!("{}: {what}: {found}, should be at least {least}", engine.name()));
        }
    }
    if short || missed.is_empty() {
        return ExitCode::SUCCESS;
    }
    for missed in missed {
        eprintln!("too slow: {missed}");
    }
    ExitCode::FAILURE
}

const WARMING_UP: u8 = 0;
const MEASURING: u8 = 1;
const OVER: u8 = 2;

/// One run on a database of its own, audited at its end.
async fn measure(run: Run) -> Rate {
    let Run { share_commits, clients, accounts, .. } = run;
    let folder = tempfile::tempdir().unwrap();
    let url = match run.engine {
        Engine::Sqlite => DatabaseUrl::Sqlite(folder.path().join("bench.db")),
        Engine::Postgres => DatabaseUrl::Postgres(testkit::shared_postgres().database().into()),
    };
    let (database, _) = Database::open_or_create(&url).unwrap();
    fill(&database).await;
    let way = if share_commits {
        Way::Shared(Ledger::start(&database, Clock::System, WriterSettings::default()).unwrap())
    } else {
        Way::single(&database)
    };

    let phase = Arc::new(AtomicU8::new(WARMING_UP));
    let running: Vec<_> = (0..clients)
        .map(|number| tokio::spawn(client(way.clone(), number as u64, accounts, Arc::clone(&phase))))
        .collect();
    tokio::time::sleep(run.warm_up).await;
    BatchSizes::take();
    phase.store(MEASURING, Ordering::SeqCst);
    let (started, used) = (Instant::now(), Cpu::used(run.engine));
    tokio::time::sleep(run.measured).await;
    phase.store(OVER, Ordering::SeqCst);
    let elapsed_us = micros(started);
    let used = used.until(&Cpu::used(run.engine));
    let (operations, commits) = BatchSizes::take();

    let mut holds = Vec::new();
    let mut captures = Vec::new();
    for client in running {
        let (own_holds, own_captures) = client.await.unwrap();
        holds.extend(own_holds);
        captures.extend(own_captures);
    }
    let report = audit(&database, &Clock::System).await.unwrap();
    assert!(report.ok, "{:?}", report.violations.first());
    let captures_measured = captures.len() as u64;
    Rate {
        run,
        pairs_per_second: captures_measured * 1_000_000 / elapsed_us,
        hold: percentiles(holds),
        capture: percentiles(captures),
        cpu_us_a_pair: used.each(captures_measured),
        batch_tenths: operations.saturating_mul(10).checked_div(commits).unwrap_or(10),
    }
}

/// Holds and captures for ever, on one account after another. Gives the latencies of the measured time, in microseconds.
async fn client(way: Way, number: u64, accounts: i64, phase: Arc<AtomicU8>) -> (Vec<u64>, Vec<u64>) {
    let owner = ProcessId::new();
    let mut random = number;
    let (mut holds, mut captures) = (Vec::new(), Vec::new());
    loop {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let account = TenantId(1_001 + (random >> 33) as i64 % accounts);
        let request_id = RequestId::new();

        let asked = Instant::now();
        let held = way.run(Operation::Hold(hold(request_id, account, owner))).await.unwrap();
        let hold_us = micros(asked);
        assert_eq!(held, Outcome::Hold(HoldDecision::Held));

        let asked = Instant::now();
        let captured = way.run(Operation::Capture(Box::new(capture(request_id, account)))).await.unwrap();
        let capture_us = micros(asked);
        assert!(matches!(captured, Outcome::Captured(Captured { written_off: Amount::ZERO, .. })), "{captured:?}");

        match phase.load(Ordering::SeqCst) {
            MEASURING => {
                holds.push(hold_us);
                captures.push(capture_us);
            }
            OVER => return (holds, captures),
            _ => {}
        }
    }
}

fn hold(request_id: RequestId, account: TenantId, owner: ProcessId) -> Hold {
    Hold {
        request_id,
        account,
        amount: Amount::from_nanos(10_000_000),
        owner,
        expires_at: Timestamp(i64::MAX),
        price_version: PriceVersion(1),
        idempotency: None,
    }
}

fn capture(request_id: RequestId, account: TenantId) -> Capture {
    let prompt = Tally { texts: 1, hanzi: 60, words: 15, tokens: 79 };
    let completion = Tally { texts: 1, hanzi: 120, words: 30, tokens: 159 };
    let charge = Charge {
        key: "abcdefghijkl".parse().unwrap(),
        endpoint: Endpoint::Chat,
        model: "gpt-4".to_owned(),
        end_user: Some("user-1".to_owned()),
        price_version: PriceVersion(1),
        basis: Basis::Estimate,
        prompt,
        completion,
        upstream: Some((80, 160)),
        images: 0,
        image_size: None,
        prompt_price: PROMPT_PRICE,
        completion_price: COMPLETION_PRICE,
        image_price: Amount::ZERO,
        prompt_cost: cost_of_tokens(prompt.tokens, PROMPT_PRICE).unwrap(),
        completion_cost: cost_of_tokens(completion.tokens, COMPLETION_PRICE).unwrap(),
        image_cost: Amount::ZERO,
        finished_early: false,
    };
    Capture { request_id, account, charge, answer: None }
}

/// A price, and accounts with money that lasts.
async fn fill(database: &Database) {
    use diesel::RunQueryDsl;
    database
        .write(|connection| {
            diesel::sql_query(format!(
                "INSERT INTO prices (version, model, prompt, completion, image, sizes, basis, created_at) \
                 VALUES (1, 'gpt-4', {}, {}, 0, '{{}}', 'estimate', 0)",
                PROMPT_PRICE.nanos(),
                COMPLETION_PRICE.nanos()
            ))
            .execute(connection)?;
            for account in (1_001..=1_000 + ACCOUNTS).map(TenantId) {
                open_account(connection, account, Timestamp(0))?;
                let amount = Amount::from_nanos(1_000_000_000_000_000);
                let (id, source, reference) = (TransferId::new(), TopUpSource::Cash, "first".to_owned());
                let top_up = TopUp { id, account, amount, source, reference, note: None };
                apply_one(connection, Operation::TopUp(top_up), Timestamp(0))?;
            }
            Ok::<(), LedgerError>(())
        })
        .await
        .unwrap();
}

type Asked = (Operation, oneshot::Sender<Result<Outcome, LedgerError>>);

/// How an operation reaches the database.
#[derive(Clone)]
enum Way {
    Shared(Ledger),
    Single(mpsc::Sender<Asked>),
}

impl Way {
    /// The same decisions and statements, one transaction each.
    fn single(database: &Database) -> Self {
        let (asking, asked) = mpsc::channel::<Asked>(4_096);
        let asked = Arc::new(Mutex::new(asked));
        for _ in 0..SINGLE_CONNECTIONS {
            let mut connection: Connection = database.own_connection().unwrap();
            let asked = Arc::clone(&asked);
            std::thread::spawn(move || {
                loop {
                    let next = asked.lock().unwrap().blocking_recv();
                    let Some((operation, answer)) = next else { return };
                    let work = |connection: &mut Connection| apply_one(connection, operation, Clock::System.now());
                    let outcome = match &connection {
                        Connection::Sqlite(_) => write_alone(&mut connection, work),
                        // Without the turns that commands take there.
                        Connection::Postgres(_) => connection.transaction(work),
                    };
                    let _ = answer.send(outcome);
                }
            });
        }
        Self::Single(asking)
    }

    async fn run(&self, operation: Operation) -> Result<Outcome, LedgerError> {
        match self {
            Self::Shared(ledger) => ledger.run(operation).await,
            Self::Single(asking) => {
                let (answer, answered) = oneshot::channel();
                asking.send((operation, answer)).await.map_err(|_| LedgerError::Stopped)?;
                answered.await.map_err(|_| LedgerError::Stopped)?
            }
        }
    }
}

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap()
}

fn percentiles(mut micros: Vec<u64>) -> (u64, u64) {
    micros.sort_unstable();
    let at = |percent: usize| micros.get(micros.len() * percent / 100).copied().unwrap_or(0);
    (at(50), at(99))
}

/// One line of the table.
struct Rate {
    run: Run,
    pairs_per_second: u64,
    hold: (u64, u64),
    capture: (u64, u64),
    cpu_us_a_pair: (u64, u64),
    batch_tenths: u64,
}

impl std::fmt::Display for Rate {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ms = |(p50, p99): (u64, u64)| {
            format!("{}.{:02} / {}.{:02}", p50 / 1000, p50 % 1000 / 10, p99 / 1000, p99 % 1000 / 10)
        };
        write!(
            formatter,
            "| {} | {} | {} | {} | {} | {} | {} | {} + {} | {}.{} |",
            self.run.engine.name(),
            if self.run.share_commits { "shared" } else { "single" },
            self.run.clients,
            self.run.accounts,
            self.pairs_per_second,
            ms(self.hold),
            ms(self.capture),
            self.cpu_us_a_pair.0,
            self.cpu_us_a_pair.1,
            self.batch_tenths / 10,
            self.batch_tenths % 10
        )
    }
}

/// CPU time of this process and of the database's, in ticks of 10 ms. It tells what a pair costs also where others use the machine.
struct Cpu {
    own: u64,
    server: u64,
}

impl Cpu {
    fn used(engine: Engine) -> Self {
        let own = stat("self").map_or(0, |(_, ticks)| ticks);
        let server = match engine {
            Engine::Sqlite => 0,
            Engine::Postgres => {
                let postmaster = testkit::shared_postgres().pid().unwrap();
                let all = std::fs::read_dir("/proc").unwrap().flatten();
                let children = all.filter_map(|entry| stat(&entry.file_name().to_string_lossy()));
                children.filter(|(parent, _)| *parent == u64::from(postmaster)).map(|(_, ticks)| ticks).sum()
            }
        };
        Self { own, server }
    }

    fn until(&self, later: &Self) -> Self {
        Self { own: later.own.saturating_sub(self.own), server: later.server.saturating_sub(self.server) }
    }

    /// Microseconds for each of so many.
    fn each(&self, pairs: u64) -> (u64, u64) {
        let each = |ticks: u64| (ticks * 10_000).checked_div(pairs).unwrap_or(0);
        (each(self.own), each(self.server))
    }
}

/// The parent of a process and the time that it has used.
fn stat(process: &str) -> Option<(u64, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some((number(1)?, number(11)? + number(12)?))
}

static OPERATIONS: AtomicU64 = AtomicU64::new(0);
static COMMITS: AtomicU64 = AtomicU64::new(0);

/// Listens to the one metric that tells how many operations shared a commit.
struct BatchSizes;

impl BatchSizes {
    /// Operations and commits since the last call.
    fn take() -> (u64, u64) {
        (OPERATIONS.swap(0, Ordering::Relaxed), COMMITS.swap(0, Ordering::Relaxed))
    }
}

impl metrics::HistogramFn for BatchSizes {
    fn record(&self, operations: f64) {
        OPERATIONS.fetch_add(operations as u64, Ordering::Relaxed);
        COMMITS.fetch_add(1, Ordering::Relaxed);
    }
}

impl metrics::Recorder for BatchSizes {
    fn describe_counter(&self, _: metrics::KeyName, _: Option<metrics::Unit>, _: metrics::SharedString) {}
    fn describe_gauge(&self, _: metrics::KeyName, _: Option<metrics::Unit>, _: metrics::SharedString) {}
    fn describe_histogram(&self, _: metrics::KeyName, _: Option<metrics::Unit>, _: metrics::SharedString) {}
    fn register_counter(&self, _: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Counter {
        metrics::Counter::noop()
    }
    fn register_gauge(&self, _: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Gauge {
        metrics::Gauge::noop()
    }
    fn register_histogram(&self, key: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Histogram {
        if key.name() == "xiaoyi_ledger_batch_operations" {
            metrics::Histogram::from_arc(Arc::new(Self))
        } else {
            metrics::Histogram::noop()
        }
    }
}
