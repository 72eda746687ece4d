//! Moments as people type them into a form: a day, or a minute of one, by the clocks of the configured zone; or RFC 3339.

use chrono::{Datelike as _, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone as _};
use chrono_tz::Tz;
use shared::clock::Timestamp;

use super::format::local;

const DAY: &str = "%Y-%m-%d";
/// What a field of the kind `datetime-local` sends.
const MINUTE: &str = "%Y-%m-%dT%H:%M";
/// The same with seconds, which some browsers add.
const SECOND: &str = "%Y-%m-%dT%H:%M:%S";
/// Days that are skipped whole (as on Samoa in 2011) are not searched further than this for their first moment.
const LONGEST_GAP_HOURS: i64 = 48;

/// What is allowed, in English and Chinese.
pub(crate) const ALLOWED: (&str, &str) =
    ("Give a day (2026-01-31) or a minute (2026-01-31T08:00).", "请输入日期（2026-01-31）或时间（2026-01-31T08:00）。");

/// Reads a moment: `2026-01-31` (when the day begins), `2026-01-31T08:00` or RFC 3339. `None` when it is none of these.
pub(crate) fn read(text: &str, zone: Tz) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(day) = NaiveDate::parse_from_str(text, DAY) {
        return first_of(day.and_time(NaiveTime::MIN), zone);
    }
    let minute = NaiveDateTime::parse_from_str(text, MINUTE).or_else(|_| NaiveDateTime::parse_from_str(text, SECOND));
    match minute {
        Ok(minute) => first_of(minute, zone),
        // In a query a plus that nobody escaped is a space.
        Err(_) => Timestamp::from_rfc3339(&text.replace(' ', "+")),
    }
}

/// A moment as a field of the kind `datetime-local` shows it.
pub(crate) fn write(moment: Timestamp, zone: Tz) -> String {
    local(moment, zone).map_or_else(String::new, |moment| moment.format(MINUTE).to_string())
}

/// The day of a moment: `2026-01-31`.
pub(crate) fn write_day(moment: Timestamp, zone: Tz) -> String {
    local(moment, zone).map_or_else(String::new, |moment| moment.format(DAY).to_string())
}

/// When the day of `moment` began, moved by `days` days.
pub(crate) fn day_of(moment: Timestamp, days: i64, zone: Tz) -> Option<Timestamp> {
    let day = local(moment, zone)?.date_naive().checked_add_signed(TimeDelta::try_days(days)?)?;
    first_of(day.and_time(NaiveTime::MIN), zone)
}

/// The kind of a form's field that shows this text: one for days would be empty where it is none.
pub(crate) fn kind_of_day(text: &str) -> &'static str {
    let is_day = text.is_empty() || text.parse::<NaiveDate>().is_ok_and(|day| (1..=9999).contains(&day.year()));
    if is_day { "date" } else { "text" }
}

/// The moment at which the clocks show `time` for the first time. Where they skip it, it is the first one after the gap.
fn first_of(time: NaiveDateTime, zone: Tz) -> Option<Timestamp> {
    let quarters =
        (0..LONGEST_GAP_HOURS * 4).filter_map(|quarter| time.checked_add_signed(TimeDelta::minutes(15 * quarter)));
    let first = quarters.map(|time| zone.from_local_datetime(&time).earliest()).find_map(|moment| moment);
    first.map(|moment| Timestamp(moment.timestamp_millis()))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::day(Tz::Asia__Shanghai, "2026-01-31", "2026-01-30T16:00:00Z")]
    #[case::minute(Tz::Asia__Shanghai, "2026-01-31T08:05", "2026-01-31T00:05:00Z")]
    #[case::second(Tz::Asia__Shanghai, " 2026-01-31T08:05:09 ", "2026-01-31T00:05:09Z")]
    #[case::moment(Tz::Asia__Shanghai, "2026-01-31T08:00:00.5+08:00", "2026-01-31T00:00:00.5Z")]
    #[case::plus_not_escaped(Tz::Asia__Shanghai, "2026-01-31T08:00:00 08:00", "2026-01-31T00:00:00Z")]
    #[case::midnight_skipped(Tz::America__Sao_Paulo, "2018-11-04", "2018-11-04T03:00:00Z")]
    #[case::minute_skipped(Tz::Europe__Berlin, "2026-03-29T02:30", "2026-03-29T01:00:00Z")]
    #[case::minute_twice(Tz::Europe__Berlin, "2026-10-25T02:30", "2026-10-25T00:30:00Z")]
    fn moments(#[case] zone: Tz, #[case] text: &str, #[case] expected: &str) {
        assert_eq!(read(text, zone), Timestamp::from_rfc3339(expected));
    }

    #[rstest]
    #[case("")]
    #[case("yesterday")]
    #[case("2026-02-30")]
    #[case("2026-01-31T25:00")]
    #[case("1769817600")]
    fn other_text_is_none(#[case] text: &str) {
        assert_eq!(read(text, Tz::UTC), None);
    }

    #[test]
    fn is_written_as_it_is_read() {
        let moment = Timestamp::from_rfc3339("2026-01-31T00:05:00Z").unwrap();
        assert_eq!(write(moment, Tz::Asia__Shanghai), "2026-01-31T08:05");
        assert_eq!(read(&write(moment, Tz::Asia__Shanghai), Tz::Asia__Shanghai), Some(moment));
    }

    #[test]
    fn days_are_those_of_the_zone() {
        let moment = Timestamp::from_rfc3339("2026-03-01T16:30:00Z").unwrap();
        assert_eq!(day_of(moment, 0, Tz::Asia__Shanghai), Timestamp::from_rfc3339("2026-03-01T16:00:00Z"));
        assert_eq!(day_of(moment, -6, Tz::UTC), Timestamp::from_rfc3339("2026-02-23T00:00:00Z"));
    }
}
