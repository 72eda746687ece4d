//! Every reason of a refusal, as the description tells it: when it comes, with an example, and which operations give it.
//!
//! A reason without an entry in [`told`] does not compile.

use std::collections::BTreeMap;

use shared::refusal::{Reason, Refusal};
use utoipa::IntoResponses;
use utoipa::openapi::example::Example;
use utoipa::openapi::schema::{AllOf, Object, Schema};
use utoipa::openapi::{Content, Ref, RefOr, Response};

use super::schema::one_of_words;
use crate::reply::Failure;

/// Operations that are refused for the same reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    /// Calls, which are charged.
    Calls,
    /// Reading without parameters.
    Reads,
    /// Reading with a query.
    Queries,
    /// One model by its name.
    OneModel,
    /// Reading with the key in a body.
    KeyedReads,
    /// What needs no key.
    Open,
}

impl Group {
    pub(super) const ALL: [Self; 6] =
        [Self::Calls, Self::Reads, Self::Queries, Self::OneModel, Self::KeyedReads, Self::Open];

    const fn name(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Reads => "reads",
            Self::Queries => "queries",
            Self::OneModel => "one-model",
            Self::KeyedReads => "keyed-reads",
            Self::Open => "open",
        }
    }

    /// Whether operations of this group are refused for `reason`.
    fn has(self, reason: Reason) -> bool {
        use Reason as R;
        let keyed = matches!(
            reason,
            R::MissingApiKey
                | R::InvalidApiKey
                | R::IpNotAllowed
                | R::TenantSuspended
                | R::MethodNotAllowed
                | R::Unavailable
                | R::InternalError
        );
        match self {
            // Of the paths that exist.
            Self::Calls => reason != R::NotFound,
            Self::Reads => keyed,
            Self::Queries => keyed || reason == R::InvalidParameter,
            Self::OneModel => keyed || matches!(reason, R::ModelNotFound | R::ModelNotAllowed),
            Self::KeyedReads => {
                keyed
                    || matches!(
                        reason,
                        R::InvalidJson | R::InvalidParameter | R::UnsupportedMediaType | R::RequestTooLarge
                    )
            }
            Self::Open => reason == R::MethodNotAllowed,
        }
    }

    /// The statuses of its refusals, and the reasons of each.
    fn statuses(self) -> BTreeMap<u16, Vec<Reason>> {
        let mut statuses: BTreeMap<u16, Vec<Reason>> = BTreeMap::new();
        for reason in Reason::ALL.into_iter().filter(|reason| self.has(*reason)) {
            statuses.entry(reason.status()).or_default().push(reason);
        }
        statuses
    }

    fn references(self) -> BTreeMap<String, RefOr<Response>> {
        let reference = |status| RefOr::Ref(Ref::new(format!("#/components/responses/{}", self.component(status))));
        self.statuses().into_keys().map(|status| (status.to_string(), reference(status))).collect()
    }

    fn component(self, status: u16) -> String {
        format!("{}-{status}", self.name())
    }
}

/// The replies that operations refer to, by name.
pub(super) fn components() -> BTreeMap<String, RefOr<Response>> {
    let named = Group::ALL.into_iter().flat_map(|group| {
        let statuses = group.statuses().into_iter();
        statuses.map(move |(status, reasons)| (group.component(status), RefOr::T(response(&reasons))))
    });
    let unknown_path = ("unknown-path-404".to_owned(), RefOr::T(response(&[Reason::NotFound])));
    named.chain([unknown_path]).collect()
}

/// The table of all reasons, in Markdown.
pub(super) fn table() -> String {
    let row = |reason: Reason| {
        let (status, code, family, name) = (reason.status(), reason.code(), reason.family(), reason.name());
        format!("| {status} | {code} | `{family}` | `{name}` | {} |\n", told(reason).when)
    };
    let rows: String = Reason::ALL.into_iter().map(row).collect();
    format!("| HTTP | `code` | `error.type` | `error.code` | when |\n|---|---|---|---|---|\n{rows}")
}

fn response(reasons: &[Reason]) -> Response {
    let mut when: Vec<&str> = reasons.iter().map(|reason| told(*reason).when).collect();
    when.dedup();
    let mut content = Content::new(Some(schema(reasons)));
    for reason in reasons {
        let mut example = Example::new();
        example.summary = told(*reason).when.to_owned();
        example.value = serde_json::to_value(Failure::of(&told(*reason).refusal(*reason))).ok();
        content.examples.insert(reason.name().to_owned(), RefOr::T(example));
    }
    let mut response = Response::new(when.join(" Or: "));
    response.content.insert("application/json".to_owned(), RefOr::T(content));
    for reason in reasons {
        super::headers::add_of_refusal(&mut response, *reason);
    }
    response
}

