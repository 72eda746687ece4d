//! What a browser is told when a page of another site calls the API.
//!
//! Without the setting nothing: such a page can read no reply then. Cookies never count (`/v1` reads none), and the pages on this
//! listener never take part.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue, ORIGIN, VARY,
};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, web};
use shared::config::Origins;

use crate::allowance;
use crate::idempotency_key::REPLAYED;
use crate::surface::Surface;

/// Seconds for which a browser need not ask again what it may send.
const MAX_AGE: HeaderValue = HeaderValue::from_static("3600");
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST");
const EVERY_SITE: HeaderValue = HeaderValue::from_static("*");
/// What a page may read beside the headers that it always may.
const READABLE: [&str; 4] = ["x-request-id", "retry-after", "x-should-retry", REPLAYED];

/// Around every handler: answers a browser's question before a call, and lets it hand the reply to the page.
pub(crate) async fn share(
    surface: web::Data<Surface>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let origins = &surface.deployment.settings.api.cors_origins;
    if *origins == Origins::Some(Vec::new()) || !is_of_api(request.path()) {
        return Ok(next.call(request).await?.map_into_boxed_body());
    }
    let allowed = allowed(origins, request.headers());
    if let Some(origin) = &allowed
        && request.method() == Method::OPTIONS
        && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
    {
        let answer = preflight(request.headers(), origin);
        return Ok(request.into_response(answer));
    }
    let mut response = next.call(request).await?.map_into_boxed_body();
    let headers = response.headers_mut();
    if *origins != Origins::Any {
        headers.append(VARY, HeaderValue::from_static("origin"));
    }
    if let Some(origin) = allowed {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if let Ok(readable) = HeaderValue::try_from([&READABLE[..], &allowance::NAMES].concat().join(", ")) {
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, readable);
        }
    }
    Ok(response)
}

/// Whether a path is one of a program's, and not a page's.
fn is_of_api(path: &str) -> bool {
    ["/v1/", "/api/", "/index.php/api/", "/dashboard/"].iter().any(|start| path.starts_with(start))
        || path == "/openapi.json"
}

/// What the reply says about the page that asks; `None` where nothing is to be said.
fn allowed(origins: &Origins, headers: &HeaderMap) -> Option<HeaderValue> {
    let mut values = headers.get_all(ORIGIN);
    let (origin, None) = (values.next()?, values.next()) else { return None };
    match origins {
        Origins::Any => Some(EVERY_SITE),
        Origins::Some(_) => origins.allow(origin.to_str().ok()?).then(|| origin.clone()),
    }
}

/// What a page may send: whatever headers it asks for, since none of them means anything but to the API.
fn preflight(asked: &HeaderMap, origin: &HeaderValue) -> HttpResponse {
    let mut response = HttpResponse::NoContent();
    response
        .insert_header((ACCESS_CONTROL_ALLOW_ORIGIN, origin))
        .insert_header((ACCESS_CONTROL_ALLOW_METHODS, METHODS))
        .insert_header((ACCESS_CONTROL_MAX_AGE, MAX_AGE))
        .insert_header((VARY, HeaderValue::from_static("origin, access-control-request-headers")));
    for headers in asked.get_all(ACCESS_CONTROL_REQUEST_HEADERS) {
        response.append_header((ACCESS_CONTROL_ALLOW_HEADERS, headers));
    }
    response.finish()
}
