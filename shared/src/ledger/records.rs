//! What was posted and what was used in all, for people and for billing endpoints.

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use crate::clock::Timestamp;
use crate::db::{Connection, DbError, Statement, Value, snapshot, sql};
use crate::id::TenantId;
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
