//! Reading what a batch's decisions need, and writing what they gave. The deciding is the same on both engines; the shapes of the
//! statements differ, because a round trip costs nothing on one and most of the time on the other.

mod idempotency;
mod postgres;
mod sqlite;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Nullable};

use super::LedgerError;
use super::decide::{Decided, decide_all};
use super::operation::{Operation, Outcome, Settlement, SettlementOutcome, TopUpSource};
use super::state::{ReferredRow, State, TopUpRow};
use crate::clock::Timestamp;
use crate::db::{Connection, DbError, Statement, Value, sql};
use crate::id::{TenantId, TransferId};
use crate::money::Amount;

/// What locks the accounts that `operations` touch, where not the whole database is locked anyway.
pub(super) fn lock(operations: &[Operation]) -> String {
    postgres::lock(operations)
}

/// Decides and writes `operations` in the order given, inside the caller's transaction that holds their [`lock`].
///
/// # Errors
/// The database failed: roll back, none of them was carried out.
pub(super) fn run_batch<'a>(
    connection: &mut Connection,
    operations: &'a [Operation],
    now: Timestamp,
) -> Result<Decided<'a>, DbError> {
    let mut state = State::default();
    match connection {
        Connection::Postgres(_) => postgres::read(connection, &mut state, operations, now)?,
        Connection::Sqlite(_) => sqlite::read(connection, &mut state, operations, now)?,
    }
    let decided = decide_all(state, operations);
    write(connection, &decided, now)?;
    Ok(decided)
}

/// Writes what was decided: on PostgreSQL in one statement (but for what belongs to marks), which fails where an account is not what the decisions started from.
///
/// # Errors
/// The database failed: nothing of it was written, or all has to be rolled back.
pub(super) fn write(connection: &mut Connection, decided: &Decided<'_>, now: Timestamp) -> Result<(), DbError> {
    let Decided { state, effects, .. } = decided;
    if effects.is_empty() {
        return Ok(());
    }
    match connection {
        Connection::Postgres(_) => postgres::write(connection, state, effects, now)?,
        Connection::Sqlite(_) => sqlite::write(connection, state, effects, now)?,
    }
    idempotency::write(connection, effects, now)
}

/// Decides and writes one operation inside the caller's transaction, for whoever is not the writer (a command).
///
/// # Errors
/// [`LedgerError`]; roll back then.
pub fn apply_one(connection: &mut Connection, operation: Operation, now: Timestamp) -> Result<Outcome, LedgerError> {
    let operations = [operation];
    if let Connection::Postgres(connection) = connection {
        connection.batch_execute(&lock(&operations)).map_err(DbError::from)?;
    }
    run_batch(connection, &operations, now)?.outcomes.pop().unwrap_or(Err(LedgerError::Stopped))
}

/// Opens a customer's account: an empty balance and line 0, which every later line leads back to.
///
/// # Errors
/// [`DbError::Query`] when the account exists.
pub fn open_account(connection: &mut Connection, tenant: TenantId, now: Timestamp) -> Result<(), DbError> {
    let opening = TransferId::new();
    let account = Value::Int(tenant.0);
    Statement::new(sql!("INSERT INTO accounts (id, kind) VALUES (?, 'customer')"), &[account]).touch_one(connection)?;
    Statement::new(
        sql!("INSERT INTO transfers (id, kind, debit, credit, amount, created_at) VALUES (?, 'opening', ?, ?, 0, ?)"),
        &[Value::Blob(opening.as_bytes()), account, account, Value::Int(now.0)],
    )
    .touch_one(connection)?;
    Statement::new(sql!(
        "INSERT INTO lines (account, seq, transfer, delta, prev_seq, prev_balance, balance) VALUES (?, 0, ?, 0, 0, 0, 0)"),
        &[account, Value::Blob(opening.as_bytes())],
    )
    .touch_one(connection)?;
    Ok(())
}

fn settlement(outcome: Option<&str>, amount: Option<i64>) -> Result<Option<Settlement>, DbError> {
    let (Some(word), Some(amount)) = (outcome, amount) else { return Ok(None) };
    let outcome =
        SettlementOutcome::from_word(word).ok_or_else(|| DbError::Corrupt(format!("settlement outcome {word}")))?;
    Ok(Some(Settlement { outcome, amount: Amount::from_nanos(amount) }))
}

/// Reads the top-up that a reference names; a single row on both engines, since people pay one at a time.
fn read_reference<'a>(
    connection: &mut Connection,
    state: &mut State<'a>,
    tenant: TenantId,
    reference: &'a str,
) -> Result<(), DbError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Binary)]
        id: Vec<u8>,
        #[diesel(sql_type = BigInt)]
        amount: i64,
        #[diesel(sql_type = BigInt)]
        debit: i64,
    }
    let key = (tenant, reference);
    if state.references.contains_key(&key) {
        return Ok(());
    }
    let row: Option<Row> = Statement::new(
        sql!("SELECT id, amount, debit FROM transfers WHERE credit = ? AND reference = ? AND reference IS NOT NULL"),
        &[Value::Int(tenant.0), Value::Text(reference)],
    )
    .get_result(connection)
    .optional()?;
    let found = match row {
        None => None,
        Some(row) => Some(ReferredRow {
            id: transfer_id(&row.id)?,
            amount: Amount::from_nanos(row.amount),
            source: source(row.debit)?,
        }),
    };
    state.references.insert(key, found);
    Ok(())
}

/// Reads a top-up and what was taken back of it; a single row on both engines, for the same reason.
fn read_top_up(connection: &mut Connection, state: &mut State<'_>, id: TransferId) -> Result<(), DbError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        account: i64,
        #[diesel(sql_type = BigInt)]
        debit: i64,
        #[diesel(sql_type = BigInt)]
        amount: i64,
        #[diesel(sql_type = Nullable<Binary>)]
        reversal: Option<Vec<u8>>,
        #[diesel(sql_type = Nullable<BigInt>)]
        recovered: Option<i64>,
    }
    if state.top_ups.contains_key(&id) {
        return Ok(());
    }
    let row: Option<Row> = Statement::new(
        sql!(
            "SELECT t.credit AS account, t.debit, t.amount, r.id AS reversal, r.amount AS recovered FROM transfers t \
             LEFT JOIN transfers r ON r.reverses = t.id AND r.reverses IS NOT NULL WHERE t.id = ? AND t.kind = 'top_up'"
        ),
        &[Value::Blob(id.as_bytes())],
    )
    .get_result(connection)
    .optional()?;
    let found = match row {
        None => None,
        Some(row) => Some(TopUpRow {
            account: TenantId(row.account),
            amount: Amount::from_nanos(row.amount),
            source: source(row.debit)?,
            reversal: transfer_of(row.reversal, row.recovered)?,
        }),
    };
    state.top_ups.insert(id, found);
    Ok(())
}

fn source(debit: i64) -> Result<TopUpSource, DbError> {
    TopUpSource::of_account(debit).ok_or_else(|| DbError::Corrupt(format!("a top-up from account {debit}")))
}

/// A transfer that may be there, and how much it moved.
fn transfer_of(id: Option<Vec<u8>>, amount: Option<i64>) -> Result<Option<(TransferId, Amount)>, DbError> {
    let (Some(id), Some(amount)) = (id, amount) else { return Ok(None) };
    Ok(Some((transfer_id(&id)?, Amount::from_nanos(amount))))
}

fn transfer_id(bytes: &[u8]) -> Result<TransferId, DbError> {
    TransferId::from_slice(bytes).ok_or_else(|| DbError::Corrupt(format!("a transfer id of {} bytes", bytes.len())))
}
