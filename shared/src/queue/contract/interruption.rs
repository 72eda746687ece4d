//! What happens when somebody leaves: the client, the worker or the whole queue.

use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::{A, A_WHILE, LIMITS, Make, chunk, job_of, looked, next_chunk, nothing_to_take, submitted, taken, within};
use crate::queue::{Cancellation, ClientGone, End, Frame, Interruption, QueueLimits, SubmitError};

pub(crate) async fn a_cancelled_waiting_job_reaches_no_worker(make: impl Make) {
    let queue = make(LIMITS).await;
    let first = submitted(&queue, A).await;
    let (cancelled, mut frames) = submitted(&queue, A).await;
    let last = submitted(&queue, A).await;
    assert_eq!(queue.cancel(cancelled).await, Cancellation::Removed);
    assert_eq!(queue.cancel(cancelled).await, Cancellation::NotFound);
    assert!(within(frames.next()).await.is_err());
    let (one, other) = (taken(&queue).await, taken(&queue).await);
    assert_eq!([one.job.request_id, other.job.request_id], [first.0, last.0]);
    nothing_to_take(&queue).await;
}

pub(crate) async fn a_withdrawn_job_reaches_no_worker_and_a_running_one_is_not_disturbed(make: impl Make) {
    let queue = make(LIMITS).await;
    let (running, _kept) = submitted(&queue, A).await;
    let (waiting, mut frames) = submitted(&queue, A).await;
    let delivery = taken(&queue).await;
    assert!(queue.withdraw(waiting).await);
    assert!(!queue.withdraw(waiting).await, "it is gone");
    assert!(within(frames.next()).await.is_err());
    assert!(!queue.withdraw(running).await);
    assert!(looked(pin!(queue.watch(&delivery))).await.is_none());
    nothing_to_take(&queue).await;
}

pub(crate) async fn who_leaves_gets_an_end_that_was_sent_before(make: impl Make) {
    let queue = make(LIMITS).await;
    let (_, frames) = submitted(&queue, A).await;
    queue.finish(taken(&queue).await, End::Lost).await.unwrap();
    assert!(matches!(within(frames.leave()).await, Some(End::Lost)));
    let (_, frames) = submitted(&queue, A).await;
    let delivery = taken(&queue).await;
    assert!(within(frames.leave()).await.is_none());
    assert_eq!(queue.finish(delivery, End::Lost).await, Err(Interruption::ClientLeft));
}

pub(crate) async fn a_cancelled_running_job_interrupts_its_worker(make: impl Make) {
    let queue = make(LIMITS).await;
    let (request_id, mut frames) = submitted(&queue, A).await;
    let _other = submitted(&queue, A).await;
    let (delivery, untouched) = (taken(&queue).await, taken(&queue).await);
    {
        let mut watching = pin!(queue.watch(&delivery));
        assert!(looked(watching.as_mut()).await.is_none());
        assert_eq!(queue.cancel(request_id).await, Cancellation::Told);
        assert_eq!(within(watching).await, Interruption::ClientLeft);
    }
    assert_eq!(within(queue.watch(&delivery)).await, Interruption::ClientLeft, "also who looks later learns it");
    assert!(timeout(A_WHILE, queue.watch(&untouched)).await.is_err(), "nobody cancelled that one");
    queue.finish(delivery, End::Lost).await.unwrap();
    assert!(matches!(within(frames.next()).await, Ok(Frame::End(End::Lost))), "the end comes all the same");
    assert_eq!(queue.cancel(request_id).await, Cancellation::NotFound);
}

pub(crate) async fn a_cancellation_outlives_a_hand_back(make: impl Make) {
    let queue = make(LIMITS).await;
    let (request_id, _frames) = submitted(&queue, A).await;
    let delivery = taken(&queue).await;
    assert_eq!(queue.cancel(request_id).await, Cancellation::Told);
    queue.hand_back(delivery).await;
    let again = taken(&queue).await;
    assert_eq!(within(queue.watch(&again)).await, Interruption::ClientLeft);
}

pub(crate) async fn a_client_that_leaves_interrupts_its_worker(make: impl Make) {
    let queue = make(LIMITS).await;
    let (_, frames) = submitted(&queue, A).await;
    let delivery = taken(&queue).await;
    let mut watching = pin!(queue.watch(&delivery));
    assert!(looked(watching.as_mut()).await.is_none());
    drop(frames);
    assert_eq!(within(watching).await, Interruption::ClientLeft);
    assert_eq!(within(delivery.send(chunk(0))).await, Err(ClientGone));
}

