//! What operators look at: calls, tokens, revenue, errors, tenants and times, in all and step by step.

use std::collections::{BTreeMap, BTreeSet};

use chrono_tz::Tz;

use super::active::active_tenants;
use super::days;
use super::latency::{Counts, counts};
use super::usage::{By, UsageFilter, usage};
use crate::calls::{SLOT_MS, floor};
use crate::clock::Timestamp;
use crate::db::{Connection, DbError, snapshot};
use crate::ledger::UsageRow;
use crate::money::Amount;

/// The steps of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Quarters of an hour.
    Quarter,
    /// Hours.
    Hour,
    /// Days of a time zone.
    Day(Tz),
}

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
            Step::Day(zone) => By::Day(zone),
        };
        let charged = usage(connection, &UsageFilter::default(), (from, to), by)?.rows;
        let mut charged: BTreeMap<String, UsageRow> = charged.into_iter().map(|row| (row.group.clone(), row)).collect();
        let mut calls = counts(connection, floor(from.0, SLOT_MS), to.0, step)?;
        let mut tenants = active_tenants(connection, (from, to), step)?;

        let (mut total, mut all, mut seen) = (Figures::default(), Counts::default(), BTreeSet::new());
        let mut points = Vec::new();
        for (place, start) in step.starts(from, to)? {
            let name = match step {
                Step::Day(_) => days::name(place).unwrap_or_default(),
                Step::Quarter | Step::Hour => place.to_string(),
            };
            let counts = calls.remove(&place).unwrap_or_default();
            let tenants = tenants.remove(&place).unwrap_or_default();
            let figures = Figures::of(charged.remove(&name).as_ref(), &counts, tenants.len());
            total = total.with(&figures)?;
            all.add(&counts);
            seen.extend(tenants);
            points.push(Point { start, figures });
        }
        let total =
            Figures { active_tenants: count(seen.len()), p50_ms: all.at_most(50), p95_ms: all.at_most(95), ..total };
        Ok(Dashboard { total, points })
    })
}

impl Step {
    /// The place of a quarter of an hour in the series: the beginning of its step in Unix milliseconds, or the number of its day.
    pub(super) fn place(self, quarter: i64) -> Option<i64> {
        match self {
            Self::Quarter => Some(quarter),
            Self::Hour => Some(floor(quarter, 3_600_000)),
            Self::Day(zone) => days::of(Timestamp(quarter), zone),
        }
    }

    /// The places of a range, each with its beginning.
    fn starts(self, from: Timestamp, to: Timestamp) -> Result<Vec<(i64, Timestamp)>, DbError> {
        let out_of_range = || DbError::Corrupt("a range of time is out of range".to_owned());
        if from >= to {
            return Ok(Vec::new());
        }
        let first = self.place(floor(from.0, SLOT_MS)).ok_or_else(out_of_range)?;
        let last = self.place(floor(to.0 - 1, SLOT_MS)).ok_or_else(out_of_range)?;
        let width = match self {
            Self::Quarter => SLOT_MS,
            Self::Hour => 3_600_000,
            Self::Day(_) => 1,
        };
        let places = (0..=(last - first) / width).map(|step| first + step * width);
        let with_start = |place| match self {
            Self::Quarter | Self::Hour => Some((place, Timestamp(place))),
            Self::Day(zone) => Some((place, days::start(place, zone)?)),
        };
        places.map(|place| with_start(place).ok_or_else(out_of_range)).collect()
    }
}

impl Figures {
    fn of(charged: Option<&UsageRow>, counts: &Counts, tenants: usize) -> Self {
        let charged_or = |value: fn(&UsageRow) -> i64| charged.map_or(0, value);
        Self {
            calls: counts.calls,
            answered: counts.answered,
            failed: counts.failed,
            refused: counts.refused,
            prompt_tokens: charged_or(|row| row.prompt_tokens),
            completion_tokens: charged_or(|row| row.completion_tokens),
            images: charged_or(|row| row.images),
            revenue: charged.map_or(Amount::ZERO, |row| row.amount),
            active_tenants: count(tenants),
            p50_ms: counts.at_most(50),
            p95_ms: counts.at_most(95),
        }
    }

    /// The sums of both; what cannot be summed stays.
    fn with(self, other: &Self) -> Result<Self, DbError> {
        let out_of_range = || DbError::Corrupt("revenue out of range".to_owned());
        Ok(Self {
            calls: self.calls + other.calls,
            answered: self.answered + other.answered,
            failed: self.failed + other.failed,
            refused: self.refused + other.refused,
            prompt_tokens: self.prompt_tokens.saturating_add(other.prompt_tokens),
            completion_tokens: self.completion_tokens.saturating_add(other.completion_tokens),
            images: self.images.saturating_add(other.images),
            revenue: self.revenue.checked_add(other.revenue).ok_or_else(out_of_range)?,
            ..self
        })
    }
}

fn count(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_of_a_range_is_there() {
        let at = |text| Timestamp::from_rfc3339(text).unwrap();
        let (from, to) = (at("2026-03-28T12:10:00Z"), at("2026-03-30T12:00:00.001Z"));
        let starts =
            |step: Step| step.starts(from, to).unwrap().into_iter().map(|(_, start)| start).collect::<Vec<_>>();
        let berlin = starts(Step::Day(Tz::Europe__Berlin));
        assert_eq!(berlin, ["2026-03-27T23:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"].map(at));
        let hours = starts(Step::Hour);
        assert_eq!((hours.len(), hours[0], hours[48]), (49, at("2026-03-28T12:00:00Z"), at("2026-03-30T12:00:00Z")));
        assert_eq!(starts(Step::Quarter).len(), 193);
        assert!(Step::Hour.starts(to, from).unwrap().is_empty());
    }
}
