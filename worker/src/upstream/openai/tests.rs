//! The adapter against a provider that is written by hand, byte for byte.

mod cuts;
mod provider;

use std::future::Future;

use rstest::rstest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use self::provider::{Provider, read_request, reply};
use super::*;
use crate::sample::job;

const CHAT: &str = r#""messages":[{"role":"user","content":"你好"}],"temperature":0.50,"x":1e2"#;

fn channel_at(base_url: &str, key: Option<&str>) -> OpenAi {
    let limits = Limits { whole: 100, line: 100 };
    OpenAi::new(client(), base_url, key.map(SecretString::from), limits).unwrap()
}

fn client() -> Client {
    // Another test may have installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    http_client(Duration::from_secs(5)).unwrap()
}

async fn call(channel: &OpenAi, stream: bool) -> Result<Answer, UpstreamError> {
    channel.call(&job(Endpoint::Chat, CHAT, stream), "gpt-4o").await
}

/// What a whole call makes of this reply.
async fn whole(reply: &str) -> Result<Bytes, UpstreamError> {
    let provider = Provider::start().await;
    let channel = channel_at(&provider.url(), Some("sk-provider-key"));
    let (answer, ()) = tokio::join!(call(&channel, false), provider.answer(reply));
    answer.map(|answer| match answer {
        Answer::Whole(body) => body,
        Answer::Stream(_) => panic!("a stream"),
    })
}

/// What a streamed call makes of this reply: the events, then how it ended.
async fn streamed(reply: &str) -> Result<(Vec<Event>, Result<(), UpstreamError>), UpstreamError> {
    let provider = Provider::start().await;
    let channel = channel_at(&provider.url(), Some("sk-provider-key"));
    let (answer, ()) = tokio::join!(call(&channel, true), provider.answer(reply));
    let mut events = events_of(answer?);
    let mut seen = Vec::new();
    loop {
        match events.next().await {
            Ok(Some(event)) => seen.push(event),
            Ok(None) => return Ok((seen, Ok(()))),
            Err(error) => return Ok((seen, Err(error))),
        }
    }
}

fn events_of(answer: Answer) -> Box<dyn Events> {
    match answer {
        Answer::Stream(events) => events,
        Answer::Whole(body) => panic!("whole: {body:?}"),
    }
}

fn why(error: UpstreamError) -> String {
    match error {
        UpstreamError::Failed { why } => why,
        other => panic!("{other:?}"),
    }
}

fn data(text: &'static str) -> Event {
    Event::Data(Bytes::from_static(text.as_bytes()))
}

/// Fails a test that would otherwise hang.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), future).await.expect("took over 10 s")
}

