//! Keys with limits, from the command that issues them to the calls that they refuse.

use std::time::Duration;

use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::support::{IssuedKey, Place, Reply, Server};

/// A change reaches a running server within this.
const SEEN: Duration = Duration::from_secs(1);

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap())
}

fn policy(key: &Value) -> [&Value; 4] {
    ["rpm", "tpm", "concurrency", "ips"].map(|name| &key[name])
}

/// A server that echoes gpt-4, and a key with these options whose tenant has money.
async fn served(echo: &str, options: &[&str]) -> (Server, IssuedKey) {
    let server = Server::start();
    server.echo_at(echo, "gpt-4").await;
    server.customer("acme");
    let key = server.issue(&[&["--tenant", "acme"], options].concat());
    server.within(SEEN, "the new key", async || server.get("/v1/models", &key).await.status != 401).await;
    (server, key)
}

fn assert_refused(reply: &Reply, status: u16, code: &str) {
    assert_eq!((reply.status, &reply.json["error"]["code"]), (status, &json!(code)), "{}", reply.text);
}

#[test]
fn a_policy_is_shown_and_kept_by_a_rotation() {
    let place = Place::new();
    place.command(&["migrate"]).ok();
    place.command(&["tenant", "create", "acme"]).ok();
    let options =
        ["--rpm", "60", "--tpm", "100000", "--concurrency", "4", "--ip", "10.1.2.3/8,::1", "--ip", "192.0.2.7"];
    let issued = place.command(&[&["key", "issue", "--tenant", "acme"], &options[..]].concat()).ok();
    let ips = json!(["10.0.0.0/8", "::1/128", "192.0.2.7/32"]);
    let expected = [&json!(60), &json!(100_000), &json!(4), &ips];
    assert_eq!(policy(&issued), expected);
    place.command(&["key", "rotate", issued["id"].as_str().unwrap()]).ok();
    let listed = place.command(&["key", "list", "--tenant", "acme"]).ok();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    for key in listed.as_array().unwrap() {
        assert_eq!(policy(key), expected);
    }
    let (_, text, _) = place.spoken(&["key", "list", "--tenant", "acme"]);
    assert!(text.contains("rpm 60, tpm 100000, concurrency 4, ip 10.0.0.0/8,::1/128,192.0.2.7/32"), "{text}");

    let plain = place.command(&["key", "issue", "--tenant", "acme"]).ok();
    assert_eq!(policy(&plain), [&Value::Null; 4]);
    let too_many = vec!["10.0.0.1"; 101].join(",");
    let refused = place.command(&["key", "issue", "--tenant", "acme", "--ip", &too_many]).failed(2);
    assert!(refused.1.contains("at most 100"), "{}", refused.1);
    let (status, _, text) = place.spoken(&["key", "issue", "--tenant", "acme", "--rpm", "0"]);
    assert!(status == 2 && text.contains("--rpm") && text.contains("from 1 to 1000000000"), "{text}");
}

#[tokio::test]
async fn the_third_call_of_two_a_minute_is_refused() {
    let (server, key) = served("echo:", &["--rpm", "2"]).await;
    for remaining in ["1", "0"] {
        let reply = server.chat(&key, "gpt-4", "你好").await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        assert_eq!(header(&reply.headers, "x-ratelimit-limit-requests"), Some("2"));
        assert_eq!(header(&reply.headers, "x-ratelimit-remaining-requests"), Some(remaining));
        assert!(header(&reply.headers, "x-ratelimit-reset-requests").unwrap().ends_with('s'));
    }
    let reply = server.chat(&key, "gpt-4", "你好").await;
    assert_refused(&reply, 429, "rate_limit_exceeded");
    assert_eq!((&reply.json["code"], &reply.json["error"]["type"]), (&json!(42900), &json!("rate_limit_error")));
    let seconds: u64 = header(&reply.headers, "retry-after").unwrap().parse().unwrap();
    assert!((1..=30).contains(&seconds), "{seconds}");
    assert_eq!(header(&reply.headers, "x-ratelimit-remaining-requests"), Some("0"));
    // The key in the body is the same key, and records are no calls.
    let body =
        json!({"api_secret_key": key.secret, "model": "gpt-4", "messages": [{"role": "user", "content": "你好"}]});
    let reply = server.send(server.http.post(server.url("/v1/chat/completions")).json(&body)).await;
    assert_refused(&reply, 429, "rate_limit_exceeded");
    assert_eq!(server.get("/v1/balance", &key).await.json["held"], "0.00");
}

