//! What travels from admission to a worker.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::{RequestId, TenantId};
use crate::idempotency::Mark;
use crate::money::Amount;
use crate::price::Price;
use crate::secret_key::KeyId;
use crate::tokens::Tally;

/// Which of OpenAI's endpoints a call is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// `chat/completions`
    Chat,
    /// `completions`
    Completions,
    /// `images/generations`
    Images,
    /// `embeddings`
    Embeddings,
    /// `moderations`
    Moderations,
}

impl Endpoint {
    /// The word that the ledger keeps.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completions => "completions",
            Self::Images => "images",
            Self::Embeddings => "embeddings",
            Self::Moderations => "moderations",
        }
    }

    /// The path below a provider's base URL.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Chat => "chat/completions",
            Self::Completions => "completions",
            Self::Images => "images/generations",
            Self::Embeddings => "embeddings",
            Self::Moderations => "moderations",
        }
    }
}

/// The images that a call asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageOrder {
    /// How many.
    pub count: i64,
    /// Their size, such as `1024x1024`; it decides the price.
    pub size: String,
}

/// When a call must have got how far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadlines {
    /// The first text must have come by then (time in the queue included).
    pub first_text: Timestamp,
    /// The longest silence between two chunks, in milliseconds.
    pub between_chunks_ms: i64,
    /// The whole answer must have come by then.
    pub end: Timestamp,
}

/// One call, admitted and with its cost held. All that a worker needs, so that any worker process can do it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    /// The call.
    pub request_id: RequestId,
    /// Who pays.
    pub tenant: TenantId,
    /// The key that called.
    pub key: KeyId,
    /// The endpoint.
    pub endpoint: Endpoint,
    /// The public name of the model that was asked for; it stands in the reply.
    pub model: String,
    /// The members of the request object for the provider, without braces, `model`, `stream`, `stream_options` (which
    /// pass through where answers are never streamed) and the Secret Key: `"messages":[...],"temperature":0.5`. Never empty. Numbers
    /// and unknown fields are as the caller wrote them.
    pub fields: String,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// Whether the caller asked for the usage in the stream.
    pub include_usage: bool,
    /// The other members of `stream_options`, as the caller wrote them and without braces; mostly empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stream_options: String,
    /// How many answers the reply should hold: `n` times prompts, or as many as there are inputs to embed or to judge.
    pub choices: i64,
    /// What the prompt counts.
    pub prompt: Tally,
    /// With `echo`: the prompts, which come back in front of each answer and are not charged again.
    pub echoed_prompts: Vec<String>,
    /// What was held.
    pub hold: Amount,
    /// The price that the hold was computed with; the charge uses it too.
    pub price: Price,
    /// For images: what was ordered.
    pub images: Option<ImageOrder>,
    /// The caller's own name for the end user.
    pub end_user: Option<String>,
    /// What a repetition of the call is known by; what the caller is sent is then kept with the charge.
    #[serde(default)]
    pub idempotency: Option<Mark>,
    /// The bytes that this copy is without: see [`Job::without_body`]. Zero in a queue.
    #[serde(skip)]
    pub left_out: usize,
    /// When the call was admitted.
    pub accepted_at: Timestamp,
    /// Until when.
    pub deadlines: Deadlines,
}

impl Job {
    /// The same without what only a worker needs, which may be megabytes. Its charge is the same.
    #[must_use]
    pub fn without_body(&self) -> Self {
        Self {
            request_id: self.request_id,
            tenant: self.tenant,
            key: self.key,
            endpoint: self.endpoint,
            model: self.model.clone(),
            fields: String::new(),
            stream: self.stream,
            include_usage: self.include_usage,
            stream_options: String::new(),
            choices: self.choices,
            prompt: self.prompt,
            echoed_prompts: Vec::new(),
            hold: self.hold,
            price: self.price.clone(),
            images: self.images.clone(),
            end_user: self.end_user.clone(),
            idempotency: self.idempotency,
            left_out: self.weight(),
            accepted_at: self.accepted_at,
            deadlines: self.deadlines,
        }
    }

    /// What the job weighs in a queue, in bytes. A copy without the body still says what it weighed.
    pub fn weight(&self) -> usize {
        let echoed = self.echoed_prompts.iter().map(String::len).sum();
        [self.fields.len(), self.stream_options.len(), echoed, self.left_out].into_iter().fold(0, usize::saturating_add)
    }
}
