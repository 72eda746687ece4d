//! End users whose calls are refused: a tenant's program names them in `user`, and people who operate the service block one by that name.
//!
//! A call is checked against a set in memory, which comes with its key (`keyring`): a key whose tenant blocks nobody has none, and all keys
//! of a tenant share one. Blocking and unblocking move the epoch, so they count within a second, as a revocation does.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use diesel::prelude::*;

use crate::clock::Timestamp;
use crate::db::schema::blocked_users::dsl;
use crate::db::{Connection, DbError};
use crate::epoch;
use crate::id::TenantId;
use crate::page::{Page, and_one_more};
use crate::typed_text::is_line;

/// The most characters of an end user's name, in a call and here.
pub const LONGEST_END_USER: usize = 512;
/// The most end users of a tenant that are blocked at a time.
pub const MOST_BLOCKED: i64 = 10_000;
/// The most characters of the name of who blocks one.
const LONGEST_AUTHOR: usize = 320;
/// From so many sets on, those that no key has any more are cleared away.
const MANY_SETS: usize = 256;

/// An end user who is blocked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockedUser {
    /// The name, as calls give it.
    pub end_user: String,
    /// Since when.
    pub blocked_at: Timestamp,
    /// By whom.
    pub blocked_by: String,
}

/// Why an end user could not be blocked.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// No call can have such a name.
    #[error("an end user's name has 1 to {LONGEST_END_USER} characters")]
    BadEndUser,
    /// Who blocks is no line of 1 to 320 characters.
    #[error("who blocks an end user is named by 1 to {LONGEST_AUTHOR} characters without control characters")]
    BadAuthor,
    /// The tenant has as many blocked end users as it may.
    #[error("this tenant has {MOST_BLOCKED} blocked end users, and may not have more; suspend it, or unblock some")]
    TooMany,
    /// The database failed, or there is no such tenant.
    #[error(transparent)]
    Database(#[from] DbError),
}

impl From<diesel::result::Error> for BlockError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(error.into())
    }
}

/// An end user's name as it is recorded and compared. PostgreSQL's texts cannot hold U+0000, so it becomes the replacement character.
pub(crate) fn recorded(name: &str) -> String {
    name.replace('\0', "\u{fffd}")
}

/// Blocks an end user of a tenant; one who is blocked stays blocked since the first time. Call it in a write transaction.
///
/// # Errors
/// [`BlockError`].
pub fn block(
    connection: &mut Connection,
    tenant: TenantId,
    end_user: &str,
    by: &str,
    now: Timestamp,
) -> Result<BlockedUser, BlockError> {
    let end_user = recorded(end_user);
    if !(1..=LONGEST_END_USER).contains(&end_user.chars().count()) {
        return Err(BlockError::BadEndUser);
    }
    if !is_line(by, 1..=LONGEST_AUTHOR) {
        return Err(BlockError::BadAuthor);
    }
    if let Some(blocked) = find(connection, tenant, &end_user)? {
        return Ok(blocked);
    }
    let count: i64 = dsl::blocked_users.filter(dsl::tenant.eq(tenant.0)).count().get_result(connection)?;
    if count >= MOST_BLOCKED {
        return Err(BlockError::TooMany);
    }
    let blocked = BlockedUser { end_user, blocked_at: now, blocked_by: by.to_owned() };
    diesel::insert_into(dsl::blocked_users)
        .values((
            dsl::tenant.eq(tenant.0),
            dsl::end_user.eq(&blocked.end_user),
            dsl::blocked_at.eq(now.0),
            dsl::blocked_by.eq(by),
        ))
        .execute(connection)?;
    epoch::advance(connection)?;
    Ok(blocked)
}

