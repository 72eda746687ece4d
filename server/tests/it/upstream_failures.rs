//! What a client sees, and what it pays, when a provider does wrong: every way to do wrong, whole and streamed, for both kinds of client.

mod cases;
mod failover;
mod hangs;

use serde_json::{Value, json};

use self::cases::{Case, Want};
use crate::support::provider::Provider;
use crate::support::reseller::{CLIENTS, Client, PROMPT_TOKENS, PROVIDER_KEY, Reply, Reseller, cost, shown, tokens};

/// What providers say here and no client may read.
const PROVIDERS_WORDS: &str = "Zaphod";
/// The channel's name, which no client may read either.
const CHANNEL: &str = "wholesale";
/// Prices with all places, so that rounding is seen; per million tokens, in 1e-9.
const PROMPT_PRICE: i64 = 3_333_333_333;
const COMPLETION_PRICE: i64 = 7_777_777_777;
const PRICES: [(&str, &str); 2] = [("XIAOYI_PRICE_PROMPT", "3.333333333"), ("XIAOYI_PRICE_COMPLETION", "7.777777777")];

/// An error as a client sees it.
#[derive(Debug, Clone, Copy)]
struct Told {
    status: u16,
    code: u32,
    family: &'static str,
    name: &'static str,
    retry_after: Option<&'static str>,
}

const UPSTREAM_ERROR: Told =
    Told { status: 502, code: 50200, family: "upstream_error", name: "upstream_error", retry_after: None };
const TIMEOUT: Told = Told { status: 504, code: 50400, family: "upstream_error", name: "timeout", retry_after: None };
const REJECTED: Told =
    Told { status: 400, code: 40005, family: "invalid_request_error", name: "upstream_rejected", retry_after: None };

const fn no_channel(retry_after: &'static str) -> Told {
    Told { status: 503, code: 50300, family: "overloaded_error", name: "no_channel", retry_after: Some(retry_after) }
}

/// A reply without an answer, before any byte of one.
fn assert_refused(name: &str, reply: &Reply, told: Told) {
    assert_eq!(reply.status, told.status, "{name}: {reply:?}");
    let object = reply.json();
    let error = &object["error"];
    assert_eq!(object["code"], told.code, "{name}: {object}");
    assert_eq!(object["msg"], error["message"], "{name}: {object}");
    assert_eq!((&error["type"], &error["code"]), (&json!(told.family), &json!(told.name)), "{name}: {object}");
    assert_eq!(reply.header("retry-after"), told.retry_after, "{name}: {reply:?}");
    assert_eq!(reply.header("content-type"), Some("application/json"), "{name}: {reply:?}");
    if told.name != REJECTED.name {
        assert_eq!(error["param"], Value::Null, "{name}: {object}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("nothing was charged"), "{name}: {message}");
    }
}

/// An error frame behind the text of a stream: it says what was charged.
fn assert_broken_off(name: &str, reply: &Reply, told: Told, text: &str, charge: i64) {
    assert_eq!(reply.status, 200, "{name}: {reply:?}");
    assert_eq!(reply.text(), text, "{name}: {reply:?}");
    let chunks = reply.chunks();
    let (frame, before) = chunks.split_last().unwrap();
    assert!(
        before.iter().all(|chunk| chunk["error"].is_null() && chunk["choices"][0]["finish_reason"].is_null()),
        "{name}: {reply:?}"
    );
    let error = &frame["error"];
    assert_eq!((&error["type"], &error["code"]), (&json!(told.family), &json!(told.name)), "{name}: {frame}");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains(&format!("{} CNY were charged", shown(charge))), "{name}: {message}");
    assert!(!message.contains("nothing"), "{name}: {message}");
}

/// What a call costs that gave this text.
fn charge_for(text: &str) -> i64 {
    cost(PROMPT_TOKENS, PROMPT_PRICE) + cost(tokens(text), COMPLETION_PRICE)
}

/// Nothing of the provider is in the reply.
fn assert_discreet(name: &str, reply: &Reply, provider: &Provider) {
    let everything = reply.everything();
    let address = provider.url();
    let address = address.trim_start_matches("http://").trim_end_matches("/v1");
    for secret in
        [PROVIDER_KEY, PROVIDERS_WORDS, CHANNEL, "upstream-of", "127.0.0.1", "nothing.invalid", "up-1", address]
    {
        assert!(!everything.contains(secret), "{name}: {secret:?} is in {everything}");
    }
}

