//! Adding charges to the sums, a page of requests at a time.

use chrono_tz::Tz;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Nullable, Text};

use super::cells::{Cells, Counted};
use super::plan::reversals_since;
use super::state::State;
use super::sums::{Sums, billed};
use crate::clock::Timestamp;
use crate::db::{Connection, Database, DbError, Statement, Value, snapshot, sql};
use crate::id::RequestId;

/// Requests that one step looks at; it bounds how long others wait for a lock.
const PAGE: i64 = 500;
/// Sums that one step removes where they are made anew.
const CLEARED: i64 = 5_000;
/// A hold is committed at most this long after its id was made, in milliseconds, clocks that differ included: what is younger may still come.
const LATEST_COMMIT_MS: i64 = 120_000;
/// How far the mark moves before that alone is worth a write, in milliseconds.
const WORTH_MS: i64 = 300_000;

/// Whether there is more to do at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rolled {
    /// All that can be counted is.
    All,
    /// There is more.
    Partly,
}

/// Counts what has been settled since the last step, as far as one step goes, and takes out what was given back. Where another time zone cuts
/// the days now, everything is counted anew, in many steps. Several at the same time do no harm.
///
/// # Errors
/// [`DbError`]; nothing was counted.
pub async fn step(database: &Database, zone: Tz, now: Timestamp) -> Result<Rolled, DbError> {
    let work = database.read(move |connection| snapshot(connection, |connection| read(connection, zone, now))).await?;
    let Some(Work { seen, next, cells, reversals, rolled }) = work else { return Ok(Rolled::All) };
    let is_clearing = seen.is_clearing;
    let write = move |connection: &mut Connection| {
        if State::read(connection)? != seen {
            // Another process was faster, with the same.
            return Ok(());
        }
        if is_clearing {
            return clear(connection);
        }
        cells.write(connection)?;
        for request_id in reversals {
            let sql = sql!("INSERT INTO usage_reversals (request_id) VALUES (?)");
            Statement::new(sql, &[Value::Blob(request_id.as_bytes())]).touch_one(connection)?;
        }
        next.write(connection)
    };
    database.write(write).await?;
    Ok(rolled)
}

/// What a step has to write.
struct Work {
    /// The state that it starts from.
    seen: State,
    next: State,
    cells: Cells,
    reversals: Vec<RequestId>,
    rolled: Rolled,
}

fn read(connection: &mut Connection, zone: Tz, now: Timestamp) -> Result<Option<Work>, DbError> {
    let seen = State::read(connection)?;
    let mut next = seen.clone();
    let (mut cells, mut reversals) = (Cells::default(), Vec::new());
    if seen.is_clearing || seen.zone != zone.name() {
        // The first time there is nothing to remove.
        let is_new = seen.zone.is_empty();
        next = State { is_clearing: !is_new && !seen.is_clearing, ..seen.anew(zone) };
        return Ok(Some(Work { seen, next, cells, reversals, rolled: Rolled::Partly }));
    }
    let quiet = RequestId::floor(now.plus_ms(-LATEST_COMMIT_MS));
    let rows = requests(connection, seen.counted_below, quiet)?;
    let is_full = rows.len() as i64 == PAGE;
    let open = rows.iter().position(|row| row.is_open != 0);
    let settled = open.unwrap_or(rows.len());
    let behind = match rows.get(settled) {
        Some(open) => id(&open.request_id)?,
        None if is_full => match rows.last() {
            Some(last) => id(&last.request_id)?.after(),
            None => quiet,
        },
        None => quiet,
    };
    // A mark never goes back, whatever the clock does.
    next.counted_below = behind.max(seen.counted_below);
    for row in rows.into_iter().take(settled) {
        let made_at = id(&row.request_id)?.made_at();
        let Some(counted) = row.counted() else { continue };
        next.note(made_at.0, counted.charged_at.0);
        cells.add(&counted, zone, next.users_since)?;
    }
    for row in given_back(connection, seen.counted_below, next.counted_below)? {
        reversals.push(id(&row.request_id)?);
        if let Some(counted) = row.counted() {
            cells.add(&Counted { sums: counted.sums.negative(), ..counted }, zone, next.users_since)?;
        }
    }
    let moved = next.counted_below.made_at().since(seen.counted_below.made_at());
    let rolled = if is_full && open.is_none() { Rolled::Partly } else { Rolled::All };
    let is_worth_it = !cells.is_empty() || !reversals.is_empty() || moved >= WORTH_MS || rolled == Rolled::Partly;
    Ok(is_worth_it.then_some(Work { seen, next, cells, reversals, rolled }))
}

