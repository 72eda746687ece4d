//! A browser without scripts: it keeps cookies, says where a form comes from, and sends what is hidden in it.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Reply;

/// Longer than anything here takes; a test that hangs ends with its name.
const PATIENCE: Duration = Duration::from_secs(30);

/// A browser.
#[derive(Debug, Clone)]
pub(crate) struct Browser {
    address: SocketAddr,
    cookies: Vec<(String, String)>,
    /// What it sends as `Origin` with forms; `None` as its own pages would.
    pub(crate) origin: Option<String>,
    /// Which languages it asks for.
    pub(crate) languages: &'static str,
    /// Whether a script asks, to renew a part of a page.
    pub(crate) is_htmx: bool,
    /// For whom it claims to speak.
    pub(crate) forwarded_for: Option<String>,
}

impl Browser {
    /// One that was never here.
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, cookies: Vec::new(), origin: None, languages: "en", is_htmx: false, forwarded_for: None }
    }

    /// The same browser in front of another process, which its proxy has chosen.
    pub(crate) fn at(&self, address: SocketAddr) -> Self {
        Self { address, ..self.clone() }
    }

    /// The value of a cookie.
    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.iter().find(|(each, _)| each == name).map(|(_, value)| value.as_str())
    }

    /// Puts a cookie there.
    pub(crate) fn set_cookie(&mut self, name: &str, value: &str) {
        self.cookies.push((name.to_owned(), value.to_owned()));
    }

    /// Opens a page.
    pub(crate) async fn get(&mut self, path: &str) -> Reply {
        self.send("GET", path, None).await
    }

    /// Opens a list's pages one after the other, to its end and back; there are so many. Gives what `rows` finds on them.
    pub(crate) async fn turn(&mut self, path: &str, pages: usize, rows: impl Fn(&Reply) -> Vec<String>) -> Vec<String> {
        let mut there = vec![self.get(path).await.is(200)];
        assert_eq!((there[0].page("first"), there[0].page("prev")), (None, None), "{path}");
        while let Some(next) = there.last().unwrap().page("next") {
            there.push(self.get(&next).await.is(200));
        }
        assert_eq!(there.len(), pages, "{path}");
        let mut here = there.last().unwrap().clone();
        for page in there.iter().rev().skip(1) {
            assert_eq!(rows(&self.get(&here.page("first").unwrap()).await), rows(&there[0]), "{path}");
            here = self.get(&here.page("prev").unwrap()).await.is(200);
            assert_eq!(rows(&here), rows(page), "{path}, back");
            assert!(here.page("next").is_some(), "{path}, back");
        }
        assert_eq!(here.page("prev"), None, "{path}, back");
        let rows: Vec<String> = there.iter().flat_map(rows).collect();
        let once: std::collections::BTreeSet<&String> = rows.iter().collect();
        assert_eq!(once.len(), rows.len(), "{path}");
        rows
    }

    /// Sends fields, and nothing else.
    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Reply {
        self.send("POST", path, Some(encoded(fields))).await
    }

    /// Fills in the form of `page` that is sent to `action`, and sends it. (An empty `action` is the page itself; say where that is with
    /// [`Browser::submit_to`].)
    #[track_caller]
    pub(crate) fn submit(
        &mut self,
        page: &Reply,
        action: &str,
        typed: &[(&str, &str)],
    ) -> impl Future<Output = Reply> + use<'_> {
        self.submit_to(action, page.hidden(action), typed)
    }

    /// Sends hidden fields together with typed ones.
    pub(crate) fn submit_to(
        &mut self,
        path: &str,
        hidden: Vec<(String, String)>,
        typed: &[(&str, &str)],
    ) -> impl Future<Output = Reply> + use<'_> {
        let hidden = hidden.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let fields: Vec<_> = hidden.chain(typed.iter().copied()).collect();
        let (body, path) = (encoded(&fields), path.to_owned());
        async move { self.send("POST", &path, Some(body)).await }
    }

    /// Begins to send such fields, and keeps the last byte back.
    pub(crate) async fn begin(&self, path: &str, hidden: &[(String, String)], typed: &[(&str, &str)]) -> Begun {
        let hidden = hidden.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let fields: Vec<_> = hidden.chain(typed.iter().copied()).collect();
        let mut bytes = self.request("POST", path, Some(encoded(&fields))).into_bytes();
        let last = bytes.pop().unwrap();
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        Begun { stream, last }
    }

    /// Begins to load a file, and reads no more than its head.
    pub(crate) async fn download(&self, path: &str) -> Download {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(self.request("GET", path, None).as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        assert!(head.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&head));
        Download { stream }
    }

    /// Sends any request.
    pub(crate) async fn send(&mut self, method: &str, path: &str, body: Option<String>) -> Reply {
        let text = self.request(method, path, body);
        let reply = read(&exchange(self.address, text.as_bytes()).await);
        self.keep_cookies(&reply);
        reply
    }

    fn request(&self, method: &str, path: &str, body: Option<String>) -> String {
        let Self { address, languages, .. } = self;
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
        write!(text, "Accept-Language: {languages}\r\n").unwrap();
        if method != "GET" {
            let origin = self.origin.clone().unwrap_or_else(|| format!("http://{address}"));
            write!(text, "Origin: {origin}\r\n").unwrap();
        }
        if self.is_htmx {
            text += "HX-Request: true\r\n";
        }
        if let Some(forwarded) = &self.forwarded_for {
            write!(text, "X-Forwarded-For: {forwarded}\r\n").unwrap();
        }
        if !self.cookies.is_empty() {
            let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            write!(text, "Cookie: {}\r\n", cookies.join("; ")).unwrap();
        }
        if let Some(body) = &body {
            write!(text, "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n", body.len())
                .unwrap();
        }
        text + "\r\n" + body.as_deref().unwrap_or_default()
    }

    fn keep_cookies(&mut self, reply: &Reply) {
        for (_, cookie) in reply.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.retain(|(each, _)| each != name);
            if !cookie.contains("Max-Age=0") {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
    }
}

