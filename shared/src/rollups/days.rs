//! Days of a time zone, by their number since 1970-01-01.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, Offset as _, TimeDelta, TimeZone as _};
use chrono_tz::Tz;

use crate::calls::{DAY_MS, SLOT_MS, floor};
use crate::clock::Timestamp;

/// Days that are skipped whole (as on Samoa in 2011) are not searched further than this for their first moment.
const LONGEST_GAP_QUARTERS: i64 = 48 * 4;

/// The day of a moment.
pub(super) fn of(moment: Timestamp, zone: Tz) -> Option<i64> {
    let local = chrono::DateTime::from_timestamp_millis(moment.0)?.with_timezone(&zone);
    Some(local.date_naive().signed_duration_since(NaiveDate::default()).num_days())
}

/// The first moment of a day. Where the clocks skip midnight, it is the first one after the gap.
pub(super) fn start(day: i64, zone: Tz) -> Option<Timestamp> {
    let midnight = NaiveDateTime::new(date(day)?, NaiveTime::MIN);
    let quarters =
        (0..LONGEST_GAP_QUARTERS).filter_map(|quarter| midnight.checked_add_signed(TimeDelta::minutes(15 * quarter)));
    let first = quarters.map(|local| zone.from_local_datetime(&local).earliest()).find_map(|moment| moment);
    first.map(|moment| Timestamp(moment.timestamp_millis()))
}

/// The first day that does not begin before a moment.
pub(super) fn first_whole(moment: Timestamp, zone: Tz) -> Option<i64> {
    let day = of(moment, zone)?;
    Some(if start(day, zone)? < moment { day + 1 } else { day })
}

/// The time from `from` on and before `to` (Unix milliseconds, beginnings of quarters of an hour), cut where the offset of the zone changes:
/// in each piece, a moment's day is `(moment + offset) / DAY_MS`. With the offset in milliseconds. Nothing for a time out of range.
pub(super) fn pieces_of_one_offset(from: i64, to: i64, zone: Tz) -> Vec<(i64, i64, i64)> {
    let offset = |moment: i64| {
        let local = chrono::DateTime::from_timestamp_millis(moment)?.with_timezone(&zone);
        Some(i64::from(local.offset().fix().local_minus_utc()) * 1_000)
    };
    let mut pieces: Vec<(i64, i64, i64)> = Vec::new();
    let mut at = from;
    while at < to {
        let Some(here) = offset(at) else { return Vec::new() };
        // Offsets change months apart, so a day has one change at most.
        let mut next = at.saturating_add(DAY_MS).min(to);
        if offset(next - 1) != Some(here) {
            let (mut same, mut other) = (at, next);
            while other - same > SLOT_MS {
                let middle = floor(same + (other - same) / 2, SLOT_MS).max(same + SLOT_MS);
                if offset(middle) == Some(here) { same = middle } else { other = middle }
            }
            next = other;
        }
        match pieces.last_mut() {
            Some((_, end, before)) if *before == here => *end = next,
            _ => pieces.push((at, next, here)),
        }
        at = next;
    }
    pieces
}

/// As people write it: `2026-01-31`.
pub(super) fn name(day: i64) -> Option<String> {
    date(day).map(|date| date.to_string())
}

fn date(day: i64) -> Option<NaiveDate> {
    NaiveDate::default().checked_add_signed(TimeDelta::try_days(day)?)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::from_rfc3339(text).unwrap()
    }

    #[rstest]
    #[case::first(Tz::UTC, "1970-01-01T00:00:00Z", 0, "1970-01-01")]
    #[case::east(Tz::Asia__Shanghai, "2026-01-30T16:00:00Z", 20_484, "2026-01-31")]
    #[case::before_1970(Tz::America__New_York, "1970-01-01T00:00:00Z", -1, "1969-12-31")]
    #[case::midnight_skipped(Tz::America__Sao_Paulo, "2018-11-04T03:00:00Z", 17_839, "2018-11-04")]
    #[case::midnight_twice(Tz::America__Havana, "2025-11-02T04:00:00Z", 20_394, "2025-11-02")]
    fn a_day_has_a_number_a_name_and_a_beginning(
        #[case] zone: Tz,
        #[case] begins: &str,
        #[case] day: i64,
        #[case] named: &str,
    ) {
        let begins = at(begins);
        assert_eq!((of(begins, zone), name(day).as_deref()), (Some(day), Some(named)));
        if zone != Tz::America__New_York {
            assert_eq!(start(day, zone), Some(begins));
            assert_eq!(of(begins.plus_ms(-1), zone), Some(day - 1));
        }
    }

    #[rstest]
    #[case::one_offset(Tz::Asia__Shanghai, 1)]
    #[case::summer_and_back(Tz::Europe__Berlin, 3)]
    #[case::half_an_hour(Tz::Australia__Lord_Howe, 3)]
    fn pieces_have_one_offset_and_tell_the_day(#[case] zone: Tz, #[case] expected: usize) {
        let (from, to) = (at("2026-01-01T00:15:00Z").0, at("2026-12-31T23:45:00Z").0);
        let pieces = pieces_of_one_offset(from, to, zone);
        assert_eq!((pieces.len(), pieces[0].0, pieces[pieces.len() - 1].1), (expected, from, to));
        assert!(pieces.windows(2).all(|pair| pair[0].1 == pair[1].0 && pair[0].2 != pair[1].2), "{pieces:?}");
        for (from, to, offset_ms) in pieces {
            for quarter in (from..to).step_by(900_000) {
                assert_eq!(of(Timestamp(quarter), zone), Some((quarter + offset_ms).div_euclid(DAY_MS)));
            }
        }
    }

    #[rstest]
    #[case::just("2026-01-30T16:00:00Z", "2026-01-31")]
    #[case::a_little_later("2026-01-30T16:00:00.001Z", "2026-02-01")]
    #[case::a_little_before("2026-01-30T15:59:59.999Z", "2026-01-31")]
    fn the_first_whole_day(#[case] moment: &str, #[case] expected: &str) {
        let found = first_whole(at(moment), Tz::Asia__Shanghai).and_then(name);
        assert_eq!(found.as_deref(), Some(expected));
    }
}
