//! Brings the chunks of one job to its client, and its end. It outlives the worker that made them, so that a worker's death is told too.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::super::{Chunk, End, Frame, Interruption};
use super::codec::{self, Header, Kind};
use super::hands::{Gone, Signal};
use super::scripts;
use super::shared::Shared;
use super::timings::{COALESCE, COALESCE_BYTES, PART_BYTES, millis};
use crate::id::RequestId;
use crate::redis_store::{Invocation, RedisStoreError, Script};

/// How often it is looked whether a slow client has read, should the hint be lost.
const FIRST_LOOK: Duration = Duration::from_millis(10);
const LONGEST_LOOK: Duration = Duration::from_millis(200);

/// A process that was silent for so many ticks may be dead.
const SILENT_TICKS: u32 = 3;

/// How a worker lets go of a job.
pub(super) enum Ending {
    Finish(End, oneshot::Sender<Result<(), Interruption>>),
    HandBack { is_attempt: bool, done: Option<oneshot::Sender<()>> },
}

pub(super) struct Forwarder {
    shared: Arc<Shared>,
    request_id: RequestId,
    token: String,
    signal: Arc<Signal>,
    chunks: mpsc::Receiver<Frame>,
    /// The number of the next entry.
    number: u64,
    /// Chunks sent, and how many of them the client has read.
    sent: u64,
    read: u64,
    pending: Vec<Chunk>,
    pending_bytes: usize,
    last_sent: Option<Instant>,
}

impl Forwarder {
    pub(super) fn new(
        shared: Arc<Shared>,
        request_id: RequestId,
        token: String,
        signal: Arc<Signal>,
        chunks: mpsc::Receiver<Frame>,
        sent: u64,
    ) -> Self {
        let (number, pending) = (0, Vec::new());
        let (read, pending_bytes, last_sent) = (0, 0, None);
        Self { shared, request_id, token, signal, chunks, number, sent, read, pending, pending_bytes, last_sent }
    }

    /// Forwards until the worker lets go, then ends the job as it says; if it says nothing, the job is given up.
    pub(super) async fn run(mut self, ended: oneshot::Receiver<Ending>) {
        let forwarded = self.forward().await;
        if let Err(gone) = forwarded {
            self.signal.go(gone);
        }
        // From here on the worker's sends fail.
        self.chunks.close();
        match ended.await {
            Ok(Ending::Finish(end, done)) => {
                let finished = match forwarded {
                    Ok(()) => self.finish(&end).await,
                    Err(gone) => Err(gone),
                };
                if let Err(gone) = finished {
                    self.give_up(gone, "").await;
                }
                self.shared.hands.let_go(self.request_id, &self.signal);
                let _ = done.send(match finished {
                    Ok(true) => Ok(()),
                    Ok(false) => Err(Interruption::ClientLeft),
                    Err(gone) => Err(gone.interruption()),
                });
            }
            Ok(Ending::HandBack { is_attempt, done }) => {
                self.hand_back(forwarded, is_attempt).await;
                self.shared.hands.let_go(self.request_id, &self.signal);
                if let Some(done) = done {
                    let _ = done.send(());
                }
            }
            Err(_) => {
                let flushed = match forwarded {
                    Ok(()) => self.send_pending().await,
                    Err(gone) => Err(gone),
                };
                self.give_up(flushed.err().unwrap_or(Gone::Left), "its worker gave it up").await;
                self.shared.hands.let_go(self.request_id, &self.signal);
            }
        }
    }

    /// Until the worker sends no more; what is pending then travels with the end.
    async fn forward(&mut self) -> Result<(), Gone> {
        loop {
            let frame = tokio::select! {
                biased;
                gone = self.signal.until_gone() => return Err(gone),
                frame = self.chunks.recv() => frame,
            };
            let Some(frame) = frame else { return Ok(()) };
            self.add(frame);
            // The first goes at once, the next ones a little later together.
            let due = self.last_sent.map_or_else(Instant::now, |last| last + COALESCE);
            while self.pending_bytes < COALESCE_BYTES && self.pending.len() < self.shared.buffer() {
                tokio::select! {
                    biased;
                    gone = self.signal.until_gone() => return Err(gone),
                    frame = self.chunks.recv() => match frame {
                        Some(frame) => self.add(frame),
                        None => return Ok(()),
                    },
                    () = tokio::time::sleep_until(due) => break,
                }
            }
            self.send_pending().await?;
        }
    }

    fn add(&mut self, frame: Frame) {
        if let Frame::Chunk(chunk) = frame {
            self.pending_bytes += chunk.json.len();
            self.pending.push(chunk);
        }
    }

    /// How many chunks the client's buffer has room for.
    fn room(&self) -> usize {
        let buffer = u64::try_from(self.shared.buffer()).unwrap_or(u64::MAX);
        let room = self.read.saturating_add(buffer).saturating_sub(self.sent);
        usize::try_from(room).unwrap_or(usize::MAX)
    }

