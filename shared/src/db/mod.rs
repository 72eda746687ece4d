//! The database: connections, migrations, and the one way to read and the one way to write.
//!
//! Reads run on a small pool, writes one at a time: in a process that serves they go through the ledger's writer
//! (one commit shared by many), in a command they take the lock themselves. No caller can tell which.

mod either;
mod migrations;
mod pattern;
mod pool;
mod postgres;
pub mod schema;
mod snapshot;
mod sqlite;
mod statement;
mod whole;
mod write;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub use either::EitherConnection as Connection;
pub use pattern::LONGEST_PART;
pub(crate) use pattern::containing;
pub(crate) use snapshot::snapshot;
pub(crate) use statement::{Column, Composed, FixedSql, Statement, Value, count_pieces, pieces, sql};
pub(crate) use whole::whole;
pub use write::{WriteError, write_alone};
pub(crate) use write::{is_disconnection, write_batch, write_statement};

use self::migrations::Versions;
use self::pool::{Connections, Purpose};
use crate::clock::Timestamp;
use crate::config::DatabaseUrl;

/// Connections that read at the same time for the service itself: keys, the epoch, the sweeper.
const READERS: u32 = 4;
/// Connections that read records at the same time. Apart from the others, so that no statement of a customer's can keep a revocation waiting.
const RECORD_READERS: u32 = 2;
/// Connections that find out what became of calls that are repeated: a customer's records must keep no call waiting, and who repeats calls no
/// revocation.
const CALL_READERS: u32 = 2;
/// How many may wait for one of each kind; who comes then is refused at once.
const READS_WAITING: usize = 4096;
/// How long a read may take in all. PostgreSQL ends each statement of it that takes longer by itself; on SQLite it goes on in its thread, and
/// only whoever waits does not.
const READ_LIMIT: Duration = Duration::from_secs(10);

/// What can go wrong between us and the database.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// There is no database file, and this command does not make one.
    #[error("no database at {}: start `xiaoyi serve` (or run `xiaoyi migrate`) first, or set DATABASE_URL", .path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file or its folder cannot be opened or made, or the server cannot be reached.
    #[error("cannot open the database {place}: {message}")]
    Open {
        /// The file, or the server without its password.
        place: String,
        /// The reason, from the operating system or the engine.
        message: String,
    },
    /// The connection is gone. What was asked may or may not have been done.
    #[error("the connection to the database is gone: {0}")]
    Disconnected(diesel::result::Error),
    /// The schema is older or newer than this program.
    #[error("the database's schema is not this program's: {0}")]
    Migration(String),
    /// No connection became free, or the lock was not given, in time.
    #[error("the database is busy: {0}")]
    Busy(String),
    /// A statement failed.
    #[error("the database refused a statement: {0}")]
    Query(diesel::result::Error),
    /// The writer has stopped: the process is shutting down or the writer failed.
    #[error("the database's writer has stopped")]
    WriterStopped,
    /// A row holds what this program cannot read.
    #[error("the database holds a value that this program cannot read: {0}")]
    Corrupt(String),
}

impl From<diesel::result::Error> for DbError {
    fn from(error: diesel::result::Error) -> Self {
        if is_disconnection(&error) { Self::Disconnected(error) } else { Self::Query(error) }
    }
}

impl DbError {
    /// The same for one more caller of those who shared what failed.
    pub(crate) fn alike(&self) -> Self {
        match self {
            Self::Open { place, message } => Self::Open { place: place.clone(), message: message.clone() },
            Self::Disconnected(error) => {
                let message: Box<dyn std::error::Error + Send + Sync> = error.to_string().into();
                Self::Disconnected(diesel::result::Error::QueryBuilderError(message))
            }
            other => Self::Busy(other.to_string()),
        }
    }
}

/// A write, which makes its own transaction on the connection that it is given.
pub type Task = Box<dyn FnOnce(Result<&mut Connection, DbError>) + Send>;

/// Whoever writes for this process.
pub(crate) trait RunTask: Send + Sync {
    /// Queues a write; gives it back when the writer has stopped or is full.
    fn run(&self, task: Task) -> Result<(), DbError>;
}

/// The database of this process. Cheap to clone.
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
}

