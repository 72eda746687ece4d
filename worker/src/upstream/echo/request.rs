//! What the echo channel reads of a request.

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use shared::queue::Job;

use super::super::UpstreamError;

/// Reads the fields of a job.
pub(super) fn parse<T: DeserializeOwned>(job: &Job) -> Result<T, UpstreamError> {
    serde_json::from_str(&format!("{{{}}}", job.fields))
        .map_err(|error| rejected(format!("the request cannot be read: {error}")))
}

pub(super) const fn rejected(message: String) -> UpstreamError {
    UpstreamError::Rejected { status: 400, message, param: None }
}

/// What decides the answer; other fields are not looked at.
#[derive(Deserialize)]
pub(super) struct Request {
    #[serde(default)]
    messages: Vec<Message>,
    pub(super) prompt: Option<Prompt>,
    pub(super) max_tokens: Option<i64>,
    pub(super) max_completion_tokens: Option<i64>,
    pub(super) n: Option<usize>,
    pub(super) echo: Option<bool>,
    pub(super) stop: Option<Stop>,
}

impl Request {
    /// The texts of the last user message, one a line; empty when there is none.
    pub(super) fn last_user_text(&self) -> String {
        let last = self.messages.iter().rev().find(|message| message.role == "user");
        match last.and_then(|message| message.content.as_ref()) {
            Some(Content::Text(text)) => text.clone(),
            Some(Content::Parts(parts)) => {
                let texts: Vec<&str> = parts.iter().filter_map(|part| part.text.as_deref()).collect();
                texts.join("\n")
            }
            None => String::new(),
        }
    }
}

#[derive(Deserialize)]
struct Message {
    role: String,
    content: Option<Content>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
struct Part {
    text: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Stop {
    Text(String),
    Texts(Vec<String>),
}

impl Stop {
    pub(super) fn texts(&self) -> &[String] {
        match self {
            Self::Text(text) => std::slice::from_ref(text),
            Self::Texts(texts) => texts,
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Prompt {
    Text(String),
    Texts(Vec<String>),
    Tokens(Vec<i64>),
    TokenLists(Vec<Vec<IgnoredAny>>),
}

/// A prompt as `echo` shows it, and the answer to it.
pub(super) struct EchoedPrompt {
    pub(super) text: String,
    pub(super) answer: String,
}

impl Prompt {
    pub(super) fn into_texts(self) -> Vec<EchoedPrompt> {
        let of_text = |text: String| EchoedPrompt { answer: text.clone(), text };
        // What text the tokens stand for is not known here, so `echo` has nothing to show.
        let of_tokens = |count: usize| EchoedPrompt { text: String::new(), answer: format!("tokens: {count}") };
        match self {
            Self::Text(text) => vec![of_text(text)],
            Self::Texts(texts) => texts.into_iter().map(of_text).collect(),
            Self::Tokens(tokens) => vec![of_tokens(tokens.len())],
            Self::TokenLists(lists) => lists.iter().map(|tokens| of_tokens(tokens.len())).collect(),
        }
    }
}
