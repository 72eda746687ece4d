//! `POST /v1/embeddings`

use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa::openapi::Type;
use utoipa::openapi::schema::{AnyOf, Object, Schema};

use super::completion::texts_or_tokens;
use crate::description::schema::{or_null, whole_number};

/// Texts to embed. Fields that are not named here go to the model's provider as they are.
#[derive(ToSchema)]
#[schema(max_properties = 1000)]
pub(crate) struct EmbeddingRequest {
    /// The Secret Key, where no header has one.
    pub(super) api_secret_key: Option<String>,
    /// The model's name; `GET /v1/models` lists them.
    #[schema(min_length = 1, max_length = 200, example = "text-embedding-3-small")]
    pub(super) model: String,
    #[schema(schema_with = input)]
    pub(super) input: (),
    #[schema(schema_with = encoding_format)]
    pub(super) encoding_format: Option<()>,
    #[schema(schema_with = dimensions)]
    pub(super) dimensions: Option<i64>,
    /// Your own name for the end user. It is recorded, usage can be summed by it, and the operator can block it.
    #[schema(max_length = 512)]
    pub(super) user: Option<String>,
}

fn input() -> Schema {
    let text = Object::builder().schema_type(Type::String).min_length(Some(1)).examples([json!("Hello")]).build();
    let any = texts_or_tokens(text.into(), 2048).into_iter().fold(AnyOf::builder(), |any, schema| any.item(schema));
    Schema::AnyOf(any.description(Some("A text, texts, tokens, or lists of tokens.")).build())
}

fn encoding_format() -> Schema {
    let format = Object::builder().schema_type(or_null(Type::String)).default(Some(json!("float")));
    let format = format.enum_values(Some([json!("float"), json!("base64"), Value::Null]));
    format.description(Some("Whether a vector comes as numbers, or as their 32 bits each in base64.")).build().into()
}

fn dimensions() -> Schema {
    whole_number(1, "How many numbers a vector has, where the model lets that be chosen.").build().into()
}