#[tokio::test]
async fn the_request_of_a_whole_call() {
    let provider = Provider::start().await;
    let channel = channel_at(&provider.url(), Some("sk-provider-key"));
    let answering = async {
        let (mut connection, request) = provider.accept().await;
        connection.write_all(reply("200 OK", "{}").as_bytes()).await.unwrap();
        request
    };
    let (answer, request) = tokio::join!(call(&channel, false), answering);
    assert!(matches!(answer, Ok(Answer::Whole(body)) if body == "{}"));

    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, format!(r#"{{{CHAT},"model":"gpt-4o"}}"#));
    let mut lines: Vec<&str> = head.lines().collect();
    assert_eq!(lines.remove(0), "POST /v1/chat/completions HTTP/1.1");
    lines.sort_unstable();
    let host = format!("host: {}", provider.listener.local_addr().unwrap());
    let length = format!("content-length: {}", body.len());
    let agent = concat!("user-agent: xiaoyi/", env!("CARGO_PKG_VERSION"));
    let key = "authorization: Bearer sk-provider-key";
    assert_eq!(lines, ["accept: application/json", key, &length, "content-type: application/json", &host, agent]);
}

#[tokio::test]
async fn the_request_of_a_streamed_call_without_a_key() {
    let provider = Provider::start().await;
    let channel = channel_at(&provider.url(), None);
    let answering = async {
        let (mut connection, request) = provider.accept().await;
        let reply = reply("200 OK\r\ncontent-type: text/event-stream; charset=utf-8", "data: [DONE]\n\n");
        connection.write_all(reply.as_bytes()).await.unwrap();
        request
    };
    let job = Job {
        stream_options: r#""include_obfuscation":false,"x":1.0"#.to_owned(),
        ..job(Endpoint::Completions, r#""prompt":"a""#, true)
    };
    let (answer, request) = tokio::join!(channel.call(&job, "a \"quoted\" name"), answering);
    assert_eq!(events_of(answer.unwrap()).next().await, Ok(Some(Event::Done)));

    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let expected = concat!(
        r#"{"prompt":"a","model":"a \"quoted\" name","stream":true,"#,
        r#""stream_options":{"include_obfuscation":false,"x":1.0,"include_usage":true}}"#
    );
    assert_eq!(body, expected);
    assert!(head.starts_with("POST /v1/completions HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("\r\naccept: text/event-stream\r\n"), "{head}");
    assert!(!head.contains("authorization"), "{head}");
}

#[rstest]
#[case::plain("https://a.example/v1", "https://a.example/v1/images/generations")]
#[case::slash("https://a.example/v1/", "https://a.example/v1/images/generations")]
#[case::root("https://a.example", "https://a.example/images/generations")]
#[case::query("https://a.example/x?version=1", "https://a.example/x/images/generations?version=1")]
fn urls(#[case] base_url: &str, #[case] expected: &str) {
    assert_eq!(channel_at(base_url, None).url(Endpoint::Images).as_str(), expected);
}

#[test]
fn settings_that_cannot_be_used() {
    let setup =
        |base_url, key: &str| OpenAi::new(client(), base_url, Some(SecretString::from(key)), Limits::default()).err();
    assert_eq!(setup("https://a.example", "sk-1\n"), Some(SetupError::Key));
    assert!(matches!(
        setup("http://169.254.169.254", "sk-1"),
        Some(SetupError::Address(AddressError::LinkLocal { .. }))
    ));
}

#[test]
fn the_key_is_not_shown_by_debug() {
    let value = authorization(&SecretString::from("sk-1")).unwrap();
    assert_eq!(format!("{value:?}"), "Sensitive");
}

#[tokio::test]
async fn a_stream() {
    let body = ": ping\n\ndata: {\"a\":1}\r\n\r\ndata: \n\nevent: error\ndata: {\"error\":2}\n\ndata: [DONE]\n\ndata: {\"late\":3}\n\n";
    let (events, end) = streamed(&reply("200 OK\r\ncontent-type: Text/Event-Stream", body)).await.unwrap();
    assert_eq!((events, end), (vec![data(r#"{"a":1}"#), data(r#"{"error":2}"#), Event::Done], Ok(())));
}

#[tokio::test]
async fn a_stream_that_ends_without_done() {
    let (events, end) =
        streamed("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: {\"a\":1}\n\ndata: {\"b\":2}")
            .await
            .unwrap();
    assert_eq!((events, end), (vec![data(r#"{"a":1}"#), data(r#"{"b":2}"#)], Ok(())));
}

#[tokio::test]
async fn a_stream_that_breaks_off() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let (events, end) = streamed(&format!("{head}f\r\ndata: {{\"a\":1}}\n\n\r\n40\r\ndata: {{\"b\"")).await.unwrap();
    assert_eq!(events, [data(r#"{"a":1}"#)]);
    assert!(why(end.unwrap_err()).starts_with("the stream broke off: "));
}

#[tokio::test]
async fn a_stream_with_an_endless_line() {
    let body = format!("data: 1\n\ndata: {}", "x".repeat(100));
    let (events, end) = streamed(&reply("200 OK\r\ncontent-type: text/event-stream", &body)).await.unwrap();
    assert_eq!(events, [data("1")]);
    assert_eq!(why(end.unwrap_err()), "a line or an event of the stream is over 100 bytes");
}

#[rstest]
#[case::json("200 OK\r\ncontent-type: application/json", "{}")]
#[case::page("200 OK\r\ncontent-type: text/html", "<html>")]
#[case::nothing("200 OK", "")]
#[tokio::test]
async fn not_a_stream(#[case] head: &str, #[case] body: &str) {
    let error = streamed(&reply(head, body)).await.unwrap_err();
    assert_eq!(why(error), "the reply to a streamed call is not text/event-stream");
}

#[rstest]
#[case::unauthorized(
    "401 Unauthorized",
    r#"{"error":{"message":"Incorrect key sk-provider-key at 127.0.0.1"}}"#,
    "status 401 Unauthorized: Incorrect key [key] at [address]"
)]
#[case::forbidden("403 Forbidden", "", "status 403 Forbidden")]
#[case::not_found(
    "404 Not Found",
    r#"{"error":{"message":"no model gpt-4o"}}"#,
    "status 404 Not Found: no model public-model"
)]
#[case::teapot("418 I'm a teapot", "short and stout", "status 418 I'm a teapot")]
#[case::fault("500 Internal Server Error", "<html>oops</html>", "status 500 Internal Server Error")]
#[case::unavailable("503 Service Unavailable", r#"{"message":"busy"}"#, "status 503 Service Unavailable: busy")]
#[case::redirect(
    "302 Found\r\nlocation: /elsewhere",
    "",
    "status 302 Found: redirects are not followed; correct the base URL"
)]
#[case::page("200 OK\r\ncontent-type: text/html", "<html>", "the answer is not a JSON object")]
#[case::list("200 OK", "[]", "the answer is not a JSON object")]
#[case::empty("200 OK", " \r\n", "the answer is empty")]
#[case::no_content("204 No Content", "", "the answer is empty")]
#[tokio::test]
async fn failures(#[case] head: &str, #[case] body: &str, #[case] expected: &str) {
    assert_eq!(why(whole(&reply(head, body)).await.unwrap_err()), expected);
}

#[rstest]
#[case::bad_request("400 Bad Request", 400)]
#[case::too_large("413 Payload Too Large", 413)]
#[case::unprocessable("422 Unprocessable Entity", 422)]
#[tokio::test]
async fn rejections(#[case] head: &str, #[case] status: u16) {
    let body = r#"{"error":{"message":"gpt-4o takes no sk-abc, see https://example.com","param":"messages[0]"}}"#;
    let message = "public-model takes no [key], see [link]".to_owned();
    let expected = UpstreamError::Rejected { status, message, param: Some("messages[0]".to_owned()) };
    assert_eq!(whole(&reply(head, body)).await.unwrap_err(), expected);
    assert_eq!(streamed(&reply(head, body)).await.unwrap_err(), expected);

    let message = "the provider refused this request without saying why".to_owned();
    let expected = UpstreamError::Rejected { status, message, param: None };
    assert_eq!(whole(&reply(head, "<html>at gateway 3</html>")).await.unwrap_err(), expected);
}

#[tokio::test]
async fn a_rejection_of_any_length() {
    let endless = format!(r#"{{"error":{{"message":"bad","x":"{}"#, "y".repeat(200_000));
    assert!(matches!(
        whole(&reply("400 Bad Request", &endless)).await,
        Err(UpstreamError::Rejected { status: 400, .. })
    ));
}

#[tokio::test]
async fn rate_limits() {
    let answer = whole(&reply("429 Too Many Requests\r\nretry-after: 17", "{}")).await;
    assert_eq!(answer, Err(UpstreamError::RateLimited { retry_after_s: Some(17) }));
    let answer = whole(&reply("429 Too Many Requests", "{}")).await;
    assert_eq!(answer, Err(UpstreamError::RateLimited { retry_after_s: None }));
}

#[tokio::test]
async fn answers_up_to_the_limit() {
    let fits = format!("{{\"a\":\"{}\"}}", "x".repeat(92));
    assert_eq!(whole(&reply("200 OK", &fits)).await.unwrap(), fits);

    let too_large = format!("{fits} ");
    assert_eq!(why(whole(&reply("200 OK", &too_large)).await.unwrap_err()), "the answer is over 100 bytes");
    let unannounced = format!("HTTP/1.1 200 OK\r\n\r\n{too_large}");
    assert_eq!(why(whole(&unannounced).await.unwrap_err()), "the answer is over 100 bytes");
    // The announcement alone is enough: nothing follows, and nothing is waited for.
    let announced = "HTTP/1.1 200 OK\r\ncontent-length: 101\r\n\r\n";
    assert_eq!(why(whole(announced).await.unwrap_err()), "the answer is over 100 bytes");
}

#[tokio::test]
async fn an_answer_that_breaks_off() {
    let error = whole("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{\"a\"").await.unwrap_err();
    assert!(why(error).starts_with("the answer broke off: "));
}

#[tokio::test]
async fn a_refused_connection() {
    let provider = Provider::start().await;
    let channel = channel_at(&provider.url(), Some("sk-provider-key"));
    drop(provider);
    let why = why(call(&channel, false).await.err().unwrap());
    assert!(why.starts_with("the call cannot be made: ") && why.contains("refused"), "{why}");
}

#[tokio::test]
async fn dropping_a_stream_closes_the_connection() {
    let provider = Provider::start().await;
    let channel = channel_at(&provider.url(), Some("sk-provider-key"));
    let answering = async {
        let (mut connection, _) = provider.accept().await;
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
        connection.write_all(format!("{head}data: 1\n\n").as_bytes()).await.unwrap();
        connection
    };
    let (answer, mut connection) = tokio::join!(call(&channel, true), answering);
    let mut events = events_of(answer.unwrap());
    assert_eq!(events.next().await, Ok(Some(data("1"))));
    drop(events);
    assert_closed(&mut connection).await;
}

#[tokio::test]
async fn dropping_a_call_closes_the_connection() {
    let provider = Provider::start().await;
    let channel = channel_at(&provider.url(), Some("sk-provider-key"));
    let mut connection = tokio::select! {
        _ = call(&channel, false) => panic!("answered"),
        (connection, _) = provider.accept() => connection,
    };
    assert_closed(&mut connection).await;
}

async fn assert_closed(connection: &mut TcpStream) {
    let read = soon(connection.read(&mut [0; 16])).await;
    assert!(matches!(&read, Ok(0) | Err(_)), "{read:?}");
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let provider = Provider::start().await;
    let channel = channel_at(&provider.url(), Some("sk-provider-key"));
    let answering = async {
        let (mut connection, _) = provider.accept().await;
        let stream = reply("200 OK\r\ncontent-type: text/event-stream", "data: [DONE]\n\n");
        connection.write_all(stream.as_bytes()).await.unwrap();
        read_request(&mut connection).await;
        connection.write_all(reply("200 OK", "{}").as_bytes()).await.unwrap();
    };
    let calling = async {
        let mut events = events_of(call(&channel, true).await.unwrap());
        assert_eq!(events.next().await, Ok(Some(Event::Done)));
        assert_eq!(events.next().await, Ok(None));
        call(&channel, false).await.is_ok()
    };
    let (answered, ()) = soon(async { tokio::join!(calling, answering) }).await;
    assert!(answered);
}
