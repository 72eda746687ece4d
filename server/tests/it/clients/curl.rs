//! curl, as one types it from OpenAI's documentation, with the base URL and the key in variables.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::open;
use crate::support::provider::openai::{EVENT, SAYING};
use crate::support::reseller::Reseller;

const CALL: &str = r#"curl --silent --show-error --no-buffer "$OPENAI_BASE_URL$1" \
    -H "Content-Type: application/json" -H "Authorization: Bearer $OPENAI_API_KEY" ${2:+-d "$2"}"#;
/// The body comes from a file. Before one of this size curl asks whether it may come, and waits a second for an answer.
const LARGE_CALL: &str = r#"curl --silent --show-error --include "$OPENAI_BASE_URL$1" --data-binary "@$2" \
    -H "Content-Type: application/json" -H "Authorization: Bearer $OPENAI_API_KEY" -H "Expect: 100-continue""#;

/// What curl prints of a GET, or of a POST of this body.
fn curl(reseller: &Reseller, path: &str, body: Option<&Value>) -> String {
    shell(reseller, &[CALL, "bash", path, &body.map(Value::to_string).unwrap_or_default()])
}

fn shell(reseller: &Reseller, arguments: &[&str]) -> String {
    let mut command = Command::new("bash");
    command.arg("-c").args(arguments).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("OPENAI_BASE_URL", reseller.server.url("/v1")).env("OPENAI_API_KEY", &reseller.key);
    let output = command.stdin(Stdio::null()).output().expect("bash");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The JSON of the data lines, without `[DONE]`, which is the last one.
fn chunks(text: &str) -> Vec<Value> {
    let mut lines: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    assert_eq!(lines.pop(), Some("[DONE]"), "{text}");
    lines.into_iter().map(json_of).collect()
}

fn chat(more: &Value) -> Value {
    let mut body = json!({"model": "gpt-4", "messages": [{"role": "user", "content": "你好 world"}]});
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn capabilities() {
    let (provider, reseller) = open(&[]).await;
    let ask = |more: Value| json_of(&curl(&reseller, "/chat/completions", Some(&chat(&more))));
    let content = |reply: &Value| reply["choices"][0]["message"]["content"].as_str().map(str::to_owned);

    let reply = ask(json!({}));
    assert_eq!((&reply["code"], &reply["msg"], content(&reply).as_deref()), (&json!(0), &json!(""), Some(SAYING)));
    assert_eq!(reply["usage"], json!({"prompt_tokens": 3, "completion_tokens": 7, "total_tokens": 10}));
    assert_eq!(content(&ask(json!({"stop": ["three"]}))).as_deref(), Some("one two "));
    assert_eq!(ask(json!({"seed": 42}))["system_fingerprint"], "fp_42");
    assert_eq!(ask(json!({"n": 3}))["choices"].as_array().map(Vec::len), Some(3));
    let logprobs = ask(json!({"logprobs": true, "top_logprobs": 1}));
    assert_eq!(logprobs["choices"][0]["logprobs"]["content"].as_array().map(Vec::len), Some(5), "{logprobs}");
    let schema = json!({"name": "event", "schema": {"type": "object"}});
    let reply = ask(json!({"response_format": {"type": "json_schema", "json_schema": schema}}));
    assert_eq!(content(&reply).as_deref(), Some(EVENT));
    assert_eq!(
        content(&ask(json!({"response_format": {"type": "json_object"}}))).as_deref(),
        Some(r#"{"answer": "pong"}"#)
    );
    let parts = json!([{"type": "image_url", "image_url": {"url": "https://images.example/cat.png"}}]);
    let reply = ask(json!({"messages": [{"role": "user", "content": parts}]}));
    assert_eq!(content(&reply).as_deref(), Some("I see https://images.example/cat.png"));
    let tools = json!([{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}]);
    let reply = ask(json!({"tools": tools}));
    let message = &reply["choices"][0]["message"];
    assert_eq!((&message["content"], message["tool_calls"].as_array().map(Vec::len)), (&Value::Null, Some(2)));
    let result = json!({"role": "tool", "tool_call_id": "call_1", "content": "sunny"});
    let reply = ask(json!({"messages": [{"role": "user", "content": "?"}, message, result]}));
    assert_eq!(content(&reply).as_deref(), Some("call_1: sunny"));

    ask(json!({"x_curl": [1.50]}));
    let last = provider.all_received().pop().expect("a call");
    assert!(last.body.contains(r#""x_curl":[1.5]"#), "{}", last.body);

    for (options, counts) in [(json!({}), 0), (json!({"stream_options": {"include_usage": true}}), 1)] {
        let mut body = chat(&options);
        body["stream"] = json!(true);
        let chunks = chunks(&curl(&reseller, "/chat/completions", Some(&body)));
        let texts = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str());
        assert_eq!(texts.collect::<String>(), SAYING);
        assert_eq!(chunks.iter().filter(|chunk| chunk["usage"].is_object()).count(), counts);
    }

    let mut body = json!({"model": "text-davinci-003", "prompt": "Say it"});
    assert_eq!(json_of(&curl(&reseller, "/completions", Some(&body)))["choices"][0]["text"], SAYING);
    body["stream"] = json!(true);
    let chunks = chunks(&curl(&reseller, "/completions", Some(&body)));
    assert_eq!(chunks.iter().filter_map(|chunk| chunk["choices"][0]["text"].as_str()).collect::<String>(), SAYING);

    let mut body = json!({"prompt": "a cat"});
    let reply = json_of(&curl(&reseller, "/images/generations", Some(&body)));
    assert_eq!(reply["data"][0]["url"], "https://images.example/0.png");
    body["response_format"] = json!("b64_json");
    assert!(json_of(&curl(&reseller, "/images/generations", Some(&body)))["data"][0]["b64_json"].is_string());

    let mut body = json!({"model": "text-embedding-3-small", "input": "a", "dimensions": 2});
    let reply = json_of(&curl(&reseller, "/embeddings", Some(&body)));
    assert_eq!((&reply["data"][0]["embedding"], &reply["usage"]["total_tokens"]), (&json!([0.0, -1.0]), &json!(1)));
    body["encoding_format"] = json!("base64");
    assert_eq!(json_of(&curl(&reseller, "/embeddings", Some(&body)))["data"][0]["embedding"], "AAAAAAAAgL8=");
    let reply = json_of(&curl(&reseller, "/moderations", Some(&json!({"input": "violence"}))));
    assert_eq!(reply["results"][0]["flagged"], true);

    let models = json_of(&curl(&reseller, "/models", None));
    assert!(models["data"].as_array().expect("a list").iter().any(|model| model["id"] == "gpt-4"), "{models}");
    assert_eq!(json_of(&curl(&reseller, "/models/gpt-4", None))["id"], "gpt-4");
    reseller.wait_for_release().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_picture() {
    let (_provider, reseller) = open(&[]).await;
    let picture = format!("data:image/png;base64,{}", "A".repeat(5_000_000));
    let parts = json!([{"type": "image_url", "image_url": {"url": picture}}]);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("body.json");
    let body = chat(&json!({"messages": [{"role": "user", "content": parts}]}));
    std::fs::write(&path, body.to_string()).expect("a file is written");
    let path = path.to_str().expect("UTF-8");
    let reply = shell(&reseller, &[LARGE_CALL, "bash", "/chat/completions", path]);
    assert!(reply.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"), "{reply}");
    assert!(reply.contains("I see 5000022 characters"), "{reply}");
    // Who may not call is told so, whatever of the body was sent.
    let without_key = LARGE_CALL.replace("Bearer $OPENAI_API_KEY", "Bearer sk-wrong");
    let reply = shell(&reseller, &[&without_key, "bash", "/chat/completions", path]);
    assert!(reply.contains("HTTP/1.1 401 Unauthorized\r\n") && reply.contains("invalid_api_key"), "{reply}");
}
