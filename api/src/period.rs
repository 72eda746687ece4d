//! Periods in a query: moments or days, `from` inclusive, `to` exclusive.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone as _};
use chrono_tz::Tz;
use shared::clock::Timestamp;
use shared::ledger::Period;
use shared::refusal::{Reason, Refusal};

/// A day, in milliseconds.
const DAY_MS: i64 = 86_400_000;
/// The most days of a period: what is summed for one reply is bounded.
const MOST_DAYS: i64 = 366;
/// So many local days can be longer than so many times 24 hours.
const SHIFTED_CLOCKS_MS: i64 = 7_200_000;
/// What is shown when no beginning is given.
const USUAL_MS: i64 = 30 * DAY_MS;
/// Days that are skipped whole (as on Samoa in 2011) are not searched further than this for their first moment.
const LONGEST_GAP_HOURS: i64 = 48;

/// The period between two parameters, each given with its name. Without an end it is now (this millisecond included), without a beginning 30 days before the end.
///
/// # Errors
/// The parameter that is no moment, or a period that ends before it begins or is longer than 366 days.
pub(crate) fn between(
    from: (&str, Option<&str>),
    to: (&str, Option<&str>),
    zone: Tz,
    now: Timestamp,
) -> Result<Period, Refusal> {
    let read = |(name, text): (&str, Option<&str>)| {
        text.filter(|text| !text.is_empty()).map(|text| moment(name, text, zone)).transpose()
    };
    let (name, end_name) = (from.0, to.0);
    let (from, to) = (read(from)?, read(to)?.unwrap_or(now.plus_ms(1)));
    let from = from.unwrap_or_else(|| to.plus_ms(-USUAL_MS));
    if from >= to {
        let message = format!("{name} must be before {end_name}, which is exclusive (without one it is now)");
        return Err(Refusal::of_field(Reason::InvalidParameter, name, message));
    }
    if to.since(from) > MOST_DAYS * DAY_MS + SHIFTED_CLOCKS_MS {
        let message =
            format!("a period has at most {MOST_DAYS} days; ask for a shorter one, with {name} and {end_name}");
        return Err(Refusal::of_field(Reason::InvalidParameter, name, message));
    }
    Ok((from, to))
}

/// The day of a moment, as it can be asked for.
pub(crate) fn day_of(moment: Timestamp, zone: Tz) -> String {
    let day = chrono::DateTime::from_timestamp_millis(moment.0);
    day.map_or_else(|| moment.to_rfc3339(), |day| day.with_timezone(&zone).date_naive().to_string())
}

fn moment(name: &str, text: &str, zone: Tz) -> Result<Timestamp, Refusal> {
    let is_day = text.len() == "2026-01-31".len() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let parsed = if is_day {
        NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().and_then(|day| start_of(day, zone))
    } else {
        // In a query a plus that nobody escaped is a space.
        Timestamp::from_rfc3339(&text.replace(' ', "+"))
    };
    parsed.ok_or_else(|| {
        let message =
            format!("{name} must be a day (2026-01-31, in {zone}) or a moment in RFC 3339 (2026-01-31T08:00:00+08:00)");
        Refusal::of_field(Reason::InvalidParameter, name, message)
    })
}

/// The first moment of a day. Where the clocks skip midnight, it is the first one after the gap.
fn start_of(day: NaiveDate, zone: Tz) -> Option<Timestamp> {
    let midnight = NaiveDateTime::new(day, NaiveTime::MIN);
    let quarters =
        (0..LONGEST_GAP_HOURS * 4).filter_map(|quarter| midnight.checked_add_signed(TimeDelta::minutes(15 * quarter)));
    let first = quarters.map(|local| zone.from_local_datetime(&local).earliest()).find_map(|moment| moment);
    first.map(|moment| Timestamp(moment.timestamp_millis()))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::from_rfc3339(text).unwrap()
    }

    #[rstest]
    #[case::day(Tz::Asia__Shanghai, "2026-01-31", "2026-01-30T16:00:00Z")]
    #[case::moment(Tz::Asia__Shanghai, "2026-01-31T08:00:00+08:00", "2026-01-31T00:00:00Z")]
    #[case::plus_not_escaped(Tz::Asia__Shanghai, "2026-01-31T08:00:00 08:00", "2026-01-31T00:00:00Z")]
    #[case::midnight_skipped(Tz::America__Sao_Paulo, "2018-11-04", "2018-11-04T03:00:00Z")]
    #[case::day_skipped(Tz::Pacific__Apia, "2011-12-30", "2011-12-30T10:00:00Z")]
    #[case::midnight_twice(Tz::America__Havana, "2025-11-02", "2025-11-02T04:00:00Z")]
    fn moments(#[case] zone: Tz, #[case] text: &str, #[case] expected: &str) {
        assert_eq!(moment("from", text, zone), Ok(at(expected)));
    }

    #[rstest]
    #[case("2026-02-30")]
    #[case("2026-1-1")]
    #[case("20260131")]
    #[case("+2026-1-01")]
    #[case("2026-01-31T08:00:00")]
    #[case("1769817600")]
    #[case("yesterday")]
    #[case("一二三四")]
    fn other_text_is_refused(#[case] text: &str) {
        let refusal = moment("from", text, Tz::Asia__Shanghai).unwrap_err();
        assert_eq!((refusal.reason, refusal.param.as_deref()), (Reason::InvalidParameter, Some("from")));
    }

    #[test]
    fn a_period_has_usual_ends() {
        let now = at("2026-03-01T12:00:00Z");
        let period = |from, to| between(("from", from), ("to", to), Tz::UTC, now);
        // This very millisecond belongs to it.
        let end = now.plus_ms(1);
        assert_eq!(period(None, None), Ok((at("2026-01-30T12:00:00Z").plus_ms(1), end)));
        assert_eq!(period(Some(""), Some("2026-02-01")), Ok((at("2026-01-02T00:00:00Z"), at("2026-02-01T00:00:00Z"))));
        assert_eq!(period(Some("2026-02-28"), None), Ok((at("2026-02-28T00:00:00Z"), end)));
        for (from, to) in [("2026-02-01", Some("2026-02-01")), ("2026-02-02", Some("2026-02-01")), ("2026-03-02", None)]
        {
            let refusal = period(Some(from), to).unwrap_err();
            assert_eq!(
                (refusal.reason, refusal.param.as_deref()),
                (Reason::InvalidParameter, Some("from")),
                "{from} {to:?}"
            );
        }
    }

    #[rstest]
    #[case::leap_year("2024-01-01", "2025-01-01", true)]
    #[case::a_day_more("2024-01-01", "2025-01-02", false)]
    #[case::with_an_hour_more_by_shifted_clocks("2024-04-01", "2025-04-02", true)]
    #[case::everything("0001-01-01", "9999-12-31", false)]
    fn a_period_is_bounded(#[case] from: &str, #[case] to: &str, #[case] is_allowed: bool) {
        let now = at("2026-03-01T12:00:00Z");
        let period = between(("start_date", Some(from)), ("end_date", Some(to)), Tz::Europe__Berlin, now);
        let Err(refusal) = period else { return assert!(is_allowed) };
        assert!(!is_allowed && refusal.message.contains("366 days"), "{}", refusal.message);
        assert_eq!((refusal.reason, refusal.param.as_deref()), (Reason::InvalidParameter, Some("start_date")));
    }
}
