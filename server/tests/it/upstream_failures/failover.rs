//! Two channels for one model: the second is asked when the first gives no answer, and only then.

use super::cases::{TEXT, begun, without_text};
use super::{REJECTED, Told, UPSTREAM_ERROR, assert_broken_off, assert_refused, charge_for, no_channel};
use crate::support::provider::{Act, Provider, answer, done, reply, stream_end, stream_head};
use crate::support::reseller::{CLIENTS, Client, Reply, Reseller};

/// The upstream names of the model; each channel has its own.
const FIRST: &str = "upstream-of-first";
const SECOND: &str = "upstream-of-second";
const MODEL: &str = "gpt-4";
/// Both ways to call, for both kinds of client.
const WAYS: [(Client, bool); 4] = [(CLIENTS[0], false), (CLIENTS[0], true), (CLIENTS[1], false), (CLIENTS[1], true)];

struct Pair {
    first: Provider,
    second: Provider,
    reseller: Reseller,
}

impl Pair {
    async fn open() -> Self {
        let (first, second) = (Provider::start(), Provider::start());
        let reseller = Reseller::open(&super::PRICES);
        reseller.add_channel("wholesale-second", &second.url(), &[(MODEL, SECOND)], "20");
        reseller.add_channel("wholesale-first", &first.url(), &[(MODEL, FIRST)], "10");
        reseller.wait_for_changes().await;
        second.on(SECOND, |call| answer(call, &[TEXT]));
        Self { first, second, reseller }
    }

    /// How often each provider was called.
    fn calls(&self) -> (usize, usize) {
        (self.first.received(FIRST).len(), self.second.received(SECOND).len())
    }

    /// Calls, and gives the reply with how often each provider was called for it.
    async fn call(&self, client: Client, stream: bool) -> (Reply, (usize, usize)) {
        let before = self.calls();
        let reply = self.reseller.chat(client, MODEL, stream).await;
        let after = self.calls();
        (reply, (after.0 - before.0, after.1 - before.1))
    }

    async fn assert_answered(&self, what: &str, calls: (usize, usize)) -> i64 {
        for (client, stream) in WAYS {
            let (reply, made) = self.call(client, stream).await;
            assert_eq!(
                (reply.status, reply.text().as_str(), made),
                (200, TEXT, calls),
                "{what}, {client:?}, {stream}: {reply:?}"
            );
            assert_eq!(self.reseller.charged(reply.request_id()).await, Some(charge_for(TEXT)), "{what}");
        }
        4 * charge_for(TEXT)
    }

    async fn assert_refused(&self, what: &str, told: Told, calls: (usize, usize)) {
        for (client, stream) in WAYS {
            let (reply, made) = self.call(client, stream).await;
            assert_refused(what, &reply, told);
            assert_eq!(made, calls, "{what}, {client:?}, {stream}");
            assert_eq!(self.reseller.charged(reply.request_id()).await, None, "{what}");
        }
    }
}

fn limited(seconds: &str) -> Vec<Act> {
    vec![reply(&format!("429 Too Many Requests\r\nRetry-After: {seconds}"), "{}")]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_channel_answers_when_the_first_does_not() {
    let pair = Pair::open().await;
    let mut charges = 0;
    for (what, acts) in [
        ("500", vec![reply("500 No", "{}")]),
        ("401", vec![reply("401 No", "{}")]),
        ("404", vec![reply("404 No", "{}")]),
        ("429", limited("7")),
        ("302", vec![reply("302 No\r\nLocation: /elsewhere", "")]),
        ("closed", vec![Act::Close]),
        ("cut", vec![Act::Cut]),
        ("nonsense", vec![reply("200 OK", "[]")]),
        ("empty", vec![reply("200 OK", "")]),
        ("cut before text", without_text([Act::Cut])),
        ("empty stream", vec![stream_head(), done(), stream_end()]),
    ] {
        pair.first.acts(FIRST, acts);
        charges += pair.assert_answered(what, (1, 1)).await;
    }
    // What the first channel had sent before it broke is not in the answer: the role comes once, from the second.
    pair.first.acts(FIRST, without_text([Act::Cut]));
    let (reply, _) = pair.call(Client::OpenAi, true).await;
    let roles = reply.chunks().iter().filter(|chunk| chunk["choices"][0]["delta"]["role"].is_string()).count();
    assert_eq!(roles, 1, "{reply:?}");
    charges += charge_for(TEXT);

    pair.first.on(FIRST, |call| answer(call, &[TEXT]));
    charges += pair.assert_answered("nothing is wrong", (1, 0)).await;
    pair.reseller.assert_books(charges).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_other_channel_is_asked_for() {
    let pair = Pair::open().await;
    for status in ["400 Bad Request", "413 Payload Too Large", "422 Unprocessable Entity"] {
        pair.first.acts(FIRST, vec![reply(status, r#"{"error":{"message":"bad","param":"n"}}"#)]);
        pair.assert_refused(status, REJECTED, (1, 0)).await;
    }
    pair.first.acts(FIRST, begun([Act::Cut]));
    for client in CLIENTS {
        let (reply, calls) = pair.call(client, true).await;
        assert_broken_off("after text", &reply, UPSTREAM_ERROR, TEXT, charge_for(TEXT));
        assert_eq!(calls, (1, 0));
    }
    pair.reseller.assert_books(2 * charge_for(TEXT)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_channel_answers() {
    let pair = Pair::open().await;
    pair.first.acts(FIRST, limited("20"));
    pair.second.acts(SECOND, limited("7"));
    pair.assert_refused("both at their limit", no_channel("7"), (1, 1)).await;

    pair.second.acts(SECOND, vec![reply("429 Too Many Requests", "{}")]);
    pair.assert_refused("one says when", no_channel("20"), (1, 1)).await;

    pair.second.acts(SECOND, vec![reply("500 No", "{}")]);
    pair.assert_refused("one at its limit, one broken", UPSTREAM_ERROR, (1, 1)).await;
    pair.reseller.assert_books(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_channel_is_not_used() {
    let pair = Pair::open().await;
    let set = |how: &'static str, name: &'static str| pair.reseller.command(&["channel", how, name]);
    pair.first.on(FIRST, |call| answer(call, &[TEXT]));
    set("disable", "wholesale-first");
    pair.reseller.wait_for_changes().await;
    let mut charges = pair.assert_answered("the first is disabled", (0, 1)).await;

    pair.second.acts(SECOND, vec![reply("500 No", "{}")]);
    pair.assert_refused("the other one is broken", UPSTREAM_ERROR, (0, 1)).await;

    set("disable", "wholesale-second");
    pair.reseller.wait_for_changes().await;
    // A name of the original service is known even when nobody serves it.
    pair.assert_refused("both are disabled", no_channel("30"), (0, 0)).await;

    set("enable", "wholesale-first");
    pair.reseller.wait_for_changes().await;
    charges += pair.assert_answered("the first is enabled again", (1, 0)).await;
    pair.reseller.assert_books(charges).await;
}
