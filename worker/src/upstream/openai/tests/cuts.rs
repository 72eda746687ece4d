//! A stream that arrives in other pieces is the same stream: cut anywhere, in the middle of a line, of a JSON escape or of a character,
//! the client gets the same chunks and the call costs the same. All that lies between is the real thing: the reply's body, the reader of
//! events, the relay, the meter, and the end with its charge.

use std::convert::Infallible;

use futures_util::stream;
use proptest::prelude::*;
use serde_json::{Value, json};
use shared::billing::Produced;
use shared::clock::{Clock, Timestamp};
use shared::money::Amount;
use shared::price::{Basis, Price};
use shared::queue::{End, Frame, MemoryQueue, Queue as _, QueueLimits, SLOW_CLIENT_MS};
use tokio::runtime::Runtime;

use super::*;
use crate::attempt::Attempted;
use crate::ending::Ending;
use crate::progress::Progress;
use crate::relay::{Relayed, relay};

/// What a client sees of a stream, and what is charged for it.
#[derive(Debug, PartialEq)]
struct Seen {
    chunks: Vec<(String, i64)>,
    held_back: Vec<String>,
    produced: Produced,
}

/// Two answers that ask for tools, think, refuse and speak in many scripts, with the line ends of two kinds of servers, comments, a named
/// event, and data over two lines.
fn provider_stream() -> Vec<u8> {
    let chunk = |index: i64, delta: Value, finish_reason: Option<&str>| {
        json!({"id": "theirs", "object": "chat.completion.chunk", "created": 1_700_000_001, "model": "up", "usage": null,
            "choices": [{"index": index, "delta": delta, "logprobs": null, "finish_reason": finish_reason}]})
        .to_string()
    };
    let call = |index: i64, function: Value| json!({"tool_calls": [{"index": index, "function": function}]});
    let first_call = json!({"tool_calls": [
        {"index": 0, "id": "call_1", "type": "function", "function": {"name": "天气_get", "arguments": ""}}
    ]});
    let data = [
        chunk(0, json!({"role": "assistant", "content": null, "refusal": null}), None),
        chunk(1, json!({"role": "assistant", "content": ""}), None),
        chunk(0, json!({"reasoning_content": "Hmm, 想一想 — naïve"}), None),
        chunk(1, json!({"content": "早上好，wor"}), None),
        chunk(0, first_call, None),
        chunk(1, json!({"content": "ld 😀👩‍👩‍👧 e\u{301}"}), None),
        chunk(0, call(0, json!({"arguments": "{\"城市\":\"上"})), None),
        chunk(0, call(1, json!({"name": "second", "arguments": "{}"})), None),
        chunk(0, call(0, json!({"arguments": "海\",\"n\":1.50}"})), None),
        chunk(1, json!({"refusal": "I can not 做"}), None),
        // The emoji as two escapes, which `json!` does not write.
        r#"{"choices":[{"index":1,"delta":{"content":"\ud83d\ude00 \u4f60\n\"q\""},"finish_reason":null}],"x":1.0}"#
            .to_owned(),
        chunk(1, json!({"content": " the end"}), Some("stop")),
        chunk(0, json!({}), Some("tool_calls")),
        json!({"choices": [], "usage": {"prompt_tokens": 31, "completion_tokens": 59, "total_tokens": 90}}).to_string(),
    ];
    let mut bytes = b"\xEF\xBB\xBF: welcome\n\n".to_vec();
    for (number, data) in data.iter().enumerate() {
        let (front, end) = match number % 4 {
            0 => ("data: ", "\n\n"),
            1 => ("event: message\r\ndata:", "\r\n\r\n"),
            2 => (": ping ✓\nid: 7\ndata: ", "\r\r"),
            _ => ("retry: 5\ndata: ", "\n\n\n"),
        };
        // White space between the members may be a line end, and so another line of data.
        let line_end = ["\n", "\r\n", "\r", "\n"][number % 4];
        let data = data.replacen(",\"choices\"", &format!(",{line_end}data: \"choices\""), number / 3 % 2);
        bytes.extend_from_slice(front.as_bytes());
        bytes.extend_from_slice(data.as_bytes());
        bytes.extend_from_slice(end.as_bytes());
    }
    bytes.extend_from_slice(b"data: [DONE]\n\n");
    bytes
}

