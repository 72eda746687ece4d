//! What a relay does at the ends of a stream.

use std::collections::VecDeque;

use async_trait::async_trait;
use rstest::rstest;
use serde_json::{Value, json};
use shared::clock::Timestamp;
use shared::money::Amount;
use shared::price::Price;
use shared::queue::{Endpoint, Frames, Job, MemoryQueue, Queue as _, QueueLimits, SLOW_CLIENT_MS};

use super::*;

/// A provider that sends these chunks and `[DONE]`.
struct Script(VecDeque<Event>);

#[async_trait]
impl Events for Script {
    async fn next(&mut self) -> Result<Option<Event>, UpstreamError> {
        Ok(self.0.pop_front())
    }
}

fn script(chunks: &[Value]) -> Script {
    let data = chunks.iter().map(|choices| Event::Data(json!({"choices": choices}).to_string().into()));
    Script(data.chain([Event::Done]).collect())
}

/// A job for two answers, which hold three words of completion together.
async fn delivery(clock: &Clock) -> (Delivery, Frames) {
    let job = crate::sample::job(Endpoint::Chat, "\"messages\":[]", true);
    let job = Job {
        choices: 2,
        hold: Amount::from_nanos(3_000_000_000),
        price: Price { completion: Amount::from_nanos(1_000_000_000_000_000), ..job.price.clone() },
        ..job
    };
    let limits = QueueLimits {
        capacity: 8,
        tenant_share: 8,
        large_bytes: 1 << 30,
        frames: 8,
        slots: 1,
        slow_client_ms: SLOW_CLIENT_MS,
    };
    let queue = MemoryQueue::new(limits, clock.clone());
    let frames = queue.submit(job).await.unwrap();
    (queue.take().await.unwrap(), frames)
}

fn says(index: i64, words: &str, reason: Option<&str>) -> Value {
    json!({"index": index, "delta": {"content": words}, "finish_reason": reason})
}

/// The choices that the end holds back, with the reasons that they give.
fn ends(held_back: &[Bytes]) -> Vec<(i64, Value)> {
    let chunks = held_back.iter().map(|chunk| serde_json::from_slice::<Value>(chunk).unwrap());
    let choices = chunks.flat_map(|chunk| chunk["choices"].as_array().unwrap().clone());
    choices.map(|choice| (choice["index"].as_i64().unwrap(), choice["finish_reason"].clone())).collect()
}

#[rstest]
#[case::without_an_end(json!([says(1, "four five", None)]), vec![(0, json!("length")), (1, json!("length"))])]
#[case::with_one_end(json!([says(1, "four five", Some("stop"))]), vec![(0, json!("length")), (1, json!("length"))])]
#[case::with_both_ends(
    json!([says(0, "four", Some("stop")), says(1, "five", Some("stop"))]),
    vec![(0, json!("length")), (1, json!("length"))]
)]
#[tokio::test]
async fn a_chunk_above_the_hold_takes_its_end_with_it(#[case] crossing: Value, #[case] expected: Vec<(i64, Value)>) {
    let clock = Clock::manual(Timestamp(0));
    let (delivery, _frames) = delivery(&clock).await;
    let mut events = script(&[json!([says(0, "one two three", None)]), crossing]);
    let relayed = relay(&clock, &delivery, &mut events, &Progress::begin(&clock, &delivery.job)).await.ok().unwrap();
    assert_eq!(ends(&relayed.held_back), expected);
    assert_eq!(relayed.completion.words, 3, "what stays with us is not paid");
}

#[tokio::test]
async fn an_end_that_the_client_has_is_not_said_again() {
    let clock = Clock::manual(Timestamp(0));
    for (early_end, expected) in [
        // One answer has ended, and its end was sent.
        (json!([says(0, "one", Some("stop"))]), vec![(1, json!("length"))]),
        // Both have ended, and their ends are held back.
        (
            json!([says(0, "one", Some("stop")), says(1, "", Some("stop"))]),
            vec![(0, json!("stop")), (1, json!("stop"))],
        ),
    ] {
        let (delivery, _frames) = delivery(&clock).await;
        let mut events = script(&[early_end, json!([says(1, "2 3 4 5", Some("stop"))])]);
        let relayed =
            relay(&clock, &delivery, &mut events, &Progress::begin(&clock, &delivery.job)).await.ok().unwrap();
        assert_eq!(ends(&relayed.held_back), expected);
        let shown: Vec<_> = relayed.held_back.iter().map(|chunk| String::from_utf8_lossy(chunk)).collect();
        assert!(shown.iter().all(|chunk| !chunk.contains(r#""choices":[]"#)), "{shown:?}");
    }
}

#[tokio::test]
async fn a_role_is_no_answer() {
    let clock = Clock::manual(Timestamp(0));
    let role = json!([{"index": 0, "delta": {"role": "assistant", "content": ""}}]);
    for chunks in [vec![], vec![role.clone()]] {
        let (delivery, _frames) = delivery(&clock).await;
        let relayed = relay(&clock, &delivery, &mut script(&chunks), &Progress::begin(&clock, &delivery.job)).await;
        assert!(matches!(relayed, Err(Broken::BeforeText(UpstreamError::Failed { .. }))), "{chunks:?}");
    }
    // An answer may be empty, if the provider says that it is at its end.
    let (delivery, _frames) = delivery(&clock).await;
    let ended = json!([says(0, "", Some("stop")), says(1, "", Some("stop"))]);
    let relayed = relay(&clock, &delivery, &mut script(&[role, ended]), &Progress::begin(&clock, &delivery.job))
        .await
        .ok()
        .unwrap();
    assert_eq!((relayed.held_back.len(), relayed.completion.words), (2, 0));
}
