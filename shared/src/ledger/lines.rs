//! What was booked, newest first: of all customers or of one.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Nullable, Text};

use super::line_filter::{CLOCKS_APART_MS, LineFilter};
use crate::clock::Timestamp;
use crate::db::{Composed, Connection, DbError, Statement, Value, snapshot, sql};
use crate::export::{Export, Listed, Piece};
use crate::id::{RequestId, TenantId, TransferId};
use crate::money::Amount;
use crate::page::Cursor;

/// A transfer, with the customer's side of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerLine {
    /// The transfer. A charge's is its request's.
    pub id: TransferId,
    /// The customer; `None`: it is between house accounts.
    pub tenant: Option<TenantId>,
    /// The number of the customer's line.
    pub seq: Option<i64>,
    /// See [`LineKind::word`].
    pub kind: String,
    /// The account that it came from.
    pub debit: i64,
    /// The account that it went to.
    pub credit: i64,
    /// How much.
    pub amount: Amount,
    /// By how much the customer's balance changed.
    pub delta: Option<Amount>,
    /// The customer's balance after it.
    pub balance: Option<Amount>,
    /// The request that it is for.
    pub request_id: Option<RequestId>,
    /// The transfer that it takes back.
    pub reverses: Option<TransferId>,
    /// The transfer that takes it back.
    pub reversed_by: Option<TransferId>,
    /// The payment's own name.
    pub reference: Option<String>,
    /// Words for people.
    pub note: Option<String>,
    /// When it was booked.
    pub created_at: Timestamp,
}

/// A page of transfers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinePage {
    /// Newest first: of one tenant by the numbers of its lines; of all by their ids, which for a charge is when its call was received.
    pub lines: Vec<LedgerLine>,
    /// With [`Cursor::Behind`], the page after this one; `None`: there is none.
    pub older: Option<TransferId>,
    /// With [`Cursor::Before`], the page before this one; `None`: there is none.
    pub newer: Option<TransferId>,
}

/// At most `limit` transfers that `filter` lets through.
///
/// # Errors
/// [`DbError`].
pub fn lines(
    connection: &mut Connection,
    filter: &LineFilter,
    cursor: Cursor<TransferId>,
    limit: usize,
) -> Result<LinePage, DbError> {
    let is_towards_past = !matches!(cursor, Cursor::Before(_));
    let wanted = limit.saturating_add(1);
    let mut lines = snapshot(connection, |connection| match filter.tenant.filter(|_| !filter.is_rare()) {
        Some(tenant) => of_tenant(connection, filter, tenant, cursor, wanted),
        None => of_all(connection, filter, cursor, wanted),
    })?;
    let has_more = lines.len() > limit;
    lines.truncate(limit);
    if !is_towards_past {
        lines.reverse();
    }
    let (newest, oldest) = (lines.first().map(|line| line.id), lines.last().map(|line| line.id));
    let (older, newer) = match cursor {
        Cursor::First => (oldest.filter(|_| has_more), None),
        Cursor::Behind(than) => (oldest.filter(|_| has_more), Some(newest.unwrap_or(than))),
        Cursor::Before(than) => (Some(oldest.unwrap_or(than)), newest.filter(|_| has_more)),
    };
    Ok(LinePage { lines, older, newer })
}

/// The transfer of this id.
///
/// # Errors
/// [`DbError`].
pub fn line(connection: &mut Connection, id: TransferId) -> Result<Option<LedgerLine>, DbError> {
    let mut statement = Composed::new(SELECT);
    statement.and("transfers WHERE id = ?", [Value::Blob(id.as_bytes())]).and(JOINS, []);
    Ok(read(statement, connection)?.pop())
}

const SELECT: &str = "SELECT t.id, t.kind, t.debit, t.credit, t.amount, t.request_id, t.reverses, t.reference, t.note, t.created_at, \
    l.account, l.seq, l.delta, l.balance, x.id AS reversed_by FROM (SELECT * FROM ";
const JOINS: &str = ") t LEFT JOIN lines l ON l.transfer = t.id LEFT JOIN transfers x ON x.reverses = t.id";

fn of_all(
    connection: &mut Connection,
    filter: &LineFilter,
    cursor: Cursor<TransferId>,
    wanted: usize,
) -> Result<Vec<LedgerLine>, DbError> {
    let Ok(pattern) = filter.pattern() else { return Ok(Vec::new()) };
    let (mut first, mut behind) = filter.ids();
    match cursor {
        Cursor::First => {}
        Cursor::Behind(than) => behind = behind.min(than),
        Cursor::Before(than) => first = first.max(than.after()),
    }
    let mut statement = Composed::new(SELECT);
    filter.select_from(&mut statement, connection, filter.is_rare(), pattern.as_deref());
    let is_towards_past = !matches!(cursor, Cursor::Before(_));
    statement
        .and(" AND id >= ? AND id < ?", [Value::Blob(first.as_bytes()), Value::Blob(behind.as_bytes())])
        .and(if is_towards_past { " ORDER BY id DESC" } else { " ORDER BY id" }, [])
        .and(" LIMIT ?", [limit(wanted)])
        .and(JOINS, [])
        .and(if is_towards_past { " ORDER BY t.id DESC" } else { " ORDER BY t.id" }, []);
    read(statement, connection)
}

