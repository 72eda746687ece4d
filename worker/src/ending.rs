//! The end of a call as a worker sends it: what is to be charged, and what may be shown once it is. Who receives it charges; where nobody
//! does, the worker.

use bytes::Bytes;
use shared::billing::{self, Produced};
use shared::ledger::{Charge, Ended, Operation};
use shared::queue::{End, Job, TryOutcome};
use shared::refusal::Refusal;

use crate::answer::{ChunkReader, ProviderUsage};
use crate::attempt::Attempted;
use crate::progress::Progress;

/// An end, and what settles the call if nobody receives it.
pub(crate) struct Ending {
    pub(crate) end: End,
    settlement: Option<Operation>,
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
        let end = End::Answered { held_back: held_back(&capture.charge), produced, way };
        Self { end, settlement: Some(Operation::Capture(Box::new(capture))) }
    }

    /// Before its time: what had reached the client is charged. A try that is still going on ends with `outcome`.
    pub(crate) fn early(job: &Job, progress: &Progress, outcome: TryOutcome, refusal: Refusal) -> Self {
        let produced = progress.produced();
        let Some(capture) = produced.and_then(|produced| billing::capture(job, produced)) else {
            return Self::without_charge(job, progress, outcome, refusal);
        };
        let end = End::Failed { refusal, produced, way: progress.take_way(outcome) };
        Self { end, settlement: Some(Operation::Capture(Box::new(capture))) }
    }

    /// Without any text.
    pub(crate) fn without_charge(job: &Job, progress: &Progress, outcome: TryOutcome, refusal: Refusal) -> Self {
        let (request_id, account) = (job.request_id, job.tenant);
        let settlement = Operation::End { request_id, account, ended: Ended::Voided };
        let end = End::Failed { refusal, produced: None, way: progress.take_way(outcome) };
        Self { end, settlement: Some(settlement) }
    }

    /// Of a call that somebody has settled.
    pub(crate) const fn lost() -> Self {
        Self { end: End::Lost, settlement: None }
    }

    /// Takes the two apart: the end is sent, and the other settles the call if nobody receives it.
    pub(crate) fn into_parts(self) -> (End, Option<Operation>) {
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
