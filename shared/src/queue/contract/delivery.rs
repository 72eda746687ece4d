//! A job goes to one worker and its answer to one client, whole, once and in order.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::time::timeout;

use super::{A, A_WHILE, LIMITS, Make, chunk, job_of, looked, next_chunk, nothing_to_take, submitted, taken, within};
use crate::billing::Produced;
use crate::id::{RequestId, TenantId};
use crate::queue::{Cancellation, End, Frame, Queue, QueueLimits, Try, TryOutcome, Way};

pub(crate) async fn a_job_arrives_whole_and_once(make: impl Make) {
    let queue = make(LIMITS).await;
    let job = job_of(A);
    let _frames = queue.submit(job.clone()).await.unwrap();
    let delivery = taken(&queue).await;
    assert_eq!(serde_json::to_value(&delivery.job).unwrap(), serde_json::to_value(&job).unwrap());
    assert_eq!(delivery.attempt, 1);
    nothing_to_take(&queue).await;
}

pub(crate) async fn chunks_and_end_arrive_in_order(make: impl Make) {
    let queue = make(LIMITS).await;
    let mut frames = submitted(&queue, A).await.1;
    let delivery = taken(&queue).await;
    for number in 0..5 {
        delivery.send(chunk(number)).await.unwrap();
    }
    let produced = Produced { upstream: Some((40, 2)), ..Produced::default() };
    let tried = Try { channel: "渠道".to_owned(), outcome: TryOutcome::Ok, ms: 7, first_text_ms: Some(3) };
    let way = Way { queued_ms: Some(5), tries: vec![tried] };
    let end = End::Answered { held_back: vec![Bytes::from_static(b"{}")], produced, way: way.clone() };
    queue.finish(delivery, end).await.unwrap();
    for number in 0..5 {
        assert_eq!(next_chunk(&mut frames).await, number);
    }
    match within(frames.next()).await {
        Ok(Frame::End(End::Answered { held_back, produced: told, way: told_way })) => {
            assert_eq!((held_back, told, told_way), (vec![Bytes::from_static(b"{}")], produced, way));
        }
        other => panic!("not the end: {other:?}"),
    }
    assert!(within(frames.next()).await.is_err());
}

pub(crate) async fn a_job_handed_back_comes_again_with_the_same_frames(make: impl Make) {
    let queue = make(QueueLimits { slots: 1, ..LIMITS }).await;
    let (request_id, mut frames) = submitted(&queue, A).await;
    let delivery = taken(&queue).await;
    delivery.send(chunk(1)).await.unwrap();
    queue.hand_back(delivery).await;
    let again = taken(&queue).await;
    assert_eq!((again.job.request_id, again.attempt), (request_id, 2));
    again.send(chunk(2)).await.unwrap();
    assert_eq!([next_chunk(&mut frames).await, next_chunk(&mut frames).await], [1, 2]);
    queue.hand_back(again).await;
    assert_eq!(queue.cancel(request_id).await, Cancellation::Removed);
    assert_eq!((queue.depth().await.waiting, queue.depth().await.running), (0, 0));
}

pub(crate) async fn a_job_handed_back_comes_before_its_tenants_others(make: impl Make) {
    let queue = make(QueueLimits { slots: 1, ..LIMITS }).await;
    let ((first, _frames), _other) = (submitted(&queue, A).await, submitted(&queue, A).await);
    queue.hand_back(taken(&queue).await).await;
    assert_eq!(taken(&queue).await.job.request_id, first);
}

pub(crate) async fn a_dropped_take_loses_nothing(make: impl Make) {
    let queue = make(LIMITS).await;
    for _ in 0..20 {
        let (mut leaving, mut staying) = (Box::pin(queue.take()), Box::pin(queue.take()));
        assert!(looked(leaving.as_mut()).await.is_none());
        assert!(looked(staying.as_mut()).await.is_none());
        let (request_id, _frames) = submitted(&queue, A).await;
        // The first was woken for the job and goes without it: the second must hear of it.
        drop(leaving);
        let delivery = within(staying).await.unwrap();
        assert_eq!(delivery.job.request_id, request_id);
        // The same where nobody else waits: who comes later gets it.
        let mut leaving = Box::pin(queue.take());
        assert!(looked(leaving.as_mut()).await.is_none());
        queue.hand_back(delivery).await;
        drop(leaving);
        let again = taken(&queue).await;
        assert_eq!((again.job.request_id, again.attempt), (request_id, 2));
        queue.finish(again, End::Lost).await.unwrap();
    }
}

