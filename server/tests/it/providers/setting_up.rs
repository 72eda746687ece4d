//! How channels come to be, and which of them serve.

use serde_json::{Value, json};

use super::{COMPLETION_PRICE, MODEL, PROMPT_PRICE, UPSTREAM, authorization, open};
use crate::support::Server;
use crate::support::provider::{Act, Provider, answer, chat, reply};
use crate::support::reseller::{CLIENTS, PROMPT_TOKENS, PROVIDER_KEY, Reseller, cost};

const PONG: &str = "pong from the provider";

#[tokio::test(flavor = "multi_thread")]
async fn a_key_for_openai_is_all_that_a_first_start_needs() {
    let provider = Provider::start();
    let url = provider.url();
    let reseller = Reseller::open(&[("OPENAI_API_KEY", PROVIDER_KEY), ("OPENAI_BASE_URL", &url)]);
    for (model, upstream) in [("gpt-3.5", "gpt-4o-mini"), ("gpt-4", "gpt-4o")] {
        for (client, stream) in CLIENTS.into_iter().flat_map(|client| [(client, false), (client, true)]) {
            let reply = reseller.chat(client, model, stream).await;
            assert_eq!((reply.status, reply.text().as_str()), (200, PONG), "{reply:?}");
        }
        let received = provider.received(upstream);
        assert_eq!(received.len(), 4, "{received:?}");
        assert!(received.iter().all(|call| call.header("authorization") == Some(&authorization())), "{received:?}");
    }
    let channels = reseller.command(&["channel", "list"]);
    let [channel] = &channels.as_array().unwrap()[..] else { panic!("one channel: {channels}") };
    assert_eq!(
        (&channel["type"], &channel["base_url"], &channel["has_api_key"]),
        (&json!("openai"), &json!(url), &json!(true))
    );
    assert!(!channels.to_string().contains(PROVIDER_KEY), "{channels}");
    reseller.assert_books(8 * (cost(PROMPT_TOKENS, PROMPT_PRICE) + cost(5, COMPLETION_PRICE))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_can_be_tried() {
    let (provider, reseller) = open(&[], "100.00").await;
    let tested = reseller.command(&["channel", "test", "wholesale", "--model", MODEL]);
    assert_eq!(
        (&tested["ok"], &tested["model"], &tested["answer"]),
        (&json!(true), &json!(MODEL), &json!(PONG)),
        "{tested}"
    );
    let call = provider.only(UPSTREAM);
    assert_eq!(call.header("authorization"), Some(authorization().as_str()));
    assert_eq!((&call.json()["max_tokens"], &call.json()["stream"]), (&json!(16), &Value::Null));

    let telling = format!(r#"{{"error":{{"message":"wrong key {PROVIDER_KEY}"}}}}"#);
    let broken_json = format!(r#"{{"choices":[{{"message":"{PROVIDER_KEY}"}}]}}"#);
    for acts in [
        vec![reply("401 No", &telling)],
        vec![reply("400 No", &telling)],
        vec![reply("429 No", &telling)],
        vec![reply("200 OK", &telling)],
        vec![reply("200 OK", &broken_json)],
        vec![reply("200 OK", PROVIDER_KEY)],
        vec![Act::Cut],
    ] {
        provider.acts(UPSTREAM, acts.clone());
        let output = reseller.server.command(&["channel", "test", "wholesale", "--model", MODEL]);
        assert_eq!(
            (output.status, &output.json["error"]["code"]),
            (1, &json!("channel_test_failed")),
            "{acts:?}: {output:?}"
        );
        let everything = format!("{output:?}");
        assert!(!everything.contains(PROVIDER_KEY), "{everything}");
    }
    reseller.assert_books(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn link_local_addresses_are_refused() {
    let server = Server::start();
    for url in [
        "http://169.254.169.254/latest",
        "http://169.254.0.1:8080/v1",
        "https://[fe80::1]/v1",
        "http://[::ffff:169.254.169.254]/v1",
        "http://2852039166/v1",
        "http://0xa9.0xfe.0xa9.0xfe/v1",
    ] {
        let arguments =
            ["channel", "add", "--name", "cloud", "--type", "openai", "--base-url", url, "--models", "gpt-4"];
        let output = server.command(&arguments);
        assert_eq!((output.status, &output.json["error"]["code"]), (1, &json!("bad_base_url")), "{url}: {output:?}");
        let message = output.json["error"]["message"].as_str().unwrap();
        assert!(message.contains("link-local"), "{message}");
    }
    let channels = server.command(&["channel", "list"]);
    assert_eq!(channels.json, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn echo_never_stands_in_for_a_provider() {
    let provider = Provider::start();
    let reseller = Reseller::open(&[]);
    // Its priority is the best there is, and it was there first.
    reseller.command(&[
        "channel",
        "add",
        "--name",
        "echo",
        "--type",
        "echo",
        "--models",
        MODEL,
        "--priority",
        "0",
        "--weight",
        "1000",
    ]);
    reseller.add_channel("wholesale", &provider.url(), &[(MODEL, UPSTREAM)], "1000");
    reseller.wait_for_changes().await;
    provider.on(UPSTREAM, |call| answer(call, &[PONG]));
    for client in CLIENTS {
        assert_eq!(reseller.chat(client, MODEL, false).await.text(), PONG);
    }
    provider.acts(UPSTREAM, vec![reply("500 No", "")]);
    for (client, stream) in [(CLIENTS[0], false), (CLIENTS[0], true), (CLIENTS[1], false), (CLIENTS[1], true)] {
        let reply = reseller.chat(client, MODEL, stream).await;
        assert_eq!(reply.status, 502, "{reply:?}");
    }
    provider.acts(UPSTREAM, vec![reply("429 No", "")]);
    assert_eq!(reseller.chat(CLIENTS[0], MODEL, false).await.status, 503);
    assert_eq!(provider.received(UPSTREAM).len(), 7);
    reseller.assert_books(2 * (cost(PROMPT_TOKENS, PROMPT_PRICE) + cost(5, COMPLETION_PRICE))).await;

    // Once no enabled channel lists the model any more, echo is what the operator wants.
    reseller.command(&["channel", "disable", "wholesale"]);
    reseller.wait_for_changes().await;
    let reply = reseller.chat(CLIENTS[0], MODEL, false).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_ne!(reply.text(), PONG);
    assert_eq!(provider.received(UPSTREAM).len(), 7);
}

/// Channels of one priority share the calls, and each call is made once.
#[tokio::test(flavor = "multi_thread")]
async fn channels_of_one_priority_share_the_calls() {
    let (left, right) = (Provider::start(), Provider::start());
    let reseller = Reseller::open(&[]);
    for (name, provider) in [("left", &left), ("right", &right)] {
        provider.acts(UPSTREAM, vec![reply("200 OK", &chat(PONG, &Value::Null))]);
        reseller.add_channel(name, &provider.url(), &[(MODEL, UPSTREAM)], "100");
    }
    reseller.wait_for_changes().await;
    for _ in 0..100 {
        assert_eq!(reseller.chat(CLIENTS[0], MODEL, false).await.status, 200);
    }
    let (left, right) = (left.received(UPSTREAM).len(), right.received(UPSTREAM).len());
    assert_eq!(left + right, 100);
    // Fewer than 20 of 100 happens once in two billion times.
    assert!(left >= 20 && right >= 20, "{left} and {right}");
    reseller.assert_books(100 * (cost(PROMPT_TOKENS, PROMPT_PRICE) + cost(5, COMPLETION_PRICE))).await;
}
