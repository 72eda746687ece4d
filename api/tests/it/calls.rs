//! Calls that are answered whole.

use std::sync::{Arc, Mutex};

use rstest::rstest;
use serde_json::json;
use shared::key::KeyPolicy;
use shared::queue::{Endpoint, Interruption, Job};
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::timeout;

use crate::app::{TestApp, hello};
use crate::client::{PATIENCE, Reply, post};
use crate::worker::Act;

const ANSWER: &str = r#"{"code":0,"msg":"","id":"chatcmpl-1","choices":[],"big":12345678901234567890}"#;

/// Answers every call, and keeps the jobs.
async fn app() -> (TestApp, Arc<Mutex<Vec<Job>>>) {
    let jobs = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&jobs);
    let app = TestApp::start(move |job| {
        kept.lock().unwrap().push(job.clone());
        vec![Act::Answer(&[ANSWER], 3)]
    });
    (app.await, jobs)
}

fn assert_answered(reply: &Reply) {
    assert_eq!((reply.status, reply.body.as_str()), (200, ANSWER));
    assert_eq!(reply.header("content-type"), Some("application/json"));
}

#[rstest]
#[actix_web::test]
async fn every_prefix_answers_both_kinds_of_client(
    #[values("/v1", "/api/v1", "/index.php/api/v1")] prefix: &str,
    #[values(
        ("chat/completions", Endpoint::Chat, "gpt-3.5"),
        ("completions", Endpoint::Completions, "text-davinci-003"),
        ("images/generations", Endpoint::Images, "dall-e-3"),
        ("embeddings", Endpoint::Embeddings, "text-embedding-3-small"),
        ("moderations", Endpoint::Moderations, "omni-moderation-latest")
    )]
    endpoint: (&str, Endpoint, &str),
) {
    let (app, jobs) = app().await;
    let (path, endpoint, model) = endpoint;
    let mut body = match endpoint {
        Endpoint::Chat => hello(),
        Endpoint::Completions => json!({"prompt": "hello", "model": "text-davinci-003"}),
        Endpoint::Images => json!({"prompt": "hello"}),
        Endpoint::Embeddings => json!({"input": "hello", "model": "text-embedding-3-small"}),
        Endpoint::Moderations => json!({"input": "hello"}),
    };
    let path = format!("{prefix}/{path}");
    assert_answered(&app.send(post(&path).bearer(&app.key).json(&body)).await);
    assert_answered(&app.send(post(&path).header("x-api-key", &app.key).json(&body)).await);
    body["api_secret_key"] = app.key.clone().into();
    assert_answered(&app.send(post(&path).json(&body)).await);

    let jobs = jobs.lock().unwrap();
    assert_eq!(jobs.len(), 3);
    for job in jobs.iter() {
        assert_eq!((job.endpoint, job.model.as_str(), job.tenant), (endpoint, model, app.tenant));
        assert!(!job.fields.contains("api_secret_key") && !job.fields.contains(&app.key), "{}", job.fields);
    }
}

#[actix_web::test]
async fn the_request_id_is_the_ledgers() {
    let (app, jobs) = app().await;
    let reply = app.send(app.chat().header("x-request-id", "mine")).await;
    assert_eq!(reply.request_id(), jobs.lock().unwrap()[0].request_id.to_string());
}

#[actix_web::test]
async fn a_call_is_charged_once_and_nothing_stays_held() {
    let (app, _) = app().await;
    assert_answered(&app.send(app.chat()).await);
    // 1 token at 10.00 and 3 at 30.00 a million.
    assert_eq!(app.settled().await.posted.to_string(), "9.9999");
}

#[actix_web::test]
async fn the_place_of_the_key_decides_about_the_rules() {
    let (app, _) = app().await;
    let mut body =
        json!({"messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hello"}]});
    assert_answered(&app.send(post("/v1/chat/completions").bearer(&app.key).json(&body)).await);
    body["api_secret_key"] = app.key.clone().into();
    let reply = app.send(post("/v1/chat/completions").json(&body)).await;
    assert_eq!((reply.status, reply.json()["code"].clone()), (400, json!(40003)));
}

#[actix_web::test]
async fn a_key_in_a_header_goes_before_one_in_the_body() {
    let (app, _) = app().await;
    let mut body = hello();
    body["api_secret_key"] = "nonsense".into();
    assert_answered(&app.send(post("/v1/chat/completions").bearer(&app.key).json(&body)).await);
    body["api_secret_key"] = app.key.clone().into();
    assert_eq!(app.send(post("/v1/chat/completions").bearer("nonsense").json(&body)).await.status, 401);
    // What is no Bearer counts as absent.
    assert_answered(&app.send(post("/v1/chat/completions").header("Authorization", "Basic x").json(&body)).await);
}

#[actix_web::test]
async fn a_large_body_is_read_whole() {
    let (app, jobs) = app().await;
    let content = "word ".repeat(400_000);
    let body = json!({"messages": [{"role": "user", "content": content}], "max_tokens": 10});
    assert_answered(&app.send(post("/v1/chat/completions").bearer(&app.key).json(body)).await);
    assert_eq!(jobs.lock().unwrap()[0].prompt.words, 400_000);
}

#[actix_web::test]
async fn a_client_that_leaves_calls_its_call_off() {
    let (tell, mut told) = unbounded_channel();
    let app = TestApp::start(move |_| vec![Act::AwaitInterruption(tell.clone())]).await;
    let mut connection = crate::client::Connection::open(app.address).await;
    let body = hello().to_string();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nx-api-key: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        app.key,
        body.len()
    );
    connection.write(&(head + &body)).await;
    while app.deployment.queue.depth().await.running == 0 {
        tokio::task::yield_now().await;
    }
    drop(connection);
    assert_eq!(timeout(PATIENCE, told.recv()).await.unwrap(), Some(Interruption::ClientLeft));
    app.settled().await;
}

#[actix_web::test]
async fn a_restricted_key_uses_its_models_only() {
    let (app, _) = app().await;
    let policy = KeyPolicy { models: Some(vec!["text-davinci-003".to_owned()]), ..KeyPolicy::default() };
    let key = app.key(app.tenant, policy).await;
    let completion = json!({"prompt": "hello", "model": "text-davinci-003"});
    assert_answered(&app.send(post("/v1/completions").bearer(&key).json(completion)).await);
    assert_eq!(app.send(post("/v1/chat/completions").bearer(&key).json(hello())).await.status, 403);
}
