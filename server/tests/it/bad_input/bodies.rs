//! Bodies that are not JSON, not an object, or too much.

use super::{GOOD_COST, Victim, refused, refused_field};
use crate::support::raw::Request;

const MIB: usize = 1024 * 1024;

/// What no reader should take for an object.
fn not_json() -> Vec<Vec<u8>> {
    let texts: &[&[u8]] = &[
        b" ",
        b"\n\t",
        b"{",
        b"}",
        b"[",
        b"[]",
        b"[{}]",
        b"null",
        b"true",
        b"17",
        b"\"{}\"",
        b"\"",
        b"hello",
        b"{}{}",
        b"{} x",
        b"{},",
        b"{\"messages\"}",
        b"{\"messages\":}",
        b"{\"messages\":[",
        b"{\"messages\":[],}",
        b"{\"messages\":[1,]}",
        b"{,}",
        b"{messages:[]}",
        b"{'messages':[]}",
        b"{\"a\":01}",
        b"{\"a\":+1}",
        b"{\"a\":.5}",
        b"{\"a\":1.}",
        b"{\"a\":0x10}",
        b"{\"a\":NaN}",
        b"{\"a\":-Infinity}",
        b"{\"a\":True}",
        b"{\"a\":None}",
        b"{\"a\":undefined}",
        b"{\"a\":\"\n\"}",
        b"{\"a\":\"\0\"}",
        b"{\"a\":\"\\x41\"}",
        b"{\"a\":\"\\u12g4\"}",
        b"{\"a\":\"\\ud83d\"}",
        b"{\"\\ude00\":1}",
        b"{/* a */}",
        b"model=gpt-4&messages=hi",
        b"<xml/>",
        b"\0\0\0\0",
        b"{\"a\":1}\0",
        b"--boundary\r\nContent-Disposition: form-data\r\n\r\n{}\r\n--boundary--",
    ];
    let mut bodies: Vec<Vec<u8>> = texts.iter().map(|text| text.to_vec()).collect();
    bodies.push([b"\xEF\xBB\xBF", super::GOOD_BODY.as_bytes()].concat());
    bodies.push(super::GOOD_BODY.encode_utf16().flat_map(u16::to_le_bytes).collect());
    bodies.push(super::GOOD_BODY.as_bytes()[..super::GOOD_BODY.len() - 7].to_vec());
    let with_content =
        |content: &[u8]| [&br#"{"messages":[{"role":"user","content":""#[..], content, br#""}]}"#].concat();
    // GBK, a byte that is never UTF-8, an overlong NUL, a surrogate as bytes, a character cut in two.
    for content in [&b"\xC4\xE3\xBA\xC3"[..], b"\xFF", b"\xC0\x80", b"\xED\xA0\x80", b"\xE4\xBD"] {
        bodies.push(with_content(content));
    }
    for content in ["\\ud83d", "\\ude00\\ud83d", "\\ud83d\\u0041", "\\uDC00"] {
        bodies.push(with_content(content.as_bytes()));
    }
    for twice in [r#""model":"gpt-4","model":"gpt-4""#, r#""a":1,"\u0061":2"#, r#""messages":[],"messages":[]"#] {
        bodies.push(format!("{{{twice}}}").into_bytes());
    }
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let inner = if open == "[" { "" } else { "1" };
        bodies.push(format!("{{\"messages\":{}{inner}{}}}", open.repeat(10_000), close.repeat(10_000)).into_bytes());
        bodies.push(format!("{{\"messages\":{}", open.repeat(10_000)).into_bytes());
    }
    bodies
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_json_is_refused() {
    let mut victim = Victim::start().await;
    for (number, body) in not_json().into_iter().enumerate() {
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let path = ["/chat/completions", "/completions", "/images/generations"][number / 3 % 3];
        let target = victim.under_a_prefix(path);
        let request = Request::post(&target, body.clone()).key(victim.key());
        let reply = victim.refuses(&shown, &request, refused(40000));
        let message = reply.json()["msg"].as_str().unwrap_or_default().to_owned();
        let is_empty = body.iter().all(u8::is_ascii_whitespace);
        assert!(is_empty || (message.contains("line ") && message.contains("column ")), "{shown}: {message}");
        // JSON comes before the key in it.
        victim.refuses(&shown, &Request::post(&target, body), refused(40000));
    }
    for path in ["/chat/completions", "/completions", "/images/generations"] {
        let target = victim.under_a_prefix(path);
        let empty = Request::post(&target, "").key(victim.key());
        victim.refuses("no body at all", &empty, refused(40000));
        victim.refuses("no body with a length", &empty.header("Content-Length", "0"), refused(40000));
    }
    victim.ends_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_large_is_refused_and_what_is_just_not_is_answered() {
    let mut victim = Victim::start().await;
    // A body of so many bytes, padded with spaces that count nothing.
    let sized = |key_member: &str, size: usize| {
        let body = super::GOOD_BODY.replacen('{', &format!("{{{key_member}"), 1);
        let padding = " ".repeat(size - body.len());
        body.replacen('{', &format!("{{{padding}"), 1)
    };
    let key = victim.key().to_owned();
    let in_body = format!("\"api_secret_key\":\"{key}\",");
    for path in ["/v1/chat/completions", "/api/v1/completions", "/index.php/api/v1/images/generations"] {
        let large = Request::post(path, sized("", 10 * MIB + 1)).key(&key);
        victim.refuses("10 MiB and a byte", &large, refused(41300));
        let large = Request::post(path, sized("", 10 * MIB + 1)).key(&key).chunked(64 * 1024);
        victim.refuses("10 MiB and a byte in chunks", &large, refused(41300));
        let large = Request::post(path, sized(&in_body, MIB + 1));
        victim.refuses("1 MiB and a byte with the key inside", &large, refused(41300));
        let large = Request::post(path, sized(&in_body, MIB + 1)).chunked(1000);
        victim.refuses("1 MiB and a byte in chunks", &large, refused(41300));
    }
    let unread = Request::post("/v1/chat/completions", "{").key(&key).without_length();
    for length in ["10485761", "99999999999", "9223372036854775807", "18446744073709551615"] {
        let request = unread.clone().header("Content-Length", length);
        victim.refuses("a length that is too much, and no body", &request, refused(41300));
    }
    victim.goes_on().await;

    let largest = [
        ("10 MiB", Request::post("/v1/chat/completions", sized("", 10 * MIB)).key(&key)),
        ("10 MiB in chunks", Request::post("/v1/chat/completions", sized("", 10 * MIB)).key(&key).chunked(64 * 1024)),
        ("1 MiB", Request::post("/v1/chat/completions", sized(&in_body, MIB))),
        ("1 MiB in chunks", Request::post("/v1/chat/completions", sized(&in_body, MIB)).chunked(1000)),
    ];
    for (what, request) in largest {
        victim.answers(what, &request, GOOD_COST);
    }
    victim.ends_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strange_things_that_are_allowed_are_answered() {
    let mut victim = Victim::start().await;
    let chat = |members: &str| format!(r#"{{"messages":[{{"role":"user","content":"你好"}}]{members}}}"#);
    let members = [
        r#","user":"a\u0000b""#,
        r#","unknown":{"a":[1e400,-0.0,"\u0000"]}"#,
        r#","temperature":1e-400,"top_p":0.0000000000000000000000001"#,
        r#","max_tokens":9223372036854775807"#,
        r#","":1,"\u0000":2"#,
    ];
    for members in members {
        let request = Request::post("/v1/chat/completions", chat(members)).key(victim.key());
        victim.answers(members, &request, GOOD_COST);
    }
    let deep = format!(r#","unknown":{}{}"#, "[".repeat(99), "]".repeat(99));
    let request = Request::post("/v1/chat/completions", chat(&deep)).key(victim.key());
    victim.answers("99 deep", &request, GOOD_COST);
    let deeper = format!(r#","unknown":{}{}"#, "[".repeat(100), "]".repeat(100));
    let request = Request::post("/v1/chat/completions", chat(&deeper)).key(victim.key());
    victim.refuses("100 deep", &request, refused(40000));
    let huge = chat(r#","n":128,"max_tokens":9223372036854775807,"model":"gpt-4""#);
    victim.answers(
        "128 answers",
        &Request::post("/v1/chat/completions", huge).key(victim.key()),
        2 * 10_000 + 128 * 2 * 30_000,
    );
    let beyond = chat(r#","max_tokens":9223372036854775808"#);
    let request = Request::post("/v1/chat/completions", beyond).key(victim.key());
    victim.refuses("a number beyond 64 bits", &request, refused_field(40002, "max_tokens"));
    victim.ends_unharmed().await;
}
