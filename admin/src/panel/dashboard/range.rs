//! The time that the dashboard is about: so many hours or days until now, or from one moment to another.

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use shared::clock::Timestamp;
use shared::rollups::Step;

use crate::frame::moment;
use crate::frame::page::Page;
use crate::frame::paging::query_of;

const QUARTER_MS: i64 = 900_000;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// The longest range.
const MOST_DAYS: i64 = 366;
/// A range from one moment to another is shown by quarters of an hour up to this length,
const LONGEST_IN_QUARTERS_MS: i64 = 12 * HOUR_MS;
/// by hours up to this one,
const LONGEST_IN_HOURS_MS: i64 = 4 * DAY_MS;
/// by days up to this one, and by weeks beyond it: more steps would make a heavy page of pictures that nobody can read.
const LONGEST_IN_DAYS_MS: i64 = 62 * DAY_MS;

/// A range until now.
pub(super) struct Preset {
    /// Its name in the address.
    pub(super) name: &'static str,
    pub(super) english: &'static str,
    pub(super) chinese: &'static str,
    length: Length,
}

enum Length {
    Hours(i64),
    /// Whole days, with this one.
    Days(i64),
}

/// All of them. The second is what is shown when nothing is chosen.
pub(super) const PRESETS: [Preset; 4] = [
    Preset { name: "1h", english: "Last hour", chinese: "最近 1 小时", length: Length::Hours(1) },
    Preset { name: "24h", english: "Last 24 hours", chinese: "最近 24 小时", length: Length::Hours(24) },
    Preset { name: "7d", english: "7 days", chinese: "7 天", length: Length::Days(7) },
    Preset { name: "30d", english: "30 days", chinese: "30 天", length: Length::Days(30) },
];
const USUAL: &Preset = &PRESETS[1];
/// The name of a range from one moment to another.
pub(super) const CHOSEN: &str = "from-to";

/// What the address says.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Typed {
    range: String,
    pub(super) from: String,
    pub(super) to: String,
    /// `off`: the page stays as it is.
    live: String,
}

/// A range that was understood.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Range {
    /// The name in the address.
    pub(super) name: &'static str,
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    pub(super) step: Step,
    /// What is wrong with what was typed, in English and Chinese; then the range is the usual one.
    pub(super) wrong: Option<(&'static str, &'static str)>,
}

impl Range {
    /// A moment as its field shows it.
    pub(super) fn shown(&self, moment: &Timestamp, page: &Page) -> String {
        moment::write(*moment, page.zone())
    }

    /// Whether more than one day is shown, so that hours alone would say too little.
    pub(super) fn has_days(&self) -> bool {
        self.to.since(self.from) > DAY_MS + HOUR_MS
    }
}

impl Typed {
    /// Whether the page looks again by itself.
    pub(super) fn is_live(&self) -> bool {
        self.live != "off"
    }

    /// The query of a link to the same with one thing changed. Another range leaves the moments of this one behind.
    pub(super) fn query(&self, name: &str, value: &str) -> String {
        match name {
            "range" => query_of(self, &[(name, value), ("from", ""), ("to", "")]),
            _ => query_of(self, &[(name, value)]),
        }
    }

    /// The range that is asked for.
    pub(super) fn range(&self, now: Timestamp, zone: Tz) -> Range {
        if self.range == CHOSEN || (self.range.is_empty() && !(self.from.is_empty() && self.to.is_empty())) {
            return self
                .chosen(now, zone)
                .unwrap_or_else(|wrong| Range { wrong: Some(wrong), ..until(USUAL, now, zone) });
        }
        let preset = PRESETS.iter().find(|preset| preset.name == self.range).unwrap_or(USUAL);
        until(preset, now, zone)
    }

