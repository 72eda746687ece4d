//! A provider that is written by hand.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

pub(super) struct Provider {
    pub(super) listener: TcpListener,
}

impl Provider {
    pub(super) async fn start() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/v1", self.listener.local_addr().unwrap())
    }

    /// The next connection, and the request on it.
    pub(super) async fn accept(&self) -> (TcpStream, String) {
        let (mut connection, _) = self.listener.accept().await.unwrap();
        let request = read_request(&mut connection).await;
        (connection, request)
    }

    /// Answers one call and closes.
    pub(super) async fn answer(&self, reply: &str) {
        let (mut connection, _) = self.accept().await;
        // Who has read enough may close before all is written.
        let _ = connection.write_all(reply.as_bytes()).await;
    }
}

pub(super) async fn read_request(connection: &mut TcpStream) -> String {
    let mut request = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let length = connection.read(&mut piece).await.unwrap();
        assert_ne!(length, 0, "the request broke off: {}", String::from_utf8_lossy(&request));
        request.extend_from_slice(&piece[..length]);
        let text = String::from_utf8(request.clone()).unwrap();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let announced = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        if body.len() == announced.parse::<usize>().unwrap() {
            return text;
        }
    }
}

/// A reply with this status line (and headers) and body.
pub(super) fn reply(head: &str, body: &str) -> String {
    format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}
