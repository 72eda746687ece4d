//! Pairs of hold and capture a second on SQLite, with every constraint and a charge for each capture: many callers sharing commits
//! (the ledger's writer) against one transaction for each operation. Prints a Markdown table; `cargo bench -p shared --bench ledger`.
//!
//! Fails when a figure is below what the project promises. `--short` (and any run that is not `cargo bench`) only shows that it works.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "its output is what it is for")]
#![expect(clippy::unwrap_used, reason = "a measurement that goes wrong should stop at once")]

use std::process::ExitCode;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use shared::clock::{Clock, Timestamp};
use shared::db::{Connection, Database, begin_immediate};
use shared::id::{ProcessId, RequestId, TenantId, TransferId};
use shared::ledger::{
    Capture, Captured, Charge, Hold, HoldDecision, Ledger, LedgerError, Operation, Outcome, TopUp, WriterSettings,
    apply_one, audit, open_account,
};
use shared::money::Amount;
use shared::price::{Basis, PriceVersion, cost_of_tokens};
use shared::queue::Endpoint;
use shared::tokens::Tally;
use tokio::sync::{mpsc, oneshot};

const ACCOUNTS: i64 = 1_000;
/// Connections of the runs without the writer, each with a thread of its own.
const SINGLE_CONNECTIONS: usize = 8;
const PROMPT_PRICE: Amount = Amount::from_nanos(10_000_000_000);
const COMPLETION_PRICE: Amount = Amount::from_nanos(30_000_000_000);

/// What the project promises, in pairs a second on two cores.
const LEAST_AT_32: u64 = 10_000;
const LEAST_AT_256: u64 = 12_000;
/// And how many times what single transactions give at 256 clients.
const LEAST_GAIN: u64 = 6;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let given = |name: &str| arguments.iter().any(|argument| argument == name);
    let short = given("--short") || given("--test") || !given("--bench");
    let (warm_up, measured) = if short { (200, 1_000) } else { (1_000, 5_000) };

    metrics::set_global_recorder(BatchSizes).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    println!("| commits | clients | pairs/s | hold p50 / p99 ms | capture p50 / p99 ms | operations a commit |");
    println!("|---|---|---|---|---|---|");
    let run = |shared: bool, clients: usize| {
        let rate =
            runtime.block_on(measure(shared, clients, Duration::from_millis(warm_up), Duration::from_millis(measured)));
        println!("{rate}");
        rate.pairs_per_second
    };
    run(true, 1);
    let at_32 = run(true, 32);
    let at_256 = run(true, 256);
    let single = run(false, 256);
    println!(
        "\n256 clients sharing commits: {}.{} x the single transactions.",
        at_256 / single,
        at_256 * 10 / single % 10
    );
    if short {
        return ExitCode::SUCCESS;
    }
    let bounds = [
        ("pairs/s at 32 clients", at_32, LEAST_AT_32),
        ("pairs/s at 256 clients", at_256, LEAST_AT_256),
        ("pairs/s at 256 clients, as a multiple of the single transactions", at_256, single * LEAST_GAIN),
    ];
    let mut missed = bounds.iter().filter(|(_, found, least)| found < least).peekable();
    let code = if missed.peek().is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    for (what, found, least) in missed {
        eprintln!("too slow: {what}: {found}, should be at least {least}");
    }
    code
}

const WARMING_UP: u8 = 0;
const MEASURING: u8 = 1;
const OVER: u8 = 2;

/// One run on a database of its own, audited at its end.
async fn measure(share_commits: bool, clients: usize, warm_up: Duration, measured: Duration) -> Rate {
    let folder = tempfile::tempdir().unwrap();
    let (database, _) = Database::open_or_create(&folder.path().join("bench.db")).unwrap();
    fill(&database).await;
    let way = if share_commits {
        Way::Shared(Ledger::start(&database, Clock::System, WriterSettings::default()).unwrap())
    } else {
        Way::single(&database)
    };

    let phase = Arc::new(AtomicU8::new(WARMING_UP));
    let running: Vec<_> =
        (0..clients).map(|number| tokio::spawn(client(way.clone(), number as u64, Arc::clone(&phase)))).collect();
    tokio::time::sleep(warm_up).await;
    BatchSizes::take();
    phase.store(MEASURING, Ordering::SeqCst);
    let started = Instant::now();
    tokio::time::sleep(measured).await;
    phase.store(OVER, Ordering::SeqCst);
    let elapsed_us = micros(started);
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
    Rate {
        share_commits,
        clients,
        pairs_per_second: captures.len() as u64 * 1_000_000 / elapsed_us,
        hold: percentiles(holds),
        capture: percentiles(captures),
        batch_tenths: operations.saturating_mul(10).checked_div(commits).unwrap_or(10),
    }
}

/// Holds and captures for ever, on one account after another. Gives the latencies of the measured time, in microseconds.
async fn client(way: Way, number: u64, phase: Arc<AtomicU8>) -> (Vec<u64>, Vec<u64>) {
    let owner = ProcessId::new();
    let mut random = number;
    let (mut holds, mut captures) = (Vec::new(), Vec::new());
    loop {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let account = TenantId(1_001 + (random >> 33) as i64 % ACCOUNTS);
        let request_id = RequestId::new();

        let asked = Instant::now();
        let held = way.run(Operation::Hold(hold(request_id, account, owner))).await.unwrap();
        let hold_us = micros(asked);
        assert_eq!(held, Outcome::Hold(HoldDecision::Held));

        let asked = Instant::now();
        let captured = way.run(Operation::Capture(Box::new(capture(request_id)))).await.unwrap();
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
    }
}

fn capture(request_id: RequestId) -> Capture {
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
    Capture { request_id, charge }
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
                let top_up =
                    TopUp { id: TransferId::new(), account, amount, reference: "first".to_owned(), note: None };
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
                    let outcome = begin_immediate(&mut connection, |connection| {
                        apply_one(connection, operation, Clock::System.now())
                    });
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
    share_commits: bool,
    clients: usize,
    pairs_per_second: u64,
    hold: (u64, u64),
    capture: (u64, u64),
    batch_tenths: u64,
}

impl std::fmt::Display for Rate {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ms = |(p50, p99): (u64, u64)| {
            format!("{}.{:02} / {}.{:02}", p50 / 1000, p50 % 1000 / 10, p99 / 1000, p99 % 1000 / 10)
        };
        write!(
            formatter,
            "| {} | {} | {} | {} | {} | {}.{} |",
            if self.share_commits { "shared" } else { "single" },
            self.clients,
            self.pairs_per_second,
            ms(self.hold),
            ms(self.capture),
            self.batch_tenths / 10,
            self.batch_tenths % 10
        )
    }
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
