//! `GET /v1/models` and `GET /v1/models/{model}`: what the key may use.

use actix_web::{HttpResponse, web};
use serde::Serialize;

use crate::auth::KeyHolder;
use crate::reply::{self, Refused};
use crate::surface::Surface;

/// 2023-04-01. OpenAI's clients require a moment, and no model here has one of its own.
const CREATED: i64 = 1_680_307_200;

#[derive(Serialize)]
struct List<'a> {
    code: u32,
    msg: &'static str,
    object: &'static str,
    data: Vec<Model<'a>>,
}

#[derive(Serialize)]
struct One<'a> {
    code: u32,
    msg: &'static str,
    #[serde(flatten)]
    model: Model<'a>,
}

#[derive(Serialize)]
struct Model<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    owned_by: &'static str,
}

impl<'a> Model<'a> {
    const fn named(id: &'a str) -> Self {
        Self { id, object: "model", created: CREATED, owned_by: "xiaoyi" }
    }
}

pub(crate) async fn list(KeyHolder(caller): KeyHolder, surface: web::Data<Surface>) -> Result<HttpResponse, Refused> {
    let names = surface.deployment.admission.models(&caller);
    let data = names.iter().map(|name| Model::named(name)).collect();
    reply::json(&List { code: 0, msg: "", object: "list", data })
}

pub(crate) async fn one(
    KeyHolder(caller): KeyHolder,
    surface: web::Data<Surface>,
    name: web::Path<String>,
) -> Result<HttpResponse, Refused> {
    surface.deployment.admission.model(&caller, &name)?;
    reply::json(&One { code: 0, msg: "", model: Model::named(&name) })
}
