//! What stands in front of every page: a request from another site changes nothing, and every reply has the full set of headers.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use actix_web::body::{self, BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest};
use shared::id::RequestId;

use super::failure::{Failed, Problem};
use super::language::Language;
use super::looks::Looks;
use super::side::Side;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The headers of every reply. Nothing but our own files: no inline script or style, no frame, no form that leads elsewhere.
/// The referrer is for our own pages only; with none at all browsers would send no `Origin` either.
pub const HEADERS: [(HeaderName, &str); 7] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; \
         base-uri 'none'; frame-ancestors 'none'",
    ),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=(), payment=()"),
];

/// The id of a request, for its reply, its line in the log, and its error page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Visit(pub(crate) RequestId);

/// Guards `next`. `wanted` says how the person of a request's session wants pages to look, if there is one; only pages about failures ask,
/// where nothing has read the session before.
pub(crate) async fn guard<B: MessageBody + 'static>(
    side: Arc<Side>,
    wanted: impl AsyncFnOnce(&HttpRequest) -> Option<Looks>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let (begun, id) = (Instant::now(), RequestId::new());
    request.extensions_mut().insert(Visit(id));
    request.extensions_mut().insert(Arc::clone(&side));
    let (method, chosen) = (request.method().clone(), Language::cookie(request.query_string(), &side));
    let mut response = if is_safe(&method) || is_from_own_page(&side, request.headers()) {
        next.call(request).await?.map_into_boxed_body()
    } else {
        let (request, _) = request.into_parts();
        let refused = Failed::new(&request, Problem::Foreign);
        ServiceResponse::from_err(refused, request)
    };
    if let Some(failed) = response.response().error().and_then(|error| error.as_error::<Failed>()).cloned() {
        response = look_again(wanted, response, failed).await;
    }
    // The pattern, not the path: an invitation has its token in it.
    let pattern = response.request().match_pattern().map_or(Rc::from("-"), Rc::<str>::from);
    let duration_ms = begun.elapsed().as_millis();
    // What lies on the developers' listener has its line in the log already.
    if side.root.is_empty() {
        tracing::info!(request_id = %id, %method, path = %pattern, status = response.status().as_u16(), duration_ms, "page");
    }
    if let Some(cookie) = chosen {
        response.response_mut().add_cookie(&cookie).map_err(Error::from)?;
    }
    // Nobody reads the rows of a file whose head alone was asked for. What has a length keeps it.
    if method == Method::HEAD && response.response().body().size() == BodySize::Stream {
        response = response.map_body(|_, _| BoxBody::new(body::None::new()));
    }
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if let Ok(id) = HeaderValue::from_str(&id.to_string()) {
        headers.insert(REQUEST_ID, id);
    }
    Ok(response)
}

/// Shows what failed as its person wants it: that may have been read after it failed, or not at all.
async fn look_again(
    wanted: impl AsyncFnOnce(&HttpRequest) -> Option<Looks>,
    response: ServiceResponse<BoxBody>,
    failed: Failed,
) -> ServiceResponse<BoxBody> {
    let request = response.request();
    let looks = match Looks::chosen(request) {
        None if failed.may_ask_for_looks() => wanted(request).await,
        chosen => chosen,
    };
    let Some(looks) = looks else { return response };
    let (request, _) = response.into_parts();
    ServiceResponse::new(request, failed.with_looks(looks).response())
}

/// Whether this only reads.
pub(super) fn is_safe(method: &Method) -> bool {
    *method == Method::GET || *method == Method::HEAD
}

/// Whether a browser says that one of our pages sent this. Browsers send `Origin` with every form; an old one may leave it out, and then
/// only its word that the site is the same counts.
fn is_from_own_page(side: &Side, headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    match text(ORIGIN) {
        Some(origin) => side.is_own(origin, text(HOST)),
        None => text(FETCH_SITE) == Some("same-origin"),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::frame::side::tests::side;

    #[rstest]
    #[case(&[("origin", "https://panel.example.com")], true)]
    #[case(&[("origin", "https://evil.org"), ("sec-fetch-site", "same-origin")], false)]
    #[case(&[("origin", "null"), ("host", "panel.example.com")], false)]
    #[case(&[("sec-fetch-site", "same-origin")], true)]
    #[case(&[("sec-fetch-site", "same-site")], false)]
    #[case(&[], false)]
    fn believes_only_its_own_pages(#[case] given: &[(&'static str, &'static str)], #[case] expected: bool) {
        let headers = given
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        assert_eq!(is_from_own_page(&side("https://panel.example.com"), &headers), expected);
    }
}