/// The object of a failure, for these reasons only.
fn schema(reasons: &[Reason]) -> RefOr<Schema> {
    let codes: Vec<u32> = reasons.iter().map(|reason| reason.code()).collect();
    let error = Object::builder()
        .property("type", one_of_words(reasons.iter().map(|reason| reason.family())))
        .property("code", one_of_words(reasons.iter().map(|reason| reason.name())));
    let narrowed = Object::builder().property("code", super::schema::one_of_numbers(codes)).property("error", error);
    Schema::AllOf(AllOf::builder().item(Ref::from_schema_name("Failure")).item(narrowed).build()).into()
}

/// How one reason is told.
struct Told {
    /// When it comes; a sentence.
    when: &'static str,
    /// What the caller reads, in one such case.
    message: &'static str,
    /// The field that is at fault in that case.
    param: Option<&'static str>,
}

impl Told {
    fn refusal(&self, reason: Reason) -> Refusal {
        Refusal { param: self.param.map(str::to_owned), ..Refusal::new(reason, self.message) }
    }
}

const fn told(reason: Reason) -> Told {
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
            "the model's provider rejected the request: this model does not support images; nothing was charged",
            Some("messages[0].content"),
        ),
        Reason::MissingApiKey => (
            "No Secret Key was sent.",
            "no Secret Key was sent: send it in the header \"Authorization: Bearer KEY\" or \"x-api-key: KEY\", or (POST) as \
             api_secret_key in the JSON body",
            None,
        ),
        Reason::InvalidApiKey => {
            ("The Secret Key is unknown, malformed, revoked or expired.", "this Secret Key is not valid", None)
        }
        Reason::InsufficientQuota => (
            "The balance cannot cover what the call may cost at most. Do not try again: `x-should-retry` is false.",
            "the balance is too low for this call: it may cost up to 0.12293, and 0.05 is available",
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
            "this end user is blocked by the operator of the service",
            Some("user"),
        ),
        Reason::TenantSuspended => {
            ("The account is suspended.", "this account is suspended; ask the operator of the service", None)
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
            "The call with this `Idempotency-Key` was charged, but its answer was too large to be kept. Nothing was charged again.",
            "the call with this Idempotency-Key was charged, but its answer is too large to be kept; nothing was charged again: \
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
            "this Secret Key may make 60 requests a minute; try again in 1 s",
            None,
        ),
        Reason::InternalError => (
            "A fault of the service; nothing was charged.",
            "an internal error; nothing was charged; please report the request id if it happens again",
            None,
        ),
        Reason::OutcomeUnknown => (
            "It is not known whether the call was charged: look into `/v1/ledger` before you repeat it. `x-should-retry` is false.",
            "the database did not answer, so it is not known whether this call was charged: look for the request \
             019ac4f0-0000-7000-8000-000000000007 in /v1/ledger",
            None,
        ),
        Reason::UpstreamError => (
            "No provider gave a usable answer; nothing was charged.",
            "no provider of this model gave an answer; nothing was charged, please try again",
            None,
        ),
        Reason::QueueFull => (
            "The service takes no further calls just now; nothing was charged.",
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

/// Declares what a handler's annotation names, for each group.
macro_rules! refusals_of {
    ($($name:ident = $group:expr),+ $(,)?) => {$(
        #[doc = concat!("Why operations of [`", stringify!($group), "`] are refused.")]
        pub(crate) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                $group.references()
            }
        }
    )+};
}

refusals_of! {
    CallRefusals = Group::Calls,
    ReadRefusals = Group::Reads,
    QueryRefusals = Group::Queries,
    ModelRefusals = Group::OneModel,
    KeyedReadRefusals = Group::KeyedReads,
    OpenRefusals = Group::Open,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_reason_is_told_with_an_example() {
        let components = components();
        let table = table();
        let mut shown = BTreeMap::new();
        for response in components.values() {
            let RefOr::T(response) = response else { panic!("a component is no reference") };
            let RefOr::T(content) = &response.content["application/json"] else { panic!("no content") };
            for (name, example) in &content.examples {
                let RefOr::T(example) = example else { panic!("an example is no reference") };
                shown.insert(name.clone(), example.value.clone().unwrap());
            }
        }
        let mut names = Reason::ALL.map(|reason| reason.name().to_owned());
        names.sort();
        assert!(shown.keys().eq(names.iter()), "{:?}", shown.keys());
        for reason in Reason::ALL {
            let (code, family, name) = (reason.code(), reason.family(), reason.name());
            let example = &shown[name];
            let message = told(reason).message;
            let expected = json!({
                "code": code, "msg": message,
                "error": {"message": message, "type": family, "param": told(reason).param, "code": name},
            });
            assert_eq!(*example, expected);
            let row = format!("| {} | {code} | `{family}` | `{name}` | {} |", reason.status(), told(reason).when);
            assert!(table.contains(&row), "{row}");
        }
    }
}
