//! One admitted call, from its hold to its end.

use std::sync::Arc;

use bytes::Bytes;

use super::failure::Failure;
use super::outcome::{Ending, Settler};
use super::settling::Settling;
use crate::calls::Status;
use crate::clock::{Clock, Timestamp};
use crate::id::{RequestId, TenantId};
use crate::idempotency::Collected;
use crate::ledger::settle;
use crate::limits::{Allowances, Permit};
use crate::money::Amount;
use crate::queue::{Cancellation, End, Frame, Frames, Job, Queue, Silence, Way};
use crate::refusal::{Reason, Refusal};
use crate::tokens::Tally;

/// How long after a deadline a worker's own end is waited for, in milliseconds.
const GRACE_MS: i64 = 15_000;

/// What comes next.
#[derive(Debug)]
pub enum Step {
    /// A part of a stream, for the client.
    Chunk(Bytes),
    /// The end, charged: the rest of a stream, or the one whole reply.
    Answered {
        /// What may be sent now.
        held_back: Vec<Bytes>,
        /// What the call cost.
        charged: Amount,
    },
    /// The end, without an answer.
    Failed(Failure),
}

/// An admitted call. Dropping it before its end calls it off: what was generated until then is charged.
#[derive(Debug)]
pub struct Call {
    request_id: RequestId,
    parts: Option<Parts>,
    allowances: Allowances,
    progress: Progress,
}

/// How far a call has come.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// What the caller has seen.
    forwarded: Tally,
    /// What the caller was sent, where it may ask again.
    collected: Option<Collected>,
    /// When the first part of a stream came.
    first_at: Option<Timestamp>,
    /// The end, from when it has come until what it means is committed.
    ending: Option<Ending>,
    /// How it came there.
    way: Way,
}

struct Parts {
    /// Without its body: the queue has that.
    job: Job,
    queue: Arc<dyn Queue>,
    clock: Clock,
    settling: Settling,
    frames: Frames,
    /// `None` once its place was given back.
    permit: Option<Permit>,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Parts").finish_non_exhaustive()
    }
}

impl Call {
    /// `job` without its body: the queue has that.
    pub(super) fn new(
        queue: Arc<dyn Queue>,
        clock: Clock,
        settling: Settling,
        job: Job,
        frames: Frames,
        permit: Permit,
    ) -> Self {
        Self {
            request_id: job.request_id,
            allowances: permit.allowances(),
            progress: Progress::at_first(&job),
            parts: Some(Parts { job, queue, clock, settling, frames, permit: Some(permit) }),
        }
    }

    /// The call's id.
    pub const fn request_id(&self) -> RequestId {
        self.request_id
    }

    /// What the call's key may still do after it was let in.
    pub const fn allowances(&self) -> Allowances {
        self.allowances
    }

    /// What comes next. `None` after the end. Dropping the future loses nothing: the next call goes on where it was.
    pub async fn next(&mut self) -> Option<Step> {
        let (parts, progress) = (self.parts.as_mut()?, &mut self.progress);
        let ending = match &progress.ending {
            Some(ending) => ending.clone(),
            None => {
                // From the first frame on it is a worker that ends the call in time.
                let ending = match parts.next_frame(progress.first_at.is_none()).await {
                    Ok(Frame::Chunk(chunk)) => {
                        progress.first_at.get_or_insert_with(|| parts.clock.now());
                        progress.forwarded = chunk.generated;
                        if let Some(collected) = &mut progress.collected {
                            collected.push(&chunk.json);
                        }
                        return Some(Step::Chunk(chunk.json));
                    }
                    Ok(Frame::End(mut end)) => {
                        progress.way = end.take_way();
                        Ending::Told(end)
                    }
                    Err(silence) => Ending::Silent(silence),
                };
                progress.ending.insert(ending).clone()
            }
        };
        let settler = Settler { settling: &parts.settling, job: &parts.job, collected: progress.collected.as_ref() };
        let step = settler.last_step(ending, progress.forwarded).await;
        // Before the end is seen: who makes one call after the other never meets the last one.
        if let Some(permit) = parts.permit.take() {
            permit.release().await;
        }
        let Parts { job, settling, .. } = self.parts.take()?;
        let way = std::mem::take(&mut self.progress.way);
        settling.record(settling.record_of(job, step.status(), self.progress.first_at, way));
        Some(step)
    }
}

