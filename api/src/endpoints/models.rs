//! `GET /v1/models` and `GET /v1/models/{model}`: what the key may use.

use actix_web::{HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::KeyHolder;
use crate::description::{ModelRefusals, ReadRefusals};
use crate::reply::{self, Refused};
use crate::surface::Surface;

/// 2023-04-01. OpenAI's clients require a moment, and no model here has one of its own.
const CREATED: i64 = 1_680_307_200;

/// The models that the key may use.
#[derive(Serialize, ToSchema)]
#[schema(as = ModelList)]
pub(crate) struct List<'a> {
    code: u32,
    msg: &'static str,
    object: &'static str,
    data: Vec<Model<'a>>,
}

/// A model.
#[derive(Serialize, ToSchema)]
#[schema(as = OneModel)]
pub(crate) struct One<'a> {
    code: u32,
    msg: &'static str,
    #[serde(flatten)]
    model: Model<'a>,
}

/// A model, as OpenAI's clients know one.
#[derive(Serialize, ToSchema)]
struct Model<'a> {
    /// The name that calls give.
    id: &'a str,
    object: &'static str,
    /// Seconds since 1970; the same for all.
    created: i64,
    owned_by: &'static str,
}

impl<'a> Model<'a> {
    const fn named(id: &'a str) -> Self {
        Self { id, object: "model", created: CREATED, owned_by: "xiaoyi" }
    }
}

/// What the key may use
#[utoipa::path(
    get, path = "/v1/models", tag = "models", operation_id = "listModels",
    responses(
        (status = 200, description = "The models, in order of their names.", body = List, example = json!({
            "code": 0, "msg": "", "object": "list",
            "data": [{"id": "gpt-4", "object": "model", "created": 1680307200, "owned_by": "xiaoyi"}],
        })),
        ReadRefusals,
    ),
)]
pub(crate) async fn list(KeyHolder(caller): KeyHolder, surface: web::Data<Surface>) -> Result<HttpResponse, Refused> {
    let names = surface.deployment.admission.models(&caller);
    let data = names.iter().map(|name| Model::named(name)).collect();
    reply::json(&List { code: 0, msg: "", object: "list", data })
}

/// One model
#[utoipa::path(
    get, path = "/v1/models/{model}", tag = "models", operation_id = "retrieveModel",
    params(("model" = String, Path, description = "The model's name.", min_length = 1, example = json!("gpt-4"))),
    responses(
        (status = 200, description = "The key may use it.", body = One, example = json!({
            "code": 0, "msg": "", "id": "gpt-4", "object": "model", "created": 1680307200, "owned_by": "xiaoyi",
        })),
        ModelRefusals,
    ),
)]
pub(crate) async fn one(
    KeyHolder(caller): KeyHolder,
    surface: web::Data<Surface>,
    name: web::Path<String>,
) -> Result<HttpResponse, Refused> {
    surface.deployment.admission.model(&caller, &name)?;
    reply::json(&One { code: 0, msg: "", model: Model::named(&name) })
}
