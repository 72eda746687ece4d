//! Removing what is too old to be looked at: details of calls, counts of refused ones, how channels did, and the forms that made calls. A
//! little at a time, so that nobody who writes waits long.

use crate::calls::{SLOT_MS, floor};
use crate::clock::Timestamp;
use crate::db::{Connection, DbError, Statement, Value, sql};
use crate::id::RequestId;
use crate::sent_forms;

/// How long is kept how channels did, in milliseconds.
const CHANNELS_MS: i64 = 2 * 86_400_000;
/// The most rows of each table that one transaction removes.
const STEP: i64 = 500;

/// Removes some of what is older than `call_days` (channels and forms: than their own times), and gives whether there may be more. Call it in a write transaction.
///
/// # Errors
/// [`DbError`].
pub fn purge(connection: &mut Connection, call_days: u32, now: Timestamp) -> Result<bool, DbError> {
    let oldest = now.plus_ms(-i64::from(call_days).saturating_mul(86_400_000));
    let first = RequestId::floor(oldest);
    let calls = sql!(
        "DELETE FROM calls WHERE request_id IN (SELECT request_id FROM calls WHERE request_id < ? ORDER BY request_id LIMIT ?)"
    );
    let calls = Statement::new(calls, &[Value::Blob(first.as_bytes()), Value::Int(STEP)]).execute(connection)?;
    let slot = floor(oldest.0, SLOT_MS);
    let refusals = sql!(
        "DELETE FROM refusals WHERE (slot_start, tenant, key_id, model, code) IN \
         (SELECT slot_start, tenant, key_id, model, code FROM refusals WHERE slot_start < ? ORDER BY slot_start LIMIT ?)"
    );
    let refusals = Statement::new(refusals, &[Value::Int(slot), Value::Int(STEP)]).execute(connection)?;
    let minute = now.plus_ms(-CHANNELS_MS).0;
    let minutes = sql!(
        "DELETE FROM channel_minutes WHERE (minute, channel) IN \
         (SELECT minute, channel FROM channel_minutes WHERE minute < ? ORDER BY minute LIMIT ?)"
    );
    let minutes = Statement::new(minutes, &[Value::Int(minute), Value::Int(STEP)]).execute(connection)?;
    let forms = sent_forms::purge(connection, STEP, now)?;
    let full = |removed: usize| removed as i64 == STEP;
    Ok(full(calls) || full(refusals) || full(minutes) || full(forms))
}
