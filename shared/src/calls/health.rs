//! How channels do.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use super::floor;
use crate::clock::Timestamp;
use crate::db::{Connection, DbError, Statement, Value, sql};

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
    // The minute in which `since` lies counts whole.
    let from = Value::Int(floor(since.0, 60_000));
    let rows: Vec<TriesRow> = Statement::new(
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
    let health = |row: TriesRow| {
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

/// What came of trying one channel, summed.
#[derive(QueryableByName)]
pub(crate) struct TriesRow {
    #[diesel(sql_type = Text)]
    pub(crate) channel: String,
    #[diesel(sql_type = BigInt)]
    pub(crate) attempts: i64,
    #[diesel(sql_type = BigInt)]
    pub(crate) failures: i64,
    #[diesel(sql_type = BigInt)]
    pub(crate) first_texts: i64,
    #[diesel(sql_type = BigInt)]
    pub(crate) first_text_ms: i64,
    #[diesel(sql_type = Nullable<Text>)]
    pub(crate) last_error: Option<String>,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub(crate) last_error_at: Option<i64>,
}
