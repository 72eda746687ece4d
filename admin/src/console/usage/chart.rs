//! The cost of each day, in the shares of what cost the most.

use chrono::NaiveDate;
use shared::ledger::UsageRow;
use shared::money::Amount;

use crate::frame::chart::{Chart, Series, Shape};
use crate::frame::page::Page;

/// So many groups have a share of their own; what is left of a day is one more.
pub(super) const MOST_SERIES: usize = 4;

/// The chart of the days `from` to `to`; `largest` are the groups with a share of their own, with their days.
pub(super) fn of(
    page: &Page,
    (from, to): (NaiveDate, NaiveDate),
    by_day: &[UsageRow],
    largest: &[(String, Vec<UsageRow>)],
) -> Chart {
    let labels: Vec<String> = from.iter_days().take_while(|day| *day <= to).map(|day| day.to_string()).collect();
    let values = |rows: &[UsageRow]| -> Vec<i64> {
        let spent = |day: &String| rows.iter().find(|row| row.group == *day).map_or(0, |row| row.amount.nanos().max(0));
        labels.iter().map(spent).collect()
    };
    let mut rest = values(by_day);
    let mut series = Vec::with_capacity(largest.len() + 1);
    for (name, rows) in largest {
        let values = values(rows);
        for (rest, value) in rest.iter_mut().zip(&values) {
            *rest = rest.saturating_sub(*value).max(0);
        }
        series.push(Series::of(name, values));
    }
    if largest.is_empty() {
        series.push(Series::of(page.say("Cost", "费用"), rest));
    } else if rest.iter().any(|value| *value > 0) {
        series.push(Series::of(page.say("others", "其他"), rest));
    }
    Chart {
        title: format!("{} ({})", page.say("Cost a day", "每日费用"), page.currency()),
        shape: Shape::Bars,
        labels,
        series,
        write: |nanos| Amount::from_nanos(nanos).to_string(),
        words: (page.say("Day", "日期"), page.say("As a table", "以表格显示")),
    }
}