/// Removes some of the sums, and with the last of them the order to do so.
fn clear(connection: &mut Connection) -> Result<(), DbError> {
    let state = State::read(connection)?;
    let sums = sql!(
        "DELETE FROM usage_sums WHERE (grain, tenant, start, key_id, model, end_user) IN \
         (SELECT grain, tenant, start, key_id, model, end_user FROM usage_sums LIMIT ?)"
    );
    let sums = Statement::new(sums, &[Value::Int(CLEARED)]).execute(connection)?;
    let reversals =
        sql!("DELETE FROM usage_reversals WHERE request_id IN (SELECT request_id FROM usage_reversals LIMIT ?)");
    let reversals = Statement::new(reversals, &[Value::Int(CLEARED)]).execute(connection)?;
    if sums as i64 == CLEARED || reversals as i64 == CLEARED {
        return Ok(());
    }
    State { is_clearing: false, ..state }.write(connection)
}

/// A request with its charge, if it has one.
#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Binary)]
    request_id: Vec<u8>,
    #[diesel(sql_type = BigInt)]
    account: i64,
    #[diesel(sql_type = BigInt)]
    is_open: i64,
    #[diesel(sql_type = Nullable<Text>)]
    key_id: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    model: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    end_user: Option<String>,
    #[diesel(sql_type = Nullable<BigInt>)]
    charged_at: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    prompt_tokens: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    completion_tokens: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    images: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    amount: Option<i64>,
}

impl Row {
    fn counted(self) -> Option<Counted> {
        let (Some(key), Some(model), Some(charged_at)) = (self.key_id, self.model, self.charged_at) else {
            return None;
        };
        let sums = Sums {
            requests: 1,
            prompt_tokens: self.prompt_tokens.unwrap_or_default(),
            completion_tokens: self.completion_tokens.unwrap_or_default(),
            images: self.images.unwrap_or_default(),
            amount: self.amount.unwrap_or_default(),
        };
        let charged_at = Timestamp(charged_at);
        Some(Counted { charged_at, tenant: self.account, key, model, end_user: self.end_user, sums })
    }
}

macro_rules! charge_columns {
    () => {
        concat!(
            "c.key_id, c.model, c.end_user, c.charged_at, ",
            billed!(prompt_tokens),
            " AS prompt_tokens, ",
            billed!(completion_tokens),
            " AS completion_tokens, c.images, ",
            billed!(amount),
            " AS amount "
        )
    };
}

fn requests(connection: &mut Connection, from: RequestId, below: RequestId) -> Result<Vec<Row>, DbError> {
    let values = [Value::Blob(from.as_bytes()), Value::Blob(below.as_bytes()), Value::Int(PAGE)];
    let rows = Statement::new(
        sql!(concat!(
            "SELECT h.request_id, h.account, CAST(CASE WHEN s.request_id IS NULL THEN 1 ELSE 0 END AS BIGINT) AS is_open, ",
            charge_columns!(),
            "FROM holds h LEFT JOIN settlements s ON s.request_id = h.request_id \
             LEFT JOIN charges c ON c.account = h.account AND c.request_id = h.request_id \
             WHERE h.request_id >= ? AND h.request_id < ? ORDER BY h.request_id LIMIT ?"
        )),
        &values,
    );
    Ok(rows.load(connection)?)
}

/// Charges of requests below `below` that were given back and not taken out yet; `counted_below` is the mark as it was.
fn given_back(connection: &mut Connection, counted_below: RequestId, below: RequestId) -> Result<Vec<Row>, DbError> {
    let since = reversals_since(counted_below);
    let values = [Value::Blob(since.as_bytes()), Value::Blob(below.as_bytes())];
    let rows = Statement::new(
        sql!(concat!(
            "SELECT c.request_id, c.account, CAST(0 AS BIGINT) AS is_open, ",
            charge_columns!(),
            "FROM transfers r CROSS JOIN charges c WHERE c.account = r.credit AND c.request_id = r.reverses \
             AND r.kind = 'reversal' AND r.kind <> 'capture' AND r.id >= ? AND r.reverses < ? \
             AND NOT EXISTS (SELECT 1 FROM usage_reversals u WHERE u.request_id = r.reverses)"
        )),
        &values,
    );
    Ok(rows.load(connection)?)
}

fn id(bytes: &[u8]) -> Result<RequestId, DbError> {
    RequestId::from_slice(bytes).ok_or_else(|| DbError::Corrupt("a request's id".to_owned()))
}
