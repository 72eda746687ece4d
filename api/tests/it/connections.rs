//! What clients do that speak HTTP badly, slowly or not to the end.

use rstest::rstest;

use crate::app::{TestApp, hello};
use crate::client::{Connection, get, post};
use crate::worker::Act;

const CHAT: &str = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";

async fn app() -> TestApp {
    TestApp::start(|_| vec![Act::Answer(&["{}"], 1)]).await
}

#[rstest]
#[case::length_is_no_number("Content-Length: abc\r\n\r\n{}")]
#[case::length_is_negative("Content-Length: -1\r\n\r\n{}")]
#[case::two_lengths("Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}")]
#[case::length_and_chunks("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")]
#[case::chunk_is_no_number("Transfer-Encoding: chunked\r\n\r\nxyz\r\n{}\r\n")]
#[case::chunk_size_overflows("Transfer-Encoding: chunked\r\n\r\nfffffffffffffffffff\r\n")]
#[case::chunk_without_its_end("Transfer-Encoding: chunked\r\n\r\n2\r\n{}xx0\r\n\r\n")]
#[actix_web::test]
async fn a_malformed_request_is_the_clients_fault(#[case] rest: &str) {
    let app = app().await;
    let mut connection = Connection::open(app.address).await;
    connection.write(&format!("{CHAT}{rest}")).await;
    let text = connection.rest().await;
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 4"), "{text}");
    assert!(!text.contains("HTTP/1.1 5"), "{text}");
    assert_eq!(app.send(get("/healthz")).await.status, 200);
}

#[actix_web::test]
async fn a_client_that_leaves_within_its_body_does_no_harm() {
    let app = app().await;
    let mut connection = Connection::open(app.address).await;
    connection.write(&format!("{CHAT}x-api-key: {}\r\nContent-Length: 1000\r\n\r\n{{\"mess", app.key)).await;
    drop(connection);
    assert_eq!(app.send(app.chat()).await.status, 200);
}

#[actix_web::test]
async fn a_body_in_chunks() {
    let app = app().await;
    let mut connection = Connection::open(app.address).await;
    let body = hello().to_string();
    let (first, second) = body.split_at(7);
    connection.write(&format!("{CHAT}x-api-key: {}\r\nTransfer-Encoding: chunked\r\n\r\n", app.key)).await;
    for piece in [first, second, ""] {
        connection.write(&format!("{:x}\r\n{piece}\r\n", piece.len())).await;
    }
    assert_eq!(connection.reply().await.status, 200);
}

#[actix_web::test]
async fn a_client_that_asks_before_it_sends() {
    let app = app().await;
    let mut connection = Connection::open(app.address).await;
    let body = hello().to_string();
    let length = body.len();
    connection
        .write(&format!("{CHAT}x-api-key: {}\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n", app.key))
        .await;
    assert_eq!(connection.until("\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    connection.write(&body).await;
    assert_eq!(connection.reply().await.status, 200);
}

#[actix_web::test]
async fn a_declared_length_over_the_limit_is_refused_without_waiting() {
    let app = app().await;
    let mut connection = Connection::open(app.address).await;
    connection.write(&format!("{CHAT}Content-Length: 1048577\r\n\r\n{{")).await;
    let reply = connection.reply().await;
    assert_eq!((reply.status, reply.header("connection")), (413, Some("close")));
}

#[actix_web::test]
async fn chunks_over_the_limit_are_refused_and_the_connection_ends() {
    let app = TestApp::without_a_worker(&[("XIAOYI_LIMITS_KEYED_BODY_BYTES", "2048")]).await;
    let mut connection = Connection::open(app.address).await;
    connection.write(&format!("{CHAT}Transfer-Encoding: chunked\r\n\r\n801\r\n{}\r\n", "x".repeat(0x801))).await;
    let reply = connection.reply().await;
    assert_eq!((reply.status, reply.header("connection")), (413, Some("close")));
    assert_eq!(connection.rest().await, "");
}

#[actix_web::test]
async fn a_connection_goes_on_after_a_refusal() {
    let app = app().await;
    let mut connection = Connection::open(app.address).await;
    connection.write(&format!("{CHAT}x-api-key: nonsense\r\nContent-Length: 2\r\n\r\n{{}}")).await;
    assert_eq!(connection.reply().await.status, 401);
    connection.write("POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}").await;
    assert_eq!(connection.reply().await.status, 404);
    let body = hello().to_string();
    connection.write(&format!("{CHAT}x-api-key: {}\r\nContent-Length: {}\r\n\r\n{body}", app.key, body.len())).await;
    assert_eq!(connection.reply().await.status, 200);
}

#[actix_web::test]
async fn an_empty_body_in_chunks_needs_no_content_type() {
    let app = app().await;
    let head = "POST /v1/dashboard/billing/credit_grants HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n";
    let mut connection = Connection::open(app.address).await;
    connection.write(&format!("{head}x-api-key: {}\r\n\r\n0\r\n\r\n", app.key)).await;
    assert_eq!(connection.reply().await.status, 200);
    connection.write(&format!("{head}x-api-key: {}\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n", app.key)).await;
    assert_eq!(connection.reply().await.status, 415);
}

#[rstest]
#[case("application/json")]
#[case("Application/JSON; charset=utf-8")]
#[case("application/json ;charset=UTF-8")]
#[actix_web::test]
async fn spellings_of_the_content_type(#[case] content_type: &str) {
    let app = app().await;
    let request =
        post("/v1/chat/completions").bearer(&app.key).header("Content-Type", content_type).body(&hello().to_string());
    assert_eq!(app.send(request).await.status, 200);
}
