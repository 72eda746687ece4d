//! How many calls were refused before they got a hold, and whose.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::{SLOT_MS, floor};
use crate::clock::Timestamp;
use crate::db::{Composed, Connection, DbError, Value};
use crate::id::TenantId;
use crate::secret_key::KeyId;

/// Calls that were refused for one reason.
#[derive(Debug, Clone, PartialEq, Eq, QueryableByName)]
pub struct RefusedRow {
    /// The public code.
    #[diesel(sql_type = BigInt)]
    pub code: i64,
    /// The model; empty where none was named, or one that does not exist.
    #[diesel(sql_type = Text)]
    pub model: String,
    /// How many.
    #[diesel(sql_type = BigInt)]
    pub count: i64,
}

/// A key whose calls were refused for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedKey {
    /// Its tenant.
    pub tenant: TenantId,
    /// The key.
    pub key: KeyId,
    /// See [`RefusedRow::model`].
    pub model: String,
    /// How many.
    pub count: i64,
}

/// Which refusals. Each condition that is there has to be met. They are counted in whole quarters of an hour, those in which `from` and `to`
/// lie included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedFilter {
    /// Of one tenant.
    pub tenant: Option<TenantId>,
    /// Of one key.
    pub key: Option<KeyId>,
    /// Of one model, by its public name.
    pub model: Option<String>,
    /// For one reason, by its public code.
    pub code: Option<u32>,
    /// From this moment on.
    pub from: Timestamp,
    /// Before this moment.
    pub to: Timestamp,
}

impl RefusedFilter {
    /// Adds the table with all conditions; `key` is the key's text.
    fn select_from<'a>(&'a self, statement: &mut Composed<'a>, key: Option<&'a str>) {
        statement.and(
            " FROM refusals WHERE slot_start >= ? AND slot_start < ?",
            [Value::Int(floor(self.from.0, SLOT_MS)), Value::Int(self.to.0)],
        );
        if let Some(TenantId(tenant)) = self.tenant {
            statement.and(" AND tenant = ?", [Value::Int(tenant)]);
        }
        if let Some(key) = key {
            statement.and(" AND key_id = ?", [Value::Text(key)]);
        }
        if let Some(model) = &self.model {
            statement.and(" AND model = ?", [Value::Text(model)]);
        }
        if let Some(code) = self.code {
            statement.and(" AND code = ?", [Value::Int(i64::from(code))]);
        }
    }

    /// Whether there can be any: PostgreSQL's texts cannot hold U+0000.
    fn is_possible(&self) -> bool {
        self.model.as_ref().is_none_or(|model| !model.contains('\0'))
    }
}

/// What was refused before it became a call, by reason and model, the most frequent first.
///
/// # Errors
/// [`DbError`].
pub fn refused(connection: &mut Connection, filter: &RefusedFilter) -> Result<Vec<RefusedRow>, DbError> {
    if !filter.is_possible() {
        return Ok(Vec::new());
    }
    let mut statement = Composed::new("SELECT code, model, CAST(SUM(refused) AS BIGINT) AS count");
    filter.select_from(&mut statement, filter.key.as_ref().map(KeyId::as_str));
    statement.and(" GROUP BY code, model ORDER BY 3 DESC, 1, 2", []);
    Ok(statement.load(connection)?)
}

/// The same by key and model: whose calls were refused, the most frequent first.
///
/// # Errors
/// [`DbError`].
pub fn refused_keys(connection: &mut Connection, filter: &RefusedFilter) -> Result<Vec<RefusedKey>, DbError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        tenant: i64,
        #[diesel(sql_type = Text)]
        key_id: String,
        #[diesel(sql_type = Text)]
        model: String,
        #[diesel(sql_type = BigInt)]
        count: i64,
    }
    if !filter.is_possible() {
        return Ok(Vec::new());
    }
    let mut statement = Composed::new("SELECT tenant, key_id, model, CAST(SUM(refused) AS BIGINT) AS count");
    filter.select_from(&mut statement, filter.key.as_ref().map(KeyId::as_str));
    statement.and(" GROUP BY tenant, key_id, model ORDER BY 4 DESC, 1, 2, 3", []);
    let rows: Vec<Row> = statement.load(connection)?;
    let read = |Row { tenant, key_id, model, count }: Row| {
        let key = key_id.parse().map_err(|_| DbError::Corrupt("the key of a refusal".to_owned()))?;
        Ok(RefusedKey { tenant: TenantId(tenant), key, model, count })
    };
    rows.into_iter().map(read).collect()
}
