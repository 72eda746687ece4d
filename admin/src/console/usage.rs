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
use shared::rollups::{self, By as Grouped, UsageFilter};

use super::Console;
use super::access::Developer;
use crate::frame::chart::Chart;
use crate::frame::failure::{Failed, Handled};
use crate::frame::format::local;
use crate::frame::moment;
use crate::frame::page::{self, Page};
use crate::frame::paging::{self, query_of};

/// What is shown when no beginning is given, in days.
const USUAL_DAYS: u64 = 30;
/// The longest period, in days.
const MOST_DAYS: i64 = 366;
/// The most groups of a page; a shorter period shows the others.
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
    from: NaiveDate,
    to: NaiveDate,
    by: By,
    /// Whether the days could not be read, so that others are shown.
    is_unread: bool,
    chart: Chart,
    rows: Vec<UsageRow>,
    has_more: bool,
    total: UsageRow,
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
    let asked = span(&filters, today);
    let span = asked.unwrap_or_else(|| usual(today));
    let period = period(span, zone).ok_or_else(|| Failed::internal(&request, "a period without moments"))?;
    let filter = UsageFilter { tenant: Some(developer.tenant()), key: developer.sees_only(), ..UsageFilter::default() };
    let read = console.database.read_records(move |connection| {
        let by_day = rollups::usage(connection, &filter, period, Grouped::Day(zone))?;
        let grouped = match by {
            By::Day => return Ok((by_day, None)),
            By::Model => Grouped::Model,
            By::User => Grouped::User,
        };
        let mut groups = rollups::usage(connection, &filter, period, grouped)?;
        groups.sort_by_key(|row| std::cmp::Reverse(row.amount));
        let mut days_of_largest = Vec::new();
        // A tenant without end users has one group without a name, whose days are those of the whole.
        for row in groups.iter().filter(|row| !row.group.is_empty()).take(chart::MOST_SERIES) {
            let days = rollups::usage(connection, &by.only(&filter, &row.group), period, Grouped::Day(zone))?;
            days_of_largest.push((row.group.clone(), days));
        }
        Ok((by_day, Some((groups, days_of_largest))))
    });
    let (by_day, groups) = read.await.map_err(|error| Failed::database(&request, &error))?;
    let total = total(&by_day);
    let (mut rows, largest) = groups.unwrap_or_else(|| (by_day.clone(), Vec::new()));
    let chart = chart::of(page, span, &by_day, &largest);
    let has_more = by != By::Day && rows.len() > MOST_GROUPS;
    if has_more {
        rows.truncate(MOST_GROUPS);
    }
    let tab = |by: By| Tab { by, query: query_of(&filters, &[("by", by.as_str())]) };
    let tabs = By::ALL.into_iter().map(tab).collect();
    let ((from, to), is_unread) = (span, asked.is_none());
    let usage = Usage { page, developer: &developer, from, to, by, is_unread, chart, rows, has_more, total, tabs };
    page::show(&request, page, &usage)
}

fn usual(today: NaiveDate) -> (NaiveDate, NaiveDate) {
    (today.checked_sub_days(Days::new(USUAL_DAYS - 1)).unwrap_or(today), today)
}

/// The first and the last day that are asked for; `None` when they cannot be.
fn span(filters: &Filters, today: NaiveDate) -> Option<(NaiveDate, NaiveDate)> {
    let given = |text: &str| (!text.is_empty()).then(|| text.parse::<NaiveDate>()).transpose().ok();
    let (from, to) = (given(&filters.from)?, given(&filters.to)?);
    let to = to.unwrap_or(today);
    let from = from.unwrap_or_else(|| usual(to).0);
    let days = to.signed_duration_since(from).num_days();
    // The last day of the calendar has none behind it.
    (to.succ_opt().is_some() && (0..MOST_DAYS).contains(&days)).then_some((from, to))
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
        assert_eq!(span(&filters, day("2026-11-28")), expected);
    }
}
