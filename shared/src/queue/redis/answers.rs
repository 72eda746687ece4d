//! Reads the answers for this process, and notices when Redis is away or was emptied.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use redis::Value;
use redis::aio::MultiplexedConnection;
use tokio::time::{Instant, timeout};

use super::codec::{Header, Kind};
use super::scripts;
use super::shared::Shared;
use super::timings::{READ_ENTRIES, millis};
use crate::redis_store::RedisStoreError;

/// Read entries are taken out of the stream when they are so many, or so many bytes, or nothing else is to be done.
const TRIM_ENTRIES: usize = 64;
const TRIM_BYTES: usize = 256 * 1024;
const PAUSE: Duration = Duration::from_millis(30);
/// Jobs that are asked for in one step.
const ASKED_AT_ONCE: usize = 500;

/// Listens for one process.
pub(super) struct Listener {
    shared: Arc<Shared>,
    /// Streams that this process has had; each gets a name of its own, so that nothing that was meant for one reaches the next.
    streams: u32,
    stream: Arc<str>,
    /// The last entry that was read.
    heard: (u64, u64),
    untrimmed: (usize, usize),
    entries: usize,
    last_word: Instant,
    is_lost: bool,
}

enum Stop {
    /// The stream is gone: Redis was emptied, or this process slept for too long.
    Forgotten,
    Failed(RedisStoreError),
}

impl From<RedisStoreError> for Stop {
    fn from(error: RedisStoreError) -> Self {
        Self::Failed(error)
    }
}

impl Listener {
    /// Makes the stream.
    pub(super) async fn start(shared: Arc<Shared>) -> Result<Self, RedisStoreError> {
        let mut listener = Self {
            stream: "".into(),
            streams: 0,
            heard: (0, 0),
            untrimmed: (0, 0),
            entries: READ_ENTRIES,
            last_word: Instant::now(),
            is_lost: true,
            shared,
        };
        listener.begin_stream().await?;
        Ok(listener)
    }

    /// Listens until the task is stopped.
    pub(super) async fn run(mut self) {
        loop {
            let stop = match self.session().await {
                Ok(never) => match never {},
                Err(stop) => stop,
            };
            match stop {
                Stop::Forgotten => self.lose("it was emptied"),
                Stop::Failed(error) => {
                    if self.left().is_zero() {
                        self.lose(&error.to_string());
                    } else {
                        tracing::debug!(%error, "the connection for answers broke");
                    }
                    tokio::time::sleep(PAUSE.min(self.left().max(Duration::from_millis(1)))).await;
                }
            }
        }
    }

    /// How long Redis may still be silent before it counts as lost.
    fn left(&self) -> Duration {
        self.shared.timings.patience.saturating_sub(self.last_word.elapsed())
    }

    fn lose(&mut self, why: &str) {
        if self.is_lost {
            return;
        }
        self.is_lost = true;
        let waiting = self.shared.routes.lose();
        tracing::error!(waiting, why, "the queue in Redis is lost; all calls that wait for an answer are told so");
    }

    async fn begin_stream(&mut self) -> Result<(), RedisStoreError> {
        let old = std::mem::replace(&mut self.stream, format!("{}-{}", self.shared.process, self.streams).into());
        self.streams += 1;
        let timings = &self.shared.timings;
        let making = self.shared.pool.script(&scripts::LISTEN).arg(&*self.stream).arg(&*old);
        let made = making.arg(millis(timings.answers)).run::<i64>().await;
        if let Err(error) = made {
            // It is not known to exist; the one before is still to be removed.
            self.stream = old;
            return Err(error);
        }
        (self.heard, self.untrimmed) = ((0, 0), (0, 0));
        self.last_word = Instant::now();
        if self.streams > 1 {
            tracing::warn!("the queue in Redis is there again");
        }
        self.is_lost = false;
        self.shared.routes.listen(Arc::clone(&self.stream));
        Ok(())
    }

    /// Reads over one connection until it fails.
    async fn session(&mut self) -> Result<std::convert::Infallible, Stop> {
        let block = self.shared.timings.block;
        // Once it is lost there is no hurry any more.
        let within = if self.is_lost { self.shared.timings.patience } else { self.left().clamp(block / 5, block) };
        let mut connection = self.shared.pool.dedicated(within).await?;
        if self.is_lost {
            self.begin_stream().await?;
        } else {
            self.ask_for_missing().await?;
        }
        loop {
            self.read(&mut connection).await?;
        }
    }

