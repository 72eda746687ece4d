//! Paths that do not exist, and methods that a path does not have.

use actix_web::{HttpRequest, HttpResponse, web};
use shared::refusal::{Reason, Refusal};

use crate::body;
use crate::reply::Refused;

pub(crate) async fn path(request: HttpRequest, payload: web::Payload) -> Result<HttpResponse, Refused> {
    let message = "there is no such path; the API lies under /v1, for example POST /v1/chat/completions";
    let refusal = Refusal::new(Reason::NotFound, message);
    Err(body::refuse(request.headers(), payload.into_inner(), refusal).await)
}

pub(crate) async fn method(
    allowed: String,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Refused> {
    let refusal = Refusal::new(Reason::MethodNotAllowed, format!("this path is for {allowed} only"));
    let refused = body::refuse(request.headers(), payload.into_inner(), refusal).await;
    Err(refused.with_header("Allow", allowed))
}
