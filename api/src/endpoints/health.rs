//! `GET /healthz` and `GET /readyz`

use actix_web::{HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::description::OpenRefusals;
use crate::reply::{self, Refused};
use crate::surface::Surface;

/// The process lives.
#[derive(Serialize, ToSchema)]
pub(crate) struct Alive {
    status: &'static str,
}

/// Whether it can serve, part by part: what [`shared::health::Readiness`] looks like.
#[derive(ToSchema)]
#[schema(as = Readiness, description = "Whether it can serve, part by part.")]
#[expect(dead_code, reason = "its twin is written, whose crate knows nothing of descriptions")]
pub(crate) struct Ready {
    /// `ok`, or `error` when it cannot serve.
    status: String,
    /// `ok` or `error`.
    database: String,
    /// `ok` or `error`.
    queue: String,
    /// `ok`, or `violation`, which is shown but stops nothing.
    ledger: String,
}

/// Whether the process lives
#[utoipa::path(
    method(get, head), path = "/healthz", tag = "service", operation_id = "getHealth", security(()),
    responses((status = 200, description = "It lives.", body = Alive, example = json!({"status": "ok"})), OpenRefusals),
)]
pub(crate) async fn alive() -> Result<HttpResponse, Refused> {
    reply::json(&Alive { status: "ok" })
}

/// Whether it can serve, part by part
#[utoipa::path(
    method(get, head), path = "/readyz", tag = "service", operation_id = "getReadiness", security(()),
    responses(
        (status = 200, description = "It can serve.", body = Ready, example = json!({
            "status": "ok", "database": "ok", "queue": "ok", "ledger": "ok",
        })),
        (status = 503, description = "It cannot, at the moment.", body = Ready, example = json!({
            "status": "error", "database": "error", "queue": "ok", "ledger": "ok",
        })),
        OpenRefusals,
    ),
)]
pub(crate) async fn ready(surface: web::Data<Surface>) -> Result<HttpResponse, Refused> {
    let readiness = surface.deployment.health.readiness().await;
    if readiness.is_ready() {
        return reply::json(&readiness);
    }
    let mut response = HttpResponse::ServiceUnavailable();
    response.insert_header(("Retry-After", "1"));
    reply::json_with(response, &readiness)
}
