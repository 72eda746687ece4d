//! Bodies that are on their way: what they may take of the memory all together.

use std::sync::Arc;

use futures_util::future::{LocalBoxFuture, join, join_all};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use serde_json::json;
use shared::queue::Job;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::app::{TestApp, hello};
use crate::client::{Connection, PATIENCE, Reply, Request, post};
use crate::worker::Act;

const CHAT: &str = "/v1/chat/completions";
const KIB: usize = 1024;

/// One whose bodies may have 1 MiB all together: a tenant's 512 KiB, those without a key 256 KiB, of one address 128 KiB.
async fn app() -> TestApp {
    app_with(|_| vec![Act::Answer(&["{}"], 1)]).await
}

async fn app_with(script: impl Fn(&Job) -> Vec<Act> + Send + Sync + 'static) -> TestApp {
    let settings = [
        ("XIAOYI_LIMITS_BODY_BYTES", "262144"),
        ("XIAOYI_LIMITS_KEYED_BODY_BYTES", "131072"),
        ("XIAOYI_LIMITS_BODIES_BYTES", "1048576"),
        ("XIAOYI_TRUSTED_PROXIES", "127.0.0.0/8"),
    ];
    TestApp::start_with(&settings, script).await
}

/// The key is in the body, which has this length.
fn keyless(app: &TestApp, length: usize) -> Request {
    let mut body = hello();
    body["api_secret_key"] = json!(app.key);
    post(CHAT).json(padded(&body.to_string(), length))
}

/// The key is in a header.
fn keyed(key: &str, length: usize) -> Request {
    post(CHAT).bearer(key).json(padded(&hello().to_string(), length))
}

/// Spaces behind it are still JSON.
fn padded(body: &str, length: usize) -> String {
    body.to_owned() + &" ".repeat(length - body.len())
}

