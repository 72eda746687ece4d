//! Who may go next, and how many: capacity, shares, turns and slots.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;

use super::{A, B, LIMITS, Make, depth_becomes, job_of, looked, nothing_to_take, submitted, taken, within};
use crate::id::TenantId;
use crate::queue::{Cancellation, Delivery, End, Frames, Job, LARGE_JOB_BYTES, Queue, QueueLimits, SubmitError};

/// A job that runs, in the queue's only slot: what comes after it waits, however early a queue hands its jobs out.
async fn one_that_runs(queue: &Arc<dyn Queue>) -> (Frames, Delivery) {
    let (_, frames) = submitted(queue, TenantId(1000)).await;
    (frames, taken(queue).await)
}

pub(crate) async fn a_full_queue_refuses_until_one_is_taken(make: impl Make) {
    let queue = make(QueueLimits { capacity: 2, slots: 1, ..LIMITS }).await;
    let (_frames, running) = one_that_runs(&queue).await;
    let _waiting = (submitted(&queue, A).await, submitted(&queue, B).await);
    assert_eq!(queue.submit(job_of(TenantId(1003))).await.unwrap_err(), SubmitError::Full);
    assert_eq!(queue.room(TenantId(1003)).await.unwrap_err(), SubmitError::Full);
    assert_eq!(queue.depth().await.waiting, 2);
    queue.finish(running, End::Lost).await.unwrap();
    let _delivery = taken(&queue).await;
    assert_eq!(queue.room(TenantId(1003)).await, Ok(()));
    queue.submit(job_of(TenantId(1003))).await.unwrap();
}

pub(crate) async fn a_full_share_refuses_only_its_tenant_until_one_is_taken(make: impl Make) {
    let queue = make(QueueLimits { tenant_share: 2, slots: 1, ..LIMITS }).await;
    let (_frames, running) = one_that_runs(&queue).await;
    let _waiting = (submitted(&queue, A).await, submitted(&queue, A).await);
    assert_eq!(queue.submit(job_of(A)).await.unwrap_err(), SubmitError::TenantShareFull { share: 2 });
    assert_eq!(queue.room(A).await.unwrap_err(), SubmitError::TenantShareFull { share: 2 });
    assert_eq!(queue.room(B).await, Ok(()));
    queue.finish(running, End::Lost).await.unwrap();
    let _delivery = taken(&queue).await;
    let _other = submitted(&queue, B).await;
    queue.submit(job_of(A)).await.unwrap();
}

pub(crate) async fn large_jobs_are_bounded_by_their_bytes_until_they_end(make: impl Make) {
    const MIB: usize = 1024 * 1024;
    let queue = make(QueueLimits { slots: 2, large_bytes: 4 * MIB, ..LIMITS }).await;
    let (_frames, running) = one_that_runs(&queue).await;
    let large = |tenant| Job { fields: "x".repeat(MIB - 4096), ..job_of(tenant) };
    let mut waiting = vec![queue.submit(large(A)).await.unwrap()];
    // It runs, and is as large as before.
    let large_one = taken(&queue).await;
    waiting.push(queue.submit(large(A)).await.unwrap());
    assert!(matches!(queue.submit(large(A)).await.unwrap_err(), SubmitError::TenantShareFull { .. }));
    waiting.push(submitted(&queue, A).await.1);
    for _ in 0..2 {
        waiting.push(queue.submit(large(B)).await.unwrap());
    }
    let third = TenantId(1003);
    assert_eq!(queue.submit(large(third)).await.unwrap_err(), SubmitError::Full);
    // One that waits again is counted once.
    queue.hand_back(large_one).await;
    assert_eq!(queue.submit(large(third)).await.unwrap_err(), SubmitError::Full);
    let large_one = taken(&queue).await;
    assert!(large_one.job.weight() > LARGE_JOB_BYTES);
    assert_eq!(queue.submit(large(third)).await.unwrap_err(), SubmitError::Full);
    queue.finish(large_one, End::Lost).await.unwrap();
    let withdrawn = large(third);
    let request_id = withdrawn.request_id;
    waiting.push(queue.submit(withdrawn).await.unwrap());
    assert_eq!(queue.submit(large(third)).await.unwrap_err(), SubmitError::Full);
    queue.finish(running, End::Lost).await.unwrap();
    // Whether it waits or was handed out meanwhile.
    assert!(queue.withdraw(request_id).await || queue.cancel(request_id).await == Cancellation::Removed);
    waiting.push(queue.submit(large(third)).await.unwrap());
}

pub(crate) async fn tenants_take_turns(make: impl Make) {
    let queue = make(QueueLimits { slots: 1, ..LIMITS }).await;
    let (_frames, running) = one_that_runs(&queue).await;
    let mut waiting = Vec::new();
    for tenant in std::iter::repeat_n(A, 90).chain([B, B, TenantId(1003)]) {
        waiting.push(submitted(&queue, tenant).await);
    }
    queue.finish(running, End::Lost).await.unwrap();
    let mut order = Vec::new();
    for _ in 0..6 {
        let delivery = taken(&queue).await;
        order.push(delivery.job.tenant.0 - 1000);
        queue.finish(delivery, End::Lost).await.unwrap();
    }
    assert!(order[..2].contains(&2), "B's turn is the second at the latest: {order:?}");
    assert!(order[..3].contains(&3), "each comes once before one comes twice: {order:?}");
    assert_eq!(order.iter().filter(|&&tenant| tenant == 2).count(), 2, "{order:?}");
}

