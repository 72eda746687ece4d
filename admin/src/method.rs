//! What a page says to methods that no page has, in the words of the API.

use actix_web::http::header::ALLOW;
use actix_web::{HttpResponse, Resource, web};
use serde::Serialize;
use shared::refusal::Reason;

const ALLOWED: &str = "GET, HEAD";
const MESSAGE: &str = "this path is for GET, HEAD only";

/// A resource that refuses all methods that it has no handler for; it should have one for GET and one for HEAD.
pub(crate) fn only_read(resource: Resource) -> Resource {
    resource.default_service(web::to(refuse))
}

#[derive(Serialize)]
struct Refused {
    code: u32,
    msg: &'static str,
    error: ErrorObject,
}

#[derive(Serialize)]
struct ErrorObject {
    message: &'static str,
    r#type: &'static str,
    param: Option<&'static str>,
    code: &'static str,
}

async fn refuse() -> HttpResponse {
    let reason = Reason::MethodNotAllowed;
    let error = ErrorObject { message: MESSAGE, r#type: reason.family(), param: None, code: reason.name() };
    let refused = Refused { code: reason.code(), msg: MESSAGE, error };
    HttpResponse::MethodNotAllowed().insert_header((ALLOW, ALLOWED)).json(refused)
}
