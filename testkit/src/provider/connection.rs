//! One connection after the other, and on each one request after the other.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::order::Order;
use super::{Call, Failure, State, answer, head};

pub(super) async fn accept(listener: std::net::TcpListener, state: Arc<State>) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            let state = Arc::clone(&state);
            tokio::spawn(async move {
                let _ = Connection { stream, received: Vec::with_capacity(4096) }.serve(&state).await;
            });
        }
    }
}

struct Connection {
    stream: TcpStream,
    /// What has arrived and is not read yet.
    received: Vec<u8>,
}

/// What becomes of the connection behind an answer.
#[derive(PartialEq, Eq)]
enum Then {
    GoOn,
    Reset,
}

impl Connection {
    async fn serve(mut self, state: &State) -> io::Result<()> {
        loop {
            let head = match head::read(&self.received) {
                Ok(Some(head)) if self.received.len() >= head.length + head.body => head,
                Ok(_) => match self.stream.read_buf(&mut self.received).await? {
                    0 => return Ok(()),
                    _ => continue,
                },
                Err(()) => return self.stream.write_all(&answer::error("400 Bad Request", "no HTTP")).await,
            };
            let end = head.length + head.body;
            if head.is_chat {
                let failure = *state.failure.lock().unwrap_or_else(PoisonError::into_inner);
                let order = Order::read(&self.received[head.length..end], state.settings, failure);
                self.received.drain(..end);
                let Some(order) = order else {
                    self.stream.write_all(&answer::error("400 Bad Request", "no chat")).await?;
                    continue;
                };
                state.calls.fetch_add(1, Ordering::SeqCst);
                let mut entry = Entry::open(state, order.marker.clone());
                if self.answer(&order, &mut entry).await? == Then::Reset {
                    return self.stream.set_zero_linger();
                }
            } else {
                self.received.drain(..end);
                self.stream.write_all(&answer::error("404 Not Found", "no such path")).await?;
            }
            if head.closes {
                return Ok(());
            }
        }
    }

    async fn answer(&mut self, order: &Order, entry: &mut Entry<'_>) -> io::Result<Then> {
        match order.failure {
            Some(Failure::ServerError) => {
                self.stream.write_all(&answer::error("500 Internal Server Error", "it broke")).await?;
                return Ok(Then::GoOn);
            }
            Some(Failure::TooManyRequests) => {
                self.stream.write_all(&answer::error("429 Too Many Requests", "slow down")).await?;
                return Ok(Then::GoOn);
            }
            Some(Failure::Nonsense) => {
                self.stream.write_all(&answer::reply("200 OK", "<html>nonsense</html>")).await?;
                return Ok(Then::GoOn);
            }
            Some(Failure::Reset) => return Ok(Then::Reset),
            Some(Failure::Hang) => loop {
                self.rest(Duration::from_secs(3600), entry).await?;
            },
            Some(Failure::ResetMidway) | None => {}
        }
        if order.is_streamed { self.stream_out(order, entry).await } else { self.whole(order, entry).await }
    }

    async fn whole(&mut self, order: &Order, entry: &mut Entry<'_>) -> io::Result<Then> {
        self.rest(order.settings.first_text + order.settings.pause * order.settings.chunks, entry).await?;
        let bytes = answer::whole(order);
        entry.sends(order.settings.chunks, order.settings.hanzi);
        if order.failure == Some(Failure::ResetMidway) {
            self.stream.write_all(&bytes[..bytes.len() / 2]).await?;
            return Ok(Then::Reset);
        }
        self.write(&bytes, entry).await?;
        entry.call.is_whole = true;
        Ok(Then::GoOn)
    }

    async fn stream_out(&mut self, order: &Order, entry: &mut Entry<'_>) -> io::Result<Then> {
        let settings = order.settings;
        let stops_at = (order.failure == Some(Failure::ResetMidway)).then_some(settings.chunks / 2);
        let mut bytes = answer::STREAM_HEAD.to_vec();
        bytes.extend(answer::opening(order));
        if !settings.first_text.is_zero() {
            self.write(&bytes, entry).await?;
            bytes.clear();
            self.rest(settings.first_text, entry).await?;
        }
        let chunk = answer::chunk(order);
        for number in 0..settings.chunks {
            if stops_at == Some(number) {
                self.write(&bytes, entry).await?;
                return Ok(Then::Reset);
            }
            bytes.extend(&chunk);
            entry.sends(1, settings.hanzi);
            // Without pauses everything goes out at once.
            if !settings.pause.is_zero() {
                self.write(&bytes, entry).await?;
                bytes.clear();
                self.rest(settings.pause, entry).await?;
            }
        }
        bytes.extend(answer::closing(order));
        bytes.extend(answer::STREAM_END);
        self.write(&bytes, entry).await?;
        entry.call.is_whole = true;
        Ok(Then::GoOn)
    }

    async fn write(&mut self, bytes: &[u8], entry: &mut Entry<'_>) -> io::Result<()> {
        let written = self.stream.write_all(bytes).await;
        entry.call.is_left |= written.is_err();
        written
    }

    /// Waits, unless the caller leaves.
    async fn rest(&mut self, time: Duration, entry: &mut Entry<'_>) -> io::Result<()> {
        if time.is_zero() {
            return Ok(());
        }
        let sleep = tokio::time::sleep(time);
        tokio::pin!(sleep);
        loop {
            tokio::select! {
                () = &mut sleep => return Ok(()),
                read = self.stream.read_buf(&mut self.received) => match read {
                    // The next request may come early, within bounds.
                    Ok(1..) if self.received.len() <= head::LONGEST_BODY => {}
                    _ => {
                        entry.call.is_left = true;
                        return Err(io::ErrorKind::ConnectionReset.into());
                    }
                },
            }
        }
    }
}

/// A call that runs. What became of it is recorded when this is dropped, whatever the reason; that it began is recorded at once.
struct Entry<'a> {
    state: &'a State,
    marker: Option<(String, usize)>,
    call: Call,
}

impl<'a> Entry<'a> {
    fn open(state: &'a State, marker: Option<String>) -> Self {
        let call = Call { begun: Instant::now(), ended: None, chunks: 0, hanzi: 0, is_whole: false, is_left: false };
        let marker = marker.map(|marker| {
            let mut records = state.records();
            let calls = &mut records.entry(marker.clone()).or_default().calls;
            calls.push(call);
            (marker, calls.len() - 1)
        });
        Self { state, marker, call }
    }

    fn sends(&mut self, chunks: u32, hanzi: u32) {
        self.call.chunks += chunks;
        self.call.hanzi += chunks * hanzi;
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        let Some((marker, number)) = &self.marker else { return };
        self.call.ended = Some(Instant::now());
        let mut records = self.state.records();
        if let Some(call) = records.get_mut(marker).and_then(|record| record.calls.get_mut(*number)) {
            *call = self.call;
        }
    }
}
