//! PostgreSQL: a round trip costs more than the work, so a batch is read in one statement and written in one.
//!
//! The accounts are locked before that, in the round trip that begins the transaction. It has to be a statement of its own: one that
//! locked and read would see holds and settlements as they were before it waited for the lock. Holds are looked up one by one inside the
//! statement (`LATERAL` with `OFFSET 0`), because for `= ANY` the server may keep a plan that was made while the table was empty, and read
//! all of it for ever.

use std::collections::BTreeSet;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Bool, Nullable, Text};

use super::super::operation::{Operation, Settlement};
use super::super::state::{AccountRow, CaptureRow, Change, ChargeRow, Effects, HoldRow, Numbers, State};
use super::idempotency;
use super::{read_reference, read_top_up, settlement, transfer_of};
use crate::clock::Timestamp;
use crate::db::{Column, Connection, DbError, Statement, Value, sql};
use crate::id::{RequestId, TenantId};
use crate::money::Amount;

/// Locks the accounts that `operations` touch: sorted, so that two writers never wait for each other in a circle.
pub(super) fn lock(operations: &[Operation]) -> String {
    let ids: BTreeSet<i64> = operations.iter().map(|operation| operation.account().0).collect();
    let ids: Vec<String> = ids.iter().map(i64::to_string).collect();
    format!("SELECT lock_accounts('{{{}}}')", ids.join(","))
}

/// Reads what deciding `operations` needs, under the lock of their accounts.
pub(super) fn read<'a>(
    connection: &mut Connection,
    state: &mut State<'a>,
    operations: &'a [Operation],
    now: Timestamp,
) -> Result<(), DbError> {
    let (mut requests, mut reversed) = (Vec::new(), Vec::new());
    for operation in operations {
        state.accounts.insert(operation.account(), None);
        match operation {
            Operation::Hold(hold) => {
                requests.push(hold.request_id);
                if let Some(mark) = &hold.idempotency
                    && let Some(first) = idempotency::read(connection, state, hold.account, mark, now)?
                {
                    requests.push(first);
                    reversed.push(first);
                }
            }
            Operation::Capture(capture) => requests.push(capture.request_id),
            Operation::End { request_id, .. } => requests.push(*request_id),
            Operation::ReverseCapture { request_id, .. } => reversed.push(*request_id),
            Operation::TopUp(top_up) => read_reference(connection, state, top_up.account, &top_up.reference)?,
            Operation::ReverseTopUp { transfer, .. } => read_top_up(connection, state, *transfer)?,
        }
    }
    state.holds.extend(requests.iter().map(|request_id| (*request_id, None)));
    read_accounts_and_holds(connection, state, &requests)?;
    if !reversed.is_empty() {
        read_captures(connection, state, &reversed)?;
    }
    Ok(())
}

fn blobs(ids: &[RequestId]) -> Column<'_> {
    Column::Blobs(ids.iter().map(|id| id.as_bytes().as_slice()).collect())
}

