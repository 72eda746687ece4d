//! One call as a client makes it, and what that client saw of its answer.

use std::time::Duration;

use serde_json::{Value, json};

/// Longer than this no call of a test takes; one that does is a fault, not a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a client sees at most: the end of an answer, an error that was sent whole, or a connection that broke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Saw {
    /// A complete 200 body, or `finish_reason` or `[DONE]` without an error.
    End,
    /// An error reply, or an error frame in a stream.
    Error { status: u16, code: String, message: String },
    /// Neither. Some text may have come before.
    Broken { why: String },
}

/// A call's result from its client's side.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// `x-request-id`, when a status line came.
    pub(crate) request_id: Option<String>,
    /// What came.
    pub(crate) saw: Saw,
    /// The seconds of `Retry-After`, when there was one.
    pub(crate) retry_after: Option<u64>,
    /// The text of the answer, as far as it came; of images the number.
    pub(crate) text: String,
}

impl Seen {
    /// Whether the client was told that nothing was charged.
    pub(crate) fn says_nothing_was_charged(&self) -> bool {
        matches!(&self.saw, Saw::Error { message, .. } if message.contains("nothing was charged"))
    }

    /// Whether the client was refused for the moment only, and may try again.
    pub(crate) fn is_refused_for_now(&self) -> bool {
        matches!(self.saw, Saw::Error { status: 429 | 503, .. })
    }
}

/// Where the Secret Key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyIn {
    Header,
    Body,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    /// Behind the server's address.
    pub(crate) path: &'static str,
    /// Without the key.
    pub(crate) body: Value,
    pub(crate) key: String,
    pub(crate) key_in: KeyIn,
    /// What it costs at the default prices when echo answers it, in 1e-9.
    pub(crate) cost: i64,
}

impl Order {
    fn new(path: &'static str, key: &str, body: Value, cost: i64) -> Self {
        Self { path, body, key: key.to_owned(), key_in: KeyIn::Header, cost }
    }

    /// A chat of one message of nothing but hanzi, with OpenAI's rules.
    pub(crate) fn chat(key: &str, content: &str) -> Self {
        let body = json!({"model": "gpt-4", "messages": [{"role": "user", "content": content}]});
        Self::new("/v1/chat/completions", key, body, cost_of_echoed_hanzi(content))
    }

    /// A completion of a prompt of nothing but hanzi.
    pub(crate) fn completion(key: &str, prompt: &str) -> Self {
        let body = json!({"model": "text-davinci-003", "prompt": prompt, "max_tokens": 1000});
        Self::new("/v1/completions", key, body, cost_of_echoed_hanzi(prompt))
    }

    /// One small image.
    pub(crate) fn image(key: &str) -> Self {
        let body = json!({"prompt": "一只猫", "size": "256x256"});
        Self::new("/v1/images/generations", key, body, 300_000_000)
    }

    /// The same with one more field.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.body[name] = value.into();
        self
    }

    /// The same, streamed.
    pub(crate) fn streamed(self) -> Self {
        self.with("stream", true)
    }

    /// The same with the key in the body, so that the original rules apply.
    pub(crate) fn with_key_in_body(self) -> Self {
        Self { key_in: KeyIn::Body, ..self }
    }

    fn is_stream(&self) -> bool {
        self.body["stream"] == true
    }
}

/// A hanzi is a token, a million of them cost 10 in the prompt and 30 in the answer, and the answer is the prompt.
fn cost_of_echoed_hanzi(text: &str) -> i64 {
    let hanzi = i64::try_from(text.chars().count()).expect("a short text");
    hanzi * (10_000 + 30_000)
}

/// Makes the call and reads the answer to its end.
pub(crate) async fn call(client: &reqwest::Client, base: &str, order: &Order) -> Seen {
    match tokio::time::timeout(PATIENCE, call_patiently(client, base, order)).await {
        Ok(seen) => seen,
        Err(_) => panic!("a call took longer than {PATIENCE:?}: {order:?}"),
    }
}

