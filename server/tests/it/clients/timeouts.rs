//! Clients whose own patience ends before the answer: they get the SDK's exception for it, the provider is let go, and nothing is charged.

use std::time::Duration;

use serde_json::json;

use super::{UPSTREAM, chat, open, with_client};
use crate::support::provider::{Act, stream_head, text};
use crate::support::sdk::{LANGUAGES, Language, Script};

#[tokio::test(flavor = "multi_thread")]
async fn before_the_answer() {
    let (provider, reseller) = open(&[]).await;
    provider.acts(UPSTREAM, vec![Act::Hang]);
    for language in LANGUAGES {
        let before = provider.received(UPSTREAM).len();
        let mut driver = Script::driver(language, &reseller.server.url(""), &reseller.key);
        for stream in [false, true] {
            let mut order = with_client(chat("gpt-4"), &json!({"timeout": 1, "max_retries": 0}));
            order["body"]["stream"] = json!(stream);
            let outcome = driver.call(&order).await;
            assert_eq!(outcome["raised"], "APITimeoutError", "{language:?}: {outcome}");
            provider.departure(UPSTREAM).await;
        }
        assert_eq!(provider.received(UPSTREAM).len(), before + 2, "{language:?}");
    }
    reseller.assert_books(0).await;
}

/// Only the SDK for Python has a limit for the pauses of a stream.
#[tokio::test(flavor = "multi_thread")]
async fn in_the_middle_of_a_stream() {
    let (provider, reseller) = open(&[]).await;
    provider.acts(UPSTREAM, vec![stream_head(), text("one two three"), Act::Hang]);
    let mut driver = Script::driver(Language::Python, &reseller.server.url(""), &reseller.key);
    let mut order = with_client(chat("gpt-4"), &json!({"timeout": 1, "max_retries": 0}));
    order["body"]["stream"] = json!(true);
    let outcome = driver.call(&order).await;
    assert_eq!(outcome["raised"], "APITimeoutError", "{outcome}");
    provider.departure(UPSTREAM).await;
    reseller.assert_books(120_000).await;
}

/// A retry after a client's timeout is another call; each is let go, and none is charged.
#[tokio::test(flavor = "multi_thread")]
async fn and_again() {
    let (provider, reseller) = open(&[]).await;
    provider.acts(UPSTREAM, vec![Act::Hang]);
    for language in LANGUAGES {
        let before = provider.received(UPSTREAM).len();
        let mut driver = Script::driver(language, &reseller.server.url(""), &reseller.key);
        let outcome = driver.call(&with_client(chat("gpt-4"), &json!({"timeout": 1, "max_retries": 1}))).await;
        assert_eq!(outcome["raised"], "APITimeoutError", "{language:?}: {outcome}");
        assert_eq!(provider.received(UPSTREAM).len(), before + 2, "{language:?}");
        let all_left = || provider.received(UPSTREAM).iter().all(|call| call.left.is_some());
        reseller.server.within(Duration::from_secs(10), "both are let go", async || all_left()).await;
    }
    reseller.assert_books(0).await;
}
