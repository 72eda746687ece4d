//! Clients in a closed loop: each makes its next call as soon as the one before has ended, and writes down what it saw.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::call::{Order, Saw, Seen, call};

/// How long a test waits for something that must happen.
const DEADLINE: Duration = Duration::from_secs(60);

/// A call and what became of it.
#[derive(Debug, Clone)]
pub(crate) struct Observed {
    pub(crate) order: Order,
    pub(crate) seen: Seen,
    /// Whether the server was being killed when the call ended.
    pub(crate) is_in_a_crash: bool,
}

/// Where the server is, and which run of it this is. A client whose connection broke waits for the next one.
#[derive(Debug, Clone)]
enum Place {
    At { base: Arc<str>, run: usize },
    Over,
}

/// A number of clients at work.
pub(crate) struct Load {
    clients: Vec<JoinHandle<Vec<Observed>>>,
    place: watch::Sender<Place>,
    tally: Arc<Tally>,
    run: usize,
}

#[derive(Default)]
struct Tally {
    ends: AtomicUsize,
    /// Runs of the server below this number have crashed.
    crashed_below: AtomicUsize,
}

impl Load {
    /// Starts so many clients. `orders` makes a client's next call from its number and the number of the call.
    pub(crate) fn start<F>(clients: usize, base: &str, client: &reqwest::Client, orders: F) -> Self
    where
        F: Fn(usize, usize) -> Order + Clone + Send + 'static,
    {
        let (place, places) = watch::channel(Place::At { base: base.into(), run: 0 });
        let tally = Arc::new(Tally::default());
        let clients = (0..clients).map(|number| {
            let orders = orders.clone();
            let next_order = move |round| orders(number, round);
            tokio::spawn(work(client.clone(), places.clone(), Arc::clone(&tally), next_order))
        });
        Self { clients: clients.collect(), place, tally, run: 0 }
    }

    /// How many ends of answers all clients have seen so far.
    pub(crate) fn ends(&self) -> usize {
        self.tally.ends.load(Ordering::SeqCst)
    }

    /// Waits until the clients have seen so many more ends.
    pub(crate) async fn until_more_ends(&self, more: usize) {
        let enough = self.ends() + more;
        wait_until("the clients see more answers", || self.ends() >= enough).await;
    }

    /// From now on a connection may break.
    pub(crate) fn crash_begins(&self) {
        self.tally.crashed_below.store(self.run + 1, Ordering::SeqCst);
    }

    /// The server is back.
    pub(crate) fn crash_is_over(&mut self, base: &str) {
        self.run += 1;
        self.place.send_replace(Place::At { base: base.into(), run: self.run });
    }

    /// Lets every client end its present call, and gives what all of them saw.
    pub(crate) async fn stop(self) -> Vec<Observed> {
        self.place.send_replace(Place::Over);
        let mut observed = Vec::new();
        for client in self.clients {
            observed.extend(client.await.expect("a client ends by itself"));
        }
        observed
    }
}

async fn work(
    client: reqwest::Client,
    mut places: watch::Receiver<Place>,
    tally: Arc<Tally>,
    next_order: impl Fn(usize) -> Order,
) -> Vec<Observed> {
    let mut observed = Vec::new();
    loop {
        let place = places.borrow_and_update().clone();
        let Place::At { base, run } = place else { return observed };
        let order = next_order(observed.len());
        let seen = call(&client, &base, &order).await;
        let is_broken = matches!(seen.saw, Saw::Broken { .. });
        tally.ends.fetch_add(usize::from(seen.saw == Saw::End), Ordering::SeqCst);
        let is_in_a_crash = run < tally.crashed_below.load(Ordering::SeqCst);
        observed.push(Observed { order, seen, is_in_a_crash });
        if is_broken && is_in_a_crash && places.changed().await.is_err() {
            return observed;
        }
    }
}

/// Waits for what must come true, and says what it was when it does not.
pub(crate) async fn wait_until(what: &str, mut is_true: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_true() {
        assert!(begun.elapsed() < DEADLINE, "waited {DEADLINE:?} in vain until {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// A number below `most` that looks random and is the same in each run.
pub(crate) fn scattered(seed: usize, most: usize) -> usize {
    let mixed = (seed as u64).wrapping_add(0x9E37_79B9_7F4A_7C15).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    usize::try_from((mixed ^ (mixed >> 31)) % most as u64).expect("a small number")
}
