//! What is added to the annotations.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use shared::config::Settings;
use utoipa::Modify;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{OpenApi, RefOr, Required, Response, Schema, Server, ServerBuilder};

use super::{headers, refusals};

/// The beginning of the paths that also lie outside of the version.
const BILLING: &str = "/v1/dashboard/billing/";
/// Behind the public URL, where the same paths lie too. The second is the original service's.
const OTHER_PLACES: [&str; 2] = ["/api", "/index.php/api"];

const INTRODUCTION: &str = "\
Language models, called as OpenAI's API is called, and paid by what they answer.

**Where.** Every path below `/v1` also lies below `/api/v1` and `/index.php/api/v1`, where the original service had it.

**The Secret Key** is read from, the first that is found: `Authorization: Bearer KEY`, `x-api-key: KEY`, or the field \
`api_secret_key` of a JSON body. With the key in a header OpenAI's rules hold: messages with any role, tools, images; fields that are \
not named here pass through untouched; bodies up to 10 MiB. With the key in the body the original service's rules hold: `messages` is \
an odd number of texts, user and assistant in turn; the last has at most 2000 characters, and the earliest rounds are forgotten until \
all together have no more; bodies up to 1 MiB.

**A success** is OpenAI's object with `\"code\": 0, \"msg\": \"\"` in front. A stream is OpenAI's too: `data: {chunk}` lines, then \
`data: [DONE]`. An error after the first byte of a stream is one more `data: {\"error\":{...}}` (`ErrorFrame`) before it, and says what \
was charged.

**A `null`** counts as a field that is left out. A whole number is written as one: `6`, not `6.0`.

**A failure** has one shape for every client, and the right HTTP status:
`{\"code\":40003,\"msg\":\"...\",\"error\":{\"message\":\"...\",\"type\":\"...\",\"param\":\"messages\",\"code\":\"invalid_messages\"}}`

";

/// What is true of every installation.
pub(super) struct Additions;

impl Modify for Additions {
    fn modify(&self, document: &mut OpenApi) {
        document.info.description = Some(format!("{INTRODUCTION}{}", refusals::table()));
        let components = document.components.get_or_insert_default();
        components.responses.extend(refusals::components());
        components.headers.extend(headers::components());
        let bearer = Http::builder()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("The Secret Key, as OpenAI's clients send it."));
        let header = ApiKeyValue::with_description("x-api-key", "The Secret Key.");
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer.build()));
        components.add_security_scheme("x-api-key", SecurityScheme::ApiKey(ApiKey::Header(header)));
        // Replies that operations share. A limit of the key may be met by each call.
        for (name, response) in &mut components.responses {
            tell(response, name.starts_with("calls-"));
        }
        for operation in document.paths.paths.values_mut().flat_map(operations) {
            let is_call = operation.tags.iter().flatten().any(|tag| tag == "calls");
            if is_call {
                operation.parameters.get_or_insert_default().push(RefOr::T(headers::idempotency_key()));
            }
            for response in operation.responses.responses.values_mut() {
                tell(response, is_call);
            }
        }
        without_body(document);
        outside_of_the_version(document);
        with_ids_of_their_own(document);
    }
}

/// With a key in a header these need no body.
fn without_body(document: &mut OpenApi) {
    for operation in document.paths.paths.values_mut().flat_map(operations) {
        let is_billing = operation.tags.iter().flatten().any(|tag| tag == "billing");
        if let Some(RefOr::T(body)) = operation.request_body.as_mut().filter(|_| is_billing) {
            body.required = Some(Required::False);
        }
    }
}

/// What only this installation knows.
pub(super) fn of_installation(document: &mut OpenApi, public_url: &str, settings: &Settings) {
    let base = server(public_url, "");
    let others = OTHER_PLACES.map(|place| server(public_url, place));
    document.servers = Some([base.clone()].into_iter().chain(others).collect());
    for (path, item) in &mut document.paths.paths {
        // Health and the description itself lie in one place only.
        if !path.starts_with("/v1/") && !path.starts_with("/dashboard/") {
            item.servers = Some(vec![base.clone()]);
        }
    }
    let sizes: BTreeSet<&str> = settings.image_sizes();
    let sizes = sizes.into_iter().map(Value::from).chain([Value::Null]).collect();
    change(document, "ImageRequest", "size", |size| size.enum_values = Some(sizes));
    let models = &settings.models;
    change(document, "ChatRequest", "model", |model| model.default = Some(json!(models.chat_default)));
    let moderation = json!(models.moderation_default);
    change(document, "ModerationRequest", "model", |model| model.default = Some(moderation));
    change(document, "ImageRequest", "model", |model| model.default = Some(json!(models.image_default)));
}

fn server(public_url: &str, place: &str) -> Server {
    let description = match place {
        "" => "Where the API lies",
        "/index.php/api" => "The same, as the original service had it",
        _ => "The same",
    };
    ServerBuilder::new().url(format!("{public_url}{place}")).description(Some(description)).build()
}

/// Changes one property of one schema.
fn change(document: &mut OpenApi, schema: &str, property: &str, change: impl FnOnce(&mut utoipa::openapi::Object)) {
    let schemas = document.components.as_mut().map(|components| &mut components.schemas);
    let Some(RefOr::T(Schema::Object(object))) = schemas.and_then(|schemas| schemas.get_mut(schema)) else { return };
    if let Some(RefOr::T(Schema::Object(property))) = object.properties.get_mut(property) {
        change(property);
    }
}

fn tell(response: &mut RefOr<Response>, is_of_call: bool) {
    let RefOr::T(response) = response else { return };
    headers::add(response, headers::REQUEST_ID);
    for name in headers::ALLOWANCES.iter().chain([&headers::REPLAYED]).filter(|_| is_of_call) {
        headers::add(response, name);
    }
}

/// Chat clients ask for the balance without the version.
fn outside_of_the_version(document: &mut OpenApi) {
    let paths = &mut document.paths.paths;
    let copies: Vec<(String, PathItem)> = paths
        .iter()
        .filter(|(path, _)| path.starts_with(BILLING))
        .filter_map(|(path, item)| Some((path.strip_prefix("/v1")?.to_owned(), item.clone())))
        .collect();
    paths.extend(copies);
}

/// Ids are given once; operations that are there twice need another.
fn with_ids_of_their_own(document: &mut OpenApi) {
    for (path, item) in &mut document.paths.paths {
        if !path.starts_with("/v1/") {
            for operation in operations(item).filter(|_| path.starts_with("/dashboard/")) {
                operation.operation_id = operation.operation_id.take().map(|id| format!("{id}WithoutVersion"));
            }
            if let Some(head) = &mut item.head {
                head.operation_id = head.operation_id.take().map(|id| format!("{id}Head"));
            }
        }
    }
}

/// The operations of a path.
fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.head, &mut item.post].into_iter().flatten()
}
