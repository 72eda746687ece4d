//! The list of all top-ups, each with what was taken back of it.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Nullable, Text};

use crate::clock::Timestamp;
use crate::db::{Connection, DbError, Statement, Value, containing, sql};
use crate::id::{TenantId, TransferId};
use crate::ledger::TopUpSource;
use crate::money::Amount;
use crate::page::{Page, and_one_more};

/// A top-up as it was booked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopUpRecord {
    /// The transfer.
    pub id: TransferId,
    /// Whose balance grew.
    pub tenant: TenantId,
    /// The tenant's name.
    pub tenant_name: String,
    /// By how much.
    pub amount: Amount,
    /// Where the money came from.
    pub source: TopUpSource,
    /// The payment's own name; `code:BATCH/NUMBER` for a redeemed code.
    pub reference: String,
    /// Words for people.
    pub note: Option<String>,
    /// When.
    pub created_at: Timestamp,
    /// What became of it, if it was taken back.
    pub reversal: Option<TopUpReversed>,
}

/// How a top-up was taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopUpReversed {
    /// The transfer that did.
    pub id: TransferId,
    /// What was taken back.
    pub recovered: Amount,
    /// What of the top-up was not there any more.
    pub not_recovered: Amount,
    /// Why.
    pub reason: String,
    /// When.
    pub created_at: Timestamp,
}

/// Which top-ups to list; the default is all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopUpFilter {
    /// Of this tenant only.
    pub tenant: Option<TenantId>,
    /// With this in their reference; empty: any.
    pub reference: String,
    /// From this moment on.
    pub from: Option<Timestamp>,
    /// Before this moment.
    pub to: Option<Timestamp>,
}

/// What is read of a top-up, by a condition of one's own.
macro_rules! top_ups {
    (listed $condition:literal) => {
        top_ups!(concat!(
            "(t.created_at, t.id) < (?, ?) AND t.created_at >= ? AND t.created_at < ? \
             AND lower(t.reference) LIKE lower(?) ESCAPE '!' ",
            $condition,
            "ORDER BY t.created_at DESC, t.id DESC LIMIT ?"
        ))
    };
    ($($condition:tt)+) => {
        sql!(concat!(
            "SELECT t.id, t.debit, t.credit, n.name AS tenant_name, t.amount, t.reference, t.note, t.created_at, \
             r.id AS reversal, r.amount AS recovered, r.note AS reason, r.created_at AS reversed_at \
             FROM transfers t JOIN tenants n ON n.id = t.credit \
             LEFT JOIN transfers r ON r.reverses = t.id AND r.reverses IS NOT NULL WHERE t.reference IS NOT NULL AND ",
            $($condition)+
        ))
    };
}

/// The top-ups that fit `filter`, newest first, at most `limit`, behind the top-up `before` (from the newest on, with `None`).
///
/// # Errors
/// [`DbError`].
pub fn page(
    connection: &mut Connection,
    filter: &TopUpFilter,
    before: Option<TransferId>,
    limit: usize,
) -> Result<Page<TopUpRecord>, DbError> {
    let (from, to) = (filter.from.unwrap_or(Timestamp(i64::MIN)), filter.to.unwrap_or(Timestamp(i64::MAX)));
    let (moment, id) = match before {
        Some(before) => match find(connection, before)? {
            Some(last) => (last.created_at, *last.id.as_bytes()),
            None => return Ok(Page::of(Vec::new(), limit)),
        },
        None => (to, [0; 16]),
    };
    let Some(pattern) = containing(&filter.reference) else { return Ok(Page::of(Vec::new(), limit)) };
    let [moment, id, from, to, pattern, limit_and_one] = [
        Value::Int(moment.0),
        Value::Blob(&id),
        Value::Int(from.0),
        Value::Int(to.0),
        Value::Text(&pattern),
        Value::Int(and_one_more(limit)),
    ];
    let rows: Vec<Row> = match filter.tenant {
        None => {
            Statement::new(top_ups!(listed ""), &[moment, id, from, to, pattern, limit_and_one]).load(connection)?
        }
        Some(TenantId(tenant)) => {
            let values = [moment, id, from, to, pattern, Value::Int(tenant), limit_and_one];
            Statement::new(top_ups!(listed "AND t.credit = ? "), &values).load(connection)?
        }
    };
    Page::of(rows, limit).try_map(Row::into_record)
}

/// The top-up of this id.
///
/// # Errors
/// [`DbError`].
pub fn find(connection: &mut Connection, id: TransferId) -> Result<Option<TopUpRecord>, DbError> {
    let row: Option<Row> =
        Statement::new(top_ups!("t.id = ?"), &[Value::Blob(id.as_bytes())]).get_result(connection).optional()?;
    row.map(Row::into_record).transpose()
}

/// The top-up of `tenant` with just this reference.
///
/// # Errors
/// [`DbError`].
pub fn referenced(
    connection: &mut Connection,
    TenantId(tenant): TenantId,
    reference: &str,
) -> Result<Option<TopUpRecord>, DbError> {
    let values = [Value::Int(tenant), Value::Text(reference)];
    let row: Option<Row> =
        Statement::new(top_ups!("t.credit = ? AND t.reference = ?"), &values).get_result(connection).optional()?;
    row.map(Row::into_record).transpose()
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Binary)]
    id: Vec<u8>,
    #[diesel(sql_type = BigInt)]
    debit: i64,
    #[diesel(sql_type = BigInt)]
    credit: i64,
    #[diesel(sql_type = Text)]
    tenant_name: String,
    #[diesel(sql_type = BigInt)]
    amount: i64,
    #[diesel(sql_type = Text)]
    reference: String,
    #[diesel(sql_type = Nullable<Text>)]
    note: Option<String>,
    #[diesel(sql_type = BigInt)]
    created_at: i64,
    #[diesel(sql_type = Nullable<Binary>)]
    reversal: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<BigInt>)]
    recovered: Option<i64>,
    #[diesel(sql_type = Nullable<Text>)]
    reason: Option<String>,
    #[diesel(sql_type = Nullable<BigInt>)]
    reversed_at: Option<i64>,
}

impl Row {
    fn into_record(self) -> Result<TopUpRecord, DbError> {
        let corrupt = || DbError::Corrupt(format!("the top-up {}", self.reference));
        let amount = Amount::from_nanos(self.amount);
        let reversal = match (&self.reversal, self.recovered, self.reversed_at) {
            (Some(id), Some(recovered), Some(moment)) => {
                let recovered = Amount::from_nanos(recovered);
                Some(TopUpReversed {
                    id: TransferId::from_slice(id).ok_or_else(corrupt)?,
                    recovered,
                    not_recovered: amount.checked_sub(recovered).ok_or_else(corrupt)?,
                    reason: self.reason.clone().unwrap_or_default(),
                    created_at: Timestamp(moment),
                })
            }
            _ => None,
        };
        Ok(TopUpRecord {
            id: TransferId::from_slice(&self.id).ok_or_else(corrupt)?,
            tenant: TenantId(self.credit),
            source: TopUpSource::of_account(self.debit).ok_or_else(corrupt)?,
            amount,
            reversal,
            created_at: Timestamp(self.created_at),
            tenant_name: self.tenant_name,
            reference: self.reference,
            note: self.note,
        })
    }
}
