//! Calls that are refused cost nothing, and the reply says why.

use serde_json::json;

use crate::support::storefront::{Storefront, chat};

const CHAT: &str = "/v1/chat/completions";

#[tokio::test(flavor = "multi_thread")]
async fn models_that_a_key_may_not_use_and_models_that_do_not_exist() {
    let shop = Storefront::open("10.00").await;
    let limited = shop.issue(&["--models", "gpt-4,dall-e-3"]);
    let reply = shop.post_as(&limited, CHAT, chat("gpt-3.5", "你好")).await;
    let message = reply.refused(403, 40300, "model_not_allowed");
    assert!(message.contains("gpt-3.5"), "{message}");
    // No model in the body is the usual one, which this key may not use either.
    shop.post_as(&limited, CHAT, json!({"messages": [{"role": "user", "content": "你好"}]})).await.refused(
        403,
        40300,
        "model_not_allowed",
    );
    // Whether the model exists is none of this key's business.
    shop.post_as(&limited, CHAT, chat("no-such-model", "你好")).await.refused(403, 40300, "model_not_allowed");
    let listed = shop.get_as(&limited, "/v1/models").await;
    let names: Vec<&str> =
        listed.ok()["data"].as_array().expect("a list").iter().filter_map(|model| model["id"].as_str()).collect();
    assert_eq!(names, ["dall-e-3", "gpt-4"]);

    let reply = shop.chat("no-such-model", "你好").await;
    let message = reply.refused(404, 40400, "model_not_found");
    assert!(message.contains("no-such-model") && message.contains("/v1/models"), "{message}");
    assert_eq!(reply.json["error"]["param"], "model");

    assert_eq!(shop.settled().await, 10_000_000_000);
    shop.post_as(&limited, CHAT, chat("gpt-4", "你好")).await.ok();
    assert_eq!(shop.settled().await, 10_000_000_000 - 80_000);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_tenant() {
    let shop = Storefront::open("10.00").await;
    shop.chat("gpt-4", "你好").await.ok();
    shop.run(&["tenant", "suspend", "acme"]);
    shop.until("calls are refused", async || shop.chat("gpt-4", "你好").await.status != 200).await;
    let reply = shop.chat("gpt-4", "你好").await;
    reply.refused(403, 40300, "tenant_suspended");
    shop.post_original("/api/v1/chat/completions", json!({"messages": [{"role": "user", "content": "你好"}]}))
        .await
        .refused(403, 40300, "tenant_suspended");

    shop.run(&["tenant", "resume", "acme"]);
    shop.until("calls are answered", async || shop.chat("gpt-4", "你好").await.status == 200).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_key() {
    let shop = Storefront::open("10.00").await;
    let key = shop.issue(&["--expires", "2s"]);
    shop.until("the key has expired", async || shop.post_as(&key, CHAT, chat("gpt-4", "你好")).await.status != 200)
        .await;
    let reply = shop.post_as(&key, CHAT, chat("gpt-4", "你好")).await;
    let message = reply.refused(401, 40101, "invalid_api_key");
    assert!(message.contains("expired"), "{message}");
    assert_eq!(reply.header("www-authenticate").as_deref(), Some("Bearer"));
    shop.chat("gpt-4", "你好").await.ok();
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balance_that_does_not_cover_the_hold() {
    let shop = Storefront::open("0.001").await;
    let needs = async |path: &str, body: serde_json::Value, needed: &str| {
        let reply = shop.post(path, body).await;
        let message = reply.refused(402, 40200, "insufficient_quota").to_owned();
        assert!(message.contains(&format!("{needed} CNY")) && message.contains("0.001 CNY"), "{needed}: {message}");
        assert_eq!(reply.json["error"]["type"], "insufficient_quota");
        assert_eq!(reply.header("x-should-retry").as_deref(), Some("false"));
    };
    let mut body = chat("gpt-4", "你好");
    body["max_tokens"] = 100.into();
    // 2 x 0.00001 and 100 x 0.00003.
    needs(CHAT, body.clone(), "0.00302").await;
    body["n"] = 2.into();
    needs(CHAT, body.clone(), "0.00602").await;
    // For each of two prompts three answers of 100 tokens, though one of them is returned.
    let best = json!({"model": "text-davinci-003", "prompt": ["你", "好"], "max_tokens": 100, "best_of": 3});
    needs("/v1/completions", best, "0.01802").await;
    needs("/v1/images/generations", json!({"prompt": "猫", "n": 3}), "0.90").await;
    assert_eq!(shop.balance().await, (1_000_000, 0));

    // What it does cover is answered: 2 x 0.00001 and 32 x 0.00003 make 0.00098.
    body["n"] = 1.into();
    body["max_tokens"] = 32.into();
    shop.post(CHAT, body).await.ok();
    assert_eq!(shop.settled().await, 1_000_000 - 80_000);
    // Records are there for those who have nothing left.
    assert_eq!(shop.ledger().await.len(), 2);
    shop.close().await;
}
