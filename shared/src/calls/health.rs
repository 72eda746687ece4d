//! How channels do, and what is refused before it becomes a call.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use super::{SLOT_MS, floor};
use crate::clock::Timestamp;
use crate::db::{Composed, Connection, DbError, Statement, Value, sql};
use crate::id::TenantId;
use crate::secret_key::KeyId;

/// How a channel has done in some time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChannelHealth {
    /// How often it was tried.
    pub attempts: i64,
    /// How often it was at fault that there was no answer.
    pub failures: i64,
    /// How long the first text of a stream took on average, in milliseconds.
    pub first_text_ms: Option<i64>,
    /// What went wrong last (a [`crate::queue::TryOutcome::word`]), and when.
    pub last_error: Option<(String, Timestamp)>,
}

/// How each channel has done since then, by its name; a channel that was not tried is not in it. Known for two days.
///
/// # Errors
/// [`DbError`].
pub fn channel_health(
    connection: &mut Connection,
    since: Timestamp,
) -> Result<BTreeMap<String, ChannelHealth>, DbError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        channel: String,
        #[diesel(sql_type = BigInt)]
        attempts: i64,
        #[diesel(sql_type = BigInt)]
        failures: i64,
        #[diesel(sql_type = BigInt)]
        first_texts: i64,
        #[diesel(sql_type = BigInt)]
        first_text_ms: i64,
        #[diesel(sql_type = Nullable<Text>)]
        last_error: Option<String>,
        #[diesel(sql_type = Nullable<BigInt>)]
        last_error_at: Option<i64>,
    }
    // The minute in which `since` lies counts whole.
    let from = Value::Int(floor(since.0, 60_000));
    let rows: Vec<Row> = Statement::new(
        sql!(
            "SELECT m.channel, CAST(SUM(m.attempts) AS BIGINT) AS attempts, CAST(SUM(m.failures) AS BIGINT) AS failures, \
             CAST(SUM(m.first_texts) AS BIGINT) AS first_texts, CAST(SUM(m.first_text_ms) AS BIGINT) AS first_text_ms, \
             (SELECT l.last_error FROM channel_minutes l WHERE l.channel = m.channel AND l.minute >= ? AND l.last_error IS NOT NULL \
             ORDER BY l.minute DESC LIMIT 1) AS last_error, MAX(m.last_error_at) AS last_error_at \
             FROM channel_minutes m WHERE m.minute >= ? GROUP BY m.channel"
        ),
        &[from, from],
    )
    .load(connection)?;
    let health = |row: Row| {
        let health = ChannelHealth {
            attempts: row.attempts,
            failures: row.failures,
            first_text_ms: row.first_text_ms.checked_div(row.first_texts),
            last_error: row.last_error.zip(row.last_error_at.map(Timestamp)),
        };
        (row.channel, health)
    };
    Ok(rows.into_iter().map(health).collect())
}

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
