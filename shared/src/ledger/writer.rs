//! Group commit: one thread with its own connection takes whatever arrived while the last commit ran, commits once, then answers each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::LedgerError;
use super::inbox::{Batch, Inbox, Work};
use super::operation::{
    Capture, Captured, Ended, Hold, HoldDecision, Operation, Outcome, Reversal, Settlement, TopUp, TopUpDecision,
};
use super::store;
use crate::clock::Clock;
use crate::db::{Connection, Database, DbError, RunTask, Task, write_batch};
use crate::id::{RequestId, TenantId};

/// After this long without a pause the writer leaves SQLite's lock free for [`PAUSE`], so that commands beside the server get their turn.
const BACK_TO_BACK: Duration = Duration::from_millis(50);
/// Longer than the interval at which a waiting command asks for the lock. Shorter gaps are no pause: they are too easily missed.
const PAUSE: Duration = Duration::from_millis(2);

/// So many operations in one commit show that many callers wait in turns.
const CROWD: usize = 8;
/// Then those who were just answered are given this long to ask again and share the next commit: a seventh more operations a second,
/// in spite of the wait. (The system makes about 75 microseconds of it; longer waits gained nothing.)
const RETURN: Duration = Duration::from_micros(20);

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
        let connection = Some(database.own_connection()?);
        let (work, waiting) = mpsc::channel(settings.queue);
        let failing = Arc::new(AtomicBool::new(false));
        let writer = Writer {
            shares_one_lock: database.file().is_some(),
            link: Link { database: database.clone(), connection },
            inbox: Inbox::new(waiting, settings.batch),
            clock,
            failing: Arc::clone(&failing),
        };
        std::thread::Builder::new()
            .name("ledger-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(|error| DbError::Open { place: database.url().place(), message: error.to_string() })?;
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
            other => Err(unexpected(other)),
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
            other => Err(unexpected(other)),
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
            other => Err(unexpected(other)),
        }
    }

    /// Books a payment.
    ///
    /// # Errors
    /// [`LedgerError`]; after [`LedgerError::TimedOut`] it may be booked: ask again under the same reference.
    pub async fn top_up(&self, top_up: TopUp) -> Result<TopUpDecision, LedgerError> {
        match self.run(Operation::TopUp(top_up)).await? {
            Outcome::TopUp(decision) => Ok(decision),
            other => Err(unexpected(other)),
        }
    }

    /// Gives back what a request was charged.
    ///
    /// # Errors
    /// [`LedgerError`]; after [`LedgerError::TimedOut`] it may be given back.
    pub async fn reverse_capture(&self, request_id: RequestId, account: TenantId) -> Result<Reversal, LedgerError> {
        match self.run(Operation::ReverseCapture { request_id, account }).await? {
            Outcome::Reversal(reversal) => Ok(reversal),
            other => Err(unexpected(other)),
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

fn unexpected(outcome: Outcome) -> LedgerError {
    LedgerError::Database(DbError::Corrupt(format!("the ledger answered another operation: {outcome:?}")))
}

/// The writer's connection.
struct Link {
    database: Database,
    /// `None` after it was lost; the next use makes another.
    connection: Option<Connection>,
}

impl Link {
    fn connected(&mut self) -> Result<&mut Connection, DbError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.database.own_connection()?,
        };
        Ok(self.connection.insert(connection))
    }
}

struct Writer {
    link: Link,
    inbox: Inbox,
    /// Whether the lock is one for the whole database, for which commands beside this process wait too, as on SQLite.
    shares_one_lock: bool,
    clock: Clock,
    failing: Arc<AtomicBool>,
}

impl Writer {
    fn run(mut self) {
        // On PostgreSQL nobody waits for more than the accounts of one batch.
        let mut busy_since = Instant::now();
        loop {
            let idle_since = Instant::now();
            let Some(first) = self.inbox.wait() else { return };
            if idle_since.elapsed() >= PAUSE {
                busy_since = Instant::now();
            } else if self.shares_one_lock && busy_since.elapsed() > BACK_TO_BACK {
                std::thread::sleep(PAUSE);
                busy_since = Instant::now();
            }
            let (batch, task) = self.inbox.gather(first);
            let size = self.commit(batch);
            if size >= CROWD {
                std::thread::sleep(RETURN);
            }
            if let Some(task) = task {
                self.run_task(task);
            }
        }
    }

    /// Carries out a batch and what joins it, answers everybody, and gives how many they were.
    fn commit(&mut self, mut batch: Batch) -> usize {
        if batch.operations.is_empty() {
            return 0;
        }
        let committed = self.transaction(&mut batch, true);
        let Batch { operations, answers } = batch;
        let size = operations.len();
        metrics::histogram!("xiaoyi_ledger_batch_operations").record(u32::try_from(size).unwrap_or(u32::MAX));
        match committed {
            Ok(outcomes) => {
                for (answer, outcome) in answers.into_iter().zip(outcomes) {
                    // Whoever asked may have gone; the commit stands all the same.
                    let _ = answer.send(outcome);
                }
            }
            // Each alone would get the same answer.
            Err(error @ (DbError::Busy(_) | DbError::Disconnected(_) | DbError::Open { .. })) => {
                tracing::error!(%error, operations = size, "the ledger could not write");
                for answer in answers {
                    let _ = answer.send(Err(LedgerError::Database(error.alike())));
                }
            }
            Err(error) => {
                tracing::error!(%error, operations = size, "a ledger batch failed; trying its operations one by one");
                for (operation, answer) in operations.into_iter().zip(answers) {
                    let mut alone = Batch::default();
                    alone.push(operation, answer);
                    let Some(answer) = alone.answers.pop() else { continue };
                    let outcome = self
                        .transaction(&mut alone, false)
                        .map_err(LedgerError::Database)
                        .and_then(|mut outcomes| outcomes.pop().unwrap_or(Err(LedgerError::Stopped)));
                    let _ = answer.send(outcome);
                }
            }
        }
        size
    }

    /// Locks, then reads, decides and writes. Who asked while the lock was waited for may `join`: where another process works on the
    /// same accounts, that is a good part of the time.
    fn transaction(&mut self, batch: &mut Batch, join: bool) -> Result<Vec<Result<Outcome, LedgerError>>, DbError> {
        let Self { link, inbox, shares_one_lock, clock, failing } = self;
        let lock = if *shares_one_lock { String::new() } else { store::lock(&batch.operations) };
        let outcomes = link.connected().and_then(|connection| {
            write_batch(connection, &lock, |connection| {
                if join {
                    inbox.join(batch, *shares_one_lock);
                }
                store::run_batch(connection, &batch.operations, clock.now())
            })
        });
        if matches!(outcomes, Err(DbError::Disconnected(_))) {
            link.connection = None;
        }
        failing.store(outcomes.is_err(), Ordering::Relaxed);
        outcomes
    }

    fn run_task(&mut self, task: Task) {
        // A write that panics is rolled back and its caller gets no answer; the ledger goes on.
        let run = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| task(self.link.connected())));
        if run.is_err() {
            tracing::error!("a write panicked and was rolled back");
        }
        if self.failing.load(Ordering::Relaxed) {
            // A process that says it cannot serve gets no calls, so an empty commit after its heartbeat shows when it can again.
            let _ = self.transaction(&mut Batch::default(), false);
        }
    }
}
