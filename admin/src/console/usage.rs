//! What was used in a period: by day, by model, by end user.

mod chart;

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;
use chrono::{Days, NaiveDate};
use serde::{Deserialize, Serialize};
use shared::clock::Timestamp;
use shared::ledger::{Period, UsageRow};
use shared::money::Amount;
use shared::rollups::{self, By as Grouped, Largest, UsageFilter};

use super::Console;
use super::access::Developer;
use crate::frame::chart::Chart;
use crate::frame::failure::{Failed, Handled};
use crate::frame::format::local;
use crate::frame::language::Language;
use crate::frame::moment;
use crate::frame::page::{self, Page};
use crate::frame::paging::{self, query, query_of};
use crate::frame::wrongs::Wrongs;

/// What is shown when no beginning is given, in days.
const USUAL_DAYS: u64 = 30;
/// The longest period, in days.
const MOST_DAYS: i64 = 366;
/// The most groups of a page, those that cost the most.
const MOST_GROUPS: usize = 200;

/// The page's filters, as they stand in its address.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Filters {
    /// The first day.
    from: String,
    /// The last day.
    to: String,
    /// `day`, `model` or `user`.
    by: String,
}

#[derive(Template)]
#[template(path = "console/usage.html")]
struct Usage<'a> {
    page: &'a Page,
    developer: &'a Developer,
    /// As they were typed, or what they are without that.
    from: String,
    to: String,
    by: By,
    /// What is wrong with the days, so that others are shown.
    wrongs: Wrongs,
    chart: Chart,
    /// Each with the query of its calls.
    rows: Vec<(UsageRow, String)>,
    has_more: bool,
    total: UsageRow,
    /// End users are not known before it.
    known_from: Option<Timestamp>,
    tabs: Vec<Tab>,
}

struct Tab {
    by: By,
    query: String,
}

/// What is summed in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Day,
    Model,
    User,
}

impl By {
    const ALL: [Self; 3] = [Self::Day, Self::Model, Self::User];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Model => "model",
            Self::User => "user",
        }
    }

    fn title(self, page: &Page) -> &'static str {
        match self {
            Self::Day => page.say("Day", "日期"),
            Self::Model => page.say("Model", "模型"),
            Self::User => page.say("End user", "终端用户"),
        }
    }

    /// The query of the calls of one group, in the days that are shown.
    fn calls(self, group: &str, (from, to): (NaiveDate, NaiveDate)) -> String {
        let (from, to) = (from.to_string(), to.to_string());
        match self {
            Self::Day => query(&[("from", group), ("to", group)]),
            Self::Model => query(&[("model", group), ("from", &from), ("to", &to)]),
            Self::User if group.is_empty() => query(&[("unnamed", "1"), ("from", &from), ("to", &to)]),
            Self::User => query(&[("user", group), ("from", &from), ("to", &to)]),
        }
    }

    /// The filter that leaves one group.
    fn only(self, filter: &UsageFilter, group: &str) -> UsageFilter {
        match self {
            Self::Day => filter.clone(),
            Self::Model => UsageFilter { model: Some(group.to_owned()), ..filter.clone() },
            Self::User => UsageFilter { end_user: Some(group.to_owned()), ..filter.clone() },
        }
    }
}

/// Shows it.
pub(super) async fn show(request: HttpRequest, developer: Developer, console: Data<Console>) -> Handled {
    let (page, zone) = (&developer.page, developer.page.zone());
    let filters: Filters = paging::filters(&request);
    let by = By::ALL.into_iter().find(|by| filters.by == by.as_str()).unwrap_or(By::Day);
    let today = local(developer.now, zone).ok_or_else(|| Failed::internal(&request, "no day"))?.date_naive();
    let mut wrongs = Wrongs::default();
    let asked = span(&filters, today, page.language, &mut wrongs);
    let span = asked.unwrap_or_else(|| usual(today));
    let period = period(span, zone).ok_or_else(|| Failed::internal(&request, "a period without moments"))?;
    let filter = UsageFilter { tenant: Some(developer.tenant()), key: developer.sees_only(), ..UsageFilter::default() };
    let read = console.database.read_records(move |connection| {
        let by_day = rollups::usage(connection, &filter, period, Grouped::Day(zone))?.rows;
        let grouped = match by {
            By::Day => return Ok((by_day, None)),
            By::Model => Grouped::Model,
            By::User => Grouped::User,
        };
        let groups = rollups::largest(connection, &filter, period, grouped, MOST_GROUPS)?;
        let mut days_of_largest = Vec::new();
        // A tenant without end users has one group without a name, whose days are those of the whole.
        for row in groups.rows.iter().filter(|row| !row.group.is_empty()).take(chart::MOST_SERIES) {
            let days = rollups::usage(connection, &by.only(&filter, &row.group), period, Grouped::Day(zone))?;
            days_of_largest.push((row.group.clone(), days.rows));
        }
        Ok((by_day, Some((groups, days_of_largest))))
    });
    let (by_day, groups) = read.await.map_err(|error| Failed::database(&request, &error))?;
    let (groups, largest) = groups.unwrap_or_else(|| {
        let total = total(&by_day);
        (Largest { rows: by_day.clone(), has_more: false, total, known_from: None }, Vec::new())
    });
    let chart = chart::of(page, span, &by_day, &largest);
    let tab = |by: By| Tab { by, query: query_of(&filters, &[("by", by.as_str())]) };
    let tabs = By::ALL.into_iter().map(tab).collect();
    let [from, to] = match asked {
        Some((from, to)) => [from.to_string(), to.to_string()],
        None => [filters.from, filters.to],
    };
    let Largest { rows, has_more, total, known_from } = groups;
    let first = known_from.and_then(|moment| local(moment, zone)).map(|moment| moment.date_naive());
    let span = (first.unwrap_or(span.0).max(span.0), span.1);
    let rows = rows.into_iter().map(|row| (row.clone(), by.calls(&row.group, span))).collect();
    let developer = &developer;
    let usage = Usage { page, developer, from, to, by, wrongs, chart, rows, has_more, total, known_from, tabs };
    page::show(&request, page, &usage)
}

