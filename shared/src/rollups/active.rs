//! Which tenants were charged, step by step.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::cells::Grain;
use super::days;
use super::plan::LATEST_CHARGE_MS;
use super::state::State;
use super::steps::Step;
use super::sums::out_of_range;
use crate::calls::{SLOT_MS, floor};
use crate::db::{Composed, Connection, DbError, Value};
use crate::id::RequestId;
use crate::ledger::Period;

#[derive(QueryableByName)]
struct Row {
    /// The number of a day, or the beginning of a quarter of an hour or an hour.
    #[diesel(sql_type = BigInt)]
    start: i64,
    #[diesel(sql_type = BigInt)]
    tenant: i64,
}

/// The tenants that were charged in a period, by the step of each charge. See [`Step::place`].
pub(super) fn active_tenants(
    connection: &mut Connection,
    (from, to): Period,
    step: Step,
) -> Result<BTreeMap<i64, BTreeSet<i64>>, DbError> {
    let state = State::read(connection)?;
    let mark = state.mark();
    let mut steps = BTreeMap::<i64, BTreeSet<i64>>::new();
    let quarters = (floor(from.0, SLOT_MS), to.0);
    let mut statement = Composed::new("SELECT DISTINCT ");
    let mut are_days = false;
    match step {
        Step::Day(zone) | Step::Week(zone) if zone.name() == state.zone => {
            are_days = true;
            let days = days::of(from, zone).zip(days::of(to.plus_ms(-1), zone)).ok_or_else(out_of_range)?;
            statement.and(
                "start, tenant FROM usage_sums WHERE grain = ? AND start >= ? AND start <= ?",
                [Value::Int(Grain::Day as i64), Value::Int(days.0), Value::Int(days.1)],
            );
        }
        Step::Hour => {
            statement.and(
                "start / 3600000 * 3600000 AS start, tenant FROM usage_sums WHERE grain = ? AND start >= ? AND start < ?",
                [Value::Int(Grain::Quarter as i64), Value::Int(quarters.0), Value::Int(quarters.1)],
            );
        }
        Step::Quarter | Step::Day(_) | Step::Week(_) => {
            statement.and(
                "start, tenant FROM usage_sums WHERE grain = ? AND start >= ? AND start < ?",
                [Value::Int(Grain::Quarter as i64), Value::Int(quarters.0), Value::Int(quarters.1)],
            );
        }
    }
    let kept: Vec<Row> = if mark > RequestId::zero() { statement.load(connection)? } else { Vec::new() };
    let first = mark.max(RequestId::floor(from.plus_ms(-LATEST_CHARGE_MS)));
    let mut statement = Composed::new("SELECT DISTINCT c.charged_at / 900000 * 900000 AS start, c.account AS tenant ");
    statement.and(
        "FROM holds h CROSS JOIN charges c WHERE c.account = h.account AND c.request_id = h.request_id \
         AND h.request_id >= ? AND c.charged_at >= ? AND c.charged_at < ?",
        [Value::Blob(first.as_bytes()), Value::Int(from.0), Value::Int(to.0)],
    );
    let newest: Vec<Row> = statement.load(connection)?;
    for (row, is_day) in kept.into_iter().map(|row| (row, are_days)).chain(newest.into_iter().map(|row| (row, false))) {
        let place =
            if is_day { step.place_of_day(row.start) } else { step.place(row.start).ok_or_else(out_of_range)? };
        steps.entry(place).or_default().insert(row.tenant);
    }
    Ok(steps)
}
