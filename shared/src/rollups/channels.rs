//! How channels did, by quarters of an hour put into steps.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::steps::Step;
use crate::calls::{ChannelHealth, TriesRow};
use crate::clock::Timestamp;
use crate::db::{Composed, Connection, DbError, Value};

/// What came of trying a channel.
#[derive(Debug, Default)]
pub(super) struct Did {
    attempts: i64,
    first_texts: i64,
    first_text_ms: i64,
    last_error: Option<(Timestamp, String)>,
    /// How often it failed, by the place of the step.
    pub(super) failures: BTreeMap<i64, i64>,
}

impl Did {
    /// All of it.
    pub(super) fn health(&self) -> ChannelHealth {
        ChannelHealth {
            attempts: self.attempts,
            failures: self.failures.values().sum(),
            first_text_ms: self.first_text_ms.checked_div(self.first_texts),
            last_error: self.last_error.as_ref().map(|(at, word)| (word.clone(), *at)),
        }
    }

    fn add(&mut self, place: i64, tries: TriesRow) {
        self.attempts += tries.attempts;
        self.first_texts += tries.first_texts;
        self.first_text_ms = self.first_text_ms.saturating_add(tries.first_text_ms);
        *self.failures.entry(place).or_default() += tries.failures;
        let error = tries.last_error_at.map(Timestamp).zip(tries.last_error);
        self.last_error = self.last_error.take().max(error);
    }
}

/// The channels that were tried in the quarters of an hour from `from` on and before `to`, by name. See [`Step::place`].
pub(super) fn channels(
    connection: &mut Connection,
    from: i64,
    to: i64,
    step: Step,
) -> Result<BTreeMap<String, Did>, DbError> {
    let mut channels = BTreeMap::<String, Did>::new();
    for (from, to, offset_ms) in step.pieces(from, to) {
        // A failure lies in the quarter of an hour of its row, which is how the word of the last one is found.
        let mut statement = Composed::new(
            "SELECT t.place, t.channel, t.attempts, t.failures, t.first_texts, t.first_text_ms, t.last_error_at, \
             (SELECT l.last_error FROM channel_slots l WHERE l.slot_start = t.last_error_at / 900000 * 900000 \
             AND l.channel = t.channel) AS last_error FROM (",
        );
        step.select(&mut statement, offset_ms);
        statement.and(
            "channel, CAST(SUM(attempts) AS BIGINT) AS attempts, CAST(SUM(failures) AS BIGINT) AS failures, \
             CAST(SUM(first_texts) AS BIGINT) AS first_texts, CAST(SUM(first_text_ms) AS BIGINT) AS first_text_ms, \
             MAX(last_error_at) AS last_error_at FROM channel_slots WHERE slot_start >= ? AND slot_start < ? GROUP BY 1, 2) t",
            [Value::Int(from), Value::Int(to)],
        );
        let rows: Vec<Row> = statement.load(connection)?;
        for Row { place, mut tries } in rows {
            let name = std::mem::take(&mut tries.channel);
            channels.entry(name).or_default().add(place, tries);
        }
    }
    Ok(channels)
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = BigInt)]
    place: i64,
    #[diesel(embed)]
    tries: TriesRow,
}
