//! The ways to do wrong, and what a client is to see of each.

use serde_json::{Value, json};

use super::{PROVIDERS_WORDS, Told, UPSTREAM_ERROR, no_channel};
use crate::support::provider::{
    Act, Provider, chat, chunk, done, event, finish, piece, reply, stream_end, stream_head, text,
};
use crate::support::reseller::PROVIDER_KEY;

/// One way to do wrong.
pub(super) struct Case {
    pub(super) name: String,
    pub(super) stream: bool,
    pub(super) acts: Vec<Act>,
    pub(super) want: Want,
}

/// What the client is to see.
#[derive(Debug, Clone)]
pub(super) enum Want {
    /// An error with its status.
    Refused(Told),
    /// The provider's message, redacted.
    Rejected { message: &'static str, param: Option<&'static str> },
    /// An error in a frame behind this text.
    BrokenOff(Told, &'static str),
    /// An answer, after all.
    Answered(String),
}

impl Case {
    pub(super) fn whole(name: &str, acts: Vec<Act>, want: Want) -> Self {
        Self { name: format!("whole {name}"), stream: false, acts, want }
    }

    pub(super) fn streamed(name: &str, acts: Vec<Act>, want: Want) -> Self {
        Self { name: format!("streamed {name}"), stream: true, acts, want }
    }

    /// Without spaces and what else stands in no model's name.
    pub(super) fn model(&self) -> String {
        self.name.replace(|character: char| !character.is_ascii_alphanumeric(), "-")
    }

    pub(super) fn upstream_model(&self) -> String {
        format!("upstream-of-{}", self.model())
    }
}

/// The text before a stream goes wrong, in pieces that cut a word.
const PIECES: [&str; 3] = ["你好，hel", "lo wor", "ld. "];
pub(super) const TEXT: &str = "你好，hello world. ";

/// The start of a stream, with text.
pub(super) fn begun(rest: impl IntoIterator<Item = Act>) -> Vec<Act> {
    let texts = PIECES.map(text);
    without_text([]).into_iter().chain(texts).chain(rest).collect()
}

/// The start of a stream, before its text.
pub(super) fn without_text(rest: impl IntoIterator<Item = Act>) -> Vec<Act> {
    let role = event(&chunk(&json!({"role": "assistant", "content": ""}), None));
    [stream_head(), role].into_iter().chain(rest).collect()
}

/// All of them, but for those that take time.
pub(super) fn all(provider: &Provider) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut both = |name: &str, acts: Vec<Act>, want: Want| {
        cases.push(Case::whole(name, acts.clone(), want.clone()));
        cases.push(Case::streamed(name, acts, want));
    };
    let says = |words: &str| json!({"error": {"message": words, "type": "x", "param": null, "code": "y"}}).to_string();
    let failed = || Want::Refused(UPSTREAM_ERROR);
    let telling = says(&format!("{PROVIDERS_WORDS} at http://{PROVIDERS_WORDS}.example, key {PROVIDER_KEY}"));

    both("closed before a reply", vec![Act::Close], failed());
    both("cut before a reply", vec![Act::Cut], failed());
    both("cut in the head", vec![Act::Send(b"HTTP/1.1 200 OK\r\nContent-Le".to_vec()), Act::Cut], failed());
    both("no HTTP", vec![Act::Send(format!("{PROVIDERS_WORDS}\r\n\r\n").into_bytes()), Act::Close], failed());
    for status in [
        "401 Unauthorized",
        "402 Payment Required",
        "403 Forbidden",
        "404 Not Found",
        "408 Request Timeout",
        "409 Conflict",
    ] {
        both(status, vec![reply(status, &telling)], failed());
    }
    for status in
        ["500 Internal Server Error", "502 Bad Gateway", "503 Service Unavailable\r\nRetry-After: 7", "529 Overloaded"]
    {
        both(status, vec![reply(status, &telling)], failed());
    }
    both("500 without a body", vec![reply("500 Internal Server Error", "")], failed());
    both(
        "500 that is cut",
        vec![Act::Send(b"HTTP/1.1 500 No\r\nContent-Length: 99\r\n\r\n{".to_vec()), Act::Cut],
        failed(),
    );

