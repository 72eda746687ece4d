//! The limits of many processes, in Redis: one script a check, whose clock is Redis's own.
//!
//! A place is a lease that ends by itself, so a process that dies frees its places. It is short at first (a check whose answer never
//! arrived leaves one that nobody holds), and long once its holder has shown that it is there. Everything in Redis expires. Losing
//! all of it costs nobody money: the rates begin anew, and the calls that run have their places back at their next renewal.

mod lease;
#[cfg(test)]
mod server;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use ::redis::{RedisError, Script, ScriptInvocation};
use async_trait::async_trait;
use deadpool_redis::{Pool, PoolError};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use self::lease::{LeaseId, RedisLease, keep};
use super::allowance::Usage;
use super::bucket::Bucket;
use super::{Exceeded, KeyLimits, Lease, LimitError, Limits, Permit};
use crate::clock::Clock;
use crate::secret_key::KeyId;

/// How long Redis may take for one script, a new connection included.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// How long places last.
#[derive(Debug, Clone, Copy)]
struct LeaseTimes {
    /// Until the first renewal, in milliseconds.
    first_ms: u64,
    /// After a renewal, in milliseconds. Also the longest that a set of places outlives its last one.
    renewed_ms: u64,
    /// When the first renewal comes.
    first_renewal: Duration,
    /// When the others come.
    renewal: Duration,
    /// When one comes that has failed.
    retry: Duration,
}

impl LeaseTimes {
    const USUAL: Self = Self {
        first_ms: 4_000,
        renewed_ms: 60_000,
        first_renewal: Duration::from_millis(1_500),
        renewal: Duration::from_secs(20),
        retry: Duration::from_secs(1),
    };
}

/// The [`Limits`] of all processes that share a Redis.
pub struct RedisLimits {
    store: Arc<Store>,
    /// Where Redis is asked and places are kept: not on the thread of a connection that is going away.
    runtime: Handle,
    times: LeaseTimes,
}

impl std::fmt::Debug for RedisLimits {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("RedisLimits").field("prefix", &self.store.prefix).finish_non_exhaustive()
    }
}

impl RedisLimits {
    /// Limits whose keys in Redis begin with `prefix`, such as `xiaoyi:`. Call it inside the runtime that lives as long as the process.
    /// The pool's own waits should be bounded; beyond 1.5 s nothing here waits for it.
    pub fn new(pool: Pool, prefix: impl Into<String>) -> Self {
        Self::with(pool, prefix.into(), None, LeaseTimes::USUAL)
    }

    /// With `clock`, Redis's own is not asked: a test moves it by hand.
    fn with(pool: Pool, prefix: String, clock: Option<Clock>, times: LeaseTimes) -> Self {
        let script = |text: &str| Script::new(text);
        let store = Store {
            pool,
            prefix,
            clock,
            check: script(include_str!("redis/check.lua")),
            renew: script(include_str!("redis/renew.lua")),
            release: script(include_str!("redis/release.lua")),
        };
        Self { store: Arc::new(store), runtime: Handle::current(), times }
    }
}

#[async_trait]
impl Limits for RedisLimits {
    async fn take(&self, key: KeyId, limits: &KeyLimits, tokens: u64) -> Result<Permit, LimitError> {
        let (store, limits, times) = (Arc::clone(&self.store), *limits, self.times);
        let (answer, answered) = oneshot::channel();
        // A task of its own: what Redis has booked is taken back also when nobody waits for the answer any more.
        self.runtime.spawn(async move {
            let lease = LeaseId::new(key);
            let usage = match store.check(&lease, &limits, tokens, times).await {
                Ok(Verdict { passes: true, usage }) => usage,
                Ok(Verdict { passes: false, usage }) => {
                    return drop(answer.send(Err(refused(&limits, &usage, tokens))));
                }
                Err(error) => {
                    tracing::error!(%error, "the limits of a key could not be asked; its call is refused");
                    return drop(answer.send(Err(LimitError::Unavailable)));
                }
            };
            let allowances = usage.allowances(&limits);
            if limits.concurrency.is_none() {
                return drop(answer.send(Ok(Permit { allowances, lease: None })));
            }
            let (held, place) = RedisLease::new();
            let held: Box<dyn Lease> = Box::new(held);
            // A permit that nobody takes is dropped here, which ends the place at once.
            drop(answer.send(Ok(Permit { allowances, lease: Some(held) })));
            keep(&store, &lease, place, times).await;
        });
        answered.await.unwrap_or(Err(LimitError::Unavailable))
    }
}

