//! The end of a call as a worker sends it: what is to be charged, and what may be shown once it is. Who receives it charges; where nobody
//! does, the worker.

use bytes::Bytes;
use shared::billing::{self, Produced};
use shared::idempotency::Collected;
use shared::ledger::{Capture, Charge, Ended, Operation};
use shared::queue::{End, Job, TryOutcome};
use shared::refusal::Refusal;
use shared::seal::Sealer;

use crate::answer::{ChunkReader, ProviderUsage};
use crate::attempt::Attempted;
use crate::progress::Progress;

/// An end, and what settles the call if nobody receives it.
pub(crate) struct Ending {
    pub(crate) end: End,
    settlement: Option<Settlement>,
}

/// What settles a call that nobody receives.
pub(crate) struct Settlement {
    operation: Operation,
    /// What the caller was sent and how it ended, where it may be asked for again.
    answer: Option<(Collected, Option<Refusal>)>,
}

impl Settlement {
    fn charging(capture: Capture, answer: Option<(Collected, Option<Refusal>)>) -> Self {
        Self { operation: Operation::Capture(Box::new(capture)), answer }
    }

    /// The operation, with the answer sealed.
    pub(crate) fn sealed(self, sealer: &Sealer) -> Operation {
        match (self.operation, self.answer) {
            (Operation::Capture(mut capture), Some((collected, failure))) => {
                capture.answer = collected.seal(failure.as_ref(), capture.request_id, sealer);
                Operation::Capture(capture)
            }
            (operation, _) => operation,
        }
    }
}

impl Ending {
    /// What `attempted` gave.
    pub(crate) fn of(job: &Job, attempted: Attempted<'_>, progress: &Progress) -> Self {
        match attempted {
            Attempted::Whole(whole) => {
                let produced = Produced {
                    completion: whole.tally,
                    upstream: counts(whole.usage),
                    images: whole.images,
                    finished_early: false,
                };
                Self::answered(job, produced, progress, |charge| {
                    let (prompt, completion) = billing::billed_tokens(charge);
                    vec![whole.into_reply(prompt, completion)]
                })
            }
            Attempted::Streamed { reader, held_back, usage, completion } => {
                let produced = Produced { completion, upstream: counts(usage), images: 0, finished_early: false };
                Self::answered(job, produced, progress, |charge| with_usage(job, &reader, held_back, charge))
            }
            Attempted::Failed(refusal) => Self::early(job, progress, TryOutcome::Failed, refusal),
        }
    }

    fn answered(
        job: &Job,
        produced: Produced,
        progress: &Progress,
        held_back: impl FnOnce(&Charge) -> Vec<Bytes>,
    ) -> Self {
        let Some(capture) = billing::capture(job, produced) else {
            return Self::without_charge(job, progress, TryOutcome::Ok, Refusal::internal());
        };
        let way = progress.take_way(TryOutcome::Ok);
        let held_back = held_back(&capture.charge);
        let answer = progress.take_collected().map(|collected| (collected.with(&held_back), None));
        let end = End::Answered { held_back, produced, way };
        Self { end, settlement: Some(Settlement::charging(capture, answer)) }
    }

    /// Before its time: what had reached the client is charged. A try that is still going on ends with `outcome`.
    pub(crate) fn early(job: &Job, progress: &Progress, outcome: TryOutcome, refusal: Refusal) -> Self {
        let produced = progress.produced();
        let Some(capture) = produced.and_then(|produced| billing::capture(job, produced)) else {
            return Self::without_charge(job, progress, outcome, refusal);
        };
        let answer = progress.take_collected().map(|collected| (collected, Some(refusal.clone())));
        let end = End::Failed { refusal, produced, way: progress.take_way(outcome) };
        Self { end, settlement: Some(Settlement::charging(capture, answer)) }
    }

    /// Without any text.
    pub(crate) fn without_charge(job: &Job, progress: &Progress, outcome: TryOutcome, refusal: Refusal) -> Self {
        let (request_id, account) = (job.request_id, job.tenant);
        let operation = Operation::End { request_id, account, ended: Ended::Voided };
        let settlement = Settlement { operation, answer: None };
        let end = End::Failed { refusal, produced: None, way: progress.take_way(outcome) };
        Self { end, settlement: Some(settlement) }
    }

    /// Of a call that somebody has settled.
    pub(crate) const fn lost() -> Self {
        Self { end: End::Lost, settlement: None }
    }

    /// Takes the two apart: the end is sent, and the other settles the call if nobody receives it.
    pub(crate) fn into_parts(self) -> (End, Option<Settlement>) {
        (self.end, self.settlement)
    }
}

fn with_usage(job: &Job, reader: &ChunkReader<'_>, mut held_back: Vec<Bytes>, charge: &Charge) -> Vec<Bytes> {
    if job.include_usage {
        let (prompt, completion) = billing::billed_tokens(charge);
        held_back.push(reader.usage_chunk(prompt, completion));
    }
    held_back
}

fn counts(usage: Option<ProviderUsage>) -> Option<(i64, i64)> {
    usage.map(|usage| (usage.prompt, usage.completion))
}
