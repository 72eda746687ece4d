//! Facts of this installation, kept by name in the database.

use diesel::prelude::*;

use crate::db::schema::facts::dsl;
use crate::db::{Connection, DbError, Statement, Value, sql};

/// The currency of every amount; fixed at the first migration.
pub(crate) const CURRENCY: &str = "currency";
/// The key of the Secret Keys' tags, sealed.
pub(crate) const TAG_KEY: &str = "tag_key";
/// A known text, sealed: whether `XIAOYI_SECRET_KEY` is the right one.
pub(crate) const SECRET_CHECK: &str = "secret_check";
/// Below this request id every hold is settled.
pub(crate) const SETTLED_BELOW: &str = "settled_below";
/// The newest audit.
pub(crate) const LAST_AUDIT: &str = "last_audit";
/// The newest audit that found something, until one of the whole ledger finds nothing.
pub(crate) const STANDING_VIOLATION: &str = "standing_violation";

/// How far charges are summed, as JSON.
pub(crate) const USAGE_STATE: &str = "usage_state";

/// A fact's value, if it is known.
pub(crate) fn read(connection: &mut Connection, name: &str) -> Result<Option<Vec<u8>>, DbError> {
    Ok(dsl::facts.find(name).select(dsl::value).first(connection).optional()?)
}

/// Sets a fact.
pub(crate) fn write(connection: &mut Connection, name: &str, value: &[u8]) -> Result<(), DbError> {
    let sql =
        sql!("INSERT INTO facts (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value");
    Statement::new(sql, &[Value::Text(name), Value::Blob(value)]).touch_one(connection)?;
    Ok(())
}