impl Step {
    /// As it is kept of a call that ended with this.
    fn status(&self) -> Status {
        match self {
            Self::Failed(failure) => Status::from(failure.refusal.reason),
            Self::Chunk(_) | Self::Answered { .. } => Status::ANSWERED,
        }
    }
}

impl Parts {
    async fn next_frame(&mut self, is_first: bool) -> Result<Frame, Silence> {
        let Job { request_id, deadlines, .. } = self.job;
        let late = || Refusal::new(Reason::Timeout, "no answer came in time; nothing was charged, please try again");
        if is_first {
            // A worker ends its calls in time by itself; this bounds the wait for a job that no worker takes.
            if let Ok(frame) = tokio::time::timeout(self.clock.until(deadlines.first_text), self.frames.next()).await {
                return frame;
            }
            if self.queue.withdraw(request_id).await {
                return Ok(Frame::End(End::Failed { refusal: late(), produced: None, way: Way::default() }));
            }
        }
        let patience = self.clock.until(deadlines.end.plus_ms(GRACE_MS));
        if let Ok(frame) = tokio::time::timeout(patience, self.frames.next()).await {
            return frame;
        }
        tracing::error!(%request_id, "a worker did not end a call in time; it counts as dead");
        self.queue.cancel(request_id).await;
        Err(Silence::NoWorker)
    }
}

impl Progress {
    /// Of a call that has just been submitted.
    pub(super) fn at_first(job: &Job) -> Self {
        Self { collected: job.idempotency.is_some().then(Collected::default), ..Self::default() }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let Some(Parts { job, queue, settling, frames, permit, .. }) = self.parts.take() else { return };
        let progress = std::mem::take(&mut self.progress);
        // The place is free at once: a worker that still has the call is about to stop it.
        drop(permit);
        let later = settling.clone();
        settling.spawn(async move { call_off(&*queue, &later, job, frames, progress).await });
    }
}

/// Calls off a call that nobody waits for any more, and settles it, unless that is its worker's.
pub(super) async fn call_off(queue: &dyn Queue, settling: &Settling, job: Job, frames: Frames, progress: Progress) {
    let (request_id, tenant) = (job.request_id, job.tenant);
    let Progress { forwarded, collected, first_at, ending, mut way } = progress;
    // A worker that has the call learns that nobody receives its frames, stops the provider and settles. An end that it had sent
    // before is read here, so that what it left to the receiver is not forgotten.
    let cancellation = queue.cancel(request_id).await;
    let left_to_us = match (frames.leave().await, ending) {
        (Some(mut end), _) => {
            way = end.take_way();
            Some(Ending::Told(end))
        }
        (None, Some(ending)) => Some(ending),
        // No worker has it, and none sent an end: it waited until now, or its worker died.
        (None, None) => (cancellation != Cancellation::Told).then_some(Ending::Silent(Silence::NoWorker)),
    };
    let settlement = left_to_us.map(|ending| ending.settlement(&job, forwarded, collected.as_ref(), settling.sealer()));
    let record = settling.record_of(job, Status::CLIENT_LEFT, first_at, way);
    match settlement {
        Some(settlement) => {
            settle(settling.ledger(), request_id, settlement).await;
            settling.record(record);
        }
        None => settling.release_after_workers_turn(request_id, tenant, Some(record)),
    }
}

/// Voids a hold if whoever makes it is dropped before the call is someone else's. The void comes behind the hold in the ledger's line,
/// so it does not matter whether the hold was committed already.
pub(super) struct HoldGuard {
    open: Option<(RequestId, TenantId, Settling)>,
}

impl HoldGuard {
    pub(super) const fn new(request_id: RequestId, account: TenantId, settling: Settling) -> Self {
        Self { open: Some((request_id, account, settling)) }
    }

    pub(super) fn release(mut self) {
        self.open = None;
    }
}

impl Drop for HoldGuard {
    fn drop(&mut self) {
        if let Some((request_id, account, settling)) = self.open.take() {
            settling.release(request_id, account);
        }
    }
}
