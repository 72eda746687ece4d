//! The two ways to write on a connection.

use std::time::Duration;

use diesel::QueryResult;
use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};
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
    run(connection, Some(WRITERS_LOCK), work)
}

/// Runs `work` in a transaction whose rows its own statements lock (on SQLite, where only the whole can be locked: like [`write_alone`]).
///
/// # Errors
/// What `work` gives (all is rolled back), or [`DbError::Busy`].
pub(crate) fn write_batch<T, E, F>(connection: &mut Connection, work: F) -> Result<T, E>
where
    E: From<DbError> + From<Error>,
    F: FnOnce(&mut Connection) -> Result<T, E>,
{
    run(connection, None, work)
}

fn run<T, E, F>(connection: &mut Connection, lock: Option<&str>, work: F) -> Result<T, E>
where
    E: From<DbError> + From<Error>,
    F: FnOnce(&mut Connection) -> Result<T, E>,
{
    begin(connection)?;
    let mut transaction = Transaction { connection, committed: false };
    if let (Some(lock), Connection::Postgres(connection)) = (lock, &mut *transaction.connection) {
        connection.batch_execute(lock).map_err(busy)?;
    }
    let value = work(transaction.connection)?;
    transaction.commit()?;
    Ok(value)
}

fn begin(connection: &mut Connection) -> Result<(), DbError> {
    match connection {
        Connection::Postgres(connection) => {
            if AnsiTransactionManager::begin_transaction(connection).is_err() {
                // Whatever an earlier failure left open is in the way of every transaction after it.
                let _ = AnsiTransactionManager::rollback_transaction(connection);
                AnsiTransactionManager::begin_transaction(connection)?;
            }
            Ok(())
        }
        Connection::Sqlite(connection) => sqlite::begin_immediate(connection),
    }
}

/// PostgreSQL's `lock_timeout` (set for each connection) ends a wait.
fn busy(error: Error) -> DbError {
    match &error {
        Error::DatabaseError(_, information) if information.message().contains("lock timeout") => {
            DbError::Busy(format!("another writer kept the lock for {} s", LOCK_WAIT.as_secs()))
        }
        _ => error.into(),
    }
}

/// An open transaction. Dropped without a commit (an error, a panic) it is rolled back.
struct Transaction<'a> {
    connection: &'a mut Connection,
    committed: bool,
}

impl Transaction<'_> {
    fn commit(&mut self) -> QueryResult<()> {
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

/// Whether the error says that the connection is gone, not that the statement was wrong.
pub(crate) fn is_disconnection(error: &Error) -> bool {
    match error {
        Error::BrokenTransactionManager => true,
        Error::DatabaseError(DatabaseErrorKind::ClosedConnection, _) => true,
        Error::DatabaseError(DatabaseErrorKind::Unknown, information) => {
            // libpq's own words; these errors have no code.
            [
                "server closed the connection",
                "terminating connection",
                "connection to server",
                "no connection to the server",
                "could not receive data",
                "could not send data",
                "connection not open",
                "the database system is",
            ]
            .iter()
            .any(|words| information.message().contains(words))
        }
        _ => false,
    }
}
