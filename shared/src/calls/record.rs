//! What is kept of a call that got a hold.

use crate::clock::Timestamp;
use crate::id::{RequestId, TenantId};
use crate::queue::{Endpoint, Job, Way};
use crate::refusal::Reason;
use crate::secret_key::KeyId;

/// How a call ended, as its caller saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Status {
    /// 0: answered; else the public code of what the caller was told.
    pub code: u32,
    /// The same in a word.
    pub word: &'static str,
}

impl Status {
    /// The caller has the whole answer.
    pub const ANSWERED: Self = Self { code: 0, word: "answered" };
    /// The caller did not wait for the end. Nobody is told this code.
    pub const CLIENT_LEFT: Self = Self { code: 49_900, word: "client_left" };
    /// From this code on it was our fault or a provider's, not the caller's.
    pub const FIRST_FAULT: u32 = 50_000;
}

impl From<Reason> for Status {
    fn from(reason: Reason) -> Self {
        Self { code: reason.code(), word: reason.name() }
    }
}

/// One call, at its end.
#[derive(Debug, Clone)]
pub struct CallRecord {
    /// The call; its time is in it.
    pub request_id: RequestId,
    /// Who paid.
    pub tenant: TenantId,
    /// The key that called.
    pub key: KeyId,
    /// The endpoint.
    pub endpoint: Endpoint,
    /// The model's public name.
    pub model: String,
    /// The caller's own name for the end user.
    pub end_user: Option<String>,
    /// Whether a stream was asked for.
    pub streamed: bool,
    /// How it ended.
    pub status: Status,
    /// From its admission to its first text, in milliseconds.
    pub first_text_ms: Option<i64>,
    /// From its admission to its end, in milliseconds.
    pub ended_ms: i64,
    /// Its way through queue and channels.
    pub way: Way,
}

impl CallRecord {
    /// The call of `job`, which has ended now. `first_text_at` is when its first text came to the process that passes it on, if that is known.
    pub fn of(mut job: Job, status: Status, first_text_at: Option<Timestamp>, now: Timestamp, way: Way) -> Self {
        let (model, end_user) = (std::mem::take(&mut job.model), job.end_user.take());
        Self { model, end_user, ..Self::nameless(&job, status, first_text_at, now, way) }
    }

    /// The same of a job that somebody else still has.
    pub fn beside(job: &Job, status: Status, first_text_at: Option<Timestamp>, now: Timestamp, way: Way) -> Self {
        let (model, end_user) = (job.model.clone(), job.end_user.clone());
        Self { model, end_user, ..Self::nameless(job, status, first_text_at, now, way) }
    }

    fn nameless(job: &Job, status: Status, first_text_at: Option<Timestamp>, now: Timestamp, way: Way) -> Self {
        let since = |moment: Timestamp| moment.since(job.accepted_at).max(0);
        Self {
            request_id: job.request_id,
            tenant: job.tenant,
            key: job.key,
            endpoint: job.endpoint,
            streamed: job.stream,
            status,
            first_text_ms: first_text_at.map(since).or_else(|| way.first_text_ms()),
            ended_ms: since(now),
            way,
            model: String::new(),
            end_user: None,
        }
    }
}
