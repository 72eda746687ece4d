//! Who else serves this database, and which process does what only one should do.
//!
//! A SQLite file has one server: a lock on a file beside it, which is gone with its process, however that ends. PostgreSQL has advisory
//! locks, which are gone with their session: one that all processes share where Redis joins them, and that one process has for itself
//! where the queue is inside it.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::DeploymentError;
use crate::db::{Connection, Database, DbError};

/// The advisory lock of everyone who serves; the number is ours for good.
const SERVING: i64 = 7_811_906_572;
/// The advisory lock of the one process that sweeps and audits.
const LEADING: i64 = 7_811_906_573;
/// A process that stopped (not died) loses its session after this time, and with it the locks.
const SESSION: &str = "SET idle_session_timeout = '20s'";

/// How a process shares its database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sharing {
    /// With nobody.
    Alone,
    /// With others that do the same.
    WithOthers,
}

/// This process's place among those that serve the database. Cheap to clone; given up when the last clone is dropped.
#[derive(Debug, Clone)]
pub(super) enum Presence {
    /// The only server of a file.
    File { _lock: Arc<File> },
    /// One of the servers of a database.
    Session(Arc<Session>),
}

pub(super) struct Session {
    database: Database,
    sharing: Sharing,
    held: Mutex<Option<Held>>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Session").field("sharing", &self.sharing).finish_non_exhaustive()
    }
}

struct Held {
    connection: Connection,
    leads: bool,
}

impl Presence {
    /// Takes the place.
    ///
    /// # Errors
    /// [`DeploymentError::AlreadyRunning`] when another server does not share the database.
    pub(super) fn take(database: &Database, sharing: Sharing) -> Result<Self, DeploymentError> {
        if let Some(file) = database.file() {
            return Ok(Self::File { _lock: Arc::new(lock_beside(file)?) });
        }
        let held = Held::take(database, sharing)?
            .ok_or_else(|| DeploymentError::NotAlone { place: database.url().place() })?;
        Ok(Self::Session(Arc::new(Session { database: database.clone(), sharing, held: Mutex::new(Some(held)) })))
    }

    /// Keeps the place (a session that was lost is made again) and gives whether this process is the one that sweeps and audits.
    /// Call it every few seconds, off the async threads.
    ///
    /// # Errors
    /// [`DeploymentError`] when the database cannot be reached or somebody else has taken it for itself.
    pub(super) fn keep(&self) -> Result<bool, DeploymentError> {
        match self {
            Self::File { .. } => Ok(true),
            Self::Session(session) => session.keep(),
        }
    }
}

impl Session {
    fn keep(&self) -> Result<bool, DeploymentError> {
        let mut place = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let mut held = match place.take() {
            Some(held) => held,
            None => Held::take(&self.database, self.sharing)?
                .ok_or_else(|| DeploymentError::NotAlone { place: self.database.url().place() })?,
        };
        // On an error the session is dropped, and the next call makes another.
        let leads = match held.leads {
            true => held.connection.batch_execute("SELECT 1").map(|()| true),
            false => try_lock(&mut held.connection, "pg_try_advisory_lock", LEADING),
        };
        held.leads = leads.map_err(DbError::from)?;
        let leads = held.leads;
        *place = Some(held);
        Ok(leads)
    }
}

impl Held {
    fn take(database: &Database, sharing: Sharing) -> Result<Option<Self>, DeploymentError> {
        let mut connection = database.own_connection()?;
        connection.batch_execute(SESSION).map_err(DbError::from)?;
        let function = match sharing {
            Sharing::Alone => "pg_try_advisory_lock",
            Sharing::WithOthers => "pg_try_advisory_lock_shared",
        };
        let taken = try_lock(&mut connection, function, SERVING).map_err(DbError::from)?;
        Ok(taken.then_some(Self { connection, leads: false }))
    }
}

fn try_lock(connection: &mut Connection, function: &str, number: i64) -> QueryResult<bool> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Bool)]
        taken: bool,
    }
    let row: Row = diesel::sql_query(format!("SELECT {function}({number}) AS taken")).get_result(connection)?;
    Ok(row.taken)
}

fn lock_beside(database: &Path) -> Result<File, DeploymentError> {
    // The file itself, not a link to it: two names of one database have one lock.
    let path = std::fs::canonicalize(database).unwrap_or_else(|_| database.to_path_buf()).with_extension("lock");
    let failed = |message: String| DeploymentError::File { path: path.clone(), message };
    let file = File::options().create(true).append(true).open(&path).map_err(|error| failed(error.to_string()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(DeploymentError::AlreadyRunning(database.to_path_buf())),
        Err(TryLockError::Error(error)) => Err(failed(error.to_string())),
    }
}