    fn chosen(&self, now: Timestamp, zone: Tz) -> Result<Range, (&'static str, &'static str)> {
        let read = |text: &str| moment::read(text, zone).ok_or(moment::ALLOWED);
        let from = read(&self.from)?;
        let to = if self.to.is_empty() { now.plus_ms(1) } else { read(&self.to)? };
        let length = to.since(from);
        if length <= 0 {
            return Err(("The beginning must lie before the end.", "开始时间必须早于结束时间。"));
        }
        if length > MOST_DAYS * DAY_MS {
            return Err(("At most 366 days can be shown.", "最多显示 366 天。"));
        }
        let step = if length <= LONGEST_IN_QUARTERS_MS {
            Step::Quarter
        } else if length <= LONGEST_IN_HOURS_MS {
            Step::Hour
        } else if length <= LONGEST_IN_DAYS_MS {
            Step::Day(zone)
        } else {
            Step::Week(zone)
        };
        Ok(Range { name: CHOSEN, from, to, step, wrong: None })
    }
}

fn until(preset: &'static Preset, now: Timestamp, zone: Tz) -> Range {
    // Sums are kept by quarters of an hour, so a range begins with one.
    let back = |length: i64| Timestamp(now.0.saturating_sub(length).div_euclid(QUARTER_MS) * QUARTER_MS);
    let (from, step) = match preset.length {
        Length::Hours(1) => (back(HOUR_MS), Step::Quarter),
        Length::Hours(hours) => (back(hours * HOUR_MS), Step::Hour),
        Length::Days(days) => {
            let first = moment::day_of(now, 1 - days, zone).unwrap_or_else(|| back(days * DAY_MS));
            (first, Step::Day(zone))
        }
    };
    Range { name: preset.name, from, to: now.plus_ms(1), step, wrong: None }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const ZONE: Tz = Tz::Asia__Shanghai;

    fn at(text: &str) -> Timestamp {
        Timestamp::from_rfc3339(text).unwrap()
    }

    fn range(range: &str, from: &str, to: &str) -> Range {
        let typed = Typed { range: range.to_owned(), from: from.to_owned(), to: to.to_owned(), live: String::new() };
        typed.range(at("2026-03-05T10:20:30+08:00"), ZONE)
    }

    #[rstest]
    #[case("1h", "2026-03-05T09:15:00+08:00", Step::Quarter)]
    #[case("24h", "2026-03-04T10:15:00+08:00", Step::Hour)]
    #[case("", "2026-03-04T10:15:00+08:00", Step::Hour)]
    #[case("nonsense", "2026-03-04T10:15:00+08:00", Step::Hour)]
    #[case("7d", "2026-02-27T00:00:00+08:00", Step::Day(ZONE))]
    #[case("30d", "2026-02-04T00:00:00+08:00", Step::Day(ZONE))]
    fn until_now(#[case] name: &str, #[case] from: &str, #[case] step: Step) {
        let range = range(name, "", "");
        assert_eq!((range.from, range.step, range.wrong), (at(from), step, None));
        assert_eq!(range.to, at("2026-03-05T10:20:30.001+08:00"));
    }

    #[rstest]
    #[case("2026-03-05", "", Step::Quarter)]
    #[case("2026-03-01", "2026-03-05", Step::Hour)]
    #[case("2026-01-01", "2026-03-01", Step::Day(ZONE))]
    #[case("2025-03-05", "2026-03-05", Step::Week(ZONE))]
    fn from_one_moment_to_another(#[case] from: &str, #[case] to: &str, #[case] step: Step) {
        let range = range(CHOSEN, from, to);
        assert_eq!((range.name, range.step, range.wrong), (CHOSEN, step, None));
        assert_eq!(range.from, moment::read(from, ZONE).unwrap());
    }

    #[rstest]
    #[case("yesterday", "")]
    #[case("", "2026-03-05")]
    #[case("2026-03-05", "2026-03-05")]
    #[case("2026-03-06", "")]
    #[case("2020-01-01", "")]
    fn what_is_no_range_says_so_and_shows_the_usual_one(#[case] from: &str, #[case] to: &str) {
        let range = range(CHOSEN, from, to);
        assert!(range.wrong.is_some());
        assert_eq!(range.name, "24h");
    }
}
