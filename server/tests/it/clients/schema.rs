//! Every reply and every chunk is what OpenAI's published description says, from the built-in provider and from one that answers as OpenAI
//! does, errors included.

use serde_json::{Value, json};

use super::open;
use crate::support::openai_schema::Schema;
use crate::support::provider::{Act, reply, stream_head, text};
use crate::support::reseller::{CLIENTS, Client, Reseller, read};

/// The same calls for either provider.
async fn answers(reseller: &Reseller) {
    let tool = json!({"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}});
    let picture =
        json!([{"type": "text", "text": "?"}, {"type": "image_url", "image_url": {"url": "https://a.example/b"}}]);
    let (whole, chunk) =
        (Schema::named("CreateChatCompletionResponse"), Schema::named("CreateChatCompletionStreamResponse"));
    for more in [
        json!({}),
        json!({"n": 2, "max_tokens": 2, "seed": 1}),
        json!({"logprobs": true, "top_logprobs": 2}),
        json!({"tools": [tool]}),
        json!({"response_format": {"type": "json_object"}}),
        json!({"messages": [{"role": "user", "content": &picture}]}),
        json!({"stream_options": {"include_usage": true}}),
    ] {
        let mut body = json!({"model": "gpt-4", "messages": [{"role": "user", "content": "你好, one two three four"}]});
        join(&mut body, &more);
        if body["stream_options"].is_null() {
            whole.check_reply(&answer(reseller, Client::OpenAi, "/v1/chat/completions", &body).await);
        }
        check_stream(reseller, "/v1/chat/completions", body, &chunk).await;
    }

    let (whole, chunk) = (Schema::named("CreateCompletionResponse"), Schema::named("CompletionChunk"));
    for more in [
        json!({}),
        json!({"n": 2, "echo": true, "max_tokens": 2}),
        json!({"logprobs": 2, "prompt": ["a b c", "d e f"]}),
        json!({"stream_options": {"include_usage": true}}),
    ] {
        let mut body = json!({"model": "text-davinci-003", "prompt": "你好, one two three four"});
        join(&mut body, &more);
        if body["stream_options"].is_null() {
            whole.check_reply(&answer(reseller, Client::OpenAi, "/v1/completions", &body).await);
        }
        check_stream(reseller, "/v1/completions", body, &chunk).await;
    }

    let whole = Schema::named("ImagesResponse");
    for format in ["url", "b64_json"] {
        let body = json!({"model": "dall-e-3", "prompt": "a cat", "n": 2, "response_format": format});
        whole.check_reply(&answer(reseller, Client::OpenAi, "/v1/images/generations", &body).await);
    }

    let whole = Schema::named("CreateEmbeddingResponse");
    for input in [json!("a"), json!(["a", "你好"]), json!([1, 2]), json!([[1, 2], [3]])] {
        let mut body = json!({"model": "text-embedding-3-small", "input": input, "dimensions": 3});
        whole.check_reply(&answer(reseller, Client::OpenAi, "/v1/embeddings", &body).await);
        body["encoding_format"] = json!("base64");
        let mut reply = answer(reseller, Client::OpenAi, "/v1/embeddings", &body).await;
        // The description knows only numbers, though the request may ask for base64.
        for entry in reply["data"].as_array_mut().expect("a list") {
            assert!(entry["embedding"].is_string(), "{entry}");
            entry["embedding"] = json!([]);
        }
        whole.check_reply(&reply);
    }

    let whole = Schema::named("CreateModerationResponse");
    for input in [json!("violence"), json!(["a", "violence"]), picture] {
        let body = json!({"input": input});
        whole.check_reply(&answer(reseller, Client::OpenAi, "/v1/moderations", &body).await);
    }

    // The original service's clients get the same objects.
    let body = json!({"model": "gpt-4", "messages": [{"role": "user", "content": "你好"}]});
    let reply = answer(reseller, Client::Original, "/index.php/api/v1/chat/completions", &body).await;
    Schema::named("CreateChatCompletionResponse").check_reply(&reply);
}

fn join(body: &mut Value, more: &Value) {
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
}

async fn answer(reseller: &Reseller, client: Client, path: &str, body: &Value) -> Value {
    let reply = reseller.call(client, path, body.clone()).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

async fn check_stream(reseller: &Reseller, path: &str, mut body: Value, chunk: &Schema) {
    body["stream"] = json!(true);
    let reply = reseller.call(Client::OpenAi, path, body).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let chunks = reply.chunks();
    assert!(chunks.len() > 1, "{reply:?}");
    for each in &chunks {
        chunk.check(each);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_built_in_provider() {
    let reseller = Reseller::open(&[]);
    let models = [
        "gpt-4=echo",
        "text-davinci-003=echo",
        "dall-e-3=echo",
        "text-embedding-3-small=echo",
        "omni-moderation-latest=echo",
    ];
    reseller.command(&["channel", "add", "--name", "echo", "--type", "echo", "--models", &models.join(",")]);
    reseller.wait_for_changes().await;
    answers(&reseller).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_provider_like_openai() {
    let (_provider, reseller) = open(&[]).await;
    answers(&reseller).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_models() {
    let (_provider, reseller) = open(&[]).await;
    Schema::named("ListModelsResponse").check_reply(&reseller.get("/v1/models").await.json());
    Schema::named("Model").check_reply(&reseller.get("/v1/models/gpt-4").await.json());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_errors() {
    let (provider, reseller) = open(&[]).await;
    let error = Schema::named("ErrorResponse");
    provider.acts("failing", vec![reply("500 Oh no", "{}")]);
    provider.acts("picky", vec![reply("400 Bad Request", r#"{"error":{"message":"no"}}"#)]);
    provider.acts("broken", vec![stream_head(), text("one two "), Act::Cut]);
    let models = [("failing", "failing"), ("picky", "picky"), ("broken", "broken")];
    reseller.add_channel("bad", &provider.url(), &models, "100");
    reseller.wait_for_changes().await;
    let asks = |model: &str| json!({"model": model, "messages": [{"role": "user", "content": "你好"}]});
    for client in CLIENTS {
        for (status, path, body) in [
            (400, "/v1/chat/completions", json!({})),
            (400, "/v1/chat/completions", json!({"messages": 1})),
            (400, "/v1/chat/completions", asks("picky")),
            (400, "/v1/completions", json!({})),
            (400, "/v1/images/generations", json!({})),
            (404, "/v1/chat/completions", asks("none")),
            (404, "/v1/nothing", json!({})),
            (405, "/v1/models", json!({})),
            (502, "/v1/chat/completions", asks("failing")),
            (503, "/v1/chat/completions", asks("gpt-3.5")),
        ] {
            let reply = reseller.call(client, path, body).await;
            assert_eq!(reply.status, status, "{client:?} {path}: {reply:?}");
            error.check_reply(&reply.json());
        }
        let key = format!("{client:?}");
        for (status, content) in [(200, "你好"), (422, "再见")] {
            let body = json!({"model": "gpt-4", "messages": [{"role": "user", "content": content}]});
            let request = reseller.request(client, "/v1/chat/completions", body).header("Idempotency-Key", &key);
            let reply = read(request).await;
            assert_eq!(reply.status, status, "{reply:?}");
            if status != 200 {
                error.check_reply(&reply.json());
            }
        }
        let mut body = asks("broken");
        body["stream"] = json!(true);
        let broken = reseller.call(client, "/v1/chat/completions", body).await;
        error.check(broken.chunks().last().expect("an error behind the text"));
    }
}
