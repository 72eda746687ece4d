//! `POST /v1/completions`

use serde_json::json;
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, Schema};
use utoipa::openapi::{RefOr, Type};

use super::chat::{logit_bias, seed, stop, stream_options};
use crate::description::schema::{any_of_or_null, array, whole_number};

/// A completion. Fields that are not named here go to the model's provider as they are.
#[derive(ToSchema)]
#[schema(max_properties = 1000)]
pub(crate) struct CompletionRequest {
    /// The Secret Key, where no header has one.
    pub(super) api_secret_key: Option<String>,
    /// The model's name; `GET /v1/models` lists them.
    #[schema(min_length = 1, max_length = 200, example = "text-davinci-003")]
    pub(super) model: String,
    #[schema(schema_with = prompt)]
    pub(super) prompt: Option<()>,
    /// What comes behind an inserted text. It counts as a part of the prompt.
    pub(super) suffix: Option<String>,
    #[schema(schema_with = max_tokens)]
    pub(super) max_tokens: Option<i64>,
    #[schema(minimum = 0, maximum = 2, default = 1)]
    pub(super) temperature: Option<f64>,
    #[schema(minimum = 0, maximum = 1, default = 1)]
    pub(super) top_p: Option<f64>,
    /// How many answers to each prompt.
    #[schema(minimum = 1, maximum = 128, default = 1)]
    pub(super) n: Option<i64>,
    /// Whether the answer is streamed.
    #[schema(examples(true))]
    pub(super) stream: Option<bool>,
    #[schema(schema_with = stream_options)]
    pub(super) stream_options: Option<()>,
    #[schema(minimum = 0, maximum = 5)]
    pub(super) logprobs: Option<i64>,
    /// Whether the prompt comes back in front of the answer.
    pub(super) echo: Option<bool>,
    #[schema(schema_with = stop)]
    pub(super) stop: Option<()>,
    #[schema(minimum = -2, maximum = 2, default = 0)]
    pub(super) presence_penalty: Option<f64>,
    #[schema(minimum = -2, maximum = 2, default = 0)]
    pub(super) frequency_penalty: Option<f64>,
    /// How many answers are made, of which the best `n` come; at least `n`, and 1 where `stream` is true.
    #[schema(minimum = 1, maximum = 20)]
    pub(super) best_of: Option<i64>,
    #[schema(schema_with = logit_bias)]
    pub(super) logit_bias: Option<()>,
    #[schema(schema_with = seed)]
    pub(super) seed: Option<i64>,
    /// Your own name for the end user. It is recorded, usage can be summed by it, and the operator can block it.
    #[schema(max_length = 512)]
    pub(super) user: Option<String>,
}

fn max_tokens() -> Schema {
    let most = whole_number(0, "The longest answer, in tokens. The balance must cover it.");
    most.default(Some(json!(16))).build().into()
}

fn prompt() -> Schema {
    let text = Object::builder().schema_type(Type::String).examples([json!("This is a test")]).build();
    let words = "A text, texts, tokens, or lists of tokens; `<|endoftext|>` if it is not given.";
    any_of_or_null(words, texts_or_tokens(text.into(), 128))
}

/// A text or up to so many, or the numbers of tokens.
pub(super) fn texts_or_tokens(text: Schema, most: usize) -> [RefOr<Schema>; 4] {
    let tokens = || {
        let token = Object::builder().schema_type(Type::Integer).minimum(Some(0)).maximum(Some(2_147_483_648_isize));
        array(token, 1, None)
    };
    [text.clone().into(), array(text, 1, Some(most)).into(), tokens().into(), array(tokens(), 1, Some(most)).into()]
}
