//! Clients that leave, and clients that are slow.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::events::{Events, text};
use crate::support::money::recompute;
use crate::support::storefront::{COMPLETION_PRICE, PROMPT_PRICE, Storefront, chat};

/// So long an answer that no buffer on its way holds all of it: each hanzi is a chunk of some 200 bytes.
const LONG: i64 = 60_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_pays_what_was_generated() {
    const CHUNK_DELAY: Duration = Duration::from_millis(50);
    let shop = Storefront::open_with("10.00", &[], "echo://local?chunk_delay_ms=50").await;
    let mut body = chat("gpt-4", &"字".repeat(1_000));
    body["stream"] = true.into();
    let start = Instant::now();
    let mut events = Events::of(shop.request(&shop.key, "/v1/chat/completions", &body)).await;
    let mut seen = 0;
    while seen < 10 {
        seen += i64::from(!text(&[events.chunk().await], 0).is_empty());
    }
    let request_id = events.request_id();
    assert!(shop.balance().await.1 > 0, "money is held while it runs");
    drop(events);
    let left = Instant::now();
    let posted = shop.settled().await;
    let (until_settled, in_all) = (left.elapsed(), start.elapsed());
    assert!(until_settled < Duration::from_secs(10), "the hold is gone within seconds, not after {until_settled:?}");

    let entry = shop.entry_of(&request_id).await;
    let completion = entry["charge"]["completion"]["tokens"].as_i64().expect("a count");
    let most = 2 + i64::try_from(in_all.as_millis() / CHUNK_DELAY.as_millis()).expect("a short while");
    assert!(
        (seen..=most).contains(&completion),
        "{seen} were seen, {most} can have been sent, {completion} were charged"
    );
    let charged = 1_000 * PROMPT_PRICE + completion * COMPLETION_PRICE;
    assert_eq!((recompute(&entry), 10_000_000_000 - posted), (charged, charged));
    assert_eq!(entry["charge"]["finished_early"], true);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_before_any_text_pays_nothing() {
    let shop = Storefront::open_with("10.00", &[], "echo://local?delay_ms=60000").await;
    for is_stream in [true, false] {
        let mut body = chat("gpt-4", "你好");
        body["stream"] = is_stream.into();
        let call = tokio::spawn(shop.request(&shop.key, "/v1/chat/completions", &body).send());
        shop.until("money is held", async || shop.balance().await.1 > 0).await;
        call.abort();
        let left = Instant::now();
        assert_eq!(shop.settled().await, 10_000_000_000);
        assert!(
            left.elapsed() < Duration::from_secs(10),
            "the hold is gone within seconds, not after {:?}",
            left.elapsed()
        );
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_gets_all_of_it() {
    let shop = shop_with_room().await;
    let mut client = client_with_little_room(&shop).await;
    let mut received = Vec::new();
    let mut piece = vec![0; 256 * 1024];
    let mut next_pause = 0;
    loop {
        let length = client.read(&mut piece).await.expect("the stream goes on");
        if length == 0 {
            break;
        }
        received.extend_from_slice(&piece[..length]);
        // Slow, but never silent for as long as it takes to be given up.
        if received.len() >= next_pause {
            next_pause = received.len() + 1024 * 1024;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }
    let received = String::from_utf8(received).expect("UTF-8");
    assert_eq!(i64::try_from(received.matches("\"content\":\"字\"").count()), Ok(LONG));
    assert!(received.contains("data: [DONE]\n\n"), "{}", &received[received.len() - 500..]);
    assert_eq!(shop.settled().await, 1_000_000_000_000 - LONG * (PROMPT_PRICE + COMPLETION_PRICE));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stops_reading_counts_as_gone() {
    let shop = shop_with_room().await;
    let mut client = client_with_little_room(&shop).await;
    let mut piece = vec![0; 4096];
    let length = client.read(&mut piece).await.expect("the head of the reply");
    assert!(length > 0);
    // It stays connected and reads no more. After ten seconds of that nobody waits for it.
    shop.until("it is charged", async || shop.ledger().await[0]["type"] == "capture").await;
    let posted = shop.settled().await;
    let entry = &shop.ledger().await[0];
    let completion = entry["charge"]["completion"]["tokens"].as_i64().expect("a count");
    assert!((1..LONG).contains(&completion), "{completion}");
    assert_eq!(entry["charge"]["finished_early"], true);
    assert_eq!(recompute(entry), LONG * PROMPT_PRICE + completion * COMPLETION_PRICE);
    assert_eq!(1_000_000_000_000 - posted, recompute(entry));
    drop(client);
    shop.close().await;
}

async fn shop_with_room() -> Storefront {
    Storefront::open_with("1000.00", &[("XIAOYI_MODELS_MAX_OUTPUT", "100000")], "echo:").await
}

/// A connection that asked for a long stream, and whose own buffer holds next to nothing.
async fn client_with_little_room(shop: &Storefront) -> TcpStream {
    let question = "字".repeat(usize::try_from(LONG).expect("it fits"));
    let body =
        json!({"model": "gpt-4", "stream": true, "messages": [{"role": "user", "content": question}]}).to_string();
    let address = shop.server.url("").trim_start_matches("http://").trim_end_matches('/').parse().expect("an address");
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    let mut client = socket.connect(address).await.expect("the server listens");
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: xiaoyi\r\nConnection: close\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        shop.key.secret,
        body.len()
    );
    client.write_all(head.as_bytes()).await.expect("the head is sent");
    client.write_all(body.as_bytes()).await.expect("the body is sent");
    client
}
