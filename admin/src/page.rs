//! What all pages have in common: how they are sent, and the stylesheet.

use actix_web::HttpResponse;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use askama::Template;

use crate::language::Language;

/// Nothing but our own stylesheet: no script, no image, no frame, no form.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const STYLESHEET: &str = include_str!("../assets/style.css");

/// Sends a page.
pub(crate) fn page(language: Language, template: &impl Template) -> HttpResponse {
    let html = match template.render() {
        Ok(html) => html,
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            return HttpResponse::InternalServerError()
                .insert_header((CACHE_CONTROL, "no-store"))
                .body("internal error");
        }
    };
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((X_FRAME_OPTIONS, "DENY"))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((CONTENT_LANGUAGE, language.tag()))
        .insert_header((VARY, "Accept-Language"))
        .body(html)
}

/// Sends the stylesheet.
pub(crate) async fn stylesheet() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/css; charset=utf-8")
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .body(STYLESHEET)
}

/// The headers that every page must have, for the tests of the pages.
#[cfg(test)]
pub(crate) fn assert_guarded(headers: &actix_web::http::header::HeaderMap) {
    let value = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    assert!(value(CONTENT_SECURITY_POLICY).contains("default-src 'none'"));
    assert!(value(CONTENT_SECURITY_POLICY).contains("frame-ancestors 'none'"));
    assert!(!value(CONTENT_SECURITY_POLICY).contains("unsafe"));
    assert_eq!(value(X_CONTENT_TYPE_OPTIONS), "nosniff");
    assert_eq!(value(CACHE_CONTROL), "no-store");
}
