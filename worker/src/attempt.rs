//! Finding a channel that answers: each is tried once, in turn, until one gives text. After the first text there is no other try.

use bytes::Bytes;
use shared::catalogue::ServedModel;
use shared::clock::Clock;
use shared::queue::{Delivery, Job, TryOutcome};
use shared::refusal::{Reason, Refusal};
use shared::tokens::Tally;
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::answer::{ChunkReader, Nonsense, ProviderUsage, WholeAnswer};
use crate::channels::{Channels, in_turn};
use crate::progress::Progress;
use crate::relay::{self, Broken, Relayed};
use crate::upstream::{Answer, Upstream, UpstreamError};

/// What a caller is told to wait when every channel said 429 and none said for how long, in seconds.
const RATE_LIMITED_RETRY_S: u32 = 10;

/// A whole answer above this is read while the other tasks of its thread move elsewhere: thousands of embeddings take a while.
const LARGE_ANSWER: usize = 256 * 1024;

/// What became of a call before it is settled.
pub(crate) enum Attempted<'job> {
    /// The one whole answer.
    Whole(WholeAnswer),
    /// A stream has come to its end; what ends it is held back.
    Streamed {
        /// Makes the last chunks.
        reader: Box<ChunkReader<'job>>,
        /// The chunks from the last `finish_reason` on.
        held_back: Vec<Bytes>,
        /// The provider's own count.
        usage: Option<ProviderUsage>,
        /// What was generated.
        completion: Tally,
    },
    /// Nothing more comes.
    Failed(Refusal),
}

/// Why one channel gave no answer.
struct Missed {
    miss: Miss,
    outcome: TryOutcome,
    /// For the log.
    why: String,
}

/// What follows from that.
enum Miss {
    /// Another one may.
    Next,
    /// Another one may, and this one is at its limit.
    RateLimited(Option<u32>),
    /// No other channel is tried.
    Final(Refusal),
}

/// Tries the channels that serve the job's model.
pub(crate) async fn attempt<'job>(
    channels: &Channels,
    clock: &Clock,
    served: Option<&ServedModel>,
    delivery: &'job Delivery,
    progress: &Progress,
) -> Attempted<'job> {
    let job = &delivery.job;
    let routes = served.map(|served| in_turn(served, job.request_id)).unwrap_or_default();
    let mut limited = 0;
    let mut retry_after_s: Option<u32> = None;
    for route in &routes {
        let channel = &route.channel;
        let adapter = match channels.adapter(channel) {
            Ok(adapter) => adapter,
            Err(why) => {
                tracing::error!(request_id = %job.request_id, channel = %channel.name, %why, "a channel cannot be used");
                progress.try_begins(&channel.name);
                progress.try_ends(TryOutcome::Unusable);
                continue;
            }
        };
        progress.try_begins(&channel.name);
        let missed = match try_channel(clock, adapter.as_ref(), delivery, &route.upstream_model, progress).await {
            Ok(attempted) => {
                progress.try_ends(TryOutcome::Ok);
                metrics::counter!("xiaoyi_channel_calls_total", "channel" => channel.name.clone(), "outcome" => "answered").increment(1);
                return attempted;
            }
            Err(Missed { miss, outcome, why }) => {
                let duration_ms = progress.try_ends(outcome);
                tracing::warn!(
                    request_id = %job.request_id, channel = %channel.name, %why, duration_ms, "a channel gave no answer"
                );
                metrics::counter!("xiaoyi_channel_calls_total", "channel" => channel.name.clone(), "outcome" => "failed").increment(1);
                miss
            }
        };
        match missed {
            Miss::Final(refusal) => return Attempted::Failed(refusal),
            Miss::Next => {}
            Miss::RateLimited(seconds) => {
                limited += 1;
                retry_after_s = [retry_after_s, seconds].into_iter().flatten().min();
            }
        }
    }
    Attempted::Failed(if routes.is_empty() {
        no_channel("no channel serves this model at the moment", 30)
    } else if limited == routes.len() {
        no_channel("every provider of this model is at its limit", retry_after_s.unwrap_or(RATE_LIMITED_RETRY_S))
    } else {
        upstream_error()
    })
}

fn no_channel(why: &str, retry_after_s: u32) -> Refusal {
    Refusal::new(Reason::NoChannel, format!("{why}; nothing was charged, please try again later"))
        .retry_after(retry_after_s)
}

