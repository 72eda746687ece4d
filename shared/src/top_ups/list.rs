//! The list of all top-ups, each with what was taken back of it, and its sums.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Nullable, Text};

use crate::clock::Timestamp;
use crate::db::{Composed, Connection, DbError, Statement, Value, containing, sql, whole};
use crate::export::{Export, Listed, Piece};
use crate::id::{TenantId, TransferId};
use crate::ledger::TopUpSource;
use crate::money::Amount;
use crate::page::{Cursor, Page, and_one_more};

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

impl TopUpFilter {
    /// Adds its conditions; `pattern` is that of its reference.
    fn conditions<'a>(&self, statement: &mut Composed<'a>, pattern: &'a str) {
        statement.and(" WHERE t.reference IS NOT NULL", []);
        if let Some(from) = self.from {
            statement.and(" AND t.created_at >= ?", [Value::Int(from.0)]);
        }
        if let Some(to) = self.to {
            statement.and(" AND t.created_at < ?", [Value::Int(to.0)]);
        }
        if !self.reference.is_empty() {
            statement.and(" AND lower(t.reference) LIKE lower(?) ESCAPE '!'", [Value::Text(pattern)]);
        }
        if let Some(TenantId(tenant)) = self.tenant {
            statement.and(" AND t.credit = ?", [Value::Int(tenant)]);
        }
    }
}

macro_rules! select {
    () => {
        "SELECT t.id, t.debit, t.credit, n.name AS tenant_name, t.amount, t.reference, t.note, t.created_at, \
         r.id AS reversal, r.amount AS recovered, r.note AS reason, r.created_at AS reversed_at \
         FROM transfers t JOIN tenants n ON n.id = t.credit \
         LEFT JOIN transfers r ON r.reverses = t.id AND r.reverses IS NOT NULL"
    };
}

/// One top-up, by a condition of one's own.
macro_rules! top_up {
    ($condition:literal) => {
        sql!(concat!(select!(), " WHERE t.reference IS NOT NULL AND ", $condition))
    };
}

/// The top-ups that fit `filter`, newest first, at most `limit`, at the `cursor`.
///
/// # Errors
/// [`DbError`].
pub fn page(
    connection: &mut Connection,
    filter: &TopUpFilter,
    cursor: Cursor<TransferId>,
    limit: usize,
) -> Result<Page<TopUpRecord>, DbError> {
    let Some(pattern) = containing(&filter.reference) else { return Ok(Page::empty()) };
    let row = match cursor.key() {
        Some(key) => match find(connection, *key)? {
            Some(row) => Some((row.created_at, *row.id.as_bytes())),
            None => return Ok(Page::empty()),
        },
        None => None,
    };
    let mut statement = Composed::new(select!());
    filter.conditions(&mut statement, &pattern);
    if let Some((moment, id)) = &row {
        let place = [Value::Int(moment.0), Value::Blob(id)];
        let words = if cursor.is_backwards() { " > (?, ?)" } else { " < (?, ?)" };
        statement.and(" AND (t.created_at, t.id)", []).and(words, place);
    }
    statement
        .and(
            if cursor.is_backwards() {
                " ORDER BY t.created_at, t.id"
            } else {
                " ORDER BY t.created_at DESC, t.id DESC"
            },
            [],
        )
        .and(" LIMIT ?", [Value::Int(and_one_more(limit))]);
    let rows: Vec<Row> = statement.load(connection)?;
    Page::of(rows, &cursor, limit).try_map(Row::into_record)
}

/// Sums over top-ups. An amount that does not fit in 64 bits is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopUpSums {
    /// How many.
    pub count: i64,
    /// What they booked.
    pub booked: Option<Amount>,
    /// What was taken back of them.
    pub recovered: Option<Amount>,
    /// What they booked, less what was taken back.
    pub left: Option<Amount>,
}

/// The sums of all pages of `filter`.
///
/// # Errors
/// [`DbError`].
pub fn sums(connection: &mut Connection, filter: &TopUpFilter) -> Result<TopUpSums, DbError> {
    // In halves, since sums of BIGINT may leave 64 bits.
    let mut statement = Composed::new(
        "SELECT CAST(COUNT(*) AS BIGINT) AS count, CAST(COALESCE(SUM(t.amount >> 32), 0) AS BIGINT) AS booked_high, \
         CAST(COALESCE(SUM(t.amount & 4294967295), 0) AS BIGINT) AS booked_low, \
         CAST(COALESCE(SUM(r.amount >> 32), 0) AS BIGINT) AS recovered_high, \
         CAST(COALESCE(SUM(r.amount & 4294967295), 0) AS BIGINT) AS recovered_low \
         FROM transfers t LEFT JOIN transfers r ON r.reverses = t.id AND r.reverses IS NOT NULL",
    );
    let pattern = containing(&filter.reference);
    filter.conditions(&mut statement, pattern.as_deref().unwrap_or_default());
    let rows: Vec<SumsRow> = if pattern.is_some() { statement.load(connection)? } else { Vec::new() };
    let sums = |row: &SumsRow| {
        let booked = whole(row.booked_high, row.booked_low);
        (row.count, booked, whole(row.recovered_high, row.recovered_low))
    };
    let (count, booked, recovered) = rows.first().map_or((0, 0, 0), sums);
    Ok(TopUpSums {
        count,
        booked: Amount::from_wide(booked),
        recovered: Amount::from_wide(recovered),
        left: Amount::from_wide(booked - recovered),
    })
}

/// All top-ups of a filter, newest first.
pub type TopUpExport = Export<TopUpFilter>;

impl Listed for TopUpFilter {
    type Row = TopUpRecord;
    type Key = TransferId;

    fn rows(
        &self,
        connection: &mut Connection,
        cursor: Cursor<TransferId>,
        limit: usize,
    ) -> Result<Piece<Self>, DbError> {
        Ok(page(connection, self, cursor, limit)?.with_last(|row| row.id))
    }
}

/// The top-up of this id.
///
/// # Errors
/// [`DbError`].
pub fn find(connection: &mut Connection, id: TransferId) -> Result<Option<TopUpRecord>, DbError> {
    let row: Option<Row> =
        Statement::new(top_up!("t.id = ?"), &[Value::Blob(id.as_bytes())]).get_result(connection).optional()?;
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
        Statement::new(top_up!("t.credit = ? AND t.reference = ?"), &values).get_result(connection).optional()?;
    row.map(Row::into_record).transpose()
}

#[derive(QueryableByName)]
struct SumsRow {
    #[diesel(sql_type = BigInt)]
    count: i64,
    #[diesel(sql_type = BigInt)]
    booked_high: i64,
    #[diesel(sql_type = BigInt)]
    booked_low: i64,
    #[diesel(sql_type = BigInt)]
    recovered_high: i64,
    #[diesel(sql_type = BigInt)]
    recovered_low: i64,
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