fn usual(today: NaiveDate) -> (NaiveDate, NaiveDate) {
    (today.checked_sub_days(Days::new(USUAL_DAYS - 1)).unwrap_or(today), today)
}

/// The first and the last day that are asked for; `None` when they cannot be, which is said in `language`.
fn span(
    filters: &Filters,
    today: NaiveDate,
    language: Language,
    wrongs: &mut Wrongs,
) -> Option<(NaiveDate, NaiveDate)> {
    let words = language.say("Give a day, like 2026-01-31.", "请输入日期，如 2026-01-31。");
    // The last day of the calendar has none behind it.
    let day = |text: &str| text.parse::<NaiveDate>().ok().filter(|day| day.succ_opt().is_some()).ok_or(());
    let (from, to) =
        (wrongs.read_any("from", &filters.from, words, day), wrongs.read_any("to", &filters.to, words, day));
    if !wrongs.is_empty() {
        return None;
    }
    let to = to.unwrap_or(today);
    let from = from.unwrap_or_else(|| usual(to).0);
    let days = to.signed_duration_since(from).num_days();
    if days < 0 {
        wrongs.add("to", language.say("The last day must not be before the first.", "结束日期不能早于开始日期。"));
    } else if days >= MOST_DAYS {
        wrongs.add("from", language.say("At most 366 days can be summed.", "最多汇总 366 天。"));
    }
    wrongs.is_empty().then_some((from, to))
}

/// From the first moment of the first day until behind the last one of the last.
fn period((from, to): (NaiveDate, NaiveDate), zone: chrono_tz::Tz) -> Option<Period> {
    let start = |day: NaiveDate| -> Option<Timestamp> { moment::read(&day.to_string(), zone) };
    Some((start(from)?, start(to.succ_opt()?)?))
}

fn total(rows: &[UsageRow]) -> UsageRow {
    let sum = |of: fn(&UsageRow) -> i64| rows.iter().map(of).fold(0, i64::saturating_add);
    UsageRow {
        group: String::new(),
        requests: sum(|row| row.requests),
        prompt_tokens: sum(|row| row.prompt_tokens),
        completion_tokens: sum(|row| row.completion_tokens),
        images: sum(|row| row.images),
        amount: Amount::from_nanos(sum(|row| row.amount.nanos())),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("", "", Some(("2026-10-30", "2026-11-28")))]
    #[case("2026-11-28", "", Some(("2026-11-28", "2026-11-28")))]
    #[case("", "2026-01-30", Some(("2026-01-01", "2026-01-30")))]
    #[case("2024-01-01", "2024-12-31", Some(("2024-01-01", "2024-12-31")))]
    #[case("2024-01-01", "2025-01-01", None)]
    #[case("2026-11-28", "2026-11-27", None)]
    #[case("yesterday", "", None)]
    #[case("", "<script>", None)]
    fn spans(#[case] from: &str, #[case] to: &str, #[case] expected: Option<(&str, &str)>) {
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        let filters = Filters { from: from.to_owned(), to: to.to_owned(), by: String::new() };
        let expected = expected.map(|(from, to)| (day(from), day(to)));
        let mut wrongs = Wrongs::default();
        assert_eq!(span(&filters, day("2026-11-28"), Language::English, &mut wrongs), expected);
        assert_eq!(wrongs.is_empty(), expected.is_some());
    }
}
