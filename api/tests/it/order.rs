//! The order of the checks: of two faults at once, the one that is checked first is named.

use rstest::rstest;
use serde_json::json;
use shared::key::KeyPolicy;

use crate::app::{TestApp, hello};
use crate::client::{Reply, get, post};

const CHAT: &str = "/v1/chat/completions";

/// Bodies of calls with a key in a header may have 4096 bytes, others 2048.
async fn app() -> TestApp {
    TestApp::without_a_worker(&[("XIAOYI_LIMITS_BODY_BYTES", "4096"), ("XIAOYI_LIMITS_KEYED_BODY_BYTES", "2048")]).await
}

#[track_caller]
fn assert_refused(reply: &Reply, status: u16, name: &str) {
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (status, &json!(name)), "{}", reply.body);
}

#[actix_web::test]
async fn the_path_before_the_method() {
    assert_refused(&app().await.send(get("/v1/chat").method("DELETE")).await, 404, "not_found");
}

#[actix_web::test]
async fn the_method_before_the_header_key() {
    assert_refused(&app().await.send(get(CHAT).bearer("nonsense")).await, 405, "method_not_allowed");
}

#[actix_web::test]
async fn the_header_key_before_the_content_type() {
    let request = post(CHAT).bearer("nonsense").header("Content-Type", "text/plain").body("{}");
    assert_refused(&app().await.send(request).await, 401, "invalid_api_key");
}

#[actix_web::test]
async fn the_content_type_before_the_size() {
    let app = app().await;
    for request in [post(CHAT), post(CHAT).bearer(&app.key)] {
        let request = request.header("Content-Type", "text/plain").body(&"x".repeat(5000));
        assert_refused(&app.send(request).await, 415, "unsupported_media_type");
    }
}

#[rstest]
#[case::key_in_the_body(false, 2049)]
#[case::key_in_a_header(true, 4097)]
#[actix_web::test]
async fn the_size_before_the_json(#[case] has_header_key: bool, #[case] length: usize) {
    let app = app().await;
    let request = if has_header_key { post(CHAT).bearer(&app.key) } else { post(CHAT) };
    assert_refused(&app.send(request.clone().json("x".repeat(length))).await, 413, "request_too_large");
    assert_refused(&app.send(request.json("x".repeat(length - 1))).await, 400, "invalid_json");
}

#[actix_web::test]
async fn the_json_before_the_body_key() {
    let app = app().await;
    assert_refused(&app.send(post(CHAT).json("[]")).await, 400, "invalid_json");
    assert_refused(&app.send(post(CHAT)).await, 400, "invalid_json");
    assert_refused(&app.send(post(CHAT).json("{}")).await, 401, "missing_api_key");
}

#[actix_web::test]
async fn the_body_key_before_the_policy() {
    let body = json!({"api_secret_key": "nonsense", "model": "unknown"});
    assert_refused(&app().await.send(post(CHAT).json(body)).await, 401, "invalid_api_key");
}

#[actix_web::test]
async fn the_policy_before_the_parameters() {
    let app = app().await;
    let body = json!({"model": "unknown", "messages": 1});
    assert_refused(&app.send(post(CHAT).bearer(&app.key).json(&body)).await, 404, "model_not_found");
    let policy = KeyPolicy { models: Some(vec!["gpt-4".to_owned()]), ..KeyPolicy::default() };
    let key = app.key(app.tenant, policy).await;
    assert_refused(&app.send(post(CHAT).bearer(&key).json(&body)).await, 403, "model_not_allowed");
}

/// A call that waits for a worker which never comes, for as long as its connection is kept.
async fn waiting_call(app: &TestApp) -> crate::client::Connection {
    let mut connection = crate::client::Connection::open(app.address).await;
    let body = hello().to_string();
    let length = body.len();
    let head =
        format!("POST {CHAT} HTTP/1.1\r\nHost: x\r\nx-api-key: {}\r\nContent-Type: application/json\r\n", app.key);
    connection.write(&format!("{head}Content-Length: {length}\r\n\r\n{body}")).await;
    while app.deployment.queue.depth().await.waiting == 0 {
        tokio::task::yield_now().await;
    }
    connection
}

#[actix_web::test]
async fn the_parameters_before_the_limits_and_the_balance() {
    let app = TestApp::without_a_worker(&[("XIAOYI_QUEUE_TENANT_SHARE", "1")]).await;
    let _waiting = waiting_call(&app).await;
    let poor = app.key(app.poor, KeyPolicy::default()).await;
    for key in [&app.key, &poor] {
        let reply = app.send(post(CHAT).bearer(key).json(json!({"messages": 1}))).await;
        assert_refused(&reply, 400, "invalid_parameter");
    }
    assert_refused(&app.send(app.chat()).await, 429, "rate_limit_exceeded");
    assert_refused(&app.send(post(CHAT).bearer(&poor).json(hello())).await, 402, "insufficient_quota");
}

#[actix_web::test]
async fn the_limits_before_the_balance() {
    // The queue is full, and who calls next has no money.
    let app = TestApp::without_a_worker(&[("XIAOYI_QUEUE_CAPACITY", "1")]).await;
    let _waiting = waiting_call(&app).await;
    let poor = app.key(app.poor, KeyPolicy::default()).await;
    assert_refused(&app.send(post(CHAT).bearer(&poor).json(hello())).await, 503, "queue_full");
}
