//! A provider that answers every call with the same small chat completion from memory, over HTTP/1.1 with keep-alive. It does as little
//! as it can, so that what is measured is what stands before it.

use std::io::Write;
use std::sync::LazyLock;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The most bytes of a request: its head, and its body.
const LONGEST_HEAD: usize = 16 * 1024;
const LONGEST_BODY: usize = 1024 * 1024;

const COMPLETION: &str = r#"{"id":"chatcmpl-bench","object":"chat.completion","created":1767225600,"model":"bench","choices":[{"index":0,"message":{"role":"assistant","content":"The capital of France is Paris. It lies on the Seine and has been the capital for most of the last thousand years."},"finish_reason":"stop"}],"usage":{"prompt_tokens":15,"completion_tokens":25,"total_tokens":40}}"#;

static REPLY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let length = COMPLETION.len();
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{COMPLETION}")
        .into_bytes()
});

/// Serves on `listen` until the process ends. It prints one line that says where.
///
/// # Errors
/// When it cannot listen.
pub(super) async fn serve(listen: &str) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    writeln!(std::io::stdout(), r#"{{"event":"ready","api":"http://{}"}}"#, listener.local_addr()?)?;
    accept(listener).await
}

async fn accept(listener: TcpListener) -> anyhow::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            // A client that goes away or sends nonsense ends its own connection only.
            let _ = converse(stream).await;
        });
    }
}

/// Answers one request after the other.
async fn converse(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut received = Vec::with_capacity(LONGEST_HEAD);
    loop {
        while let Some(length) = whole_request(&received)? {
            received.drain(..length);
            stream.write_all(&REPLY).await?;
        }
        if stream.read_buf(&mut received).await? == 0 {
            return Ok(());
        }
    }
}

/// How many bytes the first request takes; `None` until it has arrived.
fn whole_request(received: &[u8]) -> std::io::Result<Option<usize>> {
    let refused = |why| Err(std::io::Error::new(std::io::ErrorKind::InvalidData, why));
    let Some(head) = received.windows(4).position(|four| four == b"\r\n\r\n") else {
        return if received.len() > LONGEST_HEAD { refused("a head that is too long") } else { Ok(None) };
    };
    let mut body = 0;
    for line in received[..head].split(|&byte| byte == b'\n') {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            return refused("a body without a length");
        }
        if name.eq_ignore_ascii_case(b"content-length") {
            match std::str::from_utf8(value).ok().and_then(|value| value.parse::<usize>().ok()) {
                Some(length) if length <= LONGEST_BODY => body = length,
                _ => return refused("a length that is none, or too large"),
            }
        }
    }
    let whole = head + 4 + body;
    Ok((received.len() >= whole).then_some(whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_whole_with_its_body() {
        let whole = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nCONTENT-length: 2\r\n\r\n{}";
        for end in 0..whole.len() {
            assert_eq!(whole_request(&whole[..end]).unwrap(), None, "{end}");
        }
        assert_eq!(whole_request(whole).unwrap(), Some(whole.len()));
        assert_eq!(whole_request(&[&whole[..], b"POST"].concat()).unwrap(), Some(whole.len()));
        assert_eq!(whole_request(b"GET / HTTP/1.1\r\n\r\n").unwrap(), Some(18));
    }

    #[test]
    fn what_it_cannot_answer_it_refuses() {
        whole_request(&[b'a'; LONGEST_HEAD + 1]).unwrap_err();
        whole_request(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap_err();
        whole_request(b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n").unwrap_err();
        whole_request(b"POST / HTTP/1.1\r\nContent-Length: two\r\n\r\n").unwrap_err();
    }

    #[tokio::test]
    async fn it_answers_again_and_again_on_one_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(accept(listener));
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}";
        let two_and_a_half = [&request[..], request, &request[..10]].concat();
        stream.write_all(&two_and_a_half).await.unwrap();
        let mut replies = vec![0; 2 * REPLY.len()];
        stream.read_exact(&mut replies).await.unwrap();
        assert_eq!(replies, [REPLY.as_slice(), REPLY.as_slice()].concat());
        stream.write_all(&request[10..]).await.unwrap();
        let mut reply = vec![0; REPLY.len()];
        stream.read_exact(&mut reply).await.unwrap();
        let (_, body) = reply.split_at(REPLY.len() - COMPLETION.len());
        let completion: serde_json::Value = serde_json::from_slice(body).unwrap();
        assert_eq!(completion["choices"][0]["finish_reason"], "stop");
    }
}
