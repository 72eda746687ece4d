//! The log of calls. Whoever settles a call hands its details over and goes on: no wait, no lock, no question. A task of its own writes what
//! has come, many in one transaction.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use super::record::CallRecord;
use super::refused::RefusedCounts;
use super::store::{self, Batch};
use crate::clock::Timestamp;
use crate::db::{Database, DbError};
use crate::id::TenantId;
use crate::refusal::Reason;
use crate::secret_key::KeyId;

/// The most details that wait to be written. Beyond it they are dropped and counted: details are for people, money is in the ledger.
const WAITING: usize = 4_096;
/// The most that share a transaction.
const BATCH: usize = 500;
/// How long details wait at most for others to share theirs.
const FLUSH_EVERY: Duration = Duration::from_millis(250);
/// The pause after a transaction that failed.
const RETRY: Duration = Duration::from_secs(1);
/// Transactions into which a batch is taken apart that the database refuses, at most: enough to find a handful of calls among the others.
const PARTS: usize = 100;

/// Where details of calls are handed over. Cheap to clone; what waits when the last one is dropped is still written.
#[derive(Debug, Clone)]
pub struct CallLog {
    calls: mpsc::Sender<CallRecord>,
    orders: mpsc::Sender<Order>,
    refused: Arc<Refusals>,
}

#[derive(Debug, Default)]
struct Refusals {
    counts: RefusedCounts,
    has_some: Notify,
}

#[derive(Debug)]
struct Order {
    done: oneshot::Sender<()>,
    is_last: bool,
}

impl CallLog {
    /// Begins to write, in the present runtime.
    pub fn start(database: &Database) -> Self {
        let (calls, waiting) = mpsc::channel(WAITING);
        let (orders, ordered) = mpsc::channel(1);
        let refused = Arc::<Refusals>::default();
        let writer = Writer { database: database.clone(), waiting, ordered, refused: Arc::clone(&refused) };
        tokio::spawn(writer.run());
        Self { calls, orders, refused }
    }

    /// Keeps the details of a call that has ended. The same call a second time is ignored.
    pub fn record(&self, record: CallRecord) {
        if self.calls.try_send(record).is_err() {
            metrics::counter!("xiaoyi_call_log_dropped_total", "what" => "call").increment(1);
        }
    }

    /// Counts a call that was refused before it got a hold. `model` is empty where none was named, or one that does not exist.
    pub fn refused(&self, tenant: TenantId, key: KeyId, model: &str, reason: Reason, now: Timestamp) {
        if self.refused.counts.add(tenant, key, model, reason.code(), now) {
            self.refused.has_some.notify_one();
        }
    }

    /// Writes what was handed over until now, and waits for it.
    pub async fn flush(&self) {
        self.order(false).await;
    }

    /// The same for the last time: what comes later is dropped. Gives whether all was written within this time.
    pub async fn finish(&self, within: Duration) -> bool {
        timeout(within, self.order(true)).await.unwrap_or(false)
    }

    async fn order(&self, is_last: bool) -> bool {
        let (done, told) = oneshot::channel();
        self.orders.send(Order { done, is_last }).await.is_ok() && told.await.is_ok()
    }
}

struct Writer {
    database: Database,
    waiting: mpsc::Receiver<CallRecord>,
    ordered: mpsc::Receiver<Order>,
    refused: Arc<Refusals>,
}

/// Why a batch is written.
enum Why {
    /// It is full, or has waited long enough.
    ItsTime,
    /// Somebody waits for it.
    Ordered(Order),
    /// Nobody can hand over anything more.
    AllGone,
}

impl Writer {
    async fn run(mut self) {
        loop {
            let mut calls = Vec::with_capacity(BATCH);
            match self.gather(&mut calls).await {
                Why::ItsTime => {
                    self.write(calls).await;
                }
                Why::Ordered(order) => {
                    if !self.write_all(calls).await {
                        // Whoever waits learns it by the sender that is gone.
                        drop(order);
                    } else if order.done.send(()).is_ok() && order.is_last {
                        return;
                    }
                }
                Why::AllGone => {
                    self.write_all(calls).await;
                    return;
                }
            }
        }
    }

