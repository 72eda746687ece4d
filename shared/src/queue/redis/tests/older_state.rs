//! Which jobs may have been settled before: those that another worker may have had, and those of an older state of Redis.

use std::time::Duration;

use super::super::super::{Delivery, End, Queue, QueueLimits, Timings};
use super::leases::short;
use super::server::Redis;
use super::{A, LIMITS, all_of, ask, call, new_pool, pool_of, queue_of, submitted, taken, timings, until};

#[tokio::test]
async fn a_job_that_nobody_has_had_is_not_asked_about_whether_it_waited_or_not() {
    let pool = new_pool().await;
    let queue = queue_of(&pool, QueueLimits { slots: 1, ..LIMITS }, true, timings()).await;
    call(&queue, &queue).await;
    let (_, _at_once) = submitted(&queue, A).await;
    let (_, _waits) = submitted(&queue, A).await;
    for _ in 0..2 {
        let delivery = taken(&queue).await;
        assert!(!delivery.needs_open_hold_check());
        queue.finish(delivery, End::Lost).await.unwrap();
    }
}

/// As when the process that waits for it has died, and its holds are swept.
#[tokio::test]
async fn a_job_that_waited_for_long_is_asked_about_and_so_is_one_whose_worker_stood_still() {
    let young = Duration::from_millis(300);
    let pool = new_pool().await;
    let queue = queue_of(&pool, QueueLimits { slots: 1, ..LIMITS }, true, Timings { young, ..timings() }).await;
    call(&queue, &queue).await;
    let (_, _at_once) = submitted(&queue, A).await;
    let (_, _waits) = submitted(&queue, A).await;
    let delivery = taken(&queue).await;
    until(async || delivery.needs_open_hold_check()).await;
    queue.finish(delivery, End::Lost).await.unwrap();
    assert!(taken(&queue).await.needs_open_hold_check(), "it is as old");
}

/// As when Redis stood still, or a large body before it took its time: who submitted it may have given it up.
#[tokio::test]
async fn a_job_that_was_long_on_its_way_is_asked_about() {
    let young = Duration::from_millis(300);
    let pool = new_pool().await;
    let queue = queue_of(&pool, LIMITS, true, Timings { young, ..timings() }).await;
    call(&queue, &queue).await;
    let _: redis::Value = ask(&pool, &["CLIENT", "PAUSE", "400", "WRITE"]).await;
    let (_, _frames) = submitted(&queue, A).await;
    assert!(taken(&queue).await.needs_open_hold_check());
}

#[tokio::test]
async fn a_job_from_before_the_workers_connection_is_asked_about() {
    let pool = new_pool().await;
    let api = queue_of(&pool, LIMITS, false, timings()).await;
    let (_, _frames) = submitted(&api, A).await;
    let worker = queue_of(&pool, LIMITS, true, timings()).await;
    assert!(taken(&worker).await.needs_open_hold_check());
}

#[tokio::test]
async fn a_job_that_was_handed_back_is_asked_about() {
    let pool = new_pool().await;
    let queue = queue_of(&pool, LIMITS, true, timings()).await;
    call(&queue, &queue).await;
    let (_, _frames) = submitted(&queue, A).await;
    let delivery = taken(&queue).await;
    assert!(!delivery.needs_open_hold_check());
    queue.hand_back(delivery).await;
    assert!(taken(&queue).await.needs_open_hold_check());
}

#[tokio::test]
async fn a_job_whose_worker_died_is_asked_about() {
    let pool = new_pool().await;
    let queue = queue_of(&pool, LIMITS, true, short()).await;
    call(&queue, &queue).await;
    let (_, _frames) = submitted(&queue, A).await;
    let delivery = taken(&queue).await;
    assert!(!delivery.needs_open_hold_check());
    std::mem::forget(delivery);
    let again: Delivery = taken(&queue).await;
    assert!(again.attempt == 2 && again.needs_open_hold_check());
}

#[tokio::test]
async fn a_job_that_ended_and_comes_again_with_an_older_state_is_asked_about() {
    let mut redis = Redis::start_with(|_| ["--appendfsync", "always"].map(str::to_owned).to_vec());
    let (apis_pool, workers_pool) = (pool_of(redis.url(), "test").await, pool_of(redis.url(), "test").await);
    let api = queue_of(&apis_pool, QueueLimits { slots: 0, ..LIMITS }, false, timings()).await;
    let worker = queue_of(&workers_pool, QueueLimits { slots: 1, ..LIMITS }, true, timings()).await;
    call(&api, &worker).await;
    let (handed_out, mut frames) = submitted(&api, A).await;
    let (in_line, mut others_frames) = submitted(&api, A).await;
    let before = redis.copied();
    for (request_id, frames) in [(handed_out, &mut frames), (in_line, &mut others_frames)] {
        let delivery = taken(&worker).await;
        assert_eq!(delivery.job.request_id, request_id);
        assert!(!delivery.needs_open_hold_check());
        worker.finish(delivery, End::Lost).await.unwrap();
        assert_eq!(all_of(frames).await, ["end"]);
    }
    redis.kill9();
    redis.start_again_with(&before);
    for request_id in [handed_out, in_line] {
        let delivery = taken(&worker).await;
        assert_eq!(delivery.job.request_id, request_id, "it ended, and yet it comes again");
        assert!(delivery.needs_open_hold_check());
        let _ = worker.finish(delivery, End::Lost).await;
    }
    // What comes from now on is new again, once it comes over a connection that the restart has not broken: a job that had to be sent
    // twice may have been here before.
    for _ in 0..4 {
        call(&api, &worker).await;
    }
    let (_, _frames) = submitted(&api, A).await;
    let delivery = taken(&worker).await;
    assert!(!delivery.needs_open_hold_check());
}