fn read_accounts_and_holds(
    connection: &mut Connection,
    state: &mut State<'_>,
    requests: &[RequestId],
) -> Result<(), DbError> {
    /// An account, or a hold if it has a `request_id`.
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Nullable<Binary>)]
        request_id: Option<Vec<u8>>,
        #[diesel(sql_type = BigInt)]
        account: i64,
        #[diesel(sql_type = BigInt)]
        posted: i64,
        #[diesel(sql_type = BigInt)]
        held: i64,
        #[diesel(sql_type = BigInt)]
        seq: i64,
        #[diesel(sql_type = Nullable<Text>)]
        outcome: Option<String>,
        #[diesel(sql_type = Nullable<BigInt>)]
        settled: Option<i64>,
    }
    let accounts = Column::Ints(state.accounts.keys().map(|account| account.0).collect());
    let requests = blobs(requests);
    let rows: Vec<Row> = Statement::new(
        sql!(
            "SELECT NULL::bytea AS request_id, id AS account, posted, held, seq, NULL::text AS outcome, NULL::bigint AS settled \
             FROM accounts WHERE id = ANY(?::bigint[]) AND kind = 'customer' \
             UNION ALL SELECT h.request_id, h.account, 0, h.amount, 0, s.outcome, s.amount FROM unnest(?::bytea[]) AS q(id) \
             CROSS JOIN LATERAL (SELECT request_id, account, amount FROM holds WHERE request_id = q.id OFFSET 0) h \
             LEFT JOIN LATERAL (SELECT outcome, amount FROM settlements WHERE request_id = q.id OFFSET 0) s ON TRUE"
        ),
        &[Value::Column(&accounts), Value::Column(&requests)],
    )
    .load(connection)?;
    for row in rows {
        let (account, held) = (TenantId(row.account), Amount::from_nanos(row.held));
        if let Some(request_id) = row.request_id {
            let request_id =
                RequestId::from_slice(&request_id).ok_or_else(|| DbError::Corrupt("a hold's id".to_owned()))?;
            let settlement = settlement(row.outcome.as_deref(), row.settled)?;
            state.holds.insert(request_id, Some(HoldRow { account, amount: held, settlement }));
        } else {
            let posted = Amount::from_nanos(row.posted);
            let start = Numbers { posted, held, seq: row.seq };
            state.accounts.insert(account, Some(AccountRow::starting_with(start)));
        }
    }
    Ok(())
}

fn read_captures(connection: &mut Connection, state: &mut State<'_>, requests: &[RequestId]) -> Result<(), DbError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Binary)]
        id: Vec<u8>,
        #[diesel(sql_type = BigInt)]
        account: i64,
        #[diesel(sql_type = BigInt)]
        paid: i64,
        #[diesel(sql_type = Nullable<Binary>)]
        write_off: Option<Vec<u8>>,
        #[diesel(sql_type = Nullable<BigInt>)]
        written_off: Option<i64>,
        #[diesel(sql_type = Bool)]
        reversed: bool,
    }
    for &request_id in requests {
        state.captures.insert(request_id, None);
    }
    let requests = blobs(requests);
    let rows: Vec<Row> = Statement::new(
        sql!(
            "SELECT t.id, t.debit AS account, t.amount AS paid, w.id AS write_off, w.amount AS written_off, \
             EXISTS (SELECT 1 FROM transfers r WHERE r.reverses = t.id) AS reversed FROM unnest(?::bytea[]) AS q(id) \
             CROSS JOIN LATERAL (SELECT id, debit, amount FROM transfers WHERE id = q.id AND kind = 'capture' OFFSET 0) t \
             LEFT JOIN LATERAL (SELECT id, amount FROM transfers WHERE kind = 'write_off' AND request_id = q.id OFFSET 0) w ON TRUE"
        ),
        &[Value::Column(&requests)],
    )
    .load(connection)?;
    for row in rows {
        let request_id = RequestId::from_slice(&row.id).ok_or_else(|| DbError::Corrupt("a capture's id".to_owned()))?;
        let (account, paid) = (TenantId(row.account), Amount::from_nanos(row.paid));
        let written_off = transfer_of(row.write_off, row.written_off)?;
        state.captures.insert(request_id, Some(CaptureRow { account, paid, written_off, reversed: row.reversed }));
    }
    Ok(())
}

