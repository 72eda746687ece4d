//! One admitted call, from its hold to its end. Here, and only here, is decided what an uncertain outcome means: nobody is told that
//! nothing was charged before that is committed.

use std::sync::Arc;

use bytes::Bytes;

use super::settling::Settling;
use crate::billing::{self, Produced};
use crate::clock::Clock;
use crate::id::{RequestId, TenantId};
use crate::ledger::{Capture, Ended, Ledger, LedgerError, Reversal, Settlement, SettlementOutcome, release};
use crate::limits::{Allowances, Permit};
use crate::money::Amount;
use crate::queue::{Cancellation, End, Frame, Frames, Job, Queue, Silence};
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

/// Why a call ended without its answer, and what that cost.
#[derive(Debug, Clone)]
pub struct Failure {
    /// What the caller is told.
    pub refusal: Refusal,
    /// What was charged for text that had reached the caller already. `None`: nothing, and the hold is released.
    pub charged: Option<Amount>,
}

/// An admitted call. Dropping it before its end calls it off: what was generated until then is charged.
#[derive(Debug)]
pub struct Call {
    parts: Option<Parts>,
    allowances: Allowances,
    job: Job,
    forwarded: Tally,
    is_first: bool,
    /// The end, from when it has come until what it means is committed.
    ending: Option<Ending>,
}

#[derive(Debug, Clone)]
enum Ending {
    /// As a worker sent it, or as a deadline made it.
    Told(End),
    /// None, and none will come.
    Silent(Silence),
}

impl Ending {
    /// Whether the hold is still open and ours to end.
    const fn leaves_hold_to_us(&self) -> bool {
        matches!(self, Self::Silent(_) | Self::Told(End::Failed { charged: None, .. } | End::Lost))
    }
}

struct Parts {
    ledger: Ledger,
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
        ledger: Ledger,
        queue: Arc<dyn Queue>,
        clock: Clock,
        settling: Settling,
        job: Job,
        frames: Frames,
        permit: Permit,
    ) -> Self {
        Self {
            allowances: permit.allowances(),
            parts: Some(Parts { ledger, queue, clock, settling, frames, permit: Some(permit) }),
            job,
            forwarded: Tally::default(),
            is_first: true,
            ending: None,
        }
    }

    /// The call's id.
    pub fn request_id(&self) -> RequestId {
        self.job.request_id
    }

    /// What the call's key may still do after it was let in.
    pub const fn allowances(&self) -> Allowances {
        self.allowances
    }

    /// What comes next. `None` after the end. Dropping the future loses nothing: the next call goes on where it was.
    pub async fn next(&mut self) -> Option<Step> {
        let parts = self.parts.as_mut()?;
        let ending = match &self.ending {
            Some(ending) => ending.clone(),
            None => {
                // From the first frame on it is a worker that ends the call in time.
                let ending = match parts.next_frame(&self.job, self.is_first).await {
                    Ok(Frame::Chunk(chunk)) => {
                        self.is_first = false;
                        self.forwarded = chunk.generated;
                        return Some(Step::Chunk(chunk.json));
                    }
                    Ok(Frame::End(end)) => Ending::Told(end),
                    Err(silence) => Ending::Silent(silence),
                };
                self.ending.insert(ending).clone()
            }
        };
        let request_id = self.job.request_id;
        let step = match ending {
            Ending::Told(End::Answered { held_back, charged }) => Step::Answered { held_back, charged },
            Ending::Told(End::Failed { refusal, charged: Some(charged) }) => {
                Step::Failed(Failure { refusal, charged: Some(charged) })
            }
            Ending::Told(End::Failed { refusal, charged: None }) => Step::Failed(parts.void(&self.job, refusal).await),
            Ending::Told(End::Lost) => {
                let message = "the call took longer than its money was held for; nothing was charged, please try again";
                Step::Failed(parts.void(&self.job, Refusal::new(Reason::Timeout, message)).await)
            }
            Ending::Told(End::Unknown) => {
                // If the charge was not committed, the hold is nobody's.
                parts.settling.release_after_workers_turn(request_id, self.job.tenant);
                Step::Failed(outcome_unknown(request_id))
            }
            Ending::Silent(silence) => Step::Failed(parts.silent(&self.job, self.forwarded, silence).await),
        };
        // Before the end is seen: who makes one call after the other never meets the last one.
        if let Some(permit) = parts.permit.take() {
            permit.release().await;
        }
        self.parts = None;
        Some(step)
    }
}

