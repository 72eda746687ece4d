//! SQLite: cached statements of one row each.

use super::super::refused::Refused;
use super::{ChannelCount, Counts, Row};
use crate::db::{Connection, DbError, Statement, Value, sql};

/// Writes the calls that are not there yet, and gives which of `rows` these are.
pub(super) fn insert_calls(connection: &mut Connection, rows: &[Row]) -> Result<Vec<usize>, DbError> {
    let mut new = Vec::with_capacity(rows.len());
    for (at, Row { call, tries }) in rows.iter().enumerate() {
        let written = Statement::new(
            sql!(
                "INSERT INTO calls (request_id, tenant, key_id, endpoint, model, end_user, streamed, status, word, queued_ms, \
                 first_text_ms, ended_ms, channel, tries) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
                 ON CONFLICT (request_id) DO NOTHING"
            ),
            &[
                Value::Blob(call.request_id.as_bytes()),
                Value::Int(call.tenant.0),
                Value::Text(call.key.as_str()),
                Value::Text(call.endpoint.name()),
                Value::Text(&call.model),
                Value::MaybeText(call.end_user.as_deref()),
                Value::Flag(call.streamed),
                Value::Int(i64::from(call.status.code)),
                Value::Text(call.status.word),
                Value::MaybeInt(call.way.queued_ms),
                Value::MaybeInt(call.first_text_ms),
                Value::Int(call.ended_ms),
                Value::MaybeText(call.way.channel()),
                Value::Text(tries),
            ],
        )
        .execute(connection)?;
        if written == 1 {
            new.push(at);
        }
    }
    Ok(new)
}

/// Adds what came of trying channels, by `time`, to `table`.
macro_rules! add_tries {
    ($table:literal, $time:literal) => {
        sql!(concat!(
            "INSERT INTO ",
            $table,
            " (",
            $time,
            ", channel, attempts, failures, first_texts, first_text_ms, last_error, last_error_at) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?) ",
            super::add_to_channel!($table, $time)
        ))
    };
}

/// Adds to the counts.
pub(super) fn add(connection: &mut Connection, counts: &Counts, refused: &[(Refused, i64)]) -> Result<(), DbError> {
    for ((slot_start, model), slot) in &counts.slots {
        let [c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15] = slot.classes.map(Value::Int);
        Statement::new(
            sql!(concat!(
                "INSERT INTO call_slots (slot_start, model, calls, answered, failed, refused, ended_ms, first_texts, first_text_ms, \
                 queued, queued_ms, longest_queued_ms, c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ",
                super::add_to_slot!()
            )),
            &[
                Value::Int(*slot_start),
                Value::Text(model),
                Value::Int(slot.calls),
                Value::Int(slot.answered),
                Value::Int(slot.failed),
                Value::Int(slot.refused),
                Value::Int(slot.ended_ms),
                Value::Int(slot.first_texts),
                Value::Int(slot.first_text_ms),
                Value::Int(slot.queued),
                Value::Int(slot.queued_ms),
                Value::Int(slot.longest_queued_ms),
                c0,
                c1,
                c2,
                c3,
                c4,
                c5,
                c6,
                c7,
                c8,
                c9,
                c10,
                c11,
                c12,
                c13,
                c14,
                c15,
            ],
        )
        .touch_one(connection)?;
    }
    for ((day_start, tenant, key, model, status), count) in &counts.days {
        Statement::new(
            sql!(concat!(
                "INSERT INTO call_days (day_start, tenant, key_id, model, status, calls, unnamed) VALUES (?, ?, ?, ?, ?, ?, ?) ",
                super::add_to_day!()
            )),
            &[
                Value::Int(*day_start),
                Value::Int(tenant.0),
                Value::Text(key.as_str()),
                Value::Text(model),
                Value::Int(i64::from(*status)),
                Value::Int(count.calls),
                Value::Int(count.unnamed),
            ],
        )
        .touch_one(connection)?;
    }
    for ((minute, channel), count) in &counts.channel_minutes {
        let values = tries(*minute, channel, count);
        Statement::new(add_tries!("channel_minutes", "minute"), &values).touch_one(connection)?;
    }
    for ((slot_start, channel), count) in &counts.channel_slots {
        let values = tries(*slot_start, channel, count);
        Statement::new(add_tries!("channel_slots", "slot_start"), &values).touch_one(connection)?;
    }
    for (refused, count) in refused {
        Statement::new(
            sql!(concat!(
                "INSERT INTO refusals (slot_start, tenant, key_id, model, code, refused) VALUES (?, ?, ?, ?, ?, ?) ",
                super::add_to_refusals!()
            )),
            &[
                Value::Int(refused.slot_start),
                Value::Int(refused.tenant.0),
                Value::Text(refused.key.as_str()),
                Value::Text(&refused.model),
                Value::Int(i64::from(refused.code)),
                Value::Int(*count),
            ],
        )
        .touch_one(connection)?;
    }
    Ok(())
}

fn tries<'a>(start: i64, channel: &'a str, count: &ChannelCount) -> [Value<'a>; 8] {
    let (last_error, last_error_at) = count.last_error.unzip();
    [
        Value::Int(start),
        Value::Text(channel),
        Value::Int(count.attempts),
        Value::Int(count.failures),
        Value::Int(count.first_texts),
        Value::Int(count.first_text_ms),
        Value::MaybeText(last_error),
        Value::MaybeInt(last_error_at.map(|moment| moment.0)),
    ]
}
