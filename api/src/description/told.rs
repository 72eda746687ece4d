//! When each reason of a refusal comes, with an example, in the words of the description.

use shared::refusal::{Reason, Refusal};

/// How one reason is told.
pub(super) struct Told {
    /// When it comes; a sentence.
    pub(super) when: &'static str,
    /// What the caller reads, in one such case.
    pub(super) message: &'static str,
    /// The field that is at fault in that case.
    pub(super) param: Option<&'static str>,
}

impl Told {
    /// The refusal of that case.
    pub(super) fn refusal(&self, reason: Reason) -> Refusal {
        Refusal { param: self.param.map(str::to_owned), ..Refusal::new(reason, self.message) }
    }
}

/// How this reason is told. One without an entry does not compile.
pub(super) const fn told(reason: Reason) -> Told {
    let (when, message, param) = match reason {
        Reason::InvalidJson => (
            "The body is not JSON, not an object, or names a field twice. The message names line and column.",
            "the body is not valid JSON: it ends too early, at line 3 column 1",
            None,
        ),
        Reason::MissingParameter => (
            "A required field is absent; `param` names it.",
            "model is required: the name of a model as a string; GET /v1/models lists them",
            Some("model"),
        ),
        Reason::InvalidParameter => (
            "A field has the wrong type or is out of its range; `param` names it.",
            "temperature must be a number from 0 to 2, not 3",
            Some("temperature"),
        ),
        Reason::InvalidMessages => (
            "With the key in the body: the original service's rules on number, order and emptiness of messages.",
            "messages must be an odd number of messages, not 2: user, assistant, user and so on, with the question last",
            Some("messages"),
        ),
        Reason::ContentTooLong => (
            "With the key in the body: the last message has more than 2000 characters. Or an image's prompt has more than 1000.",
            "prompt must have at most 1000 characters, not 1200",
            Some("prompt"),
        ),
        Reason::UpstreamRejected => (
            "The provider refused this very request; trying again does not help. Nothing was charged.",
            "the model's provider rejected this request: this model does not support images; nothing was charged",
            Some("messages[0].content"),
        ),
        Reason::MissingApiKey => (
            "No Secret Key was sent.",
            "no Secret Key was sent: send it in the header \"Authorization: Bearer KEY\" or \"x-api-key: KEY\", or (POST) as \
             api_secret_key in the JSON body",
            None,
        ),
        Reason::InvalidApiKey => (
            "The Secret Key is unknown, malformed, revoked or expired.",
            "this Secret Key is not known; check that it was copied whole",
            None,
        ),
        Reason::InsufficientQuota => (
            "The balance cannot cover what the call may cost at most. Do not try again: `x-should-retry` is false.",
            "the balance is too low for this call: it needs 0.12293 CNY, 0.05 CNY are available; top up, or lower max_tokens, n or the length \
             of the prompt",
            None,
        ),
        Reason::ModelNotAllowed => (
            "The key may not use this model.",
            "this Secret Key may not use the model \"gpt-4\"; GET /v1/models lists those that it may",
            Some("model"),
        ),
        Reason::IpNotAllowed => (
            "The key may not be used from this address.",
            "this Secret Key may not be used from this address; call from one of the networks that it was issued for",
            None,
        ),
        Reason::UserBlocked => (
            "The operator has blocked this end user (`user`) of yours.",
            "the end user of this call (`user`) is blocked; nothing was charged, please ask the operator of the service",
            Some("user"),
        ),
        Reason::TenantSuspended => {
            ("The account is suspended.", "this account is suspended; please ask the operator of the service", None)
        }
        Reason::ModelNotFound => (
            "There is no such model.",
            "the model \"gpt-5000\" does not exist; GET /v1/models lists those that do",
            Some("model"),
        ),
        Reason::NotFound => (
            "There is no such path.",
            "there is no such path; the API lies under /v1, for example POST /v1/chat/completions",
            None,
        ),
        Reason::MethodNotAllowed => (
            "The path exists, but not for this method; `Allow` names those that it has.",
            "this path is for POST only",
            None,
        ),
        Reason::IdempotencyInProgress => (
            "The first call with this `Idempotency-Key` still runs. Ask again after `Retry-After`, with the same key.",
            "a call with this Idempotency-Key is still running; ask again shortly with the same key for its answer",
            Some("Idempotency-Key"),
        ),
        Reason::AnswerNotKept => (
            "The call with this `Idempotency-Key` was charged, but its answer is not kept (too large, or it had to make room). Nothing was charged again.",
            "the call with this Idempotency-Key was charged, but its answer is too large to be kept, or had to make room for later ones; nothing was charged again: \
             GET /v1/ledger shows request 019ac4f0-0000-7000-8000-000000000007, and a new key asks for a new answer",
            Some("Idempotency-Key"),
        ),
        Reason::IdempotencyMismatch => (
            "The `Idempotency-Key` was used for another request within the last 24 hours.",
            "this Idempotency-Key was used for another request within the last 24 hours; use a new key for each new request",
            Some("Idempotency-Key"),
        ),
        Reason::RequestTooLarge => (
            "The body is over its limit: 10 MiB with the key in a header, 1 MiB with the key in the body.",
            "the body is larger than 10485760 bytes",
            None,
        ),
        Reason::UnsupportedMediaType => (
            "The body is not declared as JSON.",
            "the body must be declared as JSON: send the header \"Content-Type: application/json\"",
            None,
        ),
        Reason::RateLimitExceeded => (
            "A limit of the key is used up, or too many calls of this account wait. Wait for `Retry-After`.",
            "the requests a minute of this Secret Key (60) are used up; nothing was charged, try again in 1 s",
            None,
        ),
        Reason::InternalError => (
            "A fault of the service; nothing was charged.",
            "an internal error; nothing was charged; please report the request id if it happens again",
            None,
        ),
        Reason::OutcomeUnknown => (
            "It is not known whether the call was charged: look into `/v1/ledger` before you repeat it. `x-should-retry` is false.",
            "it could not be found out whether this call was charged; do not repeat it blindly: GET /v1/ledger shows request \
             019ac4f0-0000-7000-8000-000000000007 if it was",
            None,
        ),
        Reason::UpstreamError => (
            "No provider gave a usable answer; nothing was charged.",
            "the model's provider gave no usable answer; nothing was charged, please try again",
            None,
        ),
        Reason::QueueFull => (
            "The service takes no further calls, or no further large bodies, just now; nothing was charged.",
            "the service is at its limit and takes no further calls just now; nothing was charged, try again shortly",
            None,
        ),
        Reason::NoChannel => (
            "No provider serves the model at the moment; nothing was charged.",
            "no channel serves the model \"gpt-4\" at the moment; nothing was charged",
            None,
        ),
        Reason::Unavailable => (
            "A part of the service is away; nothing was charged.",
            "the service cannot reach a part that it needs; nothing was charged, please try again shortly",
            None,
        ),
        Reason::Timeout => (
            "No text came before a deadline; nothing was charged.",
            "the model did not answer in time; nothing was charged, please try again",
            None,
        ),
    };
    Told { when, message, param }
}
