//! The table of failures, each as a client sees it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use shared::key::KeyPolicy;
use shared::queue::Job;
use shared::refusal::{Reason, Refusal};
use tokio::sync::Notify;

use crate::app::{ID_OF_PAGE, TestApp, hello};
use crate::client::{Reply, get, post};
use crate::worker::Act;

const CHAT: &str = "/v1/chat/completions";

/// What an app without a worker says to a chat with the tenant's key in a header.
async fn refused(body: impl ToString) -> String {
    let app = TestApp::without_a_worker(&[]).await;
    app.send(post(CHAT).bearer(&app.key).json(body)).await.shown()
}

/// What a client is told when a worker ends its call like this; nothing may be charged then.
async fn ended(act: Act) -> String {
    let app = TestApp::start(move |_| vec![act.clone()]).await;
    let reply = app.send(app.chat()).await;
    assert_eq!(app.settled().await.posted.to_string(), "10.00");
    reply.shown()
}

#[actix_web::test]
async fn invalid_json() {
    insta::assert_snapshot!(refused("{\"messages\":\n [}").await, @r#"
    400
    {"code":40000,"msg":"the body is not valid JSON: expected value at line 2 column 3","error":{"message":"the body is not valid JSON: expected value at line 2 column 3","type":"invalid_request_error","param":null,"code":"invalid_json"}}
    "#);
}

#[actix_web::test]
async fn missing_parameter() {
    insta::assert_snapshot!(refused("{}").await, @r#"
    400
    {"code":40001,"msg":"messages is required: an array of messages such as {\"role\":\"user\",\"content\":\"...\"}, the newest last","error":{"message":"messages is required: an array of messages such as {\"role\":\"user\",\"content\":\"...\"}, the newest last","type":"invalid_request_error","param":"messages","code":"missing_parameter"}}
    "#);
}

#[actix_web::test]
async fn invalid_parameter() {
    let mut body = hello();
    body["messages"][0]["role"] = 7.into();
    insta::assert_snapshot!(refused(body).await, @r#"
    400
    {"code":40002,"msg":"messages[0].role must be one of \"system\", \"developer\", \"user\", \"assistant\", \"tool\", \"function\", not 7","error":{"message":"messages[0].role must be one of \"system\", \"developer\", \"user\", \"assistant\", \"tool\", \"function\", not 7","type":"invalid_request_error","param":"messages[0].role","code":"invalid_parameter"}}
    "#);
}

#[actix_web::test]
async fn invalid_messages() {
    let app = TestApp::without_a_worker(&[]).await;
    let body = json!({"api_secret_key": app.key, "messages": []});
    insta::assert_snapshot!(app.send(post(CHAT).json(body)).await.shown(), @r#"
    400
    {"code":40003,"msg":"messages must not be empty: send at least one message","error":{"message":"messages must not be empty: send at least one message","type":"invalid_request_error","param":"messages","code":"invalid_messages"}}
    "#);
}

#[actix_web::test]
async fn content_too_long() {
    let app = TestApp::without_a_worker(&[]).await;
    let body = json!({"api_secret_key": app.key, "messages": [{"role": "user", "content": "长".repeat(2001)}]});
    insta::assert_snapshot!(app.send(post(CHAT).json(body)).await.shown(), @r#"
    400
    {"code":40004,"msg":"messages[0].content must have at most 2000 characters, not 2001, in the last message","error":{"message":"messages[0].content must have at most 2000 characters, not 2001, in the last message","type":"invalid_request_error","param":"messages[0].content","code":"content_too_long"}}
    "#);
}

#[actix_web::test]
async fn idempotency_mismatch() {
    let app = TestApp::start(|_| vec![Act::Answer(&[r#"{"answer":1}"#], 1)]).await;
    let first = app.send(app.chat().header("Idempotency-Key", "abc")).await;
    assert_eq!(first.status, 200, "{}", first.shown());
    let other = json!({"model": "gpt-4", "messages": [{"role": "user", "content": "another"}]});
    let reply = app.send(post(CHAT).bearer(&app.key).header("Idempotency-Key", "abc").json(other)).await;
    insta::assert_snapshot!(reply.shown(), @r#"
    422
    {"code":42200,"msg":"this Idempotency-Key was used for another request within the last 24 hours; use a new key for each new request","error":{"message":"this Idempotency-Key was used for another request within the last 24 hours; use a new key for each new request","type":"invalid_request_error","param":"Idempotency-Key","code":"idempotency_mismatch"}}
    "#);
}

#[actix_web::test]
async fn upstream_rejected() {
    let refusal = Refusal::of_field(Reason::UpstreamRejected, "temperature", "the provider refused it: too hot");
    insta::assert_snapshot!(ended(Act::Fail(refusal)).await, @r#"
    400
    {"code":40005,"msg":"the provider refused it: too hot; nothing was charged","error":{"message":"the provider refused it: too hot; nothing was charged","type":"invalid_request_error","param":"temperature","code":"upstream_rejected"}}
    "#);
}

#[actix_web::test]
async fn missing_api_key() {
    let app = TestApp::without_a_worker(&[]).await;
    insta::assert_snapshot!(app.send(get("/v1/balance")).await.shown(), @r#"
    401
    www-authenticate: Bearer
    {"code":40100,"msg":"no Secret Key was sent: send it in the header \"Authorization: Bearer KEY\" or \"x-api-key: KEY\", or (POST) as api_secret_key in the JSON body","error":{"message":"no Secret Key was sent: send it in the header \"Authorization: Bearer KEY\" or \"x-api-key: KEY\", or (POST) as api_secret_key in the JSON body","type":"invalid_request_error","param":null,"code":"missing_api_key"}}
    "#);
}

#[actix_web::test]
async fn invalid_api_key() {
    let app = TestApp::without_a_worker(&[]).await;
    insta::assert_snapshot!(app.send(get("/v1/balance").bearer("nonsense")).await.shown(), @r#"
    401
    www-authenticate: Bearer
    {"code":40101,"msg":"this is not a Secret Key of this service: a Secret Key has 68 characters; copy it whole, without spaces or quotation marks","error":{"message":"this is not a Secret Key of this service: a Secret Key has 68 characters; copy it whole, without spaces or quotation marks","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}
    "#);
    // No key has such characters, in whatever encoding.
    for key in ["密钥", "\u{e9}\u{e9}"] {
        assert_eq!(app.send(get("/v1/balance").bearer(key)).await.status, 401);
    }
}

#[actix_web::test]
async fn insufficient_quota() {
    let app = TestApp::without_a_worker(&[]).await;
    let key = app.key(app.poor, KeyPolicy::default()).await;
    let mut body = hello();
    body["max_tokens"] = 100.into();
    insta::assert_snapshot!(app.send(post(CHAT).bearer(&key).json(body)).await.shown(), @r#"
    402
    x-should-retry: false
    {"code":40200,"msg":"the balance is too low for this call: it needs 0.00301 CNY, 0.00 CNY are available; top up, or lower max_tokens, n or the length of the prompt","error":{"message":"the balance is too low for this call: it needs 0.00301 CNY, 0.00 CNY are available; top up, or lower max_tokens, n or the length of the prompt","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}
    "#);
}

#[actix_web::test]
async fn model_not_allowed() {
    let app = TestApp::without_a_worker(&[]).await;
    let policy = KeyPolicy { models: Some(vec!["gpt-4".to_owned()]), ..KeyPolicy::default() };
    let key = app.key(app.tenant, policy).await;
    insta::assert_snapshot!(app.send(post(CHAT).bearer(&key).json(hello())).await.shown(), @r#"
    403
    {"code":40300,"msg":"this Secret Key may not use the model \"gpt-3.5\"; GET /v1/models lists those that it may","error":{"message":"this Secret Key may not use the model \"gpt-3.5\"; GET /v1/models lists those that it may","type":"permission_error","param":"model","code":"model_not_allowed"}}
    "#);
}

#[actix_web::test]
async fn model_not_found() {
    let mut body = hello();
    body["model"] = "gpt-9".into();
    insta::assert_snapshot!(refused(body).await, @r#"
    404
    {"code":40400,"msg":"the model \"gpt-9\" does not exist; GET /v1/models lists those that do","error":{"message":"the model \"gpt-9\" does not exist; GET /v1/models lists those that do","type":"invalid_request_error","param":"model","code":"model_not_found"}}
    "#);
}

#[actix_web::test]
async fn not_found() {
    let app = TestApp::without_a_worker(&[]).await;
    insta::assert_snapshot!(app.send(get("/v1/nowhere?key=secret")).await.shown(), @r#"
    404
    {"code":40400,"msg":"there is no such path; the API lies under /v1, for example POST /v1/chat/completions","error":{"message":"there is no such path; the API lies under /v1, for example POST /v1/chat/completions","type":"invalid_request_error","param":null,"code":"not_found"}}
    "#);
    for path in
        ["/", "/v1", "/v1/", "/v2/models", "/v1/chat/completions/", "/index.php/v1/models", "/chat/completions", "/%ff"]
    {
        let reply = app.send(get(path)).await;
        assert_eq!((reply.status, &reply.json()["error"]["code"]), (404, &json!("not_found")), "{path}");
    }
}

#[actix_web::test]
async fn pages_of_the_host_are_recorded_like_the_api() {
    let app = TestApp::without_a_worker(&[]).await;
    let reply = app.send(get("/console")).await;
    assert_eq!((reply.status, reply.body.as_str()), (200, "a page"));
    assert!(!reply.request_id().is_empty());
    let reply = app.send(get("/console/with-id")).await;
    assert_eq!(reply.request_id(), ID_OF_PAGE, "a request has one id");
}

#[actix_web::test]
async fn method_not_allowed() {
    let app = TestApp::without_a_worker(&[]).await;
    insta::assert_snapshot!(app.send(get(CHAT)).await.shown(), @r#"
    405
    allow: POST
    {"code":40500,"msg":"this path is for POST only","error":{"message":"this path is for POST only","type":"invalid_request_error","param":null,"code":"method_not_allowed"}}
    "#);
    for (path, allowed) in [
        ("/v1/balance", "GET"),
        ("/v1/models/gpt-4", "GET"),
        ("/v1/dashboard/billing/credit_grants", "GET, POST"),
        ("/dashboard/billing/usage", "GET"),
        ("/healthz", "GET, HEAD"),
    ] {
        let reply = app.send(post(path).method("DELETE")).await;
        assert_eq!((reply.status, reply.header("allow")), (405, Some(allowed)), "{path}");
    }
}

#[actix_web::test]
async fn unsupported_media_type() {
    let app = TestApp::without_a_worker(&[]).await;
    let plain = post(CHAT).bearer(&app.key).body("{}");
    insta::assert_snapshot!(app.send(plain.clone().header("Content-Type", "application/x-www-form-urlencoded")).await.shown(), @r#"
    415
    {"code":41500,"msg":"the body must be declared as JSON: send the header \"Content-Type: application/json\"","error":{"message":"the body must be declared as JSON: send the header \"Content-Type: application/json\"","type":"invalid_request_error","param":null,"code":"unsupported_media_type"}}
    "#);
    assert_eq!(app.send(plain.clone()).await.status, 415);
    let packed = plain.header("Content-Type", "application/json").header("Content-Encoding", "gzip");
    insta::assert_snapshot!(app.send(packed).await.shown(), @r#"
    415
    {"code":41500,"msg":"the body is compressed, which is not supported: send it plain, without the header \"Content-Encoding\"","error":{"message":"the body is compressed, which is not supported: send it plain, without the header \"Content-Encoding\"","type":"invalid_request_error","param":null,"code":"unsupported_media_type"}}
    "#);
}

#[actix_web::test]
async fn request_too_large() {
    let app = TestApp::without_a_worker(&[("XIAOYI_LIMITS_KEYED_BODY_BYTES", "2048")]).await;
    insta::assert_snapshot!(app.send(post(CHAT).json("x".repeat(2049))).await.shown(), @r#"
    413
    {"code":41300,"msg":"the body is larger than 2048 bytes (more is allowed when the Secret Key is in a header: \"Authorization: Bearer KEY\")","error":{"message":"the body is larger than 2048 bytes (more is allowed when the Secret Key is in a header: \"Authorization: Bearer KEY\")","type":"invalid_request_error","param":null,"code":"request_too_large"}}
    "#);
}

#[actix_web::test]
async fn rate_limit_exceeded() {
    insta::assert_snapshot!(while_one_waits("XIAOYI_QUEUE_TENANT_SHARE").await.shown(), @r#"
    429
    retry-after: 1
    x-ratelimit-limit-requests: 1
    x-ratelimit-remaining-requests: 0
    {"code":42900,"msg":"too many of this account's calls are waiting (at most 1); nothing was charged, try again shortly","error":{"message":"too many of this account's calls are waiting (at most 1); nothing was charged, try again shortly","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"}}
    "#);
}

#[actix_web::test]
async fn queue_full() {
    insta::assert_snapshot!(while_one_waits("XIAOYI_QUEUE_CAPACITY").await.shown(), @r#"
    503
    retry-after: 2
    {"code":50300,"msg":"the service is at its limit and takes no further calls just now; nothing was charged, try again shortly","error":{"message":"the service is at its limit and takes no further calls just now; nothing was charged, try again shortly","type":"overloaded_error","param":null,"code":"queue_full"}}
    "#);
}

/// What a second call is told while one call waits, which is all that `limit` allows.
async fn while_one_waits(limit: &str) -> Reply {
    let app = TestApp::without_a_worker(&[(limit, "1")]).await;
    let (first, address) = (app.chat(), app.address);
    actix_web::rt::spawn(async move { first.send(address).await });
    while app.deployment.queue.depth().await.waiting == 0 {
        tokio::task::yield_now().await;
    }
    app.send(app.chat()).await
}

#[actix_web::test]
async fn no_channel() {
    let mut body = hello();
    body["model"] = "gpt-4".into();
    insta::assert_snapshot!(refused(body).await, @r#"
    503
    retry-after: 30
    {"code":50300,"msg":"no channel serves the model \"gpt-4\" at the moment; nothing was charged","error":{"message":"no channel serves the model \"gpt-4\" at the moment; nothing was charged","type":"overloaded_error","param":null,"code":"no_channel"}}
    "#);
}

#[actix_web::test]
async fn unavailable() {
    let app = TestApp::without_a_worker(&[]).await;
    app.deployment.queue.close();
    insta::assert_snapshot!(app.send(app.chat()).await.shown(), @r#"
    503
    retry-after: 1
    {"code":50300,"msg":"the service cannot reach a part that it needs; nothing was charged, please try again shortly","error":{"message":"the service cannot reach a part that it needs; nothing was charged, please try again shortly","type":"overloaded_error","param":null,"code":"unavailable"}}
    "#);
}

#[actix_web::test]
async fn upstream_error() {
    insta::assert_snapshot!(ended(Act::Fail(Refusal::new(Reason::UpstreamError, "no channel gave an answer"))).await, @r#"
    502
    {"code":50200,"msg":"no channel gave an answer; nothing was charged","error":{"message":"no channel gave an answer; nothing was charged","type":"upstream_error","param":null,"code":"upstream_error"}}
    "#);
}

#[actix_web::test]
async fn timeout() {
    let app = TestApp::without_a_worker(&[("XIAOYI_DEADLINE_FIRST_TEXT_S", "1")]).await;
    insta::assert_snapshot!(app.send(app.chat()).await.shown(), @r#"
    504
    {"code":50400,"msg":"no answer came in time; nothing was charged, please try again","error":{"message":"no answer came in time; nothing was charged, please try again","type":"upstream_error","param":null,"code":"timeout"}}
    "#);
    assert_eq!(app.settled().await.posted.to_string(), "10.00");
}

#[actix_web::test]
async fn a_call_that_someone_else_settled() {
    insta::assert_snapshot!(ended(Act::Lost).await, @r#"
    504
    {"code":50400,"msg":"the call took longer than its money was held for; nothing was charged, please try again","error":{"message":"the call took longer than its money was held for; nothing was charged, please try again","type":"upstream_error","param":null,"code":"timeout"}}
    "#);
}

#[actix_web::test]
async fn internal_error() {
    insta::assert_snapshot!(ended(Act::Die).await, @r#"
    500
    {"code":50000,"msg":"an internal error; nothing was charged; please report the request id if it happens again","error":{"message":"an internal error; nothing was charged; please report the request id if it happens again","type":"server_error","param":null,"code":"internal_error"}}
    "#);
}

#[actix_web::test]
async fn outcome_unknown() {
    let (is_taken, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (taken, goes_on) = (Arc::clone(&is_taken), Arc::clone(&go_on));
    let script = move |_: &Job| {
        taken.notify_one();
        vec![Act::Wait(Arc::clone(&goes_on)), Act::Answer(&["{}"], 1)]
    };
    let app = TestApp::start_with(&[("XIAOYI_DEADLINE_DATABASE_S", "1")], script).await;
    // Somebody keeps the account for longer than the charge waits.
    let kept = async {
        is_taken.notified().await;
        app.keep_account(Duration::from_millis(2_500), move || go_on.notify_one()).await;
    };
    let (reply, ()) = tokio::join!(app.send(app.chat()), kept);
    insta::assert_snapshot!(reply.shown(), @r#"
    500
    x-should-retry: false
    {"code":50001,"msg":"it could not be found out whether this call was charged; do not repeat it blindly: GET /v1/ledger shows request [request id] if it was","error":{"message":"it could not be found out whether this call was charged; do not repeat it blindly: GET /v1/ledger shows request [request id] if it was","type":"server_error","param":null,"code":"outcome_unknown"}}
    "#);
    // The charge went through after all, and the ledger shows it.
    assert_eq!(app.settled().await.posted.to_string(), "9.99996");
}
