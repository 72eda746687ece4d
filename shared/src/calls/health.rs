//! How channels do, and what is refused before it becomes a call.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use super::{SLOT_MS, floor};
use crate::clock::Timestamp;
use crate::db::{Connection, DbError, Statement, Value, sql};
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

/// What was refused before it became a call, most frequent first: of all tenants or one, of all keys or one, of all models or one. Counted
/// in whole quarters of an hour, those in which `from` and `to` lie included.
///
/// # Errors
/// [`DbError`].
pub fn refused(
    connection: &mut Connection,
    tenant: Option<TenantId>,
    key: Option<KeyId>,
    model: Option<&str>,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<RefusedRow>, DbError> {
    // PostgreSQL's texts cannot hold it.
    if model.is_some_and(|model| model.contains('\0')) {
        return Ok(Vec::new());
    }
    let key = key.map(|key| key.to_string());
    let values = [
        Value::Int(floor(from.0, SLOT_MS)),
        Value::Int(to.0),
        Value::Flag(tenant.is_none()),
        Value::MaybeInt(tenant.map(|tenant| tenant.0)),
        Value::Flag(key.is_none()),
        Value::MaybeText(key.as_deref()),
        Value::Flag(model.is_none()),
        Value::MaybeText(model),
    ];
    let rows = Statement::new(
        sql!(
            "SELECT code, model, CAST(SUM(refused) AS BIGINT) AS count FROM refusals WHERE slot_start >= ? AND slot_start < ? \
             AND (? OR tenant = ?) AND (? OR key_id = ?) AND (? OR model = ?) GROUP BY code, model ORDER BY 3 DESC, 1, 2"
        ),
        &values,
    );
    Ok(rows.load(connection)?)
}
