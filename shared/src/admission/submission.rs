//! Handing a job to the queue, to the end.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::call::{HoldGuard, Progress, call_off};
use super::outcome::Settler;
use super::refused_by_queue;
use super::settling::Settling;
use crate::calls::Status;
use crate::queue::{Frames, Job, Queue, Way};
use crate::refusal::Refusal;

type Submitting = Pin<Box<dyn Future<Output = Result<(Job, Frames), Refusal>> + Send>>;

/// A job on its way into the queue; gives it back without its body. Until the queue has answered, nobody knows whether a worker has the job, so
/// its hold may not be voided: when its caller leaves, it goes on behind their back, and then the job is called off.
pub(super) struct Submission {
    /// `None` once it has ended.
    submitting: Option<Submitting>,
    queue: Arc<dyn Queue>,
    settling: Settling,
}

impl Submission {
    /// Of a job whose hold `guard` has.
    pub(super) fn of(job: Job, guard: HoldGuard, queue: Arc<dyn Queue>, settling: Settling) -> Self {
        let submitting = Box::pin(submit(job, guard, Arc::clone(&queue), settling.clone()));
        Self { submitting: Some(submitting), queue, settling }
    }
}

async fn submit(
    job: Job,
    guard: HoldGuard,
    queue: Arc<dyn Queue>,
    settling: Settling,
) -> Result<(Job, Frames), Refusal> {
    let (kept, job) = (job.without_body(), job);
    match queue.submit(job).await {
        Ok(frames) => {
            guard.release();
            Ok((kept, frames))
        }
        Err(error) => {
            // Committed before the caller reads that nothing was charged; a queue that did not answer may have taken the job all the
            // same, and a worker may have charged it by now.
            let settler = Settler { settling: &settling, job: &kept, collected: None };
            let failure = settler.void(refused_by_queue(&error)).await;
            guard.release();
            let status = Status::from(failure.refusal.reason);
            settling.record(settling.record_of(kept, status, None, Way::default()));
            Err(failure.refusal)
        }
    }
}

impl Future for Submission {
    type Output = Result<(Job, Frames), Refusal>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(submitting) = &mut self.submitting else { return Poll::Pending };
        let ended = submitting.as_mut().poll(context);
        if ended.is_ready() {
            self.submitting = None;
        }
        ended
    }
}

impl Drop for Submission {
    fn drop(&mut self) {
        let Some(submitting) = self.submitting.take() else { return };
        let (queue, settling) = (Arc::clone(&self.queue), self.settling.clone());
        self.settling.spawn(async move {
            if let Ok((job, frames)) = submitting.await {
                let progress = Progress::at_first(&job);
                call_off(&*queue, &settling, job, frames, progress).await;
            }
        });
    }
}
