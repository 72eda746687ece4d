//! What was charged in a period, in groups.

use chrono_tz::Tz;

use super::days;
use super::query::{Conditions, Group, Moment, Sums, sums};
use crate::calls::floor;
use crate::db::{Connection, DbError};
use crate::id::TenantId;
use crate::ledger::{Period, UsageRow};
use crate::money::Amount;
use crate::secret_key::KeyId;

/// Which charges.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageFilter {
    /// Of one tenant.
    pub tenant: Option<TenantId>,
    /// Of one key.
    pub key: Option<KeyId>,
    /// Of one model, by its public name.
    pub model: Option<String>,
    /// Of one end user; empty: those that named none.
    pub end_user: Option<String>,
}

impl UsageFilter {
    /// As conditions; `key` is the key's text.
    pub(super) fn conditions(&self) -> Conditions<'_> {
        Conditions {
            tenant: self.tenant,
            key: self.key.as_ref().map(KeyId::as_str),
            model: self.model.as_deref(),
            end_user: self.end_user.as_deref(),
        }
    }
}

/// What usage is told apart by, and what its group is then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The tenant's id.
    Tenant,
    /// The key's id.
    Key,
    /// The model's public name.
    Model,
    /// The caller's own name for the end user; empty when none was given.
    User,
    /// The day in this time zone: `2026-01-31`.
    Day(Tz),
    /// The beginning of the hour, in Unix milliseconds.
    Hour,
    /// The beginning of the quarter of an hour, in Unix milliseconds.
    Quarter,
}

/// What was charged in `period`, in groups, ordered by group (tenants and times by number). Charges that were given back do not count, and
/// whatever was charged in the period does, to the last moment.
///
/// # Errors
/// [`DbError`].
pub fn usage(
    connection: &mut Connection,
    filter: &UsageFilter,
    period: Period,
    by: By,
) -> Result<Vec<UsageRow>, DbError> {
    let group = match by {
        By::Tenant => Group::Tenant,
        By::Key => Group::Key,
        By::Model => Group::Model,
        By::User => Group::User,
        By::Day(zone) => Group::Day(zone),
        By::Hour | By::Quarter => Group::Quarter,
    };
    let groups = sums(connection, filter.conditions(), Moment::Charged, period, group)?;
    match by {
        By::Key | By::Model | By::User => Ok(groups.into_iter().map(|(name, sums)| row(name, &sums)).collect()),
        By::Tenant | By::Day(_) | By::Hour | By::Quarter => {
            let out_of_range = || DbError::Corrupt("usage out of range".to_owned());
            let mut by_number = std::collections::BTreeMap::<i64, Sums>::new();
            for (name, sums) in groups {
                let number: i64 = name.parse().map_err(|_| out_of_range())?;
                let number = if by == By::Hour { floor(number, 3_600_000) } else { number };
                by_number.entry(number).or_default().add(&sums)?;
            }
            let named = by_number.into_iter().map(|(number, sums)| {
                let name = match by {
                    By::Day(_) => days::name(number).ok_or_else(out_of_range)?,
                    _ => number.to_string(),
                };
                Ok(row(name, &sums))
            });
            named.collect()
        }
    }
}

fn row(group: String, sums: &Sums) -> UsageRow {
    UsageRow {
        group,
        requests: sums.requests,
        prompt_tokens: sums.prompt_tokens,
        completion_tokens: sums.completion_tokens,
        images: sums.images,
        amount: Amount::from_nanos(sums.amount),
    }
}