    /// Waits for something to write, and then for more of it.
    async fn gather(&mut self, calls: &mut Vec<CallRecord>) -> Why {
        tokio::select! {
            received = self.waiting.recv_many(calls, BATCH) => if received == 0 { return Why::AllGone },
            () = self.refused.has_some.notified() => {}
            Some(order) = self.ordered.recv() => return Why::Ordered(order),
        }
        let until = Instant::now() + FLUSH_EVERY;
        while calls.len() < BATCH {
            let room = BATCH - calls.len();
            tokio::select! {
                received = self.waiting.recv_many(calls, room) => if received == 0 { return Why::AllGone },
                Some(order) = self.ordered.recv() => return Why::Ordered(order),
                () = sleep_until(until) => break,
            }
        }
        Why::ItsTime
    }

    /// Writes `calls` and all that waits, and gives whether it could write all.
    async fn write_all(&mut self, mut calls: Vec<CallRecord>) -> bool {
        let mut is_whole = true;
        loop {
            while calls.len() < BATCH
                && let Ok(record) = self.waiting.try_recv()
            {
                calls.push(record);
            }
            let is_last = calls.len() < BATCH;
            is_whole &= self.write(std::mem::take(&mut calls)).await;
            if is_last {
                return is_whole;
            }
        }
    }

    /// Writes one batch, and gives whether all of it was written. One that the database refuses is taken apart until what it does not take is
    /// found; that alone is dropped.
    async fn write(&mut self, calls: Vec<CallRecord>) -> bool {
        let refused = self.refused.counts.take();
        if calls.is_empty() && refused.is_empty() {
            return true;
        }
        let mut parts = vec![Batch::new(calls, refused)];
        let (mut is_whole, mut tried) = (true, 0);
        while let Some(part) = parts.pop() {
            let part = Arc::new(part);
            let Err(error) = self.write_part(&part).await else { continue };
            tried += 1;
            match part.halves() {
                Some((first, second)) if tried < PARTS && !matches!(error, DbError::WriterStopped) => {
                    parts.extend([second, first]);
                }
                _ => {
                    is_whole = false;
                    drop_part(&part, &error);
                }
            }
        }
        is_whole
    }

    /// Writes a batch or a part of one, and tries again while the database does not answer; what comes meanwhile waits in its line, as far as
    /// that goes.
    async fn write_part(&self, part: &Arc<Batch>) -> Result<(), DbError> {
        let mut has_failed = false;
        loop {
            let written = Arc::clone(part);
            match self.database.write(move |connection| store::write(connection, &written)).await {
                Ok(()) => return Ok(()),
                Err(error @ (DbError::Busy(_) | DbError::Disconnected(_) | DbError::Open { .. })) => {
                    if !has_failed {
                        tracing::error!(%error, calls = part.calls(), "the details of calls could not be written; trying again");
                    }
                    has_failed = true;
                }
                Err(error) => return Err(error),
            }
            tokio::time::sleep(RETRY).await;
        }
    }
}

/// Counts and tells what is lost.
fn drop_part(part: &Batch, error: &DbError) {
    let (calls, refusals) = (part.calls(), part.refusals());
    tracing::error!(%error, calls, refusals, "the details of calls could not be written; they are lost");
    let calls = u64::try_from(calls).unwrap_or(u64::MAX);
    metrics::counter!("xiaoyi_call_log_dropped_total", "what" => "call").increment(calls);
    let refusals = u64::try_from(refusals).unwrap_or(u64::MAX);
    metrics::counter!("xiaoyi_call_log_dropped_total", "what" => "refusal").increment(refusals);
}
