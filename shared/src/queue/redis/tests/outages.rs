//! Redis away, emptied, stalled and back.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::super::super::{Delivery, End, Frames, Interruption, Queue, Silence, SubmitError};
use super::super::{RedisQueue, Timings};
use super::server::Redis;
use super::{
    A, LIMITS, all_of, ask, call, chunk, job_of, new_pool, pool_of, queue_of, submitted, taken, timings, until, within,
};
use crate::redis_store::RedisPool;

/// What is promised: a lost queue is told within this.
const TOLD_WITHIN: Duration = Duration::from_secs(2);
/// And it works again within this, once Redis is back.
const BACK_WITHIN: Duration = Duration::from_secs(5);

struct Scene {
    redis: Redis,
    pool: RedisPool,
    api: Arc<RedisQueue>,
    worker: Arc<RedisQueue>,
}

async fn scene(timings: Timings) -> Scene {
    let redis = Redis::start();
    // As two processes, each with connections of its own.
    let (pool, workers_pool) = (pool_of(redis.url(), "test").await, pool_of(redis.url(), "test").await);
    // Otherwise it may lose its last second, and what is lost would be chance.
    ask::<String>(&pool, &["CONFIG", "SET", "appendfsync", "always"]).await;
    let api = queue_of(&pool, LIMITS, false, timings).await;
    let worker = queue_of(&workers_pool, LIMITS, true, timings).await;
    Scene { redis, pool, api, worker }
}

impl Scene {
    /// One call that runs and has sent something, and one that waits.
    async fn begin(&self) -> (Delivery, [Frames; 2]) {
        let (_, mut running) = submitted(&self.api, A).await;
        let delivery = taken(&self.worker).await;
        delivery.send(chunk("a")).await.unwrap();
        assert!(within(running.next()).await.is_ok());
        let (_, waiting) = submitted(&self.api, A).await;
        (delivery, [running, waiting])
    }

