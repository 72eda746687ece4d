//! Replies that a client may have already.

use actix_web::http::header::{CACHE_CONTROL, ContentType, ETag, Header as _, IfNoneMatch};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use bytes::Bytes;

/// What a reply sends, and how long it may be kept.
pub(crate) struct Fresh {
    pub(crate) bytes: Bytes,
    pub(crate) kind: ContentType,
    /// A tag of just these bytes.
    pub(crate) etag: ETag,
    /// `Cache-Control`.
    pub(crate) kept: &'static str,
}

impl Fresh {
    /// The whole of it, or 304 where the client has the same.
    pub(crate) fn reply(self, request: &HttpRequest) -> HttpResponse {
        let is_known = match IfNoneMatch::parse(request) {
            Ok(IfNoneMatch::Any) => true,
            Ok(IfNoneMatch::Items(known)) => known.iter().any(|tag| tag.weak_eq(&self.etag.0)),
            Err(_) => false,
        };
        let with_headers = |mut response: HttpResponseBuilder, etag| {
            response.insert_header((CACHE_CONTROL, self.kept)).insert_header(etag);
            response
        };
        if is_known {
            return with_headers(HttpResponse::NotModified(), self.etag).finish();
        }
        with_headers(HttpResponse::Ok(), self.etag).content_type(self.kind).body(self.bytes)
    }
}
