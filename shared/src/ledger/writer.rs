//! Group commit: one thread with its own connection takes whatever arrived while the last commit ran, commits once, then answers each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::LedgerError;
use super::inbox::{Batch, Inbox};
use super::link::Link;
use super::memory::Memory;
use super::operation::{Operation, Outcome};
use super::store;
use crate::clock::Clock;
use crate::db::{Database, DbError, Task, write_batch, write_statement};

/// After this long without a pause the writer leaves SQLite's lock free for [`PAUSE`], so that commands beside the server get their turn.
const BACK_TO_BACK: Duration = Duration::from_millis(50);
/// Longer than the interval at which a waiting command asks for the lock. Shorter gaps are no pause: they are too easily missed.
const PAUSE: Duration = Duration::from_millis(2);

/// So many operations in one commit show that many callers wait in turns.
const CROWD: usize = 8;
/// Then those who were just answered are given this long to ask again and share the next commit: a seventh more operations a second,
/// in spite of the wait. (The system makes about 75 microseconds of it; longer waits gained nothing.)
const RETURN: Duration = Duration::from_micros(20);

/// What each operation of a batch is answered.
type Outcomes = Vec<Result<Outcome, LedgerError>>;

/// Starts the thread, which ends when nobody can ask any more.
///
/// # Errors
/// [`DbError::Open`] when the connection or the thread cannot be made.
pub(super) fn start(database: &Database, clock: Clock, inbox: Inbox, failing: Arc<AtomicBool>) -> Result<(), DbError> {
    let shares_one_lock = database.file().is_some();
    let writer = Writer {
        link: Link::open(database)?,
        inbox,
        shares_one_lock,
        // SQLite reads without a round trip.
        memory: (!shares_one_lock).then(Memory::default),
        clock,
        failing,
    };
    std::thread::Builder::new()
        .name("ledger-writer".to_owned())
        .spawn(move || writer.run())
        .map_err(|error| DbError::Open { place: database.url().place(), message: error.to_string() })?;
    Ok(())
}

struct Writer {
    link: Link,
    inbox: Inbox,
    /// Whether the lock is one for the whole database, for which commands beside this process wait too, as on SQLite.
    shares_one_lock: bool,
    /// Where it saves a round trip to guess.
    memory: Option<Memory>,
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
        let Batch { operations, answers, .. } = batch;
        let size = operations.len();
        metrics::histogram!("xiaoyi_ledger_batch_operations").record(u32::try_from(size).unwrap_or(u32::MAX));
        match committed {
            Ok(outcomes) => {
                for (answer, outcome) in answers.into_iter().zip(outcomes) {
                    // Whoever asked may have gone; the commit stands all the same.
                    let _ = answer.send(outcome);
                }
            }
            Err(error) if is_for_all(&error) => {
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

    /// Carries out a batch as it is remembered or, where that does not do, as it is read.
    fn transaction(&mut self, batch: &mut Batch, join: bool) -> Result<Outcomes, DbError> {
        let (outcomes, way) = match self.write_remembered(&batch.operations) {
            Some(outcomes) => (outcomes, "remembered"),
            None => (self.write_read(batch, join), "read"),
        };
        metrics::counter!("xiaoyi_ledger_batches_total", "way" => way).increment(1);
        if matches!(outcomes, Err(DbError::Disconnected(_))) {
            self.link.lose();
            if let Some(memory) = &mut self.memory {
                memory.forget();
            }
        }
        self.failing.store(outcomes.is_err(), Ordering::Relaxed);
        outcomes
    }

    /// Decides by what is remembered, and writes in one statement that fails where the database knows better. `None` when nothing was
    /// written: there was nothing to guess from, or the guess was wrong.
    fn write_remembered(&mut self, operations: &[Operation]) -> Option<Result<Outcomes, DbError>> {
        let memory = self.memory.as_mut()?;
        let guess = memory.guess(operations)?;
        let now = self.clock.now();
        let written = self
            .link
            .connected()
            .and_then(|connection| write_statement(connection, |connection| store::write(connection, &guess, now)));
        match written {
            Ok(()) => {
                memory.learn(&guess);
                Some(Ok(guess.outcomes))
            }
            Err(error) if is_for_all(&error) => Some(Err(error)),
            Err(error) => {
                tracing::debug!(%error, operations = operations.len(), "the ledger is not as remembered; reading it");
                memory.doubt(operations);
                None
            }
        }
    }

    /// Locks, then reads, decides and writes. Who asked while the lock was waited for may `join`: where another process works on the
    /// same accounts, that is a good part of the time.
    fn write_read(&mut self, batch: &mut Batch, join: bool) -> Result<Outcomes, DbError> {
        let Self { link, inbox, shares_one_lock, memory, clock, .. } = self;
        let lock = if *shares_one_lock { String::new() } else { store::lock(&batch.operations) };
        let decided = write_batch(link.connected()?, &lock, |connection| {
            if join {
                inbox.join(batch, *shares_one_lock);
            }
            store::run_batch(connection, &batch.operations, clock.now())
        })?;
        if let Some(memory) = memory {
            memory.learn(&decided);
        }
        Ok(decided.outcomes)
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

/// Whether an error says nothing about what was written: each operation alone, and in any way, would get the same.
const fn is_for_all(error: &DbError) -> bool {
    matches!(error, DbError::Busy(_) | DbError::Disconnected(_) | DbError::Open { .. })
}
