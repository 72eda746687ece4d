//! The headers of replies.

use serde_json::json;
use shared::idempotency::LONGEST_KEY;
use shared::refusal::Reason;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::header::Header;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::schema::Object;
use utoipa::openapi::{Ref, RefOr, Required, Response, Type};

/// What a key may still do, on the replies to its calls.
pub(super) use crate::allowance::NAMES as ALLOWANCES;
/// Says that an answer was given before.
pub(super) use crate::idempotency_key::REPLAYED;

/// The header that every reply has.
pub(super) const REQUEST_ID: &str = "x-request-id";
const RETRY_AFTER: &str = "Retry-After";
const SHOULD_RETRY: &str = "x-should-retry";
const AUTHENTICATE: &str = "WWW-Authenticate";
const ALLOW: &str = "Allow";

/// All of them, by name.
pub(super) fn components() -> impl Iterator<Item = (String, RefOr<Header>)> {
    let others = [REQUEST_ID, REPLAYED, RETRY_AFTER, SHOULD_RETRY, AUTHENTICATE, ALLOW].into_iter();
    others.chain(ALLOWANCES).map(|name| (name.to_owned(), RefOr::T(described(name))))
}

/// Says that the reply has this header.
pub(super) fn add(response: &mut Response, name: &str) {
    response.headers.insert(name.to_owned(), RefOr::Ref(Ref::new(format!("#/components/headers/{name}"))));
}

/// Says which headers come with a refusal for this reason.
pub(super) fn add_of_refusal(response: &mut Response, reason: Reason) {
    match reason {
        Reason::MissingApiKey | Reason::InvalidApiKey => add(response, AUTHENTICATE),
        Reason::InsufficientQuota | Reason::OutcomeUnknown | Reason::AnswerNotKept => add(response, SHOULD_RETRY),
        Reason::RateLimitExceeded => {
            add(response, RETRY_AFTER);
            add(response, SHOULD_RETRY);
        }
        Reason::QueueFull | Reason::NoChannel | Reason::Unavailable | Reason::IdempotencyInProgress => {
            add(response, RETRY_AFTER);
        }
        Reason::MethodNotAllowed => add(response, ALLOW),
        _ => {}
    }
}

/// What a call may be asked for again by.
pub(super) fn idempotency_key() -> Parameter {
    // White space around a header's value is no part of it.
    let schema = text().min_length(Some(1)).max_length(Some(LONGEST_KEY)).pattern(Some(r"\S"));
    Parameter::builder()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "A name of yours for this request. The same key and the same request within 24 hours give the first answer again, with one \
             call of the model and one charge. Such a call runs on when its client leaves.",
        ))
        .schema(Some(schema))
        .example(Some(json!("7f9c2ba4-order-1234")))
        .build()
}

fn described(name: &str) -> Header {
    let (description, schema, is_required) = match name {
        REQUEST_ID => (
            "The id of this request, also in the ledger and in the service's log. Name it when you ask for help.",
            text().examples([json!("019ac4f0-0000-7000-8000-000000000007")]),
            true,
        ),
        RETRY_AFTER => ("Seconds after which another try makes sense.", count(), false),
        SHOULD_RETRY => (
            "`false` where another try would not help or could be charged twice. OpenAI's clients heed it.",
            text().enum_values(Some(["false"])),
            false,
        ),
        REPLAYED => (
            "`true` where the call with this `Idempotency-Key` was answered before: this is that answer, and `x-request-id` that call.",
            text().enum_values(Some(["true"])),
            false,
        ),
        AUTHENTICATE => ("How a key is sent.", text().enum_values(Some(["Bearer"])), true),
        ALLOW => ("The methods that the path has.", text().examples([json!("GET, POST")]), true),
        _ if name.contains("-reset-") => (
            "When all of the limit is there again; as OpenAI writes it. Only where the key has such a limit.",
            text().pattern(Some(r"^([0-9]+h)?([0-9]+m)?[0-9]+(\.[0-9]+)?m?s$")).examples([json!("1m30.951s")]),
            false,
        ),
        _ if name.contains("-remaining-") => ("What is left of it.", count(), false),
        _ => ("What the key's limit is; for requests and tokens, in a minute. Only where it has one.", count(), false),
    };
    let mut header = Header::new(schema);
    header.description = Some(description.to_owned());
    header.extensions = is_required.then(|| Extensions::from_iter([("required", true)]));
    header
}

fn text() -> utoipa::openapi::schema::ObjectBuilder {
    Object::builder().schema_type(Type::String)
}

fn count() -> utoipa::openapi::schema::ObjectBuilder {
    Object::builder().schema_type(Type::Integer).minimum(Some(0))
}
