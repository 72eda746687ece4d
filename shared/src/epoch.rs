//! The epoch: a number that every change of a key, tenant, channel or price moves in its own transaction. Every process watches it,
//! so what it remembers is never older than the last look, and a revocation counts everywhere within a second.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use diesel::prelude::*;

use crate::clock::{Clock, Timestamp};
use crate::db::schema::epoch::dsl;
use crate::db::{Connection, Database, DbError};

/// How often the epoch is read, in milliseconds.
pub const POLL_MS: u64 = 250;
/// After this long without a successful read nothing that is remembered counts any more, in milliseconds.
const TRUSTED_MS: i64 = 5_000;

/// Moves the epoch. Call it inside the transaction of the change.
///
/// # Errors
/// [`DbError`].
pub(crate) fn advance(connection: &mut Connection) -> Result<(), DbError> {
    diesel::update(dsl::epoch.find(1)).set(dsl::value.eq(dsl::value + 1)).execute(connection)?;
    Ok(())
}

/// The epoch as the database has it.
pub(crate) fn read(connection: &mut Connection) -> Result<i64, DbError> {
    Ok(dsl::epoch.find(1).select(dsl::value).first(connection)?)
}

/// What this process knows of the epoch. Cheap to clone.
#[derive(Debug, Clone)]
pub struct EpochWatch {
    clock: Clock,
    known: Arc<Known>,
}

#[derive(Debug)]
struct Known {
    value: AtomicI64,
    read_at: AtomicI64,
}

impl EpochWatch {
    /// Reads the epoch for the first time.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn start(database: &Database, clock: Clock) -> Result<Self, DbError> {
        let value = database.read(read).await?;
        let known = Known { value: AtomicI64::new(value), read_at: AtomicI64::new(clock.now().0) };
        Ok(Self { clock, known: Arc::new(known) })
    }

    /// Reads it again; gives whether it has moved. Call it every [`POLL_MS`].
    ///
    /// # Errors
    /// [`DbError`]; then what was known goes stale by itself.
    pub async fn poll(&self, database: &Database) -> Result<bool, DbError> {
        // The time before the read: what is read may be as old as that.
        let asked_at = self.clock.now();
        let value = database.read(read).await?;
        self.known.read_at.store(asked_at.0, Ordering::Release);
        Ok(self.known.value.swap(value, Ordering::AcqRel) != value)
    }

    /// The epoch at the last look; `None` when that is too long ago to be trusted.
    pub fn current(&self) -> Option<i64> {
        let age = self.clock.now().since(Timestamp(self.known.read_at.load(Ordering::Acquire)));
        (age <= TRUSTED_MS).then(|| self.known.value.load(Ordering::Acquire))
    }
}