/// A job for two answers whose price bills the provider's count.
fn streamed_job(hold: i64) -> Job {
    let job = job(Endpoint::Chat, CHAT, true);
    let price = Price {
        prompt: Amount::from_nanos(1_000_000),
        completion: Amount::from_nanos(1_000_000),
        basis: Basis::Upstream,
        ..job.price.clone()
    };
    Job { choices: 2, include_usage: true, hold: Amount::from_nanos(hold), price, ..job }
}

/// The way of a stream that arrives in these pieces.
async fn seen(job: &Job, pieces: Vec<Bytes>) -> Seen {
    let clock = Clock::manual(Timestamp(0));
    let limits = QueueLimits {
        capacity: 1,
        tenant_share: 1,
        large_bytes: 1 << 30,
        frames: 1024,
        slots: 1,
        slow_client_ms: SLOW_CLIENT_MS,
    };
    let queue = MemoryQueue::new(limits, clock.clone());
    let mut frames = queue.submit(job.clone()).await.unwrap();
    let delivery = queue.take().await.unwrap();
    let body = reqwest::Body::wrap_stream(stream::iter(pieces.into_iter().map(Ok::<_, Infallible>)));
    let mut events = Stream::new(Response::from(http::Response::new(body)), Limits::default().line);
    let progress = Progress::begin(&clock, &delivery.job);
    let Ok(Relayed { reader, held_back, usage, completion }) = relay(&clock, &delivery, &mut events, &progress).await
    else {
        panic!("the stream is whole");
    };
    let attempted = Attempted::Streamed { reader: Box::new(reader), held_back, usage, completion };
    let (end, _) = Ending::of(&delivery.job, attempted, &progress).into_parts();
    let End::Answered { held_back, produced, .. } = end else { panic!("the stream is an answer") };
    let mut chunks = Vec::new();
    // Without the worker's side there is nothing to wait for behind the last chunk.
    drop(delivery);
    while let Ok(Frame::Chunk(chunk)) = frames.next().await {
        chunks.push((text(&chunk.json), chunk.generated.tokens));
    }
    Seen { chunks, held_back: held_back.iter().map(text).collect(), produced }
}

fn text(json: &Bytes) -> String {
    String::from_utf8(json.to_vec()).unwrap()
}

/// The stream cut at these places, the empty pieces included that two equal places make.
fn pieces(stream: &Bytes, cuts: &[usize]) -> Vec<Bytes> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).chain([0, stream.len()]).collect();
    cuts.sort_unstable();
    cuts.windows(2).map(|ends| stream.slice(ends[0]..ends[1])).collect()
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

const AMPLE: i64 = 1_000_000_000;

