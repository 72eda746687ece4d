//! What calls were charged, in sums: by day, model, key, end user or tenant; and what was not let in, by reason.

use std::collections::BTreeMap;

use actix_web::HttpRequest;
use askama::Template;
use chrono_tz::Tz;
use shared::calls::{self, CallFilter, RefusedRow};
use shared::catalogue::Snapshot;
use shared::clock::Timestamp;
use shared::db::{Connection, DbError};
use shared::id::TenantId;
use shared::ledger::{Period, UsageRow};
use shared::money::Amount;
use shared::rollups::{self, By, UsageFilter};
use shared::tenant;

use super::filters::{GROUPINGS, Grouping, Typed};
use crate::frame::chart::{Chart, Series, Shape};
use crate::frame::failure::{Failed, Handled};
use crate::frame::language::Language;
use crate::frame::moment;
use crate::frame::page::{self, Page};
use crate::frame::wrongs::Wrongs;
use crate::panel::Panel;

/// What is summed when no beginning is given: so many days before the end.
const USUAL_DAYS: i64 = 30;
const DAY_MS: i64 = 86_400_000;
/// The most days that a chart has room for.
const MOST_BARS: i64 = 92;

/// Sums of what was charged.
#[derive(Template)]
#[template(path = "panel/usage_groups.html")]
struct Charged<'a> {
    page: &'a Page,
    typed: &'a Typed,
    wrongs: &'a Wrongs,
    models: &'a Snapshot,
    period: Period,
    heading: &'a str,
    rows: Vec<Group>,
    total: UsageRow,
    chart: Option<Chart>,
}

/// A group, and where it leads.
struct Group {
    /// What it is called; empty when the calls had none.
    name: String,
    /// The query of its calls.
    query: String,
    sums: UsageRow,
}

/// Calls that were not let in.
#[derive(Template)]
#[template(path = "panel/usage_refusals.html")]
struct Refused<'a> {
    page: &'a Page,
    typed: &'a Typed,
    wrongs: &'a Wrongs,
    models: &'a Snapshot,
    period: Period,
    rows: Vec<RefusedRow>,
    total: i64,
}

/// What one question to the database gave.
pub(super) struct Summed {
    pub(super) wrongs: Wrongs,
    pub(super) period: Period,
    pub(super) sums: Sums,
}

pub(super) enum Sums {
    Charged { rows: Vec<UsageRow>, names: BTreeMap<TenantId, String> },
    Refused(Vec<RefusedRow>),
}

/// Asks for the sums.
pub(super) fn sum(
    connection: &mut Connection,
    typed: &Typed,
    grouping: Grouping,
    language: Language,
    zone: Tz,
    now: Timestamp,
) -> Result<Summed, DbError> {
    let understood = typed.understand(connection, language, zone)?;
    let CallFilter { tenant, key, model, end_user, from, to, .. } = understood.filter;
    let to = to.unwrap_or(now.plus_ms(1));
    let usual = moment::day_of(to, -USUAL_DAYS, zone).unwrap_or_else(|| to.plus_ms(-USUAL_DAYS * DAY_MS));
    let period = (from.unwrap_or(usual), to);
    let sums = match grouping {
        Grouping::Charged(by) => {
            let rows = rollups::usage(connection, &UsageFilter { tenant, key, model, end_user }, period, by)?;
            let tenants = rows.iter().filter(|_| by == By::Tenant).filter_map(|row| row.group.parse().ok());
            let names = tenant::names(connection, tenants.map(TenantId))?;
            Sums::Charged { rows, names }
        }
        Grouping::Refusals => Sums::Refused(calls::refused(connection, tenant, key, period.0, period.1)?),
    };
    Ok(Summed { wrongs: understood.wrongs, period, sums })
}

