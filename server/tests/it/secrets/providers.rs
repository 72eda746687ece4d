//! Providers that say the key which they were given: in their errors, in nonsense, in headers, in streams.

use serde_json::{Value, json};

use crate::support::provider::{
    Act, Provider, answer, chat, chunk, done, event, finish, piece, reply, stream_end, stream_head, text,
};

/// Teaches the provider every way to tell; gives the models.
pub(super) fn prepare(provider: &Provider) -> Vec<String> {
    let mut models = Vec::new();
    let mut tells = |name: String, tell: Tell| {
        let model = format!("tells-{name}");
        // Without the word in front, which would give it away.
        provider.on(&model, move |call| tell(call.header("authorization").unwrap().trim_start_matches("Bearer ")));
        models.push(model);
    };
    for status in [400, 401, 403, 404, 413, 422, 429, 500, 503] {
        tells(format!("{status}"), Box::new(move |key| vec![reply(&format!("{status} No"), &error(key))]));
        tells(format!("{status}-in-text"), Box::new(move |key| vec![reply(&format!("{status} No"), key)]));
        tells(
            format!("{status}-in-headers"),
            Box::new(move |key| vec![reply(&format!("{status} {key}\r\nX-Key: {key}\r\nRetry-After: {key}"), "{}")]),
        );
    }
    tells(
        "302".to_owned(),
        Box::new(|key| vec![reply(&format!("302 No\r\nLocation: http://127.0.0.1:1/?key={key}"), key)]),
    );
    tells("type".to_owned(), Box::new(|key| vec![reply(&format!("200 OK\r\nContent-Type: text/{key}"), key)]));
    tells("no-http".to_owned(), Box::new(|key| vec![Act::Send(format!("{key}\r\n\r\n").into_bytes()), Act::Close]));
    tells(
        "bad-header".to_owned(),
        Box::new(|key| vec![Act::Send(format!("HTTP/1.1 200 OK\r\n{key} {key}\r\n\r\n").into_bytes()), Act::Close]),
    );
    tells(
        "headers".to_owned(),
        Box::new(|key| vec![reply(&format!("200 OK\r\nX-Key: {key}"), &chat("pong", &Value::Null))]),
    );
    for (name, body) in shapes() {
        tells(format!("whole-{name}"), Box::new(move |key| vec![reply("200 OK", &body(key))]));
    }
    for (name, body) in shapes() {
        let body = std::sync::Arc::new(body);
        let again = std::sync::Arc::clone(&body);
        tells(
            format!("stream-{name}"),
            Box::new(move |key| vec![stream_head(), event(&body(key)), done(), stream_end()]),
        );
        tells(
            format!("late-{name}"),
            Box::new(move |key| vec![stream_head(), text("pong"), event(&again(key)), done(), stream_end()]),
        );
    }
    tells(
        "comments".to_owned(),
        Box::new(|key| {
            let odd = piece(&format!(": {key}\nid: {key}\nevent: {key}\nretry: {key}\n{key}: {key}\n\n"));
            vec![stream_head(), odd, text("pong"), finish(), done(), stream_end()]
        }),
    );
    tells(
        "cut".to_owned(),
        Box::new(|key| vec![stream_head(), text("pong"), piece(&format!("data: {{\"{key}")), Act::Cut]),
    );
    tells("long-line".to_owned(), Box::new(|key| vec![stream_head(), event(&key.repeat(200)), done(), stream_end()]));
    tells(
        "chunk".to_owned(),
        Box::new(|key| vec![stream_head(), Act::Send(format!("{key}\r\n").into_bytes()), Act::Close]),
    );
    for model in ["gpt-4o-mini", "gpt-4o", "typed"] {
        provider.on(model, |call| answer(call, &["pong"]));
    }
    models
}

/// What is done with a call that came with this key.
type Tell = Box<dyn Fn(&str) -> Vec<Act> + Send + Sync>;

type Body = Box<dyn Fn(&str) -> String + Send + Sync>;

/// JSON that holds the key where no answer has one.
fn shapes() -> Vec<(String, Body)> {
    let mut shapes: Vec<(String, Body)> = vec![
        ("error".to_owned(), Box::new(error)),
        ("error-text".to_owned(), Box::new(|key| json!({"error": key}).to_string())),
        ("error-code".to_owned(), Box::new(|key| json!({"error": {"code": key}}).to_string())),
        ("half".to_owned(), Box::new(|key| format!("{{\"choices\":[\"{key}"))),
        ("unquoted".to_owned(), Box::new(|key| format!("{{\"choices\":[{key}]}}"))),
        ("text".to_owned(), Box::new(|key| json!(key).to_string())),
        ("list".to_owned(), Box::new(|key| json!([key]).to_string())),
        ("choices".to_owned(), Box::new(|key| json!({"choices": key}).to_string())),
        ("choice".to_owned(), Box::new(|key| json!({"choices": [key]}).to_string())),
        ("delta-index".to_owned(), Box::new(|key| json!({"choices": [{"index": key, "delta": key}]}).to_string())),
        (
            "calls".to_owned(),
            Box::new(|key| {
                let calls = json!({"tool_calls": [key]});
                json!({"choices": [{"message": calls.clone(), "delta": calls}]}).to_string()
            }),
        ),
        (
            "name-twice".to_owned(),
            Box::new(|key| {
                format!("{{\"choices\":[{{\"delta\":\"{key}\",\"delta\":1,\"message\":\"{key}\",\"message\":1}}]}}")
            }),
        ),
        (
            "usage".to_owned(),
            Box::new(|key| {
                let chunk: Value = serde_json::from_str(&chunk(&json!({}), None)).unwrap();
                json!({"choices": chunk["choices"], "usage": key}).to_string()
            }),
        ),
    ];
    // What the log shows of a provider's words is cut somewhere; a piece of a key is no longer the key that is looked for.
    for length in (100..220).step_by(7) {
        let pad = "p ".repeat(length / 2);
        let (first, second) = (pad.clone(), pad);
        shapes.push((format!("padded-error-{length}"), Box::new(move |key| error(&format!("{first}{key}")))));
        shapes.push((
            format!("padded-message-{length}"),
            Box::new(move |key| {
                let text = format!("{second}{key}");
                json!({"choices": [{"index": 0, "message": text, "delta": text}]}).to_string()
            }),
        ));
    }
    shapes
}

fn error(words: &str) -> String {
    json!({"error": {"message": format!("not with {words}"), "type": words, "param": words, "code": words}}).to_string()
}
