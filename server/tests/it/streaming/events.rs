//! The events of an answer that comes to its end.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::events::{Event, Events, text};
use crate::support::money::recompute;
use crate::support::storefront::{COMPLETION_PRICE, PROMPT_PRICE, Storefront, chat};

/// 2 hanzi and 3 words: floor(2 + 3.9).
const TEXT: &str = "你好 world, GPT-4!";
const TOKENS: i64 = 5;

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_with_the_key_in_a_header() {
    let shop = Storefront::open("10.00").await;
    let mut body = chat("gpt-4", TEXT);
    body["stream"] = true.into();
    body["n"] = 2.into();
    let mut events = Events::of(shop.request(&shop.key, "/v1/chat/completions", &body)).await;
    let chunks = events.chunks().await;
    // The charge is committed before the end is sent, so that there is nothing to wait for here.
    let (after, held) = shop.balance().await;
    let charged = TOKENS * PROMPT_PRICE + 2 * TOKENS * COMPLETION_PRICE;
    assert_eq!((after, held), (10_000_000_000 - charged, 0));

    for chunk in &chunks {
        let common = (&chunk["id"], &chunk["object"], &chunk["created"], &chunk["model"]);
        assert_eq!(common, (&chunks[0]["id"], &json!("chat.completion.chunk"), &chunks[0]["created"], &json!("gpt-4")));
        for absent in ["code", "msg", "usage"] {
            assert_eq!(chunk.get(absent), None, "{chunk}");
        }
    }
    for index in 0..2 {
        assert_eq!(text(&chunks, index), TEXT);
        let of_choice = || choices(&chunks).filter(|choice| choice["index"] == index);
        assert_eq!(of_choice().next().map(|first| &first["delta"]["role"]), Some(&json!("assistant")));
        let reasons: Vec<&Value> =
            of_choice().map(|choice| &choice["finish_reason"]).filter(|reason| !reason.is_null()).collect();
        assert_eq!(reasons, [&json!("stop")]);
        assert_eq!(of_choice().last().map(|last| &last["finish_reason"]), Some(&json!("stop")));
    }
    let last = choices(&chunks).last().expect("a choice");
    assert_eq!(last["finish_reason"], "stop", "what ends the answer comes last: {last}");

    let entry = shop.entry_of(&events.request_id()).await;
    assert_eq!((recompute(&entry), &entry["charge"]["finished_early"]), (charged, &json!(false)));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_with_the_key_in_the_body() {
    let shop = Storefront::open("10.00").await;
    let messages = json!([
        {"role": "user", "content": "一".repeat(1_000)}, {"role": "assistant", "content": "二".repeat(1_000)},
        {"role": "user", "content": "三".repeat(30)},
    ]);
    let request =
        shop.original_request("/index.php/api/v1/chat/completions", json!({"messages": messages, "stream": true}));
    let mut events = Events::of(request).await;
    let chunks = events.chunks().await;
    assert_eq!(text(&chunks, 0), "三".repeat(30));
    assert!(
        chunks
            .iter()
            .all(|chunk| chunk["model"] == "gpt-3.5" && chunk.get("code").is_none() && chunk.get("msg").is_none())
    );
    // The first round was forgotten, since all together exceeds 2000 characters.
    let entry = shop.entry_of(&events.request_id()).await;
    assert_eq!(recompute(&entry), 30 * PROMPT_PRICE + 30 * COMPLETION_PRICE);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_usage_for_those_who_ask() {
    let shop = Storefront::open("10.00").await;
    for include_usage in [true, false] {
        let mut body = chat("gpt-4", TEXT);
        body["stream"] = true.into();
        body["stream_options"] = json!({"include_usage": include_usage});
        let chunks = Events::of(shop.request(&shop.key, "/v1/chat/completions", &body)).await.chunks().await;
        assert_eq!(text(&chunks, 0), TEXT);
        if !include_usage {
            assert!(chunks.iter().all(|chunk| chunk.get("usage").is_none() && chunk["choices"] != json!([])));
            continue;
        }
        let (last, before) = chunks.split_last().expect("chunks");
        assert_eq!(
            last["usage"],
            json!({"prompt_tokens": TOKENS, "completion_tokens": TOKENS, "total_tokens": 2 * TOKENS})
        );
        assert_eq!(last["choices"], json!([]));
        assert!(before.iter().all(|chunk| chunk.get("usage") == Some(&Value::Null)), "{before:?}");
        assert_eq!(before.last().map(|chunk| &chunk["choices"][0]["finish_reason"]), Some(&json!("stop")));
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn completions_with_two_prompts() {
    let shop = Storefront::open("10.00").await;
    let body = json!({"model": "text-davinci-003", "prompt": ["one two", "三四五"], "max_tokens": 2, "echo": true, "stream": true});
    let mut events = Events::of(shop.request(&shop.key, "/v1/completions", &body)).await;
    let chunks = events.chunks().await;
    assert!(chunks.iter().all(|chunk| chunk["object"] == "text_completion" && chunk["model"] == "text-davinci-003"));
    assert_eq!((text(&chunks, 0), text(&chunks, 1)), ("one twoone two".to_owned(), "三四五三四".to_owned()));
    let reason_of = |index: i64| {
        choices(&chunks).filter(|choice| choice["index"] == index).last().map(|choice| choice["finish_reason"].clone())
    };
    assert_eq!((reason_of(0), reason_of(1)), (Some(json!("stop")), Some(json!("length"))));
    // The prompts, once each, and two tokens of either answer; what `echo` shows is not generated.
    let entry = shop.entry_of(&events.request_id()).await;
    assert_eq!(recompute(&entry), (2 + 3) * PROMPT_PRICE + (2 + 2) * COMPLETION_PRICE);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_cut_at_its_hold() {
    // Echo obeys `max_tokens` only, so without it the answer would be as long as the prompt; held is for 20 tokens.
    let shop = Storefront::open_with("10.00", &[("XIAOYI_MODELS_MAX_OUTPUT", "20")], "echo:").await;
    let mut body = chat("gpt-4", &"字".repeat(300));
    body["stream"] = true.into();
    body["stream_options"] = json!({"include_usage": true});
    let mut events = Events::of(shop.request(&shop.key, "/v1/chat/completions", &body)).await;
    let chunks = events.chunks().await;
    assert_eq!(text(&chunks, 0), "字".repeat(20));
    let (usage, before) = chunks.split_last().expect("chunks");
    assert_eq!(before.last().map(|chunk| &chunk["choices"][0]["finish_reason"]), Some(&json!("length")));
    assert_eq!(usage["usage"], json!({"prompt_tokens": 300, "completion_tokens": 20, "total_tokens": 320}));
    let entry = shop.entry_of(&events.request_id()).await;
    assert_eq!(recompute(&entry), 300 * PROMPT_PRICE + 20 * COMPLETION_PRICE);
    assert_eq!(entry["charge"]["written_off"], "0.00");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_silence_is_filled_with_comments() {
    const DELAY: Duration = Duration::from_secs(13);
    let shop = Storefront::open_with("10.00", &[], "echo://local?delay_ms=13000").await;
    let start = Instant::now();
    let mut body = chat("gpt-4", TEXT);
    body["stream"] = true.into();
    let mut events = Events::of(shop.request(&shop.key, "/v1/chat/completions", &body)).await;
    let head = start.elapsed();
    assert!(head >= Duration::from_secs(10), "the status line waits for the first text or 10 s, not {head:?}");
    assert_eq!(events.next().await, Some(Event::Comment(": ping".to_owned())));
    let early = start.elapsed();
    assert!(early < DELAY, "the comment came only with the text, after {early:?}");
    let chunks = events.chunks().await;
    assert!(start.elapsed() >= DELAY);
    assert_eq!(text(&chunks, 0), TEXT);
    let entry = shop.entry_of(&events.request_id()).await;
    assert_eq!(recompute(&entry), TOKENS * PROMPT_PRICE + TOKENS * COMPLETION_PRICE);
    shop.close().await;
}

fn choices(chunks: &[Value]) -> impl Iterator<Item = &Value> {
    chunks.iter().flat_map(|chunk| chunk["choices"].as_array().expect("choices"))
}
