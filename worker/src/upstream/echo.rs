//! The built-in provider: it answers with the prompt. No network, no cost, always the same answer; for the demo, for
//! tests, and for trying a client. It obeys `max_tokens` in the tokens of our own estimate.

mod answer;
mod embeddings;
mod images;
mod moderations;
mod request;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use shared::catalogue::EchoOptions;
use shared::clock::Clock;
use shared::queue::{Endpoint, Job};
use tokio::time::Instant;

use self::answer::{Choice, first_piece};
use super::{Answer, Event, Events, Upstream, UpstreamError};

/// The longest answer, all choices together, in bytes: what is read of any provider.
const LONGEST: usize = 64 * 1024 * 1024;

/// One channel of this kind.
pub(crate) struct Echo {
    options: EchoOptions,
    clock: Clock,
}

impl Echo {
    /// The provider with its delays; the clock gives `created`.
    pub(crate) const fn new(options: EchoOptions, clock: Clock) -> Self {
        Self { options, clock }
    }
}

#[async_trait]
impl Upstream for Echo {
    async fn call(&self, job: &Job, upstream_model: &str) -> Result<Answer, UpstreamError> {
        let ready_at = after(self.options.delay_ms);
        let created = self.clock.now().seconds();
        let reply = match job.endpoint {
            Endpoint::Chat | Endpoint::Completions => None,
            Endpoint::Images => Some(images::reply(job, created)?),
            Endpoint::Embeddings => Some(embeddings::reply(job, upstream_model).await?),
            Endpoint::Moderations => Some(moderations::reply(job, upstream_model)?),
        };
        if let Some(reply) = reply {
            wait_until(ready_at).await;
            return Ok(Answer::Whole(reply));
        }
        let choices = answer::choices(job)?;
        if choices.iter().map(Choice::length).sum::<usize>() > LONGEST {
            return Err(UpstreamError::failed(format!("the answer is over {LONGEST} bytes")));
        }
        let shape =
            Shape { chat: job.endpoint == Endpoint::Chat, created, model: upstream_model.to_owned(), id: id_of(job) };
        let usage = usage(job, &choices);
        if !job.stream {
            wait_until(ready_at).await;
            return Ok(Answer::Whole(shape.whole(&choices, &usage)));
        }
        let chunk_delay_ms = self.options.chunk_delay_ms;
        Ok(Answer::Stream(Box::new(Stream { shape, choices, usage, next: Step::Opening(0), ready_at, chunk_delay_ms })))
    }
}

fn id_of(job: &Job) -> String {
    let prefix = if job.endpoint == Endpoint::Chat { "chatcmpl" } else { "cmpl" };
    format!("{prefix}-{}", job.request_id.simple())
}

fn usage(job: &Job, choices: &[Choice]) -> Value {
    let prompt = job.prompt.tokens;
    let completion = choices.iter().fold(0_i64, |sum, choice| sum.saturating_add(choice.tokens));
    json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt.saturating_add(completion)})
}

/// What the objects of one answer have in common.
struct Shape {
    chat: bool,
    id: String,
    created: i64,
    model: String,
}

impl Shape {
    fn whole(&self, choices: &[Choice], usage: &Value) -> Bytes {
        let choices = choices.iter().enumerate().map(|(index, choice)| {
            let text = [&*choice.front, &*choice.text].concat();
            if self.chat {
                let message = json!({"role": "assistant", "content": text, "refusal": null});
                json!({"index": index, "message": message, "logprobs": null, "finish_reason": choice.finish_reason})
            } else {
                json!({"text": text, "index": index, "logprobs": null, "finish_reason": choice.finish_reason})
            }
        });
        let object = if self.chat { "chat.completion" } else { "text_completion" };
        self.object(object, choices.collect(), usage)
    }

    fn opening(&self, index: usize) -> Bytes {
        self.delta(index, &json!({"role": "assistant", "content": ""}), None)
    }

    fn text(&self, index: usize, text: &str) -> Bytes {
        if self.chat {
            return self.delta(index, &json!({"content": text}), None);
        }
        self.chunk(json!([{"text": text, "index": index, "logprobs": null, "finish_reason": null}]), &Value::Null)
    }

