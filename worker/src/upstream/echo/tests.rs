//! The shapes of the echo channel's replies, and its delays.

use rstest::rstest;
use shared::clock::Timestamp;

use super::*;
use crate::sample::job;

const CHAT: &str = r#""messages":[{"role":"user","content":"你好 world, GPT-4!"}],"n":2"#;

fn echo(options: &str) -> Echo {
    Echo::new(EchoOptions::parse(options).unwrap(), Clock::manual(Timestamp(1_700_000_000_999)))
}

async fn whole(job: &Job) -> Value {
    match echo("echo:").call(job, "upstream-model").await {
        Ok(Answer::Whole(body)) => serde_json::from_slice(&body).unwrap(),
        _ => panic!("not a whole answer"),
    }
}

async fn stream(job: &Job, options: &str) -> Box<dyn Events> {
    match echo(options).call(job, "upstream-model").await {
        Ok(Answer::Stream(events)) => events,
        _ => panic!("not a stream"),
    }
}

/// All chunks; `[DONE]` must be the end, and nothing else.
async fn chunks(job: &Job) -> Vec<Value> {
    let mut events = stream(job, "echo:").await;
    let mut chunks = Vec::new();
    loop {
        match events.next().await.unwrap() {
            Some(Event::Data(json)) => chunks.push(serde_json::from_slice(&json).unwrap()),
            Some(Event::Done) => break,
            None => panic!("no [DONE]"),
        }
    }
    assert_eq!(events.next().await, Ok(None));
    chunks
}

#[tokio::test]
async fn a_whole_chat() {
    let job = job(Endpoint::Chat, CHAT, false);
    let choice = |index: usize| {
        let message = json!({"role": "assistant", "content": "你好 world, GPT-4!", "refusal": null});
        json!({"index": index, "message": message, "logprobs": null, "finish_reason": "stop"})
    };
    let expected = json!({
        "id": format!("chatcmpl-{}", job.request_id.simple()),
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "upstream-model",
        "choices": [choice(0), choice(1)],
        "usage": {"prompt_tokens": 7, "completion_tokens": 10, "total_tokens": 17},
    });
    assert_eq!(whole(&job).await, expected);
}

