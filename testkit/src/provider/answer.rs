//! The bytes of answers.

use super::ProviderSettings;
use super::order::Order;

/// What the text of all answers is made of.
const HANZI: [&str; 8] = ["天", "地", "玄", "黄", "宇", "宙", "洪", "荒"];

/// The head of a stream.
pub(super) const STREAM_HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
/// The end of a stream.
pub(super) const STREAM_END: &[u8] = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n";

/// A whole reply.
pub(super) fn reply(status: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        .into_bytes()
}

/// An error reply in OpenAI's form.
pub(super) fn error(status: &str, message: &str) -> Vec<u8> {
    reply(status, &format!(r#"{{"error":{{"message":"{message}","type":"server_error","param":null,"code":null}}}}"#))
}

/// The whole answer of a chat that is not streamed.
pub(super) fn whole(order: &Order) -> Vec<u8> {
    let text: String = (0..order.settings.chunks).map(|_| text(order.settings.hanzi)).collect();
    let body = format!(
        r#"{{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":{},"choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"stop"}}],"usage":{}}}"#,
        name(order),
        usage(order.settings)
    );
    reply("200 OK", &body)
}

/// The first event of a stream, without text.
pub(super) fn opening(order: &Order) -> Vec<u8> {
    event(order, r#"{"role":"assistant","content":""}"#, "null")
}

/// One event with text.
pub(super) fn chunk(order: &Order) -> Vec<u8> {
    event(order, &format!(r#"{{"content":"{}"}}"#, text(order.settings.hanzi)), "null")
}

/// What follows the last text: why it ended, and the usage if it was asked for.
pub(super) fn closing(order: &Order) -> Vec<u8> {
    let mut closing = event(order, "{}", r#""stop""#);
    if order.wants_usage {
        closing.extend(encoded(&format!(
            r#"{{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":{},"choices":[],"usage":{}}}"#,
            name(order),
            usage(order.settings)
        )));
    }
    closing
}

fn event(order: &Order, delta: &str, finish_reason: &str) -> Vec<u8> {
    encoded(&format!(
        r#"{{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":{},"choices":[{{"index":0,"delta":{delta},"finish_reason":{finish_reason}}}]}}"#,
        name(order)
    ))
}

/// An event in a chunk of the transfer encoding.
fn encoded(data: &str) -> Vec<u8> {
    format!("{:x}\r\ndata: {data}\n\n\r\n", data.len() + "data: \n\n".len()).into_bytes()
}

fn text(hanzi: u32) -> String {
    HANZI.iter().cycle().take(hanzi as usize).copied().collect()
}

fn name(order: &Order) -> serde_json::Value {
    serde_json::Value::from(order.model.as_str())
}

fn usage(settings: ProviderSettings) -> String {
    let completion = settings.chunks * settings.hanzi;
    format!(r#"{{"prompt_tokens":10,"completion_tokens":{completion},"total_tokens":{}}}"#, completion + 10)
}
