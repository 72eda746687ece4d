//! Forms of the console's playground that were sent, by the id that each was given when it was rendered: the same form a second time makes
//! no second call, whichever process it reaches.

use diesel::prelude::*;

use crate::clock::Timestamp;
use crate::db::schema::sent_forms::dsl;
use crate::db::{Connection, DbError, Statement, Value, sql};
use crate::id::RequestId;
use crate::secret_key::KeyId;

/// A form is known for so long after it was rendered, in milliseconds: a day, after which no form is taken any more, and an hour by which
/// the clocks of processes may differ.
const KEPT_MS: i64 = 25 * 3_600_000;

/// What is known of a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SentForm {
    /// It made this call.
    Made(RequestId),
    /// It was sent in a session of another key.
    Foreign,
}

/// What is known of `form` for `key`; `None`: it was not sent yet.
///
/// # Errors
/// [`DbError`].
pub fn find(connection: &mut Connection, form: RequestId, key: KeyId) -> Result<Option<SentForm>, DbError> {
    let row: Option<(String, Vec<u8>)> = dsl::sent_forms
        .find(form.as_bytes().as_slice())
        .select((dsl::key_id, dsl::request_id))
        .first(connection)
        .optional()?;
    let Some((sender, call)) = row else { return Ok(None) };
    if sender != key.as_str() {
        return Ok(Some(SentForm::Foreign));
    }
    let call = RequestId::from_slice(&call).ok_or_else(|| DbError::Corrupt(format!("the call of the form {form}")))?;
    Ok(Some(SentForm::Made(call)))
}

/// Writes down that `form` of `key` makes `call`. Call it in the write transaction in which [`find`] knew nothing of the form: of two that are
/// sent at the same time one makes a call (and were they not one after the other, the key of the table would see to it).
///
/// # Errors
/// [`DbError`].
pub fn remember(
    connection: &mut Connection,
    form: RequestId,
    key: KeyId,
    call: RequestId,
    now: Timestamp,
) -> Result<(), DbError> {
    diesel::insert_into(dsl::sent_forms)
        .values((
            dsl::form.eq(form.as_bytes().as_slice()),
            dsl::key_id.eq(key.as_str()),
            dsl::request_id.eq(call.as_bytes().as_slice()),
            dsl::created_at.eq(now.0),
        ))
        .execute(connection)?;
    Ok(())
}

/// Removes at most `most` of those that are too old to be taken again, and gives how many. Call it in a write transaction.
pub(crate) fn purge(connection: &mut Connection, most: i64, now: Timestamp) -> QueryResult<usize> {
    let first = RequestId::floor(now.plus_ms(-KEPT_MS));
    let sql =
        sql!("DELETE FROM sent_forms WHERE form IN (SELECT form FROM sent_forms WHERE form < ? ORDER BY form LIMIT ?)");
    Statement::new(sql, &[Value::Blob(first.as_bytes()), Value::Int(most)]).execute(connection)
}
