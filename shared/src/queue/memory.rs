//! The queue inside one process: what waits is gone with the process, and its holds are released at the next start.

mod lines;
#[cfg(test)]
mod model;
mod state;

use std::future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Notify, watch};

use self::state::{State, Waiting};
use super::{
    Cancellation, Delivery, Depth, End, Frame, Frames, Interruption, Job, MaybeSettled, Queue, QueueLimits, SubmitError,
};
use crate::clock::Clock;
use crate::id::{RequestId, TenantId};

/// The [`Queue`] of a single process.
pub struct MemoryQueue {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for MemoryQueue {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("MemoryQueue").finish_non_exhaustive()
    }
}

impl MemoryQueue {
    /// An empty queue. With fewer than one slot it would deliver nothing, and a client has a buffer of at least one frame.
    pub fn new(limits: QueueLimits, clock: Clock) -> Self {
        let state = Mutex::new(State::new(limits));
        let slow_client = limits.slow_client();
        Self { shared: Arc::new(Shared { clock, slow_client, state, takeable: Notify::new() }) }
    }

    /// Removes all that waits, for a shutdown after [`Queue::close`], and gives it back: no worker will see these jobs.
    /// Their [`Frames`] end without an end.
    pub fn drain(&self) -> Vec<Job> {
        let drained = self.shared.lock().drain();
        drained.into_iter().map(|waiting| waiting.job).collect()
    }
}

#[async_trait]
impl Queue for MemoryQueue {
    async fn room(&self, tenant: TenantId) -> Result<(), SubmitError> {
        self.shared.lock().room(tenant)
    }

    async fn submit(&self, job: Job) -> Result<Frames, SubmitError> {
        let frames = self.shared.lock().submit(job, self.shared.clock.now())?;
        self.shared.takeable.notify_one();
        Ok(frames)
    }

    async fn withdraw(&self, request_id: RequestId) -> bool {
        let removed = self.shared.lock().withdraw(request_id);
        if removed.is_some() {
            self.shared.takeable.notify_one();
        }
        removed.is_some()
    }

    async fn cancel(&self, request_id: RequestId) -> Cancellation {
        let (cancellation, removed) = self.shared.lock().cancel(request_id);
        // Where two tenants waited and both had their half of the slots, the one that is left may go on now.
        if removed.is_some() {
            self.shared.takeable.notify_one();
        }
        cancellation
    }

    async fn take(&self) -> Option<Delivery> {
        loop {
            // Made before the look at the state, so that nothing that happens after the look is missed.
            let woken = self.shared.takeable.notified();
            match self.shared.try_take() {
                Attempt::Taken(delivery) => return Some(*delivery),
                Attempt::Closed => return None,
                Attempt::NothingYet => woken.await,
            }
        }
    }

    async fn watch(&self, delivery: &Delivery) -> Interruption {
        let told = self.shared.lock().told(delivery.job.request_id);
        tokio::select! {
            () = delivery.frames.closed() => {}
            () = until_told(told) => {}
        }
        Interruption::ClientLeft
    }

    async fn finish(&self, delivery: Delivery, end: End) -> Result<(), Interruption> {
        let sending = delivery.frames.send(Frame::End(end));
        let sent = tokio::time::timeout(self.shared.slow_client, sending).await;
        // The slot comes back with the delivery, also when this future is dropped half-way.
        drop(delivery);
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Interruption::ClientLeft),
        }
    }

    async fn hand_back(&self, delivery: Delivery) {
        let Delivery { job, attempt, frames, lease, .. } = delivery;
        let waiting =
            Waiting { job, frames, attempt: attempt.saturating_add(1), told: false, since: self.shared.clock.now() };
        // In one step, so that a cancellation finds the job at every moment; the lease then has nothing left to give back.
        let refused = self.shared.lock().hand_back(waiting);
        drop((refused, lease));
        self.shared.takeable.notify_one();
    }

    fn close(&self) {
        self.shared.lock().close();
        self.shared.takeable.notify_waiters();
    }

    async fn depth(&self) -> Depth {
        self.shared.lock().depth(self.shared.clock.now())
    }
}

/// Resolves once the job has been called off, and never if it is not.
async fn until_told(told: Option<watch::Receiver<bool>>) {
    if let Some(mut told) = told
        && told.wait_for(|&told| told).await.is_ok()
    {
        return;
    }
    future::pending().await
}

struct Shared {
    clock: Clock,
    slow_client: Duration,
    state: Mutex<State>,
    /// Woken once by whatever may have made a job takeable. Each taker that succeeds wakes the next one if there is more,
    /// and a taker that is dropped passes its waking on, so one waking at a time is enough.
    takeable: Notify,
}

enum Attempt {
    Taken(Box<Delivery>),
    NothingYet,
    Closed,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_take(self: &Arc<Self>) -> Attempt {
        let mut state = self.lock();
        if state.is_closed() {
            return Attempt::Closed;
        }
        let Some((waiting, take)) = state.take() else {
            return Attempt::NothingYet;
        };
        let is_there_more = state.next_tenant().is_some();
        drop(state);
        if is_there_more {
            self.takeable.notify_one();
        }
        let Waiting { job, frames, attempt, .. } = waiting;
        let lease = Box::new(Slot { shared: Arc::clone(self), request_id: job.request_id, take });
        let slow_client = self.slow_client;
        // Whoever has it here is the only one who ever had it, or handed it back.
        let settled = MaybeSettled::Never;
        Attempt::Taken(Box::new(Delivery { job, attempt, slow_client, settled, frames, lease }))
    }
}

