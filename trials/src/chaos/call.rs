//! One chat as a client makes it, and what that client saw of its end.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::stack::MODEL;

/// Longer than any deadline of the service: a call without an end by then has none.
const PATIENCE: Duration = Duration::from_secs(100);

/// What is asked for.
#[derive(Debug, Clone)]
pub(super) struct Order {
    /// Unique; in the message, where the provider finds it, and as `user`, where the ledger keeps it.
    pub(super) marker: String,
    pub(super) tenant: usize,
    pub(super) key: String,
    pub(super) api: usize,
    pub(super) base: String,
    pub(super) is_streamed: bool,
    pub(super) chunks: u64,
    pub(super) hanzi: u64,
    pub(super) first_ms: u64,
    pub(super) pause_ms: u64,
    /// When the client leaves, if it does.
    pub(super) leaves_ms: Option<u64>,
}

/// A call and its end. Times are since the beginning of the trial.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) marker: String,
    pub(super) tenant: usize,
    pub(super) api: usize,
    pub(super) begun: Duration,
    pub(super) ended: Duration,
    /// `x-request-id`, when a status line came.
    pub(super) request_id: Option<String>,
    /// Hanzi that a whole answer has.
    pub(super) expected: i64,
    /// Hanzi that came.
    pub(super) received: i64,
    /// `usage.completion_tokens`, when it came.
    pub(super) usage: Option<i64>,
    pub(super) outcome: Outcome,
}

/// How a call ended for its client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// A whole 200, or a stream with its end and without an error.
    Answered,
    /// An error, as a reply or as an event of a stream.
    Refused { status: u16, name: String, claim: Claim },
    /// The connection broke, or could not be made.
    Died(String),
    /// The client left.
    Left,
    /// There was no end.
    Endless,
    /// Something came that the contract does not know.
    Nonsense(String),
}

/// What an error says about money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// Every error but one says so, if it states no amount.
    Nothing,
    /// So much was charged, in 1e-9.
    Amount(i64),
    /// It cannot be known: `outcome_unknown`.
    Unknown,
}

/// Makes the call and waits for its end.
pub(super) async fn call(client: &reqwest::Client, order: &Order, started: Instant) -> Request {
    let begun = started.elapsed();
    let mut reading = Reading::default();
    let leaves = order.leaves_ms.map_or(PATIENCE, Duration::from_millis);
    let outcome = tokio::time::timeout(leaves, exchange(client, order, &mut reading)).await;
    let gone = if order.leaves_ms.is_some() { Outcome::Left } else { Outcome::Endless };
    Request {
        marker: order.marker.clone(),
        tenant: order.tenant,
        api: order.api,
        begun,
        ended: started.elapsed(),
        request_id: reading.request_id,
        expected: i64::try_from(order.chunks * order.hanzi).unwrap_or(i64::MAX),
        received: reading.hanzi,
        usage: reading.usage,
        outcome: outcome.unwrap_or(gone),
    }
}

/// What has come so far.
#[derive(Debug, Default)]
struct Reading {
    request_id: Option<String>,
    hanzi: i64,
    usage: Option<i64>,
    is_finished: bool,
    error: Option<Outcome>,
}

async fn exchange(client: &reqwest::Client, order: &Order, reading: &mut Reading) -> Outcome {
    let Order { marker, chunks, hanzi, first_ms, pause_ms, .. } = order;
    let content = format!("{marker} chunks={chunks} hanzi={hanzi} first_ms={first_ms} pause_ms={pause_ms}");
    let mut body = json!({"model": MODEL, "user": marker, "messages": [{"role": "user", "content": content}]});
    if order.is_streamed {
        body["stream"] = true.into();
        body["stream_options"] = json!({"include_usage": true});
    }
    let request = client.post(format!("{}/v1/chat/completions", order.base)).bearer_auth(&order.key).json(&body);
    let died = |error: reqwest::Error| Outcome::Died(format!("{error:?}"));
    let mut response = match request.send().await {
        Ok(response) => response,
        Err(error) => return died(error),
    };
    let request_id = response.headers().get("x-request-id").and_then(|id| id.to_str().ok());
    reading.request_id = request_id.map(str::to_owned);
    let status = response.status().as_u16();
    let is_stream = order.is_streamed && status == 200;
    let mut received = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(piece)) => received.extend_from_slice(&piece),
            Ok(None) if is_stream => return reading.end("the stream ended without an end"),
            Ok(None) => return reading.whole(status, &received),
            Err(error) if is_stream => return reading.end(&format!("{error:?}")),
            Err(error) => return died(error),
        }
        while is_stream && let Some(end) = received.windows(2).position(|pair| pair == b"\n\n") {
            for line in String::from_utf8_lossy(&received[..end]).lines() {
                reading.line(line);
            }
            received.drain(..end + 2);
        }
    }
}

