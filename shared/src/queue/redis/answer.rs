//! The waiting side of one job.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::super::{End, Frame, Silence};
use super::codec::{Header, Kind};
use super::shared::Shared;
use super::{routes::Opened, scripts};
use crate::id::RequestId;

/// Waits for the answer to a job.
pub(in crate::queue) struct Answer {
    shared: Arc<Shared>,
    request_id: RequestId,
    stream: Arc<str>,
    frames: mpsc::Receiver<Result<Frame, Silence>>,
    /// Chunks that the client took, and how many of them the worker knows of.
    read: u64,
    reported: u64,
    over: Option<Silence>,
    /// Whether somebody has to be told when this is dropped.
    is_awaited: bool,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Answer").field("request_id", &self.request_id).finish_non_exhaustive()
    }
}

impl Answer {
    pub(super) fn new(shared: Arc<Shared>, request_id: RequestId, opened: Opened) -> Self {
        let Opened { stream, frames } = opened;
        Self { shared, request_id, stream, frames, read: 0, reported: 0, over: None, is_awaited: true }
    }

    pub(super) fn stream(&self) -> &str {
        &self.stream
    }

    /// There is no such job.
    pub(super) fn forget(mut self) {
        self.is_awaited = false;
    }

    pub(in crate::queue) async fn next(&mut self) -> Result<Frame, Silence> {
        if let Some(silence) = self.over {
            return Err(silence);
        }
        let item = self.frames.recv().await.unwrap_or(Err(Silence::NoWorker));
        self.took(&item);
        item
    }

    fn took(&mut self, item: &Result<Frame, Silence>) {
        match item {
            Ok(Frame::Chunk(_)) => {
                self.read += 1;
                if self.read - self.reported >= self.shared.report_every() {
                    self.reported = self.read;
                    self.report();
                }
            }
            Ok(Frame::End(_)) => {
                self.over = Some(Silence::NoWorker);
                self.is_awaited = false;
            }
            // Where only the answer is broken the worker may live, and should hear that nobody listens.
            Err(silence) => {
                self.over = Some(*silence);
                self.is_awaited = *silence != Silence::QueueLost;
            }
        }
    }

    /// The worker waits when its client is too far behind.
    fn report(&self) {
        let (shared, request_id, read) = (Arc::clone(&self.shared), self.request_id, self.read);
        self.shared.runtime.spawn(async move {
            let told = shared.pool.script(&scripts::READ).arg(request_id.to_string()).arg(read).run::<i64>().await;
            if let Err(error) = told {
                tracing::warn!(%request_id, %error, "a worker could not be told that its client goes on");
            }
        });
    }

    pub(in crate::queue) async fn leave(mut self) -> Option<End> {
        while let Ok(item) = self.frames.try_recv() {
            self.took(&item);
            if let Ok(Frame::End(end)) = item {
                return Some(end);
            }
        }
        if self.over.is_some() && !self.is_awaited {
            return None;
        }
        self.is_awaited = false;
        let mark = Header::without_run(self.request_id, Kind::Mark).to_text();
        let was_there = self.shared.leave(self.request_id, &self.stream, &mark).await;
        if was_there == Some(false) {
            // Its end, if it had one, is on its way; behind it comes our mark.
            let arriving = async {
                while let Some(Ok(frame)) = self.frames.recv().await {
                    if let Frame::End(end) = frame {
                        return Some(end);
                    }
                }
                None
            };
            return tokio::time::timeout(self.shared.timings.patience * 2, arriving).await.ok().flatten();
        }
        None
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.shared.routes.close(self.request_id);
        if self.is_awaited {
            let (shared, request_id, stream) = (Arc::clone(&self.shared), self.request_id, Arc::clone(&self.stream));
            self.shared.runtime.spawn(async move { shared.leave(request_id, &stream, "").await });
        }
    }
}
