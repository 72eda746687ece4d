//! The queue on Redis, against real servers.

mod server;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::super::contract::queue_contract;
use super::super::{Queue, QueueLimits, SLOW_CLIENT_MS};
use super::{RedisQueue, Timings};
use crate::clock::Clock;
use crate::id::ProcessId;
use crate::redis_store::{RedisPool, RedisSettings};

const LIMITS: QueueLimits =
    QueueLimits { capacity: 100, tenant_share: 100, frames: 16, slots: 4, slow_client_ms: SLOW_CLIENT_MS };

/// A prefix that no other test has.
fn new_prefix() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("test-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

async fn pool_of(url: String, prefix: &str) -> RedisPool {
    let settings = RedisSettings { prefix: prefix.to_owned(), ..RedisSettings::new(url.into()) };
    RedisPool::connect(&settings).await.unwrap()
}

/// Patient, since many tests share two processors.
fn timings() -> Timings {
    Timings { patience: Duration::from_secs(10), ..Timings::default() }
}

async fn queue_of(pool: &RedisPool, limits: QueueLimits, takes_jobs: bool, timings: Timings) -> Arc<RedisQueue> {
    let process = ProcessId::new();
    let queue = RedisQueue::connect(pool.clone(), limits, process, takes_jobs, Clock::default(), timings).await;
    Arc::new(queue.unwrap())
}

queue_contract!(async |limits| {
    let pool = pool_of(server::shared_redis().url(), &new_prefix()).await;
    queue_of(&pool, limits, true, timings()).await as Arc<dyn Queue>
});