/// The parts of the statement that writes a batch. The columns stand side by side in the select list, where they are read in step; one
/// `unnest` of them all in FROM would first keep each of them in a store of its own, a fifth of the statement's time.
macro_rules! part {
    (holds) => {
        "h AS (INSERT INTO holds (request_id, account, amount, owner, expires_at, price_version) \
         SELECT unnest(?::bytea[]), unnest(?::bigint[]), unnest(?::bigint[]), unnest(?::bytea[]), unnest(?::bigint[]), \
         unnest(?::bigint[]))"
    };
    (settled) => {
        "s AS (INSERT INTO settlements (request_id, outcome, amount, settled_at) \
         SELECT unnest(?::bytea[]), unnest(?::text[]), unnest(?::bigint[]), ?::bigint), \
         t AS (INSERT INTO transfers (id, kind, debit, credit, amount, request_id, reverses, reference, note, created_at) \
         SELECT unnest(?::bytea[]), unnest(?::text[]), unnest(?::bigint[]), unnest(?::bigint[]), unnest(?::bigint[]), \
         unnest(?::bytea[]), unnest(?::bytea[]), unnest(?::text[]), unnest(?::text[]), ?::bigint), \
         l AS (INSERT INTO lines (account, seq, transfer, delta, prev_seq, prev_balance, balance) \
         SELECT unnest(?::bigint[]), unnest(?::bigint[]), unnest(?::bytea[]), unnest(?::bigint[]), unnest(?::bigint[]), \
         unnest(?::bigint[]), unnest(?::bigint[])), \
         c AS (INSERT INTO charges (account, request_id, key_id, endpoint, model, end_user, price_version, basis, \
         prompt_hanzi, prompt_words, prompt_tokens, completion_hanzi, completion_words, completion_tokens, \
         upstream_prompt, upstream_completion, images, image_size, prompt_price, completion_price, image_price, \
         prompt_cost, completion_cost, image_cost, written_off, finished_early, charged_at) \
         SELECT unnest(?::bigint[]), unnest(?::bytea[]), unnest(?::text[]), unnest(?::text[]), unnest(?::text[]), \
         unnest(?::text[]), unnest(?::bigint[]), unnest(?::text[]), \
         unnest(?::bigint[]), unnest(?::bigint[]), unnest(?::bigint[]), unnest(?::bigint[]), unnest(?::bigint[]), \
         unnest(?::bigint[]), unnest(?::bigint[]), unnest(?::bigint[]), unnest(?::bigint[]), unnest(?::text[]), \
         unnest(?::bigint[]), unnest(?::bigint[]), unnest(?::bigint[]), unnest(?::bigint[]), unnest(?::bigint[]), \
         unnest(?::bigint[]), unnest(?::bigint[]), unnest(?::boolean[]), ?::bigint)"
    };
    // Where an account is not as the decisions found it, `held` below zero breaks a CHECK and with it the whole statement. The row that is
    // compared is the newest: one that waits for a lock works its expressions out again by what it waited for.
    (accounts) => {
        " UPDATE accounts SET posted = v.posted, seq = v.seq, held = CASE WHEN accounts.posted = v.start_posted \
         AND accounts.held = v.start_held AND accounts.seq = v.start_seq THEN v.held ELSE -1 END \
         FROM (SELECT unnest(?::bigint[]) AS id, unnest(?::bigint[]) AS posted, unnest(?::bigint[]) AS held, \
         unnest(?::bigint[]) AS seq, unnest(?::bigint[]) AS start_posted, unnest(?::bigint[]) AS start_held, \
         unnest(?::bigint[]) AS start_seq) v WHERE accounts.id = v.id"
    };
}

