//! The rows of repeated calls: how a key stands, and what is too old. Who writes them is the ledger, with the hold and with the charge.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Bool, Nullable, Text};
use secrecy::ExposeSecret as _;

use super::Mark;
use super::answer::{KeptAnswerError, context};
use crate::clock::Timestamp;
use crate::db::{Connection, DbError, Statement, Value, sql};
use crate::id::{RequestId, TenantId};
use crate::ledger::SettlementOutcome;
use crate::money::Amount;
use crate::seal::Sealer;

/// How long a key is known, in milliseconds: a day. One whose call still runs is known until that ends.
pub const LIFE_MS: i64 = 86_400_000;
/// The most keys that one transaction removes.
const KEYS_STEP: i64 = 200;
/// The most answers that one transaction removes or seals anew: they may be large, and others wait to write.
const ANSWERS_STEP: i64 = 16;

/// How an Idempotency-Key stands.
#[derive(Debug, PartialEq, Eq)]
pub enum Standing {
    /// No call has it, or the one that had it was not charged: another call may take it.
    Free,
    /// A call with it runs.
    Running,
    /// It belongs to another request.
    AnotherBody,
    /// Its call was charged.
    Charged(Kept),
}

/// A call that was charged. What its caller was sent is read apart, by [`answer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// The call.
    pub request_id: RequestId,
    /// What its caller paid.
    pub charged: Amount,
}

/// How the key of `mark` stands with `tenant`.
///
/// # Errors
/// [`DbError`].
pub fn find(connection: &mut Connection, tenant: TenantId, mark: &Mark, now: Timestamp) -> Result<Standing, DbError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Binary)]
        request_id: Vec<u8>,
        #[diesel(sql_type = Binary)]
        body: Vec<u8>,
        #[diesel(sql_type = BigInt)]
        created_at: i64,
        #[diesel(sql_type = Nullable<Text>)]
        outcome: Option<String>,
        #[diesel(sql_type = Nullable<BigInt>)]
        amount: Option<i64>,
        #[diesel(sql_type = Bool)]
        reversed: bool,
    }
    let row: Option<Row> = Statement::new(
        sql!(
            "SELECT k.request_id, k.body, k.created_at, s.outcome, s.amount, \
             EXISTS (SELECT 1 FROM transfers r WHERE r.reverses = k.request_id) AS reversed FROM idempotency_keys k \
             LEFT JOIN settlements s ON s.request_id = k.request_id WHERE k.account = ? AND k.key = ?"
        ),
        &[Value::Int(tenant.0), Value::Blob(mark.key())],
    )
    .get_result(connection)
    .optional()?;
    let Some(row) = row else { return Ok(Standing::Free) };
    let is_captured = row.outcome.as_deref() == Some(SettlementOutcome::Captured.as_str());
    let is_over = row.outcome.is_some();
    if is_over && (!is_captured || row.reversed || row.created_at <= now.plus_ms(-LIFE_MS).0) {
        return Ok(Standing::Free);
    }
    if row.body != mark.body() {
        return Ok(Standing::AnotherBody);
    }
    if !is_over {
        return Ok(Standing::Running);
    }
    let request_id = request_id(&row.request_id)?;
    let charged = Amount::from_nanos(row.amount.unwrap_or_default());
    Ok(Standing::Charged(Kept { request_id, charged }))
}

/// What the caller of a charged call was sent, sealed. `None` when it was too large to be kept, or had to make room.
///
/// # Errors
/// [`DbError`].
pub fn answer(connection: &mut Connection, request_id: RequestId) -> Result<Option<Vec<u8>>, DbError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Binary)]
        sealed: Vec<u8>,
    }
    let sql = sql!("SELECT sealed FROM idempotency_answers WHERE request_id = ?");
    let row: Option<Row> =
        Statement::new(sql, &[Value::Blob(request_id.as_bytes())]).get_result(connection).optional()?;
    Ok(row.map(|row| row.sealed))
}

