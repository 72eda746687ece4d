//! One box that finds a tenant, a key, a call or a payment by what people have of it.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Text};

use crate::db::{Composed, Connection, DbError, Statement, Value, containing, snapshot, sql};
use crate::id::{RequestId, TenantId, TransferId};
use crate::ledger::{self, LineKind};
use crate::money::Amount;
use crate::secret_key::KeyId;

/// Shorter beginnings of a key's id would find too many.
const SHORTEST_KEY: usize = 3;
/// What stands before a request's id in a reply.
const PREFIXES: [&str; 2] = ["chatcmpl-", "cmpl-"];

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A tenant.
    Tenant {
        /// Its id.
        id: TenantId,
        /// Its name.
        name: String,
    },
    /// A key.
    Key {
        /// Its id.
        id: KeyId,
        /// Whose it is.
        tenant: TenantId,
        /// Its name.
        name: String,
    },
    /// A call that got a hold.
    Call {
        /// The call.
        request_id: RequestId,
        /// Who paid.
        tenant: TenantId,
    },
    /// A payment, or a code that was redeemed.
    TopUp {
        /// The transfer.
        id: TransferId,
        /// Whose balance grew.
        tenant: TenantId,
        /// Its own name.
        reference: String,
        /// How much.
        amount: Amount,
    },
}

/// What `query` may mean, at most `limit` of each kind: a call by its id (as a reply or a log writes it), a payment by its id or a part of
/// its reference, a key by its id or the beginning of that, a tenant by its id or a part of its name. The surest first. Nothing is found by
/// more than [`LONGEST_PART`](crate::db::LONGEST_PART) bytes.
///
/// # Errors
/// [`DbError`].
pub fn search(connection: &mut Connection, query: &str, limit: usize) -> Result<Vec<Found>, DbError> {
    let query = query.trim();
    let Some(pattern) = containing(query).filter(|_| !query.is_empty()) else { return Ok(Vec::new()) };
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    snapshot(connection, |connection| {
        let mut found = Vec::new();
        if let Some(id) = id_in(query) {
            found.extend(call(connection, id)?);
            found.extend(top_up(connection, id)?);
        }
        found.extend(keys(connection, query, limit)?);
        found.extend(tenants(connection, query, &pattern, limit)?);
        found.extend(top_ups(connection, &pattern, limit)?);
        Ok(found)
    })
}

/// The id in a text, with or without hyphens and what a reply puts before it.
fn id_in(text: &str) -> Option<RequestId> {
    let bare = PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or(text);
    // A shorter text could be read as one too.
    (bare.len() >= 32).then(|| bare.parse().ok()).flatten()
}

fn call(connection: &mut Connection, request_id: RequestId) -> Result<Option<Found>, DbError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        account: i64,
    }
    let sql = sql!("SELECT account FROM holds WHERE request_id = ?");
    let row: Option<Row> =
        Statement::new(sql, &[Value::Blob(request_id.as_bytes())]).get_result(connection).optional()?;
    Ok(row.map(|row| Found::Call { request_id, tenant: TenantId(row.account) }))
}

fn top_up(connection: &mut Connection, id: TransferId) -> Result<Option<Found>, DbError> {
    let line = ledger::line(connection, id)?.filter(|line| line.kind == LineKind::TopUp.word());
    Ok(line.and_then(|line| {
        let (tenant, reference) = (line.tenant?, line.reference?);
        Some(Found::TopUp { id, tenant, reference, amount: line.amount })
    }))
}

fn keys(connection: &mut Connection, query: &str, limit: i64) -> Result<Vec<Found>, DbError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        id: String,
        #[diesel(sql_type = BigInt)]
        tenant: i64,
        #[diesel(sql_type = Text)]
        name: String,
    }
    // Base62: nothing in it means anything in a pattern. A secret that somebody pastes here by mistake is not looked at.
    if query.len() < SHORTEST_KEY || query.len() > 12 || !query.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Ok(Vec::new());
    }
    let length = i64::try_from(query.len()).unwrap_or(i64::MAX);
    let sql = sql!("SELECT id, tenant, name FROM keys WHERE substr(id, 1, CAST(? AS INTEGER)) = ? ORDER BY id LIMIT ?");
    let values = [Value::Int(length), Value::Text(query), Value::Int(limit)];
    let rows: Vec<Row> = Statement::new(sql, &values).load(connection)?;
    let key = |row: Row| {
        let id: KeyId = row.id.parse().map_err(|_| DbError::Corrupt("a key's id".to_owned()))?;
        Ok(Found::Key { id, tenant: TenantId(row.tenant), name: row.name })
    };
    rows.into_iter().map(key).collect()
}

fn tenants(connection: &mut Connection, query: &str, pattern: &str, limit: i64) -> Result<Vec<Found>, DbError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        id: i64,
        #[diesel(sql_type = Text)]
        name: String,
    }
    let mut statement = Composed::new("SELECT id, name FROM tenants WHERE lower(name) LIKE ");
    statement.and("lower(?) ESCAPE '!'", [Value::Text(pattern)]);
    if let Ok(id) = query.parse() {
        statement.and(" OR id = ?", [Value::Int(id)]);
    }
    statement.and(" ORDER BY length(name), id LIMIT ?", [Value::Int(limit)]);
    let rows: Vec<Row> = statement.load(connection)?;
    Ok(rows.into_iter().map(|row| Found::Tenant { id: TenantId(row.id), name: row.name }).collect())
}

fn top_ups(connection: &mut Connection, pattern: &str, limit: i64) -> Result<Vec<Found>, DbError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Binary)]
        id: Vec<u8>,
        #[diesel(sql_type = BigInt)]
        credit: i64,
        #[diesel(sql_type = Text)]
        reference: String,
        #[diesel(sql_type = BigInt)]
        amount: i64,
    }
    let sql = sql!(
        "SELECT id, credit, reference, amount FROM transfers WHERE kind <> 'capture' AND kind = 'top_up' \
         AND lower(reference) LIKE lower(?) ESCAPE '!' ORDER BY id DESC LIMIT ?"
    );
    let rows: Vec<Row> = Statement::new(sql, &[Value::Text(pattern), Value::Int(limit)]).load(connection)?;
    let top_up = |row: Row| {
        let id = TransferId::from_slice(&row.id).ok_or_else(|| DbError::Corrupt("a transfer's id".to_owned()))?;
        let (tenant, amount) = (TenantId(row.credit), Amount::from_nanos(row.amount));
        Ok(Found::TopUp { id, tenant, reference: row.reference, amount })
    };
    rows.into_iter().map(top_up).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const ID: &str = "0190a0b1-c2d3-7e4f-8a9b-0c1d2e3f4a5b";

    #[rstest]
    #[case::as_in_the_log(ID, true)]
    #[case::as_in_a_reply("chatcmpl-0190a0b1c2d37e4f8a9b0c1d2e3f4a5b", true)]
    #[case::of_a_completion("cmpl-0190a0b1c2d37e4f8a9b0c1d2e3f4a5b", true)]
    #[case::bare("0190a0b1c2d37e4f8a9b0c1d2e3f4a5b", true)]
    #[case::cut("chatcmpl-0190a0b1c2d37e4f8a9b0c1d2e3f4a5", false)]
    #[case::another_word("INV-2026-0001", false)]
    fn ids_as_people_have_them(#[case] text: &str, #[case] is_one: bool) {
        assert_eq!(id_in(text), is_one.then(|| ID.parse().unwrap()));
    }
}
