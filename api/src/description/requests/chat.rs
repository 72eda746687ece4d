//! `POST /v1/chat/completions`

use serde_json::json;
use utoipa::ToSchema;
use utoipa::openapi::schema::{AdditionalProperties, KnownFormat, Object, Schema, SchemaFormat};
use utoipa::openapi::{RefOr, Type};

use super::message::Message;
use crate::description::schema::{any_of_or_null, anything, array, or_null, whole_number};

/// A chat. Fields that are not named here go to the model's provider as they are.
#[derive(ToSchema)]
#[schema(max_properties = 1000)]
pub(crate) struct ChatRequest {
    /// The Secret Key, where no header has one. The original service's rules hold for the messages then.
    pub(super) api_secret_key: Option<String>,
    /// The model's name; `GET /v1/models` lists them.
    #[schema(min_length = 1, max_length = 200, examples("gpt-4"))]
    pub(super) model: Option<String>,
    /// The conversation, the newest message last.
    #[schema(min_items = 1)]
    pub(super) messages: Vec<Message>,
    /// Whether the answer is streamed.
    #[schema(examples(true))]
    pub(super) stream: Option<bool>,
    /// Only where `stream` is true.
    #[schema(schema_with = stream_options)]
    pub(super) stream_options: Option<()>,
    /// How many answers.
    #[schema(minimum = 1, maximum = 128, default = 1)]
    pub(super) n: Option<i64>,
    #[schema(schema_with = max_tokens)]
    pub(super) max_tokens: Option<i64>,
    #[schema(schema_with = max_completion_tokens)]
    pub(super) max_completion_tokens: Option<i64>,
    #[schema(minimum = 0, maximum = 2, default = 1)]
    pub(super) temperature: Option<f64>,
    #[schema(minimum = 0, maximum = 1, default = 1)]
    pub(super) top_p: Option<f64>,
    #[schema(minimum = -2, maximum = 2, default = 0)]
    pub(super) presence_penalty: Option<f64>,
    #[schema(minimum = -2, maximum = 2, default = 0)]
    pub(super) frequency_penalty: Option<f64>,
    #[schema(schema_with = seed)]
    pub(super) seed: Option<i64>,
    #[schema(schema_with = stop)]
    pub(super) stop: Option<()>,
    #[schema(schema_with = logit_bias)]
    pub(super) logit_bias: Option<()>,
    pub(super) logprobs: Option<bool>,
    #[schema(minimum = 0, maximum = 20)]
    pub(super) top_logprobs: Option<i64>,
    #[schema(schema_with = tools)]
    pub(super) tools: Option<()>,
    #[schema(schema_with = choice)]
    pub(super) tool_choice: Option<()>,
    pub(super) parallel_tool_calls: Option<bool>,
    /// The older form of `tools`.
    #[schema(schema_with = tools)]
    pub(super) functions: Option<()>,
    /// The older form of `tool_choice`.
    #[schema(schema_with = choice)]
    pub(super) function_call: Option<()>,
    #[schema(schema_with = response_format)]
    pub(super) response_format: Option<()>,
    /// Your own name for the end user. It is recorded, usage can be summed by it, and the operator can block it.
    #[schema(max_length = 512)]
    pub(super) user: Option<String>,
}

fn max_tokens() -> Schema {
    let words = "The longest answer, in tokens. The balance must cover it. No more than the model's own limit, which also holds without it.";
    whole_number(1, words).build().into()
}

fn max_completion_tokens() -> Schema {
    whole_number(1, "The newer name of `max_tokens`; the larger of the two counts.").build().into()
}

pub(super) fn seed() -> Schema {
    whole_number(isize::MIN, "The same number lets a provider give the same answer, if it can.").build().into()
}

pub(super) fn stream_options() -> Schema {
    let include_usage = Object::builder()
        .schema_type(or_null(Type::Boolean))
        .description(Some("Whether a last chunk tells the usage of the whole call."));
    let options = Object::builder().schema_type(or_null(Type::Object)).property("include_usage", include_usage);
    let options = options.examples([json!({"include_usage": true})]);
    options.description(Some("Only where `stream` is true.")).build().into()
}

pub(super) fn stop() -> Schema {
    let text = || Object::builder().schema_type(Type::String);
    let some = array(text(), 1, Some(4));
    any_of_or_null("Up to 4 texts before which the answer ends.", [text().build().into(), some.into()])
}

pub(super) fn logit_bias() -> Schema {
    let bias = Object::builder().schema_type(Type::Number).minimum(Some(-100)).maximum(Some(100));
    let format = Some(SchemaFormat::KnownFormat(KnownFormat::Double));
    let bias: RefOr<Schema> = bias.format(format).into();
    Object::builder()
        .schema_type(or_null(Type::Object))
        .additional_properties(Some(AdditionalProperties::RefOr(bias)))
        .max_properties(Some(1000))
        .description(Some("How much likelier a token is made, by the token's number."))
        .examples([json!({"50256": -100})])
        .build()
        .into()
}

fn tools() -> Schema {
    let tool = Object::builder().schema_type(Type::Object);
    any_of_or_null(
        "What the model may call. Their text counts as a part of the prompt.",
        [array(tool, 0, Some(512)).into()],
    )
}

fn choice() -> Schema {
    let kinds = [Type::String, Type::Object].map(|kind| Object::builder().schema_type(kind).build().into());
    any_of_or_null("Which tool, or `none`, `auto`, `required`.", kinds)
}

fn response_format() -> Schema {
    let kind = Object::builder().schema_type(Type::String).examples([json!("json_object"), json!("json_schema")]);
    let format = Object::builder()
        .property("type", kind)
        .required("type")
        .property("json_schema", anything("For `json_schema`."));
    any_of_or_null("The form of the answer.", [format.build().into()])
}
