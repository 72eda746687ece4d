//! Why a call is not answered, in the words and codes that a caller is given.
//! Every error that reaches a developer is a [`Refusal`]; what only the log may know stays in the error that caused it.

use serde::{Deserialize, Serialize};

/// The public reasons. Codes and names are stable: clients branch on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The body is not JSON, not an object, or names a field twice.
    InvalidJson,
    /// A required field is absent.
    MissingParameter,
    /// A field has the wrong type or is out of range.
    InvalidParameter,
    /// The original service's rules on number, order and emptiness of messages.
    InvalidMessages,
    /// The last message, or an image's prompt, is too long.
    ContentTooLong,
    /// The provider refused this very request.
    UpstreamRejected,
    /// No Secret Key came with the call.
    MissingApiKey,
    /// The Secret Key is unknown, malformed, revoked or expired.
    InvalidApiKey,
    /// The balance cannot cover the hold.
    InsufficientQuota,
    /// The key may not use this model.
    ModelNotAllowed,
    /// The key may not be used from this address.
    IpNotAllowed,
    /// The operator has blocked this end user of the tenant's.
    UserBlocked,
    /// The tenant is suspended.
    TenantSuspended,
    /// No such model.
    ModelNotFound,
    /// No such path.
    NotFound,
    /// The path exists, but not for this method.
    MethodNotAllowed,
    /// The body is not declared as JSON.
    UnsupportedMediaType,
    /// Another call with the same Idempotency-Key runs.
    IdempotencyInProgress,
    /// The call with this Idempotency-Key was charged, but what it was answered is not kept.
    AnswerNotKept,
    /// The Idempotency-Key belongs to another request.
    IdempotencyMismatch,
    /// The body is over its limit.
    RequestTooLarge,
    /// A limit of the key is used up, or the tenant's share of the queue is full.
    RateLimitExceeded,
    /// Every channel failed.
    UpstreamError,
    /// The whole queue is full.
    QueueFull,
    /// No enabled channel serves the model, or all said 429.
    NoChannel,
    /// A part of the service cannot be reached.
    Unavailable,
    /// A deadline passed before any text.
    Timeout,
    /// A fault of ours.
    InternalError,
    /// The database could not be asked whether the call was charged.
    OutcomeUnknown,
}

impl Reason {
    /// All of them, in the order of their statuses.
    pub const ALL: [Self; 29] = [
        Self::InvalidJson,
        Self::MissingParameter,
        Self::InvalidParameter,
        Self::InvalidMessages,
        Self::ContentTooLong,
        Self::UpstreamRejected,
        Self::MissingApiKey,
        Self::InvalidApiKey,
        Self::InsufficientQuota,
        Self::ModelNotAllowed,
        Self::IpNotAllowed,
        Self::UserBlocked,
        Self::TenantSuspended,
        Self::ModelNotFound,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::UnsupportedMediaType,
        Self::IdempotencyInProgress,
        Self::AnswerNotKept,
        Self::IdempotencyMismatch,
        Self::RequestTooLarge,
        Self::RateLimitExceeded,
        Self::UpstreamError,
        Self::QueueFull,
        Self::NoChannel,
        Self::Unavailable,
        Self::Timeout,
        Self::InternalError,
        Self::OutcomeUnknown,
    ];

    /// The public number. Its first three digits are the HTTP status.
    pub const fn code(self) -> u32 {
        match self {
            Self::InvalidJson => 40000,
            Self::MissingParameter => 40001,
            Self::InvalidParameter => 40002,
            Self::InvalidMessages => 40003,
            Self::ContentTooLong => 40004,
            Self::UpstreamRejected => 40005,
            Self::MissingApiKey => 40100,
            Self::InvalidApiKey => 40101,
            Self::InsufficientQuota => 40200,
            Self::ModelNotAllowed | Self::IpNotAllowed | Self::UserBlocked | Self::TenantSuspended => 40300,
            Self::ModelNotFound | Self::NotFound => 40400,
            Self::MethodNotAllowed => 40500,
            Self::IdempotencyInProgress => 40900,
            Self::AnswerNotKept => 40901,
            Self::RequestTooLarge => 41300,
            Self::UnsupportedMediaType => 41500,
            Self::IdempotencyMismatch => 42200,
            Self::RateLimitExceeded => 42900,
            Self::InternalError => 50000,
            Self::OutcomeUnknown => 50001,
            Self::UpstreamError => 50200,
            Self::QueueFull | Self::NoChannel | Self::Unavailable => 50300,
            Self::Timeout => 50400,
        }
    }

