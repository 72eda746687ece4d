//! What was posted and what was used, for people and for billing endpoints.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Bool, Nullable, Text};

use crate::clock::Timestamp;
use crate::db::{Connection, DbError, Statement, Value, snapshot, sql};
use crate::id::{RequestId, TenantId, TransferId};
use crate::money::Amount;
use crate::rollups::{self, By, Usage, UsageFilter};
use crate::secret_key::KeyId;

/// A customer's balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Balance {
    /// The sum of all lines.
    pub posted: Amount,
    /// Set aside for running requests.
    pub held: Amount,
}

impl Balance {
    /// What a new request can use: posted less held.
    pub fn available(&self) -> Amount {
        // Never negative and never out of range: the database checks posted - held >= 0 with held >= 0.
        self.posted.checked_sub(self.held).unwrap_or(Amount::ZERO)
    }
}

/// The balance of `tenant`; `None` when it has no account.
///
/// # Errors
/// [`DbError`].
pub fn balance(connection: &mut Connection, tenant: TenantId) -> Result<Option<Balance>, DbError> {
    use crate::db::schema::accounts::dsl;
    let row: Option<(i64, i64)> = dsl::accounts
        .filter(dsl::id.eq(tenant.0).and(dsl::kind.eq("customer")))
        .select((dsl::posted, dsl::held))
        .first(connection)
        .optional()?;
    Ok(row.map(|(posted, held)| Balance { posted: Amount::from_nanos(posted), held: Amount::from_nanos(held) }))
}

/// What a customer ever paid and used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// All top-ups, less what was taken back of them.
    pub granted: Amount,
    /// What was charged and not given back: granted less posted.
    pub used: Amount,
    /// The balance now.
    pub balance: Balance,
}

/// The totals of `tenant`; `None` when it has no account.
///
/// # Errors
/// [`DbError`].
pub fn totals(connection: &mut Connection, tenant: TenantId) -> Result<Option<Totals>, DbError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        granted: i64,
    }
    // At one moment: a payment between the two would count as used.
    snapshot(connection, |connection| {
        let Some(balance) = balance(connection, tenant)? else { return Ok(None) };
        let row: Row = Statement::new(sql!(
            "SELECT CAST(COALESCE(SUM(t.amount - COALESCE(r.amount, 0)), 0) AS BIGINT) AS granted FROM transfers t \
             LEFT JOIN transfers r ON r.reverses = t.id AND r.reverses IS NOT NULL WHERE t.credit = ? AND t.reference IS NOT NULL"),
            &[Value::Int(tenant.0)],
        )
        .get_result(connection)?;
        let granted = Amount::from_nanos(row.granted);
        let used =
            granted.checked_sub(balance.posted).ok_or_else(|| DbError::Corrupt("totals out of range".to_owned()))?;
        Ok(Some(Totals { granted, used, balance }))
    })
}

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
    /// Where the next page begins; `None` at the end.
    pub next: Option<i64>,
}

/// The lines of `tenant` below number `before` (all, with `None`), newest first; with `key` only what that key's calls moved.
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
    let key = key.map(|key| key.to_string());
    let rows: Vec<Row> = Statement::new(
        sql!(
            "SELECT l.seq, l.delta, l.balance, t.id, t.kind, t.request_id, t.reverses, t.reference, t.note, t.created_at \
         FROM lines l JOIN transfers t ON t.id = l.transfer \
         LEFT JOIN charges c ON c.account = l.account AND c.request_id = t.request_id \
         WHERE l.account = ? AND l.seq > 0 AND l.seq < ? AND (? OR c.key_id = ?) ORDER BY l.seq DESC LIMIT ?"
        ),
        &[
            Value::Int(tenant.0),
            Value::Int(before.unwrap_or(i64::MAX)),
            Value::Flag(key.is_none()),
            Value::MaybeText(key.as_deref()),
            Value::Int(limit + 1),
        ],
    )
    .load(connection)?;
    let more = rows.len() as i64 > limit;
    let mut entries = Vec::with_capacity(rows.len());
    for row in rows.into_iter().take(usize::try_from(limit).unwrap_or(0)) {
        let request_id = row.request_id.as_deref().and_then(RequestId::from_slice);
        let charge = match request_id {
            Some(request_id) => charge_of(connection, tenant, request_id)?,
            None => None,
        };
        entries.push(StatementEntry {
            seq: row.seq,
            transfer: RequestId::from_slice(&row.id).ok_or_else(|| DbError::Corrupt("a transfer's id".to_owned()))?,
            kind: row.kind,
            delta: Amount::from_nanos(row.delta),
            balance: Amount::from_nanos(row.balance),
            request_id,
            reverses: row.reverses.as_deref().and_then(TransferId::from_slice),
            reference: row.reference,
            note: row.note,
            created_at: Timestamp(row.created_at),
            charge,
        });
    }
    let next = if more { entries.last().map(|entry| entry.seq) } else { None };
    Ok(Page { entries, next })
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

/// What usage is summed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grouping {
    /// The calendar day in the service's time zone.
    Day(chrono_tz::Tz),
    /// The model's public name.
    Model,
    /// The key.
    Key,
    /// The caller's own name for the end user.
    User,
}

/// One group of usage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRow {
    /// The group: a day (`2026-01-31`), a model, a key id or an end user (empty when none was given).
    pub group: String,
    /// Charged calls.
    pub requests: i64,
    /// Billed prompt tokens.
    pub prompt_tokens: i64,
    /// Billed completion tokens.
    pub completion_tokens: i64,
    /// Images.
    pub images: i64,
    /// What they cost.
    pub amount: Amount,
}

/// A period: `from` inclusive, `to` exclusive.
pub type Period = (Timestamp, Timestamp);

/// What `tenant` (with `key`: that key) was charged for in `period`: at most `most` groups, ordered by group. Captures that were given back do
/// not count.
///
/// # Errors
/// [`DbError`].
pub fn usage(
    connection: &mut Connection,
    tenant: TenantId,
    key: Option<KeyId>,
    period: Period,
    grouping: Grouping,
    most: usize,
) -> Result<Usage, DbError> {
    let filter = UsageFilter { tenant: Some(tenant), key, ..UsageFilter::default() };
    let by = match grouping {
        Grouping::Day(zone) => By::Day(zone),
        Grouping::Model => By::Model,
        Grouping::Key => By::Key,
        Grouping::User => By::User,
    };
    rollups::usage_behind(connection, &filter, period, by, (None, most))
}

/// What `tenant` (with `key`: that key) was charged in `period`.
///
/// # Errors
/// [`DbError`].
pub fn charged_between(
    connection: &mut Connection,
    tenant: TenantId,
    key: Option<KeyId>,
    period: Period,
) -> Result<Amount, DbError> {
    let filter = UsageFilter { tenant: Some(tenant), key, ..UsageFilter::default() };
    Ok(rollups::charged(connection, &filter, period)?.amount)
}
