//! HTTP byte by byte, over a bare connection, so that a request can be wrong wherever it likes.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// How long a reply may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request as bytes.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    method: String,
    target: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    has_length: bool,
}

impl Request {
    pub(crate) fn new(method: &str, target: &str) -> Self {
        let headers = vec![("Host".to_owned(), b"localhost".to_vec())];
        Self { method: method.to_owned(), target: target.to_owned(), headers, body: Vec::new(), has_length: true }
    }

    /// A POST of a body that is declared as JSON.
    pub(crate) fn post(target: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::new("POST", target).header("Content-Type", "application/json").body(body)
    }

    pub(crate) fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    pub(crate) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(each, _)| each != name);
        self
    }

    pub(crate) fn key(self, key: &str) -> Self {
        self.header("Authorization", format!("Bearer {key}"))
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The same, whose length is only what its headers say of it.
    pub(crate) fn without_length(self) -> Self {
        Self { has_length: false, ..self }
    }

    /// The same with its body in chunks.
    pub(crate) fn chunked(mut self, size: usize) -> Self {
        let mut encoded = Vec::new();
        for piece in self.body.chunks(size) {
            encoded.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
            encoded.extend_from_slice(piece);
            encoded.extend_from_slice(b"\r\n");
        }
        encoded.extend_from_slice(b"0\r\n\r\n");
        self.body = encoded;
        self.header("Transfer-Encoding", "chunked").without_length()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        let length = self.body.len().to_string().into_bytes();
        let length = (self.has_length && !self.body.is_empty()).then(|| ("Content-Length".to_owned(), length));
        for (name, value) in self.headers.iter().chain(&length) {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }

    fn is_head(&self) -> bool {
        self.method == "HEAD"
    }
}

/// A reply as it came.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(each, _)| each == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {} {text:?}", self.status))
    }
}

/// One connection to a server.
pub(crate) struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    /// To `http://ADDRESS`.
    pub(crate) fn open(base: &str) -> Self {
        let address = base.strip_prefix("http://").expect("a plain address").trim_end_matches('/');
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        Self { stream, received: Vec::new() }
    }

    /// Sends what the server still takes: it may have closed the connection before the end.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Nothing more is sent; what comes can still be read.
    pub(crate) fn end(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// The next reply; `None` when the connection was closed before one.
    pub(crate) fn reply(&mut self) -> Option<Reply> {
        self.next_reply(false)
    }

    fn next_reply(&mut self, is_head: bool) -> Option<Reply> {
        loop {
            let head = self.read_until(|received| find(received, b"\r\n\r\n").map(|end| end + 4))?;
            let (status, headers) = parse_head(&head);
            // 100 Continue comes before the reply.
            if status < 200 {
                continue;
            }
            let mut reply = Reply { status, headers, body: Vec::new() };
            if is_head || status == 204 || status == 304 {
                return Some(reply);
            }
            reply.body = match reply.header("content-length").map(|length| length.parse().expect("a length")) {
                Some(length) => self.read_until(|received| (received.len() >= length).then_some(length))?,
                None if reply.header("transfer-encoding") == Some("chunked") => self.read_chunks()?,
                None => self.read_to_the_end(),
            };
            return Some(reply);
        }
    }

    /// Whether the server closes the connection without another byte.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.received.is_empty() && !self.receive()
    }

    fn read_chunks(&mut self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.read_until(|received| find(received, b"\r\n").map(|end| end + 2))?;
            let size = usize::from_str_radix(String::from_utf8_lossy(&line).trim(), 16).expect("a chunk's size");
            let chunk = self.read_until(|received| (received.len() >= size + 2).then_some(size + 2))?;
            if size == 0 {
                return Some(body);
            }
            body.extend_from_slice(&chunk[..size]);
        }
    }

    fn read_to_the_end(&mut self) -> Vec<u8> {
        while self.receive() {}
        std::mem::take(&mut self.received)
    }

    fn read_until(&mut self, is_there: impl Fn(&[u8]) -> Option<usize>) -> Option<Vec<u8>> {
        loop {
            if let Some(length) = is_there(&self.received) {
                return Some(self.received.drain(..length).collect());
            }
            if !self.receive() {
                return None;
            }
        }
    }

    /// Takes in what comes next; gives whether anything came before the connection was closed.
    fn receive(&mut self) -> bool {
        let mut piece = [0; 64 * 1024];
        match self.stream.read(&mut piece) {
            Ok(length) => {
                self.received.extend_from_slice(&piece[..length]);
                length > 0
            }
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                panic!("no reply within {PATIENCE:?}")
            }
            // A reset closes it too.
            Err(_) => false,
        }
    }
}

/// Sends one request and reads its reply; `None` when the connection was closed instead.
pub(crate) fn ask(base: &str, request: &Request) -> Option<Reply> {
    let mut connection = Connection::open(base);
    connection.send(&request.bytes());
    connection.next_reply(request.is_head())
}

fn parse_head(head: &[u8]) -> (u16, Vec<(String, String)>) {
    let head = String::from_utf8_lossy(head);
    let mut lines = head.lines();
    let status_line = lines.next().expect("a status line");
    let status = status_line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    (status.unwrap_or_else(|| panic!("not a status line: {status_line:?}")), headers)
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