#[tokio::test]
async fn a_whole_completion() {
    let job = job(Endpoint::Completions, r#""prompt":"一二三","max_tokens":2,"echo":true"#, false);
    let expected = json!({
        "id": format!("cmpl-{}", job.request_id.simple()),
        "object": "text_completion",
        "created": 1_700_000_000,
        "model": "upstream-model",
        "choices": [{"text": "一二三一二", "index": 0, "logprobs": null, "finish_reason": "length"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9},
    });
    assert_eq!(whole(&job).await, expected);
}

#[tokio::test]
async fn a_streamed_chat() {
    let job = job(Endpoint::Chat, CHAT, true);
    let chunks = chunks(&job).await;
    let id = format!("chatcmpl-{}", job.request_id.simple());
    for chunk in &chunks {
        let common = (&chunk["id"], &chunk["object"], &chunk["created"], &chunk["model"]);
        assert_eq!(
            common,
            (&json!(id), &json!("chat.completion.chunk"), &json!(1_700_000_000), &json!("upstream-model"))
        );
    }
    let delta = |index: usize, delta: Value, reason: Value| json!([{"index": index, "delta": delta, "logprobs": null, "finish_reason": reason}]);
    let text = |index: usize, text: &str| delta(index, json!({"content": text}), Value::Null);
    let opening = |index: usize| delta(index, json!({"role": "assistant", "content": ""}), Value::Null);
    let finish = |index: usize| delta(index, json!({}), json!("stop"));
    let mut expected = vec![opening(0), opening(1)];
    for index in 0..2 {
        expected.extend(["你", "好", " world", ", GPT", "-4!"].map(|piece| text(index, piece)));
    }
    expected.extend([finish(0), finish(1), json!([])]);
    let choices: Vec<&Value> = chunks.iter().map(|chunk| &chunk["choices"]).collect();
    assert_eq!(choices, expected.iter().collect::<Vec<_>>());

    let (last, before) = chunks.split_last().unwrap();
    assert_eq!(last["usage"], json!({"prompt_tokens": 7, "completion_tokens": 10, "total_tokens": 17}));
    assert!(before.iter().all(|chunk| chunk["usage"].is_null()));
}

#[rstest]
#[case::chat(Endpoint::Chat, CHAT)]
#[case::empty_chat(Endpoint::Chat, r#""messages":[]"#)]
#[case::cut_chat(Endpoint::Chat, r#""messages":[{"role":"user","content":"，一 two, 三…"}],"max_tokens":2"#)]
#[case::completions(Endpoint::Completions, r#""prompt":["one two","三 四",""],"n":2"#)]
#[case::completions_with_echo(Endpoint::Completions, r#""prompt":["one two","三 四"],"echo":true,"max_tokens":1"#)]
#[tokio::test]
async fn a_stream_adds_up_to_the_whole(#[case] endpoint: Endpoint, #[case] fields: &str) {
    let whole = whole(&job(endpoint, fields, false)).await;
    let chunks = chunks(&job(endpoint, fields, true)).await;
    for choice in whole["choices"].as_array().unwrap() {
        let of_choice =
            || chunks.iter().map(|chunk| &chunk["choices"][0]).filter(|part| part["index"] == choice["index"]);
        let member = if endpoint == Endpoint::Chat { "/delta/content" } else { "/text" };
        let text: String = of_choice().filter_map(|part| part.pointer(member)?.as_str()).collect();
        let expected = choice.pointer("/message/content").or(choice.get("text")).unwrap();
        assert_eq!(text, expected.as_str().unwrap());
        let reasons: Vec<&Value> =
            of_choice().map(|part| &part["finish_reason"]).filter(|reason| !reason.is_null()).collect();
        assert_eq!(reasons, [&choice["finish_reason"]]);
    }
    assert_eq!(chunks.last().unwrap()["usage"], whole["usage"]);
}

#[tokio::test]
async fn images_are_always_whole() {
    let reply = whole(&job(Endpoint::Images, r#""prompt":"a cat","n":2"#, true)).await;
    assert_eq!((reply["created"].as_i64(), reply["data"].as_array().map(Vec::len)), (Some(1_700_000_000), Some(2)));
}

#[tokio::test]
async fn an_answer_has_a_bound() {
    let fields = format!(r#""messages":[{{"role":"user","content":"{}"}}],"n":4096"#, "x".repeat(20_000));
    let answer = echo("echo:").call(&job(Endpoint::Chat, &fields, true), "m").await;
    assert!(matches!(answer, Err(UpstreamError::Failed { .. })));
}

#[tokio::test]
async fn delays() {
    let start = Instant::now();
    let mut events = stream(
        &job(Endpoint::Chat, r#""messages":[{"role":"user","content":"一二三"}]"#, true),
        "echo:?delay_ms=60&chunk_delay_ms=30",
    )
    .await;
    let mut passed_ms = Vec::new();
    while events.next().await.unwrap() != Some(Event::Done) {
        passed_ms.push(start.elapsed().as_millis());
    }
    // Role, three pieces of text, finish, usage.
    let least = [60, 60, 90, 120, 120, 120];
    assert_eq!(passed_ms.len(), least.len());
    assert!(passed_ms.iter().zip(least).all(|(passed, least)| *passed >= least), "{passed_ms:?}");
}

#[tokio::test]
async fn a_dropped_wait_is_not_begun_anew() {
    let mut events = stream(&job(Endpoint::Chat, CHAT, true), "echo:?delay_ms=200").await;
    let start = Instant::now();
    // Each try alone is too short.
    while tokio::time::timeout(Duration::from_millis(20), events.next()).await.is_err() {
        assert!(start.elapsed() < Duration::from_secs(10), "never came");
    }
    assert!(start.elapsed() >= Duration::from_millis(150));
}

#[tokio::test]
async fn a_whole_answer_is_delayed_too() {
    let start = Instant::now();
    assert!(echo("echo:?delay_ms=60").call(&job(Endpoint::Chat, CHAT, false), "m").await.is_ok());
    assert!(start.elapsed() >= Duration::from_millis(60));
}
