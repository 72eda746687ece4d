//! The steps of a series: into which of them a quarter of an hour falls, and all that a range has.

use chrono_tz::Tz;

use super::days;
use crate::calls::{SLOT_MS, floor};
use crate::clock::Timestamp;
use crate::db::{Composed, DbError, Value};

const HOUR_MS: i64 = 3_600_000;
/// The first day of all was a Thursday.
const MONDAY_BEFORE: i64 = 3;

/// The steps of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Quarters of an hour.
    Quarter,
    /// Hours.
    Hour,
    /// Days of a time zone.
    Day(Tz),
    /// Weeks of a time zone, from Monday on.
    Week(Tz),
}

impl Step {
    /// The place of a quarter of an hour in the series: the beginning of its step in Unix milliseconds, or the number of its day or week.
    pub(super) fn place(self, quarter: i64) -> Option<i64> {
        match self {
            Self::Quarter => Some(quarter),
            Self::Hour => Some(floor(quarter, HOUR_MS)),
            Self::Day(zone) | Self::Week(zone) => Some(self.place_of_day(days::of(Timestamp(quarter), zone)?)),
        }
    }

    /// The place of a day, where steps are days or longer.
    pub(super) const fn place_of_day(self, day: i64) -> i64 {
        match self {
            Self::Week(_) => (day + MONDAY_BEFORE).div_euclid(7),
            Self::Quarter | Self::Hour | Self::Day(_) => day,
        }
    }

    /// What [`super::usage`] calls the times of a place.
    pub(super) fn names(self, place: i64) -> Vec<String> {
        match self {
            Self::Quarter | Self::Hour => vec![place.to_string()],
            Self::Day(_) => days::name(place).into_iter().collect(),
            Self::Week(_) => (0..7).filter_map(|day| days::name(place * 7 - MONDAY_BEFORE + day)).collect(),
        }
    }

    /// The places of a range, each with its beginning.
    pub(super) fn starts(self, from: Timestamp, to: Timestamp) -> Result<Vec<(i64, Timestamp)>, DbError> {
        let out_of_range = || DbError::Corrupt("a range of time is out of range".to_owned());
        if from >= to {
            return Ok(Vec::new());
        }
        let first = self.place(floor(from.0, SLOT_MS)).ok_or_else(out_of_range)?;
        let last = self.place(floor(to.0 - 1, SLOT_MS)).ok_or_else(out_of_range)?;
        let width = match self {
            Self::Quarter => SLOT_MS,
            Self::Hour => HOUR_MS,
            Self::Day(_) | Self::Week(_) => 1,
        };
        let places = (0..=(last - first) / width).map(|step| first + step * width);
        let with_start = |place| match self {
            Self::Quarter | Self::Hour => Some((place, Timestamp(place))),
            Self::Day(zone) => Some((place, days::start(place, zone)?)),
            Self::Week(zone) => Some((place, days::start(place * 7 - MONDAY_BEFORE, zone)?)),
        };
        places.map(|place| with_start(place).ok_or_else(out_of_range)).collect()
    }

    /// The quarters of an hour from `from` on and before `to` in pieces, in each of which [`Step::select`] is right: with the offset to be
    /// given to it.
    pub(super) fn pieces(self, from: i64, to: i64) -> Vec<(i64, i64, i64)> {
        match self {
            Self::Day(zone) | Self::Week(zone) => days::pieces_of_one_offset(from, to, zone),
            Self::Quarter | Self::Hour => vec![(from, to, 0)],
        }
    }

    /// Begins a statement with the place of a row's `slot_start`, as the column `place`.
    pub(super) fn select<'a>(self, statement: &mut Composed<'a>, offset_ms: i64) {
        statement.and("SELECT ", []);
        match self {
            Self::Quarter => statement.and("slot_start", []),
            Self::Hour => statement.and("slot_start / 3600000 * 3600000", []),
            Self::Day(_) => statement.and("(slot_start + ?) / 86400000", [Value::Int(offset_ms)]),
            Self::Week(_) => statement.and("((slot_start + ?) / 86400000 + 3) / 7", [Value::Int(offset_ms)]),
        };
        statement.and(" AS place, ", []);
    }
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
        // The 28th of March is a Saturday.
        let weeks = starts(Step::Week(Tz::Europe__Berlin));
        assert_eq!(weeks, ["2026-03-22T23:00:00Z", "2026-03-29T22:00:00Z"].map(at));
        let week = Step::Week(Tz::UTC);
        assert_eq!(week.names(week.place(from.0).unwrap())[..2], ["2026-03-23", "2026-03-24"]);
        let hours = starts(Step::Hour);
        assert_eq!((hours.len(), hours[0], hours[48]), (49, at("2026-03-28T12:00:00Z"), at("2026-03-30T12:00:00Z")));
        assert_eq!(starts(Step::Quarter).len(), 193);
        assert!(Step::Hour.starts(to, from).unwrap().is_empty());
    }
}
