//! The end of a call as a worker sends it: what is to be charged, and what may be shown once it is. Who receives it charges; where nobody
//! does, the worker.

use bytes::Bytes;
use shared::billing::{self, Produced};
use shared::ledger::{Charge, Ended, Operation};
use shared::queue::{End, Job};
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
                Self::answered(job, produced, |charge| {
                    let (prompt, completion) = billing::billed_tokens(charge);
                    vec![whole.into_reply(prompt, completion)]
                })
            }
            Attempted::Streamed { reader, held_back, usage, completion } => {
                let produced = Produced { completion, upstream: counts(usage), images: 0, finished_early: false };
                Self::answered(job, produced, |charge| with_usage(job, &reader, held_back, charge))
            }
            Attempted::Failed(refusal) => Self::early(job, progress, refusal),
        }
    }

    fn answered(job: &Job, produced: Produced, held_back: impl FnOnce(&Charge) -> Vec<Bytes>) -> Self {
        let Some(capture) = billing::capture(job, produced) else {
            return Self::without_charge(job, Refusal::internal());
        };
        let end = End::Answered { held_back: held_back(&capture.charge), produced };
        Self { end, settlement: Some(Operation::Capture(Box::new(capture))) }
    }

    /// Before its time: what had reached the client is charged.
    pub(crate) fn early(job: &Job, progress: &Progress, refusal: Refusal) -> Self {
        let produced = progress.produced();
        match produced.and_then(|produced| billing::capture(job, produced)) {
            Some(capture) => {
                Self { end: End::Failed { refusal, produced }, settlement: Some(Operation::Capture(Box::new(capture))) }
            }
            None => Self::without_charge(job, refusal),
        }
    }

    /// Without any text.
    pub(crate) fn without_charge(job: &Job, refusal: Refusal) -> Self {
        let (request_id, account) = (job.request_id, job.tenant);
        let settlement = Operation::End { request_id, account, ended: Ended::Voided };
        Self { end: End::Failed { refusal, produced: None }, settlement: Some(settlement) }
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
