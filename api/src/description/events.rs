//! Streamed replies: one event of each, and how a whole one looks on the wire.

use serde_json::json;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::schema::{AnyOf, Object, Schema};
use utoipa::openapi::{RefOr, Type};
use utoipa::{PartialSchema, ToSchema};

use super::schema::one_of_words;

/// An event of a streamed chat.
pub(crate) struct ChatEvent;

impl ToSchema for ChatEvent {}
impl PartialSchema for ChatEvent {
    fn schema() -> RefOr<Schema> {
        event("ChatCompletionChunk")
    }
}

/// An event of a streamed completion.
pub(crate) struct CompletionEvent;

impl ToSchema for CompletionEvent {}
impl PartialSchema for CompletionEvent {
    fn schema() -> RefOr<Schema> {
        event("CompletionChunk")
    }
}

fn event(chunk: &str) -> RefOr<Schema> {
    let content = ["ErrorFrame", chunk].map(|name| json!({"$ref": format!("#/components/schemas/{name}")}));
    let piece = Object::builder()
        .schema_type(Type::String)
        .content_media_type("application/json")
        .extensions(Some(Extensions::from_iter([("contentSchema", json!({"anyOf": content}))])));
    let data = AnyOf::builder().item(one_of_words(["[DONE]"])).item(piece);
    Object::builder()
        .property("data", Schema::AnyOf(data.build()))
        .required("data")
        .description(Some("One event: a piece of the answer, a failure after which nothing comes, or the end."))
        .build()
        .into()
}

/// A chat that is streamed, with its usage at the end.
pub(crate) const CHAT_EVENTS: &str = r#"data: {"id":"chatcmpl-019ac4f000007000800000000000000a","object":"chat.completion.chunk","created":1764288000,"model":"gpt-3.5","choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],"usage":null}

data: {"id":"chatcmpl-019ac4f000007000800000000000000a","object":"chat.completion.chunk","created":1764288000,"model":"gpt-3.5","choices":[{"index":0,"delta":{"content":"Hello"},"logprobs":null,"finish_reason":null}],"usage":null}

data: {"id":"chatcmpl-019ac4f000007000800000000000000a","object":"chat.completion.chunk","created":1764288000,"model":"gpt-3.5","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null}

data: {"id":"chatcmpl-019ac4f000007000800000000000000a","object":"chat.completion.chunk","created":1764288000,"model":"gpt-3.5","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}

data: [DONE]

"#;

/// A completion that is streamed, and breaks off.
pub(crate) const COMPLETION_EVENTS: &str = r#"data: {"id":"cmpl-019ac4f000007000800000000000000b","object":"text_completion","created":1764288000,"model":"text-davinci-003","choices":[{"text":"This is","index":0,"logprobs":null,"finish_reason":null}]}

data: {"error":{"message":"the model stopped in the middle of its answer; 0.00009 was charged for what was sent","type":"upstream_error","param":null,"code":"timeout"}}

data: [DONE]

"#;
