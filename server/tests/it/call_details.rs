//! What the real program keeps of calls for people to look at: every channel that was tried, clients that left, and what is written last.

use std::time::{Duration, Instant};

use shared::calls::{self, CallFilter, CallRow};
use shared::config::DatabaseUrl;
use shared::db::Database;
use shared::page::Cursor;
use shared::queue::TryOutcome;

use crate::support::provider::{Act, Provider, answer, reply, stream_head, text};
use crate::support::reseller::{CLIENTS, Client, Reseller, chat_body};

const MODEL: &str = "gpt-4";
const FIRST: &str = "upstream-of-first";
const SECOND: &str = "upstream-of-second";
/// How long details may take to be kept.
const SOON: Duration = Duration::from_secs(10);

/// Two channels of one model.
async fn open() -> (Provider, Provider, Reseller) {
    let (first, second) = (Provider::start(), Provider::start());
    let reseller = Reseller::open(&[]);
    reseller.add_channel("first", &first.url(), &[(MODEL, FIRST)], "10");
    reseller.add_channel("第二", &second.url(), &[(MODEL, SECOND)], "20");
    reseller.wait_for_changes().await;
    second.on(SECOND, |call| answer(call, &["one two three"]));
    (first, second, reseller)
}

/// What is kept, oldest first, once there are so many calls.
async fn kept(reseller: &Reseller, wanted: usize) -> Vec<CallRow> {
    let url: DatabaseUrl = reseller.server.place.database_url().parse().unwrap();
    let database = Database::open(&url).unwrap();
    let asked = Instant::now();
    loop {
        let page = database
            .read(|connection| calls::list(connection, &CallFilter::default(), Cursor::First, 100))
            .await
            .unwrap();
        if page.rows.len() >= wanted {
            return page.rows.into_iter().rev().collect();
        }
        assert!(asked.elapsed() < SOON, "only {} calls are kept", page.rows.len());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn tries(row: &CallRow) -> Vec<(&str, TryOutcome)> {
    row.tries.iter().map(|each| (each.channel.as_str(), each.outcome)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_channel_that_was_tried() {
    let (first, second, mut reseller) = open().await;
    first.acts(FIRST, vec![reply("500 No", "{}")]);
    let failed_over = [("first", TryOutcome::Failed), ("第二", TryOutcome::Ok)];
    for stream in [false, true] {
        assert_eq!(reseller.chat(CLIENTS[0], MODEL, stream).await.status, 200);
    }
    second.acts(SECOND, vec![reply("429 Too Many Requests", "{}")]);
    assert_eq!(reseller.chat(CLIENTS[1], MODEL, false).await.status, 502);
    first.acts(FIRST, vec![reply("400 Bad Request", r#"{"error":{"message":"bad"}}"#)]);
    let told = reseller.chat(CLIENTS[0], MODEL, true).await;
    assert_eq!(told.status, 400);
    // The end of a process writes what it still has.
    reseller.server.terminate();

    let rows = kept(&reseller, 4).await;
    let [whole, streamed, broken, rejected] = &rows[..] else { panic!("{rows:?}") };
    for row in [whole, streamed] {
        assert_eq!((row.status, row.channel.as_deref(), tries(row)), (0, Some("第二"), failed_over.to_vec()));
        assert!(row.queued_ms.is_some() && row.charge.is_some() && row.ended_ms >= row.queued_ms.unwrap());
    }
    assert_eq!((whole.streamed, whole.first_text_ms), (false, None));
    assert!(streamed.streamed && streamed.first_text_ms.is_some_and(|first| first <= streamed.ended_ms));
    assert!(streamed.tries[1].first_text_ms.is_some());
    assert_eq!((broken.word.as_str(), broken.channel.as_deref(), broken.charge), ("upstream_error", None, None));
    assert_eq!(tries(broken), [("first", TryOutcome::Failed), ("第二", TryOutcome::RateLimited)]);
    assert_eq!((rejected.status, tries(rejected)), (40_005, vec![("first", TryOutcome::Rejected)]));
    // No developer is told a name.
    let words = told.everything();
    assert!(!words.contains("first") && !words.contains("tries"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_left() {
    let (first, _, reseller) = open().await;
    first.acts(FIRST, vec![stream_head(), text("one two "), text("three"), Act::Hang]);
    let request = reseller.request(Client::OpenAi, "/v1/chat/completions", chat_body(MODEL, true));
    let mut stream = request.send().await.unwrap();
    let mut seen = String::new();
    while !seen.contains("three") {
        seen.push_str(std::str::from_utf8(&stream.chunk().await.unwrap().unwrap()).unwrap());
    }
    drop(stream);
    reseller.wait_for_release().await;
    let rows = kept(&reseller, 1).await;
    assert_eq!((rows[0].status, rows[0].word.as_str()), (49_900, "client_left"));
    assert_eq!((rows[0].channel.as_deref(), tries(&rows[0])), (Some("first"), vec![("first", TryOutcome::ClientLeft)]));
    assert!(rows[0].first_text_ms.is_some() && rows[0].charge.is_some_and(|charge| charge.completion_tokens > 0));
}