    fn finish(&self, index: usize, reason: &str) -> Bytes {
        if self.chat {
            return self.delta(index, &json!({}), Some(reason));
        }
        self.chunk(json!([{"text": "", "index": index, "logprobs": null, "finish_reason": reason}]), &Value::Null)
    }

    fn delta(&self, index: usize, delta: &Value, finish_reason: Option<&str>) -> Bytes {
        let choice = json!({"index": index, "delta": delta, "logprobs": null, "finish_reason": finish_reason});
        self.chunk(json!([choice]), &Value::Null)
    }

    fn chunk(&self, choices: Value, usage: &Value) -> Bytes {
        self.object(if self.chat { "chat.completion.chunk" } else { "text_completion" }, choices, usage)
    }

    fn object(&self, object: &str, choices: Value, usage: &Value) -> Bytes {
        let (id, created, model) = (&self.id, self.created, &self.model);
        let object =
            json!({"id": id, "object": object, "created": created, "model": model, "choices": choices, "usage": usage});
        Bytes::from(object.to_string())
    }
}

/// A streamed answer: a chunk with the role per choice (chat only), the text of one choice after the other in pieces of
/// one hanzi or word, the finish of each choice, the usage, and `[DONE]`.
struct Stream {
    shape: Shape,
    choices: Vec<Choice>,
    usage: Value,
    next: Step,
    /// When the next text may come. Kept here, so that a wait that was dropped is not begun anew.
    ready_at: Option<Instant>,
    chunk_delay_ms: u64,
}

/// What comes next in a stream, with the index of its choice.
#[derive(Clone, Copy)]
enum Step {
    Opening(usize),
    Front(usize),
    /// The text from this byte on.
    Text(usize, usize),
    Finish(usize),
    Usage,
    Done,
    Nothing,
}

impl Stream {
    /// The next chunk and what follows it, or only what follows. The end of a stream has neither.
    fn step(&self) -> (Option<Event>, Step) {
        let data = |json: Bytes| Some(Event::Data(json));
        match self.next {
            Step::Opening(index) if self.shape.chat && index < self.choices.len() => {
                (data(self.shape.opening(index)), Step::Opening(index + 1))
            }
            Step::Opening(_) => (None, Step::Front(0)),
            Step::Front(index) => match self.choices.get(index) {
                Some(choice) if !choice.front.is_empty() => {
                    (data(self.shape.text(index, &choice.front)), Step::Text(index, 0))
                }
                Some(_) => (None, Step::Text(index, 0)),
                None => (None, Step::Finish(0)),
            },
            Step::Text(index, at) => match self.choices.get(index).map_or("", |choice| &choice.text[at..]) {
                "" => (None, Step::Front(index + 1)),
                rest => {
                    let piece = first_piece(rest);
                    (data(self.shape.text(index, piece)), Step::Text(index, at + piece.len()))
                }
            },
            Step::Finish(index) => match self.choices.get(index) {
                Some(choice) => (data(self.shape.finish(index, choice.finish_reason)), Step::Finish(index + 1)),
                None => (None, Step::Usage),
            },
            Step::Usage => (data(self.shape.chunk(json!([]), &self.usage)), Step::Done),
            Step::Done => (Some(Event::Done), Step::Nothing),
            Step::Nothing => (None, Step::Nothing),
        }
    }
}

#[async_trait]
impl Events for Stream {
    async fn next(&mut self) -> Result<Option<Event>, UpstreamError> {
        loop {
            let (event, following) = self.step();
            let Some(event) = event else {
                if matches!(following, Step::Nothing) {
                    return Ok(None);
                }
                self.next = following;
                continue;
            };
            let is_text = matches!(self.next, Step::Front(_) | Step::Text(..));
            if is_text || matches!(self.next, Step::Opening(_)) {
                wait_until(self.ready_at).await;
            }
            if is_text {
                self.ready_at = after(self.chunk_delay_ms);
            }
            self.next = following;
            return Ok(Some(event));
        }
    }
}

fn after(delay_ms: u64) -> Option<Instant> {
    (delay_ms > 0).then(|| Instant::now() + Duration::from_millis(delay_ms))
}

async fn wait_until(moment: Option<Instant>) {
    if let Some(moment) = moment {
        tokio::time::sleep_until(moment).await;
    }
}

#[cfg(test)]
mod tests;