impl Reading {
    fn whole(&mut self, status: u16, body: &[u8]) -> Outcome {
        let nonsense = || Outcome::Nonsense(format!("{status}: {}", String::from_utf8_lossy(body)));
        let Ok(object) = serde_json::from_slice::<Value>(body) else { return nonsense() };
        if status != 200 {
            return refused(status, &object["error"]).unwrap_or_else(nonsense);
        }
        let Some(text) = object["choices"][0]["message"]["content"].as_str() else { return nonsense() };
        self.take(text, &object["usage"]);
        if object["code"] == 0 { Outcome::Answered } else { nonsense() }
    }

    fn line(&mut self, line: &str) {
        let Some(data) = line.strip_prefix("data: ") else {
            if !line.starts_with(':') {
                self.error.get_or_insert(Outcome::Nonsense(line.to_owned()));
            }
            return;
        };
        if data == "[DONE]" {
            self.is_finished = true;
            return;
        }
        let Ok(event) = serde_json::from_str::<Value>(data) else {
            self.error.get_or_insert(Outcome::Nonsense(line.to_owned()));
            return;
        };
        if !event["error"].is_null() {
            let told = refused(200, &event["error"]).unwrap_or_else(|| Outcome::Nonsense(line.to_owned()));
            self.error.get_or_insert(told);
            return;
        }
        let choice = &event["choices"][0];
        self.take(choice["delta"]["content"].as_str().unwrap_or_default(), &event["usage"]);
        self.is_finished |= choice["finish_reason"].is_string();
    }

    fn take(&mut self, text: &str, usage: &Value) {
        self.hanzi += i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
        self.usage = usage["completion_tokens"].as_i64().or(self.usage);
    }

    /// What a stream was that came to an end, in good order or not.
    fn end(&mut self, why: &str) -> Outcome {
        match self.error.take() {
            Some(error) => error,
            None if self.is_finished => Outcome::Answered,
            None => Outcome::Died(why.to_owned()),
        }
    }
}

fn refused(status: u16, error: &Value) -> Option<Outcome> {
    let name = error["code"].as_str()?.to_owned();
    let message = error["message"].as_str()?;
    let claim = match stated_amount(message) {
        _ if name == "outcome_unknown" => Claim::Unknown,
        Some(amount) => Claim::Amount(amount),
        None => Claim::Nothing,
    };
    Some(Outcome::Refused { status, name, claim })
}

/// The amount in "0.00012 CNY were charged for the text above", in 1e-9.
fn stated_amount(message: &str) -> Option<i64> {
    let (before, _) = message.split_once(" were charged")?;
    let mut words = before.rsplit(' ');
    let _currency = words.next()?;
    super::books::nanos(words.next()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(lines: &[&str]) -> (Outcome, Reading) {
        let mut reading = Reading::default();
        lines.iter().for_each(|line| reading.line(line));
        (reading.end("cut"), reading)
    }

    const TEXT: &str = r#"data: {"choices":[{"delta":{"content":"天地"},"finish_reason":null}]}"#;
    const STOP: &str = r#"data: {"choices":[{"delta":{},"finish_reason":"stop"}]}"#;
    const USAGE: &str = r#"data: {"choices":[],"usage":{"completion_tokens":2}}"#;

    #[test]
    fn a_stream_ended_with_its_finish_reason_or_done() {
        let (outcome, reading) = stream(&[TEXT, ": ping", STOP, USAGE, "data: [DONE]"]);
        assert_eq!((outcome, reading.hanzi, reading.usage), (Outcome::Answered, 2, Some(2)));
        assert_eq!(stream(&[TEXT, STOP]).0, Outcome::Answered);
        assert_eq!(stream(&[TEXT]).0, Outcome::Died("cut".to_owned()));
        assert!(matches!(stream(&["nonsense"]).0, Outcome::Nonsense(_)));
    }

    #[test]
    fn errors_say_what_was_charged() {
        let event = |message: &str| format!(r#"data: {{"error":{{"code":"upstream_error","message":"{message}"}}}}"#);
        let claim = |message: &str| match stream(&[TEXT, &event(message), "data: [DONE]"]).0 {
            Outcome::Refused { claim, .. } => claim,
            other => panic!("{other:?}"),
        };
        assert_eq!(claim("it broke; nothing was charged, try again"), Claim::Nothing);
        assert_eq!(claim("it broke; 0.00012 CNY were charged for the text above"), Claim::Amount(120_000));
        let unknown = json!({"code": "outcome_unknown", "message": "see /v1/ledger"});
        let told = Outcome::Refused { status: 500, name: "outcome_unknown".to_owned(), claim: Claim::Unknown };
        assert_eq!(refused(500, &unknown), Some(told));
        assert_eq!(refused(500, &json!({})), None);
    }

    #[test]
    fn whole_replies_are_read() {
        let mut reading = Reading::default();
        let body = br#"{"code":0,"msg":"","choices":[{"message":{"content":"xyz"}}],"usage":{"completion_tokens":3}}"#;
        assert_eq!(reading.whole(200, body), Outcome::Answered);
        assert_eq!((reading.hanzi, reading.usage), (3, Some(3)));
        assert!(matches!(reading.whole(502, b"<html>"), Outcome::Nonsense(_)));
    }
}
