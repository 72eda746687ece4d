//! The ways to the providers: one trait, and one adapter a file.
//!
//! An adapter makes one call and reads its answer; it never tries again. The deadlines for the first text, between
//! chunks and in all belong to the caller, who races them; only connecting has a time limit of its own. Whatever is
//! dropped (the future of a call, an answer's events) takes the provider's connection with it at once.

mod echo;
mod openai;
mod redact;
mod resolver;
mod sse;

use async_trait::async_trait;
use bytes::Bytes;
use shared::queue::Job;

pub(crate) use echo::Echo;
pub(crate) use openai::{Limits, OpenAi, http_client};

/// One channel's way to its provider, ready to use. It may be kept for as long as the channel stays as it is.
#[async_trait]
pub(crate) trait Upstream: Send + Sync {
    /// Makes the job's call under the provider's name of the model.
    ///
    /// # Errors
    /// [`UpstreamError`], which says whether another channel may be tried.
    async fn call(&self, job: &Job, upstream_model: &str) -> Result<Answer, UpstreamError>;

    /// A provider's words, fit for the log: without the channel's key and host.
    fn redact(&self, job: &Job, upstream_model: &str, text: &str) -> String {
        let _ = (job, upstream_model);
        text.to_owned()
    }
}

/// What a provider gave.
pub(crate) enum Answer {
    /// The whole reply: a JSON object by its first byte, otherwise as the provider sent it.
    Whole(Bytes),
    /// The parts of a stream, as they come.
    Stream(Box<dyn Events>),
}

/// The parts of a streamed answer.
#[async_trait]
pub(crate) trait Events: Send {
    /// The next part. `None`: the provider closed without [`Event::Done`] (or it was given already).
    /// Dropping the future loses nothing: the next call goes on where it was.
    ///
    /// # Errors
    /// [`UpstreamError::Failed`] when the connection breaks or holds nonsense; nothing comes after that.
    async fn next(&mut self) -> Result<Option<Event>, UpstreamError>;
}

/// One part of a streamed answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// The JSON of one chunk, as the provider wrote it; never empty.
    Data(Bytes),
    /// `[DONE]`
    Done,
}

/// Why a provider's answer is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UpstreamError {
    /// The provider said 400, 413 or 422 to this very request; another channel would say the same.
    #[error("the provider rejected the request with status {status}: {message}")]
    Rejected {
        /// The provider's status.
        status: u16,
        /// Its message, redacted: fit for the caller.
        message: String,
        /// The field at fault, when the provider named one.
        param: Option<String>,
    },
    /// The provider said 429.
    #[error("the provider limits the rate of calls")]
    RateLimited {
        /// Seconds after which it will take calls again, 1 to 3600.
        retry_after_s: Option<u32>,
    },
    /// A refused connection, any other status (a redirect too), or nonsense. For the log only, never for the caller.
    #[error("{why}")]
    Failed {
        /// What happened. The provider's key is not in it.
        why: String,
    },
}

impl UpstreamError {
    fn failed(why: impl Into<String>) -> Self {
        Self::Failed { why: why.into() }
    }
}
