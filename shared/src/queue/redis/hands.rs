//! What this process has taken: who waits for a job, what is ready for them, and how many slots are left.

use std::collections::{HashMap, VecDeque};
use std::future;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::super::{Delivery, Interruption};
use super::lease;
use crate::id::RequestId;

/// The jobs in this process' hands.
pub(super) struct Hands {
    slots: usize,
    in_hand: AtomicUsize,
    takers: AtomicUsize,
    tokens: AtomicU64,
    ready: Mutex<VecDeque<(Instant, Delivery)>>,
    signals: Mutex<HashMap<RequestId, Arc<Signal>>>,
    /// Woken once by each job that is ready, and by those who leave some behind.
    takeable: Notify,
    /// Wakes the reader.
    pub(super) demand: Notify,
}

/// What a worker should hear about the job in its hands.
pub(super) struct Signal {
    told: watch::Sender<bool>,
    gone: watch::Sender<Option<Gone>>,
    /// The client has read more.
    pub(super) room: Notify,
    /// Hints may have been missed: what stands in the job is to be looked at.
    pub(super) look: Notify,
    kept_at: Mutex<Instant>,
}

/// Why nothing more is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gone {
    /// Nobody waits for the answer.
    Left,
    /// The client did not read for too long.
    Slow,
    /// Redis did not take a part, or perhaps it did: the answer cannot go on.
    Unsure,
    /// The job is not ours any more.
    Lost,
}

impl Gone {
    pub(super) const fn interruption(self) -> Interruption {
        match self {
            Self::Lost => Interruption::LeaseLost,
            Self::Left | Self::Slow | Self::Unsure => Interruption::ClientLeft,
        }
    }
}

impl Signal {
    pub(super) fn new() -> Self {
        Self {
            told: watch::Sender::new(false),
            gone: watch::Sender::new(None),
            room: Notify::new(),
            look: Notify::new(),
            kept_at: Mutex::new(Instant::now()),
        }
    }

    pub(super) fn tell(&self) {
        self.told.send_replace(true);
    }

    pub(super) fn go(&self, why: Gone) {
        self.gone.send_if_modified(|gone| {
            let is_news = gone.is_none();
            gone.get_or_insert(why);
            is_news
        });
    }

    /// The lease counts from this moment on.
    pub(super) fn begins(&self, at: Instant) {
        *self.kept_at.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }

    /// The lease was renewed by what was sent `at` this moment; the answer may have been read much later.
    pub(super) fn kept(&self, at: Instant) {
        let mut kept_at = self.kept_at.lock().unwrap_or_else(PoisonError::into_inner);
        *kept_at = at.max(*kept_at);
    }

    pub(super) fn kept_at(&self) -> Instant {
        *self.kept_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Resolves once the job has been called off.
    pub(super) async fn until_told(&self) {
        if self.told.subscribe().wait_for(|&told| told).await.is_err() {
            future::pending().await
        }
    }

    pub(super) async fn until_gone(&self) -> Gone {
        match self.gone.subscribe().wait_for(Option::is_some).await.map(|gone| *gone) {
            Ok(Some(gone)) => gone,
            _ => future::pending().await,
        }
    }

    pub(super) fn interruption(&self) -> Interruption {
        self.gone.borrow().map_or(Interruption::ClientLeft, Gone::interruption)
    }
}

impl Hands {
    pub(super) fn new(slots: usize) -> Self {
        Self {
            slots,
            in_hand: AtomicUsize::new(0),
            takers: AtomicUsize::new(0),
            tokens: AtomicU64::new(0),
            ready: Mutex::default(),
            signals: Mutex::default(),
            takeable: Notify::new(),
            demand: Notify::new(),
        }
    }

    pub(super) const fn slots(&self) -> usize {
        self.slots
    }

    /// How many jobs could be given to somebody at once: no more are read, so that what is left goes to other processes.
    pub(super) fn wanted(&self) -> usize {
        let ready = self.ready().len();
        let free = self.slots.saturating_sub(self.in_hand.load(Ordering::SeqCst));
        free.min(self.takers.load(Ordering::SeqCst).saturating_sub(ready))
    }

    /// A number that no other token of this process has.
    pub(super) fn next_token(&self) -> u64 {
        self.tokens.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn hold(&self, request_id: RequestId, signal: &Arc<Signal>) {
        self.in_hand.fetch_add(1, Ordering::SeqCst);
        self.signals().insert(request_id, Arc::clone(signal));
    }

    pub(super) fn let_go(&self, request_id: RequestId, signal: &Arc<Signal>) {
        let mut signals = self.signals();
        // After a hand-back this process may have it again already.
        if signals.get(&request_id).is_some_and(|known| Arc::ptr_eq(known, signal)) {
            signals.remove(&request_id);
        }
        drop(signals);
        self.in_hand.fetch_sub(1, Ordering::SeqCst);
        self.demand.notify_one();
    }

    pub(super) fn signal(&self, request_id: RequestId) -> Option<Arc<Signal>> {
        self.signals().get(&request_id).cloned()
    }

    /// Has every worker look at its job.
    pub(super) fn look_at_all(&self) {
        self.signals().values().for_each(|signal| signal.look.notify_one());
    }

    /// Puts a job where a taker finds it.
    pub(super) fn offer(&self, delivery: Delivery) {
        self.ready().push_back((Instant::now(), delivery));
        self.takeable.notify_one();
    }

    /// Waits for a job. `None` once `is_closed`.
    pub(super) async fn take(&self, is_closed: impl Fn() -> bool) -> Option<Delivery> {
        loop {
            // Made before the look, so that nothing that happens after it is missed.
            let woken = self.takeable.notified();
            if is_closed() {
                return None;
            }
            if let Some(delivery) = self.next_ready() {
                return Some(delivery);
            }
            let _waiting = Taker::new(self);
            woken.await;
        }
    }

    fn next_ready(&self) -> Option<Delivery> {
        let mut ready = self.ready();
        let (_, delivery) = ready.pop_front()?;
        if !ready.is_empty() {
            self.takeable.notify_one();
        }
        Some(delivery)
    }

    pub(super) fn wake_all(&self) {
        self.takeable.notify_waiters();
        self.demand.notify_one();
    }

    pub(super) fn give_back_all(&self) {
        let unused = std::mem::take(&mut *self.ready());
        unused.into_iter().for_each(|(_, delivery)| lease::give_back(delivery));
    }

    /// Gives back what nobody came for: its taker went while it was on its way.
    pub(super) fn give_back_older_than(&self, age: Duration) {
        let mut ready = self.ready();
        let old = ready.iter().take_while(|(since, _)| since.elapsed() >= age).count();
        let unused: Vec<_> = ready.drain(..old).collect();
        drop(ready);
        unused.into_iter().for_each(|(_, delivery)| lease::give_back(delivery));
    }

    fn ready(&self) -> MutexGuard<'_, VecDeque<(Instant, Delivery)>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signals(&self) -> MutexGuard<'_, HashMap<RequestId, Arc<Signal>>> {
        self.signals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who waits in `take`.
struct Taker<'a>(&'a Hands);

impl<'a> Taker<'a> {
    fn new(hands: &'a Hands) -> Self {
        hands.takers.fetch_add(1, Ordering::SeqCst);
        hands.demand.notify_one();
        Self(hands)
    }
}

impl Drop for Taker<'_> {
    fn drop(&mut self) {
        self.0.takers.fetch_sub(1, Ordering::SeqCst);
    }
}