struct Inner {
    url: DatabaseUrl,
    readers: Connections,
    record_readers: Connections,
    call_readers: Connections,
    writers: Connections,
    writer: OnceLock<Arc<dyn RunTask>>,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Database").field("url", &self.inner.url).finish_non_exhaustive()
    }
}

/// Opens a connection.
fn establish(url: &DatabaseUrl, purpose: Purpose) -> Result<Connection, DbError> {
    let opened = match url {
        DatabaseUrl::Sqlite(path) => sqlite::establish(path, purpose).map(Connection::Sqlite),
        DatabaseUrl::Postgres(url) => postgres::establish(url, purpose).map(Connection::Postgres),
    };
    opened.map_err(|error| DbError::Open { place: url.place(), message: error.to_string().trim().to_owned() })
}

/// Gives the session of `connection` a name and ends the one that had it before: what that one was sent is carried out by now, or never.
/// Only a server has sessions that outlive their connection.
///
/// # Errors
/// [`DbError`].
pub(crate) fn take_over(connection: &mut Connection, name: &str) -> Result<(), DbError> {
    match connection {
        Connection::Postgres(connection) => Ok(postgres::take_over(connection, name)?),
        Connection::Sqlite(_) => Ok(()),
    }
}

impl Database {
    /// Opens the database at `url`, which must exist and have this program's schema.
    ///
    /// # Errors
    /// [`DbError::Missing`], [`DbError::Open`], or [`DbError::Migration`] when migrations are pending.
    pub fn open(url: &DatabaseUrl) -> Result<Self, DbError> {
        let url = absolute(url);
        if let DatabaseUrl::Sqlite(path) = &url
            && !path.is_file()
        {
            return Err(DbError::Missing { path: path.clone() });
        }
        let mut connection = establish(&url, Purpose::Read)?;
        let versions = Versions::read(&mut connection)?;
        versions.refuse_newer()?;
        let pending = versions.pending();
        if pending > 0 {
            return Err(DbError::Migration(format!("{pending} migrations are pending: run `xiaoyi migrate`")));
        }
        Ok(Self::connect(url))
    }

    /// Opens the database at `url` and brings its schema up to date; makes a SQLite file and its folder when they are missing.
    /// Gives the number of migrations that were run.
    ///
    /// # Errors
    /// [`DbError::Open`], [`DbError::Migration`].
    pub fn open_or_create(url: &DatabaseUrl) -> Result<(Self, usize), DbError> {
        let url = absolute(url);
        if let DatabaseUrl::Sqlite(path) = &url
            && let Some(folder) = path.parent()
        {
            std::fs::create_dir_all(folder)
                .map_err(|error| DbError::Open { place: url.place(), message: error.to_string() })?;
        }
        let mut connection = establish(&url, Purpose::Schema)?;
        Versions::read(&mut connection)?.refuse_newer()?;
        let run = migrations::run(&mut connection)?;
        Ok((Self::connect(url), run))
    }

    fn connect(url: DatabaseUrl) -> Self {
        let readers = Connections::new(&url, Purpose::Read, READERS, 1, READS_WAITING);
        let record_readers = Connections::new(&url, Purpose::Read, RECORD_READERS, 0, READS_WAITING);
        let call_readers = Connections::new(&url, Purpose::Read, CALL_READERS, 0, READS_WAITING);
        // One, since writes of this kind go one at a time anyway.
        let writers = Connections::new(&url, Purpose::Write, 1, 0, 0);
        let inner = Inner { url, readers, record_readers, call_readers, writers, writer: OnceLock::new() };
        Self { inner: Arc::new(inner) }
    }

    /// Where it is. Its text holds no password.
    pub fn url(&self) -> &DatabaseUrl {
        &self.inner.url
    }

    /// The file, if it is one.
    pub fn file(&self) -> Option<&Path> {
        match &self.inner.url {
            DatabaseUrl::Sqlite(path) => Some(path),
            DatabaseUrl::Postgres(_) => None,
        }
    }

    /// A new connection of one's own, to write on with [`write_alone`].
    ///
    /// # Errors
    /// [`DbError::Open`].
    pub fn own_connection(&self) -> Result<Connection, DbError> {
        establish(&self.inner.url, Purpose::Write)
    }

