//! Keys with limits: what their callers are told, and when they are let in again.

use std::num::NonZeroU32;
use std::sync::Arc;

use serde_json::json;
use shared::clock::Clock;
use shared::key::KeyPolicy;
use shared::limits::KeyLimits;
use tokio::sync::Notify;

use crate::app::{TestApp, hello};
use crate::client::{PATIENCE, Request, get, post};
use crate::worker::Act;

const CHAT: &str = "/v1/chat/completions";

/// An app whose clock stands until the test moves it, so that what is told of times is exact.
async fn app(script: impl Fn() -> Vec<Act> + Send + Sync + 'static) -> (TestApp, Clock) {
    let clock = Clock::manual(Clock::System.now());
    (TestApp::start_at(clock.clone(), move |_| script()).await, clock)
}

async fn answering() -> (TestApp, Clock) {
    app(|| vec![Act::Chunk("1", 1), Act::Answer(&["{}"], 1)]).await
}

/// Moves the time on. For a moment the service believes then that it has not heard of its database for as long.
async fn later(app: &TestApp, clock: &Clock, ms: i64) {
    clock.advance(ms);
    let is_up = async || app.send(get("/v1/balance").bearer(&app.key)).await.status == 200;
    let all = async {
        while !is_up().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, all).await.unwrap();
}

/// 0: no limit.
fn policy(rpm: u32, tpm: u32, concurrency: u32) -> KeyPolicy {
    let [rpm, tpm, concurrency] = [rpm, tpm, concurrency].map(NonZeroU32::new);
    KeyPolicy { limits: KeyLimits { rpm, tpm, concurrency }, ..KeyPolicy::default() }
}

/// A call of 101 tokens at the most, one of which is its prompt.
fn call(key: &str) -> Request {
    let mut body = hello();
    body["max_tokens"] = 100.into();
    post(CHAT).bearer(key).json(body)
}

