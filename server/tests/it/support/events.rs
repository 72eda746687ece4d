//! A streamed reply, read event by event, with nothing between its events but what the contract allows.

use reqwest::{RequestBuilder, Response};
use serde_json::Value;

/// One line of a stream that is not empty.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Event {
    /// A line of `: ...`.
    Comment(String),
    /// A chunk, or an error.
    Data(Value),
    /// `[DONE]`
    Done,
}

/// A stream that is being read.
pub(crate) struct Events {
    response: Response,
    received: Vec<u8>,
}

impl Events {
    /// Sends a request and waits for the head of its reply, which must be a stream's.
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.expect("the server answers");
        let header = |name: &str| {
            response.headers().get(name).map(|value| value.to_str().expect("a header of ASCII").to_owned())
        };
        let told =
            (response.status().as_u16(), header("content-type"), header("cache-control"), header("x-accel-buffering"));
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(told, (200, text("text/event-stream"), text("no-cache"), text("no")));
        Self { response, received: Vec::new() }
    }

    pub(crate) fn request_id(&self) -> String {
        self.response.headers()["x-request-id"].to_str().expect("a header of ASCII").to_owned()
    }

    /// The next event; `None` when the reply has ended.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            let Some(length) = self.received.iter().position(|byte| *byte == b'\n') else {
                let Some(piece) = self.response.chunk().await.expect("the stream goes on") else {
                    assert!(self.received.is_empty(), "the stream ended within a line");
                    return None;
                };
                self.received.extend_from_slice(&piece);
                continue;
            };
            let line: Vec<u8> = self.received.drain(..=length).collect();
            let line = std::str::from_utf8(&line[..length]).expect("UTF-8");
            if let Some(data) = line.strip_prefix("data: ") {
                self.empty_line().await;
                return Some(match data {
                    "[DONE]" => Event::Done,
                    _ => Event::Data(serde_json::from_str(data).expect("JSON")),
                });
            }
            assert!(line.starts_with(": "), "neither a comment nor data: {line:?}");
            return Some(Event::Comment(line.to_owned()));
        }
    }

    /// Behind each data line.
    async fn empty_line(&mut self) {
        while self.received.is_empty() {
            let piece =
                self.response.chunk().await.expect("the stream goes on").expect("an event ends with an empty line");
            self.received.extend_from_slice(&piece);
        }
        assert_eq!(self.received.remove(0), b'\n', "an event ends with an empty line");
    }

    /// The next chunk of a stream without comments.
    pub(crate) async fn chunk(&mut self) -> Value {
        match self.next().await {
            Some(Event::Data(chunk)) => chunk,
            other => panic!("a chunk was to come, not {other:?}"),
        }
    }

    /// All chunks up to `[DONE]`, which is the very end; without comments.
    pub(crate) async fn chunks(&mut self) -> Vec<Value> {
        let mut chunks = Vec::new();
        loop {
            match self.next().await {
                Some(Event::Data(chunk)) => chunks.push(chunk),
                Some(Event::Done) => break,
                other => panic!("neither a chunk nor [DONE]: {other:?}, after {} chunks", chunks.len()),
            }
        }
        assert_eq!(self.next().await, None, "nothing comes behind [DONE]");
        chunks
    }
}

/// The text of one answer in these chunks, of a chat or of `completions`.
pub(crate) fn text(chunks: &[Value], index: i64) -> String {
    let choices = chunks.iter().flat_map(|chunk| chunk["choices"].as_array().expect("choices"));
    let texts = choices
        .filter(|choice| choice["index"] == index)
        .filter_map(|choice| choice["delta"]["content"].as_str().or(choice["text"].as_str()));
    texts.collect()
}