/// Shows them.
pub(super) async fn show(
    request: &HttpRequest,
    page: &Page,
    panel: &Panel,
    typed: &Typed,
    grouping: Grouping,
) -> Handled {
    let (asked, language, zone, now) = (typed.clone(), page.language, panel.side.zone, page.now);
    let read = panel.database.read_records(move |connection| sum(connection, &asked, grouping, language, zone, now));
    let Summed { wrongs, period, sums } = read.await.map_err(|error| Failed::database(request, &error))?;
    let models = &panel.catalogue.now();
    match sums {
        Sums::Charged { rows, names } => {
            let total = total(&rows).ok_or_else(|| Failed::internal(request, "usage out of range"))?;
            let chart = matches!(grouping, Grouping::Charged(By::Day(_))).then(|| chart(page, period, &rows)).flatten();
            let rows = rows.into_iter().map(|sums| group(typed, grouping, &names, sums)).collect();
            let heading = GROUPINGS.iter().find(|(name, ..)| *name == typed.by);
            let heading = heading.map_or("", |(_, english, chinese)| page.say(english, chinese));
            page::show(
                request,
                page,
                &Charged { page, typed, wrongs: &wrongs, models, period, heading, rows, total, chart },
            )
        }
        Sums::Refused(rows) => {
            let total = rows.iter().map(|row| row.count).fold(0, i64::saturating_add);
            page::show(request, page, &Refused { page, typed, wrongs: &wrongs, models, period, rows, total })
        }
    }
}

/// The sum of all groups; `None` where it leaves the range of 64 bits.
pub(super) fn total(rows: &[UsageRow]) -> Option<UsageRow> {
    let none = UsageRow {
        group: String::new(),
        requests: 0,
        prompt_tokens: 0,
        completion_tokens: 0,
        images: 0,
        amount: Amount::ZERO,
    };
    rows.iter().try_fold(none, |sum, row| {
        Some(UsageRow {
            group: sum.group,
            requests: sum.requests.checked_add(row.requests)?,
            prompt_tokens: sum.prompt_tokens.checked_add(row.prompt_tokens)?,
            completion_tokens: sum.completion_tokens.checked_add(row.completion_tokens)?,
            images: sum.images.checked_add(row.images)?,
            amount: sum.amount.checked_add(row.amount)?,
        })
    })
}

fn group(typed: &Typed, grouping: Grouping, names: &BTreeMap<TenantId, String>, sums: UsageRow) -> Group {
    let name = match grouping {
        Grouping::Charged(By::Tenant) => {
            let known = sums.group.parse().ok().and_then(|id| names.get(&TenantId(id)));
            known.unwrap_or(&sums.group).clone()
        }
        _ => sums.group.clone(),
    };
    let query = match grouping {
        Grouping::Charged(By::Day(zone)) => {
            let next = moment::read(&sums.group, zone).and_then(|day| moment::day_of(day, 1, zone));
            let next = next.map_or_else(String::new, |next| moment::write_day(next, zone));
            typed.query_of_group(&[("from", &sums.group), ("to", &next)])
        }
        _ => typed.query_of_group(&[(typed.by.as_str(), &sums.group)]),
    };
    Group { name, query, sums }
}

/// A bar for each day of the period, also where nothing was charged; `None` where there would be too many.
fn chart(page: &Page, (from, to): Period, charged: &[UsageRow]) -> Option<Chart> {
    let days = (0..=MOST_BARS).map_while(|day| moment::day_of(from, day, page.zone())).take_while(|day| *day < to);
    let days: Vec<String> = days.map(|day| moment::write_day(day, page.zone())).collect();
    if days.len() > usize::try_from(MOST_BARS).unwrap_or(0) {
        return None;
    }
    let amount_of =
        |day: &String| charged.iter().find(|row| row.group == *day).map_or(0, |row| row.amount.nanos().max(0));
    let amounts: Vec<i64> = days.iter().map(amount_of).collect();
    Some(Chart {
        title: format!("{} ({})", page.say("Charged per day", "每日扣费"), page.currency()),
        shape: Shape::Bars,
        labels: days,
        series: vec![Series::of(page.say("Charged", "扣费"), amounts)],
        write: |nanos| Amount::from_nanos(nanos).to_string(),
        words: (page.say("Day", "日期"), page.say("As a table", "以表格显示")),
    })
}
