//! Jobs that were given up: what an operator may want to know of them. Their bodies are not kept.

use redis::streams::StreamRangeReply;

use crate::clock::Timestamp;
use crate::id::{RequestId, TenantId};
use crate::redis_store::{RedisPool, RedisStoreError};

/// A job that was given up. Redis keeps the newest 10,000 for 7 days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The call.
    pub request_id: RequestId,
    /// Whose.
    pub tenant: TenantId,
    /// Which try it was, from 1.
    pub attempt: u32,
    /// Why it was given up, for a person.
    pub reason: String,
    /// When, by the clock of Redis.
    pub at: Timestamp,
}

/// The newest first, at most so many.
pub(super) async fn newest(pool: &RedisPool, count: usize) -> Result<Vec<DeadLetter>, RedisStoreError> {
    let mut reading = redis::cmd("XREVRANGE");
    reading.arg(pool.key("dead")).arg("+").arg("-").arg("COUNT").arg(count);
    let reply: StreamRangeReply = pool.command(&reading).await?;
    let letters = reply.ids.into_iter().filter_map(|entry| {
        let at = entry.id.split_once('-')?.0.parse().ok()?;
        Some(DeadLetter {
            request_id: entry.get::<String>("id")?.parse().ok()?,
            tenant: TenantId(entry.get("tenant")?),
            attempt: entry.get("attempt")?,
            reason: entry.get("reason")?,
            at: Timestamp(at),
        })
    });
    Ok(letters.collect())
}
