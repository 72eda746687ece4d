//! What the SDKs try again by themselves, and what they must not: counted by the requests that arrived.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use serde_json::{Value, json};
use shared::db::Connection;

use super::{UPSTREAM, chat, open, refused, with_client};
use crate::support::provider::openai::SAYING;
use crate::support::provider::{Act, Gate, openai, reply};
use crate::support::reseller::{Client, Reseller, TENANT, chat_body};
use crate::support::sdk::{LANGUAGES, Script};

const PATH: &str = "/v1/chat/completions";
const SOON: Duration = Duration::from_secs(30);

/// How many requests have been refused for this reason, once there are so many.
async fn count(reseller: &Reseller, reason: &str, least: usize) -> usize {
    refused(reseller, reason, least).await.len()
}

fn text(outcome: &Value) -> &Value {
    &outcome["result"]["choices"][0]["message"]["content"]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limit_is_waited_for() {
    let (_provider, reseller) = open(&[]).await;
    for (number, language) in LANGUAGES.into_iter().enumerate() {
        // 10 tokens come back each second. The first call leaves 7, and the second takes 37.
        let issued = reseller.command(&["key", "issue", "--tenant", TENANT, "--tpm", "600"]);
        reseller.wait_for_changes().await;
        let key = issued["secret"].as_str().expect("a secret");
        let mut driver = Script::driver(language, &reseller.server.url(""), key);
        for most in [590, 34] {
            let mut order = chat("gpt-4");
            order["body"]["max_tokens"] = json!(most);
            let outcome = driver.call(&order).await;
            assert_eq!(text(&outcome), SAYING, "{language:?}: {outcome}");
        }
        assert_eq!(count(&reseller, "rate_limit_exceeded", number + 1).await, number + 1, "{language:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_service_is_tried_again_after_the_time_that_it_says() {
    let (provider, reseller) = open(&[]).await;
    for (number, language) in LANGUAGES.into_iter().enumerate() {
        let (model, calls) = (format!("busy-{number}"), AtomicUsize::new(0));
        provider.on(&model, move |call| match calls.fetch_add(1, Ordering::Relaxed) {
            0 => vec![reply("429 Too Many Requests\r\nRetry-After: 2", "{}")],
            _ => openai::answer(call),
        });
        reseller.add_channel(&model, &provider.url(), &[(&model, &model)], "100");
        reseller.wait_for_changes().await;
        let mut driver = Script::driver(language, &reseller.server.url(""), &reseller.key);
        let outcome = driver.call(&chat(&model)).await;
        assert_eq!(text(&outcome), SAYING, "{language:?}: {outcome}");
        assert!(outcome["took_ms"].as_u64().is_some_and(|took| took >= 2_000), "{language:?}: {outcome}");
        assert_eq!(count(&reseller, "no_channel", number + 1).await, number + 1, "{language:?}");
        assert_eq!(provider.received(&model).len(), 2, "{language:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_money_is_not_tried_again() {
    let (provider, reseller) = open(&[]).await;
    reseller.command(&["tenant", "create", "poor"]);
    let poor = reseller.command(&["key", "issue", "--tenant", "poor"]);
    reseller.wait_for_changes().await;
    for (number, language) in LANGUAGES.into_iter().enumerate() {
        let mut driver = Script::driver(language, &reseller.server.url(""), &reseller.key);
        let order = with_client(chat("gpt-4"), &json!({"api_key": poor["secret"], "max_retries": 5}));
        let outcome = driver.call(&order).await;
        assert_eq!(outcome["code"], "insufficient_quota", "{language:?}: {outcome}");
        assert_eq!(count(&reseller, "insufficient_quota", number + 1).await, number + 1, "{language:?}");
    }
    assert_eq!(provider.all_received().len(), 0);
}

/// The queue is full for all, or this customer has no more room in it; the next try finds room.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_tried_again() {
    for (setting, reason) in
        [("XIAOYI_QUEUE_CAPACITY", "queue_full"), ("XIAOYI_QUEUE_TENANT_SHARE", "rate_limit_exceeded")]
    {
        let (provider, reseller) = open(&[("XIAOYI_WORKER_CONCURRENCY", "1"), (setting, "1")]).await;
        for (before, language) in LANGUAGES.into_iter().enumerate() {
            let gate = Gate::closed();
            let behind = gate.clone();
            provider.on(UPSTREAM, move |call| [vec![Act::Wait(behind.clone())], openai::answer(call)].concat());
            let calls = provider.received(UPSTREAM).len();
            let busy = || tokio::spawn(reseller.request(Client::OpenAi, PATH, chat_body("gpt-4", false)).send());
            let first = busy();
            reseller.server.within(SOON, "one is worked on", async || provider.received(UPSTREAM).len() > calls).await;
            let hold = reseller.balance().await.1;
            let second = busy();
            reseller.server.within(SOON, "one waits", async || reseller.balance().await.1 == 2 * hold).await;

            let mut driver = Script::driver(language, &reseller.server.url(""), &reseller.key);
            driver.order(&chat("gpt-4"));
            count(&reseller, reason, before + 1).await;
            gate.open();
            let outcome = driver.result().await;
            assert_eq!(text(&outcome), SAYING, "{language:?}: {outcome}");
            for call in [first, second] {
                assert_eq!(call.await.expect("it ends").expect("a reply").status(), 200);
            }
        }
    }
}

/// While somebody keeps the database longer than a charge may wait, it cannot be known whether the call was charged. A second try could
/// be charged again, so there is none. A call that finds the database kept has no money set aside, and may try again.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_does_not_answer() {
    let (provider, reseller) = open(&[("XIAOYI_DEADLINE_DATABASE_S", "1")]).await;
    let url = reseller.server.place.database_url().parse().expect("a URL");
    let keeper = shared::db::Database::open(&url).and_then(|database| database.own_connection());
    let mut keeper = keeper.expect("a connection");
    let keep = match keeper {
        Connection::Sqlite(_) => "BEGIN IMMEDIATE",
        Connection::Postgres(_) => "BEGIN; SELECT * FROM accounts FOR UPDATE",
    };
    for (before, language) in LANGUAGES.into_iter().enumerate() {
        let gate = Gate::closed();
        let behind = gate.clone();
        provider.on(UPSTREAM, move |call| [vec![Act::Wait(behind.clone())], openai::answer(call)].concat());
        let calls = provider.received(UPSTREAM).len();
        let mut driver = Script::driver(language, &reseller.server.url(""), &reseller.key);
        driver.order(&chat("gpt-4"));
        reseller.server.within(SOON, "it is worked on", async || provider.received(UPSTREAM).len() > calls).await;
        keeper.batch_execute(keep).expect("it is kept");
        gate.open();
        let outcome = driver.result().await;
        let told = [&outcome["raised"], &outcome["status"], &outcome["type"], &outcome["code"]];
        let expected = [&json!("InternalServerError"), &json!(500), &json!("server_error"), &json!("outcome_unknown")];
        assert_eq!(told, expected, "{language:?}: {outcome}");
        assert_eq!(count(&reseller, "outcome_unknown", before + 1).await, before + 1, "{language:?}");
        assert_eq!(provider.received(UPSTREAM).len(), calls + 1, "{language:?}");

        driver.order(&chat("gpt-4"));
        let so_far = count(&reseller, "unavailable", before + 1).await;
        keeper.batch_execute("ROLLBACK").expect("it is free again");
        let outcome = driver.result().await;
        assert_eq!(text(&outcome), SAYING, "{language:?}, after {so_far}: {outcome}");
    }
    reseller.wait_for_release().await;
}
