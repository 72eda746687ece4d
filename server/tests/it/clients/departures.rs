//! SDKs that close a stream in the middle: the provider's call ends at once, and what was generated until then is paid.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::open;
use crate::support::provider::{Act, stream_head, text};
use crate::support::reseller::Reseller;
use crate::support::sdk::{Language, Script};

/// How soon a provider must be let go.
const SOON: Duration = Duration::from_secs(1);
/// Of 你好 world, and of one two three: 3 x 10 and 3 x 30 for a million, in 1e-9.
const CHARGE: i64 = 120_000;

fn chat() -> Value {
    let messages = json!([{"role": "user", "content": "你好 world"}]);
    json!({"call": "chat.completions.create", "body": {"model": "gpt-4", "messages": messages, "stream": true}, "leave": "three"})
}

fn of_langchain() -> Value {
    json!({"call": "langchain.stream", "body": {"model": "gpt-4", "messages": "你好 world"}, "leave": "three"})
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_middle_of_a_stream() {
    let (provider, reseller) = open(&[]).await;
    provider.acts(super::UPSTREAM, vec![stream_head(), text("one two "), text("three"), Act::Hang]);
    let mut charges = 0;
    for (language, order) in [(Language::Python, chat()), (Language::Node, chat()), (Language::Python, of_langchain())]
    {
        let mut driver = Script::driver(language, &reseller.server.url(""), &reseller.key);
        driver.order(&order);
        driver.event("begun").await;
        driver.event("leaving").await;
        let leaves = Instant::now();
        let left = provider.departure(super::UPSTREAM).await;
        let until_left = left.saturating_duration_since(leaves);
        assert!(until_left < SOON, "{language:?}: the provider was let go after {until_left:?}");
        let outcome = driver.result().await;
        assert_eq!(outcome["result"], "one two three", "{language:?}: {outcome}");
        charges += CHARGE;
        assert_charged(&reseller, &order, &outcome, charges).await;
    }
}

async fn assert_charged(reseller: &Reseller, order: &Value, outcome: &Value, charges: i64) {
    reseller.assert_books(charges).await;
    // LangChain tells nobody the id.
    if let Some(request_id) = outcome["request_id"].as_str() {
        let entry = reseller.entry(request_id).await.unwrap_or_else(|| panic!("{order}: no entry of {request_id}"));
        assert_eq!(entry["charge"]["finished_early"], true, "{entry}");
    }
}
