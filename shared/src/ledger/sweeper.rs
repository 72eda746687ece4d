//! Ends the holds that nobody else will: those of processes that died, and those past their time.

use diesel::prelude::*;
use diesel::sql_types::Binary;
use futures_util::{StreamExt as _, stream};

use super::operation::Ended;
use super::{Ledger, LedgerError};
use crate::clock::Timestamp;
use crate::db::{self, Connection, Database, DbError, Statement, Value, sql};
use crate::facts::{self, SETTLED_BELOW};
use crate::id::{ProcessId, RequestId, TenantId};

/// Holds that one read gives.
const PAGE: i64 = 1_000;
/// Holds that are ended at the same time.
const ENDED_AT_ONCE: usize = 256;
/// Rows of processes that were silent this long are dropped, in milliseconds.
const FORGET_PROCESS_MS: i64 = 86_400_000;
/// A hold is committed at most this long after its id was made (body read, then id, then hold with a 10 s bound), in milliseconds.
const LATEST_COMMIT_MS: i64 = 60_000;

/// Writes this process's first sign of life, before it makes a hold.
///
/// # Errors
/// [`DbError`].
pub async fn register_process(
    database: &Database,
    process: ProcessId,
    role: &'static str,
    now: Timestamp,
) -> Result<(), DbError> {
    database
        .write(move |connection| {
            use crate::db::schema::processes::dsl;
            let (id, now) = (process.as_bytes().as_slice(), db::now(connection, now)?);
            diesel::insert_into(dsl::processes)
                .values((dsl::id.eq(id), dsl::role.eq(role), dsl::started_at.eq(now.0), dsl::seen_at.eq(now.0)))
                .execute(connection)?;
            diesel::delete(dsl::processes.filter(dsl::seen_at.lt(now.plus_ms(-FORGET_PROCESS_MS).0)))
                .execute(connection)?;
            Ok(())
        })
        .await
}

/// Writes a later sign of life.
///
/// # Errors
/// [`DbError`].
pub async fn heartbeat(database: &Database, process: ProcessId, now: Timestamp) -> Result<(), DbError> {
    database
        .write(move |connection| {
            use crate::db::schema::processes::dsl;
            let now = db::now(connection, now)?;
            let own = dsl::processes.filter(dsl::id.eq(process.as_bytes().as_slice()));
            diesel::update(own).set(dsl::seen_at.eq(now.0)).execute(connection)?;
            Ok(())
        })
        .await
}

/// Finds open holds without reading the settled past again: below its mark every hold is settled.
#[derive(Debug)]
pub struct Sweeper {
    own: ProcessId,
    settled_below: RequestId,
}