pub(crate) async fn a_tenant_alone_may_use_all_slots(make: impl Make) {
    let queue = make(LIMITS).await;
    let (mut waiting, mut running) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        waiting.push(submitted(&queue, A).await);
    }
    for _ in 0..4 {
        running.push(taken(&queue).await);
    }
    assert_eq!(queue.depth().await.running, 4);
}

/// Jobs of a tenant of their own that run, as many as there are slots; what comes after them waits until one of them ends.
async fn all_slots_used(queue: &Arc<dyn Queue>, slots: usize) -> Vec<(Frames, Delivery)> {
    let mut running = Vec::new();
    for _ in 0..slots {
        running.push(one_that_runs(queue).await);
    }
    running
}

pub(crate) async fn a_tenant_gets_half_of_the_slots_while_others_wait(make: impl Make) {
    let queue = make(QueueLimits { slots: 5, ..LIMITS }).await;
    let mut before = all_slots_used(&queue, 5).await;
    let mut waiting = Vec::new();
    for tenant in [A, A, A, A, B, B, B] {
        waiting.push(submitted(&queue, tenant).await);
    }
    let mut running = Vec::new();
    for _ in 0..4 {
        let (_frames, delivery) = before.pop().unwrap();
        queue.finish(delivery, End::Lost).await.unwrap();
        running.push(taken(&queue).await);
    }
    // Half of 5 slots is 2.
    assert_eq!(running.iter().filter(|delivery| delivery.job.tenant == A).count(), 2);
    // Both have their half and both wait: the fifth slot is for somebody else.
    let (_frames, delivery) = before.pop().unwrap();
    queue.finish(delivery, End::Lost).await.unwrap();
    nothing_to_take(&queue).await;
    waiting.push(submitted(&queue, TenantId(1003)).await);
    let delivery = taken(&queue).await;
    assert_eq!(delivery.job.tenant, TenantId(1003));
}

pub(crate) async fn a_cancellation_that_leaves_one_tenant_waiting_lets_it_go_on(make: impl Make) {
    let queue = make(QueueLimits { slots: 3, ..LIMITS }).await;
    let before = all_slots_used(&queue, 3).await;
    let of_a = [submitted(&queue, A).await, submitted(&queue, A).await];
    let of_b = [submitted(&queue, B).await, submitted(&queue, B).await];
    let mut running = Vec::new();
    for (_frames, delivery) in before {
        queue.finish(delivery, End::Lost).await.unwrap();
        if running.len() < 2 {
            running.push(taken(&queue).await);
        }
    }
    let mut taker = pin!(queue.take());
    assert!(looked(taker.as_mut()).await.is_none());
    assert_eq!(queue.cancel(of_b[1].0).await, Cancellation::Removed);
    assert_eq!(within(taker).await.unwrap().job.request_id, of_a[1].0);
}

pub(crate) async fn an_end_that_lets_two_go_on_wakes_two_workers(make: impl Make) {
    let queue = make(QueueLimits { slots: 3, ..LIMITS }).await;
    let before = all_slots_used(&queue, 3).await;
    let of_a = [submitted(&queue, A).await, submitted(&queue, A).await];
    let of_b = [submitted(&queue, B).await, submitted(&queue, B).await];
    let mut running = Vec::new();
    for (_frames, delivery) in before {
        queue.finish(delivery, End::Lost).await.unwrap();
        if running.len() < 2 {
            running.push(taken(&queue).await);
        }
    }
    let (mut one, mut other) = (pin!(queue.take()), pin!(queue.take()));
    assert!(looked(one.as_mut()).await.is_none());
    assert!(looked(other.as_mut()).await.is_none());
    // One of them is below its half again; once its last job is taken, the other waits alone.
    queue.finish(running.swap_remove(0), End::Lost).await.unwrap();
    let (one, other) = within(async { tokio::join!(one, other) }).await;
    let (one, other) = (one.unwrap().job.request_id, other.unwrap().job.request_id);
    assert_eq!(HashSet::from([one, other]), HashSet::from([of_a[1].0, of_b[1].0]));
}

pub(crate) async fn slots_bound_what_runs(make: impl Make) {
    let queue = make(QueueLimits { slots: 2, ..LIMITS }).await;
    let _waiting = [submitted(&queue, A).await, submitted(&queue, B).await, submitted(&queue, A).await];
    let (first, _second) = (taken(&queue).await, taken(&queue).await);
    nothing_to_take(&queue).await;
    let mut taker = pin!(queue.take());
    assert!(looked(taker.as_mut()).await.is_none());
    queue.finish(first, End::Lost).await.unwrap();
    assert!(within(taker).await.is_some());
}

pub(crate) async fn depth_counts_what_waits_and_what_runs(make: impl Make) {
    let queue = make(LIMITS).await;
    let depth = async || (queue.depth().await.waiting, queue.depth().await.running);
    let _waiting = [submitted(&queue, A).await, submitted(&queue, B).await, submitted(&queue, A).await];
    assert_eq!(depth().await, (3, 0));
    let (one, other) = (taken(&queue).await, taken(&queue).await);
    assert_eq!(depth().await, (1, 2));
    queue.hand_back(one).await;
    assert_eq!(depth().await, (2, 1));
    queue.finish(other, End::Lost).await.unwrap();
    assert_eq!(depth().await, (2, 0));
    queue.cancel(taken(&queue).await.job.request_id).await;
    depth_becomes(&queue, 1, 0).await; // The delivery above was dropped at once.
}
