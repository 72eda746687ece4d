//! Redeeming a code.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Bool, Nullable};

use super::{Code, VoucherError};
use crate::clock::Timestamp;
use crate::db::{Connection, DbError, Statement, Value, sql};
use crate::id::{TenantId, TransferId};
use crate::ledger::{self, Operation, Outcome, TopUp, TopUpDecision, TopUpSource};
use crate::money::Amount;
use crate::secret_key::KeyId;
use crate::top_ups::CODE_PREFIX;

/// What became of a code that somebody wants to redeem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redeemed {
    /// Its value is booked.
    Redeemed {
        /// What it was worth.
        amount: Amount,
        /// The balance now.
        posted: Amount,
        /// The top-up.
        transfer: TransferId,
    },
    /// There is no such code.
    Unknown,
    /// It was redeemed before; by whom is nobody else's business.
    AlreadyRedeemed,
    /// Its batch was revoked.
    BatchRevoked,
    /// It was worth something until this moment.
    Expired {
        /// When that was.
        at: Timestamp,
    },
}

/// Redeems a code for `tenant`, whose `key` it came with. Call it in a write transaction of its own kind
/// ([`crate::db::Database::write`]): these go one at a time, and were they not, the key of `redemptions` would let one of two through.
///
/// # Errors
/// [`VoucherError::Ledger`]; roll back then.
pub fn redeem(
    connection: &mut Connection,
    code: &Code,
    tenant: TenantId,
    key: KeyId,
    now: Timestamp,
) -> Result<Redeemed, VoucherError> {
    let found = match valid(connection, code, now)? {
        Ok(found) => found,
        Err(refused) => return Ok(refused),
    };
    let (transfer, amount) = (TransferId::new(), Amount::from_nanos(found.value));
    let top_up = TopUp {
        id: transfer,
        account: tenant,
        amount,
        source: TopUpSource::Promotion,
        reference: format!("{CODE_PREFIX}{}/{}", found.batch, found.number),
        note: None,
    };
    let posted = match ledger::apply_one(connection, Operation::TopUp(top_up), now)? {
        Outcome::TopUp(TopUpDecision::Posted { posted, replayed: false, .. }) => posted,
        // A code that is not redeemed has no top-up.
        other => return Err(other.unexpected().into()),
    };
    let sql = sql!(
        "INSERT INTO redemptions (batch, number, tenant, key_id, transfer, redeemed_at) VALUES (?, ?, ?, ?, ?, ?)"
    );
    let values = [
        Value::Int(found.batch),
        Value::Int(found.number),
        Value::Int(tenant.0),
        Value::Text(key.as_str()),
        Value::Blob(transfer.as_bytes()),
        Value::Int(now.0),
    ];
    Statement::new(sql, &values).touch_one(connection)?;
    Ok(Redeemed::Redeemed { amount, posted, transfer })
}

/// The top-up by which `tenant` has redeemed a code with `key`; `None`: they have not.
///
/// # Errors
/// [`DbError`].
pub fn redeemed_by(
    connection: &mut Connection,
    code: &Code,
    tenant: TenantId,
    key: KeyId,
) -> Result<Option<TransferId>, DbError> {
    let sql = sql!(
        "SELECT r.transfer FROM codes c JOIN redemptions r ON r.batch = c.batch AND r.number = c.number \
         WHERE c.hash = ? AND r.tenant = ? AND r.key_id = ?"
    );
    let values = [Value::Blob(&code.hash()), Value::Int(tenant.0), Value::Text(key.as_str())];
    let row: Option<Own> = Statement::new(sql, &values).get_result(connection).optional()?;
    let read = |row: Own| {
        let corrupt = || DbError::Corrupt("the top-up of a redeemed code".to_owned());
        TransferId::from_slice(&row.transfer).ok_or_else(corrupt)
    };
    row.map(read).transpose()
}

/// What a code is worth, or what redeeming it would give instead. Nothing is booked.
///
/// # Errors
/// [`DbError`].
pub fn worth(connection: &mut Connection, code: &Code, now: Timestamp) -> Result<Result<Amount, Redeemed>, DbError> {
    Ok(valid(connection, code, now)?.map(|found| Amount::from_nanos(found.value)))
}

/// The code, if it can be redeemed; else why it cannot.
fn valid(connection: &mut Connection, code: &Code, now: Timestamp) -> QueryResult<Result<Found, Redeemed>> {
    let Some(found) = find(connection, code)? else { return Ok(Err(Redeemed::Unknown)) };
    Ok(if found.redeemed {
        Err(Redeemed::AlreadyRedeemed)
    } else if found.revoked_at.is_some() {
        Err(Redeemed::BatchRevoked)
    } else if found.expires_at <= now.0 {
        Err(Redeemed::Expired { at: Timestamp(found.expires_at) })
    } else {
        Ok(found)
    })
}

#[derive(QueryableByName)]
struct Own {
    #[diesel(sql_type = Binary)]
    transfer: Vec<u8>,
}

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = BigInt)]
    batch: i64,
    #[diesel(sql_type = BigInt)]
    number: i64,
    #[diesel(sql_type = BigInt)]
    value: i64,
    #[diesel(sql_type = BigInt)]
    expires_at: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    revoked_at: Option<i64>,
    #[diesel(sql_type = Bool)]
    redeemed: bool,
}

fn find(connection: &mut Connection, code: &Code) -> QueryResult<Option<Found>> {
    let sql = sql!(
        "SELECT c.batch, c.number, b.value, b.expires_at, b.revoked_at, \
         EXISTS (SELECT 1 FROM redemptions r WHERE r.batch = c.batch AND r.number = c.number) AS redeemed \
         FROM codes c JOIN code_batches b ON b.id = c.batch WHERE c.hash = ?"
    );
    Statement::new(sql, &[Value::Blob(&code.hash())]).get_result(connection).optional()
}