fn refused(limits: &KeyLimits, usage: &Usage, tokens: u64) -> LimitError {
    match Exceeded::by(limits, usage, tokens) {
        Some(exceeded) => exceeded.into(),
        None => {
            tracing::error!("Redis refused a call that its own numbers allow");
            LimitError::Unavailable
        }
    }
}

/// What the script says.
struct Verdict {
    passes: bool,
    usage: Usage,
}

/// Redis, and what is run there.
struct Store {
    pool: Pool,
    prefix: String,
    clock: Option<Clock>,
    check: Script,
    renew: Script,
    release: Script,
}

/// Why Redis could not be asked.
#[derive(Debug, thiserror::Error)]
enum StoreError {
    #[error("no connection to Redis: {0}")]
    Pool(#[from] PoolError),
    #[error("Redis refused a script: {0}")]
    Script(#[from] RedisError),
    #[error("Redis did not answer within {PATIENCE:?}")]
    Silent,
}

impl Store {
    async fn check(
        &self,
        lease: &LeaseId,
        limits: &KeyLimits,
        tokens: u64,
        times: LeaseTimes,
    ) -> Result<Verdict, StoreError> {
        let number = |limit: Option<std::num::NonZeroU32>| limit.map_or(0, std::num::NonZeroU32::get);
        let mut script = self.check.prepare_invoke();
        script.key(self.rates(lease.key)).key(self.places(lease.key));
        script.arg(self.moment()).arg(number(limits.rpm)).arg(number(limits.tpm)).arg(number(limits.concurrency));
        script.arg(tokens).arg(&lease.member).arg(times.first_ms).arg(times.renewed_ms);
        let (passes, requests, of_tokens, running): (u8, u64, u64, u32) = self.run(&script).await?;
        let usage = Usage {
            requests: limits.rpm.map(|limit| Bucket { limit, spent: requests }),
            tokens: limits.tpm.map(|limit| Bucket { limit, spent: of_tokens }),
            running,
        };
        Ok(Verdict { passes: passes == 1, usage })
    }

    async fn renew(&self, lease: &LeaseId, lasts_ms: u64) -> Result<(), StoreError> {
        let mut script = self.renew.prepare_invoke();
        script.key(self.places(lease.key)).arg(self.moment()).arg(&lease.member).arg(lasts_ms);
        self.run::<u8>(&script).await.map(drop)
    }

    async fn release(&self, lease: &LeaseId) -> Result<(), StoreError> {
        let mut script = self.release.prepare_invoke();
        script.key(self.places(lease.key)).arg(&lease.member);
        self.run::<u8>(&script).await.map(drop)
    }

    async fn run<T: ::redis::FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, StoreError> {
        let asking = async {
            let mut connection = self.pool.get().await?;
            Ok(script.invoke_async(&mut connection).await?)
        };
        tokio::time::timeout(PATIENCE, asking).await.unwrap_or(Err(StoreError::Silent))
    }

    /// The braces keep all of a key in one slot of a cluster.
    fn rates(&self, key: KeyId) -> String {
        format!("{}limits:{{{key}}}:rates", self.prefix)
    }

    fn places(&self, key: KeyId) -> String {
        format!("{}limits:{{{key}}}:places", self.prefix)
    }

    /// Empty: Redis's own.
    fn moment(&self) -> String {
        self.clock.as_ref().map(|clock| clock.now().0.to_string()).unwrap_or_default()
    }
}
