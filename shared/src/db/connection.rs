//! Opening a connection, and taking the write lock.

use std::path::Path;
use std::time::{Duration, Instant};

use diesel::connection::{
    AnsiTransactionManager, Connection as _, SimpleConnection, TransactionManager, TransactionManagerStatus,
};
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};

use super::DbError;

/// The connection that every statement runs on.
pub type Connection = SqliteConnection;

/// How long a write waits for the lock.
const LOCK_WAIT: Duration = Duration::from_secs(10);
/// How often it asks. SQLite's own waiting sleeps up to 100 ms between tries, which starves beside a busy writer.
const LOCK_POLL: Duration = Duration::from_millis(1);

/// The address under which SQLite opens `path`; a URI, so that no file name is mistaken for one.
pub(super) fn address(path: &Path) -> String {
    let escaped = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    format!("file:{escaped}")
}

/// Opens a connection with this program's settings.
pub(super) fn establish(path: &Path) -> Result<Connection, DbError> {
    let open = |message: String| DbError::Open { path: path.to_path_buf(), message };
    let mut connection = Connection::establish(&address(path)).map_err(|error| open(error.to_string()))?;
    prepare(&mut connection).map_err(|error| open(error.to_string()))?;
    Ok(connection)
}

/// Opens a connection for [`begin_immediate`], which does the waiting for the lock itself. It moves the write-ahead log into the
/// database after 16 MiB instead of 4: pages that changed again in between are moved once (a fifth more operations a second).
pub(super) fn establish_for_writing(path: &Path) -> Result<Connection, DbError> {
    let mut connection = establish(path)?;
    connection.batch_execute("PRAGMA busy_timeout = 0; PRAGMA wal_autocheckpoint = 4000;")?;
    Ok(connection)
}

/// What every connection needs: foreign keys (off by default in SQLite), a write-ahead log, and a commit that is on the disk.
pub(super) fn prepare(connection: &mut Connection) -> QueryResult<()> {
    connection.batch_execute(
        "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;",
    )
}

/// Runs `work` in a transaction that holds the write lock from its start, so that it never has to be tried again.
///
/// # Errors
/// What `work` gives (all is rolled back), or [`DbError::Busy`] when the lock was not given in 10 s.
pub fn begin_immediate<T, E, F>(connection: &mut Connection, work: F) -> Result<T, E>
where
    E: From<DbError> + From<Error>,
    F: FnOnce(&mut Connection) -> Result<T, E>,
{
    lock(connection)?;
    let mut transaction = Transaction { connection, committed: false };
    let value = work(transaction.connection)?;
    transaction.commit()?;
    Ok(value)
}

/// An open transaction. Dropped without a commit (an error, a panic) it is rolled back.
struct Transaction<'a> {
    connection: &'a mut Connection,
    committed: bool,
}

impl Transaction<'_> {
    fn commit(&mut self) -> QueryResult<()> {
        AnsiTransactionManager::commit_transaction(self.connection)?;
        self.committed = true;
        Ok(())
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if !self.committed {
            roll_back(self.connection);
        }
    }
}

fn lock(connection: &mut Connection) -> Result<(), DbError> {
    let started = Instant::now();
    loop {
        match AnsiTransactionManager::begin_transaction_sql(connection, "BEGIN IMMEDIATE") {
            Ok(()) => return Ok(()),
            Err(error) if is_busy(&error) && started.elapsed() < LOCK_WAIT => std::thread::sleep(LOCK_POLL),
            Err(error) if is_busy(&error) => {
                return Err(DbError::Busy(format!("another writer kept the lock for {} s", LOCK_WAIT.as_secs())));
            }
            Err(error) => {
                if matches!(error, Error::DatabaseError(..) | Error::BrokenTransactionManager) {
                    // Whatever an earlier failure left open is in the way of every transaction after it.
                    roll_back(connection);
                }
                return Err(error.into());
            }
        }
    }
}

/// Leaves the connection without a transaction and usable. SQLite ends a transaction by itself on some errors (a full disk),
/// for which diesel would give the connection up.
fn roll_back(connection: &mut Connection) {
    if AnsiTransactionManager::rollback_transaction(connection).is_err() {
        // Fails where nothing is open, which is what is wanted.
        let _ = connection.batch_execute("ROLLBACK");
        *AnsiTransactionManager::transaction_manager_status_mut(connection) = TransactionManagerStatus::default();
    }
}

fn is_busy(error: &Error) -> bool {
    match error {
        Error::DatabaseError(DatabaseErrorKind::Unknown, information) => information.message().contains("locked"),
        _ => false,
    }
}