/// A delivery's slot. It comes back when this is dropped: at the end, or when a worker panics.
struct Slot {
    shared: Arc<Shared>,
    request_id: RequestId,
    take: u64,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let released = self.shared.lock().release(self.request_id, self.take);
        if released {
            self.shared.takeable.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::clock::Timestamp;
    use crate::queue::contract::{job_of, queue_contract};
    use crate::queue::{SLOW_CLIENT_MS, Silence};

    queue_contract!(async |limits| Arc::new(MemoryQueue::new(limits, Clock::default())) as Arc<dyn Queue>);

    const LIMITS: QueueLimits = QueueLimits {
        capacity: 10,
        tenant_share: 10,
        large_bytes: 1 << 30,
        frames: 4,
        slots: 4,
        slow_client_ms: SLOW_CLIENT_MS,
    };
    const A: TenantId = TenantId(1001);
    const B: TenantId = TenantId(1002);

    #[tokio::test]
    async fn the_age_of_the_oldest_counts_from_when_it_began_to_wait() {
        let clock = Clock::manual(Timestamp(1_000_000));
        let queue = MemoryQueue::new(LIMITS, clock.clone());
        assert_eq!(queue.depth().await, Depth::default());
        let _first = queue.submit(job_of(A)).await.unwrap();
        clock.advance(300);
        let _second = queue.submit(job_of(B)).await.unwrap();
        clock.advance(50);
        assert_eq!(queue.depth().await, Depth { waiting: 2, running: 0, oldest_ms: 350 });
        let delivery = queue.take().await.unwrap();
        assert_eq!(queue.depth().await, Depth { waiting: 1, running: 1, oldest_ms: 50 });
        queue.take().await.unwrap();
        clock.advance(7);
        queue.hand_back(delivery).await;
        clock.advance(1);
        assert_eq!(queue.depth().await, Depth { waiting: 1, running: 0, oldest_ms: 1 });
        clock.advance(-100);
        assert_eq!(queue.depth().await.oldest_ms, 0, "the machine's clock was set back");
    }

    #[tokio::test]
    async fn draining_removes_all_that_waits_and_ends_its_frames() {
        let queue = MemoryQueue::new(LIMITS, Clock::default());
        let jobs = [job_of(A), job_of(B), job_of(A)];
        let mut frames = Vec::new();
        for job in jobs.clone() {
            frames.push(queue.submit(job).await.unwrap());
        }
        let delivery = queue.take().await.unwrap();
        queue.close();
        let drained: HashSet<_> = queue.drain().into_iter().map(|job| job.request_id).collect();
        assert_eq!(drained, HashSet::from([jobs[1].request_id, jobs[2].request_id]));
        assert!(frames[1].next().await.is_err());
        assert!(frames[2].next().await.is_err());
        assert_eq!(queue.cancel(jobs[1].request_id).await, Cancellation::NotFound);
        queue.finish(delivery, End::Lost).await.unwrap();
        assert!(queue.shared.lock().is_empty());
    }

    #[tokio::test]
    async fn a_job_handed_back_to_a_closed_queue_ends() {
        let queue = MemoryQueue::new(LIMITS, Clock::default());
        let mut frames = queue.submit(job_of(A)).await.unwrap();
        let delivery = queue.take().await.unwrap();
        queue.close();
        queue.hand_back(delivery).await;
        assert!(frames.next().await.is_err(), "no worker of this process will take it");
        assert!(queue.shared.lock().is_empty());
    }

    #[tokio::test]
    async fn a_job_that_is_here_already_is_refused() {
        let queue = MemoryQueue::new(LIMITS, Clock::default());
        let job = job_of(A);
        let _frames = queue.submit(job.clone()).await.unwrap();
        assert_eq!(queue.submit(job.clone()).await.unwrap_err(), SubmitError::Unavailable);
        let delivery = queue.take().await.unwrap();
        assert_eq!(queue.submit(job.clone()).await.unwrap_err(), SubmitError::Unavailable);
        queue.finish(delivery, End::Lost).await.unwrap();
        queue.submit(job).await.unwrap();
    }

    #[tokio::test]
    async fn the_lease_of_an_earlier_run_does_not_end_a_later_one() {
        let queue = MemoryQueue::new(LIMITS, Clock::default());
        let _frames = queue.submit(job_of(A)).await.unwrap();
        let Delivery { job, frames, lease, .. } = queue.take().await.unwrap();
        // As when another worker is quick between the two steps of `hand_back`.
        let waiting = Waiting { job, frames, attempt: 2, told: false, since: Timestamp(0) };
        assert!(queue.shared.lock().hand_back(waiting).is_none());
        let again = queue.take().await.unwrap();
        drop(lease);
        assert_eq!(queue.depth().await.running, 1);
        assert_eq!(queue.cancel(again.job.request_id).await, Cancellation::Told);
    }

    #[tokio::test(start_paused = true)]
    async fn a_finish_that_is_dropped_half_way_frees_the_slot() {
        let queue = MemoryQueue::new(QueueLimits { frames: 1, ..LIMITS }, Clock::default());
        let mut frames = queue.submit(job_of(A)).await.unwrap();
        let delivery = queue.take().await.unwrap();
        let chunk = crate::queue::Chunk { json: "{}".into(), generated: crate::tokens::Tally::default() };
        delivery.send(chunk).await.unwrap();
        let half_way = tokio::time::timeout(Duration::from_secs(1), queue.finish(delivery, End::Lost)).await;
        assert!(half_way.is_err(), "the buffer is full");
        assert!(matches!(frames.next().await, Ok(Frame::Chunk(_))));
        assert_eq!(frames.next().await.unwrap_err(), Silence::NoWorker);
        assert!(queue.shared.lock().is_empty());
    }
}
