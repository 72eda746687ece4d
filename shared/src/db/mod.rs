//! The database: connections, migrations, and the one way to read and the one way to write.
//!
//! Reads run on a small pool, writes one at a time: in a process that serves they go through the ledger's writer
//! (one commit shared by many), in a command they take the lock themselves. No caller can tell which.

mod connection;
mod migrations;
pub mod schema;
mod statement;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use diesel::r2d2::{ConnectionManager, CustomizeConnection, Pool};

pub use connection::{Connection, begin_immediate};
pub(crate) use statement::{FixedSql, Statement, Value, count_pieces, pieces, sql};

/// Connections that read at the same time for the service itself: keys, the epoch, the sweeper.
const READERS: u32 = 4;
/// Connections that read records at the same time. Apart from the others, so that no statement of a customer's can keep a revocation waiting.
const RECORD_READERS: u32 = 2;
/// How long a read waits for a free connection.
const READER_WAIT: Duration = Duration::from_secs(10);

/// What can go wrong between us and the database.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// There is no database file, and this command does not make one.
    #[error("no database at {}: start `xiaoyi serve` (or run `xiaoyi migrate`) first, or set DATABASE_URL", .path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file or its folder cannot be opened or made.
    #[error("cannot open the database {}: {message}", .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The reason, from the operating system or SQLite.
        message: String,
    },
    /// The schema is older or newer than this program.
    #[error("the database's schema is not this program's: {0}")]
    Migration(String),
    /// No connection became free, or the lock was not given, in time.
    #[error("the database is busy: {0}")]
    Busy(String),
    /// A statement failed.
    #[error("the database refused a statement: {0}")]
    Query(#[from] diesel::result::Error),
    /// The writer has stopped: the process is shutting down or the writer failed.
    #[error("the database's writer has stopped")]
    WriterStopped,
    /// A row holds what this program cannot read.
    #[error("the database holds a value that this program cannot read: {0}")]
    Corrupt(String),
}

/// A write, which makes its own transaction.
pub type Task = Box<dyn FnOnce(&mut Connection) + Send>;

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
    path: PathBuf,
    readers: Pool<ConnectionManager<Connection>>,
    record_readers: Pool<ConnectionManager<Connection>>,
    direct: Mutex<Option<Connection>>,
    writer: OnceLock<Arc<dyn RunTask>>,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Database").field("path", &self.inner.path).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Prepare;

impl CustomizeConnection<Connection, diesel::r2d2::Error> for Prepare {
    fn on_acquire(&self, connection: &mut Connection) -> Result<(), diesel::r2d2::Error> {
        connection::prepare(connection).map_err(diesel::r2d2::Error::QueryError)
    }
}

impl Database {
    /// Opens the file at `path`, which must exist and have this program's schema.
    ///
    /// # Errors
    /// [`DbError::Missing`], [`DbError::Open`], or [`DbError::Migration`] when migrations are pending.
    pub fn open(path: &Path) -> Result<Self, DbError> {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        if !path.is_file() {
            return Err(DbError::Missing { path });
        }
        let database = Self::connect(path)?;
        migrations::refuse_newer(&mut *database.reader()?)?;
        let pending = migrations::pending(&mut *database.reader()?)?;
        if pending > 0 {
            return Err(DbError::Migration(format!("{pending} migrations are pending: run `xiaoyi migrate`")));
        }
        Ok(database)
    }

    /// Opens the file at `path`, makes it and its folder when they are missing, and brings its schema up to date.
    /// Gives the number of migrations that were run.
    ///
    /// # Errors
    /// [`DbError::Open`], [`DbError::Migration`].
    pub fn open_or_create(path: &Path) -> Result<(Self, usize), DbError> {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|error| DbError::Open { path: path.clone(), message: error.to_string() })?;
        }
        let mut connection = connection::establish(&path)?;
        migrations::refuse_newer(&mut connection)?;
        let run = migrations::run(&mut connection)?;
        Ok((Self::connect(path)?, run))
    }

    fn connect(path: PathBuf) -> Result<Self, DbError> {
        let pool = |size: u32, idle: u32| {
            Pool::builder()
                .max_size(size)
                .min_idle(Some(idle))
                .connection_timeout(READER_WAIT)
                .connection_customizer(Box::new(Prepare))
                .build(ConnectionManager::new(connection::address(&path)))
                .map_err(|error| DbError::Open { path: path.clone(), message: error.to_string() })
        };
        let (readers, record_readers) = (pool(READERS, 1)?, pool(RECORD_READERS, 0)?);
        let inner = Inner { path, readers, record_readers, direct: Mutex::new(None), writer: OnceLock::new() };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// A new connection of one's own, to write on with [`begin_immediate`].
    ///
    /// # Errors
    /// [`DbError::Open`].
    pub fn own_connection(&self) -> Result<Connection, DbError> {
        connection::establish_for_writing(&self.inner.path)
    }

    /// From now on, writes of this process go to `writer`. Only the first call counts.
    pub(crate) fn write_through(&self, writer: Arc<dyn RunTask>) {
        // A second writer would be a second path for the same writes; the first one stays.
        let _ = self.inner.writer.set(writer);
    }

    fn reader(&self) -> Result<diesel::r2d2::PooledConnection<ConnectionManager<Connection>>, DbError> {
        self.inner.readers.get().map_err(|error| DbError::Busy(error.to_string()))
    }

    /// Reads on a pooled connection, off the async threads. Keep it under a second: long reads stop checkpoints.
    ///
    /// # Errors
    /// What `work` gives, or [`DbError::Busy`].
    pub async fn read<T, F>(&self, work: F) -> Result<T, DbError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T, DbError> + Send + 'static,
    {
        let database = self.clone();
        let joined = tokio::task::spawn_blocking(move || work(&mut *database.reader()?)).await;
        joined.unwrap_or_else(|error| Err(DbError::Busy(format!("the read did not finish: {error}"))))
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
        let database = self.clone();
        let joined = tokio::task::spawn_blocking(move || {
            let mut connection =
                database.inner.record_readers.get().map_err(|error| DbError::Busy(error.to_string()))?;
            work(&mut connection)
        });
        joined.await.unwrap_or_else(|error| Err(DbError::Busy(format!("the read did not finish: {error}"))))
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
            // Whoever asked may have gone; the write stands all the same.
            let _ = answer.send(begin_immediate(connection, work));
        });
        match self.inner.writer.get() {
            Some(writer) => writer.run(task)?,
            None => self.write_directly(task)?,
        }
        answered.await.unwrap_or_else(|_| Err(DbError::WriterStopped.into()))
    }

    fn write_directly(&self, task: Task) -> Result<(), DbError> {
        let mut direct = self.inner.direct.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = match direct.as_mut() {
            Some(connection) => connection,
            None => direct.insert(self.own_connection()?),
        };
        task(connection);
        Ok(())
    }
}
