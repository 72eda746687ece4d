//! How long things last; in one place, so that tests can be quick.

use std::time::Duration;

/// The times of a queue on Redis. The defaults are for production.
#[derive(Debug, Clone, Copy)]
pub struct Timings {
    /// How long a job is its worker's without a word of it.
    pub lease: Duration,
    /// How often a worker renews that.
    pub renew: Duration,
    /// How often each process says that it lives, and one of them clears up behind those that do not.
    pub tick: Duration,
    /// What was handed out and accepted by no worker for so long is handed out anew.
    pub accept: Duration,
    /// A job is so young that nobody can have given it up: who submits one waits for Redis longer than that (`patience`, and the limit of a
    /// command), and a process counts as dead much later.
    pub young: Duration,
    /// Without a word of Redis for so long, all that waits for answers is told that the queue is lost.
    pub patience: Duration,
    /// How long one read waits inside Redis.
    pub block: Duration,
    /// How long the answers of a process are kept without a word of it.
    pub answers: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(30),
            renew: Duration::from_secs(10),
            tick: Duration::from_secs(1),
            accept: Duration::from_secs(2),
            young: Duration::from_secs(1),
            patience: Duration::from_millis(1500),
            block: Duration::from_millis(500),
            answers: Duration::from_secs(60),
        }
    }
}

/// Behind a call's deadline its job is kept for so long, in milliseconds: its worker and its waiting side end before.
pub(super) const GRACE_MS: i64 = 120_000;
/// Chunks that come within this time travel together.
pub(super) const COALESCE: Duration = Duration::from_millis(5);
/// So many bytes of chunks travel at once, however fast they come.
pub(super) const COALESCE_BYTES: usize = 4096;
/// A larger body travels in parts, so that no command takes long.
pub(super) const PART_BYTES: usize = 1024 * 1024;
/// The largest end; a whole answer and what JSON makes of it.
pub(super) const MOST_END_BYTES: usize = 256 * 1024 * 1024;
/// Jobs that are accepted at once hold about so many bytes.
pub(super) const ACCEPT_BYTES: usize = 8 * 1024 * 1024;
/// While no more than this is accepted, which is one step and a short one, the next read is sent behind it.
pub(super) const OVERLAPPED_BYTES: usize = 1024 * 1024;
/// What a job may hold beside its weight: prices, names, numbers.
pub(super) const HANDED_OUT_WEIGHT: usize = 4 * 1024;
/// Entries that one read of the answers gives.
pub(super) const READ_ENTRIES: usize = 128;
/// How long accepting jobs may take: the answer brings their bodies.
pub(super) const ACCEPT_WITHIN: Duration = Duration::from_secs(5);

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
