//! `GET /healthz` and `GET /readyz`

use actix_web::{HttpResponse, web};
use serde::Serialize;

use crate::reply::{self, Refused};
use crate::surface::Surface;

#[derive(Serialize)]
struct Alive {
    status: &'static str,
}

/// The process lives.
pub(crate) async fn alive() -> Result<HttpResponse, Refused> {
    reply::json(&Alive { status: "ok" })
}

/// Whether it can serve, part by part.
pub(crate) async fn ready(surface: web::Data<Surface>) -> Result<HttpResponse, Refused> {
    let readiness = surface.deployment.health.readiness().await;
    if readiness.is_ready() {
        return reply::json(&readiness);
    }
    let mut response = HttpResponse::ServiceUnavailable();
    response.insert_header(("Retry-After", "1"));
    reply::json_with(response, &readiness)
}
