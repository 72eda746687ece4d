//! PostgreSQL: one statement a table, fed with columns.

use std::collections::{BTreeMap, HashSet};

use diesel::prelude::*;
use diesel::sql_types::Binary;

use super::super::refused::Refused;
use super::{CLASSES, ChannelCount, Counts, Row, SlotCount};
use crate::db::{Column, Connection, DbError, FixedSql, Statement, Value, sql};

/// Writes the calls that are not there yet, and gives which of `rows` these are.
pub(super) fn insert_calls(connection: &mut Connection, rows: &[Row]) -> Result<Vec<usize>, DbError> {
    #[derive(QueryableByName)]
    struct New {
        #[diesel(sql_type = Binary)]
        request_id: Vec<u8>,
    }
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let calls = || rows.iter().map(|row| &row.call);
    let columns = [
        Column::Blobs(calls().map(|call| call.request_id.as_bytes().as_slice()).collect()),
        Column::Ints(calls().map(|call| call.tenant.0).collect()),
        Column::Texts(calls().map(|call| call.key.as_str()).collect()),
        Column::Texts(calls().map(|call| call.endpoint.name()).collect()),
        Column::Texts(calls().map(|call| call.model.as_str()).collect()),
        Column::MaybeTexts(calls().map(|call| call.end_user.as_deref()).collect()),
        Column::Flags(calls().map(|call| call.streamed).collect()),
        Column::Ints(calls().map(|call| i64::from(call.status.code)).collect()),
        Column::Texts(calls().map(|call| call.status.word).collect()),
        Column::MaybeInts(calls().map(|call| call.way.queued_ms).collect()),
        Column::MaybeInts(calls().map(|call| call.first_text_ms).collect()),
        Column::Ints(calls().map(|call| call.ended_ms).collect()),
        Column::MaybeTexts(calls().map(|call| call.way.channel()).collect()),
        Column::Texts(rows.iter().map(|row| row.tries.as_str()).collect()),
    ];
    let new: Vec<New> = Statement::new(
        sql!(
            "INSERT INTO calls (request_id, tenant, key_id, endpoint, model, end_user, streamed, status, word, queued_ms, \
             first_text_ms, ended_ms, channel, tries) \
             SELECT unnest(?::bytea[]), unnest(?::bigint[]), unnest(?::text[]), unnest(?::text[]), unnest(?::text[]), unnest(?::text[]), \
             unnest(?::boolean[]), unnest(?::bigint[]), unnest(?::text[]), unnest(?::bigint[]), unnest(?::bigint[]), \
             unnest(?::bigint[]), unnest(?::text[]), unnest(?::text[]) ON CONFLICT (request_id) DO NOTHING RETURNING request_id"
        ),
        &columns.each_ref().map(Value::Column),
    )
    .load(connection)?;
    if new.len() == rows.len() {
        return Ok((0..rows.len()).collect());
    }
    let mut new: HashSet<Vec<u8>> = new.into_iter().map(|row| row.request_id).collect();
    // The same call twice in one batch is new once.
    let is_new = rows.iter().enumerate().filter(|(_, row)| new.remove(row.call.request_id.as_bytes().as_slice()));
    Ok(is_new.map(|(at, _)| at).collect())
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
             SELECT unnest(?::bigint[]), unnest(?::text[]), unnest(?::bigint[]), unnest(?::bigint[]), unnest(?::bigint[]), \
             unnest(?::bigint[]), unnest(?::text[]), unnest(?::bigint[]) ",
            super::add_to_channel!($table, $time)
        ))
    };
}

/// Adds to the counts.
pub(super) fn add(connection: &mut Connection, counts: &Counts, refused: &[(Refused, i64)]) -> Result<(), DbError> {
    if !counts.slots.is_empty() {
        add_to_slots(connection, counts)?;
    }
    if !counts.days.is_empty() {
        let keys = || counts.days.keys();
        let columns = [
            Column::Ints(keys().map(|(day_start, ..)| *day_start).collect()),
            Column::Ints(keys().map(|(_, tenant, ..)| tenant.0).collect()),
            Column::Texts(keys().map(|(_, _, key, ..)| key.as_str()).collect()),
            Column::Texts(keys().map(|(_, _, _, model, _)| model.as_str()).collect()),
            Column::Ints(keys().map(|(.., status)| i64::from(*status)).collect()),
            Column::Ints(counts.days.values().map(|count| count.calls).collect()),
            Column::Ints(counts.days.values().map(|count| count.unnamed).collect()),
        ];
        let sql = sql!(concat!(
            "INSERT INTO call_days (day_start, tenant, key_id, model, status, calls, unnamed) SELECT unnest(?::bigint[]), \
             unnest(?::bigint[]), unnest(?::text[]), unnest(?::text[]), unnest(?::bigint[]), unnest(?::bigint[]), unnest(?::bigint[]) ",
            super::add_to_day!()
        ));
        Statement::new(sql, &columns.each_ref().map(Value::Column)).touch(counts.days.len(), connection)?;
    }
    add_tries(connection, add_tries!("channel_minutes", "minute"), &counts.channel_minutes)?;
    add_tries(connection, add_tries!("channel_slots", "slot_start"), &counts.channel_slots)?;
    if !refused.is_empty() {
        let keys = || refused.iter().map(|(refused, _)| refused);
        let columns = [
            Column::Ints(keys().map(|refused| refused.slot_start).collect()),
            Column::Ints(keys().map(|refused| refused.tenant.0).collect()),
            Column::Texts(keys().map(|refused| refused.key.as_str()).collect()),
            Column::Texts(keys().map(|refused| refused.model.as_str()).collect()),
            Column::Ints(keys().map(|refused| i64::from(refused.code)).collect()),
            Column::Ints(refused.iter().map(|(_, count)| *count).collect()),
        ];
        let sql = sql!(concat!(
            "INSERT INTO refusals (slot_start, tenant, key_id, model, code, refused) SELECT unnest(?::bigint[]), unnest(?::bigint[]), \
             unnest(?::text[]), unnest(?::text[]), unnest(?::bigint[]), unnest(?::bigint[]) ",
            super::add_to_refusals!()
        ));
        Statement::new(sql, &columns.each_ref().map(Value::Column)).touch(refused.len(), connection)?;
    }
    Ok(())
}

