//! What stands before the body: paths, methods, keys, declared types, and headers beyond reason; and in which order they are looked at.

use super::{GOOD_BODY, GOOD_COST, Refused, Victim, refused, refused_field};
use crate::support::raw::{Request, ask};

const CALLS: [&str; 3] = ["/chat/completions", "/completions", "/images/generations"];
const RECORDS: [&str; 6] =
    ["/models", "/balance", "/usage", "/ledger", "/dashboard/billing/subscription", "/dashboard/billing/usage"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paths_and_methods_that_do_not_exist() {
    let mut victim = Victim::start().await;
    let long = format!("/v1/{}", "a".repeat(60_000));
    let long_model = format!("/v1/models/{}", "a".repeat(30_000));
    let unknown = [
        "/",
        "/v1",
        "/v1/",
        "/v2/chat/completions",
        "/v1/chat",
        "/v1/chat/completions/",
        "/v1//chat/completions",
        "/V1/chat/completions",
        "/v1/chat/completions/x",
        "/v1/../v1/chat/completions",
        "/v1/chat%2Fcompletions",
        "/index.php",
        "/index.php/v1/chat/completions",
        "/api/chat/completions",
        "/v1/%00",
        "/v1/%ff%fe",
        "/v1/%",
        "/v1/%zz",
        "/.env",
        "/wp-login.php",
        "/v1/ledger.json",
        "/index.php/api/v1",
        "/v1;/chat/completions",
        "/v1/chat/completions%20",
        &long,
    ];
    for target in unknown {
        // Without a key: nobody has to have one to be told so.
        victim.refuses(shown(target), &Request::post(target, GOOD_BODY), refused(40400));
        victim.refuses(shown(target), &Request::get(target), refused(40400));
    }
    for target in ["/v1/models/gpt-5000", "/v1/models/%E4%BD%A0", "/v1/models/a/b/c", "/v1/models/%00", &long_model] {
        victim.refuses(shown(target), &Request::get(target).key(victim.key()), refused_field(40400, "model"));
    }
    victim.goes_on().await;
    for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW", "post"] {
        for path in CALLS {
            let request = Request::new(method, &victim.under_a_prefix(path));
            let reply = victim.refuses(&format!("{method} {path}"), &request, refused(40500));
            assert_eq!(reply.header("allow"), Some("POST"), "{method} {path}");
        }
    }
    for method in ["POST", "PUT", "DELETE", "BREW"] {
        for path in RECORDS {
            let request = Request::new(method, &victim.under_a_prefix(path)).body("{");
            let reply = victim.refuses(&format!("{method} {path}"), &request, refused(40500));
            assert!(reply.header("allow").is_some_and(|allowed| allowed.contains("GET")), "{method} {path}");
        }
    }
    let head = ask(&victim.base(), &Request::new("HEAD", "/v1/chat/completions")).expect("a reply");
    assert_eq!((head.status, head.body.len()), (405, 0));
    assert!(head.header("x-request-id").is_some());
    victim.ends_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_are_none() {
    let mut victim = Victim::start().await;
    let key = victim.key().to_owned();
    let last_changed = format!("{}{}", &key[..key.len() - 1], if key.ends_with('a') { 'b' } else { 'a' });
    let long = "k".repeat(60_000);
    let wrong: [&[u8]; 12] = [
        b"x",
        b"sk-xy",
        b"sk-0123456789",
        last_changed.as_bytes(),
        &key.as_bytes()[..key.len() - 1],
        &key.as_bytes()[5..],
        b"null",
        b"undefined",
        b"\xE4\xBD\xA0\xE5\xA5\xBD",
        b"\xFF\xFE",
        b"' OR 1=1 --",
        long.as_bytes(),
    ];
    for wrong in wrong {
        let what = shown(&String::from_utf8_lossy(wrong)).to_owned();
        for path in CALLS {
            let bearer = Request::post(&victim.under_a_prefix(path), GOOD_BODY)
                .header("Authorization", [b"Bearer ", wrong].concat());
            let reply = victim.refuses(&what, &bearer, refused(40101));
            assert_eq!(reply.header("www-authenticate"), Some("Bearer"), "{what}");
            let other = Request::post(&victim.under_a_prefix(path), GOOD_BODY).header("x-api-key", wrong);
            victim.refuses(&what, &other, refused(40101));
        }
        let body = serde_json::json!({"api_secret_key": String::from_utf8_lossy(wrong), "messages": 5}).to_string();
        let request = Request::post(&victim.under_a_prefix(CALLS[0]), body);
        victim.refuses(&what, &request, refused(40101));
        let request = Request::get(&victim.under_a_prefix("/balance")).header("x-api-key", wrong);
        victim.refuses(&what, &request, refused(40101));
    }
    let absent = ["", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", &key, "Token x", "Bearer\t"];
    for authorization in absent {
        let request = Request::post(&victim.under_a_prefix(CALLS[0]), GOOD_BODY).header("Authorization", authorization);
        victim.refuses(shown(authorization), &request, refused(40100));
        let request = Request::get(&victim.under_a_prefix("/ledger")).header("Authorization", authorization);
        victim.refuses(shown(authorization), &request, refused(40100));
    }
    for body in [r#"{"api_secret_key":""}"#, r#"{"api_secret_key":null}"#, r#"{"a":{"api_secret_key":"x"}}"#, "{}"] {
        let request = Request::post(&victim.under_a_prefix(CALLS[0]), body);
        victim.refuses(body, &request, refused(40100));
    }
    for body in [r#"{"api_secret_key":5}"#, r#"{"api_secret_key":["x"]}"#, r#"{"api_secret_key":{}}"#] {
        let request = Request::post(&victim.under_a_prefix(CALLS[0]), body);
        victim.refuses(body, &request, refused_field(40002, "api_secret_key"));
    }
    for cookie in [format!("api_secret_key={key}"), format!("session={key}; Authorization=Bearer {key}")] {
        let request = Request::post(&victim.under_a_prefix(CALLS[0]), GOOD_BODY).header("Cookie", cookie);
        victim.refuses("a cookie", &request, refused(40100));
    }
    let request = Request::get(&format!("/v1/balance?api_secret_key={key}&key={key}"));
    victim.refuses("a key in the query", &request, refused(40100));
    victim.ends_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_are_not_declared_as_json() {
    let mut victim = Victim::start().await;
    let types = [
        "",
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "application/json+x",
        "json",
        "application",
        "*/*",
        "text/html, application/json",
        "application /json",
        "\u{4f60}",
    ];
    for content_type in types {
        for path in CALLS {
            let request =
                Request::post(&victim.under_a_prefix(path), GOOD_BODY).without("Content-Type").key(victim.key());
            let request = request.header("Content-Type", content_type);
            let reply = victim.refuses(content_type, &request, refused(41500));
            let message = reply.json()["msg"].as_str().unwrap_or_default().to_owned();
            assert!(message.contains("Content-Type: application/json"), "{message}");
        }
    }
    let undeclared = Request::post("/v1/chat/completions", GOOD_BODY).without("Content-Type").key(victim.key());
    victim.refuses("no Content-Type", &undeclared, refused(41500));
    victim.refuses("no Content-Type, in chunks", &undeclared.chunked(7), refused(41500));
    for encoding in ["gzip", "br", "deflate, gzip", "nonsense"] {
        let request =
            Request::post("/v1/chat/completions", GOOD_BODY).key(victim.key()).header("Content-Encoding", encoding);
        victim.refuses(encoding, &request, refused(41500));
    }
    for content_type in ["APPLICATION/JSON", "application/json;charset=utf-8", " application/json ; x=\"y\""] {
        let request = Request::post("/v1/chat/completions", GOOD_BODY).without("Content-Type").key(victim.key());
        victim.answers(content_type, &request.header("Content-Type", content_type), GOOD_COST);
    }
    victim.ends_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_of_several_faults_is_named() {
    let mut victim = Victim::start().await;
    let key = victim.key().to_owned();
    let in_body = format!(r#"{{"api_secret_key":"{key}","model":"gpt-5000","messages":5}}"#);
    let large = " ".repeat(11 * 1024 * 1024);
    let plain = |request: Request| request.without("Content-Type").header("Content-Type", "text/plain");
    let rows: [(&str, Request, Refused<'_>); 9] = [
        ("path before all", plain(Request::post("/v1/chats", "{").header("x-api-key", "x")), refused(40400)),
        (
            "method before key",
            Request::new("PUT", "/v1/completions").header("x-api-key", "x").body("{"),
            refused(40500),
        ),
        (
            "header key before type",
            plain(Request::post("/v1/completions", "{").header("x-api-key", "x")),
            refused(40101),
        ),
        (
            "header key before size",
            Request::post("/v1/completions", large.clone()).header("x-api-key", "x"),
            refused(40101),
        ),
        ("type before size", plain(Request::post("/v1/completions", large.clone()).key(&key)), refused(41500)),
        ("size before JSON", Request::post("/v1/completions", large).key(&key), refused(41300)),
        ("JSON before body key", Request::post("/v1/completions", r#"{"api_secret_key":"x",}"#), refused(40000)),
        (
            "body key before model",
            Request::post("/v1/completions", r#"{"api_secret_key":"x","model":5}"#),
            refused(40101),
        ),
        ("model before messages", Request::post("/v1/chat/completions", in_body), refused_field(40400, "model")),
    ];
    for (what, request, expected) in rows {
        victim.refuses(what, &request, expected);
    }
    victim.ends_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_beyond_reason_change_nothing() {
    let mut victim = Victim::start().await;
    let good = Request::post("/v1/chat/completions", GOOD_BODY).key(victim.key());
    let mut many = good.clone();
    for number in 0..80 {
        many = many.header(&format!("X-Filler-{number}"), "x".repeat(500));
    }
    let strange = [
        ("80 headers", many),
        ("a long one", good.clone().header("X-Long", "x".repeat(60_000))),
        ("bytes that are no text", good.clone().header("X-Bytes", [0x80, 0xFF, 0xC3])),
        (
            "someone's request id",
            good.clone().header("X-Request-Id", "\u{4f60}' OR 1=1").header("X-Request-Id", "x".repeat(5_000)),
        ),
        (
            "a forged address",
            good.clone().header("X-Forwarded-For", "999.1.1.1, ::::, ,").header("Forwarded", "for=;;"),
        ),
        ("a wrong Expect", good.clone().header("Expect", "the unexpected")),
        ("100-continue", good.clone().header("Expect", "100-continue")),
        (
            "ranges and conditions",
            good.clone().header("Range", "bytes=5-1").header("If-Match", "*").header("If-None-Match", "*"),
        ),
        ("what it accepts", good.clone().header("Accept", "image/png").header("Accept-Encoding", "nonsense;q=9")),
        ("two keys, the first counts", good.clone().header("x-api-key", "wrong")),
        ("a strange host", good.clone().without("Host").header("Host", "evil.example:99999")),
        ("an origin", good.clone().header("Origin", "null").header("Referer", "\u{4f60}")),
        (
            "an upgrade to HTTP/2",
            good.clone()
                .header("Connection", "Upgrade, HTTP2-Settings")
                .header("Upgrade", "h2c")
                .header("HTTP2-Settings", "AAMAAABkAAQAAP__"),
        ),
    ];
    for (what, request) in strange {
        victim.answers(what, &request, GOOD_COST);
    }
    victim.ends_unharmed().await;
}

/// Enough of a text to know it by.
fn shown(text: &str) -> &str {
    text.char_indices().nth(80).map_or(text, |(end, _)| &text[..end])
}
