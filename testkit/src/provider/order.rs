//! What a chat asks of the provider, in its fields and in the words of its last message.

use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::{Failure, ProviderSettings};

/// What the longest answer has.
const MOST_CHUNKS: u32 = 10_000;
const MOST_HANZI: u32 = 1_000;
const LONGEST_MARKER: usize = 100;

/// What is to be done.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) marker: Option<String>,
    pub(super) model: String,
    pub(super) is_streamed: bool,
    pub(super) wants_usage: bool,
    pub(super) settings: ProviderSettings,
    pub(super) failure: Option<Failure>,
}

#[derive(Deserialize)]
struct Chat<'a> {
    #[serde(borrow)]
    model: Cow<'a, str>,
    #[serde(default)]
    stream: bool,
    #[serde(default)]
    stream_options: Option<StreamOptions>,
    messages: Vec<Message>,
}

#[derive(Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    content: Value,
}

impl Order {
    /// Reads a body; `None` when it is no chat.
    pub(super) fn read(body: &[u8], settings: ProviderSettings, failure: Option<Failure>) -> Option<Self> {
        let chat: Chat<'_> = serde_json::from_slice(body).ok()?;
        let mut order = Self {
            marker: None,
            model: chat.model.into_owned(),
            is_streamed: chat.stream,
            wants_usage: chat.stream_options.is_some_and(|options| options.include_usage),
            settings,
            failure,
        };
        for word in chat.messages.last()?.content.as_str().unwrap_or_default().split_whitespace() {
            order.obey(word);
        }
        order.settings.chunks = order.settings.chunks.min(MOST_CHUNKS);
        order.settings.hanzi = order.settings.hanzi.min(MOST_HANZI);
        Some(order)
    }

    fn obey(&mut self, word: &str) {
        if word.starts_with("mark-") && word.len() <= LONGEST_MARKER {
            self.marker = Some(word.to_owned());
            return;
        }
        let Some((name, value)) = word.split_once('=') else { return };
        if name == "fail" {
            self.failure = Failure::ALL.into_iter().find(|failure| failure.name() == value).or(self.failure);
            return;
        }
        let Ok(number) = value.parse::<u32>() else { return };
        match name {
            "chunks" => self.settings.chunks = number,
            "hanzi" => self.settings.hanzi = number,
            "first_ms" => self.settings.first_text = Duration::from_millis(number.into()),
            "pause_ms" => self.settings.pause = Duration::from_millis(number.into()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_last_message_go_before_the_settings() {
        let body = r#"{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[
            {"role":"user","content":"mark-old chunks=9"},
            {"role":"user","content":"你好 mark-1 chunks=20 hanzi=5 first_ms=7 pause_ms=3 fail=hang other=1 x"}]}"#;
        let order = Order::read(body.as_bytes(), ProviderSettings::default(), Some(Failure::Reset)).unwrap();
        assert_eq!((order.marker.as_deref(), order.model.as_str()), (Some("mark-1"), "m"));
        assert_eq!((order.is_streamed, order.wants_usage, order.failure), (true, true, Some(Failure::Hang)));
        assert_eq!((order.settings.chunks, order.settings.hanzi), (20, 5));
        assert_eq!(order.settings.first_text + order.settings.pause, Duration::from_millis(10));
    }

    #[test]
    fn without_words_the_settings_hold() {
        let body = br#"{"model":"m","messages":[{"role":"user","content":[{"type":"text"}]}]}"#;
        let order = Order::read(body, ProviderSettings::default(), Some(Failure::Reset)).unwrap();
        assert_eq!((order.marker, order.is_streamed, order.settings.chunks), (None, false, 8));
        assert_eq!(order.failure, Some(Failure::Reset));
        assert!(Order::read(b"{}", ProviderSettings::default(), None).is_none());
    }
}
