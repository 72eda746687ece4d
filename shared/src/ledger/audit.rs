//! The proof from outside: every invariant of the ledger, checked row by row in short read transactions.
//!
//! Most of what is checked here the database refuses already. What it cannot see (an edited `held`, a hold that no account
//! carries, an arithmetic that does not add up) only this finds.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Bool, Nullable, Text};
use serde::Serialize;

use self::charges::ChargeCheck;
use self::rows::{HoldCheck, LineCheck, SettlementCheck, TransferCheck};
use super::operation::TopUpSource;
use super::{FIRST_CUSTOMER, REVENUE, WRITE_OFF};
use crate::clock::{Clock, Timestamp};
use crate::db::{self, Connection, Database, DbError, Statement, Value, sql, whole};
use crate::facts::{self, SETTLED_BELOW};
use crate::id::{RequestId, TenantId};

mod charges;
mod last;
mod rows;

pub use last::{AuditMade, AuditScope, Finding, LastAudits, keep_audit, last_audits};

/// Rows that one read transaction looks at; keeps each well under a second.
const PAGE: i64 = 2_000;
/// How far back a running server looks again each time, in milliseconds: the longest call, its grace, and five minutes,
/// since ids are made before their rows are committed.
const LOOK_BACK_MS: i64 = 1_200_000;
/// The same for what people do: the id is made with the form, which may be sent 24 hours later.
const RARE_LOOK_BACK_MS: i64 = 25 * 3_600_000;
/// A hold may be open this long after its expiry before it counts as forgotten, in milliseconds.
const OVERDUE_MS: i64 = 60_000;
/// A process that was seen within this time is alive, in milliseconds.
const ALIVE_MS: i64 = 30_000;
/// Violations that a report lists; more would help nobody.
const MOST_VIOLATIONS: usize = 1_000;

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The invariant's short name.
    pub check: &'static str,
    /// Where: an account, a request, a transfer.
    pub subject: String,
    /// What was found and what should be.
    pub detail: String,
}

/// What an audit found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct AuditReport {
    /// Nothing is wrong.
    pub ok: bool,
    /// What is wrong, at most 1,000.
    pub violations: Vec<Violation>,
    /// Lines looked at.
    pub lines: u64,
    /// Transfers looked at.
    pub transfers: u64,
    /// Holds and settlements looked at.
    pub requests: u64,
}

/// An audit that remembers how far it has come.
#[derive(Debug, Default)]
pub struct Audit {
    checked: HashMap<i64, i64>,
    from: Option<Timestamp>,
    /// Every hold up to this one is settled.
    settled_to: Option<RequestId>,
}

/// Checks everything, from the first line.
///
/// # Errors
/// [`DbError`] when the database cannot be read.
pub async fn audit(database: &Database, clock: &Clock) -> Result<AuditReport, DbError> {
    Audit::default().run(database, clock).await
}

impl Audit {
    /// An audit of what comes after now.
    ///
    /// # Errors
    /// [`DbError`] when the database cannot be read.
    pub async fn from_now(database: &Database, clock: &Clock) -> Result<Self, DbError> {
        let from = Some(clock.now());
        database
            .read(move |connection| {
                let checked = accounts(connection)?.into_iter().map(|row| (row.id, row.seq)).collect();
                let settled_to =
                    facts::read(connection, SETTLED_BELOW)?.and_then(|bytes| RequestId::from_slice(&bytes));
                Ok(Self { checked, from, settled_to })
            })
            .await
    }