    let limited = |header: &str| vec![reply(&format!("429 Too Many Requests{header}"), &telling)];
    both("429", limited(""), Want::Refused(no_channel("10")));
    both("429 with a time", limited("\r\nRetry-After: 7"), Want::Refused(no_channel("7")));
    both("429 with milliseconds", limited("\r\nRetry-After-Ms: 2001"), Want::Refused(no_channel("3")));
    both("429 with a date", limited("\r\nRetry-After: Wed, 21 Oct 2065 07:28:00 GMT"), Want::Refused(no_channel("10")));
    both("429 with a day", limited("\r\nRetry-After: 86400"), Want::Refused(no_channel("3600")));

    let elsewhere = format!("302 Found\r\nLocation: {}/elsewhere", provider.url());
    both("302", vec![reply(&elsewhere, "")], failed());
    both("307", vec![reply(&elsewhere.replace("302 Found", "307 Temporary Redirect"), "")], failed());
    both("204", vec![Act::Send(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec())], failed());
    both("empty body", vec![reply("200 OK", "")], failed());
    both(
        "HTML with 200",
        vec![reply("200 OK\r\nContent-Type: text/html", &format!("<html>{PROVIDERS_WORDS}</html>"))],
        failed(),
    );
    both("error with 200", vec![reply("200 OK", &telling)], failed());
    both("error as text with 200", vec![reply("200 OK", &json!({"error": PROVIDERS_WORDS}).to_string())], failed());
    both("invalid JSON", vec![reply("200 OK", &format!("{{\"choices\": [{PROVIDERS_WORDS}"))], failed());
    for (name, shape) in [
        ("list", json!([PROVIDERS_WORDS])),
        ("no choices", json!({"result": PROVIDERS_WORDS})),
        ("choices that are none", json!({"choices": PROVIDERS_WORDS})),
        ("empty choices", json!({"choices": []})),
        ("choice without a message", json!({"choices": [{"index": 0}]})),
        ("message that is a text", json!({"choices": [{"index": 0, "message": PROVIDERS_WORDS}]})),
    ] {
        both(name, vec![reply("200 OK", &shape.to_string())], failed());
    }

    let refusal = json!({"error": {
        "message": format!("Bad value. See https://{PROVIDERS_WORDS}.example/docs. Key {PROVIDER_KEY} at {}.", provider.url()),
        "param": "messages[0].content",
    }});
    let rejected =
        Want::Rejected { message: "Bad value. See [link]. Key [key] at [link].", param: Some("messages[0].content") };
    for status in ["400 Bad Request", "413 Payload Too Large", "422 Unprocessable Entity"] {
        both(status, vec![reply(status, &refusal.to_string())], rejected.clone());
    }
    let silent = Want::Rejected { message: "the provider refused this request without saying why", param: None };
    both("400 in HTML", vec![reply("400 Bad Request", &format!("<html>{PROVIDERS_WORDS}</html>"))], silent);

    cases.extend(whole());
    cases.extend(streams(&telling));
    cases
}

/// What only a whole answer can get wrong.
fn whole() -> Vec<Case> {
    let failed = || Want::Refused(UPSTREAM_ERROR);
    let long = chat(&"pong ".repeat(20_000), &Value::Null);
    let unannounced = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{long}");
    let half =
        |end: Act| vec![Act::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{\"choices\":[".to_vec()), end];
    vec![
        Case::whole("answer over the limit", vec![reply("200 OK", &long)], failed()),
        Case::whole(
            "answer over the limit, unannounced",
            vec![Act::Send(unannounced.into_bytes()), Act::Close],
            failed(),
        ),
        Case::whole("answer that is cut", half(Act::Cut), failed()),
        Case::whole("answer that is closed", half(Act::Close), failed()),
        Case::whole("stream that was not asked for", begun([finish(), done(), stream_end()]), failed()),
    ]
}