/// Writes what the decisions gave, in one statement that fails as a whole where an account is no longer as they found it. The accounts come
/// first, so that whoever works on the same ones waits before it has written anything; foreign keys and triggers come at the end.
/// A table that gets no rows would still cost its triggers, so what a batch of one kind does not need is left out.
pub(super) fn write(
    connection: &mut Connection,
    state: &State<'_>,
    effects: &Effects<'_>,
    now: Timestamp,
) -> Result<(), DbError> {
    let changed: Vec<(i64, &AccountRow)> = state
        .accounts
        .iter()
        .filter_map(|(tenant, account)| Some((tenant.0, account.as_ref()?)))
        .filter(|(_, account)| account.change != Change::None)
        .collect();
    let accounts = [
        Column::Ints(changed.iter().map(|(id, _)| *id).collect()),
        Column::Ints(changed.iter().map(|(_, account)| account.posted.nanos()).collect()),
        Column::Ints(changed.iter().map(|(_, account)| account.held.nanos()).collect()),
        Column::Ints(changed.iter().map(|(_, account)| account.seq).collect()),
        Column::Ints(changed.iter().map(|(_, account)| account.start.posted.nanos()).collect()),
        Column::Ints(changed.iter().map(|(_, account)| account.start.held.nanos()).collect()),
        Column::Ints(changed.iter().map(|(_, account)| account.start.seq).collect()),
    ];
    let holds = holds(effects);
    let (settlements, transfers) = (settlements(&effects.settlements), transfers(effects));
    let (lines, charges) = (lines(effects), charges(&effects.charges));
    let now = [Value::Int(now.0)];
    let (holds, accounts) = (holds.each_ref().map(Value::Column), accounts.each_ref().map(Value::Column));
    let (settlements, transfers) = (settlements.each_ref().map(Value::Column), transfers.each_ref().map(Value::Column));
    let (lines, charges) = (lines.each_ref().map(Value::Column), charges.each_ref().map(Value::Column));
    let settled: [&[Value<'_>]; 7] = [&settlements, &now, &transfers, &now, &lines, &charges, &now];
    let settled = settled.concat();

    let only_holds = effects.settlements.is_empty() && effects.transfers.is_empty();
    if only_holds {
        Statement::new(sql!(concat!("WITH ", part!(holds), part!(accounts))), &joined::<13>(&[&holds, &accounts])?)
            .touch(changed.len(), connection)?;
    } else if effects.holds.is_empty() {
        Statement::new(sql!(concat!("WITH ", part!(settled), part!(accounts))), &joined::<55>(&[&settled, &accounts])?)
            .touch(changed.len(), connection)?;
    } else {
        let sql = sql!(concat!("WITH ", part!(holds), ", ", part!(settled), part!(accounts)));
        Statement::new(sql, &joined::<61>(&[&holds, &settled, &accounts])?).touch(changed.len(), connection)?;
    }
    Ok(())
}

/// The values of several parts, as many as the statement has `?` (another number than the statement's does not compile).
fn joined<'a, const VALUES: usize>(parts: &[&[Value<'a>]]) -> QueryResult<[Value<'a>; VALUES]> {
    parts.concat().try_into().map_err(|values: Vec<_>| {
        diesel::result::Error::QueryBuilderError(format!("{} values for {VALUES} places", values.len()).into())
    })
}

fn holds<'a>(effects: &Effects<'a>) -> [Column<'a>; 6] {
    let rows = &effects.holds;
    [
        Column::Blobs(rows.iter().map(|row| row.request_id.as_bytes().as_slice()).collect()),
        Column::Ints(rows.iter().map(|row| row.account.0).collect()),
        Column::Ints(rows.iter().map(|row| row.amount.nanos()).collect()),
        Column::Blobs(rows.iter().map(|row| row.owner.as_bytes().as_slice()).collect()),
        Column::Ints(rows.iter().map(|row| row.expires_at.0).collect()),
        Column::Ints(rows.iter().map(|row| row.price_version.0).collect()),
    ]
}

fn settlements(rows: &[(RequestId, Settlement)]) -> [Column<'_>; 3] {
    [
        Column::Blobs(rows.iter().map(|(request_id, _)| request_id.as_bytes().as_slice()).collect()),
        Column::Texts(rows.iter().map(|(_, settlement)| settlement.outcome.as_str()).collect()),
        Column::Ints(rows.iter().map(|(_, settlement)| settlement.amount.nanos()).collect()),
    ]
}

