//! `GET /openapi.json`: what the API looks like, for programs.

use actix_web::http::header::ContentType;
use actix_web::{HttpRequest, HttpResponse, web};

use crate::description::{Description, OpenRefusals};
use crate::freshness::Fresh;

/// This description
#[utoipa::path(
    method(get, head), path = "/openapi.json", tag = "service", operation_id = "getDescription", security(()),
    responses((status = 200, description = "OpenAPI 3.1.", body = Object), OpenRefusals),
)]
pub(crate) async fn get(description: web::Data<Description>, request: HttpRequest) -> HttpResponse {
    let Description { json, etag } = Description::clone(&description);
    Fresh { bytes: json, kind: ContentType::json(), etag, kept: "no-cache" }.reply(&request)
}
