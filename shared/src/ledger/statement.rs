//! A customer's statement, line by line: of a whole account, or of what the calls of one key moved.
//!
//! Which key a line is of stands in its charge, and an index of that would cost every charge more than it is worth. So the lines of a key are
//! looked for among those of its account. One read looks at so many of these and no more, so that it keeps nobody else waiting; a page is read
//! on until it is full, and one of a key that seldom calls may end before that.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Bool, Nullable, Text};

use crate::clock::Timestamp;
use crate::db::{Connection, Database, DbError, Statement, Value, snapshot, sql};
use crate::id::{RequestId, TenantId, TransferId};
use crate::money::Amount;
use crate::secret_key::KeyId;

/// One entry of a statement: a line, with the arithmetic of its charge where there is one.
#[derive(Debug, Clone)]
pub struct StatementEntry {
    /// The line's number, from 1.
    pub seq: i64,
    /// The transfer.
    pub transfer: RequestId,
    /// `top_up`, `capture` or `reversal`. A reversal of a capture gives money back; one of a top-up (it has no request) takes it back.
    pub kind: String,
    /// By how much the balance changed.
    pub delta: Amount,
    /// The balance afterwards.
    pub balance: Amount,
    /// The request that it is for.
    pub request_id: Option<RequestId>,
    /// The transfer that a reversal reverses.
    pub reverses: Option<TransferId>,
    /// The payment's own name.
    pub reference: Option<String>,
    /// Words for people.
    pub note: Option<String>,
    /// When.
    pub created_at: Timestamp,
    /// How a capture was computed.
    pub charge: Option<ChargeDetail>,
}

/// The arithmetic of a charge, as it was kept.
#[derive(Debug, Clone, QueryableByName)]
pub struct ChargeDetail {
    /// The key that called.
    #[diesel(sql_type = Text)]
    pub key_id: String,
    /// `chat`, `completions` or `images`.
    #[diesel(sql_type = Text)]
    pub endpoint: String,
    /// The model's public name.
    #[diesel(sql_type = Text)]
    pub model: String,
    /// The caller's own name for the end user.
    #[diesel(sql_type = Nullable<Text>)]
    pub end_user: Option<String>,
    /// The price.
    #[diesel(sql_type = BigInt)]
    pub price_version: i64,
    /// Which count was billed: `estimate` or `upstream`.
    #[diesel(sql_type = Text)]
    pub basis: String,
    /// Hanzi of the prompt.
    #[diesel(sql_type = BigInt)]
    pub prompt_hanzi: i64,
    /// Words of the prompt.
    #[diesel(sql_type = BigInt)]
    pub prompt_words: i64,
    /// The prompt's tokens by our estimate.
    #[diesel(sql_type = BigInt)]
    pub prompt_tokens: i64,
    /// Hanzi that were generated.
    #[diesel(sql_type = BigInt)]
    pub completion_hanzi: i64,
    /// Words that were generated.
    #[diesel(sql_type = BigInt)]
    pub completion_words: i64,
    /// Generated tokens by our estimate.
    #[diesel(sql_type = BigInt)]
    pub completion_tokens: i64,
    /// The prompt's tokens by the provider's own count.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub upstream_prompt: Option<i64>,
    /// Generated tokens by the provider's own count.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub upstream_completion: Option<i64>,
    /// Images delivered.
    #[diesel(sql_type = BigInt)]
    pub images: i64,
    /// Their size.
    #[diesel(sql_type = Nullable<Text>)]
    pub image_size: Option<String>,
    /// Price of a million prompt tokens, in 1e-9 of the currency.
    #[diesel(sql_type = BigInt)]
    pub prompt_price: i64,
    /// Price of a million completion tokens, in 1e-9 of the currency.
    #[diesel(sql_type = BigInt)]
    pub completion_price: i64,
    /// Price of one image, in 1e-9 of the currency.
    #[diesel(sql_type = BigInt)]
    pub image_price: i64,
    /// What the prompt cost, in 1e-9 of the currency.
    #[diesel(sql_type = BigInt)]
    pub prompt_cost: i64,
    /// What the completion cost, in 1e-9 of the currency.
    #[diesel(sql_type = BigInt)]
    pub completion_cost: i64,
    /// What the images cost, in 1e-9 of the currency.
    #[diesel(sql_type = BigInt)]
    pub image_cost: i64,
    /// What of that the house bears, in 1e-9 of the currency.
    #[diesel(sql_type = BigInt)]
    pub written_off: i64,
    /// The call ended before its answer did.
    #[diesel(sql_type = Bool)]
    pub finished_early: bool,
}

/// A page of a statement, newest first.
#[derive(Debug, Clone)]
pub struct Page {
    /// The entries.
    pub entries: Vec<StatementEntry>,
    /// Where the next page begins, also behind one that is not full; `None` at the end.
    pub next: Option<i64>,
}

/// Among how many lines of its account one read looks for those of a key.
const LINES_A_READ: i64 = 10_000;
/// How many reads a page may take.
const READS_A_PAGE: usize = 5;

/// A page of the lines of `tenant` below number `before` (all, with `None`), newest first, at most `limit`; with `key` only what that key's
/// calls moved. Each read of it waits for its turn among all that read records.
///
/// # Errors
/// [`DbError`].
pub async fn statement_page(
    database: &Database,
    tenant: TenantId,
    key: Option<KeyId>,
    before: Option<i64>,
    limit: i64,
) -> Result<Page, DbError> {
    let mut page = Page { entries: Vec::new(), next: before };
    for _ in 0..READS_A_PAGE {
        let (before, wanted) = (page.next, limit - page.entries.len() as i64);
        let read = database.read_records(move |connection| statement(connection, tenant, key, before, wanted)).await?;
        page.entries.extend(read.entries);
        page.next = read.next;
        if page.next.is_none() || page.entries.len() as i64 >= limit {
            break;
        }
    }
    Ok(page)
}

