//! A message of a chat, by OpenAI's rules.

use serde_json::json;
use utoipa::openapi::schema::{Object, Schema};
use utoipa::openapi::{Ref, RefOr, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::description::schema::{any_of_or_null, anything, array, one_of_words, or_null, where_any};

/// A message.
pub(crate) struct Message;

impl ToSchema for Message {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push(("MessagePart".to_owned(), part().into()));
        schemas.push(("ToolCall".to_owned(), tool_call().into()));
        schemas.push(("FunctionCall".to_owned(), function_call().into()));
    }
}

impl PartialSchema for Message {
    fn schema() -> RefOr<Schema> {
        let text = Object::builder().schema_type(Type::String).build();
        let parts = array(Ref::from_schema_name("MessagePart"), 1, None);
        let content = any_of_or_null(
            "A text, or parts. An assistant's may be left out where it calls tools or refuses, a function's always.",
            [text.into(), parts.into()],
        );
        let refusal =
            Object::builder().schema_type(or_null(Type::String)).description(Some("What an assistant said instead."));
        let tool_calls =
            any_of_or_null("What an assistant called.", [array(Ref::from_schema_name("ToolCall"), 0, None).into()]);
        let called = any_of_or_null("The older form of `tool_calls`.", [Ref::from_schema_name("FunctionCall").into()]);
        let message = Object::builder()
            .property("role", one_of_words(["system", "developer", "user", "assistant", "tool", "function"]))
            .required("role")
            .property("content", content)
            .property("name", anything("The name of who speaks."))
            .property("tool_call_id", anything("Of a tool: which call this is the result of."))
            .property("refusal", refusal)
            .property("tool_calls", tool_calls)
            .property("function_call", called)
            .property("audio", anything("An earlier answer in audio that is referred to."))
            .description(Some("A message. Members that are not named here pass through."))
            .examples([json!({"role": "user", "content": "Hello"})]);
        let assistant = json!({"enum": ["assistant"]});
        where_any(
            message,
            json!([
                {"required": ["content"], "properties": {"content": {"type": ["string", "array"]}}},
                {"properties": {"role": {"enum": ["function"]}}},
                {"required": ["tool_calls"], "properties": {"role": assistant, "tool_calls": {"type": "array", "minItems": 1}}},
                {"required": ["function_call"], "properties": {"role": assistant, "function_call": {"type": "object"}}},
                {"required": ["refusal"], "properties": {"role": assistant, "refusal": {"type": "string"}}},
                {"required": ["audio"], "properties": {"role": assistant, "audio": {"not": {"type": "null"}}}},
            ]),
        )
        .into()
    }
}

fn part() -> Schema {
    let kind = Object::builder().schema_type(Type::String).examples([json!("text"), json!("image_url")]);
    let part = Object::builder()
        .property("type", kind)
        .required("type")
        .property("image_url", anything("For `image_url`."))
        .description(Some("A part of a message: a text, or something else, which counts a fixed number of tokens."))
        .examples([json!({"type": "text", "text": "What is this?"})]);
    where_any(
        part,
        json!([
            {"required": ["text"], "properties": {"type": {"enum": ["text"]}, "text": {"type": "string"}}},
            {"required": ["refusal"], "properties": {"type": {"enum": ["refusal"]}, "refusal": {"type": "string"}}},
            {"properties": {"type": {"not": {"enum": ["text", "refusal"]}}}},
        ]),
    )
}

fn tool_call() -> Schema {
    let function = any_of_or_null("For `function`.", [Ref::from_schema_name("FunctionCall").into()]);
    let call = Object::builder()
        .property("id", anything("Which call this is."))
        .property("type", Object::builder().schema_type(or_null(Type::String)).default(Some(json!("function"))))
        .property("function", function)
        .property("custom", anything("For `custom`."))
        .description(Some("A call of a tool by an assistant."));
    where_any(
        call,
        json!([
            {"required": ["function"], "properties": {"function": {"type": "object"}}},
            {"required": ["type"], "properties": {"type": {"type": "string", "not": {"enum": ["function"]}}}},
        ]),
    )
}

fn function_call() -> Schema {
    let text = || Object::builder().schema_type(Type::String);
    let call =
        Object::builder().property("name", text()).required("name").property("arguments", text()).required("arguments");
    call.description(Some("A function's name, and its arguments as a text of JSON.")).build().into()
}