/// Removes some of what is older than a day, and of the answers that have no room: those up to [`full_since`]. Gives whether there may be
/// more. Call it in a write transaction.
///
/// # Errors
/// [`DbError`].
pub fn purge(connection: &mut Connection, full_since: Option<Timestamp>, now: Timestamp) -> Result<bool, DbError> {
    let day_ago = now.plus_ms(-LIFE_MS).0;
    let forgotten = full_since.map_or(day_ago, |since| since.0.max(day_ago));
    let answers = sql!(
        "DELETE FROM idempotency_answers WHERE request_id IN \
         (SELECT request_id FROM idempotency_answers WHERE created_at <= ? ORDER BY created_at LIMIT ?)"
    );
    let values = [Value::Int(forgotten), Value::Int(ANSWERS_STEP)];
    let answers = Statement::new(answers, &values).execute(connection)?;
    // A call that runs keeps its key, however long it runs. The time is asked twice: on PostgreSQL a key that is taken anew meanwhile is
    // looked at again by the outer condition only.
    let keys = sql!(
        "DELETE FROM idempotency_keys WHERE created_at <= ? AND (account, key) IN \
         (SELECT k.account, k.key FROM idempotency_keys k WHERE k.created_at <= ? \
          AND EXISTS (SELECT 1 FROM settlements s WHERE s.request_id = k.request_id) ORDER BY k.created_at LIMIT ?)"
    );
    let values = [Value::Int(day_ago), Value::Int(day_ago), Value::Int(KEYS_STEP)];
    let keys = Statement::new(keys, &values).execute(connection)?;
    Ok(answers as i64 == ANSWERS_STEP || keys as i64 == KEYS_STEP)
}

/// When the newest answer was kept that does not fit into `keep_bytes` with all that came after it. It looks at every answer that is kept, of
/// which there may be millions: ask it where nobody waits to write.
///
/// # Errors
/// [`DbError`].
pub fn full_since(connection: &mut Connection, keep_bytes: i64) -> Result<Option<Timestamp>, DbError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Nullable<BigInt>)]
        value: Option<i64>,
    }
    // Mostly all of them fit, and that is found out at less cost.
    let together = sql!("SELECT CAST(SUM(bytes) AS BIGINT) AS value FROM idempotency_answers");
    let together: Row = Statement::new(together, &[]).get_result(connection)?;
    if together.value.is_none_or(|bytes| bytes <= keep_bytes) {
        return Ok(None);
    }
    let since = sql!(
        "SELECT max(created_at) AS value FROM (SELECT created_at, \
         SUM(bytes) OVER (ORDER BY created_at DESC, request_id DESC) AS together FROM idempotency_answers) kept WHERE together > ?"
    );
    let since: Row = Statement::new(since, &[Value::Int(keep_bytes)]).get_result(connection)?;
    Ok(since.value.map(Timestamp))
}

/// Seals the next answers behind `after` anew under the first secret. Gives how many there were and where to go on, `None` behind the last.
/// One that no secret opens is removed: nobody could be given it. Call it in a write transaction of its own.
///
/// # Errors
/// [`KeptAnswerError`].
pub fn reseal(
    connection: &mut Connection,
    sealer: &Sealer,
    after: RequestId,
) -> Result<(usize, Option<RequestId>), KeptAnswerError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Binary)]
        request_id: Vec<u8>,
        #[diesel(sql_type = Binary)]
        sealed: Vec<u8>,
    }
    let page: Vec<Row> = Statement::new(
        sql!("SELECT request_id, sealed FROM idempotency_answers WHERE request_id > ? ORDER BY request_id LIMIT ?"),
        &[Value::Blob(after.as_bytes()), Value::Int(ANSWERS_STEP)],
    )
    .load(connection)?;
    let (mut count, mut last) = (0, after);
    for row in &page {
        last = request_id(&row.request_id)?;
        let name = last.to_string();
        let context = context(&name);
        let Ok(plain) = sealer.open(&row.sealed, &context) else {
            tracing::warn!(request_id = %last, "an answer that no secret opens was removed");
            let sql = sql!("DELETE FROM idempotency_answers WHERE request_id = ?");
            Statement::new(sql, &[Value::Blob(last.as_bytes())]).touch_one(connection)?;
            continue;
        };
        let sealed = sealer.seal(plain.expose_secret(), &context)?;
        Statement::new(
            sql!("UPDATE idempotency_answers SET sealed = ? WHERE request_id = ?"),
            &[Value::Blob(&sealed), Value::Blob(last.as_bytes())],
        )
        .touch_one(connection)?;
        count += 1;
    }
    Ok((count, (page.len() as i64 == ANSWERS_STEP).then_some(last)))
}

fn request_id(bytes: &[u8]) -> Result<RequestId, DbError> {
    RequestId::from_slice(bytes).ok_or_else(|| DbError::Corrupt("the request id of an idempotency key".to_owned()))
}