/// Clients that have sent so much of a body and send no more.
struct Crowd(FuturesUnordered<LocalBoxFuture<'static, Reply>>);

impl Crowd {
    async fn of(clients: usize, app: &TestApp, header: &str, length: usize, sent: usize) -> Self {
        let crowd = FuturesUnordered::new();
        for _ in 0..clients {
            let mut connection = Connection::open(app.address).await;
            let head = format!("POST {CHAT} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{header}\r\n");
            connection.write(&format!("{head}Content-Length: {length}\r\n\r\n{}", padded("{", sent))).await;
            crowd.push(async move { connection.reply().await }.boxed_local());
        }
        Self(crowd)
    }

    /// Waits until only so many are left: all others are told to come again.
    async fn shrinks_to(&mut self, left: usize) {
        while self.0.len() > left {
            let reply = self.0.next().await.unwrap();
            assert_eq!((reply.status, reply.header("retry-after")), (503, Some("2")), "{}", reply.body);
            assert_eq!(reply.json()["error"]["code"], "queue_full");
        }
    }
}

/// Sends it until there is room for it, and gives what it is answered then.
async fn once_there_is_room(app: &TestApp, request: &Request) -> u16 {
    let asking = async {
        loop {
            let status = app.send(request.clone()).await.status;
            if status != 503 {
                return status;
            }
        }
    };
    timeout(PATIENCE, asking).await.expect("room comes back when clients leave")
}

#[actix_web::test]
async fn slow_bodies_of_one_address_without_a_key() {
    let app = app().await;
    let mut crowd = Crowd::of(5, &app, "X-Forwarded-For: 192.0.2.1", 128 * KIB, 100 * KIB).await;
    crowd.shrinks_to(1).await;
    let from = |last: &str, length| keyless(&app, length).header("X-Forwarded-For", last);
    assert_eq!(app.send(from("192.0.2.1", 100 * KIB)).await.status, 503);
    assert_eq!(app.send(from("192.0.2.1", 16 * KIB)).await.status, 200, "a small one needs no room");
    assert_eq!(app.send(from("192.0.2.2", 100 * KIB)).await.status, 200, "another address has its own share");
    assert_eq!(app.send(keyed(&app.key, 256 * KIB)).await.status, 200, "whoever shows a key has another room");
    drop(crowd);
    assert_eq!(once_there_is_room(&app, &from("192.0.2.1", 100 * KIB)).await, 200);
}

#[actix_web::test]
async fn slow_bodies_of_many_addresses_without_a_key() {
    let app = app().await;
    let mut crowds = Vec::new();
    for last in 1..=2 {
        let from = format!("X-Forwarded-For: 192.0.2.{last}");
        let mut crowd = Crowd::of(2, &app, &from, 128 * KIB, 100 * KIB).await;
        crowd.shrinks_to(1).await;
        crowds.push(crowd);
    }
    let from_a_third = keyless(&app, 100 * KIB).header("X-Forwarded-For", "192.0.2.3");
    let refused = app.send(from_a_third.clone()).await;
    insta::assert_snapshot!(refused.shown(), @r#"
    503
    retry-after: 2
    {"code":50300,"msg":"too many large bodies are on their way just now; nothing was charged, try again shortly (there is more room for those who send the Secret Key in a header: \"Authorization: Bearer KEY\")","error":{"message":"too many large bodies are on their way just now; nothing was charged, try again shortly (there is more room for those who send the Secret Key in a header: \"Authorization: Bearer KEY\")","type":"overloaded_error","param":null,"code":"queue_full"}}
    "#);
    assert_eq!(app.send(keyed(&app.key, 256 * KIB)).await.status, 200, "they keep nobody out who shows a key");
    crowds.pop();
    assert_eq!(once_there_is_room(&app, &from_a_third).await, 200);
}

#[actix_web::test]
async fn slow_bodies_of_a_tenant() {
    let app = app().await;
    let header = format!("x-api-key: {}", app.key);
    let mut crowd = Crowd::of(5, &app, &header, 256 * KIB, 200 * KIB).await;
    crowd.shrinks_to(2).await;
    assert_eq!(app.send(keyed(&app.key, 100 * KIB)).await.status, 503);
    assert_eq!(app.send(app.chat()).await.status, 200, "a small one needs no room");
    let poor = app.key(app.poor, shared::key::KeyPolicy::default()).await;
    assert_eq!(app.send(keyed(&poor, 256 * KIB)).await.status, 402, "another tenant has its own share");
    drop(crowd);
    assert_eq!(once_there_is_room(&app, &keyed(&app.key, 256 * KIB)).await, 200);
}

/// Those that wait for the first of them are counted elsewhere.
#[actix_web::test]
async fn repetitions_that_wait_take_no_room_of_bodies() {
    let goes_on = Arc::new(Notify::new());
    let waits = Arc::clone(&goes_on);
    let is_repeated = |job: &Job| job.idempotency.is_some();
    let app = app_with(move |job| match is_repeated(job) {
        true => vec![Act::Wait(Arc::clone(&waits)), Act::Answer(&["{}"], 1)],
        false => vec![Act::Answer(&["{}"], 1)],
    })
    .await;
    let repeated = keyed(&app.key, 256 * KIB).header("Idempotency-Key", "k");
    let all = join_all((0..5).map(|_| app.send(repeated.clone())));
    let others = async {
        let status = once_there_is_room(&app, &keyed(&app.key, 256 * KIB)).await;
        goes_on.notify_one();
        status
    };
    let (replies, status) = timeout(PATIENCE, join(all, others)).await.expect("they end");
    assert_eq!(status, 200);
    // Who came before others had begun to wait may have been sent away.
    assert!(replies.iter().all(|reply| [200, 503].contains(&reply.status)));
    assert!(replies.iter().any(|reply| reply.status == 200));
}

/// As many as would not find room together.
#[actix_web::test]
async fn room_comes_back_with_every_answer_and_refusal() {
    let app = app().await;
    let nonsense = post(CHAT).bearer(&app.key).json(padded("{", 256 * KIB));
    for _ in 0..5 {
        assert_eq!(app.send(keyed(&app.key, 256 * KIB)).await.status, 200);
        assert_eq!(app.send(nonsense.clone()).await.status, 400);
        assert_eq!(app.send(keyless(&app, 128 * KIB)).await.status, 200);
    }
}

#[actix_web::test]
async fn a_large_body_in_chunks() {
    let app = app().await;
    let mut connection = Connection::open(app.address).await;
    let key = &app.key;
    let head = format!("POST {CHAT} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nx-api-key: {key}\r\n");
    connection.write(&format!("{head}Transfer-Encoding: chunked\r\n\r\n")).await;
    let body = padded(&hello().to_string(), 256 * KIB);
    for piece in body.as_bytes().chunks(10_007).chain([&b""[..]]) {
        connection.write(&format!("{:x}\r\n{}\r\n", piece.len(), std::str::from_utf8(piece).unwrap())).await;
    }
    assert_eq!(connection.reply().await.status, 200);
}
