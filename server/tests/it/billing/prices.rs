//! A new price is for what comes after it.

use serde_json::Value;

use crate::support::money::{cost, nanos, recompute};
use crate::support::storefront::{COMPLETION_PRICE, PROMPT_PRICE, Storefront, chat};

#[tokio::test(flavor = "multi_thread")]
async fn a_new_price_is_for_later_calls() {
    let shop = Storefront::open("10.00").await;
    let first = shop.chat("gpt-4", "一二三四五").await;
    let before = shop.entry_of(&first.request_id()).await;
    assert_eq!(recompute(&before), 5 * (PROMPT_PRICE + COMPLETION_PRICE));

    let set = shop.run(&["price", "set", "gpt-4", "--prompt", "3.333333333", "--completion", "0.000000001"]);
    assert_eq!((&set["prompt"], &set["completion"]), (&Value::from("3.333333333"), &Value::from("0.000000001")));
    // Each component is rounded up: 16666.666665 and 0.000000000005 billionths.
    assert_eq!((cost(5, 3_333_333_333), cost(5, 1)), (16_667, 1));
    let mut charges = Vec::new();
    shop.until("calls have the new price", async || {
        let reply = shop.chat("gpt-4", "一二三四五").await;
        charges.push(recompute(&shop.entry_of(&reply.request_id()).await));
        charges.last() == Some(&16_668)
    })
    .await;
    let others = &charges[..charges.len() - 1];
    assert!(
        others.iter().all(|charge| *charge == 5 * (PROMPT_PRICE + COMPLETION_PRICE)),
        "old or new, nothing else: {charges:?}"
    );

    assert_eq!(shop.entry_of(&first.request_id()).await, before, "what was charged stays as it was");
    assert_eq!(shop.chat("gpt-3.5", "一").await.usage(), (1, 1));
    let other_model = &shop.ledger().await[0];
    assert_eq!(recompute(other_model), PROMPT_PRICE + COMPLETION_PRICE, "another model keeps its price");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_call_keeps_the_price_of_its_hold() {
    let shop = Storefront::open_with("10.00", &[], "echo://local?delay_ms=5000").await;
    let request = shop.request(&shop.key, "/v1/chat/completions", &chat("gpt-4", "一二三四五"));
    let call =
        tokio::spawn(async { crate::support::storefront::Reply::of(request.send().await.expect("an answer")).await });
    shop.until("money is held", async || shop.balance().await.1 > 0).await;

    shop.run(&["price", "set", "gpt-4", "--prompt", "1000.00", "--completion", "1000.00"]);
    assert!(!call.is_finished(), "the price was to be set while the call runs");
    let running = call.await.expect("the call ends");
    assert_eq!(running.usage(), (5, 5));
    let entry = shop.entry_of(&running.request_id()).await;
    assert_eq!(recompute(&entry), 5 * (PROMPT_PRICE + COMPLETION_PRICE));
    assert_eq!(nanos(&entry["charge"]["prompt"]["price_per_million"]), 10_000_000_000);

    shop.until("calls have the new price", async || {
        let later = shop.chat("gpt-4", "一二三四五").await;
        recompute(&shop.entry_of(&later.request_id()).await) == 5 * (1_000_000 + 1_000_000)
    })
    .await;
    shop.close().await;
}
