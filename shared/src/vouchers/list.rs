//! The lists of batches and of a batch's codes. A code itself is in none of them: nobody has it any more but who holds it.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Nullable, Text};

use super::batch::{Batch, BatchId};
use crate::clock::Timestamp;
use crate::db::{Connection, DbError, Statement, Value, sql};
use crate::id::{TenantId, TransferId};
use crate::money::Amount;
use crate::page::{Cursor, Page, and_one_more};
use crate::secret_key::KeyId;

/// A code as it is kept, without its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeRecord {
    /// Its number in the batch, from 1.
    pub number: i64,
    /// Its last four characters, to tell codes apart.
    pub last_four: String,
    /// How it was redeemed, if it was.
    pub redemption: Option<Redemption>,
}

/// How a code was redeemed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redemption {
    /// For whom.
    pub tenant: TenantId,
    /// The tenant's name.
    pub tenant_name: String,
    /// With which key.
    pub key: KeyId,
    /// The top-up.
    pub transfer: TransferId,
    /// When.
    pub redeemed_at: Timestamp,
}

/// What is read of a batch, by a condition of one's own.
macro_rules! batches {
    ($condition:literal) => {
        sql!(concat!(
            "SELECT b.id, b.name, b.value, b.count, b.expires_at, b.created_by, b.created_at, b.revoked_at, b.revoked_by, \
             CAST((SELECT count(*) FROM redemptions r WHERE r.batch = b.id) AS BIGINT) AS redeemed FROM code_batches b WHERE ",
            $condition
        ))
    };
}

/// What is read of a batch's codes, by a condition of one's own.
macro_rules! codes {
    ($condition:literal) => {
        sql!(concat!(
            "SELECT c.number, c.last_four, r.tenant, t.name AS tenant_name, r.key_id, r.transfer, r.redeemed_at FROM codes c \
             LEFT JOIN redemptions r ON r.batch = c.batch AND r.number = c.number LEFT JOIN tenants t ON t.id = r.tenant \
             WHERE c.batch = ? AND ",
            $condition
        ))
    };
}

/// The batches, newest first, at most `limit`, at the `cursor`.
///
/// # Errors
/// [`DbError`].
pub fn batches(connection: &mut Connection, cursor: Cursor<BatchId>, limit: usize) -> Result<Page<Batch>, DbError> {
    let id = cursor.key().map_or(i64::MAX, |BatchId(id)| *id);
    let values = [Value::Int(id), Value::Int(and_one_more(limit))];
    let rows: Vec<BatchRow> = if cursor.is_backwards() {
        Statement::new(batches!("b.id > ? ORDER BY b.id LIMIT ?"), &values).load(connection)?
    } else {
        Statement::new(batches!("b.id < ? ORDER BY b.id DESC LIMIT ?"), &values).load(connection)?
    };
    Page::of(rows, &cursor, limit).try_map(|row| Ok(row.into()))
}

/// The batch of this id.
pub(super) fn batch(connection: &mut Connection, BatchId(id): BatchId) -> Result<Option<Batch>, DbError> {
    let row: Option<BatchRow> =
        Statement::new(batches!("b.id = ?"), &[Value::Int(id)]).get_result(connection).optional()?;
    Ok(row.map(Batch::from))
}

/// The batch of this name.
///
/// # Errors
/// [`DbError`].
pub fn named(connection: &mut Connection, name: &str) -> Result<Option<Batch>, DbError> {
    let row: Option<BatchRow> =
        Statement::new(batches!("b.name = ?"), &[Value::Text(name)]).get_result(connection).optional()?;
    Ok(row.map(Batch::from))
}

/// The codes of a batch by their numbers, at most `limit`, at the `cursor`, which has numbers.
///
/// # Errors
/// [`DbError`].
pub fn codes(
    connection: &mut Connection,
    BatchId(batch): BatchId,
    cursor: Cursor<i64>,
    limit: usize,
) -> Result<Page<CodeRecord>, DbError> {
    let number = cursor.key().copied().unwrap_or(i64::MIN);
    let values = [Value::Int(batch), Value::Int(number), Value::Int(and_one_more(limit))];
    let rows: Vec<CodeRow> = if cursor.is_backwards() {
        Statement::new(codes!("c.number < ? ORDER BY c.number DESC LIMIT ?"), &values).load(connection)?
    } else {
        Statement::new(codes!("c.number > ? ORDER BY c.number LIMIT ?"), &values).load(connection)?
    };
    Page::of(rows, &cursor, limit).try_map(CodeRow::into_record)
}

#[derive(QueryableByName)]
struct BatchRow {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = BigInt)]
    value: i64,
    #[diesel(sql_type = BigInt)]
    count: i64,
    #[diesel(sql_type = BigInt)]
    expires_at: i64,
    #[diesel(sql_type = Text)]
    created_by: String,
    #[diesel(sql_type = BigInt)]
    created_at: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    revoked_at: Option<i64>,
    #[diesel(sql_type = Nullable<Text>)]
    revoked_by: Option<String>,
    #[diesel(sql_type = BigInt)]
    redeemed: i64,
}

impl From<BatchRow> for Batch {
    fn from(row: BatchRow) -> Self {
        Self {
            id: BatchId(row.id),
            name: row.name,
            value: Amount::from_nanos(row.value),
            count: row.count,
            redeemed: row.redeemed,
            expires_at: Timestamp(row.expires_at),
            created_by: row.created_by,
            created_at: Timestamp(row.created_at),
            revoked: row.revoked_at.map(Timestamp).zip(row.revoked_by),
        }
    }
}

#[derive(QueryableByName)]
struct CodeRow {
    #[diesel(sql_type = BigInt)]
    number: i64,
    #[diesel(sql_type = Text)]
    last_four: String,
    #[diesel(sql_type = Nullable<BigInt>)]
    tenant: Option<i64>,
    #[diesel(sql_type = Nullable<Text>)]
    tenant_name: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    key_id: Option<String>,
    #[diesel(sql_type = Nullable<Binary>)]
    transfer: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<BigInt>)]
    redeemed_at: Option<i64>,
}

impl CodeRow {
    fn into_record(self) -> Result<CodeRecord, DbError> {
        let corrupt = || DbError::Corrupt(format!("the redemption of code {}", self.number));
        let redemption = match (self.tenant, self.redeemed_at) {
            (Some(tenant), Some(redeemed_at)) => Some(Redemption {
                tenant: TenantId(tenant),
                tenant_name: self.tenant_name.unwrap_or_default(),
                key: self.key_id.and_then(|key| key.parse().ok()).ok_or_else(corrupt)?,
                transfer: self.transfer.and_then(|id| TransferId::from_slice(&id)).ok_or_else(corrupt)?,
                redeemed_at: Timestamp(redeemed_at),
            }),
            _ => None,
        };
        Ok(CodeRecord { number: self.number, last_four: self.last_four, redemption })
    }
}