#[actix_web::test]
async fn requests_a_minute() {
    let (app, clock) = answering().await;
    let key = app.key(app.tenant, policy(2, 0, 0)).await;
    insta::assert_snapshot!(app.send(call(&key)).await.shown(), @r#"
    200
    x-ratelimit-limit-requests: 2
    x-ratelimit-remaining-requests: 1
    x-ratelimit-reset-requests: 30s
    {}
    "#);
    assert_eq!(app.send(call(&key)).await.status, 200);
    clock.advance(100);
    insta::assert_snapshot!(app.send(call(&key)).await.shown(), @r#"
    429
    retry-after: 30
    x-ratelimit-limit-requests: 2
    x-ratelimit-remaining-requests: 0
    x-ratelimit-reset-requests: 59.9s
    {"code":42900,"msg":"the requests a minute of this Secret Key (2) are used up; nothing was charged, try again in 30 s","error":{"message":"the requests a minute of this Secret Key (2) are used up; nothing was charged, try again in 30 s","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"}}
    "#);
    later(&app, &clock, 29_900).await;
    assert_eq!(app.send(call(&key)).await.status, 200);
    assert_eq!(app.send(call(&key)).await.status, 429);
    assert_eq!(app.send(app.chat()).await.status, 200, "another key of the same tenant");
}

#[actix_web::test]
async fn tokens_a_minute() {
    let (app, clock) = answering().await;
    let key = app.key(app.tenant, policy(0, 150, 0)).await;
    insta::assert_snapshot!(app.send(call(&key)).await.shown(), @r#"
    200
    x-ratelimit-limit-tokens: 150
    x-ratelimit-remaining-tokens: 49
    x-ratelimit-reset-tokens: 40.4s
    {}
    "#);
    insta::assert_snapshot!(app.send(call(&key)).await.shown(), @r#"
    429
    retry-after: 21
    x-ratelimit-limit-tokens: 150
    x-ratelimit-remaining-tokens: 49
    x-ratelimit-reset-tokens: 40.4s
    {"code":42900,"msg":"the tokens a minute of this Secret Key (150; each call counts its prompt and the longest answer that it allows) do not suffice; nothing was charged, try again in 21 s, or lower max_tokens","error":{"message":"the tokens a minute of this Secret Key (150; each call counts its prompt and the longest answer that it allows) do not suffice; nothing was charged, try again in 21 s, or lower max_tokens","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"}}
    "#);
    later(&app, &clock, 20_800).await;
    assert_eq!(app.send(call(&key)).await.status, 200);
}

#[actix_web::test]
async fn a_call_that_can_never_pass() {
    let (app, _) = answering().await;
    let key = app.key(app.tenant, policy(5, 100, 0)).await;
    insta::assert_snapshot!(app.send(call(&key)).await.shown(), @r#"
    429
    retry-after: 60
    x-ratelimit-limit-requests: 5
    x-ratelimit-limit-tokens: 100
    x-ratelimit-remaining-requests: 5
    x-ratelimit-remaining-tokens: 100
    x-ratelimit-reset-requests: 0s
    x-ratelimit-reset-tokens: 0s
    x-should-retry: false
    {"code":42900,"msg":"this call counts 101 tokens (its prompt and the longest answer that it allows), but this Secret Key has only 100 a minute, so it can never pass; nothing was charged, lower max_tokens, n or the length of the prompt","error":{"message":"this call counts 101 tokens (its prompt and the longest answer that it allows), but this Secret Key has only 100 a minute, so it can never pass; nothing was charged, lower max_tokens, n or the length of the prompt","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"}}
    "#);
}

#[rstest::rstest]
// One token is the prompt; a model answers with 4096 at the most.
#[case::as_asked(CHAT, json!({"max_tokens": 10}), 11)]
#[case::several_answers(CHAT, json!({"max_tokens": 10, "n": 3}), 31)]
#[case::nothing_said(CHAT, json!({}), 4097)]
#[case::more_than_there_is(CHAT, json!({"max_tokens": 1_000_000}), 4097)]
#[case::completion("/v1/completions", json!({"model": "text-davinci-003", "prompt": "hello"}), 17)]
#[case::best_of("/v1/completions", json!({"model": "text-davinci-003", "prompt": "hello", "n": 2, "best_of": 4}), 65)]
#[case::image("/v1/images/generations", json!({"prompt": "hello", "n": 4}), 1)]
#[actix_web::test]
async fn what_a_call_counts(#[case] path: &str, #[case] fields: serde_json::Value, #[case] tokens: u64) {
    let (app, _) = answering().await;
    let key = app.key(app.tenant, policy(0, 10_000, 0)).await;
    let mut body = if path == CHAT { hello() } else { json!({}) };
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let reply = app.send(post(path).bearer(&key).json(body)).await;
    assert_eq!(
        reply.header("x-ratelimit-remaining-tokens"),
        Some(&*(10_000 - tokens).to_string()),
        "{}",
        reply.shown()
    );
}

#[actix_web::test]
async fn calls_at_the_same_time() {
    let end = Arc::new(Notify::new());
    let waits = Arc::clone(&end);
    let (app, _) = app(move || vec![Act::Chunk("1", 1), Act::Wait(Arc::clone(&waits)), Act::Answer(&["{}"], 1)]).await;
    let key = app.key(app.tenant, policy(0, 0, 1)).await;
    let mut body = hello();
    body["stream"] = true.into();
    let (mut stream, head) = post(CHAT).bearer(&key).json(body).open(app.address).await;
    assert_eq!((head.status, head.header("x-ratelimit-remaining-concurrency")), (200, Some("0")));
    stream.until("data: 1\n\n").await;
    insta::assert_snapshot!(app.send(call(&key)).await.shown(), @r#"
    429
    retry-after: 1
    x-ratelimit-limit-concurrency: 1
    x-ratelimit-remaining-concurrency: 0
    {"code":42900,"msg":"as many calls of this Secret Key are running as may at the same time (1); nothing was charged, try again when one has ended","error":{"message":"as many calls of this Secret Key are running as may at the same time (1); nothing was charged, try again when one has ended","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"}}
    "#);
    // Who has seen the end of a call may begin the next one.
    for _ in 0..20 {
        end.notify_one();
        stream.until("data: [DONE]\n\n").await;
        let mut body = hello();
        body["stream"] = true.into();
        let (next, head) = post(CHAT).bearer(&key).json(body).open(app.address).await;
        assert_eq!(head.status, 200);
        stream = next;
    }
    end.notify_one();
    stream.until("data: [DONE]\n\n").await;
    for _ in 0..20 {
        end.notify_one();
        assert_eq!(app.send(call(&key)).await.status, 200);
    }
}

#[actix_web::test]
async fn a_client_that_leaves_frees_its_place() {
    let (interrupted, mut interruptions) = tokio::sync::mpsc::unbounded_channel();
    let (app, _) = app(move || vec![Act::Chunk("1", 1), Act::AwaitInterruption(interrupted.clone())]).await;
    let key = app.key(app.tenant, policy(0, 0, 1)).await;
    for _ in 0..3 {
        let mut body = hello();
        body["stream"] = true.into();
        let (mut stream, head) = post(CHAT).bearer(&key).json(body).open(app.address).await;
        assert_eq!(head.status, 200);
        stream.until("data: 1\n\n").await;
        drop(stream);
        interruptions.recv().await.unwrap();
    }
}

#[actix_web::test]
async fn what_is_refused_before_the_limits_takes_nothing_and_what_is_refused_after_them_does() {
    let (app, _) = answering().await;
    let key = app.key(app.tenant, policy(1, 0, 1)).await;
    let wrong = post(CHAT).bearer(&key).json(json!({"messages": 1}));
    for _ in 0..3 {
        let reply = app.send(wrong.clone()).await;
        assert_eq!((reply.status, reply.header("x-ratelimit-limit-requests")), (400, None));
    }
    assert_eq!(app.send(call(&key)).await.status, 200);
    assert_eq!(app.send(wrong).await.status, 400, "the parameters before the limits");

    let poor = app.key(app.poor, policy(1, 0, 1)).await;
    insta::assert_snapshot!(app.send(call(&poor)).await.shown(), @r#"
    402
    x-ratelimit-limit-concurrency: 1
    x-ratelimit-limit-requests: 1
    x-ratelimit-remaining-concurrency: 0
    x-ratelimit-remaining-requests: 0
    x-ratelimit-reset-requests: 1m0s
    x-should-retry: false
    {"code":40200,"msg":"the balance is too low for this call: it needs 0.00301 CNY, 0.00 CNY are available; top up, or lower max_tokens, n or the length of the prompt","error":{"message":"the balance is too low for this call: it needs 0.00301 CNY, 0.00 CNY are available; top up, or lower max_tokens, n or the length of the prompt","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}
    "#);
    let reply = app.send(call(&poor)).await;
    assert_eq!(reply.status, 429, "the limits before the balance: {}", reply.shown());
}

#[actix_web::test]
async fn records_are_not_limited() {
    let (app, _) = answering().await;
    let key = app.key(app.tenant, policy(1, 0, 0)).await;
    assert_eq!(app.send(call(&key)).await.status, 200);
    for _ in 0..5 {
        assert_eq!(app.send(get("/v1/balance").bearer(&key)).await.status, 200);
    }
}
