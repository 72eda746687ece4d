//! Embeddings and moderations of a provider: what passes through, what is billed, and what is no answer.

use serde_json::{Value, json};

use super::{PROMPT_PRICE, UPSTREAM, open};
use crate::support::provider::{Act, reply};
use crate::support::reseller::{Client, Reply, Reseller, cost};

const EMBEDDINGS: &str = "/v1/embeddings";
const MODERATIONS: &str = "/v1/moderations";

async fn send(reseller: &Reseller, path: &str, body: &str) -> Reply {
    let request = reseller.client.post(reseller.server.url(path)).bearer_auth(&reseller.key);
    let request = request.header("content-type", "application/json").body(body.to_owned());
    crate::support::reseller::read(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn embeddings_pass_through_byte_for_byte() {
    let (provider, reseller) = open(&[], "100.00").await;
    let vectors = ["[ -0.0069292830, 1E-7 ,12345678901234567890.5,-0.0]", "[1e0]"];
    let theirs = format!(
        r#"{{"id":"theirs","object":"list","data":[{{"object":"embedding","index":0,"embedding":{}}},{{"object":"embedding","index":1,"embedding":{},"x":0.10}}],"model":"{UPSTREAM}","usage":{{"prompt_tokens":900,"total_tokens":900}},"y":1.50}}"#,
        vectors[0], vectors[1]
    );
    provider.acts(UPSTREAM, vec![reply("200 OK", &theirs)]);
    let inner = r#""input":[ "caf\u00e9 你好", "b" ],"encoding_format":"float","dimensions":4,"user":"me","x_seed":1.0e0,"stream":true"#;
    let answer = send(&reseller, EMBEDDINGS, &format!(r#"{{{inner},"model":"text-embedding-3-small"}}"#)).await;
    let expected = format!(
        r#"{{"code":0,"msg":"","object":"list","data":[{{"object":"embedding","index":0,"embedding":{}}},{{"object":"embedding","index":1,"embedding":{},"x":0.10}}],"model":"text-embedding-3-small","usage":{{"prompt_tokens":4,"total_tokens":4}},"y":1.50}}"#,
        vectors[0], vectors[1]
    );
    assert_eq!((answer.status, answer.body.as_str()), (200, expected.as_str()));
    let call = provider.only(UPSTREAM);
    assert_eq!((call.path.as_str(), call.body), (EMBEDDINGS, format!(r#"{{{inner},"model":"{UPSTREAM}"}}"#)));
    assert_eq!(
        call.headers.iter().find(|(name, _)| name == "accept").map(|(_, value)| value.as_str()),
        Some("application/json")
    );

    let entry = reseller.entry(answer.request_id()).await.unwrap();
    let charge = &entry["charge"];
    assert_eq!((&charge["endpoint"], &charge["basis"]), (&json!("embeddings"), &json!("estimate")));
    assert_eq!(
        (&charge["prompt"]["upstream_tokens"], &charge["completion"]["upstream_tokens"]),
        (&json!(900), &json!(0))
    );
    reseller.assert_books(cost(4, PROMPT_PRICE)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_does_not_know_base64() {
    let (provider, reseller) = open(&[], "100.00").await;
    provider.acts(UPSTREAM, vec![reply("200 OK", r#"{"data":[{"embedding":[0.5,-2.0],"index":0}]}"#)]);
    let body = json!({"model": "text-embedding-3-small", "input": "a", "encoding_format": "base64"});
    let answer = reseller.call(Client::OpenAi, EMBEDDINGS, body).await;
    assert_eq!(answer.json()["data"], json!([{"object": "embedding", "index": 0, "embedding": "AAAAPwAAAMA="}]));
    reseller.assert_books(cost(1, PROMPT_PRICE)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn moderations_pass_through_byte_for_byte() {
    let (provider, reseller) = open(&[], "100.00").await;
    let results = r#"[ {"flagged":true,"categories":{"hate":true},"category_scores":{"hate":9.10e-01}} ]"#;
    let theirs = format!(r#"{{"id":"modr-theirs","model":"{UPSTREAM}","results":{results},"x":0.10}}"#);
    provider.acts(UPSTREAM, vec![reply("200 OK", &theirs)]);
    let inner = r#""input":[ {"type":"text","text":"one two"},{"type":"image_url","image_url":{"url":"https://images.example/1"}} ],"x":1.0"#;
    let answer = send(&reseller, MODERATIONS, &format!("{{{inner}}}")).await;
    let id = answer.request_id().replace('-', "");
    let expected = format!(
        r#"{{"code":0,"msg":"","id":"modr-{id}","model":"omni-moderation-latest","results":{results},"x":0.10}}"#
    );
    assert_eq!((answer.status, answer.body.as_str()), (200, expected.as_str()));
    let call = provider.only(UPSTREAM);
    assert_eq!((call.path.as_str(), call.body), (MODERATIONS, format!(r#"{{{inner},"model":"{UPSTREAM}"}}"#)));
    reseller.assert_books(cost(2 + 300, PROMPT_PRICE)).await;
}

/// What is no answer, for two inputs.
const NONSENSE: [(&str, &str); 10] = [
    (EMBEDDINGS, r#"{"object":"list"}"#),
    (EMBEDDINGS, r#"{"data":[]}"#),
    (EMBEDDINGS, r#"{"data":[{"index":0,"embedding":[1]}]}"#),
    (EMBEDDINGS, r#"{"data":[{"index":0,"embedding":[1]},{"index":1,"embedding":[2]},{"index":2,"embedding":[3]}]}"#),
    (EMBEDDINGS, r#"{"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[2]}]}"#),
    (EMBEDDINGS, r#"{"data":[{"index":0,"embedding":[1]},{"index":1,"embedding":[]}]}"#),
    (EMBEDDINGS, r#"{"data":[{"index":0,"embedding":[1]},{"index":1,"embedding":"not base64"}]}"#),
    (EMBEDDINGS, r#"{"error":{"message":"no"}}"#),
    (MODERATIONS, r#"{"results":[{"flagged":false}]}"#),
    (MODERATIONS, r#"{"results":[{"flagged":false},{}]}"#),
];

fn two_inputs() -> Value {
    json!({"model": "text-embedding-3-small", "input": ["one", "two"]})
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_is_charged_to_nobody() {
    let (provider, reseller) = open(&[], "100.00").await;
    for (path, nonsense) in NONSENSE {
        provider.acts(UPSTREAM, vec![reply("200 OK", nonsense)]);
        let answer = reseller.call(Client::OpenAi, path, two_inputs()).await;
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (502, &json!("upstream_error")), "{nonsense}");
        assert!(answer.json()["msg"].as_str().unwrap().contains("nothing was charged"), "{answer:?}");
    }
    let rejection = r#"{"error":{"message":"too long for upstream-model","param":"input"}}"#;
    provider.acts(UPSTREAM, vec![reply("400 Bad Request", rejection)]);
    let answer = reseller.call(Client::OpenAi, EMBEDDINGS, two_inputs()).await;
    assert_eq!((answer.status, &answer.json()["code"]), (400, &json!(40005)));
    assert_eq!(answer.json()["error"]["param"], "input");
    provider.acts(UPSTREAM, vec![Act::Cut]);
    assert_eq!(reseller.call(Client::OpenAi, EMBEDDINGS, two_inputs()).await.status, 502);
    reseller.assert_books(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_nonsense_the_next_channel_is_asked() {
    let (provider, reseller) = open(&[], "100.00").await;
    reseller.add_channel("second", &provider.url(), &[("text-embedding-3-small", "second")], "200");
    reseller.wait_for_changes().await;
    let good = r#"{"data":[{"index":1,"embedding":[2]},{"index":0,"embedding":[1]}]}"#;
    provider.acts("second", vec![reply("200 OK", good)]);
    provider.acts(UPSTREAM, vec![reply("200 OK", NONSENSE[2].1)]);
    let answer = reseller.call(Client::OpenAi, EMBEDDINGS, two_inputs()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!((provider.received(UPSTREAM).len(), provider.received("second").len()), (1, 1));
    reseller.assert_books(cost(2, PROMPT_PRICE)).await;
}

/// With a price by the provider's count, more is held than the estimate, and what the provider counts is charged and told.
#[tokio::test(flavor = "multi_thread")]
async fn a_price_may_bill_the_providers_count() {
    let (provider, reseller) = open(&[], "0.00015").await;
    reseller.command(&[
        "price",
        "set",
        "text-embedding-3-small",
        "--prompt",
        "10.00",
        "--completion",
        "0",
        "--basis",
        "upstream",
    ]);
    reseller.wait_for_changes().await;
    let answer_of = |usage: Value| {
        let theirs = json!({"data": [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": [2]}], "usage": usage});
        vec![reply("200 OK", &theirs.to_string())]
    };
    // Twice the eight tokens do not fit into fifteen.
    let body = json!({"model": "text-embedding-3-small", "input": ["一二三四", "五六七八"]});
    let refused = reseller.call(Client::OpenAi, EMBEDDINGS, body).await;
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (402, &json!("insufficient_quota")));
    let mut charges = 0;
    for (usage, billed) in [
        (json!({"prompt_tokens": 4, "total_tokens": 4}), 4),
        (json!({"prompt_tokens": 0, "total_tokens": 0}), 2),
        (json!({"total_tokens": 4}), 2),
        (Value::Null, 2),
    ] {
        provider.acts(UPSTREAM, answer_of(usage.clone()));
        let answer = reseller.call(Client::OpenAi, EMBEDDINGS, two_inputs()).await;
        assert_eq!(answer.json()["usage"], json!({"prompt_tokens": billed, "total_tokens": billed}), "{usage}");
        charges += cost(billed, PROMPT_PRICE);
    }
    reseller.assert_books(charges).await;
}