    /// Checks what is new since the last run (everything, if there was none).
    ///
    /// # Errors
    /// [`DbError`] when the database cannot be read.
    pub async fn run(&mut self, database: &Database, clock: &Clock) -> Result<AuditReport, DbError> {
        let mut report = AuditReport::default();
        let now = clock.now();
        let from = self.from.map_or_else(RequestId::zero, |last| RequestId::floor(last.plus_ms(-LOOK_BACK_MS)));
        // Transfers and settlements first: the lines that they need were committed with them, so a later look finds them.
        page(database, from, &mut report.transfers, &mut report.violations, check_transfers).await?;
        if let Some(last) = self.from {
            let rare_from = RequestId::floor(last.plus_ms(-RARE_LOOK_BACK_MS));
            let check = move |connection: &mut Connection, after: RequestId, found: &mut Vec<Violation>| {
                check_rare(connection, after, from, found)
            };
            page(database, rare_from, &mut report.transfers, &mut report.violations, check).await?;
        }
        page(database, from, &mut report.requests, &mut report.violations, check_settlements).await?;
        // The same requests once more; they are counted above.
        page(database, from, &mut 0, &mut report.violations, check_charges).await?;
        self.check_lines(database, &mut report).await?;
        self.check_holds(database, now, &mut report).await?;
        if self.from.is_none() {
            report.violations.extend(database.read(check_sum).await?);
        }
        report.violations.truncate(MOST_VIOLATIONS);
        report.ok = report.violations.is_empty();
        self.from = Some(now);
        Ok(report)
    }

    async fn check_lines(&mut self, database: &Database, report: &mut AuditReport) -> Result<(), DbError> {
        let all = database.read(accounts).await?;
        for account in all {
            if account.newest != Some(account.seq) || account.newest_balance != Some(account.posted) {
                report.violations.push(Violation {
                    check: "posted_is_newest_line",
                    subject: format!("account {}", account.id),
                    detail: format!(
                        "posted {} at seq {}, but the newest line is {:?} at seq {:?}",
                        account.posted, account.seq, account.newest_balance, account.newest
                    ),
                });
            }
            let mut after = self.checked.get(&account.id).copied().unwrap_or(-1);
            while after < account.seq {
                let id = account.id;
                let rows: Vec<LineCheck> = database
                    .read(move |connection| {
                        Ok(Statement::new(sql!(rows::LINES), &[Value::Int(id), Value::Int(after), Value::Int(PAGE)])
                            .load(connection)?)
                    })
                    .await?;
                let Some(last) = rows.last() else { break };
                for (expected, row) in (after + 1..).zip(&rows) {
                    report.violations.extend(row.violation(expected));
                }
                report.lines += rows.len() as u64;
                after = last.seq;
            }
            report.violations.truncate(MOST_VIOLATIONS);
            self.checked.insert(account.id, after);
        }
        Ok(())
    }

    /// Every open hold is carried by its account, and nothing else is.
    async fn check_holds(
        &mut self,
        database: &Database,
        now: Timestamp,
        report: &mut AuditReport,
    ) -> Result<(), DbError> {
        let mut oldest_open: Option<RequestId> = None;
        let mut overdue = Vec::new();
        let mut after = Some(self.settled_to.unwrap_or_else(RequestId::zero));
        while let Some(start) = after {
            let rows: Vec<HoldCheck> = database
                .read(move |connection| {
                    Ok(Statement::new(sql!(rows::HOLDS), &[Value::Blob(start.as_bytes()), Value::Int(PAGE)])
                        .load(connection)?)
                })
                .await?;
            report.requests += rows.len() as u64;
            report.violations.extend(rows.iter().filter_map(HoldCheck::violation));
            report.violations.truncate(MOST_VIOLATIONS);
            for row in rows.iter().filter(|row| row.open) {
                let id =
                    RequestId::from_slice(&row.request_id).ok_or_else(|| DbError::Corrupt("a hold's id".to_owned()))?;
                oldest_open.get_or_insert(id);
                if now.since(Timestamp(row.expires_at)) > OVERDUE_MS && overdue.len() < MOST_VIOLATIONS {
                    overdue.push(id);
                }
            }
            after = last_of(rows.last().map(|row| &row.request_id), rows.len())?;
        }
        // Ids are made before their rows are committed: one that is older than the oldest open hold may have come in between.
        let quiet = RequestId::floor(now.plus_ms(-LOOK_BACK_MS));
        let settled_to = oldest_open.map_or(quiet, |oldest| oldest.min(quiet)).before();
        let found = database
            .read(move |connection| {
                let mut found = check_held(connection, settled_to)?;
                // While nobody serves, nobody sweeps: then an open hold waits for the next start.
                if served_lately(connection, now)? {
                    found.extend(overdue.into_iter().map(|id| Violation {
                        check: "hold_overdue",
                        subject: format!("request {id}"),
                        detail: "the hold is still open more than 60 s after its expiry".to_owned(),
                    }));
                }
                Ok(found)
            })
            .await?;
        report.violations.extend(found);
        self.settled_to = Some(settled_to);
        Ok(())
    }
}

