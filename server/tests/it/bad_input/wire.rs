//! Broken HTTP: what cannot be read as a request ends its connection, with a status of the 400s or without a word.

use super::{GOOD_BODY, GOOD_COST, Victim, refused};
use crate::support::raw::{Connection, Request};

const HOST: &str = "Host: localhost\r\n";

/// Bytes that are no request.
fn not_http() -> Vec<(&'static str, Vec<u8>)> {
    let line = |line: &str| format!("{line}\r\n{HOST}\r\n").into_bytes();
    let header = |header: &str| format!("POST /v1/chat/completions HTTP/1.1\r\n{HOST}{header}\r\n\r\n").into_bytes();
    let many: String = (0..200).map(|number| format!("X-{number}: x\r\n")).collect();
    vec![
        ("garbage", b"hello\r\n\r\n".to_vec()),
        ("a handshake of TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec()),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
        ("NUL bytes", vec![0; 100]),
        ("bytes", (128..=255).collect()),
        ("no version", line("GET /v1/models")),
        ("a version that is none", line("GET /v1/models HTTP/9.9")),
        ("another protocol", line("GET /v1/models SIP/2.0")),
        ("a space too many", line("GET  /v1/models HTTP/1.1")),
        ("a method of brackets", line("G{}T /v1/models HTTP/1.1")),
        ("a NUL in the path", line("GET /v1/mod\0els HTTP/1.1")),
        ("a space in the path", line("GET /v1/a b HTTP/1.1")),
        ("an address that is none", line("GET http://[::1 HTTP/1.1")),
        ("no host", b"GET /v1/models HTTP/1.1\r\n\r\n".to_vec()),
        ("two hosts", header("Host: other")),
        ("a header without a colon", header("X-Header")),
        ("a header without a name", header(": x")),
        ("a space before the colon", header("X-Header : x")),
        ("a header with a NUL", header("X-Header: a\0b")),
        ("a header over two lines", header("X-Header: a\r\n b")),
        ("a carriage return in a header", header("X-Header: a\rb")),
        ("200 headers", header(&many)),
        ("a length that is no number", header("Content-Length: many")),
        ("a length below zero", header("Content-Length: -1")),
        ("a length with a sign", header("Content-Length: +5")),
        ("a length in hexadecimal", header("Content-Length: 0x10")),
        ("a length beyond 64 bits", header("Content-Length: 18446744073709551616")),
        ("two lengths", header("Content-Length: 5\r\nContent-Length: 6")),
        ("a list of lengths", header("Content-Length: 5, 5")),
        ("a length and chunks", header("Content-Length: 5\r\nTransfer-Encoding: chunked")),
        ("another encoding", header("Transfer-Encoding: gzip")),
        ("two encodings", header("Transfer-Encoding: gzip, chunked")),
        ("chunked twice", header("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked")),
        ("a head of a MiB", [b"GET / HTTP/1.1\r\nX: ".to_vec(), vec![b'x'; 1 << 20], b"\r\n\r\n".to_vec()].concat()),
        ("a path of a MiB", [b"GET /v1/".to_vec(), vec![b'x'; 1 << 20], b" HTTP/1.1\r\n\r\n".to_vec()].concat()),
        ("a path of 70,000 bytes", line(&format!("GET /v1/{} HTTP/1.1", "x".repeat(70_000)))),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_http_closes_its_connection() {
    let mut victim = Victim::start().await;
    for (what, bytes) in not_http() {
        let mut connection = Connection::open(&victim.base());
        connection.send(&bytes);
        ends(what, &mut connection);
    }
    victim.goes_on().await;
    // Behind a good call on the same connection, too.
    let good = Request::post("/v1/chat/completions", GOOD_BODY).key(victim.key()).bytes();
    for (what, bytes) in not_http() {
        let mut connection = Connection::open(&victim.base());
        connection.send(&good);
        victim.answered_on(&mut connection);
        connection.send(&bytes);
        ends(what, &mut connection);
    }
    victim.ends_unharmed().await;
}

/// The connection ends, without a fault of ours.
fn ends(what: &str, connection: &mut Connection) {
    let Some(reply) = connection.reply() else { return };
    assert!((400..500).contains(&reply.status), "{what}: status {}", reply.status);
    assert!(connection.is_closed(), "{what}: the connection goes on behind status {}", reply.status);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_do_not_keep_to_their_length() {
    let mut victim = Victim::start().await;
    let key = victim.key().to_owned();
    let call = |body: &str| Request::post("/v1/chat/completions", body).key(&key).without_length();
    let length = |length: usize| call(GOOD_BODY).header("Content-Length", length.to_string()).bytes();
    let chunked = |body: &str| call(body).header("Transfer-Encoding", "chunked").bytes();

    // Shorter than declared, and the client leaves: there is nobody to tell.
    for missing in [1, 10, 100_000] {
        for ends_politely in [true, false] {
            let mut connection = Connection::open(&victim.base());
            connection.send(&length(GOOD_BODY.len() + missing));
            if ends_politely {
                connection.end();
                if let Some(reply) = connection.reply() {
                    victim.check("a short body", &reply, refused(40000));
                }
            }
        }
    }
    victim.goes_on().await;

    // Longer than declared: what is declared is no JSON, and the rest is no request.
    let mut connection = Connection::open(&victim.base());
    connection.send(&length(GOOD_BODY.len() - 5));
    victim.check("a long body", &connection.reply().expect("a reply"), refused(40000));
    ends("a long body", &mut connection);

    let broken_chunks = [
        ("no size", "hello\r\n"),
        ("a size below zero", "-5\r\nhello\r\n0\r\n\r\n"),
        ("a size beyond 64 bits", "10000000000000000\r\nhello\r\n0\r\n\r\n"),
        ("a size that is too small", "2\r\n{\"messages\":[]}\r\n0\r\n\r\n"),
        ("no line end behind a chunk", "2\r\n{}xx0\r\n\r\n"),
        ("only line feeds", "2\n{}\n0\n\n"),
        ("NUL bytes", "\0\0\0\0\r\n"),
        ("a size with a sign", "+2\r\n{}\r\n0\r\n\r\n"),
    ];
    for (what, body) in broken_chunks {
        let mut connection = Connection::open(&victim.base());
        connection.send(&chunked(body));
        // The size of a chunk that is too small leaves JSON that is cut; the others leave nothing.
        match connection.reply() {
            Some(reply) if !reply.body.is_empty() => {
                victim.check(what, &reply, refused(40000));
                assert!(connection.is_closed(), "{what}: the connection goes on");
            }
            Some(reply) => assert!((400..500).contains(&reply.status), "{what}: status {}", reply.status),
            None => {}
        }
    }
    // Chunks that end before their end.
    for body in ["", "5", "5\r\n", "5\r\n{}", "2\r\n{}\r\n", "2\r\n{}\r\n0\r\n"] {
        let mut connection = Connection::open(&victim.base());
        connection.send(&chunked(body));
        connection.end();
        if let Some(reply) = connection.reply() {
            victim.check(body, &reply, refused(40000));
        }
    }
    victim.ends_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_before_its_last_byte_has_not_called() {
    let victim = Victim::start().await;
    let request = Request::post("/v1/chat/completions", GOOD_BODY).key(victim.key()).bytes();
    for length in (0..request.len()).step_by(3) {
        let mut connection = Connection::open(&victim.base());
        connection.send(&request[..length]);
        drop(connection);
    }
    victim.ends_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_in_one_piece_are_answered_in_their_order() {
    let mut victim = Victim::start().await;
    let good = Request::post("/v1/chat/completions", GOOD_BODY).key(victim.key()).bytes();
    let wrong = Request::post("/v1/chat/completions", "{").key(victim.key()).bytes();
    let unknown = Request::get("/v1/nothing").bytes();
    let mut connection = Connection::open(&victim.base());
    connection.send(&[&good[..], &wrong, &good, &unknown, &good].concat());
    victim.answered_on(&mut connection);
    victim.check("the second", &connection.reply().expect("a reply"), refused(40000));
    victim.answered_on(&mut connection);
    victim.check("the fourth", &connection.reply().expect("a reply"), refused(40400));
    victim.answered_on(&mut connection);
    connection.send(b"garbage\r\n\r\n");
    ends("garbage behind calls", &mut connection);
    victim.goes_on().await;

    // Garbage in one piece with a good call: its client may be taken for gone, but whoever is answered is charged.
    let mut connection = Connection::open(&victim.base());
    connection.send(&[&good[..], b"garbage\r\n\r\n"].concat());
    let is_answered = connection.reply().is_some_and(|reply| reply.status == 200);
    let charged = victim.charge_of_a_call_that_may_have_run().await;
    assert!(charged == GOOD_COST || (!is_answered && charged == 0), "{charged} for an answer: {is_answered}");
    victim.ends_unharmed().await;
}