    /// From now on, writes of this process go to `writer`: SQLite has one lock, and two threads that wait for it in turn would cost each
    /// other's time. PostgreSQL's writes go their own way, so that none of them keeps a batch waiting. Only the first call counts.
    pub(crate) fn write_through(&self, writer: Arc<dyn RunTask>) {
        if self.file().is_some() {
            // A second writer would be a second path for the same writes; the first one stays.
            let _ = self.inner.writer.set(writer);
        }
    }

    /// Reads on a pooled connection, off the async threads. Keep it under a second: long reads stop SQLite's checkpoints.
    ///
    /// # Errors
    /// What `work` gives, or [`DbError::Busy`].
    pub async fn read<T, F>(&self, work: F) -> Result<T, DbError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T, DbError> + Send + 'static,
    {
        read_on(self.inner.readers.clone(), work).await
    }

    /// The same for records that a customer or an operator asks for, which may take longer.
    ///
    /// # Errors
    /// What `work` gives, or [`DbError::Busy`].
    pub async fn read_records<T, F>(&self, work: F) -> Result<T, DbError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T, DbError> + Send + 'static,
    {
        read_on(self.inner.record_readers.clone(), work).await
    }

    /// The same for what became of a call that is repeated.
    ///
    /// # Errors
    /// What `work` gives, or [`DbError::Busy`].
    pub async fn read_calls<T, F>(&self, work: F) -> Result<T, DbError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T, DbError> + Send + 'static,
    {
        read_on(self.inner.call_readers.clone(), work).await
    }

    /// Writes in one transaction: all of `work` or nothing of it.
    ///
    /// # Errors
    /// What `work` gives (rolled back then), [`DbError::Busy`] after 10 s without the lock, [`DbError::WriterStopped`].
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DbError> + From<diesel::result::Error> + Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T, E> + Send + 'static,
    {
        let (answer, answered) = tokio::sync::oneshot::channel();
        let task: Task = Box::new(move |connection| {
            let written = connection.map_err(E::from).and_then(|connection| write_alone(connection, work));
            // Whoever asked may have gone; the write stands all the same.
            let _ = answer.send(written);
        });
        match self.inner.writer.get() {
            Some(writer) => writer.run(task)?,
            None => self.write_directly(task),
        }
        answered.await.unwrap_or_else(|_| Err(DbError::WriterStopped.into()))
    }

    fn write_directly(&self, task: Task) {
        let writers = self.inner.writers.clone();
        tokio::task::spawn_blocking(move || match writers.get() {
            Ok(mut connection) => task(Ok(&mut connection)),
            Err(error) => task(Err(error)),
        });
    }
}

async fn read_on<T, F>(readers: Connections, work: F) -> Result<T, DbError>
where
    T: Send + 'static,
    F: FnOnce(&mut Connection) -> Result<T, DbError> + Send + 'static,
{
    let turn = readers.turn().await?;
    let reading = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let mut reader = readers.get()?;
        let result = work(&mut reader);
        reader.is_gone = matches!(result, Err(DbError::Disconnected(_)));
        result
    });
    match tokio::time::timeout(READ_LIMIT, reading).await {
        Ok(Ok(result)) => result,
        Ok(Err(error)) => Err(DbError::Busy(format!("the read did not finish: {error}"))),
        Err(_) => Err(DbError::Busy(format!("a read took longer than {} s", READ_LIMIT.as_secs()))),
    }
}

fn absolute(url: &DatabaseUrl) -> DatabaseUrl {
    match url {
        DatabaseUrl::Sqlite(path) => DatabaseUrl::Sqlite(std::path::absolute(path).unwrap_or_else(|_| path.clone())),
        DatabaseUrl::Postgres(_) => url.clone(),
    }
}

/// The database's own time where it has a clock, so that processes on several machines agree about who was silent for how long; else `own`.
///
/// # Errors
/// [`DbError`].
pub fn now(connection: &mut Connection, own: Timestamp) -> Result<Timestamp, DbError> {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        now: i64,
    }
    if matches!(connection, Connection::Sqlite(_)) {
        return Ok(own);
    }
    let sql = sql!("SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) AS now");
    let row: Row = Statement::new(sql, &[]).get_result(connection)?;
    Ok(Timestamp(row.now))
}
