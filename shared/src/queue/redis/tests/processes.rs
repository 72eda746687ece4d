//! Several processes: some only ask, some only work.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::super::super::{End, Queue, QueueLimits};
use super::super::RedisQueue;
use super::{
    A, B, LIMITS, all_of, ask, call, chunk, new_pool, nothing_to_take, queue_of, submitted, taken, timings, until,
    within,
};
use crate::id::TenantId;

async fn answer_all(worker: Arc<RedisQueue>) -> usize {
    let mut answered = 0;
    while let Some(delivery) = worker.take().await {
        delivery.send(chunk(&delivery.job.request_id.to_string())).await.unwrap();
        worker.finish(delivery, End::Lost).await.unwrap();
        answered += 1;
    }
    answered
}

#[tokio::test(flavor = "multi_thread")]
async fn each_answer_goes_to_the_process_that_asked() {
    let pool = new_pool().await;
    let mut workers = Vec::new();
    for _ in 0..3 {
        let queue = queue_of(&pool, LIMITS, true, timings()).await;
        let tasks: Vec<_> = (0..4).map(|_| tokio::spawn(answer_all(Arc::clone(&queue)))).collect();
        workers.push((queue, tasks));
    }
    let mut callers = Vec::new();
    for tenant in 0..4 {
        let api = queue_of(&pool, QueueLimits { slots: 0, ..LIMITS }, false, timings()).await;
        callers.push(tokio::spawn(async move {
            for _ in 0..50 {
                let (request_id, mut frames) = submitted(&api, TenantId(1001 + tenant)).await;
                assert_eq!(all_of(&mut frames).await, [request_id.to_string(), "end".to_owned()]);
            }
        }));
    }
    for caller in callers {
        within(caller).await.unwrap();
    }
    let mut answered = 0;
    for (queue, tasks) in workers {
        queue.unregister().await;
        for task in tasks {
            answered += within(task).await.unwrap();
        }
    }
    assert_eq!(answered, 200);
}

#[tokio::test]
async fn a_process_that_only_asks_takes_nothing() {
    let pool = new_pool().await;
    let api = queue_of(&pool, LIMITS, false, timings()).await;
    let (request_id, _frames) = submitted(&api, A).await;
    nothing_to_take(&api).await;
    assert_eq!(api.depth().await.waiting, 1);
    assert_eq!(ask::<i64>(&pool, &["EXISTS", &pool.key("workers")]).await, 0);
    let worker = queue_of(&pool, LIMITS, true, timings()).await;
    assert_eq!(taken(&worker).await.job.request_id, request_id);
}

#[tokio::test]
async fn half_of_the_slots_means_those_of_all_workers() {
    let pool = new_pool().await;
    let limits = QueueLimits { slots: 2, ..LIMITS };
    let (one, other) = (queue_of(&pool, limits, true, timings()).await, queue_of(&pool, limits, true, timings()).await);
    let mut waiting = Vec::new();
    let mut before = Vec::new();
    for worker in [&one, &other, &one, &other] {
        waiting.push(submitted(&one, TenantId(1000)).await);
        before.push((worker, taken(worker).await));
    }
    for tenant in [A, A, A, A, B, B, B] {
        waiting.push(submitted(&one, tenant).await);
    }
    let mut running = Vec::new();
    for (worker, delivery) in before {
        worker.finish(delivery, End::Lost).await.unwrap();
        running.push(taken(worker).await);
    }
    let count = running.iter().fold(HashMap::<TenantId, u32>::new(), |mut count, delivery| {
        *count.entry(delivery.job.tenant).or_default() += 1;
        count
    });
    assert_eq!(count, HashMap::from([(A, 2), (B, 2)]));
    assert!(timeout(Duration::from_millis(100), one.take()).await.is_err(), "all slots are used");
}

#[tokio::test]
async fn a_worker_that_leaves_gives_up_its_slots_and_finishes_what_it_has() {
    let pool = new_pool().await;
    let limits = QueueLimits { slots: 1, ..LIMITS };
    let (one, other) = (queue_of(&pool, limits, true, timings()).await, queue_of(&pool, limits, true, timings()).await);
    let (_, mut frames) = submitted(&one, A).await;
    let delivery = taken(&one).await;
    one.unregister().await;
    assert_eq!(ask::<Vec<String>>(&pool, &["HKEYS", &pool.key("slots")]).await.len(), 1);
    delivery.send(chunk("a")).await.unwrap();
    one.finish(delivery, End::Lost).await.unwrap();
    assert_eq!(all_of(&mut frames).await, ["a", "end"]);
    // It asks no more itself, so somebody else does.
    let api = queue_of(&pool, limits, false, timings()).await;
    call(&api, &other).await;
}

#[tokio::test]
async fn the_slots_of_a_worker_that_died_are_not_counted_for_ever() {
    let pool = new_pool().await;
    let limits = QueueLimits { slots: 2, ..LIMITS };
    let (one, gone) = (queue_of(&pool, limits, true, timings()).await, queue_of(&pool, limits, true, timings()).await);
    drop(gone);
    let jobs = pool.key("jobs");
    let mut waiting = Vec::new();
    for tenant in [A, A, A, A] {
        waiting.push(submitted(&one, tenant).await);
    }
    assert_eq!(ask::<usize>(&pool, &["XLEN", &jobs]).await, 4, "it may only be slow");
    // As if its last word were old.
    let workers: Vec<String> = ask(&pool, &["ZRANGE", &pool.key("workers"), "0", "-1"]).await;
    let silent = workers.iter().find(|&worker| *worker != one.shared.worker()).unwrap();
    ask::<i64>(&pool, &["ZADD", &pool.key("workers"), "1", silent]).await;
    until(async || ask::<i64>(&pool, &["HEXISTS", &pool.key("slots"), silent]).await == 0).await;
    let _running = [taken(&one).await, taken(&one).await];
    nothing_to_take(&one).await;
}
