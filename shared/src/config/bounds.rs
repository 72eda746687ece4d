//! Settings that bound what can grow or wait: deadlines, queues, caches, bodies. Each says its range; the
//! same ranges stand in `default.toml`, and a test compares them.

use serde::{Deserialize, Deserializer};

use super::value::{between, one, parsed};

/// How long things may take, in seconds.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeadlineSettings {
    /// One call in all, waiting included: 1 to 86400.
    #[serde(deserialize_with = "between::<_, _, 1, 86_400>")]
    pub total_s: u64,
    /// Until the first text of an answer: 1 to 86400.
    #[serde(deserialize_with = "between::<_, _, 1, 86_400>")]
    pub first_text_s: u64,
    /// Between two pieces of an answer: 1 to 86400.
    #[serde(deserialize_with = "between::<_, _, 1, 86_400>")]
    pub between_chunks_s: u64,
    /// Connecting to a provider: 1 to 600.
    #[serde(deserialize_with = "between::<_, _, 1, 600>")]
    pub connect_s: u64,
    /// Asking the database whether a call was charged; after that its outcome is unknown: 1 to 600.
    #[serde(deserialize_with = "between::<_, _, 1, 600>")]
    pub database_s: u64,
}

/// What may wait.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueSettings {
    /// Calls that may wait in all: 1 to 1000000.
    #[serde(deserialize_with = "between::<_, _, 1, 1_000_000>")]
    pub capacity: usize,
    /// Calls of one tenant that may wait: 1 to 1000000.
    #[serde(deserialize_with = "between::<_, _, 1, 1_000_000>")]
    pub tenant_share: usize,
    /// Bytes of calls of more than 64 KiB that may wait or run: 33554432 to 1099511627776.
    #[serde(deserialize_with = "between::<_, _, 33_554_432, 1_099_511_627_776>")]
    pub large_bytes: usize,
    /// Pieces of one answer kept for a slow client before it is treated as gone: 1 to 65536.
    #[serde(deserialize_with = "between::<_, _, 1, 65_536>")]
    pub frames: usize,
}

/// What is done at the same time.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerSettings {
    /// Calls to providers at the same time: 1 to 100000.
    #[serde(deserialize_with = "between::<_, _, 1, 100_000>")]
    pub concurrency: usize,
}

/// How keys are checked.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeysSettings {
    /// Seconds for which a checked key is remembered: 1 to 30.
    #[serde(deserialize_with = "between::<_, _, 1, 30>")]
    pub cache_s: u64,
    /// Checked keys that are remembered: 1 to 10000000.
    #[serde(deserialize_with = "between::<_, _, 1, 10_000_000>")]
    pub cache_entries: u64,
    /// Keys that are hashed at the same time: 1 to 64.
    #[serde(deserialize_with = "between::<_, _, 1, 64>")]
    pub hash_concurrency: usize,
}

/// The largest bodies, and all of them together, in bytes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsSettings {
    /// Of a call whose key is in a header: 1024 to 1073741824.
    #[serde(deserialize_with = "between::<_, _, 1024, 1_073_741_824>")]
    pub body_bytes: usize,
    /// Of a call whose key is in the body: 1024 to 1073741824.
    #[serde(deserialize_with = "between::<_, _, 1024, 1_073_741_824>")]
    pub keyed_body_bytes: usize,
    /// Of all calls whose bodies are on their way: 1048576 to 1099511627776. See [`LimitsSettings::bodies_bytes`].
    #[serde(deserialize_with = "between::<_, _, 1_048_576, 1_099_511_627_776>")]
    bodies_bytes: usize,
}

impl LimitsSettings {
    /// Bytes that bodies on their way may have all together. Half of it is one tenant's, an eighth one network's that shows no key before: so
    /// it is never less than what gives each of them room for the largest body.
    pub fn bodies_bytes(&self) -> usize {
        self.bodies_bytes.max(2 * self.body_bytes).max(8 * self.keyed_body_bytes)
    }
}

