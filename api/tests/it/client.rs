//! A client that sees the bytes.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longer than anything here takes; a test that hangs ends with its name.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A request, to be sent as it is.
#[derive(Clone)]
pub(crate) struct Request {
    method: &'static str,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<String>,
}

pub(crate) fn get(path: &str) -> Request {
    Request { method: "GET", path: path.to_owned(), headers: Vec::new(), body: None }
}

pub(crate) fn post(path: &str) -> Request {
    Request { method: "POST", ..get(path) }
}

impl Request {
    pub(crate) fn method(self, method: &'static str) -> Self {
        Self { method, ..self }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn bearer(self, key: &str) -> Self {
        self.header("Authorization", &format!("Bearer {key}"))
    }

    /// A body that is declared as JSON.
    pub(crate) fn json(self, body: impl ToString) -> Self {
        self.header("Content-Type", "application/json").body(&body.to_string())
    }

    pub(crate) fn body(mut self, body: &str) -> Self {
        self.body = Some(body.to_owned());
        self
    }

    fn bytes(&self) -> String {
        let Self { method, path, headers, body } = self;
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: xiaoyi\r\n");
        for (name, value) in headers {
            write!(text, "{name}: {value}\r\n").unwrap();
        }
        if let Some(body) = body {
            write!(text, "Content-Length: {}\r\n", body.len()).unwrap();
        }
        text + "\r\n" + body.as_deref().unwrap_or_default()
    }

    pub(crate) async fn send(&self, address: SocketAddr) -> Reply {
        let mut connection = Connection::open(address).await;
        connection.write(&self.bytes()).await;
        connection.reply().await
    }

    /// Sends it and reads only as far as the reply's head.
    pub(crate) async fn open(&self, address: SocketAddr) -> (Connection, Reply) {
        let mut connection = Connection::open(address).await;
        connection.write(&self.bytes()).await;
        let head = connection.head().await;
        (connection, head)
    }
}

pub(crate) struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), read: Vec::new() }
    }

    pub(crate) async fn write(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// Reads once more; false at the end.
    async fn more(&mut self) -> bool {
        let read = timeout(PATIENCE, self.stream.read_buf(&mut self.read)).await.expect("the server says nothing");
        read.is_ok_and(|count| count > 0)
    }

    /// Reads until the bytes hold `text`, and takes all up to its end.
    pub(crate) async fn until(&mut self, text: &str) -> String {
        loop {
            let found = self.read.windows(text.len()).position(|window| window == text.as_bytes());
            if let Some(start) = found {
                let taken = self.read.drain(..start + text.len()).collect();
                return String::from_utf8(taken).unwrap();
            }
            assert!(self.more().await, "the connection ended before {text:?}: {}", String::from_utf8_lossy(&self.read));
        }
    }

    pub(crate) async fn head(&mut self) -> Reply {
        let text = self.until("\r\n\r\n").await;
        let mut lines = text.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
        Reply { status, headers, body: String::new() }
    }

    /// One whole reply; the connection may go on.
    pub(crate) async fn reply(&mut self) -> Reply {
        let mut reply = self.head().await;
        if let Some(length) = reply.header("content-length") {
            let length: usize = length.parse().unwrap();
            while self.read.len() < length {
                assert!(self.more().await, "the body is cut off");
            }
            reply.body = String::from_utf8(self.read.drain(..length).collect()).unwrap();
        } else if reply.header("transfer-encoding").is_some() {
            loop {
                let size = self.until("\r\n").await;
                let size = usize::from_str_radix(size.trim(), 16).unwrap();
                while self.read.len() < size + 2 {
                    assert!(self.more().await, "the body is cut off");
                }
                reply.body += std::str::from_utf8(&self.read[..size]).unwrap();
                self.read.drain(..size + 2);
                if size == 0 {
                    break;
                }
            }
        }
        reply
    }

    /// Everything until the server closes.
    pub(crate) async fn rest(mut self) -> String {
        while self.more().await {}
        String::from_utf8(self.read).unwrap()
    }
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(each, _)| each == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub(crate) fn request_id(&self) -> &str {
        let id = self.header("x-request-id").expect("every reply has a request id");
        assert_eq!(id.len(), 36, "{id}");
        id
    }

    /// Status, the headers that say something, and the body, for a snapshot.
    pub(crate) fn shown(&self) -> String {
        const USUAL: [&str; 6] = ["content-length", "date", "connection", "transfer-encoding", "x-request-id", "vary"];
        let mut text = self.status.to_string();
        let mut headers: Vec<_> = self.headers.iter().collect();
        headers.sort();
        for (name, value) in headers {
            if !USUAL.contains(&name.as_str()) && (name != "content-type" || value != "application/json") {
                write!(text, "\n{name}: {value}").unwrap();
            }
        }
        let body = self.body.replace(self.request_id(), "[request id]");
        text + "\n" + &body
    }
}
