//! Reads what was handed out for the workers: as many entries as somebody waits for here.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use redis::Value;
use redis::aio::MultiplexedConnection;
use redis::streams::{StreamId, StreamReadReply};
use tokio::time::timeout;

use super::accept::accept;
use super::scripts;
use super::shared::Shared;
use super::timings::{HANDED_OUT_WEIGHT, OVERLAPPED_BYTES, millis};
use crate::redis_store::RedisStoreError;

const GROUP: &str = "workers";
const PAUSE: Duration = Duration::from_millis(50);

/// The connection that entries are read and accepted over.
#[derive(Clone)]
pub(super) struct Reader {
    pub(super) connection: MultiplexedConnection,
    /// The number of the newest job when the connection was made, so what has a larger one came later.
    ///
    /// Redis may come back with an older state, in which a job waits that has ended already. But it cannot do so behind this connection:
    /// a restart, or another server in its place, ends it. All jobs in the state that this connection found have numbers up to this one,
    /// and what has happened since then is in that Redis' memory. So a job with a larger number that is read and accepted over this
    /// connection, and of which Redis knows no earlier worker, has had none.
    pub(super) newest: u64,
}

/// A job that was handed out.
pub(super) struct Entry {
    /// The entry's id, which is the job's token.
    pub(super) token: String,
    pub(super) id: String,
    /// The stream of answers that is read by who waits for it.
    pub(super) answers: String,
    pub(super) weight: usize,
}

/// Takes jobs until the queue is closed, then leaves the workers.
pub(super) async fn take_jobs(shared: Arc<Shared>) {
    let mut reader = None;
    while !shared.is_closed() {
        let wanted = shared.hands.wanted();
        if wanted == 0 {
            shared.hands.demand.notified().await;
            continue;
        }
        if let Err(error) = take_some(&shared, &mut reader, wanted).await {
            tracing::debug!(%error, "no jobs can be read");
            reader = None;
            tokio::time::sleep(PAUSE).await;
        }
    }
    unregister(&shared).await;
}

/// Says that this process takes no more.
pub(super) async fn unregister(shared: &Shared) {
    let leaving = shared.pool.script(&scripts::UNREGISTER).arg(shared.worker());
    if let Err(error) = leaving.run::<i64>().await {
        tracing::warn!(%error, "the slots of this process could not be given up; they will be missed in 10 s");
    }
}

/// Reads and accepts for as long as there is something to read. The next read is on its way already while what was read is accepted.
async fn take_some(shared: &Arc<Shared>, reader: &mut Option<Reader>, wanted: usize) -> Result<(), RedisStoreError> {
    let reading = match reader {
        Some(reader) => reader,
        None => reader.insert(Reader::connect(shared).await?),
    };
    let mut read = reading.read(shared, wanted).await?;
    while let Some(entries) = read {
        if entries.is_empty() {
            return Ok(());
        }
        let more = shared.hands.wanted().saturating_sub(entries.len());
        let bytes = entries.iter().fold(0, |bytes: usize, entry| bytes.saturating_add(entry.weight));
        if more == 0 || bytes > OVERLAPPED_BYTES || shared.is_closed() {
            return accept(shared, reading, entries).await;
        }
        // In this order: what stands behind a read that blocks has to wait.
        let mut accepting = reading.clone();
        let (accepted, next) = join(accept(shared, &mut accepting, entries), reading.read(shared, more)).await;
        accepted?;
        read = next?;
    }
    // Redis was emptied, or has another state: what this connection knew of it counts no more.
    *reader = None;
    Ok(())
}

impl Reader {
    async fn connect(shared: &Shared) -> Result<Self, RedisStoreError> {
        let mut connection = shared.pool.dedicated(shared.timings.patience).await?;
        let mut asking = redis::cmd("GET");
        asking.arg(shared.pool.key("number"));
        match timeout(shared.timings.patience, asking.query_async::<Option<u64>>(&mut connection)).await {
            Ok(Ok(newest)) => Ok(Self { connection, newest: newest.unwrap_or(0) }),
            Ok(Err(error)) => Err(shared.pool.failed(&error)),
            Err(_) => Err(shared.pool.timed_out()),
        }
    }

    /// Waits a moment for entries. `None` if the group of the workers was not there; it is now.
    async fn read(&mut self, shared: &Shared, wanted: usize) -> Result<Option<Vec<Entry>>, RedisStoreError> {
        let block = shared.timings.block;
        let jobs = shared.pool.key("jobs");
        let mut reading = redis::cmd("XREADGROUP");
        reading.arg("GROUP").arg(GROUP).arg(shared.worker()).arg("COUNT").arg(wanted).arg("BLOCK").arg(millis(block));
        // An entry is accepted by deleting it; what somebody read and did not accept is found by its age.
        reading.arg("NOACK").arg("STREAMS").arg(&jobs).arg(">");
        let asked = reading.query_async::<Option<StreamReadReply>>(&mut self.connection);
        match timeout(block + shared.timings.patience, asked).await {
            Ok(Ok(reply)) => {
                let keys = reply.map(|reply| reply.keys).unwrap_or_default();
                Ok(Some(keys.into_iter().flat_map(|key| key.ids).filter_map(|entry| Entry::of(&entry)).collect()))
            }
            Ok(Err(error)) if matches!(error.code(), Some("NOGROUP" | "UNBLOCKED")) => {
                // From 0 on, so that entries which were there before the group are seen.
                let mut making = redis::cmd("XGROUP");
                making.arg("CREATE").arg(&jobs).arg(GROUP).arg("0").arg("MKSTREAM");
                match timeout(shared.timings.patience, making.query_async::<Value>(&mut self.connection)).await {
                    Ok(Ok(_)) => Ok(None),
                    Ok(Err(error)) if error.code() == Some("BUSYGROUP") => Ok(None),
                    Ok(Err(error)) => Err(shared.pool.failed(&error)),
                    Err(_) => Err(shared.pool.timed_out()),
                }
            }
            Ok(Err(error)) => Err(shared.pool.failed(&error)),
            Err(_) => Err(shared.pool.timed_out()),
        }
    }
}

impl Entry {
    fn of(entry: &StreamId) -> Option<Self> {
        Some(Self {
            id: entry.get("id")?,
            answers: entry.get("answers")?,
            weight: entry.get::<usize>("weight")?.saturating_add(HANDED_OUT_WEIGHT),
            token: entry.id.clone(),
        })
    }

    /// When it was handed out, in milliseconds by the clock of Redis.
    pub(super) fn handed_out_at(&self) -> Option<i64> {
        self.token.split_once('-')?.0.parse().ok()
    }
}
