//! The callers' side of the ledger: what they ask, and how long they wait for the writer's answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::LedgerError;
use super::inbox::{Inbox, Work};
use super::operation::{
    Capture, Captured, Ended, Hold, HoldDecision, Operation, Outcome, Reversal, Settlement, TopUp, TopUpDecision,
    TopUpReversal,
};
use super::writer;
use crate::clock::Clock;
use crate::db::{Database, DbError, RunTask, Task};
use crate::id::{RequestId, TenantId, TransferId};

/// The bounds of the writer.
#[derive(Debug, Clone, Copy)]
pub struct WriterSettings {
    /// The most operations that share a commit.
    pub batch: usize,
    /// The most operations that may wait.
    pub queue: usize,
    /// How long a caller waits for an answer, in milliseconds.
    pub timeout_ms: u64,
}

impl Default for WriterSettings {
    fn default() -> Self {
        Self { batch: 256, queue: 4096, timeout_ms: 10_000 }
    }
}

/// The first pause before an operation is tried on a new connection.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// The ledger of a process that serves. Cheap to clone; the thread ends when the last one is dropped.
#[derive(Clone)]
pub struct Ledger {
    work: mpsc::Sender<Work>,
    timeout: Duration,
    failing: Arc<AtomicBool>,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Ledger").finish_non_exhaustive()
    }
}

impl RunTask for Ledger {
    fn run(&self, task: Task) -> Result<(), DbError> {
        self.work.try_send(Work::Task(task)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => DbError::Busy("the writer's line is full".to_owned()),
            mpsc::error::TrySendError::Closed(_) => DbError::WriterStopped,
        })
    }
}

impl Ledger {
    /// Starts the writer's thread. From now on, every write of this process to a SQLite database goes through it.
    ///
    /// # Errors
    /// [`DbError::Open`] when the connection or the thread cannot be made.
    pub fn start(database: &Database, clock: Clock, settings: WriterSettings) -> Result<Self, DbError> {
        let (work, waiting) = mpsc::channel(settings.queue);
        let failing = Arc::new(AtomicBool::new(false));
        writer::start(database, clock, Inbox::new(waiting, settings.batch), Arc::clone(&failing))?;
        let ledger = Self { work, timeout: Duration::from_millis(settings.timeout_ms), failing };
        database.write_through(Arc::new(ledger.clone()));
        Ok(ledger)
    }

    /// Whether the last commit failed, or the writer has stopped.
    pub fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed) || self.work.is_closed()
    }

    /// Sets money aside.
    ///
    /// # Errors
    /// [`LedgerError`]; after [`LedgerError::TimedOut`] the hold may be there.
    pub async fn hold(&self, hold: Hold) -> Result<HoldDecision, LedgerError> {
        match self.run(Operation::Hold(hold)).await? {
            Outcome::Hold(decision) => Ok(decision),
            other => Err(other.unexpected()),
        }
    }

    /// Charges a request. `Err(settlement)` inside: it was settled before; `None`: it has no hold.
    ///
    /// # Errors
    /// [`LedgerError`]; after [`LedgerError::TimedOut`] the charge may be there.
    pub async fn capture(&self, capture: Capture) -> Result<Result<Captured, Option<Settlement>>, LedgerError> {
        match self.run(Operation::Capture(Box::new(capture))).await? {
            Outcome::Captured(captured) => Ok(Ok(captured)),
            Outcome::AlreadySettled(settlement) => Ok(Err(Some(settlement))),
            Outcome::NoSuchHold => Ok(Err(None)),
            other => Err(other.unexpected()),
        }
    }

    /// Releases a hold without a charge. `Err(settlement)` inside: it was settled before; `None`: it has no hold.
    ///
    /// # Errors
    /// [`LedgerError`]; after [`LedgerError::TimedOut`] the hold may be released.
    pub async fn end(
        &self,
        request_id: RequestId,
        account: TenantId,
        ended: Ended,
    ) -> Result<Result<(), Option<Settlement>>, LedgerError> {
        match self.run(Operation::End { request_id, account, ended }).await? {
            Outcome::Ended => Ok(Ok(())),
            Outcome::AlreadySettled(settlement) => Ok(Err(Some(settlement))),
            Outcome::NoSuchHold => Ok(Err(None)),
            other => Err(other.unexpected()),
        }
    }

    /// Books a payment.
    ///
    /// # Errors
    /// [`LedgerError`]; after [`LedgerError::TimedOut`] it may be booked: ask again under the same reference.
    pub async fn top_up(&self, top_up: TopUp) -> Result<TopUpDecision, LedgerError> {
        match self.run(Operation::TopUp(top_up)).await? {
            Outcome::TopUp(decision) => Ok(decision),
            other => Err(other.unexpected()),
        }
    }

    /// Gives back what a request was charged.
    ///
    /// # Errors
    /// [`LedgerError`]; after [`LedgerError::TimedOut`] it may be given back.
    pub async fn reverse_capture(&self, request_id: RequestId, account: TenantId) -> Result<Reversal, LedgerError> {
        match self.run(Operation::ReverseCapture { request_id, account }).await? {
            Outcome::Reversal(reversal) => Ok(reversal),
            other => Err(other.unexpected()),
        }
    }

    /// Takes a top-up back as far as the money is there, by a new transfer of this `id`.
    ///
    /// # Errors
    /// [`LedgerError`]; after [`LedgerError::TimedOut`] it may be taken back: ask again under the same id.
    pub async fn reverse_top_up(
        &self,
        id: TransferId,
        account: TenantId,
        transfer: TransferId,
        reason: String,
    ) -> Result<TopUpReversal, LedgerError> {
        match self.run(Operation::ReverseTopUp { id, account, transfer, reason }).await? {
            Outcome::TopUpReversal(reversal) => Ok(reversal),
            other => Err(other.unexpected()),
        }
    }

    /// Queues one operation for a batch and waits for its commit. A connection that is lost meanwhile is made again for as long as the
    /// caller may wait: an operation is decided by what the ledger holds, so asking again cannot carry it out twice.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn run(&self, operation: Operation) -> Result<Outcome, LedgerError> {
        let until = tokio::time::Instant::now() + self.timeout;
        let ask_until = tokio::time::Instant::now() + operation.patience(self.timeout);
        let mut pause = FIRST_PAUSE;
        let mut again = false;
        loop {
            let asked = self.ask(operation.clone());
            let answer = tokio::time::timeout_at(until, asked).await.unwrap_or(Err(LedgerError::TimedOut));
            match answer {
                Err(LedgerError::Database(DbError::Disconnected(_) | DbError::Open { .. }))
                    if tokio::time::Instant::now() + pause < ask_until =>
                {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    again = true;
                }
                // The commit before the connection was lost may have been carried out, and this is its trace.
                Ok(outcome) if again => return Ok(operation.own_trace(outcome)),
                answer => return answer,
            }
        }
    }

    async fn ask(&self, operation: Operation) -> Result<Outcome, LedgerError> {
        let (answer, answered) = oneshot::channel();
        self.work.send(Work::Operation(operation, answer)).await.map_err(|_| LedgerError::Stopped)?;
        answered.await.map_err(|_| LedgerError::Stopped)?
    }

    /// Lets the writer find out whether it can write again, where no call would make it try. Call it now and then while [`Self::is_failing`].
    pub fn try_again(&self) {
        // A full line will make it try.
        let _ = self.work.try_send(Work::Task(Box::new(|_| ())));
    }
}
