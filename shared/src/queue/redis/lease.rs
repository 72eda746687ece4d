//! A worker's right to a job, for as long as it renews it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::super::{Delivery, End, Interruption, Job, MaybeSettled};
use super::forwarder::{Ending, Forwarder};
use super::hands::{Gone, Signal};
use super::scripts;
use super::shared::Shared;
use crate::id::RequestId;

/// Chunks between a worker and what forwards them.
const CHUNKS_UNDERWAY: usize = 16;

/// A job as a script gave it.
pub(super) struct Started {
    pub(super) token: String,
    pub(super) job: Job,
    pub(super) attempt: u32,
    /// Known to the process' hands already.
    pub(super) signal: Arc<Signal>,
    /// Chunks that an earlier run sent before it was handed back.
    pub(super) sent: u64,
    pub(super) settled: MaybeSettled,
}

/// Lives in a [`Delivery`]. When it is dropped without an ending, the job is given up.
pub(super) struct Lease {
    shared: Arc<Shared>,
    request_id: RequestId,
    token: String,
    signal: Arc<Signal>,
    ending: Option<oneshot::Sender<Ending>>,
}

/// Makes a delivery of a job that is ours.
pub(super) fn begin(shared: &Arc<Shared>, started: Started) -> Delivery {
    let Started { token, job, attempt, signal, sent, settled } = started;
    let request_id = job.request_id;
    let (frames, chunks) = mpsc::channel(shared.buffer().min(CHUNKS_UNDERWAY));
    let (ending, ended) = oneshot::channel();
    let forwarder = Forwarder::new(Arc::clone(shared), request_id, token.clone(), Arc::clone(&signal), chunks, sent);
    shared.runtime.spawn(forwarder.run(ended));
    let lease = Lease { shared: Arc::clone(shared), request_id, token, signal, ending: Some(ending) };
    Delivery { job, attempt, slow_client: shared.limits.slow_client(), settled, frames, lease: Box::new(lease) }
}

/// Keeps the job while this is polled; resolves when the worker should stop.
pub(super) async fn watch(delivery: &Delivery) -> Interruption {
    let Some(lease) = delivery.lease.downcast_ref::<Lease>() else {
        return Interruption::LeaseLost;
    };
    tokio::select! {
        () = delivery.frames.closed() => lease.signal.interruption(),
        () = lease.signal.until_told() => Interruption::ClientLeft,
        interruption = lease.keep() => interruption,
    }
}

pub(super) async fn finish(delivery: Delivery, end: End) -> Result<(), Interruption> {
    let (done, is_done) = oneshot::channel();
    end_with(delivery, Ending::Finish(end, done));
    is_done.await.unwrap_or(Err(Interruption::ClientLeft))
}

pub(super) async fn hand_back(delivery: Delivery) {
    let (done, is_done) = oneshot::channel();
    end_with(delivery, Ending::HandBack { is_attempt: true, done: Some(done) });
    // Dropped without a word when the process ends; then the lease runs out by itself.
    let _ = is_done.await;
}

/// Hands a job back that nobody has looked at.
pub(super) fn give_back(delivery: Delivery) {
    end_with(delivery, Ending::HandBack { is_attempt: false, done: None });
}

fn end_with(delivery: Delivery, ending: Ending) {
    let Delivery { frames, lease, .. } = delivery;
    // First, so that all chunks are known to have been sent.
    drop(frames);
    if let Ok(mut lease) = lease.downcast::<Lease>()
        && let Some(sender) = lease.ending.take()
    {
        let _ = sender.send(ending);
    }
}

impl Lease {
    async fn keep(&self) -> Interruption {
        let timings = &self.shared.timings;
        loop {
            let kept_at = self.signal.kept_at();
            tokio::select! {
                () = self.signal.look.notified() => {}
                () = tokio::time::sleep_until(kept_at + timings.renew) => {
                    if self.signal.kept_at() > kept_at {
                        continue; // A frame has renewed it.
                    }
                }
            }
            if let Some(interruption) = self.renew().await {
                return interruption;
            }
        }
    }

    async fn renew(&self) -> Option<Interruption> {
        let timings = &self.shared.timings;
        let started = Instant::now();
        let renewing = self.shared.pool.script(&scripts::RENEW).arg(self.request_id.to_string()).arg(&self.token);
        match renewing.arg("0").run::<Vec<String>>().await {
            Ok(words) => match words.first().map(String::as_str) {
                Some("kept") => {
                    self.signal.kept(started);
                    return None;
                }
                Some("told") => self.signal.tell(),
                Some("left") => self.signal.go(Gone::Left),
                _ => self.signal.go(Gone::Lost),
            },
            Err(error) => {
                tracing::warn!(request_id = %self.request_id, %error, "a lease could not be renewed");
                if started.duration_since(self.signal.kept_at()) < timings.lease {
                    tokio::time::sleep((timings.renew / 10).max(Duration::from_millis(10))).await;
                    return None;
                }
                self.signal.go(Gone::Lost);
            }
        }
        Some(self.signal.interruption())
    }
}