    async fn send_pending(&mut self) -> Result<(), Gone> {
        while !self.pending.is_empty() {
            let room = self.room();
            if room == 0 {
                self.wait_for_room().await?;
                continue;
            }
            let count = room.min(self.pending.len());
            let mut body = Vec::with_capacity(self.pending_bytes + 64 * count);
            self.pending.drain(..count).for_each(|chunk| codec::write_chunk(&mut body, &chunk));
            self.sent += u64::try_from(count).unwrap_or(u64::MAX);
            self.send(Kind::Frames, &body).await?;
        }
        self.pending_bytes = 0;
        self.last_sent = Some(Instant::now());
        Ok(())
    }

    async fn send(&mut self, kind: Kind, body: &[u8]) -> Result<(), Gone> {
        let header = self.header(kind).to_text();
        let sending = self.owned(&scripts::FRAME).arg(header).arg(body);
        let at = Instant::now();
        let words = self.said(sending.run().await)?;
        self.number += 1;
        self.heed(&words, at)
    }

    async fn wait_for_room(&mut self) -> Result<(), Gone> {
        let deadline = Instant::now() + self.shared.limits.slow_client();
        let mut look = FIRST_LOOK;
        loop {
            let asking = self.owned(&scripts::RENEW).arg("1");
            let at = Instant::now();
            let words = self.said(asking.run().await)?;
            self.heed(&words, at)?;
            if self.room() > 0 {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(Gone::Slow);
            }
            tokio::select! {
                gone = self.signal.until_gone() => return Err(gone),
                () = self.signal.room.notified() => {}
                () = tokio::time::sleep_until(deadline.min(Instant::now() + look)) => {}
            }
            look = (look * 2).min(LONGEST_LOOK);
        }
    }

    /// Sends the end, with what is still pending, and gives whether anybody receives it; the slot is free then.
    async fn finish(&mut self, end: &End) -> Result<bool, Gone> {
        if self.pending.len() > self.room() {
            self.send_pending().await?;
        }
        let mut body = Vec::new();
        self.pending.drain(..).for_each(|chunk| codec::write_chunk(&mut body, &chunk));
        codec::write_end(&mut body, end);
        let mut parts = body.chunks(PART_BYTES).peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_some() {
                self.send(Kind::Part, part).await?;
                continue;
            }
            let header = self.header(Kind::Frames).to_text();
            let words =
                self.said(self.owned(&scripts::FINISH).arg(header).arg(part).arg(self.heard_of()).run().await)?;
            return match words.first().map(String::as_str) {
                Some("sent") => Ok(true),
                Some("left") => Ok(false),
                Some("unsure") => Err(Gone::Unsure),
                _ => Err(Gone::Lost),
            };
        }
        Ok(true)
    }

    /// What is left of the life of the answers' stream, in milliseconds, while the process that reads it is heard of.
    fn heard_of(&self) -> i64 {
        let timings = &self.shared.timings;
        millis(timings.answers.saturating_sub(timings.tick * SILENT_TICKS))
    }

    async fn hand_back(&mut self, forwarded: Result<(), Gone>, is_attempt: bool) {
        if forwarded.is_ok()
            && let Err(gone) = self.send_pending().await
        {
            tracing::warn!(request_id = %self.request_id, ?gone, "chunks of a job that was handed back were not sent");
        }
        if forwarded == Err(Gone::Lost) {
            return;
        }
        let header = self.header(Kind::HandedBack).to_text();
        let is_attempt = if is_attempt { "1" } else { "0" };
        let handing = self.owned(&scripts::HAND_BACK).arg(header).arg(is_attempt).arg(self.sent);
        self.log(handing.run().await);
    }

    /// Frees the slot without an end.
    async fn give_up(&self, gone: Gone, reason: &str) {
        if gone == Gone::Lost {
            return;
        }
        let header = Header::without_run(self.request_id, Kind::Over).to_text();
        self.log(self.owned(&scripts::ABANDON).arg(header).arg(reason).run().await);
    }

    fn header(&self, kind: Kind) -> Header {
        Header { request_id: self.request_id, kind, number: self.number, token: self.token.clone() }
    }

    fn owned<'a>(&'a self, script: &'a Script) -> Invocation<'a> {
        self.shared.pool.script(script).arg(self.request_id.to_string()).arg(&self.token)
    }

    fn said(&self, said: Result<Vec<String>, RedisStoreError>) -> Result<Vec<String>, Gone> {
        said.map_err(|error| {
            tracing::warn!(request_id = %self.request_id, %error, "a part of an answer could not be sent");
            // By now it may be another worker's.
            let is_over = self.signal.kept_at().elapsed() >= self.shared.timings.lease;
            if is_over { Gone::Lost } else { Gone::Unsure }
        })
    }

    /// What a script that was sent `at` this moment says to the owner of a job.
    fn heed(&mut self, words: &[String], at: Instant) -> Result<(), Gone> {
        match words.first().map(String::as_str) {
            Some("sent" | "kept" | "told") => {
                self.signal.kept(at);
                let read = words.get(1).and_then(|read| read.parse().ok()).unwrap_or(0);
                self.read = self.read.max(read);
                Ok(())
            }
            Some("left") => Err(Gone::Left),
            _ => Err(Gone::Lost),
        }
    }

    fn log(&self, done: Result<Vec<String>, RedisStoreError>) {
        if let Err(error) = done {
            tracing::warn!(request_id = %self.request_id, %error, "a slot could not be freed; its lease will run out");
        }
    }
}
