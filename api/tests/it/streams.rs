//! Calls that are answered as a stream.

use std::sync::Arc;

use shared::queue::Interruption;
use shared::refusal::{Reason, Refusal};
use tokio::sync::Notify;
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::timeout;

use crate::app::TestApp;
use crate::client::PATIENCE;
use crate::worker::Act;

fn broken() -> Refusal {
    Refusal::new(Reason::UpstreamError, "the answer broke off")
}

#[actix_web::test]
async fn a_whole_stream() {
    let script = vec![
        Act::Chunk(r#"{"delta":"one"}"#, 1),
        Act::Chunk(r#"{"delta":"two"}"#, 1),
        Act::Answer(&[r#"{"finish_reason":"stop"}"#, r#"{"usage":{}}"#], 1),
    ];
    let app = TestApp::start(move |_| script.clone()).await;
    let reply = app.send(app.streamed_chat()).await;
    insta::assert_snapshot!(reply.shown(), @r#"
    200
    cache-control: no-cache
    content-type: text/event-stream
    x-accel-buffering: no
    data: {"delta":"one"}

    data: {"delta":"two"}

    data: {"finish_reason":"stop"}

    data: {"usage":{}}

    data: [DONE]
    "#);
    // 1 token at 10.00 and floor(1.3) + floor(1.3) + floor(1.3) at 30.00 a million.
    assert_eq!(app.settled().await.posted.to_string(), "9.9999");
}

#[actix_web::test]
async fn a_chunk_goes_out_before_the_next_one_is_there() {
    let next = Arc::new(Notify::new());
    let script = vec![Act::Chunk("1", 1), Act::Wait(Arc::clone(&next)), Act::Answer(&["2"], 0)];
    let app = TestApp::start(move |_| script.clone()).await;
    let (mut connection, head) = app.streamed_chat().open(app.address).await;
    assert_eq!(head.status, 200);
    connection.until("data: 1\n\n").await;
    next.notify_one();
    connection.until("data: 2\n\ndata: [DONE]\n\n").await;
}

#[actix_web::test]
async fn a_failure_before_the_first_text_keeps_its_status() {
    let app = TestApp::start(|_| vec![Act::Fail(broken())]).await;
    let reply = app.send(app.streamed_chat()).await;
    insta::assert_snapshot!(reply.shown(), @r#"
    502
    {"code":50200,"msg":"the answer broke off; nothing was charged","error":{"message":"the answer broke off; nothing was charged","type":"upstream_error","param":null,"code":"upstream_error"}}
    "#);
    assert_eq!(app.settled().await.posted.to_string(), "10.00");
}

#[actix_web::test]
async fn a_failure_after_some_text_says_what_was_charged() {
    let app = TestApp::start(|_| vec![Act::Chunk("1", 3), Act::FailCharged(broken())]).await;
    let reply = app.send(app.streamed_chat()).await;
    assert_eq!(reply.status, 200);
    insta::assert_snapshot!(reply.body, @r#"
    data: 1

    data: {"error":{"message":"the answer broke off; 0.0001 CNY were charged for the text above","type":"upstream_error","param":null,"code":"upstream_error"}}

    data: [DONE]
    "#);
    assert_eq!(app.settled().await.posted.to_string(), "9.9999");
}

#[actix_web::test]
async fn a_failure_after_some_text_that_was_not_charged_says_so() {
    let app = TestApp::start(|_| vec![Act::Chunk("1", 3), Act::Fail(broken())]).await;
    let reply = app.send(app.streamed_chat()).await;
    assert!(reply.body.contains("the answer broke off; nothing was charged"), "{}", reply.body);
    assert_eq!(app.settled().await.posted.to_string(), "10.00");
}

#[actix_web::test]
async fn the_text_of_a_worker_that_died_is_charged() {
    let app = TestApp::start(|_| vec![Act::Chunk("1", 3), Act::Die]).await;
    let reply = app.send(app.streamed_chat()).await;
    assert!(reply.body.contains("0.0001 CNY were charged for the text above"), "{}", reply.body);
    assert!(reply.body.contains(r#""code":"internal_error""#), "{}", reply.body);
    assert_eq!(app.settled().await.posted.to_string(), "9.9999");
}

#[actix_web::test]
async fn a_client_that_leaves_a_stream_calls_its_call_off_and_pays_what_it_got() {
    let (tell, mut told) = unbounded_channel();
    let app = TestApp::start(move |_| vec![Act::Chunk("1", 3), Act::AwaitInterruption(tell.clone())]).await;
    let (mut connection, _) = app.streamed_chat().open(app.address).await;
    connection.until("data: 1\n\n").await;
    drop(connection);
    assert_eq!(timeout(PATIENCE, told.recv()).await.unwrap(), Some(Interruption::ClientLeft));
    assert_eq!(app.settled().await.posted.to_string(), "9.9999");
}
