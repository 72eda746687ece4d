//! `GET /docs`: a page for people about the API, by Swagger UI, which lies inside the program.
//!
//! The names of its files hold a hash of what is in them, so a browser may keep them for ever; `build.rs` has compressed them.

use std::sync::LazyLock;

use actix_web::http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, ContentType, ETag, EntityTag, HeaderMap, HeaderName,
    HeaderValue, LOCATION, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use shared::refusal::{Reason, Refusal};

use crate::freshness::Fresh;
use crate::reply::Refused;

/// The page loads its own files and asks its own origin, and nothing else. Swagger UI writes styles into the attributes of elements.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// One file.
struct File {
    name: &'static str,
    kind: &'static str,
    plain: &'static [u8],
    compressed: &'static [u8],
}

macro_rules! file {
    ($name:literal, $kind:literal) => {
        File {
            name: $name,
            kind: $kind,
            plain: include_bytes!(concat!("../assets/", $name)),
            compressed: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".gz")),
        }
    };
}

// Swagger UI 5.35.0 (the npm package swagger-ui-dist), under the Apache License 2.0. Its licence, its notice and those of what it is made
// of stand beside it.
const FILES: [File; 3] = [
    file!("swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    file!("swagger-ui.css", "text/css; charset=utf-8"),
    file!("docs.js", "text/javascript; charset=utf-8"),
];

/// A hash of each file.
static HASHES: LazyLock<[String; FILES.len()]> =
    LazyLock::new(|| FILES.each_ref().map(|file| blake3::hash(file.plain).to_hex()[..12].to_owned()));

static PAGE: LazyLock<(Bytes, ETag)> = LazyLock::new(|| {
    let mut page = include_str!("../assets/docs.html").to_owned();
    for (file, hash) in FILES.iter().zip(&*HASHES) {
        page = page.replace(&format!("{{{}}}", file.name), &hashed(file.name, hash));
    }
    let tag = blake3::hash(page.as_bytes()).to_hex()[..32].to_owned();
    (page.into(), ETag(EntityTag::new_strong(tag)))
});

/// The page.
pub(crate) async fn page(request: HttpRequest) -> HttpResponse {
    let (bytes, etag) = PAGE.clone();
    let mut reply = Fresh { bytes, kind: ContentType::html(), etag, kept: "no-cache" }.reply(&request);
    let headers = reply.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(HeaderName::from_static("x-frame-options"), HeaderValue::from_static("DENY"));
    reply
}

/// The page's address with a slash too many.
pub(crate) async fn with_slash() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((LOCATION, "../docs")).finish()
}

/// One of its files.
pub(crate) async fn file(name: web::Path<String>, request: HttpRequest) -> Result<HttpResponse, Refused> {
    let known = FILES.iter().zip(&*HASHES).find(|(file, hash)| hashed(file.name, hash) == *name);
    let (file, hash) =
        known.ok_or_else(|| Refusal::new(Reason::NotFound, "there is no such file; the page is /docs"))?;
    let is_compressed = takes_gzip(request.headers());
    let (bytes, tag) =
        if is_compressed { (file.compressed, format!("{hash}-gzip")) } else { (file.plain, hash.clone()) };
    let kind = ContentType(file.kind.parse().map_err(|_| Refusal::internal())?);
    let etag = ETag(EntityTag::new_strong(tag));
    let mut reply = Fresh { bytes: Bytes::from_static(bytes), kind, etag, kept: FOR_EVER }.reply(&request);
    let headers = reply.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if is_compressed {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(reply)
}

/// `swagger-ui-0123456789ab.css`
fn hashed(name: &str, hash: &str) -> String {
    let (stem, ending) = name.rsplit_once('.').unwrap_or((name, ""));
    format!("{stem}-{hash}.{ending}")
}

/// Whether a client says that it takes gzip, and does not weigh it with nothing.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT_ENCODING).filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|entry| {
        let (name, weight) = entry.split_once(';').unwrap_or((entry, "q=1"));
        let is_refused =
            weight.trim().strip_prefix("q=").is_some_and(|weight| weight.trim_matches(['0', '.']).is_empty());
        name.trim().eq_ignore_ascii_case("gzip") && !is_refused
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;
    use rstest::rstest;

    use super::*;

    #[test]
    fn the_page_names_its_files_by_their_hashes() {
        let page = std::str::from_utf8(&PAGE.0).unwrap();
        for (file, hash) in FILES.iter().zip(&*HASHES) {
            assert!(page.contains(&format!("\"docs/{}\"", hashed(file.name, hash))), "{page}");
        }
        assert!(!page.contains('{'), "{page}");
        assert!(!page.contains("style=") && !page.contains("<script>"), "the policy allows neither");
    }

    #[test]
    fn what_is_compressed_is_the_same() {
        for file in FILES {
            let mut plain = Vec::new();
            GzDecoder::new(file.compressed).read_to_end(&mut plain).unwrap();
            assert!(plain == file.plain, "{}", file.name);
        }
    }

    #[rstest]
    #[case::none(None, false)]
    #[case::browser(Some("gzip, deflate, br, zstd"), true)]
    #[case::weighed(Some("br;q=1.0, GZIP;q=0.5"), true)]
    #[case::refused(Some("gzip;q=0, br"), false)]
    #[case::refused_at_length(Some("gzip;q=0.000"), false)]
    #[case::another(Some("identity"), false)]
    fn who_takes_gzip(#[case] value: Option<&'static str>, #[case] expected: bool) {
        let mut headers = HeaderMap::new();
        if let Some(value) = value {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(value));
        }
        assert_eq!(takes_gzip(&headers), expected);
    }
}
