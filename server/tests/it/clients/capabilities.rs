//! What the SDKs can do, each by its own script of checks; and what of it reaches the provider.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::open;
use crate::support::provider::Received;
use crate::support::sdk::Script;

/// What every SDK must have a check of.
const CAPABILITIES: [&str; 17] = [
    "chat_plain",
    "chat_streamed",
    "completions",
    "completions_streamed",
    "embeddings",
    "json_mode",
    "json_schema",
    "logprobs",
    "seed",
    "several_answers",
    "stop",
    "tool_results",
    "tools",
    "tools_streamed",
    "unknown_fields",
    "usage_in_a_stream",
    "vision",
];

/// Runs a script against a provider, checks that it tests everything of these, and gives what the provider received.
async fn checked(script: &str, expected: &[&str]) -> Vec<Received> {
    let (provider, reseller) = open(&[]).await;
    let checks: BTreeSet<String> =
        Script::start(script, &reseller.server.url(""), &reseller.key).checks().await.into_iter().collect();
    for name in CAPABILITIES.iter().chain(expected) {
        assert!(checks.contains(*name), "{script} does not check {name}: {checks:?}");
    }
    reseller.wait_for_release().await;
    let audit = reseller.command(&["ledger", "audit"]);
    assert_eq!(audit["ok"], true, "{audit}");
    provider.all_received()
}

/// What a script sends of its own invention reaches the provider, and the service asks for the usage of every stream.
fn assert_passed_on(received: &[Received], field: &str, value: &Value) {
    let bodies: Vec<Value> = received.iter().map(Received::json).collect();
    assert!(bodies.iter().any(|body| body[field] == *value), "no {field} in {bodies:?}");
    for body in &bodies {
        let options = if body["stream"] == true { json!({"include_usage": true}) } else { Value::Null };
        assert_eq!(body["stream_options"], options, "{body}");
    }
    assert!(bodies.iter().any(|body| body["stream"] == true));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_openai_for_python() {
    let received = checked(
        "capabilities.py",
        &["asynchronously", "cancelling", "functions", "images", "models", "moderations", "raw_replies", "refusals"],
    )
    .await;
    assert_passed_on(&received, "x_python", &json!({"深": [1, 2.5, null]}));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_openai_for_node() {
    let received = checked(
        "capabilities.mjs",
        &["cancelling", "functions", "images", "models", "moderations", "raw_replies", "refusals"],
    )
    .await;
    assert_passed_on(&received, "x_node", &json!({"深": [1, 2.5, null]}));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_langchain() {
    let received = checked("langchain_capabilities.py", &["asynchronously", "a_conversation"]).await;
    assert_passed_on(&received, "x_langchain", &json!({"深": [1]}));
}
