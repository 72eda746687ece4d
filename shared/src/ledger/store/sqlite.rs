//! SQLite: cached statements of one row each, which is the fastest shape there (there is no round trip to save).

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Nullable, Text};

use super::super::operation::Operation;
use super::super::state::{AccountRow, CaptureRow, Change, ChargeRow, Effects, HoldRow, Numbers, State, Transfer};
use super::idempotency;
use super::{read_reference, read_top_up, settlement, transfer_of};
use crate::clock::Timestamp;
use crate::db::{Connection, DbError, Statement, Value, sql};
use crate::id::{RequestId, TenantId};
use crate::money::Amount;

/// Reads what deciding `operations` needs.
pub(super) fn read<'a>(
    connection: &mut Connection,
    state: &mut State<'a>,
    operations: &'a [Operation],
    now: Timestamp,
) -> Result<(), DbError> {
    operations.iter().try_for_each(|operation| load(connection, state, operation, now))
}

fn load<'a>(
    connection: &mut Connection,
    state: &mut State<'a>,
    operation: &'a Operation,
    now: Timestamp,
) -> Result<(), DbError> {
    match operation {
        Operation::Hold(hold) => {
            load_hold(connection, state, hold.request_id)?;
            if let Some(mark) = &hold.idempotency
                && let Some(first) = idempotency::read(connection, state, hold.account, mark, now)?
            {
                load_hold(connection, state, first)?;
                load_capture(connection, state, first)?;
            }
            load_account(connection, state, hold.account)
        }
        Operation::Capture(capture) => load_hold(connection, state, capture.request_id),
        Operation::End { request_id, .. } => load_hold(connection, state, *request_id),
        Operation::TopUp(top_up) => {
            load_account(connection, state, top_up.account)?;
            read_reference(connection, state, top_up.account, &top_up.reference)
        }
        Operation::ReverseCapture { request_id, .. } => load_capture(connection, state, *request_id),
        Operation::ReverseTopUp { account, transfer, .. } => {
            load_account(connection, state, *account)?;
            read_top_up(connection, state, *transfer)
        }
    }
}

fn load_account(connection: &mut Connection, state: &mut State<'_>, tenant: TenantId) -> Result<(), DbError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        posted: i64,
        #[diesel(sql_type = BigInt)]
        held: i64,
        #[diesel(sql_type = BigInt)]
        seq: i64,
    }
    if state.accounts.contains_key(&tenant) {
        return Ok(());
    }
    let row: Option<Row> = Statement::new(
        sql!("SELECT posted, held, seq FROM accounts WHERE id = ? AND kind = 'customer'"),
        &[Value::Int(tenant.0)],
    )
    .get_result(connection)
    .optional()?;
    let account = row.map(|row| {
        let (posted, held) = (Amount::from_nanos(row.posted), Amount::from_nanos(row.held));
        AccountRow::starting_with(Numbers { posted, held, seq: row.seq })
    });
    state.accounts.insert(tenant, account);
    Ok(())
}

fn load_hold(connection: &mut Connection, state: &mut State<'_>, request_id: RequestId) -> Result<(), DbError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        account: i64,
        #[diesel(sql_type = BigInt)]
        amount: i64,
        #[diesel(sql_type = Nullable<Text>)]
        outcome: Option<String>,
        #[diesel(sql_type = Nullable<BigInt>)]
        settled: Option<i64>,
    }
    if state.holds.contains_key(&request_id) {
        return Ok(());
    }
    let row: Option<Row> = Statement::new(
        sql!(
            "SELECT h.account, h.amount, s.outcome, s.amount AS settled FROM holds h \
         LEFT JOIN settlements s ON s.request_id = h.request_id WHERE h.request_id = ?"
        ),
        &[Value::Blob(request_id.as_bytes())],
    )
    .get_result(connection)
    .optional()?;
    let hold = match row {
        None => None,
        Some(row) => {
            let settlement = settlement(row.outcome.as_deref(), row.settled)?;
            let account = TenantId(row.account);
            load_account(connection, state, account)?;
            Some(HoldRow { account, amount: Amount::from_nanos(row.amount), settlement })
        }
    };
    state.holds.insert(request_id, hold);
    Ok(())
}

fn load_capture(connection: &mut Connection, state: &mut State<'_>, request_id: RequestId) -> Result<(), DbError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        account: i64,
        #[diesel(sql_type = BigInt)]
        paid: i64,
        #[diesel(sql_type = Nullable<Binary>)]
        write_off: Option<Vec<u8>>,
        #[diesel(sql_type = Nullable<BigInt>)]
        written_off: Option<i64>,
        #[diesel(sql_type = BigInt)]
        reversals: i64,
    }
    let row: Option<Row> = Statement::new(
        sql!(
            "SELECT t.debit AS account, t.amount AS paid, w.id AS write_off, w.amount AS written_off, \
         (SELECT count(*) FROM transfers r WHERE r.reverses = t.id) AS reversals FROM transfers t \
         LEFT JOIN transfers w ON w.kind = 'write_off' AND w.request_id = t.id WHERE t.id = ? AND t.kind = 'capture'"
        ),
        &[Value::Blob(request_id.as_bytes())],
    )
    .get_result(connection)
    .optional()?;
    let capture = match row {
        None => None,
        Some(row) => {
            let account = TenantId(row.account);
            load_account(connection, state, account)?;
            let written_off = transfer_of(row.write_off, row.written_off)?;
            Some(CaptureRow { account, paid: Amount::from_nanos(row.paid), written_off, reversed: row.reversals > 0 })
        }
    };
    state.captures.insert(request_id, capture);
    Ok(())
}