impl Sweeper {
    /// The sweeper of the process `own`, which goes on where the last one of this database stopped.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn load(database: &Database, own: ProcessId, now: Timestamp) -> Result<Self, DbError> {
        let mark = database.read(|connection| facts::read(connection, SETTLED_BELOW)).await?;
        let mark = mark.and_then(|bytes| RequestId::from_slice(&bytes)).unwrap_or_else(RequestId::zero);
        // A mark from a clock that ran ahead would hide the holds of all ids until then.
        Ok(Self { own, settled_below: mark.min(RequestId::floor(now.plus_ms(-LATEST_COMMIT_MS))) })
    }

    /// Voids every open hold that another process made, and gives how many there were. Only for a start of
    /// the process that serves the database alone, where no other can live.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn void_dead_owners(
        &mut self,
        database: &Database,
        ledger: &Ledger,
        now: Timestamp,
    ) -> Result<usize, LedgerError> {
        let open = self.open_holds(database, now).await?;
        let dead = open.into_iter().filter(|hold| hold.owner != self.own.as_bytes().as_slice());
        end_all(ledger, dead, Ended::Voided).await
    }

    /// Expires the open holds that are past their time or whose owner, if it is another process, was silent for `silence_ms`, and gives how many there were.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn expire(
        &mut self,
        database: &Database,
        ledger: &Ledger,
        now: Timestamp,
        silence_ms: i64,
    ) -> Result<usize, LedgerError> {
        let open = self.open_holds(database, now).await?;
        let (alive, now): (Vec<Vec<u8>>, Timestamp) = database
            .read(move |connection| {
                use crate::db::schema::processes::dsl;
                let now = db::now(connection, now)?;
                let alive = dsl::processes.filter(dsl::seen_at.gt(now.plus_ms(-silence_ms).0)).select(dsl::id);
                Ok((alive.load(connection)?, now))
            })
            .await?;
        // We live, however late our own heartbeat is: a slow disk must not end the calls that wait for it.
        let is_silent = |owner: &Vec<u8>| owner.as_slice() != self.own.as_bytes().as_slice() && !alive.contains(owner);
        let forgotten = open.into_iter().filter(|hold| Timestamp(hold.expires_at) < now || is_silent(&hold.owner));
        end_all(ledger, forgotten, Ended::Expired).await
    }

    /// Remembers how far the past is settled, for the next start.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn save(&self, database: &Database) -> Result<(), DbError> {
        let mark = *self.settled_below.as_bytes();
        database.write(move |connection| facts::write(connection, SETTLED_BELOW, &mark)).await
    }

    async fn open_holds(&mut self, database: &Database, now: Timestamp) -> Result<Vec<OpenHold>, DbError> {
        let mut open: Vec<OpenHold> = Vec::new();
        let mut after = self.settled_below;
        loop {
            let rows = database.read(move |connection| page(connection, after)).await?;
            let last = rows.last().and_then(|row| RequestId::from_slice(&row.request_id));
            let full = rows.len() as i64 == PAGE;
            open.extend(rows);
            match last {
                Some(last) if full => after = last,
                _ => break,
            }
        }
        let oldest_open = open.first().and_then(|hold| RequestId::from_slice(&hold.request_id)).map(RequestId::before);
        let quiet = RequestId::floor(now.plus_ms(-LATEST_COMMIT_MS));
        self.settled_below = self.settled_below.max(oldest_open.map_or(quiet, |oldest| oldest.min(quiet)));
        Ok(open)
    }
}

#[derive(QueryableByName)]
struct OpenHold {
    #[diesel(sql_type = Binary)]
    request_id: Vec<u8>,
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    account: i64,
    #[diesel(sql_type = Binary)]
    owner: Vec<u8>,
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    expires_at: i64,
}

fn page(connection: &mut Connection, after: RequestId) -> Result<Vec<OpenHold>, DbError> {
    let values = [Value::Blob(after.as_bytes()), Value::Int(PAGE)];
    let rows = Statement::new(
        sql!(
            "SELECT h.request_id, h.account, h.owner, h.expires_at FROM holds h WHERE h.request_id > ? \
         AND NOT EXISTS (SELECT 1 FROM settlements s WHERE s.request_id = h.request_id) ORDER BY h.request_id LIMIT ?"
        ),
        &values,
    );
    Ok(rows.load(connection)?)
}

/// Ends all of them, many at once, so that they share commits. One that cannot be ended keeps none of the others; its error is given.
async fn end_all(ledger: &Ledger, holds: impl Iterator<Item = OpenHold>, ended: Ended) -> Result<usize, LedgerError> {
    let ids = holds.filter_map(|hold| Some((RequestId::from_slice(&hold.request_id)?, TenantId(hold.account))));
    let mut ending = stream::iter(ids)
        .map(|(request_id, account)| async move { (request_id, ledger.end(request_id, account, ended).await) })
        .buffer_unordered(ENDED_AT_ONCE);
    let (mut count, mut failure) = (0, None);
    while let Some((request_id, outcome)) = ending.next().await {
        match outcome {
            Ok(Ok(())) => {
                count += 1;
                tracing::warn!(%request_id, ?ended, "a hold that nobody settled was released");
            }
            // Settled by someone else in between: that is what was wanted.
            Ok(Err(_)) => {}
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    failure.map_or(Ok(count), Err)
}
