//! The hand-over between those who admit calls and the workers who answer them.
//!
//! One trait, and one contract test that every form of it is held to (`contract`). The queue holds work in motion only:
//! losing it costs no money, because the hold is in the database and ends there.

#[cfg(test)]
pub(crate) mod contract;
mod job;
mod memory;
mod redis;
mod reply;
mod way;

use std::any::Any;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio::time::Instant;

pub use self::redis::{DeadLetter, RedisQueue, Timings};
pub use job::{Deadlines, Endpoint, ImageOrder, Job};
pub use memory::MemoryQueue;
pub use reply::{Chunk, End, Frame};
pub use way::{Try, TryOutcome, Way};

use crate::id::{RequestId, TenantId};

/// How long a worker waits for a client that reads too slowly before it treats the client as gone, in milliseconds.
pub const SLOW_CLIENT_MS: u64 = 10_000;

/// A job of more bytes than this is large: a long text, an image in a message. Smaller ones are bounded by their number.
pub const LARGE_JOB_BYTES: usize = 64 * 1024;

/// The bounds of a queue. Every one of them is enforced when a job is submitted or taken.
#[derive(Debug, Clone, Copy)]
pub struct QueueLimits {
    /// Jobs that may wait, all tenants together. A queue may count one that has got a slot as no longer waiting, before a worker takes it.
    pub capacity: usize,
    /// Jobs of one tenant that may wait.
    pub tenant_share: usize,
    /// Bytes of large jobs ([`LARGE_JOB_BYTES`]) that may wait or run, all tenants together; one tenant gets half of it.
    pub large_bytes: usize,
    /// Frames that are buffered for one client.
    pub frames: usize,
    /// Jobs that run at once in this process. While others wait, one tenant gets at most half of those of all processes (at least one).
    pub slots: usize,
    /// How long a worker waits for a client that reads too slowly, in milliseconds; usually [`SLOW_CLIENT_MS`].
    pub slow_client_ms: u64,
}

impl QueueLimits {
    /// Bytes of one tenant's large jobs that may wait or run.
    pub(crate) const fn tenants_large_bytes(&self) -> usize {
        self.large_bytes / 2
    }

    const fn slow_client(&self) -> Duration {
        Duration::from_millis(self.slow_client_ms)
    }
}

/// Why a job was not accepted. The caller of `submit` still owns the hold and voids it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// Too many jobs wait, all tenants together.
    #[error("the queue is full")]
    Full,
    /// Too many jobs of this tenant wait.
    #[error("the tenant's share of the queue, {share} jobs, is full")]
    TenantShareFull {
        /// How many may wait.
        share: usize,
    },
    /// The queue is shutting down or cannot be reached.
    #[error("the queue cannot be reached")]
    Unavailable,
}

/// What a cancellation met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancellation {
    /// The job was still waiting and is gone now; no worker will see it, so its hold is the canceller's to void.
    Removed,
    /// A worker has it and was told; it settles, unless it had sent its end before.
    Told,
    /// Neither: it has ended, or it was never here.
    NotFound,
}

/// Why a worker should stop working on a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interruption {
    /// Nobody waits for the answer any more: stop the provider's call and charge what was generated.
    ClientLeft,
    /// The lease is lost: another worker may have the job. Send nothing more and settle nothing.
    LeaseLost,
}

/// Nobody reads the frames any more, or much too slowly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the client has left")]
pub struct ClientGone;

/// Why no frame comes any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Silence {
    /// No worker has the job any more, and none will: it died without an end, or the job was taken out of the queue.
    /// Also said to whoever asks for more behind the end.
    #[error("no worker has the call any more")]
    NoWorker,
    /// The queue itself is lost, and all that was in it: nobody can know what became of the job.
    #[error("the queue is lost")]
    QueueLost,
}

/// The waiting side of a submitted job. Dropping it tells the worker that the client has left.
#[derive(Debug)]
pub struct Frames {
    source: Source,
}

#[derive(Debug)]
enum Source {
    Memory(mpsc::Receiver<Frame>),
    Redis(redis::Answer),
}

impl Frames {
    /// The next frame. Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`Silence`]: nothing more comes.
    pub async fn next(&mut self) -> Result<Frame, Silence> {
        match &mut self.source {
            Source::Memory(receiver) => receiver.recv().await.ok_or(Silence::NoWorker),
            Source::Redis(answer) => answer.next().await,
        }
    }