/// Writes what the decisions gave. Parents before children, because SQLite checks a foreign key at once; accounts last, because their check needs the newest lines.
pub(super) fn write(
    connection: &mut Connection,
    state: &State<'_>,
    effects: &Effects<'_>,
    now: Timestamp,
) -> Result<(), DbError> {
    let now = Value::Int(now.0);
    for hold in &effects.holds {
        Statement::new(sql!(
            "INSERT INTO holds (request_id, account, amount, owner, expires_at, price_version) VALUES (?, ?, ?, ?, ?, ?)"),
            &[
                Value::Blob(hold.request_id.as_bytes()),
                Value::Int(hold.account.0),
                Value::Int(hold.amount.nanos()),
                Value::Blob(hold.owner.as_bytes()),
                Value::Int(hold.expires_at.0),
                Value::Int(hold.price_version.0),
            ],
        )
        .touch_one(connection)?;
    }
    for (request_id, settlement) in &effects.settlements {
        Statement::new(
            sql!("INSERT INTO settlements (request_id, outcome, amount, settled_at) VALUES (?, ?, ?, ?)"),
            &[
                Value::Blob(request_id.as_bytes()),
                Value::Text(settlement.outcome.as_str()),
                Value::Int(settlement.amount.nanos()),
                now,
            ],
        )
        .touch_one(connection)?;
    }
    for transfer in &effects.transfers {
        write_transfer(connection, transfer, now)?;
    }
    for line in &effects.lines {
        Statement::new(sql!(
            "INSERT INTO lines (account, seq, transfer, delta, prev_seq, prev_balance, balance) VALUES (?, ?, ?, ?, ?, ?, ?)"),
            &[
                Value::Int(line.account.0),
                Value::Int(line.seq),
                Value::Blob(line.transfer.as_bytes()),
                Value::Int(line.delta),
                Value::Int(line.seq - 1),
                Value::Int(line.prev_balance.nanos()),
                Value::Int(line.balance.nanos()),
            ],
        )
        .touch_one(connection)?;
    }
    for charge in &effects.charges {
        write_charge(connection, charge, now)?;
    }
    for (tenant, account) in &state.accounts {
        match account {
            Some(account) if account.change == Change::Posted => Statement::new(
                sql!("UPDATE accounts SET posted = ?, held = ?, seq = ? WHERE id = ?"),
                &[
                    Value::Int(account.posted.nanos()),
                    Value::Int(account.held.nanos()),
                    Value::Int(account.seq),
                    Value::Int(tenant.0),
                ],
            )
            .touch_one(connection)?,
            // Spares the look at the newest line.
            Some(account) if account.change == Change::Held => Statement::new(
                sql!("UPDATE accounts SET held = ? WHERE id = ?"),
                &[Value::Int(account.held.nanos()), Value::Int(tenant.0)],
            )
            .touch_one(connection)?,
            _ => {}
        }
    }
    Ok(())
}

fn write_transfer(connection: &mut Connection, transfer: &Transfer<'_>, now: Value<'_>) -> Result<(), DbError> {
    Statement::new(sql!(
        "INSERT INTO transfers (id, kind, debit, credit, amount, request_id, reverses, reference, note, created_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
        &[
            Value::Blob(transfer.id.as_bytes()),
            Value::Text(transfer.kind.as_str()),
            Value::Int(transfer.debit),
            Value::Int(transfer.credit),
            Value::Int(transfer.amount.nanos()),
            Value::MaybeBlob(transfer.request_id.as_ref().map(|id| id.as_bytes().as_slice())),
            Value::MaybeBlob(transfer.reverses.as_ref().map(|id| id.as_bytes().as_slice())),
            Value::MaybeText(transfer.reference),
            Value::MaybeText(transfer.note),
            now,
        ],
    )
    .touch_one(connection)?;
    Ok(())
}

fn write_charge(connection: &mut Connection, row: &ChargeRow<'_>, now: Value<'_>) -> Result<(), DbError> {
    let charge = row.charge;
    Statement::new(
        sql!(
            "INSERT INTO charges (account, request_id, key_id, endpoint, model, end_user, price_version, basis, \
         prompt_hanzi, prompt_words, prompt_tokens, completion_hanzi, completion_words, completion_tokens, \
         upstream_prompt, upstream_completion, images, image_size, prompt_price, completion_price, image_price, \
         prompt_cost, completion_cost, image_cost, written_off, finished_early, charged_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        ),
        &[
            Value::Int(row.account.0),
            Value::Blob(row.request_id.as_bytes()),
            Value::Text(charge.key.as_str()),
            Value::Text(charge.endpoint.name()),
            Value::Text(&charge.model),
            Value::MaybeText(charge.end_user.as_deref()),
            Value::Int(charge.price_version.0),
            Value::Text(charge.basis.as_str()),
            Value::Int(charge.prompt.hanzi),
            Value::Int(charge.prompt.words),
            Value::Int(charge.prompt.tokens),
            Value::Int(charge.completion.hanzi),
            Value::Int(charge.completion.words),
            Value::Int(charge.completion.tokens),
            Value::MaybeInt(charge.upstream.map(|(prompt, _)| prompt)),
            Value::MaybeInt(charge.upstream.map(|(_, completion)| completion)),
            Value::Int(charge.images),
            Value::MaybeText(charge.image_size.as_deref()),
            Value::Int(charge.prompt_price.nanos()),
            Value::Int(charge.completion_price.nanos()),
            Value::Int(charge.image_price.nanos()),
            Value::Int(charge.prompt_cost.nanos()),
            Value::Int(charge.completion_cost.nanos()),
            Value::Int(charge.image_cost.nanos()),
            Value::Int(row.written_off.nanos()),
            Value::Flag(charge.finished_early),
            now,
        ],
    )
    .touch_one(connection)?;
    Ok(())
}
