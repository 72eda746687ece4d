//! Keys as people who operate the service look for them: those of all tenants, by state.

use std::fmt;
use std::str::FromStr;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use super::{Key, Row};
use crate::clock::Timestamp;
use crate::db::{Composed, Connection, DbError, Statement, Value, containing, sql};
use crate::id::TenantId;
use crate::page::{Cursor, Page, and_one_more};
use crate::secret_key::KeyId;

/// Whether a key works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyState {
    /// It does, if its tenant is not suspended.
    Active,
    /// Its time is over, or the grace of its rotation.
    Expired,
    /// Somebody ended it.
    Revoked,
}

impl KeyState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Active, Self::Expired, Self::Revoked];

    /// Its word, as in an address.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl fmt::Display for KeyState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for KeyState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|state| state.as_str() == text);
        known.ok_or_else(|| "must be active, expired or revoked".to_owned())
    }
}

impl Key {
    /// Whether it works at this moment.
    pub fn state(&self, now: Timestamp) -> KeyState {
        if self.revoked_at.is_some() {
            KeyState::Revoked
        } else if self.ends_at().is_some_and(|end| end <= now) {
            KeyState::Expired
        } else {
            KeyState::Active
        }
    }
}

/// A key with whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyOverview {
    /// The key.
    pub key: Key,
    /// Its tenant's name.
    pub tenant_name: String,
    /// Since when its tenant is suspended.
    pub tenant_suspended_at: Option<Timestamp>,
}

/// Which keys to list; the default is all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyFilter {
    /// Of this tenant only.
    pub tenant: Option<TenantId>,
    /// With this in their name, or as their id or last four characters; empty: any.
    pub text: String,
    /// In this state.
    pub state: Option<KeyState>,
}

macro_rules! select {
    () => {
        "SELECT k.id, k.tenant, k.name, k.last_four, k.models, k.console, k.expires_at, k.grace_until, k.revoked_at, \
         k.created_at, k.rpm, k.tpm, k.concurrency, k.ips, k.last_used_at, t.name AS tenant_name, t.suspended_at \
         FROM keys k JOIN tenants t ON t.id = k.tenant WHERE "
    };
}

/// The keys that fit `filter`, newest first, at most `limit`, at the `cursor`.
///
/// # Errors
/// [`DbError`].
pub fn search(
    connection: &mut Connection,
    filter: &KeyFilter,
    cursor: Cursor<KeyId>,
    limit: usize,
    now: Timestamp,
) -> Result<Page<KeyOverview>, DbError> {
    let Some(pattern) = containing(&filter.text) else { return Ok(Page::empty()) };
    let row = match cursor.key() {
        Some(key) => match overview(connection, *key)? {
            Some(row) => Some((row.key.created_at, key)),
            None => return Ok(Page::empty()),
        },
        None => None,
    };
    let mut statement = Composed::new(select!());
    filter.conditions(&mut statement, &pattern, now);
    if let Some((moment, id)) = row {
        let place = [Value::Int(moment.0), Value::Text(id.as_str())];
        let words = if cursor.is_backwards() { " > (?, ?)" } else { " < (?, ?)" };
        statement.and(" AND (k.created_at, k.id)", []).and(words, place);
    }
    statement
        .and(
            if cursor.is_backwards() {
                " ORDER BY k.created_at, k.id"
            } else {
                " ORDER BY k.created_at DESC, k.id DESC"
            },
            [],
        )
        .and(" LIMIT ?", [Value::Int(and_one_more(limit))]);
    let rows: Vec<OverviewRow> = statement.load(connection)?;
    Page::of(rows, &cursor, limit).try_map(OverviewRow::into_overview)
}

impl KeyFilter {
    /// Adds its conditions; `pattern` is that of its text.
    fn conditions<'a>(&'a self, statement: &mut Composed<'a>, pattern: &'a str, now: Timestamp) {
        let (text, now) = (Value::Text(&self.text), Value::Int(now.0));
        statement.and(
            "(lower(k.name) LIKE lower(?) ESCAPE '!' OR k.id = ? OR k.last_four = ?)",
            [Value::Text(pattern), text, text],
        );
        match self.state {
            None => {}
            Some(KeyState::Revoked) => drop(statement.and(" AND k.revoked_at IS NOT NULL", [])),
            Some(KeyState::Expired) => drop(
                statement.and(" AND k.revoked_at IS NULL AND (k.expires_at <= ? OR k.grace_until <= ?)", [now, now]),
            ),
            Some(KeyState::Active) => drop(statement.and(
                " AND k.revoked_at IS NULL AND COALESCE(k.expires_at > ?, TRUE) AND COALESCE(k.grace_until > ?, TRUE)",
                [now, now],
            )),
        }
        if let Some(TenantId(tenant)) = self.tenant {
            statement.and(" AND k.tenant = ?", [Value::Int(tenant)]);
        }
    }
}

/// The key of this id.
///
/// # Errors
/// [`DbError`].
pub fn overview(connection: &mut Connection, id: KeyId) -> Result<Option<KeyOverview>, DbError> {
    let sql = sql!(concat!(select!(), "k.id = ?"));
    let row: Option<OverviewRow> =
        Statement::new(sql, &[Value::Text(id.as_str())]).get_result(connection).optional()?;
    row.map(OverviewRow::into_overview).transpose()
}

#[derive(QueryableByName)]
struct OverviewRow {
    #[diesel(embed)]
    key: Row,
    #[diesel(sql_type = Text)]
    tenant_name: String,
    #[diesel(sql_type = Nullable<BigInt>)]
    suspended_at: Option<i64>,
}

impl OverviewRow {
    fn into_overview(self) -> Result<KeyOverview, DbError> {
        Ok(KeyOverview {
            key: self.key.into_key()?,
            tenant_name: self.tenant_name,
            tenant_suspended_at: self.suspended_at.map(Timestamp),
        })
    }
}
