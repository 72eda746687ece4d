//! A stream that cannot begin: the reply is an error like any other, with its status, and nothing is charged.

use serde_json::{Value, json};

use crate::support::storefront::{Reply, Storefront, chat};

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_before_the_first_text_keeps_its_status() {
    let shop = Storefront::open("0.001").await;
    let limited = shop.issue(&["--models", "gpt-4"]);
    let streamed = |mut body: Value| {
        body["stream"] = true.into();
        body
    };
    let post = async |body: Value| shop.post("/v1/chat/completions", streamed(body)).await;

    let poor = post(chat("gpt-4", "你好")).await;
    poor.refused(402, 40200, "insufficient_quota");
    post(chat("no-such-model", "你好")).await.refused(404, 40400, "model_not_found");
    post(json!({"model": "gpt-4", "messages": []})).await.refused(400, 40002, "invalid_parameter");
    post(json!({"model": "gpt-4"})).await.refused(400, 40001, "missing_parameter");
    shop.post_as(&limited, "/v1/chat/completions", streamed(chat("gpt-3.5", "你好"))).await.refused(
        403,
        40300,
        "model_not_allowed",
    );
    let even = json!({"messages": [{"role": "user", "content": "一"}, {"role": "assistant", "content": "二"}], "stream": true});
    shop.post_original("/v1/chat/completions", even).await.refused(400, 40003, "invalid_messages");
    let best = json!({"model": "text-davinci-003", "prompt": "一", "best_of": 2, "stream": true});
    shop.post("/v1/completions", best).await.refused(400, 40002, "invalid_parameter");
    let no_key = shop.http.post(shop.server.url("/v1/chat/completions")).json(&streamed(chat("gpt-4", "你好")));
    Reply::of(no_key.send().await.expect("an answer")).await.refused(401, 40100, "missing_api_key");

    assert_eq!(shop.settled().await, 1_000_000);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_before_the_first_text_keeps_its_status() {
    let settings = [("XIAOYI_DEADLINE_FIRST_TEXT_S", "2")];
    let shop = Storefront::open_with("10.00", &settings, "echo://local?delay_ms=60000").await;
    let mut body = chat("gpt-4", "你好");
    body["stream"] = true.into();
    let reply = shop.post("/v1/chat/completions", body).await;
    let message = reply.refused(504, 50400, "timeout");
    assert!(message.contains("nothing was charged"), "{message}");
    // Nobody who reads that finds money held or gone.
    assert_eq!(shop.balance().await, (10_000_000_000, 0));
    shop.close().await;
}