fn upstream_error() -> Refusal {
    Refusal::new(
        Reason::UpstreamError,
        "the model's provider gave no usable answer; nothing was charged, please try again",
    )
}

fn timeout() -> Refusal {
    Refusal::new(Reason::Timeout, "the model did not answer in time; nothing was charged, please try again")
}

async fn try_channel<'job>(
    clock: &Clock,
    adapter: &dyn Upstream,
    delivery: &'job Delivery,
    upstream_model: &str,
    progress: &Progress,
) -> Result<Attempted<'job>, Missed> {
    let job = &delivery.job;
    let deadline = if job.stream { job.deadlines.first_text.min(job.deadlines.end) } else { job.deadlines.end };
    let called = tokio::time::timeout(clock.until(deadline), adapter.call(job, upstream_model)).await;
    let answer = match called {
        Err(_) => return Err(too_late("the deadline passed before an answer")),
        Ok(Err(error)) => return Err(missed(error)),
        Ok(Ok(answer)) => answer,
    };
    let next = |why| Missed { miss: Miss::Next, outcome: TryOutcome::Failed, why };
    let redacted = |why: String| adapter.redact(job, upstream_model, &why);
    match answer {
        Answer::Whole(data) => match read_whole(job, &data) {
            Err(nonsense) => Err(next(redacted(nonsense.to_string()))),
            Ok(whole) if job.images.is_some() && whole.images == 0 => {
                Err(next("the provider delivered no image".to_owned()))
            }
            Ok(whole) => Ok(Attempted::Whole(whole)),
        },
        Answer::Stream(mut events) => match relay::relay(clock, delivery, events.as_mut(), progress).await {
            Ok(Relayed { reader, held_back, usage, completion }) => {
                Ok(Attempted::Streamed { reader: Box::new(reader), held_back, usage, completion })
            }
            Err(Broken::BeforeText(UpstreamError::Failed { why })) => Err(next(redacted(why))),
            Err(Broken::BeforeText(error)) => Err(missed(error)),
            Err(Broken::TooLate) => Err(too_late("the deadline passed before any text")),
            Err(Broken::AfterText(why)) => {
                let refusal = Refusal::new(Reason::UpstreamError, "the model's provider broke off the answer");
                Err(Missed { miss: Miss::Final(refusal), outcome: TryOutcome::BrokenOff, why: redacted(why) })
            }
            Err(Broken::Silent) => {
                let refusal = Refusal::new(Reason::Timeout, "the model stopped in the middle of its answer");
                let why = "the deadline passed in the middle of the stream".to_owned();
                Err(Missed { miss: Miss::Final(refusal), outcome: TryOutcome::BrokenOff, why })
            }
            // The watch on the client ends the call; until it does there is nothing to send and nobody to tell.
            Err(Broken::ClientGone) => {
                let (miss, why) = (Miss::Final(upstream_error()), "the client has left".to_owned());
                Err(Missed { miss, outcome: TryOutcome::ClientLeft, why })
            }
        },
    }
}

fn read_whole(job: &Job, data: &Bytes) -> Result<WholeAnswer, Nonsense> {
    let can_move_others = Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread;
    if data.len() > LARGE_ANSWER && can_move_others {
        return tokio::task::block_in_place(|| WholeAnswer::read(job, data));
    }
    WholeAnswer::read(job, data)
}

fn too_late(why: &str) -> Missed {
    Missed { miss: Miss::Final(timeout()), outcome: TryOutcome::Timeout, why: why.to_owned() }
}

fn missed(error: UpstreamError) -> Missed {
    let why = error.to_string();
    let (miss, outcome) = match error {
        UpstreamError::Rejected { message, param, .. } => {
            let message = format!("the model's provider rejected this request: {message}");
            let refusal = Refusal { param, ..Refusal::new(Reason::UpstreamRejected, message) };
            (Miss::Final(refusal), TryOutcome::Rejected)
        }
        UpstreamError::RateLimited { retry_after_s } => (Miss::RateLimited(retry_after_s), TryOutcome::RateLimited),
        UpstreamError::Failed { .. } => (Miss::Next, TryOutcome::Failed),
    };
    Missed { miss, outcome, why }
}