    /// Leaves for good. Gives the end if it was sent already; otherwise the worker learns that nobody receives it.
    pub async fn leave(self) -> Option<End> {
        let mut receiver = match self.source {
            Source::Memory(receiver) => receiver,
            Source::Redis(answer) => return answer.leave().await,
        };
        receiver.close();
        // Whatever was being sent at that moment still arrives, then nothing more can.
        while let Some(frame) = receiver.recv().await {
            if let Frame::End(end) = frame {
                return Some(end);
            }
        }
        None
    }
}

/// Whether somebody may have settled a call before a worker has begun with it.
#[derive(Debug, Clone, Copy)]
enum MaybeSettled {
    Never,
    /// Nobody before this moment.
    From(Instant),
    Always,
}

/// A job in a worker's hands.
#[derive(Debug)]
pub struct Delivery {
    /// The work.
    pub job: Job,
    /// Which try this is, from 1.
    pub attempt: u32,
    slow_client: Duration,
    settled: MaybeSettled,
    frames: mpsc::Sender<Frame>,
    /// Gives the slot back when it is dropped, so also when a worker panics. Below `frames`, so that those end first.
    lease: Box<dyn Any + Send + Sync>,
}

impl Delivery {
    /// Sends a part of the answer.
    ///
    /// # Errors
    /// [`ClientGone`] when the waiting side was dropped, or its buffer stayed full for [`QueueLimits::slow_client_ms`].
    pub async fn send(&self, chunk: Chunk) -> Result<(), ClientGone> {
        match tokio::time::timeout(self.slow_client, self.frames.send(Frame::Chunk(chunk))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(ClientGone),
        }
    }

    /// Whether the call may have been settled by now: another worker may have had it, it may come from an older state of the queue, or
    /// have waited so long that whoever made it gave it up or died. If so, a worker makes sure that the hold is still open before it calls
    /// a provider.
    pub fn needs_open_hold_check(&self) -> bool {
        match self.settled {
            MaybeSettled::Never => false,
            MaybeSettled::From(moment) => Instant::now() >= moment,
            MaybeSettled::Always => true,
        }
    }
}

/// How full a queue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depth {
    /// Jobs that wait.
    pub waiting: usize,
    /// Jobs that workers have.
    pub running: usize,
    /// How long the oldest waiting job has waited, in milliseconds.
    pub oldest_ms: i64,
}

/// A queue of jobs. Cheap to share behind an `Arc`.
#[async_trait]
pub trait Queue: std::fmt::Debug + Send + Sync + 'static {
    /// Whether a job of `tenant` would be accepted just now: a look before money is held, so that a flood costs no write.
    /// Only `submit` decides.
    ///
    /// # Errors
    /// What `submit` would say.
    async fn room(&self, tenant: TenantId) -> Result<(), SubmitError>;

    /// Hands a job over and gives the frames of its answer.
    ///
    /// # Errors
    /// [`SubmitError`]; nothing was queued then.
    async fn submit(&self, job: Job) -> Result<Frames, SubmitError>;

    /// Removes a job that still waits, and gives whether it did: no worker will see it, so its hold is the caller's to void.
    /// A worker that has it already is not disturbed.
    async fn withdraw(&self, request_id: RequestId) -> bool;

    /// Calls a job off, also in a worker's hands.
    async fn cancel(&self, request_id: RequestId) -> Cancellation;

    /// Waits for the next job, one tenant in turn, and takes it. `None` once the queue is closed: take no more.
    /// A job whose client has left or whose first-text deadline has passed is still delivered (its worker settles it), so no hold is forgotten.
    async fn take(&self) -> Option<Delivery>;

    /// Keeps the delivery's lease while it is polled, and resolves when the worker should stop.
    async fn watch(&self, delivery: &Delivery) -> Interruption;

    /// Sends the end of the answer and gives the slot back. Who receives it settles the call as it says.
    ///
    /// # Errors
    /// [`Interruption::ClientLeft`]: nobody received the end, as far as is known, so it is the worker's to settle.
    /// [`Interruption::LeaseLost`]: the job is another worker's, and so is what becomes of it.
    async fn finish(&self, delivery: Delivery, end: End) -> Result<(), Interruption>;

    /// Puts a job back at the head of its tenant's line, for another worker; its next delivery counts one attempt more.
    /// What was sent before stays sent, and what the next one sends comes behind it.
    async fn hand_back(&self, delivery: Delivery);

    /// Stops deliveries (`take` gives `None`) and new submissions; jobs in workers' hands go on.
    fn close(&self);

    /// How full it is.
    async fn depth(&self) -> Depth;
}
