//! What operators look at: calls, tokens, revenue, errors, tenants, times, the queue and channels, in all and step by step.

use std::collections::{BTreeMap, BTreeSet};

use super::active::active_tenants;
use super::channels::channels;
use super::latency::{Counts, counts};
use super::steps::Step;
use super::usage::{By, UsageFilter, usage};
use crate::calls::{ChannelHealth, SLOT_MS, floor};
use crate::clock::Timestamp;
use crate::db::{Connection, DbError, snapshot};
use crate::ledger::UsageRow;
use crate::money::Amount;

/// What happened in some time. Calls and their times are of those that were received in it (in whole quarters of an hour), tokens, images
/// and revenue of what was charged in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// Calls that got a hold and have ended.
    pub calls: i64,
    /// Those whose caller has the whole answer.
    pub answered: i64,
    /// Those that failed by our fault or a provider's.
    pub failed: i64,
    /// Calls that were refused before they got a hold.
    pub refused: i64,
    /// Billed prompt tokens.
    pub prompt_tokens: i64,
    /// Billed completion tokens.
    pub completion_tokens: i64,
    /// Images.
    pub images: i64,
    /// What was charged and not given back.
    pub revenue: Amount,
    /// Tenants that were charged for something.
    pub active_tenants: i64,
    /// So long answered calls took at most, the faster half of them; in milliseconds, from classes of time.
    pub p50_ms: Option<i64>,
    /// The same of 95 in 100.
    pub p95_ms: Option<i64>,
    /// Calls that waited in the queue until a worker took them. (Those that were given up before are not known to have waited.)
    pub queued: i64,
    /// So long they waited, all together, in milliseconds.
    pub queued_ms: i64,
    /// The longest of them, in milliseconds.
    pub longest_wait_ms: Option<i64>,
    /// How long the time is, in milliseconds.
    pub length_ms: i64,
}

/// A step of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// When it begins; the first one may begin before the range.
    pub start: Timestamp,
    /// What happened in it.
    pub figures: Figures,
}

/// A range of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dashboard {
    /// All of it.
    pub total: Figures,
    /// Every step of it, also those in which nothing happened.
    pub points: Vec<Point>,
    /// The channels that were tried, by name.
    pub channels: Vec<ChannelDid>,
}

/// How a channel did in a range of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelDid {
    /// The channel's name.
    pub name: String,
    /// In all of the time.
    pub health: ChannelHealth,
    /// How often it failed, in each step.
    pub failures: Vec<i64>,
}

/// What happened from `from` on and before `to`.
///
/// # Errors
/// [`DbError`].
pub fn dashboard(
    connection: &mut Connection,
    from: Timestamp,
    to: Timestamp,
    step: Step,
) -> Result<Dashboard, DbError> {
    snapshot(connection, |connection| {
        let by = match step {
            Step::Quarter => By::Quarter,
            Step::Hour => By::Hour,
            Step::Day(zone) | Step::Week(zone) => By::Day(zone),
        };
        let charged = usage(connection, &UsageFilter::default(), (from, to), by)?.rows;
        let mut charged: BTreeMap<String, UsageRow> = charged.into_iter().map(|row| (row.group.clone(), row)).collect();
        let first = floor(from.0, SLOT_MS);
        let mut calls = counts(connection, first, to.0, step)?;
        let mut tenants = active_tenants(connection, (from, to), step)?;
        let places = step.starts(from, to)?;
        let channels = channels(connection, first, to.0, step)?.into_iter().map(|(name, did)| ChannelDid {
            failures: places.iter().map(|(place, _)| did.failures.get(place).copied().unwrap_or_default()).collect(),
            health: did.health(),
            name,
        });
        let channels = channels.collect();

        let ends = places.iter().skip(1).map(|(_, start)| start.0).chain([to.0]);
        let (mut total, mut all, mut seen) = (Figures::default(), Counts::default(), BTreeSet::new());
        let mut points = Vec::new();
        for (&(place, start), end) in places.iter().zip(ends) {
            let charged: Vec<UsageRow> = step.names(place).iter().filter_map(|name| charged.remove(name)).collect();
            let counts = calls.remove(&place).unwrap_or_default();
            let tenants = tenants.remove(&place).unwrap_or_default();
            let length_ms = end - start.0.max(first);
            let figures = Figures::of(&charged, &counts, tenants.len(), length_ms)?;
            total = total.with(&figures)?;
            all.add(&counts);
            seen.extend(tenants);
            points.push(Point { start, figures });
        }
        let total =
            Figures { active_tenants: count(seen.len()), p50_ms: all.at_most(50), p95_ms: all.at_most(95), ..total };
        Ok(Dashboard { total, points, channels })
    })
}

impl Figures {
    /// So long calls waited in the queue on average, in milliseconds.
    pub fn mean_wait_ms(&self) -> Option<i64> {
        self.queued_ms.checked_div(self.queued)
    }

    /// So many calls waited in the queue on average, in thousandths. Nobody has to count them now and then: the sum of all waits is the
    /// depth summed over the time.
    pub fn mean_depth(&self) -> i64 {
        self.queued_ms.saturating_mul(1_000).checked_div(self.length_ms).unwrap_or_default()
    }

    fn of(charged: &[UsageRow], counts: &Counts, tenants: usize, length_ms: i64) -> Result<Self, DbError> {
        let sum = |value: fn(&UsageRow) -> i64| charged.iter().map(value).fold(0, i64::saturating_add);
        let revenue = charged.iter().try_fold(Amount::ZERO, |sum, row| sum.checked_add(row.amount));
        Ok(Self {
            calls: counts.calls,
            answered: counts.answered,
            failed: counts.failed,
            refused: counts.refused,
            prompt_tokens: sum(|row| row.prompt_tokens),
            completion_tokens: sum(|row| row.completion_tokens),
            images: sum(|row| row.images),
            revenue: revenue.ok_or_else(out_of_range)?,
            active_tenants: count(tenants),
            p50_ms: counts.at_most(50),
            p95_ms: counts.at_most(95),
            queued: counts.queued,
            queued_ms: counts.queued_ms,
            longest_wait_ms: (counts.queued > 0).then_some(counts.longest_queued_ms),
            length_ms,
        })
    }

    /// The sums of both; what cannot be summed stays.
    fn with(self, other: &Self) -> Result<Self, DbError> {
        Ok(Self {
            calls: self.calls + other.calls,
            answered: self.answered + other.answered,
            failed: self.failed + other.failed,
            refused: self.refused + other.refused,
            prompt_tokens: self.prompt_tokens.saturating_add(other.prompt_tokens),
            completion_tokens: self.completion_tokens.saturating_add(other.completion_tokens),
            images: self.images.saturating_add(other.images),
            revenue: self.revenue.checked_add(other.revenue).ok_or_else(out_of_range)?,
            queued: self.queued + other.queued,
            queued_ms: self.queued_ms.saturating_add(other.queued_ms),
            longest_wait_ms: self.longest_wait_ms.max(other.longest_wait_ms),
            length_ms: self.length_ms.saturating_add(other.length_ms),
            ..self
        })
    }
}

fn out_of_range() -> DbError {
    DbError::Corrupt("revenue out of range".to_owned())
}

fn count(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}