fn add_to_slots(connection: &mut Connection, counts: &Counts) -> Result<(), DbError> {
    let ints = |value: fn(&SlotCount) -> i64| Column::Ints(counts.slots.values().map(value).collect());
    let columns = [
        Column::Ints(counts.slots.keys().map(|(slot_start, _)| *slot_start).collect()),
        Column::Texts(counts.slots.keys().map(|(_, model)| model.as_str()).collect()),
        ints(|slot| slot.calls),
        ints(|slot| slot.answered),
        ints(|slot| slot.failed),
        ints(|slot| slot.refused),
        ints(|slot| slot.ended_ms),
        ints(|slot| slot.first_texts),
        ints(|slot| slot.first_text_ms),
        ints(|slot| slot.queued),
        ints(|slot| slot.queued_ms),
        ints(|slot| slot.longest_queued_ms),
    ];
    let classes: [Column<'_>; CLASSES] =
        std::array::from_fn(|class| Column::Ints(counts.slots.values().map(|slot| slot.classes[class]).collect()));
    let [c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15] = classes.each_ref().map(Value::Column);
    let [
        slot_start,
        model,
        calls,
        answered,
        failed,
        refused,
        ended_ms,
        first_texts,
        first_text_ms,
        queued,
        queued_ms,
        longest_queued_ms,
    ] = columns.each_ref().map(Value::Column);
    let sql = sql!(concat!(
        "INSERT INTO call_slots (slot_start, model, calls, answered, failed, refused, ended_ms, first_texts, first_text_ms, \
         queued, queued_ms, longest_queued_ms, c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15) \
         SELECT unnest(?::bigint[]), unnest(?::text[]), unnest(?::bigint[]), unnest(?::bigint[]), unnest(?::bigint[]), unnest(?::bigint[]), \
         unnest(?::bigint[]), unnest(?::bigint[]), unnest(?::bigint[]), unnest(?::bigint[]), unnest(?::bigint[]), unnest(?::bigint[]), \
         unnest(?::bigint[]), unnest(?::bigint[]), unnest(?::bigint[]), unnest(?::bigint[]), unnest(?::bigint[]), unnest(?::bigint[]), \
         unnest(?::bigint[]), unnest(?::bigint[]), unnest(?::bigint[]), unnest(?::bigint[]), unnest(?::bigint[]), unnest(?::bigint[]), \
         unnest(?::bigint[]), unnest(?::bigint[]), unnest(?::bigint[]), unnest(?::bigint[]) ",
        super::add_to_slot!()
    ));
    let values = [
        slot_start,
        model,
        calls,
        answered,
        failed,
        refused,
        ended_ms,
        first_texts,
        first_text_ms,
        queued,
        queued_ms,
        longest_queued_ms,
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
    ];
    Statement::new(sql, &values).touch(counts.slots.len(), connection)?;
    Ok(())
}

fn add_tries(
    connection: &mut Connection,
    sql: impl FixedSql,
    counts: &BTreeMap<(i64, String), ChannelCount>,
) -> Result<(), DbError> {
    if counts.is_empty() {
        return Ok(());
    }
    let ints = |value: fn(&ChannelCount) -> i64| Column::Ints(counts.values().map(value).collect());
    let columns = [
        Column::Ints(counts.keys().map(|(start, _)| *start).collect()),
        Column::Texts(counts.keys().map(|(_, channel)| channel.as_str()).collect()),
        ints(|count| count.attempts),
        ints(|count| count.failures),
        ints(|count| count.first_texts),
        ints(|count| count.first_text_ms),
        Column::MaybeTexts(counts.values().map(|count| count.last_error.map(|(word, _)| word)).collect()),
        Column::MaybeInts(counts.values().map(|count| count.last_error.map(|(_, moment)| moment.0)).collect()),
    ];
    Statement::new(sql, &columns.each_ref().map(Value::Column)).touch(counts.len(), connection)?;
    Ok(())
}
