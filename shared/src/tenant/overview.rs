//! Tenants as people who operate the service look for them: each with its balance, its keys, and when it last called.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use super::Tenant;
use crate::clock::Timestamp;
use crate::db::{Connection, DbError, Statement, Value, containing, sql};
use crate::id::TenantId;
use crate::ledger::Balance;
use crate::money::Amount;
use crate::page::{Cursor, Page, and_one_more};

/// A tenant and what is to be known at a glance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantOverview {
    /// The tenant.
    pub tenant: Tenant,
    /// When it was made.
    pub created_at: Timestamp,
    /// What it has.
    pub balance: Balance,
    /// How many keys it has that are not revoked; they may have expired.
    pub keys: i64,
    /// When one of its keys was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
}

/// What is read of a tenant, by a condition of one's own.
macro_rules! overviews {
    ($condition:literal) => {
        sql!(concat!(
            "SELECT t.id, t.name, t.suspended_at, t.created_at, a.posted, a.held, \
             CAST((SELECT count(*) FROM keys k WHERE k.tenant = t.id AND k.revoked_at IS NULL) AS BIGINT) AS live_keys, \
             (SELECT max(k.last_used_at) FROM keys k WHERE k.tenant = t.id) AS last_used_at \
             FROM tenants t JOIN accounts a ON a.id = t.id WHERE ",
            $condition
        ))
    };
}

/// The tenants with `part` in their name (empty: all), newest first, at most `limit`, at the `cursor`.
///
/// # Errors
/// [`DbError`].
pub fn search(
    connection: &mut Connection,
    part: &str,
    cursor: Cursor<TenantId>,
    limit: usize,
) -> Result<Page<TenantOverview>, DbError> {
    let Some(pattern) = containing(part) else { return Ok(Page::empty()) };
    let id = cursor.key().map_or(i64::MAX, |TenantId(id)| *id);
    let values = [Value::Int(id), Value::Text(&pattern), Value::Int(and_one_more(limit))];
    let rows: Vec<Row> = if cursor.is_backwards() {
        let sql = overviews!("t.id > ? AND lower(t.name) LIKE lower(?) ESCAPE '!' ORDER BY t.id LIMIT ?");
        Statement::new(sql, &values).load(connection)?
    } else {
        let sql = overviews!("t.id < ? AND lower(t.name) LIKE lower(?) ESCAPE '!' ORDER BY t.id DESC LIMIT ?");
        Statement::new(sql, &values).load(connection)?
    };
    Page::of(rows, &cursor, limit).try_map(|row| Ok(row.into()))
}

/// The tenant of this id.
///
/// # Errors
/// [`DbError`].
pub fn by_id(connection: &mut Connection, TenantId(id): TenantId) -> Result<Option<TenantOverview>, DbError> {
    let row: Option<Row> =
        Statement::new(overviews!("t.id = ?"), &[Value::Int(id)]).get_result(connection).optional()?;
    Ok(row.map(TenantOverview::from))
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Nullable<BigInt>)]
    suspended_at: Option<i64>,
    #[diesel(sql_type = BigInt)]
    created_at: i64,
    #[diesel(sql_type = BigInt)]
    posted: i64,
    #[diesel(sql_type = BigInt)]
    held: i64,
    #[diesel(sql_type = BigInt)]
    live_keys: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    last_used_at: Option<i64>,
}

impl From<Row> for TenantOverview {
    fn from(row: Row) -> Self {
        let suspended_at = row.suspended_at.map(Timestamp);
        Self {
            tenant: Tenant { id: TenantId(row.id), name: row.name, suspended_at },
            created_at: Timestamp(row.created_at),
            balance: Balance { posted: Amount::from_nanos(row.posted), held: Amount::from_nanos(row.held) },
            keys: row.live_keys,
            last_used_at: row.last_used_at.map(Timestamp),
        }
    }
}
