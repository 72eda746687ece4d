//! Opening a connection, and taking the write lock.

use std::path::Path;
use std::time::{Duration, Instant};

use diesel::connection::{Connection as _, SimpleConnection};
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

/// What every connection needs: foreign keys (off by default in SQLite), a write-ahead log, and a commit that is on the disk.
pub(super) fn prepare(connection: &mut Connection) -> QueryResult<()> {
    connection.batch_execute(
        "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;",
    )
}

fn is_busy(error: &Error) -> bool {
    match error {
        Error::DatabaseError(DatabaseErrorKind::Unknown, information) => information.message().contains("locked"),
        _ => false,
    }
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
    use diesel::connection::{AnsiTransactionManager, TransactionManager};

    lock(connection)?;
    match work(connection) {
        Ok(value) => {
            AnsiTransactionManager::commit_transaction(connection)?;
            Ok(value)
        }
        Err(error) => {
            AnsiTransactionManager::rollback_transaction(connection)?;
            Err(error)
        }
    }
}

/// Begins a transaction with the write lock.
pub(crate) fn lock(connection: &mut Connection) -> Result<(), DbError> {
    use diesel::connection::AnsiTransactionManager;

    match AnsiTransactionManager::begin_transaction_sql(connection, "BEGIN IMMEDIATE") {
        Err(error) if is_busy(&error) => {}
        other => return other.map_err(DbError::from),
    }
    connection.batch_execute("PRAGMA busy_timeout = 0")?;
    let started = Instant::now();
    let locked = loop {
        match AnsiTransactionManager::begin_transaction_sql(connection, "BEGIN IMMEDIATE") {
            Err(error) if is_busy(&error) && started.elapsed() < LOCK_WAIT => std::thread::sleep(LOCK_POLL),
            Err(error) if is_busy(&error) => {
                break Err(DbError::Busy(format!("another writer kept the lock for {} s", LOCK_WAIT.as_secs())));
            }
            other => break other.map_err(DbError::from),
        }
    };
    if locked.is_err() {
        connection.batch_execute("PRAGMA busy_timeout = 10000")?;
    }
    locked
}
