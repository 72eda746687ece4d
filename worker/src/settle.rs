//! The end of a call: the charge is committed first, and only then what ends the answer is sent.

use bytes::Bytes;
use shared::billing::{self, Produced};
use shared::id::{RequestId, TenantId};
use shared::ledger::{Capture, Captured, Charge, Ended, Ledger, LedgerError};
use shared::queue::{End, Job};
use shared::refusal::Refusal;

use crate::answer::{ChunkReader, ProviderUsage};
use crate::attempt::Attempted;
use crate::progress::Progress;

/// Settles what `attempted` gave, and gives the end for the one who waits.
pub(crate) async fn settle(ledger: &Ledger, job: &Job, attempted: Attempted<'_>, progress: &Progress) -> End {
    match attempted {
        Attempted::Whole(whole) => {
            let produced = Produced {
                completion: whole.tally,
                upstream: counts(whole.usage),
                images: whole.images,
                finished_early: false,
            };
            answer(ledger, job, produced, |charge| {
                let (prompt, completion) = billing::billed_tokens(charge);
                vec![whole.into_reply(prompt, completion)]
            })
            .await
        }
        Attempted::Streamed { reader, held_back, usage, completion } => {
            let produced = Produced { completion, upstream: counts(usage), images: 0, finished_early: false };
            answer(ledger, job, produced, |charge| with_usage(job, &reader, held_back, charge)).await
        }
        Attempted::Failed(refusal) => end_early(ledger, job, progress, refusal).await,
    }
}

/// Charges what had reached the client; without any text the hold is left to the one who waits.
pub(crate) async fn end_early(ledger: &Ledger, job: &Job, progress: &Progress, refusal: Refusal) -> End {
    let Some(produced) = progress.produced() else {
        return End::Failed { refusal, charged: None };
    };
    match capture(ledger, job, produced).await {
        Ok((_, captured)) => End::Failed { refusal, charged: Some(captured.paid) },
        Err(end) => end,
    }
}

/// Releases the hold of a call that nobody waits for any more.
pub(crate) async fn void(ledger: &Ledger, request_id: RequestId, account: TenantId) {
    match ledger.end(request_id, account, Ended::Voided).await {
        Ok(_) => {}
        Err(error) => {
            tracing::error!(%request_id, %error, "a hold could not be voided; the sweeper will expire it");
        }
    }
}

async fn answer(ledger: &Ledger, job: &Job, produced: Produced, held_back: impl FnOnce(&Charge) -> Vec<Bytes>) -> End {
    match capture(ledger, job, produced).await {
        Ok((charge, captured)) => End::Answered { held_back: held_back(&charge), charged: captured.paid },
        Err(end) => end,
    }
}

async fn capture(ledger: &Ledger, job: &Job, produced: Produced) -> Result<(Charge, Captured), End> {
    let request_id = job.request_id;
    let Some(charge) = billing::charge(job, produced) else {
        tracing::error!(%request_id, "the cost of a call is out of range; it is not charged");
        return Err(End::Failed { refusal: Refusal::internal(), charged: None });
    };
    match ledger.capture(Capture { request_id, account: job.tenant, charge: charge.clone() }).await {
        Ok(Ok(captured)) => {
            if captured.written_off > shared::money::Amount::ZERO {
                tracing::warn!(%request_id, written_off = %captured.written_off, "a call cost more than its hold and the free balance; the rest was written off");
            }
            Ok((charge, captured))
        }
        Ok(Err(settlement)) => {
            tracing::warn!(%request_id, ?settlement, "a call was settled by someone else before its answer was ready");
            Err(End::Lost)
        }
        Err(LedgerError::TimedOut | LedgerError::Stopped) => {
            tracing::error!(%request_id, "the ledger did not answer in time; it is unknown whether a call was charged");
            Err(End::Unknown)
        }
        Err(error) => {
            tracing::error!(%request_id, %error, "a call could not be charged");
            Err(End::Failed { refusal: Refusal::unavailable(), charged: None })
        }
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