pub(crate) async fn a_client_that_leaves_while_waiting_is_still_delivered(make: impl Make) {
    let queue = make(LIMITS).await;
    let (request_id, frames) = submitted(&queue, A).await;
    drop(frames);
    let delivery = taken(&queue).await;
    assert_eq!(delivery.job.request_id, request_id, "its hold must not be forgotten");
    assert_eq!(within(queue.watch(&delivery)).await, Interruption::ClientLeft);
}

pub(crate) async fn finishing_for_a_client_that_left_frees_the_slot(make: impl Make) {
    let queue = make(QueueLimits { slots: 1, ..LIMITS }).await;
    let (gone, _other) = (submitted(&queue, A).await, submitted(&queue, A).await);
    let delivery = taken(&queue).await;
    drop(gone);
    assert_eq!(within(queue.watch(&delivery)).await, Interruption::ClientLeft);
    assert_eq!(within(queue.finish(delivery, End::Lost)).await, Err(Interruption::ClientLeft));
    taken(&queue).await;
}

pub(crate) async fn a_client_that_never_reads_is_gone(make: impl Make) {
    let limit = Duration::from_millis(200);
    let queue = make(QueueLimits { frames: 2, slots: 1, slow_client_ms: 200, ..LIMITS }).await;
    let ((_, mut slow), _other) = (submitted(&queue, A).await, submitted(&queue, A).await);
    let delivery = taken(&queue).await;
    let start = Instant::now();
    let mut number = 0;
    while within(delivery.send(chunk(number))).await.is_ok() {
        number += 1;
        assert!(number < 50, "50 chunks do not fit into a buffer of 2");
    }
    assert!(start.elapsed() >= limit, "{:?}", start.elapsed());
    assert_eq!(within(queue.finish(delivery, End::Lost)).await, Err(Interruption::ClientLeft));
    taken(&queue).await;
    // What it reads at last is what was sent, without an end.
    let mut received = 0;
    while let Ok(frame) = within(slow.next()).await {
        assert!(matches!(frame, Frame::Chunk(chunk) if chunk.generated.tokens == received));
        received += 1;
    }
    assert!((2..=number).contains(&received), "{received} of {number}");
}

pub(crate) async fn a_dropped_delivery_ends_its_frames_and_frees_the_slot(make: impl Make) {
    let queue = make(QueueLimits { slots: 1, ..LIMITS }).await;
    let (request_id, mut frames) = submitted(&queue, A).await;
    let _other = submitted(&queue, A).await;
    let delivery = taken(&queue).await;
    delivery.send(chunk(0)).await.unwrap();
    let mut taker = pin!(queue.take());
    assert!(looked(taker.as_mut()).await.is_none());
    let worker = tokio::spawn(async move {
        let _in_hand = delivery;
        panic!("a worker that dies, as this test wants it to");
    });
    assert!(within(worker).await.unwrap_err().is_panic());
    assert_eq!(next_chunk(&mut frames).await, 0);
    assert!(within(frames.next()).await.is_err());
    assert!(within(taker).await.is_some());
    assert_eq!(queue.cancel(request_id).await, Cancellation::NotFound);
}

pub(crate) async fn a_closed_queue_delivers_and_accepts_nothing(make: impl Make) {
    let queue = make(QueueLimits { slots: 0, ..LIMITS }).await;
    let (request_id, _frames) = submitted(&queue, A).await;
    let (mut one, mut other) = (Box::pin(queue.take()), Box::pin(queue.take()));
    assert!(looked(one.as_mut()).await.is_none());
    assert!(looked(other.as_mut()).await.is_none());
    queue.close();
    assert!(within(one).await.is_none());
    assert!(within(other).await.is_none());
    assert!(within(queue.take()).await.is_none());
    assert_eq!(queue.submit(job_of(A)).await.unwrap_err(), SubmitError::Unavailable);
    assert_eq!(queue.cancel(request_id).await, Cancellation::Removed);
}

pub(crate) async fn what_runs_when_the_queue_closes_goes_on(make: impl Make) {
    let queue = make(LIMITS).await;
    let (request_id, mut frames) = submitted(&queue, A).await;
    let delivery = taken(&queue).await;
    queue.close();
    delivery.send(chunk(0)).await.unwrap();
    assert_eq!(next_chunk(&mut frames).await, 0);
    assert_eq!(queue.cancel(request_id).await, Cancellation::Told);
    assert_eq!(within(queue.watch(&delivery)).await, Interruption::ClientLeft);
    queue.finish(delivery, End::Lost).await.unwrap();
    assert!(matches!(within(frames.next()).await, Ok(Frame::End(End::Lost))));
}
