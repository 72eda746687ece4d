//! Writing a batch of the log: a row for each call, and the counts that follow from the rows that are new.

/// Adding to the row that is there.
macro_rules! sums {
    ($table:literal: $first:literal $(, $column:literal)*) => {
        concat!(
            $first, " = ", $table, ".", $first, " + excluded.", $first
            $(, ", ", $column, " = ", $table, ".", $column, " + excluded.", $column)*
        )
    };
}
macro_rules! add_to_slot {
    () => {
        concat!(
            "ON CONFLICT (slot_start, model) DO UPDATE SET ",
            sums!("call_slots": "calls", "answered", "failed", "refused", "ended_ms", "first_texts", "first_text_ms",
                "queued", "queued_ms",
                "c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9", "c10", "c11", "c12", "c13", "c14", "c15"),
            ", longest_queued_ms = CASE WHEN excluded.longest_queued_ms > call_slots.longest_queued_ms \
             THEN excluded.longest_queued_ms ELSE call_slots.longest_queued_ms END"
        )
    };
}
macro_rules! add_to_day {
    () => {
        concat!("ON CONFLICT (day_start, tenant, key_id, model, status) DO UPDATE SET ", sums!("call_days": "calls", "unnamed"))
    };
}
macro_rules! add_to_channel {
    ($table:literal, $time:literal) => {
        concat!(
            "ON CONFLICT (", $time, ", channel) DO UPDATE SET ",
            sums!($table: "attempts", "failures", "first_texts", "first_text_ms"),
            ", last_error = COALESCE(excluded.last_error, ", $table, ".last_error)",
            ", last_error_at = COALESCE(excluded.last_error_at, ", $table, ".last_error_at)"
        )
    };
}
macro_rules! add_to_refusals {
    () => {
        concat!("ON CONFLICT (slot_start, tenant, key_id, model, code) DO UPDATE SET ", sums!("refusals": "refused"))
    };
}
use {add_to_channel, add_to_day, add_to_refusals, add_to_slot};

mod postgres;
mod sqlite;

use std::collections::{BTreeMap, HashMap};

use super::record::{CallRecord, Status};
use super::refused::Refused;
use super::{DAY_MS, SLOT_MS, floor};
use crate::clock::Timestamp;
use crate::db::{Connection, DbError};
use crate::id::TenantId;
use crate::queue::Try;
use crate::secret_key::KeyId;

/// Upper bounds of the classes in which times of calls are counted, in milliseconds; the last class has none.
pub(crate) const CLASS_BOUNDS_MS: [i64; 15] =
    [25, 50, 100, 200, 400, 700, 1_000, 1_500, 2_500, 4_000, 7_000, 12_000, 20_000, 40_000, 90_000];
/// How many classes there are.
pub(crate) const CLASSES: usize = CLASS_BOUNDS_MS.len() + 1;
const MINUTE_MS: i64 = 60_000;

/// What one transaction writes.
#[derive(Debug)]
pub(super) struct Batch {
    rows: Vec<Row>,
    refused: Vec<(Refused, i64)>,
    /// What is counted if all rows are new, as they nearly always are.
    counts: Counts,
}

/// A call, with its tries as they are kept.
#[derive(Debug, Clone)]
struct Row {
    call: CallRecord,
    tries: String,
}

impl Batch {
    pub(super) fn new(calls: Vec<CallRecord>, refused: HashMap<Refused, i64>) -> Self {
        let row = |call: CallRecord| {
            // Names and numbers only: this cannot fail.
            let tries = serde_json::to_string(&call.way.tries).unwrap_or_else(|_| "[]".to_owned());
            Row { call, tries }
        };
        Self::of(calls.into_iter().map(row).collect(), refused.into_iter().collect())
    }

    fn of(rows: Vec<Row>, refused: Vec<(Refused, i64)>) -> Self {
        let counts = Counts::of(rows.iter(), &refused);
        Self { rows, refused, counts }
    }

    /// How many calls there are.
    pub(super) fn calls(&self) -> usize {
        self.rows.len()
    }

    /// How many refusals are counted.
    pub(super) fn refusals(&self) -> i64 {
        self.refused.iter().map(|(_, count)| count).sum()
    }

    /// Two parts that can be written one without the other: calls and counts of refusals, or half of either. `None` for a single one.
    pub(super) fn halves(&self) -> Option<(Self, Self)> {
        let (rows, refused) = (&self.rows, &self.refused);
        if !rows.is_empty() && !refused.is_empty() {
            return Some((Self::of(rows.clone(), Vec::new()), Self::of(Vec::new(), refused.clone())));
        }
        if rows.len() + refused.len() < 2 {
            return None;
        }
        let (first_rows, other_rows) = rows.split_at(rows.len() / 2);
        let (first_refused, other_refused) = refused.split_at(refused.len() / 2);
        let half = |rows: &[Row], refused: &[(Refused, i64)]| Self::of(rows.to_vec(), refused.to_vec());
        Some((half(first_rows, first_refused), half(other_rows, other_refused)))
    }
}