    /// The HTTP status that belongs to the reason.
    pub const fn status(self) -> u16 {
        (self.code() / 100) as u16
    }

    /// `error.code`: the reason's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidJson => "invalid_json",
            Self::MissingParameter => "missing_parameter",
            Self::InvalidParameter => "invalid_parameter",
            Self::InvalidMessages => "invalid_messages",
            Self::ContentTooLong => "content_too_long",
            Self::UpstreamRejected => "upstream_rejected",
            Self::MissingApiKey => "missing_api_key",
            Self::InvalidApiKey => "invalid_api_key",
            Self::InsufficientQuota => "insufficient_quota",
            Self::ModelNotAllowed => "model_not_allowed",
            Self::IpNotAllowed => "ip_not_allowed",
            Self::UserBlocked => "user_blocked",
            Self::TenantSuspended => "tenant_suspended",
            Self::ModelNotFound => "model_not_found",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::IdempotencyInProgress => "idempotency_in_progress",
            Self::AnswerNotKept => "answer_not_kept",
            Self::IdempotencyMismatch => "idempotency_mismatch",
            Self::RequestTooLarge => "request_too_large",
            Self::RateLimitExceeded => "rate_limit_exceeded",
            Self::UpstreamError => "upstream_error",
            Self::QueueFull => "queue_full",
            Self::NoChannel => "no_channel",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::InternalError => "internal_error",
            Self::OutcomeUnknown => "outcome_unknown",
        }
    }

    /// `error.type`: the family that OpenAI's clients turn into an exception class.
    pub const fn family(self) -> &'static str {
        match self {
            Self::InsufficientQuota => "insufficient_quota",
            Self::ModelNotAllowed | Self::IpNotAllowed | Self::UserBlocked | Self::TenantSuspended => {
                "permission_error"
            }
            Self::IdempotencyInProgress | Self::AnswerNotKept => "conflict_error",
            Self::RateLimitExceeded => "rate_limit_error",
            Self::UpstreamError | Self::Timeout => "upstream_error",
            Self::QueueFull | Self::NoChannel | Self::Unavailable => "overloaded_error",
            Self::InternalError | Self::OutcomeUnknown => "server_error",
            _ => "invalid_request_error",
        }
    }
}

/// One refusal, as the caller is told it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// What is wrong and what to do, for a person; never a secret, a provider's name or an address.
    pub message: String,
    /// The field that is at fault, such as `messages[2].role`.
    pub param: Option<String>,
    /// Seconds after which another try makes sense.
    pub retry_after_s: Option<u32>,
}

impl Refusal {
    /// A refusal with neither field nor time.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), param: None, retry_after_s: None }
    }

    /// A refusal of one field.
    pub fn of_field(reason: Reason, param: impl Into<String>, message: impl Into<String>) -> Self {
        Self { param: Some(param.into()), ..Self::new(reason, message) }
    }

    /// The same, with the seconds after which another try makes sense.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// The caller's wording for a part of the service that cannot be reached just now; nothing was charged.
    pub fn unavailable() -> Self {
        Self::new(
            Reason::Unavailable,
            "the service cannot reach a part that it needs; nothing was charged, please try again shortly",
        )
        .retry_after(1)
    }

    /// The caller's wording for an answer whose process ended before it; what was charged is said beside it.
    pub fn interrupted() -> Self {
        Self::new(Reason::Unavailable, "the answer was interrupted: the service was restarted")
    }

    /// The caller's wording for a fault of ours; the cause is in the log under the request id.
    pub fn internal() -> Self {
        Self::new(
            Reason::InternalError,
            "an internal error; nothing was charged; please report the request id if it happens again",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_all() {
        // serde lists the variants in its message about a word that is none.
        let message = serde_json::from_str::<Reason>("\"none\"").unwrap_err().to_string();
        let names: Vec<&str> = message.split('`').skip(3).step_by(2).collect();
        assert_eq!(names, Reason::ALL.map(Reason::name), "{message}");
    }

    #[test]
    fn the_status_is_the_first_three_digits_of_the_code() {
        assert_eq!(Reason::InvalidJson.status(), 400);
        assert_eq!(Reason::UnsupportedMediaType.status(), 415);
        assert_eq!(Reason::OutcomeUnknown.status(), 500);
        assert_eq!(Reason::Timeout.status(), 504);
    }
}