fn encoded(fields: &[(&str, &str)]) -> String {
    serde_urlencoded::to_string(fields).unwrap()
}

/// A form of which the last byte is still to come.
#[derive(Debug)]
pub(crate) struct Begun {
    stream: TcpStream,
    last: u8,
}

impl Begun {
    /// Sends it.
    pub(crate) async fn finish(self) -> Reply {
        read(&answer(self.stream, &[self.last]).await)
    }
}

/// A file that is on its way, in pieces.
#[derive(Debug)]
pub(crate) struct Download {
    stream: TcpStream,
}

/// What came of a file.
#[derive(Debug)]
pub(crate) struct Downloaded {
    pub(crate) bytes: usize,
    /// The last piece is the empty one that says so.
    pub(crate) is_whole: bool,
}

impl Download {
    /// Reads what is left of it.
    pub(crate) async fn rest(mut self) -> Downloaded {
        let mut bytes = Vec::new();
        // The server may also reset the connection.
        let reading = async { drop(self.stream.read_to_end(&mut bytes).await) };
        tokio::time::timeout(PATIENCE, reading).await.expect("the server says nothing");
        Downloaded { bytes: bytes.len(), is_whole: bytes.ends_with(b"\r\n0\r\n\r\n") }
    }
}

async fn exchange(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    answer(TcpStream::connect(address).await.unwrap(), request).await
}

async fn answer(mut stream: TcpStream, request: &[u8]) -> Vec<u8> {
    let exchanging = async {
        stream.write_all(request).await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        bytes
    };
    tokio::time::timeout(PATIENCE, exchanging).await.expect("the server says nothing")
}

fn read(bytes: &[u8]) -> Reply {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a reply has a head");
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers: Vec<_> = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    let is_chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    let body = &bytes[end + 4..];
    let body = if is_chunked { joined(body) } else { body.to_vec() };
    Reply { status, headers, body: String::from_utf8(body).unwrap() }
}

/// The pieces of a streamed body; the last one must be there.
fn joined(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    loop {
        let end = body.windows(2).position(|window| window == b"\r\n").expect("the body breaks off");
        let size = usize::from_str_radix(std::str::from_utf8(&body[..end]).unwrap(), 16).unwrap();
        if size == 0 {
            return whole;
        }
        whole.extend_from_slice(&body[end + 2..end + 2 + size]);
        body = &body[end + 4 + size..];
    }
}