#[tokio::test]
async fn a_call_larger_than_a_minute_of_tokens_is_told_so() {
    let (server, key) = served("echo:", &["--tpm", "100"]).await;
    let reply = server.chat(&key, "gpt-4", "你好").await;
    assert_refused(&reply, 429, "rate_limit_exceeded");
    assert!(reply.json["msg"].as_str().unwrap().contains("can never pass"), "{}", reply.text);
    assert_eq!(header(&reply.headers, "x-should-retry"), Some("false"));
    let body = json!({"model": "gpt-4", "max_tokens": 50, "messages": [{"role": "user", "content": "你好"}]});
    let reply = server.post("/v1/chat/completions", &key, &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(header(&reply.headers, "x-ratelimit-remaining-tokens"), Some("48"));
    assert_refused(&server.post("/v1/chat/completions", &key, &body).await, 429, "rate_limit_exceeded");
}

#[tokio::test]
async fn one_call_at_a_time() {
    let (server, key) = served("echo://local?chunk_delay_ms=300", &["--concurrency", "1"]).await;
    // Long enough that it still runs while the others are refused, however slow the machine is.
    let text = "one two three four five ".repeat(20);
    let body = json!({"model": "gpt-4", "stream": true, "messages": [{"role": "user", "content": text}]});
    let request = server.http.post(server.url("/v1/chat/completions")).bearer_auth(&key.secret).json(&body);
    let mut stream = request.send().await.unwrap();
    assert_eq!(stream.status(), 200);
    assert_eq!(header(stream.headers(), "x-ratelimit-remaining-concurrency"), Some("0"));
    assert!(!stream.chunk().await.unwrap().unwrap().is_empty());
    let reply = server.chat(&key, "gpt-4", "你好").await;
    assert_refused(&reply, 429, "rate_limit_exceeded");
    assert_eq!(header(&reply.headers, "retry-after"), Some("1"));
    // Its client leaves, and the place is free; from then on one call after the other passes.
    drop(stream);
    let passes = async || server.chat(&key, "gpt-4", "你好").await.status == 200;
    server.within(Duration::from_secs(5), "the place", passes).await;
    for _ in 0..3 {
        assert!(passes().await);
    }
}

#[tokio::test]
async fn a_key_is_used_from_its_networks() {
    let server = Server::start_with(&[("XIAOYI_TRUSTED_PROXIES", "127.0.0.0/8")]);
    server.command(&["tenant", "create", "acme"]).ok();
    let key = server.issue(&["--tenant", "acme", "--ip", "10.0.0.0/8", "--ip", "2001:db8::/32"]);
    let asked_for = async |client: &str| {
        let request = server.http.get(server.url("/v1/balance")).bearer_auth(&key.secret);
        server.send(request.header("X-Forwarded-For", client)).await
    };
    server.within(SEEN, "the new key", async || asked_for("10.1.2.3").await.status == 200).await;
    assert_eq!(asked_for("2001:db8::7").await.status, 200);
    let reply = asked_for("10.1.2.3, 203.0.113.9").await;
    assert_refused(&reply, 403, "ip_not_allowed");
    assert_eq!((&reply.json["code"], &reply.json["error"]["type"]), (&json!(40300), &json!("permission_error")));
    assert_refused(&server.get("/v1/balance", &key).await, 403, "ip_not_allowed");
    let request_id = header(&reply.headers, "x-request-id").unwrap();
    let log = server.log();
    let line =
        log.lines().find(|line| line.contains(request_id) && line.contains("does not allow")).unwrap_or_default();
    assert!(line.contains("203.0.113.9"), "the operator finds the address:\n{log}");
}