async fn call_patiently(client: &reqwest::Client, base: &str, order: &Order) -> Seen {
    let mut body = order.body.clone();
    let mut request = client.post(format!("{base}{}", order.path)).header("content-type", "application/json");
    match order.key_in {
        KeyIn::Header => request = request.header("authorization", format!("Bearer {}", order.key)),
        KeyIn::Body => body["api_secret_key"] = Value::from(order.key.as_str()),
    }
    let broken = |why: reqwest::Error| Saw::Broken { why: format!("{why:?}") };
    let mut response = match request.body(body.to_string()).send().await {
        Ok(response) => response,
        Err(error) => return Seen { request_id: None, saw: broken(error), retry_after: None, text: String::new() },
    };
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let request_id = header("x-request-id");
    let retry_after = header("retry-after").and_then(|seconds| seconds.parse().ok());
    let status = response.status().as_u16();
    let mut stream = (status == 200 && order.is_stream()).then(StreamReader::default);
    let mut received = Vec::new();
    let failed = loop {
        match response.chunk().await {
            Ok(Some(piece)) => {
                received.extend_from_slice(&piece);
                if let Some(stream) = &mut stream {
                    stream.read(&received);
                }
            }
            Ok(None) => break None,
            Err(error) => break Some(broken(error)),
        }
    };
    let (saw, text) = match (stream, failed) {
        (Some(stream), failed) => (stream.saw(failed), stream.text),
        (None, Some(failed)) => (failed, String::new()),
        (None, None) => whole(status, &received),
    };
    Seen { request_id, saw, retry_after, text }
}

fn whole(status: u16, body: &[u8]) -> (Saw, String) {
    let Ok(object) = serde_json::from_slice::<Value>(body) else {
        panic!("a reply with status {status} is not JSON: {}", String::from_utf8_lossy(body));
    };
    if status != 200 {
        return (error_of(status, &object["error"]), String::new());
    }
    assert_eq!((&object["code"], &object["msg"]), (&json!(0), &json!("")), "{object}");
    let text = match (&object["data"], &object["choices"][0]) {
        (Value::Array(images), _) => images.len().to_string(),
        (_, choice) => {
            let text = choice["message"]["content"].as_str().or(choice["text"].as_str());
            text.unwrap_or_else(|| panic!("no text in {object}")).to_owned()
        }
    };
    (Saw::End, text)
}

fn error_of(status: u16, error: &Value) -> Saw {
    let text = |name: &str| error[name].as_str().unwrap_or_else(|| panic!("no {name} in {error}")).to_owned();
    Saw::Error { status, code: text("code"), message: text("message") }
}

/// Reads the events of a stream as they come.
#[derive(Debug, Default)]
struct StreamReader {
    /// How much of what was received has been read.
    position: usize,
    text: String,
    is_finished: bool,
    error: Option<Saw>,
}

impl StreamReader {
    fn read(&mut self, received: &[u8]) {
        while let Some(length) = received[self.position..].windows(2).position(|pair| pair == b"\n\n") {
            let event = &received[self.position..self.position + length];
            self.position += length + 2;
            for line in String::from_utf8_lossy(event).lines() {
                self.line(line);
            }
        }
    }

    fn line(&mut self, line: &str) {
        let Some(data) = line.strip_prefix("data: ") else {
            assert!(line.starts_with(": "), "a stream holds this line: {line:?}");
            return;
        };
        if data == "[DONE]" {
            self.is_finished = true;
            return;
        }
        let chunk: Value = serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}"));
        if !chunk["error"].is_null() {
            self.error = Some(error_of(200, &chunk["error"]));
            return;
        }
        let choice = &chunk["choices"][0];
        let text = choice["delta"]["content"].as_str().or(choice["text"].as_str());
        self.text.push_str(text.unwrap_or_default());
        self.is_finished |= choice["finish_reason"].is_string();
    }

    fn saw(&self, failed: Option<Saw>) -> Saw {
        match (&self.error, self.is_finished, failed) {
            (Some(error), ..) => error.clone(),
            (None, true, _) => Saw::End,
            (None, false, Some(failed)) => failed,
            (None, false, None) => Saw::Broken { why: "the stream ended without an end".to_owned() },
        }
    }
}