    /// A Redis that died may come back without its last moments. Whose job was among them learns it now, not at a deadline.
    async fn ask_for_missing(&self) -> Result<(), RedisStoreError> {
        for some in self.shared.routes.queued().chunks(ASKED_AT_ONCE) {
            let mut asking = self.shared.pool.script(&scripts::MISSING).arg(&*self.stream);
            for &request_id in some {
                asking = asking.arg(Header::without_run(request_id, Kind::Mark).to_text()).arg(request_id.to_string());
            }
            let missing = asking.run::<usize>().await?;
            if missing > 0 {
                tracing::warn!(missing, "jobs are not in Redis any more; if they have not ended, their calls are told");
            }
        }
        Ok(())
    }

    async fn read(&mut self, connection: &mut MultiplexedConnection) -> Result<(), Stop> {
        let timings = self.shared.timings;
        let key = self.shared.pool.key(format_args!("replies:{}", self.stream));
        let (milliseconds, number) = self.heard;
        let mut pipeline = redis::pipe();
        let (entries, bytes) = self.untrimmed;
        if entries >= TRIM_ENTRIES || bytes >= TRIM_BYTES {
            let after = format!("{milliseconds}-{}", number.saturating_add(1));
            pipeline.cmd("XTRIM").arg(&key).arg("MINID").arg("=").arg(after).ignore();
            self.untrimmed = (0, 0);
        }
        pipeline.cmd("XREAD").arg("COUNT").arg(self.entries).arg("BLOCK").arg(millis(timings.block));
        pipeline.arg("STREAMS").arg(&key).arg(format!("{milliseconds}-{number}"));
        pipeline.cmd("EXISTS").arg(&key);
        // A blocked read answers within its block time; what is silent for longer is cut, and there is time left for another connection.
        let limit = timings.block + timings.patience.saturating_sub(timings.block) / 2;
        let asked = Instant::now();
        let (read, exists): (Value, bool) = match timeout(limit, pipeline.query_async(connection)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(self.shared.pool.failed(&error).into()),
            Err(_) => {
                if asked.elapsed() > limit + (timings.patience - timings.patience.min(limit)) {
                    // We stood still ourselves, so Redis had no chance to be heard.
                    self.last_word = Instant::now();
                }
                // Perhaps so much came that it takes long.
                self.entries = (self.entries / 2).max(1);
                return Err(self.shared.pool.timed_out().into());
            }
        };
        if !exists {
            return Err(Stop::Forgotten);
        }
        self.last_word = Instant::now();
        self.entries = (self.entries * 2).min(READ_ENTRIES);
        let mut is_idle = true;
        for (id, header, body) in entries_of(read) {
            is_idle = false;
            self.heard = id;
            self.untrimmed.0 += 1;
            self.untrimmed.1 += body.len();
            match Header::parse(&header) {
                Some(header) => self.shared.routes.deliver(&header, body),
                None => tracing::error!("an answer has a header that this program cannot read"),
            }
        }
        if is_idle && self.untrimmed.0 > 0 {
            self.untrimmed.0 = TRIM_ENTRIES;
        }
        Ok(())
    }
}

/// The entries of the one stream that was read: id, header, body.
fn entries_of(read: Value) -> impl Iterator<Item = ((u64, u64), Vec<u8>, Bytes)> {
    let array = |value: Value| if let Value::Array(items) = value { items } else { Vec::new() };
    // [[key, [[id, [name, value, name, value]], ...]]]
    let stream = array(read).into_iter().next().map(array).and_then(|stream| stream.into_iter().nth(1));
    stream.map(array).unwrap_or_default().into_iter().filter_map(move |entry| {
        let mut entry = array(entry).into_iter();
        let id = entry.next().and_then(entry_id)?;
        let mut fields = array(entry.next()?).into_iter();
        let mut header = None;
        let mut body = None;
        while let (Some(Value::BulkString(name)), Some(Value::BulkString(value))) = (fields.next(), fields.next()) {
            match name.as_slice() {
                b"h" => header = Some(value),
                b"b" => body = Some(value),
                _ => {}
            }
        }
        // One without fields still has to be passed over.
        Some((id, header.unwrap_or_default(), body.unwrap_or_default().into()))
    })
}

fn entry_id(value: Value) -> Option<(u64, u64)> {
    let Value::BulkString(id) = value else { return None };
    let (milliseconds, number) = std::str::from_utf8(&id).ok()?.split_once('-')?;
    Some((milliseconds.parse().ok()?, number.parse().ok()?))
}