/// Runs `check` over pages of ids from `from` on. It gives the last id that it saw, or `None` at the end.
async fn page<F>(
    database: &Database,
    from: RequestId,
    seen: &mut u64,
    violations: &mut Vec<Violation>,
    check: F,
) -> Result<(), DbError>
where
    F: Fn(&mut Connection, RequestId, &mut Vec<Violation>) -> Result<(u64, Option<RequestId>), DbError>
        + Copy
        + Send
        + 'static,
{
    let mut after = Some(from);
    while let Some(start) = after {
        let (count, next, found) = database
            .read(move |connection| {
                let mut found = Vec::new();
                let (count, next) = check(connection, start, &mut found)?;
                Ok((count, next, found))
            })
            .await?;
        *seen += count;
        violations.extend(found);
        violations.truncate(MOST_VIOLATIONS);
        after = next;
    }
    Ok(())
}

fn last_of(ids: Option<&Vec<u8>>, count: usize) -> Result<Option<RequestId>, DbError> {
    match ids {
        Some(bytes) if count as i64 == PAGE => RequestId::from_slice(bytes)
            .map(Some)
            .ok_or_else(|| DbError::Corrupt(format!("an id of {} bytes", bytes.len()))),
        _ => Ok(None),
    }
}

fn check_transfers(
    connection: &mut Connection,
    after: RequestId,
    found: &mut Vec<Violation>,
) -> Result<(u64, Option<RequestId>), DbError> {
    let rows: Vec<TransferCheck> =
        Statement::new(sql!(rows::TRANSFERS), &[Value::Blob(after.as_bytes()), Value::Int(PAGE)]).load(connection)?;
    transfers_of(&rows, found)
}

/// What is rare among the transfers after `after`, up to `last`.
fn check_rare(
    connection: &mut Connection,
    after: RequestId,
    last: RequestId,
    found: &mut Vec<Violation>,
) -> Result<(u64, Option<RequestId>), DbError> {
    let values = [Value::Blob(after.as_bytes()), Value::Blob(last.as_bytes()), Value::Int(PAGE)];
    let rows: Vec<TransferCheck> = Statement::new(sql!(rows::RARE_TRANSFERS), &values).load(connection)?;
    transfers_of(&rows, found)
}

fn transfers_of(rows: &[TransferCheck], found: &mut Vec<Violation>) -> Result<(u64, Option<RequestId>), DbError> {
    found.extend(rows.iter().filter_map(TransferCheck::violation));
    Ok((rows.len() as u64, last_of(rows.last().map(|row| &row.id), rows.len())?))
}

fn check_settlements(
    connection: &mut Connection,
    after: RequestId,
    found: &mut Vec<Violation>,
) -> Result<(u64, Option<RequestId>), DbError> {
    let rows: Vec<SettlementCheck> =
        Statement::new(sql!(rows::SETTLEMENTS), &[Value::Blob(after.as_bytes()), Value::Int(PAGE)]).load(connection)?;
    found.extend(rows.iter().filter_map(SettlementCheck::violation));
    Ok((rows.len() as u64, last_of(rows.last().map(|row| &row.request_id), rows.len())?))
}

