//! The balance and the ledger: every movement is there once, and each charge can be recomputed from its own record.

use serde_json::{Value, json};

use crate::support::money::{amount, nanos, recompute};
use crate::support::storefront::{COMPLETION_PRICE, PROMPT_PRICE, Storefront};

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_explains_the_balance() {
    let shop = Storefront::open("10.00").await;
    let messages =
        json!([{"role": "system", "content": "Be brief, please."}, {"role": "user", "content": "你好 there"}]);
    let chat = shop
        .post("/v1/chat/completions", json!({"model": "gpt-4", "messages": messages, "user": "张三", "n": 2}))
        .await;
    assert_eq!(chat.usage(), (3 + 3, 6));
    let images = shop.post("/v1/images/generations", json!({"prompt": "一只猫", "n": 2, "size": "256x256"})).await;
    let tokens = shop.post("/v1/completions", json!({"model": "text-davinci-003", "prompt": [[1, 2, 3], [4]]})).await;
    assert_eq!(tokens.usage(), (4, 4));
    let again = shop.run(&["topup", "--tenant", "acme", "--amount", "2.50", "--reference", "second", "--note", "谢谢"]);
    let charged = [6 * (PROMPT_PRICE + COMPLETION_PRICE), 600_000_000, 4 * (PROMPT_PRICE + COMPLETION_PRICE)];
    assert_eq!(nanos(&again["posted"]), 12_500_000_000 - charged.iter().sum::<i64>());

    let ledger = shop.ledger().await;
    let kinds: Vec<&str> = ledger.iter().filter_map(|entry| entry["type"].as_str()).collect();
    assert_eq!(kinds, ["top_up", "capture", "capture", "capture", "top_up"], "newest first");
    let amounts: Vec<i64> = ledger.iter().map(|entry| nanos(&entry["amount"])).collect();
    assert_eq!(amounts, [2_500_000_000, -charged[2], -charged[1], -charged[0], 10_000_000_000]);
    let mut balance = 0;
    for entry in ledger.iter().rev() {
        balance += nanos(&entry["amount"]);
        assert_eq!(nanos(&entry["balance"]), balance, "{entry}");
        assert!(
            chrono::DateTime::parse_from_rfc3339(entry["created_at"].as_str().expect("a moment")).is_ok(),
            "{entry}"
        );
    }
    assert_eq!(shop.balance().await, (balance, 0));
    let command = shop.run(&["balance", "--tenant", "acme"]);
    assert_eq!(
        command,
        json!({"currency": "CNY", "posted": amount(balance), "held": "0.00", "available": amount(balance)})
    );

    assert_eq!((&ledger[0]["reference"], &ledger[0]["note"]), (&json!("second"), &json!("谢谢")));
    for entry in [&ledger[0], &ledger[4]] {
        assert_eq!((&entry["request_id"], &entry["charge"]), (&Value::Null, &Value::Null));
    }
    let requests: Vec<&Value> = ledger[1..4].iter().map(|entry| &entry["request_id"]).collect();
    assert_eq!(requests, [&json!(tokens.request_id()), &json!(images.request_id()), &json!(chat.request_id())]);
    assert_eq!(ledger[1..4].iter().map(recompute).collect::<Vec<_>>(), [charged[2], charged[1], charged[0]]);

    let charge = &ledger[3]["charge"];
    let expected = json!({
        "model": "gpt-4", "endpoint": "chat", "key": shop.key.id, "user": "张三", "basis": "estimate",
        "prompt": {"hanzi": 2, "words": 4, "tokens": 6, "upstream_tokens": 6, "price_per_million": "10.00", "cost": "0.00006"},
        "completion": {"hanzi": 4, "words": 2, "tokens": 6, "upstream_tokens": 6, "price_per_million": "30.00", "cost": "0.00018"},
        "images": {"count": 0, "size": null, "price": "0.30", "cost": "0.00"},
        "written_off": "0.00", "finished_early": false,
        "arithmetic": "prompt: 2 hanzi + 4 words x 1.3 = 6 tokens (rounded down per text); 6 x 10.00 / 1,000,000 = 0.00006; \
                       completion: 4 hanzi + 2 words x 1.3 = 6 tokens; 6 x 30.00 / 1,000,000 = 0.00018; together 0.00024",
    });
    assert_eq!(without_rounding_notes(charge), without_rounding_notes(&expected));
    assert_eq!(ledger[2]["charge"]["arithmetic"], "2 images of 256x256 x 0.30 = 0.60; together 0.60");
    shop.close().await;
}

/// Whether the arithmetic says how a count was rounded is a matter of words.
fn without_rounding_notes(charge: &Value) -> Value {
    let mut charge = charge.clone();
    let arithmetic = charge["arithmetic"].as_str().expect("words").replace(" (rounded down per text)", "");
    charge["arithmetic"] = arithmetic.into();
    charge
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_has_pages() {
    let shop = Storefront::open("10.00").await;
    for _ in 0..6 {
        shop.chat("gpt-4", "你好").await.ok();
    }
    let all = shop.ledger().await;
    assert_eq!(all.len(), 7);
    let (mut pages, mut cursor) = (Vec::new(), String::new());
    loop {
        let reply = shop.get(&format!("/v1/ledger?limit=3&cursor={cursor}")).await;
        let page = reply.ok();
        assert_eq!(page["object"], "list");
        let data = page["data"].as_array().expect("a list");
        assert!((1..=3).contains(&data.len()));
        pages.extend(data.iter().cloned());
        assert_eq!(page["has_more"], !page["next_cursor"].is_null());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(pages, all);
    for bad in ["limit=0", "limit=1001", "limit=x", "cursor=x"] {
        let reply = shop.get(&format!("/v1/ledger?{bad}")).await;
        reply.refused(400, 40002, "invalid_parameter");
        assert_eq!(reply.json["error"]["param"].as_str(), bad.split('=').next());
    }
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_beyond_its_hold_and_the_balance_is_written_off() {
    // Held is for the prompt and 4 tokens of answer; echo, which has no `max_tokens`, answers with 1000.
    let settings = [("XIAOYI_MODELS_MAX_OUTPUT", "4")];
    let shop = Storefront::open_with("0.02", &settings, "echo:").await;
    let reply = shop.chat("gpt-4", &"字".repeat(1_000)).await;
    assert_eq!(reply.usage(), (1_000, 1_000));
    let entry = shop.entry_of(&reply.request_id()).await;
    assert_eq!((recompute(&entry), &entry["balance"]), (20_000_000, &json!("0.00")));
    assert_eq!(entry["charge"]["written_off"], "0.02");
    assert_eq!(shop.balance().await, (0, 0));
    shop.chat("gpt-4", "字").await.refused(402, 40200, "insufficient_quota");
    shop.close().await;
}
