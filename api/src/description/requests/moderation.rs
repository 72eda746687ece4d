//! `POST /v1/moderations`

use serde_json::json;
use utoipa::ToSchema;
use utoipa::openapi::schema::{AnyOf, Object, Schema};
use utoipa::openapi::{Ref, Type};

use crate::description::schema::array;

/// What is to be judged. Fields that are not named here go to the model's provider as they are.
#[derive(ToSchema)]
#[schema(max_properties = 1000)]
pub(crate) struct ModerationRequest {
    /// The Secret Key, where no header has one.
    pub(super) api_secret_key: Option<String>,
    /// The model's name; `GET /v1/models` lists them.
    #[schema(min_length = 1, max_length = 200, examples("omni-moderation-latest"))]
    pub(super) model: Option<String>,
    #[schema(schema_with = input)]
    pub(super) input: (),
    /// Your own name for the end user. It is recorded, usage can be summed by it, and the operator can block it.
    #[schema(max_length = 512)]
    pub(super) user: Option<String>,
}

fn input() -> Schema {
    let text = || Object::builder().schema_type(Type::String).min_length(Some(1)).examples([json!("I love kittens")]);
    let texts = array(text(), 1, Some(2048));
    let parts = array(Ref::from_schema_name("MessagePart"), 1, Some(2048));
    let any = AnyOf::builder().item(text()).item(texts).item(parts);
    Schema::AnyOf(any.description(Some("A text, texts, or parts that are judged together.")).build())
}