/// What only a stream can get wrong.
fn streams(telling: &str) -> Vec<Case> {
    let failed = || Want::Refused(UPSTREAM_ERROR);
    let broken_off = || Want::BrokenOff(UPSTREAM_ERROR, TEXT);
    let long = "x".repeat(5_000);
    let nonsense = format!("{{\"{PROVIDERS_WORDS}\":");
    let mut cases = vec![
        Case::streamed("whole answer instead", vec![reply("200 OK", &chat(TEXT, &Value::Null))], failed()),
        Case::streamed("empty stream", vec![stream_head(), stream_end()], failed()),
        Case::streamed("only DONE", vec![stream_head(), done(), stream_end()], failed()),
        Case::streamed("DONE behind the role", without_text([done(), stream_end()]), failed()),
        Case::streamed("only comments", vec![stream_head(), piece(": ping\n\n"), stream_end()], failed()),
        Case::streamed("closed before text", without_text([Act::Close]), failed()),
        Case::streamed("ended before text", without_text([stream_end()]), failed()),
        Case::streamed("cut before text", without_text([Act::Cut]), failed()),
        Case::streamed("error before text", without_text([event(telling), done(), stream_end()]), failed()),
        Case::streamed("nonsense before text", without_text([event(&nonsense), done(), stream_end()]), failed()),
        Case::streamed("long line before text", without_text([event(&long), done(), stream_end()]), failed()),
        Case::streamed("closed after text", begun([Act::Close]), broken_off()),
        Case::streamed("ended after text", begun([stream_end()]), broken_off()),
        Case::streamed("cut after text", begun([Act::Cut]), broken_off()),
        Case::streamed("cut within a line", begun([piece("data: {\"choices\""), Act::Cut]), broken_off()),
        Case::streamed("error after text", begun([event(telling), done(), stream_end()]), broken_off()),
        Case::streamed("nonsense after text", begun([event(&nonsense), finish(), done(), stream_end()]), broken_off()),
        Case::streamed(
            "bytes after text",
            begun([piece("data: \u{fffd}\u{1}\n\n"), finish(), done(), stream_end()]),
            broken_off(),
        ),
        Case::streamed(
            "long line after text",
            begun([piece(&format!("data: {long}")), done(), stream_end()]),
            broken_off(),
        ),
        Case::streamed("wrong HTTP chunk after text", begun([Act::Send(b"zz\r\n".to_vec())]), broken_off()),
    ];
    for (name, shape) in [
        ("list after text", json!([PROVIDERS_WORDS])),
        ("no choices after text", json!({"result": PROVIDERS_WORDS})),
        ("choices that are none after text", json!({"choices": PROVIDERS_WORDS})),
        ("delta that is a text after text", json!({"choices": [{"index": 0, "delta": PROVIDERS_WORDS}]})),
    ] {
        cases.push(Case::streamed(
            name,
            begun([event(&shape.to_string()), finish(), done(), stream_end()]),
            broken_off(),
        ));
    }
    // From the finish_reason on the answer is whole.
    for (name, end) in
        [("cut", Act::Cut), ("closed", Act::Close), ("ended", stream_end()), ("nonsense", event(&nonsense))]
    {
        cases.push(Case::streamed(
            &format!("{name} after finish_reason"),
            begun([finish(), end]),
            Want::Answered(TEXT.to_owned()),
        ));
    }
    // What comes behind it has a bound: 64 chunks, the finish_reason among them; nobody pays for more.
    let talkative = [finish()].into_iter().chain(std::iter::repeat_n(text("more "), 100)).chain([done(), stream_end()]);
    cases.push(Case::streamed(
        "text after finish_reason",
        begun(talkative),
        Want::Answered(format!("{TEXT}{}", "more ".repeat(63))),
    ));
    cases.push(Case::streamed(
        "DONE without finish_reason",
        begun([done(), stream_end()]),
        Want::Answered(TEXT.to_owned()),
    ));
    cases
}