/// Lets the calls of an end user in again; gives who was blocked, or `None` where nobody of this name was. Call it in a write transaction.
///
/// # Errors
/// [`DbError`].
pub fn unblock(connection: &mut Connection, tenant: TenantId, end_user: &str) -> Result<Option<BlockedUser>, DbError> {
    let Some(blocked) = find(connection, tenant, end_user)? else { return Ok(None) };
    diesel::delete(dsl::blocked_users.find((tenant.0, &blocked.end_user))).execute(connection)?;
    epoch::advance(connection)?;
    Ok(Some(blocked))
}

/// The end user of this name, if blocked.
///
/// # Errors
/// [`DbError`].
pub fn find(connection: &mut Connection, tenant: TenantId, end_user: &str) -> Result<Option<BlockedUser>, DbError> {
    let end_user = recorded(end_user);
    let row: Option<Row> =
        dsl::blocked_users.find((tenant.0, end_user)).select(COLUMNS).first(connection).optional()?;
    Ok(row.map(from_row))
}

/// The blocked end users of a tenant by their names, at most `limit`, behind the name `after` (from the first on, with `None`).
///
/// # Errors
/// [`DbError`].
pub fn list(
    connection: &mut Connection,
    tenant: TenantId,
    after: Option<&str>,
    limit: usize,
) -> Result<Page<BlockedUser>, DbError> {
    let rows: Vec<Row> = dsl::blocked_users
        .filter(dsl::tenant.eq(tenant.0).and(dsl::end_user.gt(recorded(after.unwrap_or_default()))))
        .order(dsl::end_user)
        .limit(and_one_more(limit))
        .select(COLUMNS)
        .load(connection)?;
    Page::of(rows, &after.into(), limit).try_map(|row| Ok(from_row(row)))
}

type Row = (String, i64, String);

const COLUMNS: (dsl::end_user, dsl::blocked_at, dsl::blocked_by) = (dsl::end_user, dsl::blocked_at, dsl::blocked_by);

fn from_row((end_user, blocked_at, blocked_by): Row) -> BlockedUser {
    BlockedUser { end_user, blocked_at: Timestamp(blocked_at), blocked_by }
}

/// The names that a tenant's calls are checked against.
pub type BlockedSet = HashSet<Box<str>>;

/// The set of a tenant as the database has it; `None` when it blocks nobody.
pub(crate) fn set_of(connection: &mut Connection, tenant: TenantId) -> Result<Option<Arc<BlockedSet>>, DbError> {
    let names: Vec<String> =
        dsl::blocked_users.filter(dsl::tenant.eq(tenant.0)).select(dsl::end_user).load(connection)?;
    if names.is_empty() {
        return Ok(None);
    }
    Ok(Some(Arc::new(names.into_iter().map(String::into_boxed_str).collect())))
}

/// The sets that keys have at present, so that all keys of a tenant share one, whatever its size.
#[derive(Debug, Default)]
pub(crate) struct BlockedSets {
    /// Each with the epoch that was read before it.
    known: Mutex<HashMap<TenantId, (i64, Weak<BlockedSet>)>>,
}

impl BlockedSets {
    /// The set of `tenant` as it was at `epoch` or later; `None` when it blocks nobody.
    pub(crate) fn of(
        &self,
        connection: &mut Connection,
        tenant: TenantId,
        epoch: i64,
    ) -> Result<Option<Arc<BlockedSet>>, DbError> {
        if let Some(set) = self.known(tenant, epoch) {
            return Ok(Some(set));
        }
        let Some(set) = set_of(connection, tenant)? else { return Ok(None) };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MANY_SETS {
            known.retain(|_, (_, set)| set.strong_count() > 0);
        }
        known.insert(tenant, (epoch, Arc::downgrade(&set)));
        Ok(Some(set))
    }

    fn known(&self, tenant: TenantId, epoch: i64) -> Option<Arc<BlockedSet>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, set) = known.get(&tenant)?;
        // What was read at a later epoch is not older than what this one asks for.
        if *since >= epoch { set.upgrade() } else { None }
    }
}
