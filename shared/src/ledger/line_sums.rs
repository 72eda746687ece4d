//! Sums over all lines of the ledger that a filter lets through, by kind and to the last 1e-9, without going through them.
//!
//! Charges are as many as calls, so they come from the sums of usage, which know all but those that were given back; of the ledger these
//! stay a part, and are added. Everything else is rare, and has an index of its own.

use std::collections::BTreeMap;

use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Text};

use super::line_filter::{LineFilter, LineKind};
use super::{FIRST_CUSTOMER, Period};
use crate::clock::Timestamp;
use crate::db::{Composed, Connection, DbError, Value, snapshot, whole};
use crate::id::TenantId;
use crate::money::Amount;
use crate::rollups::{self, END_OF_TIME, UsageFilter};

/// What lines of one kind come to, all of one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineSum {
    /// Their kind.
    pub kind: LineKind,
    /// Whose balance they changed.
    pub side: LineSide,
    /// By how much they changed the balances of customers; between house accounts, how much moved. `None`: it does not fit in 64 bits.
    pub amount: Option<Amount>,
}

/// Where money went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LineSide {
    /// To customers.
    ToCustomers,
    /// From customers.
    FromCustomers,
    /// From one house account to another: no customer's balance changed.
    House,
}

/// Sums over all that a filter lets through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineSums {
    /// By kind and side, without those where nothing moved.
    pub sums: Vec<LineSum>,
    /// By how much all together changed the balances of customers. `None`: it does not fit in 64 bits.
    pub change: Option<Amount>,
}

/// The sums of all pages of `filter`: of just the lines that [`super::lines`] gives.
///
/// # Errors
/// [`DbError`].
pub fn line_sums(connection: &mut Connection, filter: &LineFilter) -> Result<LineSums, DbError> {
    let mut moved = BTreeMap::new();
    snapshot(connection, |connection| {
        if !filter.is_rare() {
            let captured = captured(connection, filter)?;
            moved.insert((LineKind::Capture, LineSide::FromCustomers), captured);
        }
        if filter.kind != Some(LineKind::Capture) {
            moved.extend(rare(connection, filter)?);
        }
        Ok(())
    })?;
    moved.retain(|_, nanos| *nanos != 0);
    let signed = |side, nanos: i128| if side == LineSide::FromCustomers { -nanos } else { nanos };
    let of_customers = moved.iter().filter(|((_, side), _)| *side != LineSide::House);
    let change = of_customers.map(|((_, side), nanos)| signed(*side, *nanos)).sum();
    let sum = |((kind, side), nanos)| LineSum { kind, side, amount: Amount::from_wide(signed(side, nanos)) };
    Ok(LineSums { sums: moved.into_iter().map(sum).collect(), change: Amount::from_wide(change) })
}

/// What was charged, in 1e-9: also what was given back, since that is a line of its own.
fn captured(connection: &mut Connection, filter: &LineFilter) -> Result<i128, DbError> {
    let period: Period =
        (filter.from.unwrap_or(Timestamp(0)).max(Timestamp(0)), filter.to.unwrap_or(END_OF_TIME).min(END_OF_TIME));
    let of_tenant = UsageFilter { tenant: filter.tenant, ..UsageFilter::default() };
    let kept = rollups::charged(connection, &of_tenant, period)?.amount;
    Ok(i128::from(kept.nanos()) + given_back(connection, filter, period)?)
}

/// What was charged in the period and given back, then or later.
fn given_back(connection: &mut Connection, filter: &LineFilter, (from, to): Period) -> Result<i128, DbError> {
    // A charge is given back after it was booked.
    let (first, _) = filter.ids();
    let mut statement = Composed::new(
        "SELECT 'capture' AS kind, CAST(-1 AS BIGINT) AS side, CAST(COALESCE(SUM(c.amount >> 32), 0) AS BIGINT) AS high, \
         CAST(COALESCE(SUM(c.amount & 4294967295), 0) AS BIGINT) AS low FROM transfers r",
    );
    if matches!(connection, Connection::Sqlite(_)) {
        statement.and(" INDEXED BY transfers_rare", []);
    }
    statement
        .and(" CROSS JOIN transfers c WHERE c.id = r.reverses AND c.kind = 'capture' AND r.kind = 'reversal'", [])
        .and(" AND r.kind <> 'capture' AND r.id >= ?", [Value::Blob(first.as_bytes())])
        .and(" AND c.created_at >= ? AND c.created_at < ?", [Value::Int(from.0), Value::Int(to.0)]);
    if let Some(TenantId(tenant)) = filter.tenant {
        statement.and(" AND r.credit = ?", [Value::Int(tenant)]);
    }
    let rows: Vec<Row> = statement.load(connection)?;
    Ok(rows.iter().map(Row::nanos).sum())
}

/// All but charges, in 1e-9.
fn rare(connection: &mut Connection, filter: &LineFilter) -> Result<BTreeMap<(LineKind, LineSide), i128>, DbError> {
    let Ok(pattern) = filter.pattern() else { return Ok(BTreeMap::new()) };
    let (first, behind) = filter.ids();
    let mut statement = Composed::new("SELECT kind, CAST(CASE WHEN credit >= ");
    let customers = Value::Int(FIRST_CUSTOMER);
    // In halves, since sums of BIGINT may leave 64 bits.
    statement.and(
        "? THEN 1 WHEN debit >= ? THEN -1 ELSE 0 END AS BIGINT) AS side, CAST(SUM(amount >> 32) AS BIGINT) AS high, \
         CAST(SUM(amount & 4294967295) AS BIGINT) AS low FROM ",
        [customers, customers],
    );
    filter.select_from(&mut statement, connection, true, pattern.as_deref());
    let ids = [Value::Blob(first.as_bytes()), Value::Blob(behind.as_bytes())];
    statement.and(" AND id >= ? AND id < ? GROUP BY 1, 2", ids);
    let rows: Vec<Row> = statement.load(connection)?;
    rows.iter().map(|row| Ok((row.name()?, row.nanos()))).collect()
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    kind: String,
    /// 1 to customers, -1 from them, 0 neither.
    #[diesel(sql_type = BigInt)]
    side: i64,
    #[diesel(sql_type = BigInt)]
    high: i64,
    #[diesel(sql_type = BigInt)]
    low: i64,
}

impl Row {
    fn nanos(&self) -> i128 {
        whole(self.high, self.low)
    }

    fn name(&self) -> Result<(LineKind, LineSide), DbError> {
        let kind = self.kind.parse().map_err(|_| DbError::Corrupt(format!("the kind {} of a transfer", self.kind)))?;
        let side = match self.side {
            1 => LineSide::ToCustomers,
            -1 => LineSide::FromCustomers,
            _ => LineSide::House,
        };
        Ok((kind, side))
    }
}
