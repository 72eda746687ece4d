//! What a provider may send, right and wrong.

use serde_json::{Value, json};

use super::{Act, Received};

/// A whole reply, with further header lines behind the status such as `"429 Too Many Requests\r\nRetry-After: 7"`.
pub(crate) fn reply(head: &str, body: &str) -> Act {
    let length = body.len();
    let kind =
        if head.to_ascii_lowercase().contains("content-type:") { "" } else { "Content-Type: application/json\r\n" };
    Act::Send(format!("HTTP/1.1 {head}\r\n{kind}Content-Length: {length}\r\n\r\n{body}").into_bytes())
}

/// The head of a stream.
pub(crate) fn stream_head() -> Act {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    Act::Send(head.as_bytes().to_vec())
}

/// Bytes within a stream.
pub(crate) fn piece(text: &str) -> Act {
    Act::Send(piece_bytes(text))
}

/// One event of a stream.
pub(crate) fn event(data: &str) -> Act {
    piece(&format!("data: {data}\n\n"))
}

/// An event with this text of an answer.
pub(crate) fn text(text: &str) -> Act {
    event(&chunk(&json!({"content": text}), None))
}

/// The event that ends an answer.
pub(crate) fn finish() -> Act {
    event(&chunk(&json!({}), Some("stop")))
}

/// `[DONE]`.
pub(crate) fn done() -> Act {
    event("[DONE]")
}

/// The orderly end of a stream.
pub(crate) fn stream_end() -> Act {
    Act::Send(b"0\r\n\r\n".to_vec())
}

/// The bytes of an HTTP chunk.
pub(crate) fn piece_bytes(text: &str) -> Vec<u8> {
    format!("{:x}\r\n{text}\r\n", text.len()).into_bytes()
}

/// The JSON of a chunk of a chat.
pub(crate) fn chunk(delta: &Value, finish_reason: Option<&str>) -> String {
    let choice = json!({"index": 0, "delta": delta, "finish_reason": finish_reason});
    json!({"id": "up-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "upstream", "choices": [choice]}).to_string()
}

/// The JSON of a whole chat with this text, and members such as `usage` behind it.
pub(crate) fn chat(text: &str, further: &Value) -> String {
    let choice = json!({"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"});
    let mut reply = json!({"id": "up-1", "object": "chat.completion", "created": 1_700_000_000, "model": "upstream", "choices": [choice]});
    for (name, value) in further.as_object().into_iter().flatten() {
        reply[name] = value.clone();
    }
    reply.to_string()
}

/// Answers with this text, whole or as a stream of these pieces.
pub(crate) fn answer(call: &Received, pieces: &[&str]) -> Vec<Act> {
    if call.json()["stream"] != true {
        return vec![reply("200 OK", &chat(&pieces.concat(), &Value::Null))];
    }
    let head = [stream_head(), event(&chunk(&json!({"role": "assistant", "content": ""}), None))];
    let texts = pieces.iter().map(|piece| text(piece));
    head.into_iter().chain(texts).chain([finish(), done(), stream_end()]).collect()
}
