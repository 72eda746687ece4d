//! What a client sends reaches the provider as it was written, and what the provider answers reaches the client as it was written, but
//! for what is ours: the key, the model's name, the identity, the usage.

use serde_json::{Value, json};

use super::{COMPLETION_PRICE, MODEL, PROMPT_PRICE, UPSTREAM, authorization, open};
use crate::support::provider::{done, event, reply, stream_end, stream_head};
use crate::support::reseller::{CLIENTS, Client, PROMPT_TOKENS, Reply, Reseller, chat_body, cost, read};

/// Members whose spelling a parser would change, in an order that a map would change.
const ODD: &str = r#""zebra":{"b":1e2,"a":[1.0,1E+2,-0.0],"\u0041":"\u00e9\/"},"temperature":0.10,"x_seed":12345678901234567890,"top_p":1e0"#;

/// Sends this body as it is.
async fn send(reseller: &Reseller, path: &str, key: Option<&str>, body: String) -> Reply {
    let mut request =
        reseller.client.post(reseller.server.url(path)).header("content-type", "application/json").body(body);
    // What no provider needs to know of a client.
    for (name, value) in [
        ("cookie", "a=b"),
        ("x-request-id", "mine"),
        ("user-agent", "spy"),
        ("openai-organization", "org"),
        ("x-title", "t"),
    ] {
        request = request.header(name, value);
    }
    if let Some(key) = key {
        request = request.bearer_auth(key);
    }
    read(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_reaches_the_provider_byte_for_byte() {
    let (provider, reseller) = open(&[], "100.00").await;
    let (key, messages) =
        (&reseller.key, r#""messages":[ {"role" : "user", "content":"caf\u00e9 \ud83d\ude00 \"x\" 你好" } ]"#);
    let inner = format!("{ODD},{messages},\"max_tokens\":100");
    let usage = r#","stream":true,"stream_options":{"include_usage":true}"#;
    let path = "/v1/chat/completions";
    for (name, header, body, behind) in [
        ("header", Some(key), format!("{{\"model\":\"{MODEL}\",{inner}}}"), ""),
        ("header, streamed", Some(key), format!("{{\"stream\":true,{inner},\"model\":\"{MODEL}\"}}"), usage),
        (
            "header, and a key in the body",
            Some(key),
            format!("{{\"api_secret_key\":\"{key}\",{inner},\"model\":\"{MODEL}\"}}"),
            "",
        ),
        ("body", None, format!("{{{inner},\"api_secret_key\":\"{key}\",\"model\":\"{MODEL}\"}}"), ""),
        (
            "body, in escapes",
            None,
            format!("{{\"api\\u005fsecret_key\":\"{key}\",{inner},\"m\\u006fdel\":\"{MODEL}\"}}"),
            "",
        ),
        (
            "body, streamed",
            None,
            format!("{{{inner},\"stream\":true,\"api_secret_key\":\"{key}\",\"model\":\"{MODEL}\"}}"),
            usage,
        ),
    ] {
        let before = provider.received(UPSTREAM).len();
        let reply = send(&reseller, path, header.map(String::as_str), body).await;
        assert_eq!(reply.status, 200, "{name}: {reply:?}");
        let received = provider.received(UPSTREAM);
        let [call] = &received[before..] else { panic!("{name}: {received:?}") };
        assert_eq!(call.body, format!("{{{inner},\"model\":\"{UPSTREAM}\"{behind}}}"), "{name}");
        assert_eq!(call.path, path, "{name}");

        let mut names: Vec<_> = call.headers.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            ["accept", "authorization", "content-length", "content-type", "host", "user-agent"],
            "{name}"
        );
        assert_eq!(call.header("authorization"), Some(authorization().as_str()), "{name}");
        assert_eq!(call.header("content-type"), Some("application/json"), "{name}");
        let everything = format!("{call:?}");
        assert!(
            !everything.contains("api_secret_key") && !everything.contains(key.as_str()) && !everything.contains("spy"),
            "{name}: {everything}"
        );
    }
    // The message: "café 😀 \"x\" 你好" is two hanzi and three words.
    reseller.assert_books(6 * (cost(5, PROMPT_PRICE) + cost(5, COMPLETION_PRICE))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_endpoints_reach_the_provider_too() {
    let (provider, reseller) = open(&[], "100.00").await;
    provider.on(UPSTREAM, |call| {
        let body = match call.path.as_str() {
            "/v1/completions" => r#"{"choices":[{"index":0,"text":"pong","finish_reason":"stop"}]}"#,
            _ => r#"{"created":1,"data":[{"url":"https://images.example/1"},{"url":"https://images.example/2"}]}"#,
        };
        vec![reply("200 OK", body)]
    });
    let completion = format!("{{\"prompt\":\"ping\",{ODD},\"model\":\"text-davinci-003\"}}");
    let answer = send(&reseller, "/v1/completions", Some(&reseller.key), completion).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let image = format!("{{\"prompt\":\"a cat\",\"n\":2,\"size\":\"512x512\",{ODD}}}");
    let images = send(&reseller, "/v1/images/generations", Some(&reseller.key), image).await;
    assert_eq!(images.status, 200, "{images:?}");
    // The two pictures are handed on as they are: no URL in an answer is fetched.
    assert_eq!(
        images.json()["data"],
        json!([{"url": "https://images.example/1"}, {"url": "https://images.example/2"}])
    );

    let [first, second] = &provider.received(UPSTREAM)[..] else { panic!("two calls") };
    assert_eq!((first.path.as_str(), second.path.as_str()), ("/v1/completions", "/v1/images/generations"));
    // Without a max_tokens of its own the original document's default holds for every provider.
    assert_eq!(first.body, format!("{{\"prompt\":\"ping\",{ODD},\"max_tokens\":16,\"model\":\"{UPSTREAM}\"}}"));
    assert_eq!(
        second.body,
        format!("{{\"prompt\":\"a cat\",\"n\":2,\"size\":\"512x512\",{ODD},\"model\":\"{UPSTREAM}\"}}")
    );
    reseller.assert_books(cost(1, PROMPT_PRICE) + cost(1, COMPLETION_PRICE) + 2 * 300_000_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_reaches_the_client_as_it_was_written() {
    let (provider, reseller) = open(&[], "100.00").await;
    let choices = r#"[ {"index":0,"message":{"role":"assistant","content":"caf\u00e9","annotations":[1.50]},"finish_reason":"stop","logprobs":null,"x":1e2} ]"#;
    let upstream = format!(
        r#"{{"id":"theirs","object":"chat.completion","created":1700000001,"model":"{UPSTREAM}","choices":{choices},"usage":{{"prompt_tokens":900,"completion_tokens":800,"total_tokens":1700}},"system_fingerprint":"fp","score":0.10,"big":12345678901234567890}}"#
    );
    provider.acts(UPSTREAM, vec![reply("200 OK", &upstream)]);
    for client in CLIENTS {
        let reply = reseller.chat(client, MODEL, false).await;
        let id = format!("chatcmpl-{}", reply.request_id().replace('-', ""));
        let expected = format!(
            r#"{{"code":0,"msg":"","id":"{id}","object":"chat.completion","created":1700000001,"model":"{MODEL}","choices":{choices},"usage":{{"prompt_tokens":{PROMPT_TOKENS},"completion_tokens":1,"total_tokens":{}}},"system_fingerprint":"fp","score":0.10,"big":12345678901234567890}}"#,
            PROMPT_TOKENS + 1
        );
        assert_eq!(reply.body, expected, "{client:?}");
        let entry = reseller.entry(reply.request_id()).await.unwrap();
        assert_eq!(entry["charge"]["basis"], "estimate", "{entry}");
        assert_eq!(
            (&entry["charge"]["prompt"]["upstream_tokens"], &entry["charge"]["completion"]["upstream_tokens"]),
            (&json!(900), &json!(800))
        );
    }
    reseller.assert_books(2 * (cost(PROMPT_TOKENS, PROMPT_PRICE) + cost(1, COMPLETION_PRICE))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_reaches_the_client_as_it_was_written() {
    let (provider, reseller) = open(&[], "100.00").await;
    let chunk = |choices: &str| {
        format!(
            r#"{{"id":"theirs","object":"chat.completion.chunk","created":1700000001,"model":"{UPSTREAM}","choices":{choices},"x":0.10,"usage":null}}"#
        )
    };
    let choices = [
        r#"[{"index":0,"delta":{"role":"assistant","content":""},"y":1e2,"finish_reason":null}]"#,
        r#"[{"index":0,"delta":{"content":"caf\u00e9 "},"finish_reason":null}]"#,
        r#"[{"index":0,"delta":{},"finish_reason":"stop"}]"#,
    ];
    let events = choices.map(|choices| event(&chunk(choices)));
    let usage = event(&format!(
        r#"{{"id":"theirs","created":1700000001,"model":"{UPSTREAM}","choices":[],"usage":{{"prompt_tokens":900,"completion_tokens":800}}}}"#
    ));
    provider.acts(UPSTREAM, [stream_head()].into_iter().chain(events).chain([usage, done(), stream_end()]).collect());
    for (client, options, asks) in [
        (Client::OpenAi, Value::Null, false),
        (Client::OpenAi, json!({"include_usage": false}), false),
        (Client::OpenAi, json!({"include_usage": true}), true),
        (Client::Original, Value::Null, false),
    ] {
        let mut body = chat_body(MODEL, true);
        if !options.is_null() {
            body["stream_options"] = options.clone();
        }
        let reply = reseller.call(client, "/v1/chat/completions", body).await;
        let id = format!("chatcmpl-{}", reply.request_id().replace('-', ""));
        let identity =
            format!(r#"{{"id":"{id}","object":"chat.completion.chunk","created":1700000001,"model":"{MODEL}","#);
        let no_usage = if asks { r#","usage":null"# } else { "" };
        let mut expected: Vec<String> =
            choices.iter().map(|choices| format!(r#"{identity}"choices":{choices},"x":0.10{no_usage}}}"#)).collect();
        if asks {
            let total = PROMPT_TOKENS + 1;
            expected.push(format!(
                r#"{identity}"choices":[],"usage":{{"prompt_tokens":{PROMPT_TOKENS},"completion_tokens":1,"total_tokens":{total}}}}}"#
            ));
        }
        assert_eq!(reply.events(), expected, "{client:?} {options}");
        assert_eq!(reply.header("content-type"), Some("text/event-stream"));
        let call = provider.received(UPSTREAM).pop().unwrap();
        assert_eq!(call.json()["stream_options"], json!({"include_usage": true}), "{client:?} {options}");
    }
    reseller.assert_books(4 * (cost(PROMPT_TOKENS, PROMPT_PRICE) + cost(1, COMPLETION_PRICE))).await;
}