/// By the numbers of the customer's lines, which are in the order of time.
fn of_tenant(
    connection: &mut Connection,
    filter: &LineFilter,
    tenant: TenantId,
    cursor: Cursor<TransferId>,
    wanted: usize,
) -> Result<Vec<LedgerLine>, DbError> {
    let mut first = 1;
    let mut behind = i64::MAX;
    if let Some(from) = filter.from {
        first = first_since(connection, tenant, from.plus_ms(-CLOCKS_APART_MS))?;
    }
    if let Some(to) = filter.to {
        behind = first_since(connection, tenant, to.plus_ms(CLOCKS_APART_MS))?;
    }
    match cursor {
        Cursor::First => {}
        Cursor::Behind(than) => behind = behind.min(seq_of(connection, than)?),
        Cursor::Before(than) => first = first.max(seq_of(connection, than)?.saturating_add(1)),
    }
    let order = if matches!(cursor, Cursor::Before(_)) { " ORDER BY l.seq" } else { " ORDER BY l.seq DESC" };
    let mut statement = Composed::new(
        "SELECT t.id, t.kind, t.debit, t.credit, t.amount, t.request_id, t.reverses, t.reference, t.note, t.created_at, \
         l.account, l.seq, l.delta, l.balance, x.id AS reversed_by \
         FROM lines l JOIN transfers t ON t.id = l.transfer LEFT JOIN transfers x ON x.reverses = t.id WHERE l.account = ",
    );
    statement
        .and("?", [Value::Int(tenant.0)])
        .and(" AND l.seq >= ? AND l.seq < ?", [Value::Int(first), Value::Int(behind)]);
    if let Some(kind) = filter.kind {
        statement.and(" AND t.kind = ?", [Value::Text(kind.word())]);
    }
    if let Some(from) = filter.from {
        statement.and(" AND t.created_at >= ?", [Value::Int(from.0)]);
    }
    if let Some(to) = filter.to {
        statement.and(" AND t.created_at < ?", [Value::Int(to.0)]);
    }
    statement.and(order, []).and(" LIMIT ?", [limit(wanted)]);
    read(statement, connection)
}

/// The number of a tenant's first line that was booked at `moment` or later, or the one behind the last: by halving.
fn first_since(connection: &mut Connection, tenant: TenantId, moment: Timestamp) -> Result<i64, DbError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        value: i64,
    }
    let newest: Option<Row> = Statement::new(
        sql!("SELECT seq AS value FROM lines WHERE account = ? ORDER BY seq DESC LIMIT 1"),
        &[Value::Int(tenant.0)],
    )
    .get_result(connection)
    .optional()?;
    let (mut low, mut high) = (1, newest.map_or(0, |row| row.value) + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let row: Row = Statement::new(
            sql!(
                "SELECT t.created_at AS value FROM lines l JOIN transfers t ON t.id = l.transfer WHERE l.account = ? AND l.seq = ?"
            ),
            &[Value::Int(tenant.0), Value::Int(middle)],
        )
        .get_result(connection)?;
        if row.value < moment.0 { low = middle + 1 } else { high = middle }
    }
    Ok(low)
}

/// The number of a transfer's line; 0 when it has none.
fn seq_of(connection: &mut Connection, transfer: TransferId) -> Result<i64, DbError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        seq: i64,
    }
    let sql = sql!("SELECT seq FROM lines WHERE transfer = ?");
    let row: Option<Row> =
        Statement::new(sql, &[Value::Blob(transfer.as_bytes())]).get_result(connection).optional()?;
    Ok(row.map_or(0, |row| row.seq))
}

fn limit(wanted: usize) -> Value<'static> {
    Value::Int(i64::try_from(wanted).unwrap_or(i64::MAX))
}

fn read(statement: Composed<'_>, connection: &mut Connection) -> Result<Vec<LedgerLine>, DbError> {
    let rows: Vec<Row> = statement.load(connection)?;
    rows.into_iter().map(Row::into_line).collect()
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Binary)]
    id: Vec<u8>,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = BigInt)]
    debit: i64,
    #[diesel(sql_type = BigInt)]
    credit: i64,
    #[diesel(sql_type = BigInt)]
    amount: i64,
    #[diesel(sql_type = Nullable<Binary>)]
    request_id: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<Binary>)]
    reverses: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<Binary>)]
    reversed_by: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<Text>)]
    reference: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    note: Option<String>,
    #[diesel(sql_type = BigInt)]
    created_at: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    account: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    seq: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    delta: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    balance: Option<i64>,
}

impl Row {
    fn into_line(self) -> Result<LedgerLine, DbError> {
        let id = |bytes: Vec<u8>| {
            RequestId::from_slice(&bytes).ok_or_else(|| DbError::Corrupt("a transfer's id".to_owned()))
        };
        Ok(LedgerLine {
            id: id(self.id)?,
            tenant: self.account.map(TenantId),
            seq: self.seq,
            kind: self.kind,
            debit: self.debit,
            credit: self.credit,
            amount: Amount::from_nanos(self.amount),
            delta: self.delta.map(Amount::from_nanos),
            balance: self.balance.map(Amount::from_nanos),
            request_id: self.request_id.map(id).transpose()?,
            reverses: self.reverses.map(id).transpose()?,
            reversed_by: self.reversed_by.map(id).transpose()?,
            reference: self.reference,
            note: self.note,
            created_at: Timestamp(self.created_at),
        })
    }
}

/// All transfers of a filter, newest first.
pub type LineExport = Export<LineFilter>;

impl Listed for LineFilter {
    type Row = LedgerLine;
    type Key = TransferId;

    fn rows(
        &self,
        connection: &mut Connection,
        cursor: Cursor<TransferId>,
        limit: usize,
    ) -> Result<Piece<Self>, DbError> {
        let page = lines(connection, self, cursor, limit)?;
        Ok((page.lines, page.older))
    }
}