#[tokio::test]
async fn the_stream_by_itself() {
    let seen = seen(&streamed_job(AMPLE), vec![provider_stream().into()]).await;
    // By hand, hanzi and words x 1.3 of each text: the thoughts 3 and 2, the tools' names 2 and 1, 0 and 1, their arguments 4 and 3 (n, 1,
    // 50), 0 and 0, the refusal 1 and 3, the content 4 and 6 (emoji that stand together are a word).
    let tokens = [5, 3, 1, 7, 0, 4, 11];
    assert_eq!(seen.produced.completion.tokens, tokens.iter().sum::<i64>(), "{:#?}", seen.produced);
    assert_eq!(seen.produced.upstream, Some((31, 59)));
    assert!(!seen.produced.finished_early);
    assert_eq!((seen.chunks.len(), seen.held_back.len()), (12, 2));
    let usage: Value = serde_json::from_str(seen.held_back.last().unwrap()).unwrap();
    assert_eq!(usage["usage"], json!({"prompt_tokens": 31, "completion_tokens": 59, "total_tokens": 90}));
    assert!(seen.chunks.iter().all(|(json, _)| json.contains("public-model") && !json.contains("theirs")));
    assert!(seen.chunks.iter().any(|(json, _)| json.contains(r#"\ud83d\ude00 \u4f60"#)), "escapes stay as they came");
}

#[tokio::test]
async fn a_cut_anywhere_changes_nothing() {
    let (stream, job) = (Bytes::from(provider_stream()), streamed_job(AMPLE));
    let whole = seen(&job, vec![stream.clone()]).await;
    for cut in 0..=stream.len() {
        assert_eq!(seen(&job, pieces(&stream, &[cut])).await, whole, "cut at byte {cut} of {}", stream.len());
    }
    let bytes = (0..stream.len()).map(|at| stream.slice(at..=at)).collect();
    assert_eq!(seen(&job, bytes).await, whole, "byte by byte");
}

/// A stream that is cut off where its hold ends is cut off at the same place.
#[tokio::test]
async fn a_cut_anywhere_does_not_move_the_end_of_the_hold() {
    let (stream, job) = (Bytes::from(provider_stream()), streamed_job(7 + 14));
    let whole = seen(&job, vec![stream.clone()]).await;
    assert!(whole.held_back[0].contains(r#""finish_reason":"length""#), "{whole:?}");
    assert!((1..=14).contains(&whole.produced.completion.tokens), "{whole:?}");
    for cut in 0..=stream.len() {
        assert_eq!(seen(&job, pieces(&stream, &[cut])).await, whole, "cut at byte {cut}");
    }
}

/// Any texts of two answers, in any pieces and under any names.
fn any_stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::collection::vec(
        prop::sample::select("ab ,\"\\\n\r你好。é😀\u{301}\u{2028}".chars().collect::<Vec<_>>()),
        1..6,
    );
    let piece = piece.prop_map(|characters| characters.into_iter().collect::<String>());
    let delta = (0..6, piece).prop_map(|(kind, piece)| match kind {
        0 | 1 => json!({"content": piece}),
        2 => json!({"refusal": piece}),
        3 => json!({"reasoning_content": piece}),
        4 => json!({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": piece}}]}),
        _ => json!({"tool_calls": [{"index": 1, "function": {"arguments": piece}}]}),
    });
    let line_end = prop::sample::select(vec!["\n", "\r\n", "\r"]);
    prop::collection::vec((0..2_i64, delta, line_end), 1..12).prop_map(|deltas| {
        let mut stream = String::new();
        let ends = [0, 1].map(|index| (index, json!({}), "\n"));
        let count = deltas.len();
        for (number, (index, delta, line_end)) in deltas.into_iter().chain(ends).enumerate() {
            let reason = (number >= count).then_some("stop");
            let chunk = json!({"choices": [{"index": index, "delta": delta, "finish_reason": reason}]});
            stream.push_str(&format!("data: {chunk}{line_end}{line_end}"));
        }
        stream.push_str("data: [DONE]");
        stream.into_bytes()
    })
}

proptest! {
    #[test]
    fn many_cuts_change_nothing(cuts in prop::collection::vec(any::<usize>(), 0..40)) {
        let (stream, job) = (Bytes::from(provider_stream()), streamed_job(AMPLE));
        let (whole, in_pieces) = runtime().block_on(async {
            (seen(&job, vec![stream.clone()]).await, seen(&job, pieces(&stream, &cuts)).await)
        });
        prop_assert_eq!(in_pieces, whole);
    }

    #[test]
    fn cuts_change_no_stream(stream in any_stream(), cuts in prop::collection::vec(any::<usize>(), 1..12)) {
        let (stream, job) = (Bytes::from(stream), streamed_job(AMPLE));
        let (whole, in_pieces) = runtime().block_on(async {
            (seen(&job, vec![stream.clone()]).await, seen(&job, pieces(&stream, &cuts)).await)
        });
        prop_assert!(whole.produced.completion.texts > 0);
        prop_assert_eq!(in_pieces, whole);
    }
}