fn transfers<'a>(effects: &'a Effects<'_>) -> [Column<'a>; 9] {
    let rows = &effects.transfers;
    [
        Column::Blobs(rows.iter().map(|row| row.id.as_bytes().as_slice()).collect()),
        Column::Texts(rows.iter().map(|row| row.kind.as_str()).collect()),
        Column::Ints(rows.iter().map(|row| row.debit).collect()),
        Column::Ints(rows.iter().map(|row| row.credit).collect()),
        Column::Ints(rows.iter().map(|row| row.amount.nanos()).collect()),
        Column::MaybeBlobs(rows.iter().map(|row| row.request_id.as_ref().map(|id| id.as_bytes().as_slice())).collect()),
        Column::MaybeBlobs(rows.iter().map(|row| row.reverses.as_ref().map(|id| id.as_bytes().as_slice())).collect()),
        Column::MaybeTexts(rows.iter().map(|row| row.reference).collect()),
        Column::MaybeTexts(rows.iter().map(|row| row.note).collect()),
    ]
}

fn lines<'a>(effects: &'a Effects<'_>) -> [Column<'a>; 7] {
    let rows = &effects.lines;
    [
        Column::Ints(rows.iter().map(|row| row.account.0).collect()),
        Column::Ints(rows.iter().map(|row| row.seq).collect()),
        Column::Blobs(rows.iter().map(|row| row.transfer.as_bytes().as_slice()).collect()),
        Column::Ints(rows.iter().map(|row| row.delta).collect()),
        Column::Ints(rows.iter().map(|row| row.seq - 1).collect()),
        Column::Ints(rows.iter().map(|row| row.prev_balance.nanos()).collect()),
        Column::Ints(rows.iter().map(|row| row.balance.nanos()).collect()),
    ]
}

fn charges<'a>(rows: &'a [ChargeRow<'a>]) -> [Column<'a>; 26] {
    let ints = |value: fn(&ChargeRow<'a>) -> i64| Column::Ints(rows.iter().map(value).collect());
    let texts = |value: fn(&'a ChargeRow<'a>) -> &'a str| Column::Texts(rows.iter().map(value).collect());
    let maybe_ints = |value: fn(&ChargeRow<'a>) -> Option<i64>| Column::MaybeInts(rows.iter().map(value).collect());
    let maybe_texts =
        |value: fn(&'a ChargeRow<'a>) -> Option<&'a str>| Column::MaybeTexts(rows.iter().map(value).collect());
    [
        ints(|row| row.account.0),
        Column::Blobs(rows.iter().map(|row| row.request_id.as_bytes().as_slice()).collect()),
        texts(|row| row.charge.key.as_str()),
        texts(|row| row.charge.endpoint.name()),
        texts(|row| &row.charge.model),
        maybe_texts(|row| row.charge.end_user.as_deref()),
        ints(|row| row.charge.price_version.0),
        texts(|row| row.charge.basis.as_str()),
        ints(|row| row.charge.prompt.hanzi),
        ints(|row| row.charge.prompt.words),
        ints(|row| row.charge.prompt.tokens),
        ints(|row| row.charge.completion.hanzi),
        ints(|row| row.charge.completion.words),
        ints(|row| row.charge.completion.tokens),
        maybe_ints(|row| row.charge.upstream.map(|(prompt, _)| prompt)),
        maybe_ints(|row| row.charge.upstream.map(|(_, completion)| completion)),
        ints(|row| row.charge.images),
        maybe_texts(|row| row.charge.image_size.as_deref()),
        ints(|row| row.charge.prompt_price.nanos()),
        ints(|row| row.charge.completion_price.nanos()),
        ints(|row| row.charge.image_price.nanos()),
        ints(|row| row.charge.prompt_cost.nanos()),
        ints(|row| row.charge.completion_cost.nanos()),
        ints(|row| row.charge.image_cost.nanos()),
        ints(|row| row.written_off.nanos()),
        Column::Flags(rows.iter().map(|row| row.charge.finished_early).collect()),
    ]
}