/// The same by one read: with `key` what that key's calls moved among the next 10,000 lines of `tenant`, which may be nothing.
///
/// # Errors
/// [`DbError`].
pub fn statement(
    connection: &mut Connection,
    tenant: TenantId,
    key: Option<KeyId>,
    before: Option<i64>,
    limit: i64,
) -> Result<Page, DbError> {
    snapshot(connection, |connection| {
        let before = before.unwrap_or(i64::MAX);
        let (from, rows) = match key {
            None => (1, of_account(connection, tenant, before, limit + 1)?),
            Some(key) => {
                let before = before.min(last_line(connection, tenant)? + 1);
                let from = (before - LINES_A_READ).max(1);
                (from, of_key(connection, tenant, key, (from, before), limit + 1)?)
            }
        };
        let more = rows.len() as i64 > limit;
        let mut entries = Vec::with_capacity(rows.len());
        for row in rows.into_iter().take(usize::try_from(limit).unwrap_or(0)) {
            let mut entry = row.into_entry()?;
            if let Some(request_id) = entry.request_id {
                entry.charge = charge_of(connection, tenant, request_id)?;
            }
            entries.push(entry);
        }
        let next = if more { entries.last().map(|entry| entry.seq) } else { (from > 1).then_some(from) };
        Ok(Page { entries, next })
    })
}

/// A line `l` with its transfer `x`.
macro_rules! columns {
    () => {
        "l.seq, l.delta, l.balance, x.id, x.kind, x.request_id, x.reverses, x.reference, x.note, x.created_at"
    };
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = BigInt)]
    seq: i64,
    #[diesel(sql_type = BigInt)]
    delta: i64,
    #[diesel(sql_type = BigInt)]
    balance: i64,
    #[diesel(sql_type = Binary)]
    id: Vec<u8>,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Nullable<Binary>)]
    request_id: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<Binary>)]
    reverses: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<Text>)]
    reference: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    note: Option<String>,
    #[diesel(sql_type = BigInt)]
    created_at: i64,
}

impl Row {
    fn into_entry(self) -> Result<StatementEntry, DbError> {
        Ok(StatementEntry {
            seq: self.seq,
            transfer: RequestId::from_slice(&self.id).ok_or_else(|| DbError::Corrupt("a transfer's id".to_owned()))?,
            kind: self.kind,
            delta: Amount::from_nanos(self.delta),
            balance: Amount::from_nanos(self.balance),
            request_id: self.request_id.as_deref().and_then(RequestId::from_slice),
            reverses: self.reverses.as_deref().and_then(TransferId::from_slice),
            reference: self.reference,
            note: self.note,
            created_at: Timestamp(self.created_at),
            charge: None,
        })
    }
}

fn of_account(connection: &mut Connection, tenant: TenantId, before: i64, limit: i64) -> Result<Vec<Row>, DbError> {
    let values = [Value::Int(tenant.0), Value::Int(before), Value::Int(limit)];
    let rows = Statement::new(
        sql!(concat!(
            "SELECT ",
            columns!(),
            " FROM lines l JOIN transfers x ON x.id = l.transfer WHERE l.account = ? AND l.seq > 0 AND l.seq < ? \
             ORDER BY l.seq DESC LIMIT ?"
        )),
        &values,
    );
    Ok(rows.load(connection)?)
}

/// Of the lines from one number on and before another. The order of the joins is fixed for SQLite, so that it begins with the lines.
fn of_key(
    connection: &mut Connection,
    tenant: TenantId,
    key: KeyId,
    (from, before): (i64, i64),
    limit: i64,
) -> Result<Vec<Row>, DbError> {
    let values = [
        Value::Int(tenant.0),
        Value::Int(from),
        Value::Int(before),
        Value::Int(tenant.0),
        Value::Text(key.as_str()),
        Value::Int(limit),
    ];
    let rows = Statement::new(
        sql!(concat!(
            "SELECT ",
            columns!(),
            " FROM lines l CROSS JOIN transfers x CROSS JOIN charges c WHERE l.account = ? AND l.seq >= ? AND l.seq < ? \
             AND x.id = l.transfer AND c.account = ? AND c.request_id = x.request_id AND c.key_id = ? ORDER BY l.seq DESC LIMIT ?"
        )),
        &values,
    );
    Ok(rows.load(connection)?)
}

/// The number of the newest line of `tenant`; 0 if there is none.
fn last_line(connection: &mut Connection, tenant: TenantId) -> Result<i64, DbError> {
    #[derive(QueryableByName)]
    struct Last {
        #[diesel(sql_type = BigInt)]
        seq: i64,
    }
    let sql = sql!("SELECT COALESCE(MAX(seq), 0) AS seq FROM lines WHERE account = ?");
    let last: Last = Statement::new(sql, &[Value::Int(tenant.0)]).get_result(connection)?;
    Ok(last.seq)
}

/// The arithmetic of a request's charge, if it was charged.
pub(crate) fn charge_of(
    connection: &mut Connection,
    tenant: TenantId,
    request_id: RequestId,
) -> Result<Option<ChargeDetail>, DbError> {
    let values = [Value::Int(tenant.0), Value::Blob(request_id.as_bytes())];
    let row = Statement::new(sql!("SELECT * FROM charges WHERE account = ? AND request_id = ?"), &values);
    Ok(row.get_result(connection).optional()?)
}