impl Parts {
    async fn next_frame(&mut self, job: &Job, is_first: bool) -> Result<Frame, Silence> {
        let late = || Refusal::new(Reason::Timeout, "no answer came in time; nothing was charged, please try again");
        if is_first {
            // A worker ends its calls in time by itself; this bounds the wait for a job that no worker takes.
            if let Ok(frame) =
                tokio::time::timeout(self.clock.until(job.deadlines.first_text), self.frames.next()).await
            {
                return frame;
            }
            if self.queue.withdraw(job.request_id).await {
                return Ok(Frame::End(End::Failed { refusal: late(), charged: None }));
            }
        }
        let patience = self.clock.until(job.deadlines.end.plus_ms(GRACE_MS));
        if let Ok(frame) = tokio::time::timeout(patience, self.frames.next()).await {
            return frame;
        }
        tracing::error!(request_id = %job.request_id, "a worker did not end a call in time; it counts as dead");
        self.queue.cancel(job.request_id).await;
        Err(Silence::NoWorker)
    }

    /// Makes it true that nothing is charged, then says so.
    async fn void(&self, job: &Job, refusal: Refusal) -> Failure {
        let (request_id, account) = (job.request_id, job.tenant);
        match self.ledger.end(request_id, account, Ended::Voided).await {
            Ok(Ok(())) => Failure { refusal, charged: None },
            // The worker's capture came first, and its answer did not reach the caller.
            Ok(Err(Some(Settlement { outcome: SettlementOutcome::Captured, amount }))) if amount > Amount::ZERO => {
                self.reverse(job, refusal).await
            }
            Ok(Err(_)) => Failure { refusal, charged: None },
            Err(error) => {
                self.settling.release(request_id, account);
                unknown_after(&error, request_id)
            }
        }
    }

    async fn reverse(&self, job: &Job, refusal: Refusal) -> Failure {
        match self.ledger.reverse_capture(job.request_id, job.tenant).await {
            Ok(Reversal::Reversed(_) | Reversal::Already | Reversal::NothingCaptured) => {
                Failure { refusal, charged: None }
            }
            Err(error) => unknown_after(&error, job.request_id),
        }
    }

    /// No end will come. What was generated and we passed on is charged, from the count that came with it.
    async fn silent(&self, job: &Job, forwarded: Tally, silence: Silence) -> Failure {
        let (request_id, account) = (job.request_id, job.tenant);
        let (refusal, interrupted) = match silence {
            Silence::NoWorker => {
                tracing::error!(%request_id, "a worker died before the end of a call");
                let interrupted = "the answer was interrupted by a fault of ours";
                (Refusal::internal(), Refusal::new(Reason::InternalError, interrupted))
            }
            Silence::QueueLost => {
                tracing::error!(%request_id, "the queue was lost before the end of a call");
                let interrupted = "the answer was interrupted: the service cannot reach a part that it needs";
                (Refusal::unavailable(), Refusal::new(Reason::Unavailable, interrupted))
            }
        };
        if forwarded.tokens == 0 {
            return self.void(job, refusal).await;
        }
        let produced = Produced { completion: forwarded, finished_early: true, ..Produced::default() };
        let Some(charge) = billing::charge(job, produced) else {
            return self.void(job, refusal).await;
        };
        match self.ledger.capture(Capture { request_id, account, charge }).await {
            Ok(Ok(captured)) => Failure { refusal: interrupted, charged: Some(captured.paid) },
            // If the worker's capture came first, that stands.
            Ok(Err(Some(Settlement { outcome: SettlementOutcome::Captured, amount }))) => {
                Failure { refusal: interrupted, charged: Some(amount) }
            }
            Ok(Err(_)) => Failure { refusal: interrupted, charged: None },
            Err(error) => {
                self.settling.release_after_workers_turn(request_id, account);
                unknown_after(&error, request_id)
            }
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let Some(Parts { ledger, queue, settling, frames, permit, .. }) = self.parts.take() else { return };
        let (request_id, account) = (self.job.request_id, self.job.tenant);
        // The place is free at once: a worker that still has the call is about to stop it.
        drop(permit);
        let is_ours = self.ending.as_ref().is_some_and(Ending::leaves_hold_to_us);
        let later = settling.clone();
        settling.spawn(async move {
            // A worker that has the call learns that nobody receives its frames, stops the provider and settles.
            // What it had sent before is read here, so that a hold which it left to the receiver is not forgotten.
            let cancellation = queue.cancel(request_id).await;
            let left_to_us = match frames.leave().await {
                Some(end) => Ending::Told(end).leaves_hold_to_us(),
                // No worker has it, and none sent an end: it waited until now, or its worker died.
                None => cancellation != Cancellation::Told,
            };
            if is_ours || left_to_us {
                release(&ledger, request_id, account).await;
            } else {
                later.release_after_workers_turn(request_id, account);
            }
        });
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

fn unknown_after(error: &LedgerError, request_id: RequestId) -> Failure {
    tracing::error!(%request_id, %error, "the database could not be asked whether a call was charged");
    outcome_unknown(request_id)
}

pub(super) fn outcome_unknown(request_id: RequestId) -> Failure {
    let message = format!(
        "it could not be found out whether this call was charged; do not repeat it blindly: GET /v1/ledger shows request {request_id} if it was"
    );
    Failure { refusal: Refusal::new(Reason::OutcomeUnknown, message), charged: None }
}