pub(crate) async fn a_client_that_pauses_gets_everything(make: impl Make) {
    let queue = make(QueueLimits { frames: 2, ..LIMITS }).await;
    let (_, mut frames) = submitted(&queue, A).await;
    let delivery = taken(&queue).await;
    let mut sending = pin!(async {
        for number in 0..50 {
            delivery.send(chunk(number)).await.unwrap();
        }
    });
    assert!(timeout(A_WHILE, sending.as_mut()).await.is_err(), "50 chunks do not fit into a buffer of 2");
    let reading = async {
        for number in 0..50 {
            assert_eq!(next_chunk(&mut frames).await, number);
        }
    };
    within(async { tokio::join!(sending, reading) }).await;
}

pub(crate) async fn many_jobs_are_delivered_once_each(make: impl Make) {
    const TENANTS: i64 = 20;
    const JOBS_EACH: usize = 50;
    let queue = make(QueueLimits { capacity: 1000, tenant_share: JOBS_EACH, frames: 1, slots: 6, ..LIMITS }).await;
    let running = Arc::new(AtomicUsize::new(0));
    let workers: Vec<_> =
        (0..8).map(|_| tokio::spawn(work_until_closed(Arc::clone(&queue), Arc::clone(&running)))).collect();
    let clients: Vec<_> =
        (1..=TENANTS).map(|tenant| tokio::spawn(ask(Arc::clone(&queue), TenantId(1000 + tenant), JOBS_EACH))).collect();
    let mut asked = HashSet::new();
    for client in clients {
        asked.extend(within(client).await.unwrap());
    }
    queue.close();
    let mut answered = Vec::new();
    for worker in workers {
        answered.extend(within(worker).await.unwrap());
    }
    assert_eq!(answered.len(), 1000);
    assert_eq!(answered.into_iter().collect::<HashSet<_>>(), asked);
    let depth = queue.depth().await;
    assert_eq!((depth.waiting, depth.running), (0, 0));
}

/// Answers whatever comes with a chunk and an end.
async fn work_until_closed(queue: Arc<dyn Queue>, running: Arc<AtomicUsize>) -> Vec<RequestId> {
    let mut answered = Vec::new();
    while let Some(delivery) = queue.take().await {
        assert!(running.fetch_add(1, Ordering::SeqCst) < 6, "more run than there are slots");
        answered.push(delivery.job.request_id);
        delivery.send(chunk(0)).await.unwrap();
        tokio::task::yield_now().await;
        running.fetch_sub(1, Ordering::SeqCst);
        queue.finish(delivery, End::Lost).await.unwrap();
    }
    answered
}

/// Submits all of a tenant's jobs, then reads all their answers.
async fn ask(queue: Arc<dyn Queue>, tenant: TenantId, jobs: usize) -> Vec<RequestId> {
    let mut waiting = Vec::new();
    for _ in 0..jobs {
        waiting.push(submitted(&queue, tenant).await);
        tokio::task::yield_now().await;
    }
    // All at once, since a worker waits for the client whose buffer of one frame is full.
    let reading = waiting.into_iter().map(|(request_id, mut frames)| {
        tokio::spawn(async move {
            assert_eq!(next_chunk(&mut frames).await, 0);
            assert!(matches!(within(frames.next()).await, Ok(Frame::End(End::Lost))));
            request_id
        })
    });
    let mut asked = Vec::new();
    for reader in reading.collect::<Vec<_>>() {
        asked.push(reader.await.unwrap());
    }
    asked
}
