//! What the parts of the queue in one process have in common.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::runtime::Handle;

use super::super::QueueLimits;
use super::crowd::Crowd;
use super::hands::Hands;
use super::routes::Routes;
use super::scripts;
use super::time::RedisTime;
use super::timings::Timings;
use crate::clock::Clock;
use crate::id::{ProcessId, RequestId};
use crate::redis_store::RedisPool;

/// One process' part of the queue.
pub(super) struct Shared {
    pub(super) pool: RedisPool,
    pub(super) clock: Clock,
    pub(super) limits: QueueLimits,
    pub(super) timings: Timings,
    pub(super) process: ProcessId,
    pub(super) takes_jobs: bool,
    /// Where what outlives its caller runs: not in the runtime of a thread that may go away.
    pub(super) runtime: Handle,
    pub(super) routes: Routes,
    pub(super) crowd: Crowd,
    pub(super) time: RedisTime,
    pub(super) hands: Hands,
    pub(super) is_closed: AtomicBool,
}

impl Shared {
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::SeqCst)
    }

    /// The name of this process among workers.
    pub(super) fn worker(&self) -> String {
        self.process.to_string()
    }

    /// Chunks that are buffered for one client.
    pub(super) fn buffer(&self) -> usize {
        self.limits.frames.max(1)
    }

    /// After how many chunks a client's progress is reported.
    pub(super) fn report_every(&self) -> u64 {
        u64::try_from(self.buffer() / 2).unwrap_or(u64::MAX).max(1)
    }

    /// Whether the job was still there when it was told that nobody waits for it. `None`: Redis could not be asked.
    pub(super) async fn leave(&self, request_id: RequestId, stream: &str, mark: &str) -> Option<bool> {
        let leaving = self.pool.script(&scripts::LEAVE).arg(request_id.to_string()).arg(stream).arg(mark);
        match leaving.run::<String>().await {
            Ok(word) => Some(word == "left"),
            Err(error) => {
                tracing::warn!(%request_id, %error, "a worker could not be told that its client has left");
                None
            }
        }
    }

    /// Stops taking: what was taken and given to nobody goes back.
    pub(super) fn close(self: &Arc<Self>) {
        self.is_closed.store(true, Ordering::SeqCst);
        self.hands.give_back_all();
        self.hands.wake_all();
    }
}
