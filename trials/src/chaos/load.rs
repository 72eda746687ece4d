//! Clients in a closed loop, each with its own mixture of calls, and everything that any of them saw.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use super::Settings;
use super::call::{Order, Outcome, Request, call};
use super::random::Random;
use super::stack::{Stack, Tenant};

/// What a client that got no answer waits before its next call, so that quick errors make no storm.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// What all clients share.
pub(super) struct Shared {
    client: reqwest::Client,
    seed: u64,
    bases: Vec<String>,
    tenants: Vec<Tenant>,
    started: Instant,
    is_over: AtomicBool,
    numbers: AtomicU64,
    requests: Mutex<Vec<Request>>,
    probes: Mutex<Vec<JoinHandle<()>>>,
}

/// The running load.
pub(super) struct Load {
    pub(super) shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    pub(super) fn start(runtime: &Runtime, settings: &Settings, stack: &Stack, started: Instant) -> Result<Self> {
        let shared = Arc::new(Shared {
            client: super::client::new()?,
            seed: settings.seed,
            bases: stack.bases.clone(),
            tenants: stack.tenants.clone(),
            started,
            is_over: AtomicBool::new(false),
            numbers: AtomicU64::new(0),
            requests: Mutex::new(Vec::new()),
            probes: Mutex::new(Vec::new()),
        });
        let clients = (0..settings.clients).map(|_| runtime.spawn(work(Arc::clone(&shared))));
        Ok(Self { clients: clients.collect(), shared })
    }

    /// Lets every client end its present call, and gives what all of them saw.
    pub(super) fn stop(self, runtime: &Runtime) -> Vec<Request> {
        self.shared.is_over.store(true, Ordering::SeqCst);
        runtime.block_on(async {
            for client in self.clients {
                let _ = client.await;
            }
            let probes = std::mem::take(&mut *self.shared.probes.lock().unwrap_or_else(PoisonError::into_inner));
            for probe in probes {
                let _ = probe.await;
            }
        });
        std::mem::take(&mut *self.shared.requests.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shared {
    /// Processes that serve the API.
    pub(super) fn apis(&self) -> usize {
        self.bases.len()
    }

    /// How many calls of which outcome have ended so far.
    pub(super) fn answered(&self) -> (usize, usize) {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        (requests.iter().filter(|request| request.outcome == Outcome::Answered).count(), requests.len())
    }

    /// A short call by way of one API process, in a task of its own, which says whether it was answered. Like every call it is judged.
    pub(super) fn probe(self: &Arc<Self>, api: usize, tell: impl FnOnce(bool) + Send + 'static) {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let base = self.order(number, api);
        let order = Order {
            tenant: 0,
            key: self.tenants[0].key.clone(),
            chunks: 2,
            first_ms: 0,
            pause_ms: 0,
            leaves_ms: None,
            ..base
        };
        let shared = Arc::clone(self);
        let probe = tokio::spawn(async move { tell(shared.make(order).await == Outcome::Answered) });
        self.probes.lock().unwrap_or_else(PoisonError::into_inner).push(probe);
    }

    /// Makes a call, writes down what came of it, and gives its outcome.
    async fn make(&self, order: Order) -> Outcome {
        let request = call(&self.client, &order, self.started).await;
        let outcome = request.outcome.clone();
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        outcome
    }

    /// Half of the calls are streams, some are long, and one client in ten leaves before the end.
    fn order(&self, number: u64, api: usize) -> Order {
        let mut random = Random::new(self.seed, 1_000 + number);
        let tenant = random.index(self.tenants.len());
        let chunks = if random.once_in(8) { random.between(60, 200) } else { random.between(1, 40) };
        Order {
            marker: format!("mark-{}-{number}", self.seed),
            tenant,
            key: self.tenants[tenant].key.clone(),
            api,
            base: self.bases[api].clone(),
            is_streamed: random.once_in(2),
            chunks,
            hanzi: random.between(1, 6),
            first_ms: random.between(0, 200),
            pause_ms: random.between(0, 25),
            leaves_ms: random.once_in(10).then(|| random.between(1, 800)),
        }
    }
}

async fn work(shared: Arc<Shared>) {
    while !shared.is_over.load(Ordering::SeqCst) {
        let number = shared.numbers.fetch_add(1, Ordering::Relaxed);
        let api = usize::try_from(number).unwrap_or_default() % shared.apis();
        let outcome = shared.make(shared.order(number, api)).await;
        if matches!(outcome, Outcome::Died(_) | Outcome::Refused { .. }) {
            tokio::time::sleep(AFTER_FAILURE).await;
        }
    }
}