    async fn works_again_since(&self, back: Instant) {
        within(async {
            loop {
                let job = super::lasting(A);
                let request_id = job.request_id;
                if let Ok(mut frames) = self.api.submit(job).await {
                    // What was there before may come first; nobody waits for it.
                    loop {
                        let delivery = taken(&self.worker).await;
                        let is_ours = delivery.job.request_id == request_id;
                        let finished = self.worker.finish(delivery, End::Lost).await;
                        assert_eq!(finished.is_ok(), is_ours);
                        if is_ours {
                            break;
                        }
                    }
                    assert_eq!(all_of(&mut frames).await, ["end"]);
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        assert!(back.elapsed() < BACK_WITHIN, "{:?}", back.elapsed());
        // And with all slots.
        for _ in 0..LIMITS.slots + 1 {
            call(&self.api, &self.worker).await;
        }
    }
}

async fn all_are_told(frames: [Frames; 2], since: Instant) {
    for mut frames in frames {
        assert_eq!(within(frames.next()).await.unwrap_err(), Silence::QueueLost);
    }
    assert!(since.elapsed() < TOLD_WITHIN, "{:?}", since.elapsed());
}

#[tokio::test]
async fn all_who_wait_are_told_when_redis_is_emptied_and_it_works_again() {
    let scene = scene(Timings::default()).await;
    let (delivery, frames) = scene.begin().await;
    let emptied = Instant::now();
    ask::<String>(&scene.pool, &["FLUSHALL"]).await;
    all_are_told(frames, emptied).await;
    assert_eq!(scene.worker.finish(delivery, End::Lost).await, Err(Interruption::LeaseLost));
    scene.works_again_since(emptied).await;
}

#[tokio::test]
async fn all_who_wait_are_told_when_redis_dies_and_it_works_again_on_an_empty_one() {
    let mut scene = scene(Timings::default()).await;
    let (delivery, frames) = scene.begin().await;
    let killed = Instant::now();
    scene.redis.kill9();
    all_are_told(frames, killed).await;
    let refused = Instant::now();
    assert_eq!(scene.api.room(A).await, Err(SubmitError::Unavailable));
    assert_eq!(scene.api.submit(job_of(A)).await.unwrap_err(), SubmitError::Unavailable);
    assert!(refused.elapsed() < TOLD_WITHIN, "{:?}", refused.elapsed());
    assert_eq!(scene.worker.finish(delivery, End::Lost).await, Err(Interruption::ClientLeft));
    scene.redis.start_again_empty();
    scene.works_again_since(Instant::now()).await;
}

#[tokio::test]
async fn all_who_wait_are_told_when_redis_is_stalled_and_it_works_again() {
    let scene = scene(Timings::default()).await;
    let (_delivery, frames) = scene.begin().await;
    let stalled = Instant::now();
    signal(&scene.redis, "STOP");
    all_are_told(frames, stalled).await;
    let refused = Instant::now();
    assert_eq!(scene.api.submit(job_of(A)).await.unwrap_err(), SubmitError::Unavailable);
    assert!(refused.elapsed() < TOLD_WITHIN, "{:?}", refused.elapsed());
    signal(&scene.redis, "CONT");
    scene.works_again_since(Instant::now()).await;
}

fn signal(redis: &Redis, signal: &str) {
    let name = format!("-{signal}");
    assert!(Command::new("kill").args([&name, &redis.pid().to_string()]).status().unwrap().success());
}

#[tokio::test]
async fn what_waits_and_what_runs_outlives_a_quick_restart() {
    let mut scene = scene(timings()).await;
    let (delivery, [mut running, mut waiting]) = scene.begin().await;
    scene.redis.kill9();
    scene.redis.start_again();
    delivery.send(chunk("b")).await.unwrap();
    scene.worker.finish(delivery, End::Lost).await.unwrap();
    assert_eq!(all_of(&mut running).await, ["b", "end"]);
    scene.worker.finish(taken(&scene.worker).await, End::Lost).await.unwrap();
    assert_eq!(all_of(&mut waiting).await, ["end"]);
}

#[tokio::test]
async fn what_is_left_of_a_lost_queue_reaches_no_provider() {
    let mut scene = scene(Timings::default()).await;
    let (_, mut frames) = submitted(&scene.api, A).await;
    scene.redis.kill9();
    assert_eq!(within(frames.next()).await.unwrap_err(), Silence::QueueLost);
    scene.redis.start_again();
    // The job is there again, but the one who waited was told otherwise.
    let delivery = taken(&scene.worker).await;
    assert_eq!(within(scene.worker.watch(&delivery)).await, Interruption::ClientLeft);
    assert_eq!(scene.worker.finish(delivery, End::Lost).await, Err(Interruption::ClientLeft));
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_cut_lose_nothing() {
    let Scene { redis, pool, api, worker } = scene(timings()).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let cutter = tokio::spawn({
        let (is_over, pool) = (Arc::clone(&is_over), pool_of(redis.url(), "cutter").await);
        async move {
            let mut cuts = 0;
            while !is_over.load(Ordering::SeqCst) {
                for kind in ["normal", "pubsub"] {
                    let cut = redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg(kind).clone();
                    pool.command::<i64>(&cut).await.unwrap();
                }
                cuts += 1;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            cuts
        }
    });
    let working = (0..4).map(|_| {
        let worker = Arc::clone(&worker);
        tokio::spawn(async move {
            while let Some(delivery) = worker.take().await {
                delivery.send(chunk("a")).await.unwrap();
                delivery.send(chunk("b")).await.unwrap();
                // An end that was sent just before a cut is perhaps not known to have been sent.
                let _ = worker.finish(delivery, End::Lost).await;
            }
        })
    });
    let working: Vec<_> = working.collect();
    for _ in 0..10 {
        let calls = (0..30).map(|_| {
            let api = Arc::clone(&api);
            tokio::spawn(async move { all_of(&mut submitted(&api, A).await.1).await })
        });
        for call in calls.collect::<Vec<_>>() {
            assert_eq!(within(call).await.unwrap(), ["a", "b", "end"]);
        }
    }
    is_over.store(true, Ordering::SeqCst);
    assert!(within(cutter).await.unwrap() > 1);
    worker.close();
    for task in working {
        within(task).await.unwrap();
    }
    let depth = api.depth().await;
    assert_eq!((depth.waiting, depth.running), (0, 0));
    drop(pool);
}

#[tokio::test]
async fn a_group_that_is_gone_is_made_again() {
    let pool = new_pool().await;
    let queue = queue_of(&pool, LIMITS, true, timings()).await;
    call(&queue, &queue).await;
    ask::<i64>(&pool, &["XGROUP", "DESTROY", &pool.key("jobs"), "workers"]).await;
    call(&queue, &queue).await;
    ask::<i64>(&pool, &["DEL", &pool.key("jobs")]).await;
    call(&queue, &queue).await;
    ask::<String>(&pool, &["SCRIPT", "FLUSH"]).await;
    call(&queue, &queue).await;
}

#[tokio::test]
async fn a_worker_without_redis_loses_its_lease_when_it_runs_out() {
    let lease = Duration::from_millis(800);
    let timings = Timings { lease, renew: Duration::from_millis(200), ..Timings::default() };
    let mut scene = scene(timings).await;
    let (_, _frames) = submitted(&scene.api, A).await;
    let delivery = taken(&scene.worker).await;
    scene.redis.kill9();
    assert_eq!(within(scene.worker.watch(&delivery)).await, Interruption::LeaseLost);
    until(async || delivery.send(chunk("a")).await.is_err()).await;
    assert_eq!(within(scene.worker.finish(delivery, End::Lost)).await, Err(Interruption::LeaseLost));
}

#[tokio::test]
async fn who_waits_for_a_job_that_redis_came_back_without_is_told() {
    let Scene { pool, api, worker, redis: _redis } = scene(timings()).await;
    let (kept, mut kept_frames) = submitted(&api, A).await;
    let (lost, mut lost_frames) = submitted(&api, A).await;
    let (job, body) = (pool.key(format_args!("job:{lost}")), pool.key(format_args!("body:{lost}")));
    let token: String = ask(&pool, &["HGET", &job, "owner"]).await;
    assert_eq!(ask::<i64>(&pool, &["XDEL", &pool.key("jobs"), &token]).await, 1);
    assert_eq!(ask::<i64>(&pool, &["ZREM", &pool.key("leases"), &format!("1001:{lost}")]).await, 1);
    assert_eq!(ask::<i64>(&pool, &["SREM", &pool.key("running:1001"), &lost.to_string()]).await, 1);
    assert_eq!(ask::<i64>(&pool, &["DEL", &job, &body]).await, 2);
    ask::<i64>(&pool, &["CLIENT", "KILL", "TYPE", "normal"]).await;
    assert_eq!(within(lost_frames.next()).await.unwrap_err(), Silence::QueueLost);
    let delivery = taken(&worker).await;
    assert_eq!(delivery.job.request_id, kept);
    worker.finish(delivery, End::Lost).await.unwrap();
    assert_eq!(all_of(&mut kept_frames).await, ["end"]);
}

#[tokio::test]
async fn a_redis_without_memory_refuses_jobs_and_lets_those_that_it_has_end() {
    let scene = scene(timings()).await;
    let (delivery, [mut running, mut waiting]) = scene.begin().await;
    ask::<String>(&scene.pool, &["CONFIG", "SET", "maxmemory", "1"]).await;
    assert_eq!(scene.api.submit(job_of(A)).await.unwrap_err(), SubmitError::Unavailable);
    delivery.send(chunk("b")).await.unwrap();
    scene.worker.finish(delivery, End::Lost).await.unwrap();
    assert_eq!(all_of(&mut running).await, ["b", "end"]);
    scene.worker.finish(taken(&scene.worker).await, End::Lost).await.unwrap();
    assert_eq!(all_of(&mut waiting).await, ["end"]);
    ask::<String>(&scene.pool, &["CONFIG", "SET", "maxmemory", "0"]).await;
    call(&scene.api, &scene.worker).await;
}

#[tokio::test]
async fn a_process_that_stood_still_does_not_take_redis_for_lost() {
    let scene = scene(Timings::default()).await;
    let (delivery, [mut running, _waiting]) = scene.begin().await;
    // All tasks of this test run on this one thread.
    std::thread::sleep(Timings::default().patience * 2);
    scene.worker.finish(delivery, End::Lost).await.unwrap();
    assert_eq!(all_of(&mut running).await, ["end"]);
}

#[tokio::test]
async fn what_was_said_while_the_connection_for_hints_was_cut_is_heard() {
    let Scene { pool, api: _api, worker: queue, redis: _redis } = scene(timings()).await;
    let (request_id, _frames) = submitted(&queue, A).await;
    let delivery = taken(&queue).await;
    let mut watching = Box::pin(queue.watch(&delivery));
    assert!(tokio::time::timeout(Duration::from_millis(10), &mut watching).await.is_err());
    // As if it had been said without a hint.
    ask::<i64>(&pool, &["HSET", &pool.key(format_args!("job:{request_id}")), "told", "1"]).await;
    ask::<i64>(&pool, &["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    let cut = Instant::now();
    assert_eq!(within(watching).await, Interruption::ClientLeft);
    assert!(cut.elapsed() < timings().renew / 2, "{:?}", cut.elapsed());
}