/// Makes the call of a case and checks all that the client sees and pays. Gives what it was charged.
async fn run(reseller: &Reseller, provider: &Provider, client: Client, case: &Case) -> i64 {
    let Case { name, stream, want, .. } = case;
    let name = &format!("{name} ({client:?})");
    let reply = reseller.chat(client, &case.model(), *stream).await;
    assert_discreet(name, &reply, provider);
    let expected = match want {
        Want::Refused(told) => {
            assert_refused(name, &reply, *told);
            0
        }
        Want::Rejected { message, param } => {
            assert_refused(name, &reply, REJECTED);
            let error = &reply.json()["error"];
            assert_eq!(
                error["message"],
                format!("the model's provider rejected this request: {message}; nothing was charged"),
                "{name}"
            );
            assert_eq!(error["param"].as_str(), *param, "{name}");
            0
        }
        Want::BrokenOff(told, text) => {
            assert_broken_off(name, &reply, *told, text, charge_for(text));
            charge_for(text)
        }
        Want::Answered(text) => {
            assert_eq!((reply.status, reply.text().as_str()), (200, text.as_str()), "{name}: {reply:?}");
            let chunks = reply.chunks();
            assert!(chunks.iter().all(|chunk| chunk["error"].is_null()), "{name}: {reply:?}");
            charge_for(text)
        }
    };
    let charged = reseller.charged(reply.request_id()).await;
    assert_eq!(charged, (expected > 0).then_some(expected), "{name}: what the ledger says");
    if let (Want::BrokenOff(..), Some(entry)) = (want, reseller.entry(reply.request_id()).await) {
        assert_eq!(entry["charge"]["finished_early"], true, "{name}: {entry}");
    }
    expected
}

/// Serves these cases by one channel.
async fn open(provider: &Provider, settings: &[(&str, &str)], cases: &[Case]) -> Reseller {
    let reseller = Reseller::open(&[&PRICES[..], settings].concat());
    let mut models = Vec::new();
    for case in cases {
        provider.acts(&case.upstream_model(), case.acts.clone());
        models.push((case.model(), case.upstream_model()));
    }
    let models: Vec<_> = models.iter().map(|(public, upstream)| (public.as_str(), upstream.as_str())).collect();
    reseller.add_channel(CHANNEL, &provider.url(), &models, "100");
    reseller.wait_for_changes().await;
    reseller
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_does_wrong() {
    let provider = Provider::start();
    let cases = cases::all(&provider);
    let settings = [("XIAOYI_UPSTREAM_ANSWER_BYTES", "65536"), ("XIAOYI_UPSTREAM_LINE_BYTES", "4096")];
    let reseller = open(&provider, &settings, &cases).await;
    let mut charges = 0;
    for case in &cases {
        for client in CLIENTS {
            charges += run(&reseller, &provider, client, case).await;
        }
        assert_eq!(
            provider.received(&case.upstream_model()).len(),
            CLIENTS.len(),
            "{}: calls of the provider",
            case.name
        );
    }
    assert!(provider.all_received().iter().all(|call| !call.path.contains("elsewhere")), "a redirect was followed");
    reseller.assert_books(charges).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_cannot_be_reached() {
    let provider = Provider::start();
    // A port that is taken and that nobody listens at.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let refused = format!("http://{}/v1", socket.local_addr().unwrap());
    // The provider waits for the rest of what is no HTTP, so connecting takes longer than it may.
    let without_handshake = provider.url().replace("http:", "https:");
    let urls = [
        ("refused", refused.as_str()),
        ("no-name", "http://nothing.invalid/v1"),
        ("no-tls", without_handshake.as_str()),
    ];
    let reseller = Reseller::open(&[("XIAOYI_DEADLINE_CONNECT_S", "1")]);
    for (model, url) in urls {
        reseller.add_channel(&format!("{CHANNEL}-{model}"), url, &[(model, "upstream-of-it")], "100");
    }
    reseller.wait_for_changes().await;
    for (model, _) in urls {
        for (client, stream) in CLIENTS.into_iter().flat_map(|client| [(client, false), (client, true)]) {
            let reply = reseller.chat(client, model, stream).await;
            assert_refused(model, &reply, UPSTREAM_ERROR);
            assert_discreet(model, &reply, &provider);
            assert_eq!(reseller.charged(reply.request_id()).await, None);
        }
    }
    reseller.assert_books(0).await;
}
