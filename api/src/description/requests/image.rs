//! `POST /v1/images/generations`

use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa::openapi::Type;
use utoipa::openapi::schema::{Object, Schema};

use crate::description::schema::or_null;

/// An order of images. Fields that are not named here go to the model's provider as they are.
#[derive(ToSchema)]
#[schema(max_properties = 1000)]
pub(crate) struct ImageRequest {
    /// The Secret Key, where no header has one.
    pub(super) api_secret_key: Option<String>,
    /// The model's name; `GET /v1/models` lists them.
    #[schema(min_length = 1, max_length = 200, examples("dall-e-3"))]
    pub(super) model: Option<String>,
    /// What the images show.
    #[schema(min_length = 1, max_length = 1000, example = "A cute baby sea otter")]
    pub(super) prompt: String,
    /// How many images.
    #[schema(minimum = 1, maximum = 10, default = 1)]
    pub(super) n: Option<i64>,
    #[schema(schema_with = size)]
    pub(super) size: Option<()>,
    #[schema(schema_with = response_format)]
    pub(super) response_format: Option<()>,
    #[schema(schema_with = stream)]
    pub(super) stream: Option<()>,
    /// Your own name for the end user. It is recorded, usage can be summed by it, and the operator can block it.
    #[schema(max_length = 512)]
    pub(super) user: Option<String>,
}

fn size() -> Schema {
    let size = Object::builder().schema_type(or_null(Type::String)).default(Some(json!("1024x1024")));
    size.description(Some("Width and height in pixels. A model may have fewer of these sizes.")).build().into()
}

fn response_format() -> Schema {
    let format = Object::builder().schema_type(or_null(Type::String)).default(Some(json!("url")));
    let format = format.enum_values(Some([json!("url"), json!("b64_json"), Value::Null]));
    format.description(Some("Whether an image comes as an address or as its bytes in base64.")).build().into()
}

fn stream() -> Schema {
    let stream = Object::builder().schema_type(or_null(Type::Boolean));
    let stream = stream.enum_values(Some([json!(false), Value::Null]));
    stream.description(Some("Images are not streamed.")).build().into()
}