/// How HTTP is served.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpSettings {
    /// Threads of each listener, 0 being one for each core: 0 to 1024.
    #[serde(deserialize_with = "between::<_, _, 0, 1024>")]
    pub workers: usize,
    /// Connections that one thread keeps open: 1 to 1000000.
    #[serde(deserialize_with = "between::<_, _, 1, 1_000_000>")]
    pub max_connections: usize,
    /// Seconds for which an idle connection stays open, 0 closing it after each reply: 0 to 3600.
    #[serde(deserialize_with = "between::<_, _, 0, 3600>")]
    pub keep_alive_s: u64,
    /// Seconds that running calls may still take after the order to stop: 1 to 3600.
    #[serde(deserialize_with = "between::<_, _, 1, 3600>")]
    pub shutdown_s: u64,
    /// Seconds that a client may take to send the head of its request: 1 to 600.
    #[serde(deserialize_with = "between::<_, _, 1, 600>")]
    pub header_timeout_s: u64,
    /// Seconds for which a client may take nothing of a reply that waits for it: 1 to 3600.
    #[serde(deserialize_with = "between::<_, _, 1, 3600>")]
    pub stalled_s: u64,
}

/// What a provider may send, in bytes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpstreamSettings {
    /// The longest line of a stream: 1024 to 67108864.
    #[serde(deserialize_with = "between::<_, _, 1024, 67_108_864>")]
    pub line_bytes: usize,
    /// The largest whole answer: 1024 to 1073741824.
    #[serde(deserialize_with = "between::<_, _, 1024, 1_073_741_824>")]
    pub answer_bytes: usize,
}

/// The ledger's writer, audit and sweeper.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerSettings {
    /// Operations that are committed together: 1 to 256.
    #[serde(deserialize_with = "between::<_, _, 1, 256>")]
    pub batch: usize,
    /// Operations that may wait for the writer: 1 to 1000000.
    #[serde(deserialize_with = "between::<_, _, 1, 1_000_000>")]
    pub queue: usize,
    /// Seconds between two audits of what is new: 1 to 86400.
    #[serde(deserialize_with = "between::<_, _, 1, 86_400>")]
    pub audit_s: u64,
    /// Seconds between two searches for holds that were left behind: 1 to 3600.
    #[serde(deserialize_with = "between::<_, _, 1, 3600>")]
    pub sweep_s: u64,
    /// Seconds for which a process may be silent before its holds expire: 10 to 3600, 10 being two of its
    /// heartbeats.
    #[serde(deserialize_with = "between::<_, _, 10, 3600>")]
    pub owner_silence_s: u64,
}

/// Calls that are asked for again with the same Idempotency-Key.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdempotencySettings {
    /// Seconds for which such a call waits for the first one, before it is told to ask later: 1 to 600.
    #[serde(deserialize_with = "between::<_, _, 1, 600>")]
    pub wait_s: u64,
    /// MiB of answers that are kept in all; beyond it the oldest are forgotten: 1 to 1048576.
    #[serde(deserialize_with = "between::<_, _, 1, 1_048_576>")]
    pub keep_mib: i64,
}

/// What is kept for people to look at.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordsSettings {
    /// Days for which the details of calls are kept: 1 to 3650.
    #[serde(deserialize_with = "between::<_, _, 1, 3650>")]
    pub call_days: u32,
    /// Days for which what each end user was charged is kept in sums: 31 to 3650. See [`RecordsSettings::user_days`].
    #[serde(deserialize_with = "between::<_, _, 31, 3650>")]
    user_days: u32,
}

impl RecordsSettings {
    /// Days for which what each end user was charged is kept in sums. They are never fewer than those of the details: what a list shows of an
    /// end user's calls can always be summed.
    pub const fn user_days(&self) -> u32 {
        if self.user_days < self.call_days { self.call_days } else { self.user_days }
    }
}

/// What is logged, and how.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    /// A filter as `tracing` has them: `info,shared=debug`.
    #[serde(deserialize_with = "one")]
    pub filter: String,
    /// The form of a line.
    #[serde(deserialize_with = "log_format")]
    pub format: LogFormat,
}

/// The form of a line of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// [`LogFormat::Pretty`] on a terminal, else [`LogFormat::Json`].
    Auto,
    /// For people.
    Pretty,
    /// For machines.
    Json,
}

impl LogFormat {
    /// The name in the settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Pretty => "pretty",
            Self::Json => "json",
        }
    }
}

fn log_format<'de, D: Deserializer<'de>>(deserializer: D) -> Result<LogFormat, D::Error> {
    parsed(deserializer, |text| {
        let formats = [LogFormat::Auto, LogFormat::Pretty, LogFormat::Json];
        let named = formats.into_iter().find(|format| format.name() == text);
        named.ok_or_else(|| "must be auto, pretty or json".to_owned())
    })
}
