//! Passing a provider's stream on to the client, chunk by chunk: metered, rewritten, bounded by the hold, and without its end,
//! which waits for the charge.

use bytes::Bytes;
use shared::clock::Clock;
use shared::queue::{Chunk, Delivery};
use shared::tokens::Tally;

use crate::answer::{ChunkReader, ProviderUsage, SeenChunk};
use crate::progress::Progress;
use crate::upstream::{Event, Events, UpstreamError};

/// Chunks without text (a role, empty deltas) that are kept back until the first text; until then another channel may be tried.
const MOST_EARLY: usize = 256;
/// Chunks behind the last `finish_reason` that are kept.
const MOST_HELD_BACK: usize = 64;
/// How long the provider's usage and `[DONE]` are waited for behind the last `finish_reason`, in milliseconds.
const AFTER_FINISH_MS: i64 = 5_000;

/// A stream that has come to its end.
pub(crate) struct Relayed<'job> {
    /// Makes the last chunks.
    pub(crate) reader: ChunkReader<'job>,
    /// The chunks from the last `finish_reason` on.
    pub(crate) held_back: Vec<Bytes>,
    /// The provider's own count.
    pub(crate) usage: Option<ProviderUsage>,
    /// What was generated and is the client's: all of it, or what the hold covers.
    pub(crate) completion: Tally,
}

/// A stream that has not.
pub(crate) enum Broken {
    /// Before any text.
    BeforeText(UpstreamError),
    /// No text in time.
    TooLate,
    /// After text; why, for the log.
    AfterText(String),
    /// After text: no further chunk in time.
    Silent,
    /// Nobody reads any more.
    ClientGone,
}

/// Relays until the provider ends, the hold is used up, or something breaks.
pub(crate) async fn relay<'job>(
    clock: &Clock,
    delivery: &'job Delivery,
    events: &mut dyn Events,
    progress: &Progress,
) -> Result<Relayed<'job>, Broken> {
    let job = &delivery.job;
    let mut stream = Stream {
        delivery,
        progress,
        reader: ChunkReader::new(job),
        early: Vec::new(),
        held_back: Vec::new(),
        usage: None,
        has_text: false,
        cut_at: None,
    };
    // Set once, so that a provider that goes on behind the end does not put it off.
    let mut after_finish = None;
    loop {
        let deadline = if !stream.held_back.is_empty() {
            *after_finish.get_or_insert_with(|| clock.now().plus_ms(AFTER_FINISH_MS).min(job.deadlines.end))
        } else if stream.has_text {
            clock.now().plus_ms(job.deadlines.between_chunks_ms).min(job.deadlines.end)
        } else {
            job.deadlines.first_text.min(job.deadlines.end)
        };
        let left = clock.until(deadline);
        // A provider that always has more at once would never let a timeout come.
        let waited = if left.is_zero() { None } else { tokio::time::timeout(left, events.next()).await.ok() };
        let event = match waited {
            Some(Ok(event)) => event,
            // What ends the answer is here; the rest is not worth an error.
            None | Some(Err(_)) if !stream.held_back.is_empty() => None,
            None if stream.has_text => return Err(Broken::Silent),
            None => return Err(Broken::TooLate),
            Some(Err(error)) => return Err(stream.broken(error)),
        };
        match event {
            Some(Event::Data(data)) => {
                if stream.pass_on(&data).await? == Flow::Ended {
                    return Ok(stream.ended());
                }
            }
            Some(Event::Done) => return stream.done(),
            None if !stream.held_back.is_empty() => return Ok(stream.ended()),
            None => {
                return Err(stream.broken(UpstreamError::Failed {
                    why: "the provider closed the stream before its end".to_owned(),
                }));
            }
        }
    }
}

#[derive(PartialEq, Eq)]
enum Flow {
    GoesOn,
    Ended,
}

struct Stream<'job, 'progress> {
    delivery: &'job Delivery,
    progress: &'progress Progress,
    reader: ChunkReader<'job>,
    early: Vec<Bytes>,
    held_back: Vec<Bytes>,
    usage: Option<ProviderUsage>,
    has_text: bool,
    /// What the client gets of a stream that was cut: at its hold, or behind its end.
    cut_at: Option<Tally>,
}