fn check_charges(
    connection: &mut Connection,
    after: RequestId,
    found: &mut Vec<Violation>,
) -> Result<(u64, Option<RequestId>), DbError> {
    let rows: Vec<ChargeCheck> =
        Statement::new(sql!(charges::CHARGES), &[Value::Blob(after.as_bytes()), Value::Int(PAGE)]).load(connection)?;
    found.extend(rows.iter().filter_map(ChargeCheck::violation));
    Ok((rows.len() as u64, last_of(rows.last().map(|row| &row.request_id), rows.len())?))
}

fn check_held(connection: &mut Connection, settled_to: RequestId) -> Result<Vec<Violation>, DbError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        id: i64,
        #[diesel(sql_type = BigInt)]
        held: i64,
        #[diesel(sql_type = BigInt)]
        open: i64,
    }
    let rows: Vec<Row> = Statement::new(sql!(rows::HELD), &[Value::Blob(settled_to.as_bytes())]).load(connection)?;
    Ok(rows
        .into_iter()
        .map(|row| Violation {
            check: "held_is_open_holds",
            subject: format!("account {}", row.id),
            detail: format!("held is {}, but its open holds sum to {}", row.held, row.open),
        })
        .collect())
}

fn served_lately(connection: &mut Connection, now: Timestamp) -> Result<bool, DbError> {
    use crate::db::schema::processes::dsl::{processes, seen_at};
    let now = db::now(connection, now)?;
    let alive: i64 = processes.filter(seen_at.gt(now.plus_ms(-ALIVE_MS).0)).count().get_result(connection)?;
    Ok(alive > 0)
}

fn check_sum(connection: &mut Connection) -> Result<Vec<Violation>, DbError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        customers_high: i64,
        #[diesel(sql_type = BigInt)]
        customers_low: i64,
        #[diesel(sql_type = BigInt)]
        house_high: i64,
        #[diesel(sql_type = BigInt)]
        house_low: i64,
    }
    let first = Value::Int(FIRST_CUSTOMER);
    let row: Row = Statement::new(sql!(rows::SUM), &[first, first]).get_result(connection)?;
    // Summed in halves: all balances together may leave the range of 64 bits.
    let customers = whole(row.customers_high, row.customers_low);
    let house = whole(row.house_high, row.house_low);
    if customers + house == 0 {
        return Ok(Vec::new());
    }
    Ok(vec![Violation {
        check: "customers_and_house_sum_to_zero",
        subject: "ledger".to_owned(),
        detail: format!("customers have {customers}, the house {house}"),
    }])
}

#[derive(QueryableByName)]
struct AccountCheck {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = BigInt)]
    posted: i64,
    #[diesel(sql_type = BigInt)]
    seq: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    newest: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    newest_balance: Option<i64>,
}

fn accounts(connection: &mut Connection) -> Result<Vec<AccountCheck>, DbError> {
    Ok(Statement::new(sql!(rows::ACCOUNTS), &[]).load(connection)?)
}

fn is_customer(account: i64) -> bool {
    TenantId(account).0 >= FIRST_CUSTOMER
}

/// The accounts that a transfer of this kind may join.
fn sides_fit(kind: &str, debit: i64, credit: i64) -> bool {
    match kind {
        "opening" => debit == credit && is_customer(debit),
        "top_up" => TopUpSource::of_account(debit).is_some() && is_customer(credit),
        "capture" => is_customer(debit) && credit == REVENUE,
        "write_off" => debit == WRITE_OFF && credit == REVENUE,
        "reversal" if is_customer(debit) => TopUpSource::of_account(credit).is_some(),
        "reversal" => debit == REVENUE && (is_customer(credit) || credit == WRITE_OFF),
        _ => false,
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    RequestId::from_slice(bytes).map_or_else(|| format!("{bytes:02x?}"), |id| id.to_string())
}

fn unknown_word(word: Option<&String>) -> &str {
    word.map_or("none", String::as_str)
}

type NullableText = Nullable<Text>;
