//! What was charged in a period, in groups.

use std::collections::BTreeMap;

use chrono_tz::Tz;

use super::days;
use super::plan::{Conditions, Group, Moment, Question};
use super::read::{self, Wanted};
use super::state::State;
use super::sums::{Sums, out_of_range};
use crate::calls::floor;
use crate::clock::Timestamp;
use crate::db::{Connection, DbError, snapshot};
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

/// What was charged in a period, in groups. Charges that were given back do not count, and whatever was charged in the period does, to the
/// last moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// The groups.
    pub rows: Vec<UsageRow>,
    /// End users were asked for, and they are not known before this moment: the period had to begin here. `None`: it is all of it.
    pub known_from: Option<Timestamp>,
}

/// What was charged in a period, in the groups that cost the most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Largest {
    /// They, the dearest first.
    pub rows: Vec<UsageRow>,
    /// Whether there are others.
    pub has_more: bool,
    /// All groups together; it has no name.
    pub total: UsageRow,
    /// See [`Usage::known_from`].
    pub known_from: Option<Timestamp>,
}

/// All groups, ordered by group (tenants and times by number).
///
/// # Errors
/// [`DbError`].
pub fn usage(connection: &mut Connection, filter: &UsageFilter, period: Period, by: By) -> Result<Usage, DbError> {
    snapshot(connection, |connection| {
        let asked = Asked::read(connection, filter, period, by)?;
        let rows = asked.rows(connection, Wanted::All)?;
        Ok(Usage { rows, known_from: asked.known_from })
    })
}

/// At most `most` groups in their order, behind the one named `than` (from the first one on, with `None`): for whoever reads them all, piece
/// by piece. Times are few, and all of them come.
///
/// # Errors
/// [`DbError`], also where `than` is the name of no group.
pub fn usage_behind(
    connection: &mut Connection,
    filter: &UsageFilter,
    period: Period,
    by: By,
    (than, most): (Option<&str>, usize),
) -> Result<Usage, DbError> {
    snapshot(connection, |connection| {
        let asked = Asked::read(connection, filter, period, by)?;
        let rows = asked.rows(connection, Wanted::Behind(than, most))?;
        Ok(Usage { rows, known_from: asked.known_from })
    })
}

/// At most `most` groups, those that cost the most. It is not for times, of which the first come.
///
/// # Errors
/// [`DbError`].
pub fn largest(
    connection: &mut Connection,
    filter: &UsageFilter,
    period: Period,
    by: By,
    most: usize,
) -> Result<Largest, DbError> {
    snapshot(connection, |connection| {
        let asked = Asked::read(connection, filter, period, by)?;
        // One more, to know whether there are more.
        let mut rows = asked.rows(connection, Wanted::Largest(most.saturating_add(1)))?;
        let has_more = rows.len() > most;
        rows.truncate(most);
        let total = charged(connection, filter, asked.question.period)?;
        Ok(Largest { rows, has_more, total, known_from: asked.known_from })
    })
}

/// What was charged in `period` in all, without a name.
///
/// # Errors
/// [`DbError`].
pub fn charged(connection: &mut Connection, filter: &UsageFilter, period: Period) -> Result<UsageRow, DbError> {
    let total = sum(connection, filter.conditions(), Moment::Charged, period)?;
    Ok(row(String::new(), &total.sums))
}

/// Sums of all charges that were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Total {
    pub(crate) sums: Sums,
    /// See [`Usage::known_from`].
    pub(crate) known_from: Option<Timestamp>,
}

/// Sums of the charges of calls that were received in a period. Those that were given back do not count.
pub(crate) fn received(
    connection: &mut Connection,
    conditions: Conditions<'_>,
    period: Period,
) -> Result<Total, DbError> {
    sum(connection, conditions, Moment::Received, period)
}

fn sum(
    connection: &mut Connection,
    conditions: Conditions<'_>,
    moment: Moment,
    period: Period,
) -> Result<Total, DbError> {
    snapshot(connection, |connection| {
        let state = State::read(connection)?;
        let (question, known_from) = known(Question { conditions, moment, period, group: Group::None }, &state);
        let sums = read::named(connection, &question, &state, Wanted::All)?.into_iter().next();
        Ok(Total { sums: sums.map(|(_, sums)| sums).unwrap_or_default(), known_from })
    })
}

/// The question as it can be answered, and from when on where that is later than was asked.
fn known<'a>(question: Question<'a>, state: &State) -> (Question<'a>, Option<Timestamp>) {
    let (from, to) = question.period;
    let known_from = state.users_from().filter(|moment| question.names_users() && *moment > from);
    (Question { period: (known_from.unwrap_or(from), to), ..question }, known_from)
}

/// A question about usage.
struct Asked<'a> {
    question: Question<'a>,
    known_from: Option<Timestamp>,
    by: By,
    state: State,
}

impl<'a> Asked<'a> {
    fn read(connection: &mut Connection, filter: &'a UsageFilter, period: Period, by: By) -> Result<Self, DbError> {
        let group = match by {
            By::Tenant => Group::Tenant,
            By::Key => Group::Key,
            By::Model => Group::Model,
            By::User => Group::User,
            By::Day(zone) => Group::Day(zone),
            By::Hour | By::Quarter => Group::Quarter,
        };
        let state = State::read(connection)?;
        let question = Question { conditions: filter.conditions(), moment: Moment::Charged, period, group };
        let (question, known_from) = known(question, &state);
        Ok(Self { question, known_from, by, state })
    }

    fn rows(&self, connection: &mut Connection, wanted: Wanted<'_>) -> Result<Vec<UsageRow>, DbError> {
        let Self { question, by, state, .. } = self;
        match by {
            By::Tenant | By::Key | By::Model | By::User => {
                let groups = read::named(connection, question, state, wanted)?;
                Ok(groups.into_iter().map(|(name, sums)| row(name, &sums)).collect())
            }
            By::Day(_) | By::Quarter => {
                let times = read::timed(connection, question, state)?;
                let name = |time: i64| match by {
                    By::Day(_) => days::name(time).ok_or_else(out_of_range),
                    _ => Ok(time.to_string()),
                };
                times.into_iter().map(|(time, sums)| Ok(row(name(time)?, &sums))).collect()
            }
            By::Hour => {
                let mut hours = BTreeMap::<i64, Sums>::new();
                for (quarter, sums) in read::timed(connection, question, state)? {
                    hours.entry(floor(quarter, 3_600_000)).or_default().add(&sums)?;
                }
                Ok(hours.into_iter().map(|(hour, sums)| row(hour.to_string(), &sums)).collect())
            }
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
