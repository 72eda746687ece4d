//! The two ways to write on a connection.

use std::time::{Duration, Instant};

use diesel::QueryResult;
use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};
use diesel::r2d2::R2D2Connection;
use diesel::result::{DatabaseErrorKind, Error};

use super::{Connection, DbError, sqlite};

/// How long a write waits for the lock.
pub(super) const LOCK_WAIT: Duration = Duration::from_secs(10);

/// The advisory lock under which commands and background duties write on PostgreSQL: one at a time, as on SQLite.
/// The number is ours for good; other programs in the same database must not use it.
const WRITERS_LOCK: &str = "SELECT pg_advisory_xact_lock(7811906571)";

/// Runs `work` in a transaction that no other [`write_alone`] runs beside, in any process, so that what it reads stays true until it
/// commits. The ledger's batches do run beside it on PostgreSQL; they lock the accounts that they touch.
///
/// # Errors
/// What `work` gives (all is rolled back), or [`DbError::Busy`] when its turn did not come in 10 s.
pub fn write_alone<T, E, F>(connection: &mut Connection, work: F) -> Result<T, E>
where
    E: From<DbError> + From<Error>,
    F: FnOnce(&mut Connection) -> Result<T, E>,
{
    run(connection, WRITERS_LOCK, work)
}

/// What a write may fail with: anything that can tell of a failure of the database.
pub trait WriteError: From<DbError> + From<Error> + Send + 'static {}

impl<E: From<DbError> + From<Error> + Send + 'static> WriteError for E {}

/// Runs `work` in a transaction that begins with the statement `lock` (on SQLite, where only the whole can be locked, like
/// [`write_alone`]).
///
/// # Errors
/// What `work` gives (all is rolled back), or [`DbError::Busy`].
pub(crate) fn write_batch<T, E, F>(connection: &mut Connection, lock: &str, work: F) -> Result<T, E>
where
    E: From<DbError> + From<Error>,
    F: FnOnce(&mut Connection) -> Result<T, E>,
{
    run(connection, lock, work)
}

/// Runs `work`, which is one statement, without a transaction around it: on PostgreSQL it is one by itself, in one round trip.
///
/// # Errors
/// What `work` gives, or [`DbError::Busy`]: nothing was written. [`DbError::Disconnected`]: it may have been.
pub(crate) fn write_statement<T, F>(connection: &mut Connection, work: F) -> Result<T, DbError>
where
    F: FnOnce(&mut Connection) -> Result<T, DbError>,
{
    let begun = Instant::now();
    let done = nothing_is_open(connection).and_then(|()| work(connection));
    explained(connection, begun, done)
}

fn run<T, E, F>(connection: &mut Connection, lock: &str, work: F) -> Result<T, E>
where
    E: From<DbError> + From<Error>,
    F: FnOnce(&mut Connection) -> Result<T, E>,
{
    let begun = Instant::now();
    let done = begin(connection, lock).map_err(E::from).and_then(|()| {
        let mut transaction = Transaction::begun(connection);
        let value = work(transaction.connection())?;
        transaction.commit()?;
        Ok(value)
    });
    explained(connection, begun, done)
}

/// What went wrong, where the error itself does not say it.
fn explained<T, E: From<DbError>>(connection: &mut Connection, begun: Instant, done: Result<T, E>) -> Result<T, E> {
    match done {
        Err(_) if is_gone(connection) => Err(DbError::Disconnected(Error::BrokenTransactionManager).into()),
        // PostgreSQL's `lock_timeout`, of a statement that never runs long: its words depend on the server's language.
        Err(_) if matches!(connection, Connection::Postgres(_)) && begun.elapsed() >= LOCK_WAIT => {
            Err(DbError::Busy(format!("another writer kept the lock for {} s", LOCK_WAIT.as_secs())).into())
        }
        done => done,
    }
}

/// Inside a transaction that an earlier failure left open, a statement would be answered and never committed.
pub(super) fn nothing_is_open(connection: &mut Connection) -> Result<(), DbError> {
    let status = match connection {
        Connection::Postgres(connection) => AnsiTransactionManager::transaction_manager_status_mut(connection),
        Connection::Sqlite(connection) => AnsiTransactionManager::transaction_manager_status_mut(connection),
    };
    match status.transaction_depth()? {
        None => Ok(()),
        Some(_) => Err(Error::AlreadyInTransaction.into()),
    }
}

/// Whether the server has ended the connection, which its answers say in its own language. A file does not go away.
fn is_gone(connection: &mut Connection) -> bool {
    match connection {
        Connection::Postgres(connection) => connection.is_broken() || connection.ping().is_err(),
        Connection::Sqlite(_) => false,
    }
}

/// Begins a transaction and locks in one round trip.
fn begin(connection: &mut Connection, lock: &str) -> Result<(), DbError> {
    match connection {
        Connection::Postgres(connection) => {
            let sql = format!("BEGIN; {lock}");
            let mut begun = AnsiTransactionManager::begin_transaction_sql(connection, &sql);
            if matches!(begun, Err(Error::AlreadyInTransaction)) {
                // Whatever an earlier failure left open is in the way of every transaction after it.
                let _ = AnsiTransactionManager::rollback_transaction(connection);
                begun = AnsiTransactionManager::begin_transaction_sql(connection, &sql);
            }
            if begun.is_err() {
                // The transaction began all the same, if the connection is there still. diesel does not know of it, so a connection that
                // cannot end it must not be used again.
                if connection.batch_execute("ROLLBACK").is_err() {
                    return Err(DbError::Disconnected(Error::BrokenTransactionManager));
                }
            }
            Ok(begun?)
        }
        Connection::Sqlite(connection) => sqlite::begin_immediate(connection),
    }
}

/// An open transaction. Dropped without a commit (an error, a panic) it is rolled back.
pub(super) struct Transaction<'a> {
    connection: &'a mut Connection,
    committed: bool,
}

impl<'a> Transaction<'a> {
    /// The one that has just begun on this connection.
    pub(super) const fn begun(connection: &'a mut Connection) -> Self {
        Self { connection, committed: false }
    }

    pub(super) const fn connection(&mut self) -> &mut Connection {
        self.connection
    }

    pub(super) fn commit(&mut self) -> QueryResult<()> {
        match &mut *self.connection {
            Connection::Postgres(connection) => AnsiTransactionManager::commit_transaction(connection)?,
            Connection::Sqlite(connection) => AnsiTransactionManager::commit_transaction(connection)?,
        }
        self.committed = true;
        Ok(())
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.committed {
            return;
        }
        match &mut *self.connection {
            // Fails where the connection is gone, and the transaction with it.
            Connection::Postgres(connection) => drop(AnsiTransactionManager::rollback_transaction(connection)),
            Connection::Sqlite(connection) => sqlite::roll_back(connection),
        }
    }
}

/// Whether the error says that the connection is gone, not that the statement was wrong. One to a server that no longer takes writes
/// (another one has taken its place) is as good as gone: a new one finds the other.
pub(crate) fn is_disconnection(error: &Error) -> bool {
    match error {
        Error::BrokenTransactionManager => true,
        Error::DatabaseError(kind, _) => {
            use DatabaseErrorKind::{ClosedConnection, ReadOnlyTransaction, UnableToSendCommand};
            matches!(kind, ClosedConnection | UnableToSendCommand | ReadOnlyTransaction)
        }
        Error::RollbackErrorOnCommit { rollback_error, commit_error } => {
            is_disconnection(rollback_error) || is_disconnection(commit_error)
        }
        _ => false,
    }
}
