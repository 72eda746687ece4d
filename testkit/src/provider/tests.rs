//! By hand, over plain sockets, so that every byte is seen.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use super::*;
use crate::process::becomes_true;

const LIMIT: Duration = Duration::from_secs(10);

fn request(content: &str, is_streamed: bool) -> String {
    let body = format!(
        r#"{{"model":"m","stream":{is_streamed},"stream_options":{{"include_usage":true}},"messages":[{{"role":"user","content":"{content}"}}]}}"#
    );
    format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn connect(provider: &Provider) -> TcpStream {
    let stream = TcpStream::connect(provider.address()).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
}

/// Sends a request and reads until the answer holds `end`, or the connection ends.
fn ask(stream: &mut TcpStream, request: &str, end: &str) -> Result<String, ErrorKind> {
    stream.write_all(request.as_bytes()).unwrap();
    let (mut received, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => received.extend_from_slice(&piece[..length]),
            Err(error) => return Err(error.kind()),
        }
        if String::from_utf8_lossy(&received).contains(end) {
            break;
        }
    }
    Ok(String::from_utf8(received).unwrap())
}

fn ended(provider: &Provider, marker: &str) -> Call {
    let call = || *provider.record(marker).unwrap().calls.last().unwrap();
    assert!(becomes_true(LIMIT, || call().ended.is_some()));
    call()
}

#[test]
fn plain_and_streamed_answers_come_over_one_connection_and_are_counted() {
    let provider = Provider::start(ProviderSettings::default()).unwrap();
    let mut stream = connect(&provider);
    let plain = ask(&mut stream, &request("mark-a chunks=2 hanzi=3", false), "total_tokens").unwrap();
    assert!(plain.contains(r#""content":"天地玄天地玄""#) && plain.contains(r#""completion_tokens":6"#), "{plain}");
    let streamed = ask(&mut stream, &request("mark-a chunks=3 hanzi=2 pause_ms=1", true), "0\r\n\r\n").unwrap();
    assert_eq!(streamed.matches(r#""content":"天地""#).count(), 3, "{streamed}");
    let order = ["\"role\"", "天地", "\"stop\"", "\"completion_tokens\":6", "[DONE]"].map(|part| streamed.find(part));
    assert!(order.iter().all(Option::is_some) && order.is_sorted(), "{streamed}");
    let at_once = ask(&mut stream, &request("no marker", true), "0\r\n\r\n").unwrap();
    assert_eq!(at_once.matches("天地玄黄").count(), 8);

    ended(&provider, "mark-a");
    let records = provider.records();
    assert_eq!((records.len(), provider.calls()), (1, 3));
    let counts: Vec<_> = records["mark-a"].calls.iter().map(|call| (call.chunks, call.hanzi, call.is_whole)).collect();
    assert_eq!(counts, [(2, 6, true), (3, 6, true)]);
}

#[test]
fn chunks_of_the_transfer_encoding_are_what_they_say() {
    let provider = Provider::start(ProviderSettings::default()).unwrap();
    let streamed = ask(&mut connect(&provider), &request("x", true), "0\r\n\r\n").unwrap();
    let mut rest = streamed.split_once("\r\n\r\n").unwrap().1;
    loop {
        let (length, behind) = rest.split_once("\r\n").unwrap();
        let length = usize::from_str_radix(length, 16).unwrap();
        assert_eq!(&behind[length..length + 2], "\r\n");
        if length == 0 {
            break;
        }
        assert!(behind.starts_with("data: ") && behind[..length].ends_with("\n\n"));
        rest = &behind[length + 2..];
    }
}

#[test]
fn a_caller_that_leaves_is_noticed_with_what_it_got() {
    let provider = Provider::start(ProviderSettings::default()).unwrap();
    let mut stream = connect(&provider);
    ask(&mut stream, &request("mark-left chunks=1000 pause_ms=5", true), "天").unwrap();
    drop(stream);
    let call = ended(&provider, "mark-left");
    assert!(call.is_left && !call.is_whole && (1..1000).contains(&call.chunks), "{call:?}");
}

#[test]
fn every_failure_is_what_its_name_says() {
    let provider = Provider::start(ProviderSettings::default()).unwrap();
    let fails = |name: &str, is_streamed| {
        let content = format!("mark-{name} fail={name} pause_ms=1");
        let answer = ask(&mut connect(&provider), &request(&content, is_streamed), "}}");
        (answer, ended(&provider, &format!("mark-{name}")))
    };
    for is_streamed in [false, true] {
        assert!(fails("server_error", is_streamed).0.unwrap().starts_with("HTTP/1.1 500"));
        assert!(fails("too_many_requests", is_streamed).0.unwrap().starts_with("HTTP/1.1 429"));
        assert_eq!(fails("reset", is_streamed).0, Err(ErrorKind::ConnectionReset));
        let (answer, call) = fails("reset_midway", is_streamed);
        assert!(answer == Err(ErrorKind::ConnectionReset) && !call.is_whole, "{answer:?} {call:?}");
        assert_eq!(call.chunks, if is_streamed { 4 } else { 8 });
    }
    let nonsense = ask(&mut connect(&provider), &request("fail=nonsense", false), "</html>").unwrap();
    assert!(nonsense.starts_with("HTTP/1.1 200"));

    provider.fail(Some(Failure::Hang));
    let mut hanging = connect(&provider);
    hanging.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert_eq!(ask(&mut hanging, &request("mark-hang", false), "}}"), Err(ErrorKind::WouldBlock));
    drop(hanging);
    assert!(ended(&provider, "mark-hang").is_left);
    provider.fail(None);
    assert!(ask(&mut connect(&provider), &request("x", false), "}}").unwrap().starts_with("HTTP/1.1 200"));
}
