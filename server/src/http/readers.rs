//! Clients that read slowly, or not at all.
//!
//! The HTTP server copies each piece of a reply into the buffer of its connection, however large it is, and has no limit of time for what
//! nobody reads. So replies are handed to it in slices, the next one when there is room for it; and the operating system ends a connection
//! whose client takes nothing for too long, be the reply a page, a whole answer or a stream.

use std::error::Error;
use std::net::TcpListener;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::web::Bytes;
use socket2::SockRef;

/// The most that is copied at a time, in bytes: as much as the server collects before it writes.
const SLICE_BYTES: usize = 32 * 1024;

/// The same body in slices, which are parts of what it gives and no copies.
pub(super) struct Sliced {
    body: BoxBody,
    /// What it gave that was not handed on yet.
    rest: Bytes,
}

impl Sliced {
    /// All of this body.
    pub(super) const fn of(body: BoxBody) -> Self {
        Self { body, rest: Bytes::new() }
    }
}

impl MessageBody for Sliced {
    type Error = Box<dyn Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        if self.rest.is_empty() {
            match Pin::new(&mut self.body).poll_next(context) {
                Poll::Ready(Some(Ok(piece))) if piece.len() > SLICE_BYTES => self.rest = piece,
                other => return other,
            }
        }
        let next = self.rest.len().min(SLICE_BYTES);
        Poll::Ready(Some(Ok(self.rest.split_to(next))))
    }
}

/// Lets the system end each connection of `listener` whose client takes nothing of what waits for it for so many seconds: whether it is
/// gone without a word, or only does not read. Connections inherit this from their listener, so it costs none of them anything.
pub(super) fn limit_silence(listener: &TcpListener, seconds: u64) {
    if let Err(error) = SockRef::from(listener).set_tcp_user_timeout(Some(Duration::from_secs(seconds))) {
        tracing::warn!(%error, "clients that do not read keep their connections: the listener takes no limit of time for them");
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::{Read as _, Write as _};
    use std::net::{SocketAddr, TcpStream};
    use std::time::Instant;

    use actix_web::{HttpResponse, web};
    use rstest::rstest;
    use shared::config::{HttpSettings, Settings, Sources};
    use socket2::{Domain, Socket, Type};
    use tokio::sync::mpsc;
    use tokio::time::timeout;

    use super::super::Servers;
    use super::*;

    const MIB: usize = 1024 * 1024;
    /// Longer than anything here takes.
    const PATIENCE: Duration = Duration::from_secs(30);

    async fn pieces(mut body: Sliced) -> Vec<Bytes> {
        let mut pieces = Vec::new();
        while let Some(piece) = poll_fn(|context| Pin::new(&mut body).poll_next(context)).await {
            pieces.push(piece.unwrap());
        }
        pieces
    }

    #[rstest]
    #[case::small(5, &[5])]
    #[case::just_one(SLICE_BYTES, &[SLICE_BYTES])]
    #[case::one_more(SLICE_BYTES + 1, &[SLICE_BYTES, 1])]
    #[case::several(2 * SLICE_BYTES, &[SLICE_BYTES, SLICE_BYTES])]
    #[tokio::test]
    async fn slices_are_parts_of_the_whole(#[case] length: usize, #[case] expected: &[usize]) {
        let whole = Bytes::from(vec![7; length]);
        let body = Sliced::of(BoxBody::new(whole.clone()));
        assert_eq!(body.size(), BodySize::Sized(length as u64));
        let mut at = whole.as_ptr();
        let pieces = pieces(body).await;
        assert_eq!(pieces.iter().map(Bytes::len).collect::<Vec<_>>(), expected);
        for piece in pieces {
            assert_eq!(piece.as_ptr(), at, "it is no copy");
            at = at.wrapping_add(piece.len());
        }
    }

    #[tokio::test]
    async fn each_piece_of_a_stream_is_cut() {
        let given = [3, SLICE_BYTES + 1, 4].map(|length| Ok::<_, std::io::Error>(Bytes::from(vec![7; length])));
        let body = actix_web::body::BodyStream::new(futures_util::stream::iter(given));
        let body = Sliced::of(BoxBody::new(body));
        assert_eq!(body.size(), BodySize::Stream);
        let lengths: Vec<_> = pieces(body).await.iter().map(Bytes::len).collect();
        assert_eq!(lengths, [3, SLICE_BYTES, 1, 4]);
    }

    /// Settings of a server that waits so many seconds for its clients.
    fn settings(stalled_s: u64) -> HttpSettings {
        let flags = vec![("http.stalled_s", stalled_s.to_string()), ("http.workers", "1".to_owned())];
        Settings::load(&Sources { flags, ..Sources::default() }).unwrap().http
    }

    /// What is left of a large reply: it says so when it is let go of.
    struct Kept(Vec<u8>, mpsc::UnboundedSender<()>);

    impl AsRef<[u8]> for Kept {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }

    impl Drop for Kept {
        fn drop(&mut self) {
            let _ = self.1.send(());
        }
    }

    fn large() -> Vec<u8> {
        let pattern: Vec<u8> = (0..=250).collect();
        pattern.into_iter().cycle().take(64 * MIB).collect()
    }

    /// A server with one large reply, and what hears that such a reply was let go of.
    fn serve(servers: &mut Servers, stalled_s: u64) -> (SocketAddr, mpsc::UnboundedReceiver<()>) {
        let (let_go, is_let_go) = mpsc::unbounded_channel();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let routes = move |config: &mut web::ServiceConfig| {
            let let_go = let_go.clone();
            let answer = move || {
                let reply = Bytes::from_owner(Kept(large(), let_go.clone()));
                async move { HttpResponse::Ok().body(reply) }
            };
            config.route("/", web::get().to(answer));
        };
        servers.start(listener, &settings(stalled_s), routes).unwrap();
        (address, is_let_go)
    }

    /// A connection whose own buffer holds next to nothing, once it was sent the first of a reply.
    fn ask(address: SocketAddr) -> TcpStream {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.connect(&address.into()).unwrap();
        let mut client = TcpStream::from(socket);
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        client.read_exact(&mut [0]).unwrap();
        client
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_client_that_does_not_read_is_let_go() {
        let mut servers = Servers::default();
        let (address, mut is_let_go) = serve(&mut servers, 1);
        let client = ask(address);
        let begun = Instant::now();
        timeout(PATIENCE, is_let_go.recv()).await.expect("its reply is let go of").unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(500), "all of it was copied at once");
        drop(client);
        servers.stop().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_client_that_reads_gets_all_of_it() {
        let mut servers = Servers::default();
        let (address, _is_let_go) = serve(&mut servers, 60);
        let mut client = ask(address);
        let mut read = vec![b'H'];
        client.read_to_end(&mut read).unwrap();
        let head = read.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        let (head, body) = read.split_at(head);
        let head = std::str::from_utf8(head).unwrap().to_lowercase();
        assert!(head.contains(&format!("content-length: {}\r\n", 64 * MIB)), "{head}");
        assert!(body == large(), "{} bytes came, or others", body.len());
        servers.stop().await;
    }
}
