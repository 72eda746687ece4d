//! SQLite: opening a file with this program's settings, and taking its write lock.

use std::path::Path;
use std::time::{Duration, Instant};

use diesel::connection::{
    AnsiTransactionManager, Connection as _, SimpleConnection, TransactionManager, TransactionManagerStatus,
};
use diesel::result::{DatabaseErrorKind, Error};
use diesel::{ConnectionError, ConnectionResult, SqliteConnection};

use super::DbError;
use super::pool::Purpose;
use super::write::LOCK_WAIT;

/// How often a write asks for the lock. SQLite's own waiting sleeps up to 100 ms between tries, which starves beside a busy writer.
const LOCK_POLL: Duration = Duration::from_millis(1);

/// What every connection needs: foreign keys (off by default in SQLite), a write-ahead log, and a commit that is on the disk.
const SETTINGS: &str =
    "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;";
/// For [`begin_immediate`], which does the waiting for the lock itself. The write-ahead log is moved into the database after 16 MiB
/// instead of 4: pages that changed again in between are moved once (a fifth more operations a second).
const WRITER_SETTINGS: &str = "PRAGMA busy_timeout = 0; PRAGMA wal_autocheckpoint = 4000;";

/// Opens a file.
pub(super) fn establish(path: &Path, purpose: Purpose) -> ConnectionResult<SqliteConnection> {
    // A URI, so that no file name is mistaken for one.
    let escaped = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let mut connection = SqliteConnection::establish(&format!("file:{escaped}"))?;
    connection.batch_execute(SETTINGS).map_err(ConnectionError::CouldntSetupConfiguration)?;
    if purpose == Purpose::Write {
        connection.batch_execute(WRITER_SETTINGS).map_err(ConnectionError::CouldntSetupConfiguration)?;
    }
    Ok(connection)
}

/// Begins a transaction that holds the write lock from its start, so that it never has to be tried again.
pub(super) fn begin_immediate(connection: &mut SqliteConnection) -> Result<(), DbError> {
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
pub(super) fn roll_back(connection: &mut SqliteConnection) {
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
