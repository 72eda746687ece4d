//! Calls that generate nothing, on the echo channel: embeddings and moderations. Their input alone is counted, held and charged, once.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::money::{nanos, recompute};
use crate::support::storefront::{PROMPT_PRICE, Reply, Storefront};

const EMBEDDINGS: &str = "/v1/embeddings";
const MODERATIONS: &str = "/v1/moderations";
const MODEL: &str = "text-embedding-3-small";

fn embed(input: &Value) -> Value {
    json!({"model": MODEL, "input": input})
}

/// The ledger's entry of a call, once it says what the input costs and nothing else.
async fn assert_charged(shop: &Storefront, reply: &Reply, endpoint: &str, tokens: i64) -> Value {
    let entry = shop.entry_of(&reply.request_id()).await;
    assert_eq!(recompute(&entry), tokens * PROMPT_PRICE, "{entry}");
    let charge = &entry["charge"];
    assert_eq!(charge["endpoint"], endpoint);
    let counts = [&charge["prompt"]["tokens"], &charge["completion"]["tokens"], &charge["images"]["count"]];
    assert_eq!(counts.map(Value::as_i64), [Some(tokens), Some(0), Some(0)], "{charge}");
    entry
}

#[tokio::test(flavor = "multi_thread")]
async fn embeddings_are_charged_by_their_input() {
    let shop = Storefront::open("10.00").await;
    let mut charged = 0;
    for (input, tokens, count) in [
        (json!("你好 world, GPT-4!"), 5, 1),
        (json!(["one two three", "你"]), 4, 2),
        (json!([15, 16, 17]), 3, 1),
        (json!([[15, 16], [17], [18]]), 4, 3),
    ] {
        for prefix in ["/v1", "/api/v1", "/index.php/api/v1"] {
            let path = format!("{prefix}/embeddings");
            for reply in [shop.post(&path, embed(&input)).await, shop.post_original(&path, embed(&input)).await] {
                let object = reply.ok();
                let names: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
                assert_eq!(names, ["code", "msg", "object", "data", "model", "usage"]);
                assert_eq!((&object["object"], &object["model"]), (&json!("list"), &json!(MODEL)));
                assert_eq!(object["usage"], json!({"prompt_tokens": tokens, "total_tokens": tokens}));
                let data = object["data"].as_array().unwrap();
                assert_eq!(data.len(), count);
                for (index, entry) in data.iter().enumerate() {
                    assert_eq!((&entry["object"], &entry["index"]), (&json!("embedding"), &json!(index)));
                    assert_eq!(entry["embedding"].as_array().unwrap().len(), 1536);
                }
                assert_charged(&shop, &reply, "embeddings", tokens).await;
                charged += tokens * PROMPT_PRICE;
            }
        }
    }
    assert_eq!(shop.settled().await, 10_000_000_000 - charged);
    let usage = shop.get("/v1/usage?group_by=model").await;
    let group = &usage.ok()["data"][0];
    assert_eq!((&group["group"], &group["requests"]), (&json!(MODEL), &json!(24)));
    assert_eq!((&group["prompt_tokens"], &group["completion_tokens"]), (&json!(6 * (5 + 4 + 3 + 4)), &json!(0)));
    assert_eq!(nanos(&group["amount"]), charged);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_encodings_and_any_dimensions() {
    let shop = Storefront::open("10.00").await;
    let mut body = embed(&json!(["one", "two"]));
    body["dimensions"] = json!(256);
    body["user"] = json!("张三");
    let floats = shop.post(EMBEDDINGS, body.clone()).await;
    body["encoding_format"] = json!("base64");
    let base64 = shop.post(EMBEDDINGS, body).await;
    for index in [0, 1] {
        let floats = floats.ok()["data"][index]["embedding"].as_array().unwrap();
        let bytes = STANDARD.decode(base64.ok()["data"][index]["embedding"].as_str().unwrap()).unwrap();
        assert_eq!((floats.len(), bytes.len()), (256, 256 * 4));
        for (number, bytes) in floats.iter().zip(bytes.as_chunks::<4>().0) {
            assert_eq!(number.to_string().parse::<f32>().unwrap(), f32::from_le_bytes(*bytes));
        }
    }
    let entry = assert_charged(&shop, &base64, "embeddings", 2).await;
    assert_eq!(entry["charge"]["user"], "张三");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn moderations_are_charged_by_their_input() {
    let shop = Storefront::open("10.00").await;
    let parts = json!([
        {"type": "text", "text": "one two three"},
        {"type": "image_url", "image_url": {"url": "https://images.example/1.png"}},
    ]);
    let mut charged = 0;
    for (input, tokens, flags) in [
        (json!("你好 world, GPT-4!"), 5, &[false][..]),
        (json!(["no violence", "你"]), 2 + 1, &[true, false]),
        // An image counts 300 (models.part_tokens).
        (parts, 3 + 300, &[false]),
    ] {
        for reply in [
            shop.post(MODERATIONS, json!({"input": input})).await,
            shop.post_original("/index.php/api/v1/moderations", json!({"input": input, "model": null})).await,
        ] {
            let object = reply.ok();
            let names: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(names, ["code", "msg", "id", "model", "results"]);
            let id = format!("modr-{}", reply.request_id().replace('-', ""));
            assert_eq!((&object["id"], &object["model"]), (&json!(id), &json!("omni-moderation-latest")));
            let results = object["results"].as_array().unwrap();
            let flagged: Vec<bool> = results.iter().map(|result| result["flagged"].as_bool().unwrap()).collect();
            assert_eq!(flagged, flags);
            assert_charged(&shop, &reply, "moderations", tokens).await;
            charged += tokens * PROMPT_PRICE;
        }
    }
    assert_eq!(shop.settled().await, 10_000_000_000 - charged);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_costs_nothing() {
    let shop = Storefront::open("0.00002").await;
    let many = |count| Value::from(vec!["a"; count]);
    for (path, body, code, name, param) in [
        (EMBEDDINGS, json!({"input": "a"}), 40001, "missing_parameter", "model"),
        (EMBEDDINGS, json!({"model": MODEL}), 40001, "missing_parameter", "input"),
        (EMBEDDINGS, embed(&json!("")), 40002, "invalid_parameter", "input"),
        (EMBEDDINGS, embed(&json!([])), 40002, "invalid_parameter", "input"),
        (EMBEDDINGS, embed(&json!(["a", ""])), 40002, "invalid_parameter", "input[1]"),
        (EMBEDDINGS, embed(&many(2_049)), 40002, "invalid_parameter", "input"),
        (MODERATIONS, json!({}), 40001, "missing_parameter", "input"),
        (MODERATIONS, json!({"input": []}), 40002, "invalid_parameter", "input"),
        (MODERATIONS, json!({"input": [{"type": "text"}]}), 40001, "missing_parameter", "input[0].text"),
    ] {
        let reply = shop.post(path, body).await;
        reply.refused(400, code, name);
        assert_eq!(reply.json["error"]["param"], param, "{}", reply.text);
    }
    let reply = shop.post(EMBEDDINGS, json!({"model": "gpt-5000", "input": "a"})).await;
    reply.refused(404, 40400, "model_not_found");
    // The balance covers two tokens, and a hold is no more than the input costs.
    shop.post(EMBEDDINGS, embed(&json!([1, 2, 3]))).await.refused(402, 40200, "insufficient_quota");
    shop.post(MODERATIONS, json!({"input": "一二三"})).await.refused(402, 40200, "insufficient_quota");
    assert_eq!(shop.balance().await, (2 * PROMPT_PRICE, 0));
    let reply = shop.post(EMBEDDINGS, embed(&json!([1, 2]))).await;
    assert_charged(&shop, &reply, "embeddings", 2).await;
    assert_eq!(shop.settled().await, 0);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn asked_for_again_they_are_charged_once() {
    let shop = Storefront::open("10.00").await;
    for (path, body) in [(EMBEDDINGS, embed(&json!("一二三"))), (MODERATIONS, json!({"input": "一二三"}))] {
        let mut replies = Vec::new();
        for _ in 0..2 {
            let request = shop.request(&shop.key, path, &body).header("idempotency-key", "one");
            replies.push(Reply::of(request.send().await.expect("the server answers")).await);
        }
        assert_eq!(replies[0].ok(), replies[1].ok());
    }
    assert_eq!(shop.settled().await, 10_000_000_000 - 2 * 3 * PROMPT_PRICE);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_inputs_as_there_may_be() {
    let shop = Storefront::open("10.00").await;
    let reply = shop.post(EMBEDDINGS, embed(&Value::from(vec!["你"; 2_048]))).await;
    let data = reply.ok()["data"].as_array().unwrap();
    assert_eq!(data.len(), 2_048);
    assert_eq!(data[2_047]["embedding"], data[0]["embedding"]);
    assert_charged(&shop, &reply, "embeddings", 2_048).await;
    shop.close().await;
}