impl<'job> Stream<'job, '_> {
    async fn pass_on(&mut self, data: &Bytes) -> Result<Flow, Broken> {
        let before = self.reader.tally();
        let seen = match self.reader.read(data) {
            Ok(seen) => seen,
            // As in `relay`: the answer is whole, whatever stands behind it.
            Err(_) if !self.held_back.is_empty() => {
                self.cut_at = Some(before);
                return Ok(Flow::Ended);
            }
            Err(nonsense) => return Err(self.broken(UpstreamError::Failed { why: nonsense.to_string() })),
        };
        let SeenChunk { json, has_text, finished, usage } = seen;
        self.usage = usage.or(self.usage);
        if has_text && self.is_above_hold() {
            // The hold covers what was sent up to here and no more: this chunk stays with us, and the answer ends.
            self.send_early().await?;
            self.cut_at = Some(before);
            self.usage = None;
            // An end that it brought stays with us too; an end that is held back already is not said again.
            self.reader.reopen_last();
            if self.reader.is_open() {
                self.held_back.push(self.reader.final_chunk("length"));
            }
            return Ok(Flow::Ended);
        }
        let Some(json) = json else { return Ok(Flow::GoesOn) };
        if finished || !self.held_back.is_empty() {
            if has_text {
                // The last chunk carries text too: it is generated, and sent with the end.
                self.has_text = true;
            }
            if self.held_back.len() < MOST_HELD_BACK {
                self.held_back.push(json);
            } else if has_text {
                // What is not sent is not paid.
                self.cut_at = Some(before);
                return Ok(Flow::Ended);
            }
            return Ok(Flow::GoesOn);
        }
        if !self.has_text && !has_text {
            if self.early.len() < MOST_EARLY {
                self.early.push(json);
            }
            return Ok(Flow::GoesOn);
        }
        self.send_early().await?;
        self.has_text = true;
        self.send(json).await?;
        Ok(Flow::GoesOn)
    }

    async fn send_early(&mut self) -> Result<(), Broken> {
        for json in std::mem::take(&mut self.early) {
            self.progress.sent_early(&json);
            let chunk = Chunk { json, generated: Tally::default() };
            self.delivery.send(chunk).await.map_err(|_| Broken::ClientGone)?;
        }
        Ok(())
    }

    async fn send(&self, json: Bytes) -> Result<(), Broken> {
        let generated = self.reader.tally();
        // Counted before it is sent: what may have reached the client is paid for.
        self.progress.sent(generated, &json);
        self.delivery.send(Chunk { json, generated }).await.map_err(|_| Broken::ClientGone)
    }

    fn is_above_hold(&self) -> bool {
        let job = &self.delivery.job;
        let cost = job.price.tokens_cost(job.prompt.tokens, self.reader.tally().tokens);
        cost.is_none_or(|cost| cost.total > job.hold)
    }

    fn done(mut self) -> Result<Relayed<'job>, Broken> {
        if !self.has_text && self.held_back.is_empty() {
            // Roles and empty deltas are no answer: nobody pays a prompt for them.
            return Err(Broken::BeforeText(UpstreamError::Failed {
                why: "the provider ended the stream without text and without a reason".to_owned(),
            }));
        }
        if self.held_back.is_empty() {
            // Fewer ends than answers were asked for: `[DONE]` is the end all the same.
            self.held_back.push(self.reader.final_chunk("stop"));
        }
        Ok(self.ended())
    }

    fn ended(mut self) -> Relayed<'job> {
        let mut held_back = std::mem::take(&mut self.early);
        held_back.append(&mut self.held_back);
        let completion = self.cut_at.unwrap_or_else(|| self.reader.tally());
        Relayed { reader: self.reader, held_back, usage: self.usage, completion }
    }

    fn broken(&self, error: UpstreamError) -> Broken {
        if self.has_text { Broken::AfterText(error.to_string()) } else { Broken::BeforeText(error) }
    }
}

#[cfg(test)]
mod tests;
