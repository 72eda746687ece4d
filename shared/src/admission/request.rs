//! Reading a caller's body: JSON first, then the Secret Key inside it, then the rules of its endpoint.

mod body;
mod chat;
mod compact;
mod completion;
mod embeddings;
mod field;
mod image;
mod message;
mod moderation;
mod options;
mod original;
mod prompt;
mod provider;
mod strictness;
mod syntax;
#[cfg(test)]
mod tests;

pub use body::Body;

use crate::queue::{Endpoint, ImageOrder};
use crate::tokens::Tally;

/// Whose rules a call is held to. The place where its Secret Key was found decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rules {
    /// The key is in the body: the original service's rules on messages.
    Original,
    /// The key is in a header: OpenAI's rules.
    OpenAi,
}

/// A call as it was asked for: every rule is met, and everything that admission needs to know was read.
#[derive(Debug, Clone, PartialEq)]
pub struct CallRequest {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// The model's public name.
    pub model: String,
    /// The members of the object for the provider: see [`crate::queue::Job::fields`].
    pub fields: String,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// Whether the caller asked for the usage in the stream.
    pub include_usage: bool,
    /// The other members of `stream_options`: see [`crate::queue::Job::stream_options`].
    pub stream_options: String,
    /// How many answers the reply should hold: `n` times prompts, or as many as there are inputs to embed or to judge.
    pub choices: i64,
    /// How many answers the provider generates, for the hold: the larger of `n` and `best_of`, times prompts. Zero where an answer
    /// is no generated text.
    pub candidates: i64,
    /// The longest answer that was asked for, in tokens.
    pub max_output: Option<i64>,
    /// What the prompt counts.
    pub prompt: Tally,
    /// With `echo`: the prompts' texts.
    pub echoed_prompts: Vec<String>,
    /// For images: what was ordered.
    pub images: Option<ImageOrder>,
    /// The caller's own name for the end user.
    pub end_user: Option<String>,
}
