//! Tenants: the customers. A tenant's id is its account's in the ledger.

pub mod notes;
mod overview;

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;
use serde::Serialize;

pub use overview::{TenantOverview, by_id, search};

use crate::clock::Timestamp;
use crate::db::schema::tenants::dsl;
use crate::db::{Connection, DbError};
use crate::id::TenantId;
use crate::{epoch, ledger};

/// The most characters of a tenant's name.
const LONGEST_NAME: usize = 200;

/// A customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// Its unique name.
    pub name: String,
    /// Since when its calls are refused.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "crate::clock::as_rfc3339")]
    pub suspended_at: Option<Timestamp>,
}

/// Why a tenant could not be made or changed.
#[derive(Debug, thiserror::Error)]
pub enum TenantError {
    /// Another tenant has this name.
    #[error("a tenant named \"{0}\" exists already")]
    NameTaken(String),
    /// The name is empty, too long, or holds control characters.
    #[error("a tenant's name has 1 to {LONGEST_NAME} characters and no control characters")]
    BadName,
    /// There is no such tenant.
    #[error("no tenant is named \"{0}\": see `xiaoyi tenant list`")]
    Unknown(String),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbError),
}

impl From<diesel::result::Error> for TenantError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Makes a tenant and opens its account. Call it in a write transaction.
///
/// # Errors
/// [`TenantError::NameTaken`], [`TenantError::BadName`], or the database's.
pub fn create(connection: &mut Connection, name: &str, now: Timestamp) -> Result<Tenant, TenantError> {
    let length = name.chars().count();
    if length == 0 || length > LONGEST_NAME || name.trim() != name || name.chars().any(char::is_control) {
        return Err(TenantError::BadName);
    }
    if find(connection, name)?.is_some() {
        return Err(TenantError::NameTaken(name.to_owned()));
    }
    let newest: Option<i64> = dsl::tenants.select(diesel::dsl::max(dsl::id)).first(connection)?;
    let id = TenantId(newest.map_or(ledger::FIRST_CUSTOMER, |newest| newest + 1));
    ledger::open_account(connection, id, now)?;
    diesel::insert_into(dsl::tenants)
        .values((dsl::id.eq(id.0), dsl::name.eq(name), dsl::created_at.eq(now.0)))
        .execute(connection)?;
    epoch::advance(connection)?;
    Ok(Tenant { id, name: name.to_owned(), suspended_at: None })
}

/// The tenant of this name.
///
/// # Errors
/// [`DbError`].
pub fn find(connection: &mut Connection, name: &str) -> Result<Option<Tenant>, DbError> {
    let row = dsl::tenants.filter(dsl::name.eq(name)).select(COLUMNS).first(connection).optional()?;
    Ok(row.map(from_row))
}

/// The tenant of this name, or the error that says how to find the right one.
///
/// # Errors
/// [`TenantError::Unknown`] or the database's.
pub fn named(connection: &mut Connection, name: &str) -> Result<Tenant, TenantError> {
    find(connection, name)?.ok_or_else(|| TenantError::Unknown(name.to_owned()))
}

/// All tenants, by id.
///
/// # Errors
/// [`DbError`].
pub fn list(connection: &mut Connection) -> Result<Vec<Tenant>, DbError> {
    let rows: Vec<Row> = dsl::tenants.order(dsl::id).select(COLUMNS).load(connection)?;
    Ok(rows.into_iter().map(from_row).collect())
}

/// The names of these tenants; an id that no tenant has is left out.
///
/// # Errors
/// [`DbError`].
pub fn names(
    connection: &mut Connection,
    ids: impl IntoIterator<Item = TenantId>,
) -> Result<BTreeMap<TenantId, String>, DbError> {
    let ids: BTreeSet<i64> = ids.into_iter().map(|TenantId(id)| id).collect();
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows: Vec<(i64, String)> =
        dsl::tenants.filter(dsl::id.eq_any(ids)).select((dsl::id, dsl::name)).load(connection)?;
    Ok(rows.into_iter().map(|(id, name)| (TenantId(id), name)).collect())
}

/// Suspends a tenant (with the moment) or lets it call again (`None`). Call it in a write transaction.
///
/// # Errors
/// [`TenantError::Unknown`] or the database's.
pub fn set_suspended(connection: &mut Connection, name: &str, since: Option<Timestamp>) -> Result<Tenant, TenantError> {
    let tenant = named(connection, name)?;
    // Suspended twice stays suspended since the first time.
    let since = since.map(|since| tenant.suspended_at.unwrap_or(since));
    diesel::update(dsl::tenants.find(tenant.id.0))
        .set(dsl::suspended_at.eq(since.map(|since| since.0)))
        .execute(connection)?;
    epoch::advance(connection)?;
    Ok(Tenant { suspended_at: since, ..tenant })
}

type Row = (i64, String, Option<i64>);

const COLUMNS: (dsl::id, dsl::name, dsl::suspended_at) = (dsl::id, dsl::name, dsl::suspended_at);

fn from_row((id, name, suspended_at): Row) -> Tenant {
    Tenant { id: TenantId(id), name, suspended_at: suspended_at.map(Timestamp) }
}
