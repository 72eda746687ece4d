//! `Idempotency-Key`, as the SDKs send it: a call that is made again is answered again and paid once, and the two refusals around it.

use serde_json::{Value, json};

use super::{UPSTREAM, chat, open};
use crate::support::provider::openai::SAYING;
use crate::support::provider::{Act, Gate, openai};
use crate::support::reseller::Reseller;
use crate::support::sdk::{LANGUAGES, Script};

/// 你好 world and its answer: 3 x 10 and 7 x 30 for a million, in 1e-9.
const CHARGE: i64 = 240_000;

fn chat_with(key: &str, stream: bool) -> Value {
    let mut order = chat("gpt-4");
    order["headers"] = json!({"Idempotency-Key": key});
    if stream {
        order["body"]["stream"] = json!(true);
    }
    order
}

fn drivers(reseller: &Reseller) -> impl Iterator<Item = (usize, Script)> + use<> {
    let (server, key) = (reseller.server.url(""), reseller.key.clone());
    LANGUAGES.into_iter().map(move |language| Script::driver(language, &server, &key)).enumerate()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_call_again() {
    let (provider, reseller) = open(&[]).await;
    let mut calls = 0;
    for (number, mut driver) in drivers(&reseller) {
        for stream in [false, true] {
            let order = chat_with(&format!("order-{number}-{stream}"), stream);
            let first = driver.call(&order).await;
            let again = driver.call(&order).await;
            let text = if stream { &first["result"] } else { &first["result"]["choices"][0]["message"]["content"] };
            assert_eq!(text, SAYING, "{first}");
            assert_eq!((&again["result"], &again["request_id"]), (&first["result"], &first["request_id"]));
            calls += 1;
            assert_eq!(provider.received(UPSTREAM).len(), calls);
        }
    }
    reseller.assert_books(4 * CHARGE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_first_one_runs_and_with_another_body() {
    let (provider, reseller) = open(&[("XIAOYI_IDEMPOTENCY_WAIT_S", "1")]).await;
    for (number, mut driver) in drivers(&reseller) {
        let gate = Gate::closed();
        let behind = gate.clone();
        provider.on(UPSTREAM, move |call| [vec![Act::Wait(behind.clone())], openai::answer(call)].concat());
        let order = chat_with(&format!("order-{number}"), false);
        let first = tokio::spawn({
            let (mut driver, order) = (drivers(&reseller).nth(number).expect("one more").1, order.clone());
            async move { driver.call(&order).await }
        });
        let arrived = async || provider.received(UPSTREAM).len() == number + 1;
        reseller.server.within(std::time::Duration::from_secs(30), "the first call", arrived).await;

        let mut once = order.clone();
        once["client"] = json!({"max_retries": 0});
        let refused = driver.call(&once).await;
        assert_raised(&refused, "ConflictError", 409, "conflict_error", "idempotency_in_progress");
        // The SDK tries this again by itself.
        driver.order(&order);
        super::refused(&reseller, "idempotency_in_progress", 2 * number + 2).await;
        gate.open();
        let (first, again) = (first.await.expect("it ends"), driver.result().await);
        assert_eq!(first["result"]["choices"][0]["message"]["content"], SAYING, "{first}");
        assert_eq!((&again["result"], &again["request_id"]), (&first["result"], &first["request_id"]));

        let mut other = order.clone();
        other["body"]["temperature"] = json!(0.5);
        let refused = driver.call(&other).await;
        assert_raised(&refused, "UnprocessableEntityError", 422, "invalid_request_error", "idempotency_mismatch");
        assert_eq!(provider.received(UPSTREAM).len(), number + 1);
    }
    reseller.assert_books(2 * CHARGE).await;
}

fn assert_raised(outcome: &Value, class: &str, status: u16, family: &str, code: &str) {
    let told = [&outcome["raised"], &outcome["status"], &outcome["type"], &outcome["code"]];
    assert_eq!(told, [&json!(class), &json!(status), &json!(family), &json!(code)], "{outcome}");
    assert!(outcome["message"].is_string() && outcome["request_id"].is_string(), "{outcome}");
}
