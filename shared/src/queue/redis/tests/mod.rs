//! The queue on Redis, against real servers.

mod accept;
mod answers;
mod connections;
mod leases;
mod older_state;
mod outages;
mod processes;
mod rate;
mod server;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use redis::FromRedisValue;
use tokio::time::timeout;

use super::super::contract::{LIMITS, job_of, queue_contract};
use super::super::{Chunk, Deadlines, Delivery, End, Frame, Frames, Job, Queue, QueueLimits};
use super::{RedisQueue, Timings};
use crate::clock::Clock;
use crate::id::{ProcessId, RequestId, TenantId};
use crate::redis_store::{RedisPool, RedisSettings};
use crate::tokens::Tally;

const A: TenantId = TenantId(1001);
const B: TenantId = TenantId(1002);

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
    Timings { patience: Duration::from_secs(10), young: Duration::from_secs(60), ..Timings::default() }
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

/// Longer than anything here takes: what has not come by then never comes.
const NEVER: Duration = Duration::from_secs(30);

async fn within<F: Future>(future: F) -> F::Output {
    timeout(NEVER, future).await.expect("it never came")
}

/// Waits until something is so.
async fn until(is_so: impl AsyncFn() -> bool) {
    within(async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// A pool under a prefix of its own, on the server of all tests.
async fn new_pool() -> RedisPool {
    pool_of(server::shared_redis().url(), &new_prefix()).await
}

/// Runs one command on the pool's Redis.
async fn ask<T: FromRedisValue>(pool: &RedisPool, words: &[&str]) -> T {
    let mut command = redis::Cmd::new();
    words.iter().for_each(|word| {
        command.arg(word);
    });
    pool.command(&command).await.unwrap()
}

/// A job with a minute for its first text.
fn lasting(tenant: TenantId) -> Job {
    let now = Clock::default().now();
    let deadlines = Deadlines { first_text: now.plus_ms(60_000), between_chunks_ms: 30_000, end: now.plus_ms(600_000) };
    Job { accepted_at: now, deadlines, ..job_of(tenant) }
}

async fn submitted(queue: &RedisQueue, tenant: TenantId) -> (RequestId, Frames) {
    let job = lasting(tenant);
    (job.request_id, queue.submit(job).await.unwrap())
}

async fn taken(queue: &RedisQueue) -> Delivery {
    within(queue.take()).await.expect("the queue is open")
}

async fn nothing_to_take(queue: &RedisQueue) {
    if let Ok(delivery) = timeout(Duration::from_millis(200), queue.take()).await {
        panic!("delivered: {delivery:?}");
    }
}

fn chunk(text: &str) -> Chunk {
    Chunk { json: text.to_owned().into(), generated: Tally { texts: 1, hanzi: 0, words: 1, tokens: 1 } }
}

/// All that comes until the end: chunks, then `end` or why there is none.
async fn all_of(frames: &mut Frames) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        match within(frames.next()).await {
            Ok(Frame::Chunk(chunk)) => all.push(String::from_utf8(chunk.json.to_vec()).unwrap()),
            Ok(Frame::End(_)) => {
                all.push("end".to_owned());
                return all;
            }
            Err(silence) => {
                all.push(format!("{silence:?}"));
                return all;
            }
        }
    }
}

/// A call from its beginning to its end.
async fn call(api: &RedisQueue, worker: &RedisQueue) {
    let (request_id, mut frames) = submitted(api, A).await;
    let delivery = taken(worker).await;
    assert_eq!(delivery.job.request_id, request_id);
    worker.finish(delivery, End::Lost).await.unwrap();
    assert_eq!(all_of(&mut frames).await, ["end"]);
}
