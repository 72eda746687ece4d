//! Pages of other sites, as the browsers that they run in ask for them.

use rstest::rstest;

use crate::app::TestApp;
use crate::client::{Reply, Request, get, post};

const CHAT_SITE: &str = "https://chat.example.com";
/// A site, and one that a person develops.
const SITES: &str = "https://chat.example.com, http://localhost:3000";
/// What OpenAI's SDK sends from a browser.
const SENT: &str = "authorization,content-type,idempotency-key,x-stainless-lang,x-stainless-retry-count";

async fn app(origins: &str) -> TestApp {
    TestApp::without_a_worker(&[("XIAOYI_API_CORS_ORIGINS", origins)]).await
}

fn question(path: &str) -> Request {
    get(path)
        .method("OPTIONS")
        .header("Access-Control-Request-Method", "POST")
        .header("Access-Control-Request-Headers", SENT)
}

fn allowed_origin(reply: &Reply) -> Option<&str> {
    // Never for cookies.
    assert_eq!(reply.header("access-control-allow-credentials"), None);
    reply.header("access-control-allow-origin")
}

#[rstest]
#[case::none("", &[CHAT_SITE], None)]
#[case::listed(SITES, &[CHAT_SITE], Some(CHAT_SITE))]
#[case::listed_with_a_port(SITES, &["http://localhost:3000"], Some("http://localhost:3000"))]
#[case::another(SITES, &["https://evil.example.com"], None)]
#[case::another_port(SITES, &["http://localhost:3001"], None)]
#[case::another_scheme(SITES, &["http://chat.example.com"], None)]
#[case::one_that_begins_like_it(SITES, &["https://chat.example.com.evil.example.com"], None)]
#[case::sandboxed(SITES, &["null"], None)]
#[case::no_page(SITES, &[], None)]
#[case::two(SITES, &[CHAT_SITE, CHAT_SITE], None)]
#[case::every_site("*", &["https://evil.example.com"], Some("*"))]
#[case::every_site_even_sandboxed("*", &["null"], Some("*"))]
#[case::every_site_but_no_page("*", &[], None)]
#[actix_web::test]
async fn who_may_read(#[case] setting: &str, #[case] origins: &[&str], #[case] expected: Option<&str>) {
    let app = app(setting).await;
    let from_page = |request: Request| origins.iter().fold(request, |request, origin| request.header("Origin", origin));
    let asked = app.send(from_page(question("/v1/chat/completions"))).await;
    assert_eq!(allowed_origin(&asked), expected);
    assert_eq!(asked.status, if expected.is_some() { 204 } else { 405 });
    assert!(asked.header("x-request-id").is_some());
    for (request, status) in [
        (get("/v1/models").bearer(&app.key), 200),
        (get("/api/v1/balance").bearer(&app.key), 200),
        (get("/dashboard/billing/subscription").bearer(&app.key), 200),
        (get("/openapi.json"), 200),
        (get("/v1/balance"), 401),
        (get("/index.php/api/v1/balance").bearer("wrong"), 401),
        (post("/v1/chat/completions").bearer(&app.key).json("{}"), 400),
        (get("/v1/nowhere"), 404),
        (get("/v1/chat/completions"), 405),
        (post("/v1/completions").bearer(&app.key).body("a"), 415),
    ] {
        let reply = app.send(from_page(request)).await;
        assert_eq!((reply.status, allowed_origin(&reply)), (status, expected));
        let is_by_origin = reply.header("vary").is_some_and(|vary| vary.contains("origin"));
        assert_eq!(is_by_origin, setting == SITES, "a cache keeps one reply for each origin");
        assert_eq!(reply.header("access-control-expose-headers").is_some(), expected.is_some());
    }
}

#[actix_web::test]
async fn what_may_be_sent_and_read() {
    let app = app(SITES).await;
    let asked = app.send(question("/v1/chat/completions").header("Origin", CHAT_SITE)).await;
    assert_eq!((asked.status, asked.body.as_str()), (204, ""));
    assert_eq!(asked.header("access-control-allow-methods"), Some("GET, HEAD, POST"));
    assert_eq!(asked.header("access-control-allow-headers"), Some(SENT));
    assert_eq!(asked.header("access-control-max-age"), Some("3600"));
    assert_eq!(asked.header("vary"), Some("origin, access-control-request-headers"));

    let reply = app.send(get("/v1/models").bearer(&app.key).header("Origin", CHAT_SITE)).await;
    let readable: Vec<&str> = reply.header("access-control-expose-headers").unwrap().split(", ").collect();
    for name in ["x-request-id", "retry-after", "x-ratelimit-remaining-requests", "x-ratelimit-reset-tokens"] {
        assert!(readable.contains(&name), "{name}: {readable:?}");
    }
    // Without a call to come, it is a method that the path has not.
    let plain = app.send(get("/v1/models").method("OPTIONS").header("Origin", CHAT_SITE)).await;
    assert_eq!((plain.status, plain.header("allow"), allowed_origin(&plain)), (405, Some("GET"), Some(CHAT_SITE)));
}

#[rstest]
#[case("/console")]
#[case("/console/with-id")]
#[case("/docs")]
#[case("/healthz")]
#[case("/v1console")]
#[case("/")]
#[actix_web::test]
async fn pages_never_take_part(#[case] path: &str) {
    let app = app("*").await;
    for request in [get(path), question(path)] {
        let reply = app.send(request.header("Origin", CHAT_SITE)).await;
        assert_eq!(allowed_origin(&reply), None, "{}", reply.status);
        assert_eq!(reply.header("access-control-allow-methods"), None);
    }
}
