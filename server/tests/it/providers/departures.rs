//! Clients that leave: the provider's connection is closed at once, and what was generated until then is paid.

use std::io::Write as _;
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use serde_json::json;

use super::{COMPLETION_PRICE, MODEL, PROMPT_PRICE, UPSTREAM, open};
use crate::support::provider::{Act, stream_head, text};
use crate::support::reseller::{CLIENTS, Client, PROMPT_TOKENS, Reseller, chat_body, cost};

/// How soon a provider must be let go.
const SOON: Duration = Duration::from_secs(1);

/// A client of its own connection, which has sent a call.
fn send_call(reseller: &Reseller, client: Client) -> TcpStream {
    let address = reseller.server.url("").trim_start_matches("http://").trim_end_matches('/').to_owned();
    let mut body = chat_body(MODEL, false);
    let mut key = String::new();
    match client {
        Client::OpenAi => key = format!("Authorization: Bearer {}\r\n", reseller.key),
        Client::Original => body["api_secret_key"] = json!(reseller.key),
    }
    let body = body.to_string();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{key}Content-Length: {}\r\n\r\n",
        body.len()
    );
    let mut connection = TcpStream::connect(address).unwrap();
    connection.write_all(format!("{head}{body}").as_bytes()).unwrap();
    connection
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_a_whole_call() {
    for client in CLIENTS {
        let (provider, reseller) = open(&[], "100.00").await;
        provider.acts(UPSTREAM, vec![Act::Hang]);
        let connection = send_call(&reseller, client);
        provider.arrival(UPSTREAM).await;
        assert!(reseller.balance().await.1 > 0, "money is held while the provider works");
        let left_at = Instant::now();
        connection.shutdown(Shutdown::Both).unwrap();
        drop(connection);
        let noticed = provider.departure(UPSTREAM).await;
        assert!(noticed - left_at < SOON, "{client:?}: the provider was let go after {:?}", noticed - left_at);
        reseller.assert_books(0).await;
        assert_eq!(provider.received(UPSTREAM).len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_a_stream() {
    for client in CLIENTS {
        let (provider, reseller) = open(&[], "100.00").await;
        provider.acts(UPSTREAM, vec![stream_head(), text("one two "), text("three"), Act::Hang]);
        let mut reply = reseller.request(client, "/v1/chat/completions", chat_body(MODEL, true)).send().await.unwrap();
        let mut seen = String::new();
        while !seen.contains("three") {
            seen.push_str(std::str::from_utf8(&reply.chunk().await.unwrap().unwrap()).unwrap());
        }
        let request_id = reply.headers()["x-request-id"].to_str().unwrap().to_owned();
        let left_at = Instant::now();
        drop(reply);
        let noticed = provider.departure(UPSTREAM).await;
        assert!(noticed - left_at < SOON, "{client:?}: the provider was let go after {:?}", noticed - left_at);
        reseller.wait_for_release().await;
        let expected = cost(PROMPT_TOKENS, PROMPT_PRICE) + cost(3, COMPLETION_PRICE);
        assert_eq!(reseller.charged(&request_id).await, Some(expected), "{client:?}");
        let entry = reseller.entry(&request_id).await.unwrap();
        assert_eq!(entry["charge"]["finished_early"], true, "{entry}");
        reseller.assert_books(expected).await;
    }
}

/// While the provider still thinks there is nothing to pay.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_a_stream_before_its_text() {
    let (provider, reseller) = open(&[], "100.00").await;
    provider.acts(UPSTREAM, vec![stream_head(), Act::Hang]);
    let request = reseller.request(Client::OpenAi, "/v1/chat/completions", chat_body(MODEL, true));
    let calling = tokio::spawn(request.send());
    provider.arrival(UPSTREAM).await;
    let left_at = Instant::now();
    calling.abort();
    let noticed = provider.departure(UPSTREAM).await;
    assert!(noticed - left_at < SOON, "the provider was let go after {:?}", noticed - left_at);
    reseller.assert_books(0).await;
}
