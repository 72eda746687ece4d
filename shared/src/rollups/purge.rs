//! Removing sums by end user that are too old: a service may have as many end users as calls, so these would grow with the ledger. All other
//! sums stay for ever.

use super::cells::Grain;
use super::days;
use super::state::State;
use crate::clock::Timestamp;
use crate::db::{Connection, DbError, Statement, Value, sql};

/// The most sums that one transaction removes.
const STEP: i64 = 500;

/// Removes some of the sums by end user of days that are more than `days` ago, and gives whether there may be more. From then on it is known
/// that they are not. Call it in a write transaction.
///
/// # Errors
/// [`DbError`].
pub fn purge(connection: &mut Connection, days: u32, now: Timestamp) -> Result<bool, DbError> {
    let state = State::read(connection)?;
    let Some(today) = state.zone().filter(|_| !state.is_clearing).and_then(|zone| days::of(now, zone)) else {
        return Ok(false);
    };
    let first = today - i64::from(days);
    let old = sql!(
        "DELETE FROM usage_sums WHERE (grain, tenant, start, key_id, model, end_user) IN \
         (SELECT grain, tenant, start, key_id, model, end_user FROM usage_sums WHERE grain = ? AND start < ? ORDER BY start LIMIT ?)"
    );
    let values = [Value::Int(Grain::UserDay as i64), Value::Int(first), Value::Int(STEP)];
    let removed = Statement::new(old, &values).execute(connection)?;
    // In days without any there is nothing to be told of.
    if removed > 0 && state.users_since.is_none_or(|since| since < first) {
        State { users_since: Some(first), ..state }.write(connection)?;
    }
    Ok(removed as i64 == STEP)
}
