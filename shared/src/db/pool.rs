//! Connections that are kept, for reading and for the writes that go beside the ledger's.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use diesel::ConnectionError;
use diesel::r2d2::{Error, ManageConnection, Pool, PooledConnection, R2D2Connection};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Connection, DbError, establish};
use crate::config::DatabaseUrl;

/// How long a read waits for a free connection.
const WAIT: Duration = Duration::from_secs(5);
/// A connection that was used within this time is taken to be alive; an older one is asked first. A server that was restarted costs
/// one read, not a question before each read for ever: once a connection was found gone, all that were used before are asked.
const FRESH: Duration = Duration::from_secs(1);

/// What connections of a pool are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Statements end when nobody waits for them any more, where the engine can do that.
    Read,
    Write,
    /// To bring the schema up to date, which takes as long as it takes.
    Schema,
}

/// A small pool. Cheap to clone.
#[derive(Clone)]
pub(super) struct Connections {
    pool: Pool<Manager>,
    /// As many turns as connections.
    turns: Arc<Semaphore>,
    /// As many places as may wait for a turn.
    places: Arc<Semaphore>,
}

impl Connections {
    /// A pool of at most `size` connections, of which `idle` are kept ready, and for which `waiting` may wait. It connects when it is asked,
    /// so a server that is away is an error of the read, not of this.
    pub(super) fn new(url: &DatabaseUrl, purpose: Purpose, size: u32, idle: u32, waiting: usize) -> Self {
        let builder = Pool::builder().max_size(size).min_idle(Some(idle)).connection_timeout(WAIT);
        let builder = builder.error_handler(Box::new(Quiet));
        let pool = builder.build_unchecked(Manager { url: url.clone(), purpose, doubted: Mutex::new(None) });
        let turns = Arc::new(Semaphore::new(usize::try_from(size).unwrap_or(1)));
        Self { pool, turns, places: Arc::new(Semaphore::new(waiting)) }
    }

    /// Waits until a connection is free, outside of the threads that may block: who waits there keeps out everybody else's work, whatever
    /// connections that is for. Fails at once where too many wait already. Keep it for as long as the connection.
    pub(super) async fn turn(&self) -> Result<OwnedSemaphorePermit, DbError> {
        if let Ok(turn) = Arc::clone(&self.turns).try_acquire_owned() {
            return Ok(turn);
        }
        let busy = || DbError::Busy(format!("no connection was free within {} s", WAIT.as_secs()));
        let full = |_| DbError::Busy("too many wait for a connection already".to_owned());
        let _place = self.places.try_acquire().map_err(full)?;
        let turn = tokio::time::timeout(WAIT, Arc::clone(&self.turns).acquire_owned()).await;
        turn.map_err(|_| busy())?.map_err(|_| busy())
    }

    /// A connection, given back when it is dropped.
    pub(super) fn get(&self) -> Result<PooledConnection<Manager>, DbError> {
        self.pool.get().map_err(|error| DbError::Busy(error.to_string()))
    }
}

/// What r2d2 cannot do is told to whoever waits for a connection; the waiting one logs it.
#[derive(Debug)]
struct Quiet;

impl diesel::r2d2::HandleError<Error> for Quiet {
    fn handle_error(&self, error: Error) {
        tracing::debug!(%error, "a connection to the database could not be made");
    }
}

/// Makes and judges the connections.
#[derive(Debug)]
pub(super) struct Manager {
    url: DatabaseUrl,
    purpose: Purpose,
    /// When a connection was last found gone.
    doubted: Mutex<Option<Instant>>,
}

impl Manager {
    fn doubted(&self) -> MutexGuard<'_, Option<Instant>> {
        self.doubted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that knows when it was last used, and whether a statement found it gone.
pub(super) struct Pooled {
    connection: Connection,
    used: Instant,
    pub(super) is_gone: bool,
}

impl Deref for Pooled {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl DerefMut for Pooled {
    fn deref_mut(&mut self) -> &mut Connection {
        self.used = Instant::now();
        &mut self.connection
    }
}

impl ManageConnection for Manager {
    type Connection = Pooled;
    type Error = Error;

    fn connect(&self) -> Result<Pooled, Error> {
        let failed = |error: DbError| Error::ConnectionError(ConnectionError::BadConnection(error.to_string()));
        Ok(Pooled {
            connection: establish(&self.url, self.purpose).map_err(failed)?,
            used: Instant::now(),
            is_gone: false,
        })
    }

    fn is_valid(&self, pooled: &mut Pooled) -> Result<(), Error> {
        // A write is rare and must not fail for what could have been known.
        let is_fresh = self.purpose == Purpose::Read
            && pooled.used.elapsed() < FRESH
            && self.doubted().is_none_or(|doubted| doubted < pooled.used);
        if is_fresh { Ok(()) } else { pooled.connection.ping().map_err(Error::QueryError) }
    }

    fn has_broken(&self, pooled: &mut Pooled) -> bool {
        if pooled.is_gone {
            *self.doubted() = Some(Instant::now());
        }
        std::thread::panicking() || pooled.is_gone || pooled.connection.is_broken()
    }
}
