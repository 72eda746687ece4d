//! Answers of models, whose bodies are put together from what providers send: OpenAI's objects, with two more fields in front.

#![expect(dead_code, reason = "nothing is written from these: they are what the description says of an answer")]

use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::Type;
use utoipa::openapi::schema::{AnyOf, Object, Schema};

use super::schema::{anything, array, one_of_words};

/// A whole answer to a chat. What else a provider says of it passes through.
#[derive(ToSchema)]
pub(crate) struct ChatCompletion {
    /// 0: a success.
    #[schema(minimum = 0, maximum = 0)]
    code: u32,
    /// Empty.
    #[schema(max_length = 0)]
    msg: String,
    id: String,
    #[schema(schema_with = chat_completion)]
    object: (),
    /// Seconds since 1970.
    created: i64,
    /// The name that was asked for.
    model: String,
    choices: Vec<ChatChoice>,
    usage: TokenUsage,
}

/// One answer.
#[derive(ToSchema)]
pub(crate) struct ChatChoice {
    index: i64,
    message: AnswerMessage,
    /// `stop`, `length`, `tool_calls`, `content_filter` or `function_call`.
    #[schema(required)]
    finish_reason: Option<String>,
    #[schema(schema_with = logprobs)]
    logprobs: Option<Value>,
}

/// What the model said.
#[derive(ToSchema)]
pub(crate) struct AnswerMessage {
    #[schema(schema_with = assistant)]
    role: (),
    content: Option<String>,
    refusal: Option<String>,
    tool_calls: Option<Vec<Value>>,
}

/// One piece of a streamed answer to a chat: the data of one event.
#[derive(ToSchema)]
pub(crate) struct ChatCompletionChunk {
    id: String,
    #[schema(schema_with = chat_completion_chunk)]
    object: (),
    /// Seconds since 1970.
    created: i64,
    model: String,
    /// Empty in the chunk that tells the usage.
    choices: Vec<ChatDelta>,
    /// Only where `stream_options.include_usage` asked for it: in the last chunk, and `null` in those before.
    usage: Option<TokenUsage>,
}

/// What one answer grows by.
#[derive(ToSchema)]
pub(crate) struct ChatDelta {
    index: i64,
    delta: Value,
    #[schema(required)]
    finish_reason: Option<String>,
}

/// A whole answer to a completion. What else a provider says of it passes through.
#[derive(ToSchema)]
pub(crate) struct Completion {
    /// 0: a success.
    #[schema(minimum = 0, maximum = 0)]
    code: u32,
    /// Empty.
    #[schema(max_length = 0)]
    msg: String,
    id: String,
    #[schema(schema_with = text_completion)]
    object: (),
    /// Seconds since 1970.
    created: i64,
    /// The name that was asked for.
    model: String,
    choices: Vec<CompletionChoice>,
    usage: TokenUsage,
}

/// One piece of a streamed completion: the data of one event.
#[derive(ToSchema)]
pub(crate) struct CompletionChunk {
    id: String,
    #[schema(schema_with = text_completion)]
    object: (),
    /// Seconds since 1970.
    created: i64,
    model: String,
    /// Empty in the chunk that tells the usage.
    choices: Vec<CompletionChoice>,
    /// Only where `stream_options.include_usage` asked for it: in the last chunk, and `null` in those before.
    usage: Option<TokenUsage>,
}

/// One answer.
#[derive(ToSchema)]
pub(crate) struct CompletionChoice {
    index: i64,
    text: String,
    /// `stop`, `length` or `content_filter`.
    #[schema(required)]
    finish_reason: Option<String>,
    #[schema(schema_with = logprobs)]
    logprobs: Option<Value>,
}

/// The tokens of a call that were billed: hanzi + words x 1.3, rounded down once per text, or the provider's own count.
#[derive(ToSchema)]
pub(crate) struct TokenUsage {
    #[schema(minimum = 0)]
    prompt_tokens: i64,
    #[schema(minimum = 0)]
    completion_tokens: i64,
    #[schema(minimum = 0)]
    total_tokens: i64,
}

/// The images that were delivered, and charged.
#[derive(ToSchema)]
pub(crate) struct ImagesReply {
    /// 0: a success.
    #[schema(minimum = 0, maximum = 0)]
    code: u32,
    /// Empty.
    #[schema(max_length = 0)]
    msg: String,
    /// Seconds since 1970.
    created: i64,
    #[schema(max_items = 10)]
    data: Vec<Image>,
}

/// An image: an address or bytes, as `response_format` asked.
#[derive(ToSchema)]
pub(crate) struct Image {
    url: Option<String>,
    b64_json: Option<String>,
}

/// Vectors, one for each input. What else a provider says of it passes through.
#[derive(ToSchema)]
pub(crate) struct EmbeddingsReply {
    /// 0: a success.
    #[schema(minimum = 0, maximum = 0)]
    code: u32,
    /// Empty.
    #[schema(max_length = 0)]
    msg: String,
    #[schema(schema_with = list)]
    object: (),
    #[schema(max_items = 2048)]
    data: Vec<Embedding>,
    /// The name that was asked for.
    model: String,
    usage: InputUsage,
}

/// A vector.
#[derive(ToSchema)]
pub(crate) struct Embedding {
    #[schema(schema_with = embedding)]
    object: (),
    /// Which input it is of, from 0.
    index: i64,
    #[schema(schema_with = vector)]
    embedding: (),
}

/// The tokens of a call that were billed, of which none were generated.
#[derive(ToSchema)]
pub(crate) struct InputUsage {
    #[schema(minimum = 0)]
    prompt_tokens: i64,
    #[schema(minimum = 0)]
    total_tokens: i64,
}

/// Judgements. What else a provider says of them passes through.
#[derive(ToSchema)]
pub(crate) struct ModerationsReply {
    /// 0: a success.
    #[schema(minimum = 0, maximum = 0)]
    code: u32,
    /// Empty.
    #[schema(max_length = 0)]
    msg: String,
    id: String,
    /// The name that was asked for.
    model: String,
    #[schema(max_items = 2048)]
    results: Vec<Judgement>,
}

/// What was found.
#[derive(ToSchema)]
pub(crate) struct Judgement {
    /// Whether there is anything.
    flagged: bool,
    /// By the name of each category.
    categories: Value,
    /// By the name of each category, from 0 to 1.
    category_scores: Value,
}

fn list() -> Schema {
    one_of_words(["list"]).build().into()
}

fn embedding() -> Schema {
    one_of_words(["embedding"]).build().into()
}

fn vector() -> Schema {
    let numbers = array(Object::builder().schema_type(Type::Number), 1, None);
    let text = Object::builder().schema_type(Type::String).content_encoding("base64");
    let vector = AnyOf::builder().item(numbers).item(text);
    Schema::AnyOf(vector.description(Some("Numbers, or text in base64, as `encoding_format` asked.")).build())
}

fn chat_completion() -> Schema {
    one_of_words(["chat.completion"]).build().into()
}

fn chat_completion_chunk() -> Schema {
    one_of_words(["chat.completion.chunk"]).build().into()
}

fn text_completion() -> Schema {
    one_of_words(["text_completion"]).build().into()
}

fn assistant() -> Schema {
    one_of_words(["assistant"]).build().into()
}

fn logprobs() -> Schema {
    anything("How likely each token was, where the provider says it; else `null`.")
}