/// Writes a batch inside the caller's transaction.
///
/// # Errors
/// [`DbError`]; roll back then. Written a second time, its calls change nothing.
pub(super) fn write(connection: &mut Connection, batch: &Batch) -> Result<(), DbError> {
    let rows = &batch.rows;
    let new = match connection {
        Connection::Postgres(_) => postgres::insert_calls(connection, rows)?,
        Connection::Sqlite(_) => sqlite::insert_calls(connection, rows)?,
    };
    let counted;
    let counts = if new.len() == rows.len() {
        &batch.counts
    } else {
        counted = Counts::of(new.into_iter().filter_map(|at| rows.get(at)), &batch.refused);
        &counted
    };
    match connection {
        Connection::Postgres(_) => postgres::add(connection, counts, &batch.refused),
        Connection::Sqlite(_) => sqlite::add(connection, counts, &batch.refused),
    }
}

/// What is counted of calls. In order, so that writers who do not exclude each other never wait in a circle.
#[derive(Debug, Default)]
struct Counts {
    slots: BTreeMap<(i64, String), SlotCount>,
    days: BTreeMap<(i64, TenantId, KeyId, String, u32), DayCount>,
    /// Tries by the minute in which they ended, and by the quarter of an hour.
    channel_minutes: BTreeMap<(i64, String), ChannelCount>,
    channel_slots: BTreeMap<(i64, String), ChannelCount>,
}

/// Calls of one model that were received in one quarter of an hour.
#[derive(Debug, Default)]
struct SlotCount {
    calls: i64,
    answered: i64,
    failed: i64,
    /// Beside them, in the same time.
    refused: i64,
    ended_ms: i64,
    first_texts: i64,
    first_text_ms: i64,
    /// Calls that had their turn, and how long they waited for it in all and at most.
    queued: i64,
    queued_ms: i64,
    longest_queued_ms: i64,
    /// Answered calls, by how long they took.
    classes: [i64; CLASSES],
}

/// Calls of one key and one model that were received on one day and ended in one way.
#[derive(Debug, Default)]
struct DayCount {
    calls: i64,
    /// Of these, that named no end user.
    unnamed: i64,
}

/// Tries of one channel that ended in one time.
#[derive(Debug, Clone, Default)]
struct ChannelCount {
    attempts: i64,
    failures: i64,
    first_texts: i64,
    first_text_ms: i64,
    last_error: Option<(&'static str, Timestamp)>,
}

impl Counts {
    fn of<'a>(rows: impl Iterator<Item = &'a Row>, refused: &[(Refused, i64)]) -> Self {
        let mut counts = Self::default();
        for Row { call, .. } in rows {
            counts.add(call);
        }
        for (each, count) in refused {
            counts.slots.entry((each.slot_start, each.model.clone())).or_default().refused += count;
        }
        counts
    }

    fn add(&mut self, call: &CallRecord) {
        let received = call.request_id.made_at().0;
        let slot = self.slots.entry((floor(received, SLOT_MS), call.model.clone())).or_default();
        slot.calls += 1;
        slot.failed += i64::from(call.status.code >= Status::FIRST_FAULT);
        if call.status == Status::ANSWERED {
            slot.answered += 1;
            slot.ended_ms = slot.ended_ms.saturating_add(call.ended_ms);
            slot.classes[class_of(call.ended_ms)] += 1;
        }
        if let Some(first_text_ms) = call.first_text_ms {
            slot.first_texts += 1;
            slot.first_text_ms = slot.first_text_ms.saturating_add(first_text_ms);
        }
        if let Some(queued_ms) = call.way.queued_ms {
            slot.queued += 1;
            slot.queued_ms = slot.queued_ms.saturating_add(queued_ms);
            slot.longest_queued_ms = slot.longest_queued_ms.max(queued_ms);
        }
        let day = (floor(received, DAY_MS), call.tenant, call.key, call.model.clone(), call.status.code);
        let day = self.days.entry(day).or_default();
        day.calls += 1;
        day.unnamed += i64::from(call.end_user.is_none());
        let ended = received.saturating_add(call.ended_ms);
        for each in &call.way.tries {
            for (counts, length) in [(&mut self.channel_minutes, MINUTE_MS), (&mut self.channel_slots, SLOT_MS)] {
                counts.entry((floor(ended, length), each.channel.clone())).or_default().add(each, ended);
            }
        }
    }
}

impl ChannelCount {
    fn add(&mut self, each: &Try, ended: i64) {
        self.attempts += 1;
        if each.outcome.is_failure() {
            self.failures += 1;
            self.last_error = Some((each.outcome.word(), Timestamp(ended)));
        }
        if let Some(first_text_ms) = each.first_text_ms {
            self.first_texts += 1;
            self.first_text_ms = self.first_text_ms.saturating_add(first_text_ms);
        }
    }
}

/// The class of a time.
fn class_of(ms: i64) -> usize {
    CLASS_BOUNDS_MS.partition_point(|bound| *bound < ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_has_its_class() {
        let classes = [0, 25, 26, 50, 1_000, 1_001, 90_000, 90_001, i64::MAX].map(class_of);
        assert_eq!(classes, [0, 0, 1, 1, 6, 7, 14, 15, 15]);
    }
}
