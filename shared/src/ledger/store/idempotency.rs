//! What belongs to marks, on both engines row by row: such calls are few.

use diesel::prelude::*;
use diesel::sql_types::Binary;

use super::super::state::{Effects, State};
use crate::clock::Timestamp;
use crate::db::{Connection, DbError, Statement, Value, sql};
use crate::id::{RequestId, TenantId};
use crate::idempotency::{LIFE_MS, Mark};

/// Reads which call a mark belongs to, and gives it, unless that has ended and is forgotten. Whether it was charged is the caller's to read.
pub(super) fn read(
    connection: &mut Connection,
    state: &mut State<'_>,
    account: TenantId,
    mark: &Mark,
    now: Timestamp,
) -> Result<Option<RequestId>, DbError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Binary)]
        request_id: Vec<u8>,
    }
    let key = (account, *mark.key());
    if let Some(known) = state.marked.get(&key) {
        return Ok(*known);
    }
    let row: Option<Row> = Statement::new(
        sql!(
            "SELECT k.request_id FROM idempotency_keys k WHERE k.account = ? AND k.key = ? \
             AND (k.created_at > ? OR NOT EXISTS (SELECT 1 FROM settlements s WHERE s.request_id = k.request_id))"
        ),
        &[Value::Int(account.0), Value::Blob(mark.key()), Value::Int(now.plus_ms(-LIFE_MS).0)],
    )
    .get_result(connection)
    .optional()?;
    let id =
        |row: Row| RequestId::from_slice(&row.request_id).ok_or_else(|| DbError::Corrupt("a mark's call".to_owned()));
    let first = row.map(id).transpose()?;
    state.marked.insert(key, first);
    Ok(first)
}

/// Writes the marks of new holds and the answers of new charges, behind those.
pub(super) fn write(connection: &mut Connection, effects: &Effects<'_>, now: Timestamp) -> Result<(), DbError> {
    for (account, mark, request_id) in &effects.marks {
        Statement::new(
            sql!(
                "INSERT INTO idempotency_keys (account, key, body, request_id, created_at) VALUES (?, ?, ?, ?, ?) \
                 ON CONFLICT (account, key) DO UPDATE SET body = excluded.body, request_id = excluded.request_id, \
                 created_at = excluded.created_at"
            ),
            &[
                Value::Int(account.0),
                Value::Blob(mark.key()),
                Value::Blob(mark.body()),
                Value::Blob(request_id.as_bytes()),
                Value::Int(now.0),
            ],
        )
        .touch_one(connection)?;
    }
    for (request_id, sealed) in &effects.answers {
        Statement::new(
            sql!("INSERT INTO idempotency_answers (request_id, sealed, bytes, created_at) VALUES (?, ?, ?, ?)"),
            &[
                Value::Blob(request_id.as_bytes()),
                Value::Blob(sealed),
                Value::Int(i64::try_from(sealed.len()).unwrap_or(i64::MAX)),
                Value::Int(now.0),
            ],
        )
        .touch_one(connection)?;
    }
    Ok(())
}
