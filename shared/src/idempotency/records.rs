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
/// The most rows of each table that one transaction removes.
const STEP: i64 = 200;
/// The most answers that are sealed anew at a time.
const PAGE: i64 = 16;

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

/// What is left of a call that was charged.
#[derive(Debug, PartialEq, Eq)]
pub struct Kept {
    /// The call.
    pub request_id: RequestId,
    /// What its caller paid.
    pub charged: Amount,
    /// What its caller was sent, sealed; `None` when it was too large to be kept.
    pub sealed: Option<Vec<u8>>,
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
        #[diesel(sql_type = Nullable<Binary>)]
        sealed: Option<Vec<u8>>,
    }
    let row: Option<Row> = Statement::new(
        sql!(
            "SELECT k.request_id, k.body, k.created_at, s.outcome, s.amount, \
             EXISTS (SELECT 1 FROM transfers r WHERE r.reverses = k.request_id) AS reversed, a.sealed FROM idempotency_keys k \
             LEFT JOIN settlements s ON s.request_id = k.request_id \
             LEFT JOIN idempotency_answers a ON a.request_id = k.request_id WHERE k.account = ? AND k.key = ?"
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
    Ok(Standing::Charged(Kept { request_id, charged, sealed: row.sealed }))
}

/// Removes some of what is older than a day, and gives whether there may be more. Call it in a write transaction.
///
/// # Errors
/// [`DbError`].
pub fn purge(connection: &mut Connection, now: Timestamp) -> Result<bool, DbError> {
    let values = [Value::Int(now.plus_ms(-LIFE_MS).0), Value::Int(STEP)];
    let answers = sql!(
        "DELETE FROM idempotency_answers WHERE request_id IN \
         (SELECT request_id FROM idempotency_answers WHERE created_at <= ? ORDER BY created_at LIMIT ?)"
    );
    let answers = Statement::new(answers, &values).execute(connection)?;
    // A call that runs keeps its key, however long it runs.
    let keys = sql!(
        "DELETE FROM idempotency_keys WHERE (account, key) IN \
         (SELECT k.account, k.key FROM idempotency_keys k WHERE k.created_at <= ? \
          AND EXISTS (SELECT 1 FROM settlements s WHERE s.request_id = k.request_id) ORDER BY k.created_at LIMIT ?)"
    );
    let keys = Statement::new(keys, &values).execute(connection)?;
    Ok(answers as i64 == STEP || keys as i64 == STEP)
}

/// Seals every kept answer anew under the first secret, and gives how many there were. Call it in a write transaction.
///
/// # Errors
/// [`KeptAnswerError`], also when no secret opens one of them.
pub fn reseal(connection: &mut Connection, sealer: &Sealer) -> Result<usize, KeptAnswerError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Binary)]
        request_id: Vec<u8>,
        #[diesel(sql_type = Binary)]
        sealed: Vec<u8>,
    }
    let (mut count, mut after) = (0, RequestId::zero());
    loop {
        let page: Vec<Row> = Statement::new(
            sql!("SELECT request_id, sealed FROM idempotency_answers WHERE request_id > ? ORDER BY request_id LIMIT ?"),
            &[Value::Blob(after.as_bytes()), Value::Int(PAGE)],
        )
        .load(connection)
        .map_err(DbError::from)?;
        for row in &page {
            after = request_id(&row.request_id)?;
            let row_name = after.to_string();
            let context = context(&row_name);
            let plain = sealer.open(&row.sealed, &context)?;
            let sealed = sealer.seal(plain.expose_secret(), &context)?;
            Statement::new(
                sql!("UPDATE idempotency_answers SET sealed = ? WHERE request_id = ?"),
                &[Value::Blob(&sealed), Value::Blob(after.as_bytes())],
            )
            .touch_one(connection)
            .map_err(DbError::from)?;
            count += 1;
        }
        if (page.len() as i64) < PAGE {
            return Ok(count);
        }
    }
}

fn request_id(bytes: &[u8]) -> Result<RequestId, DbError> {
    RequestId::from_slice(bytes).ok_or_else(|| DbError::Corrupt("the request id of an idempotency key".to_owned()))
}
