//! What calls were charged, in sums: by day, model, key, end user or tenant.

use std::collections::BTreeMap;

use actix_web::HttpRequest;
use askama::Template;
use chrono_tz::Tz;
use shared::catalogue::Snapshot;
use shared::clock::Timestamp;
use shared::db::{Connection, DbError};
use shared::id::TenantId;
use shared::ledger::{Period, UsageRow};
use shared::money::Amount;
use shared::rollups::{self, By, Largest, Usage};
use shared::tenant;

use super::filters::{GROUPINGS, Grouping, Typed};
use super::sums::Asked;
use crate::frame::chart::{Chart, Series, Shape};
use crate::frame::failure::{Failed, Handled};
use crate::frame::moment;
use crate::frame::page::{self, Page};
use crate::frame::wrongs::Wrongs;
use crate::panel::Panel;

/// Groups of a page; a file has all.
pub(super) const MOST_GROUPS: usize = 200;
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
    /// There are groups that cost less than those.
    has_more: bool,
    total: UsageRow,
    /// End users are not known before it.
    known_from: Option<Timestamp>,
    chart: Option<Chart>,
}

impl Charged<'_> {
    /// How many rows the file has, where all of them are known here.
    fn count(&self) -> Option<i64> {
        i64::try_from(self.rows.len()).ok().filter(|_| !self.has_more)
    }
}

/// A group, and where it leads.
struct Group {
    /// What it is called; empty when the calls had none.
    name: String,
    /// The query of its calls.
    query: String,
    sums: UsageRow,
}

/// Asks for the sums of a page, and for the names of tenants where these are its groups.
fn sum(connection: &mut Connection, asked: &Asked, by: By) -> Result<(Largest, BTreeMap<TenantId, String>), DbError> {
    let Asked { filter, period, .. } = asked;
    let sums = if matches!(by, By::Day(_)) {
        let Usage { rows, known_from } = rollups::usage(connection, filter, *period, by)?;
        let total = total(&rows).ok_or_else(|| DbError::Corrupt("usage out of range".to_owned()))?;
        Largest { rows, has_more: false, total, known_from }
    } else {
        rollups::largest(connection, filter, *period, by, MOST_GROUPS)?
    };
    let tenants = sums.rows.iter().filter(|_| by == By::Tenant).filter_map(|row| row.group.parse().ok());
    let names = tenant::names(connection, tenants.map(TenantId))?;
    Ok((sums, names))
}

/// Shows them.
pub(super) async fn show(request: &HttpRequest, page: &Page, panel: &Panel, typed: &Typed, by: By) -> Handled {
    let (typed_too, language, zone, now) = (typed.clone(), page.language, panel.side.zone, page.now);
    let read = panel.database.read_records(move |connection| {
        let asked = typed_too.ask(connection, Grouping::Charged(by), language, zone, now)?;
        let sums = sum(connection, &asked, by)?;
        Ok((asked, sums))
    });
    let (Asked { period, wrongs, .. }, (sums, names)) =
        read.await.map_err(|error| Failed::database(request, &error))?;
    let (wrongs, models) = (&wrongs, &panel.catalogue.now());
    let Largest { rows, has_more, total, known_from } = sums;
    let period = (known_from.unwrap_or(period.0), period.1);
    let chart = matches!(by, By::Day(_)).then(|| chart(page, period, &rows)).flatten();
    let begin = begin(period, zone);
    let rows = rows.into_iter().map(|sums| group(typed, by, &begin, &names, sums)).collect();
    let heading = GROUPINGS.iter().find(|(name, ..)| *name == typed.by);
    let heading = heading.map_or("", |(_, english, chinese)| page.say(english, chinese));
    let charged = Charged { page, typed, wrongs, models, period, heading, rows, has_more, total, known_from, chart };
    page::show(request, page, &charged)
}

/// The beginning of a period, as it is typed.
pub(super) fn begin((from, _): Period, zone: Tz) -> String {
    let day = moment::write_day(from, zone);
    if moment::read(&day, zone) == Some(from) { day } else { from.to_rfc3339() }
}

/// The sum of all groups; `None` where it leaves the range of 64 bits.
fn total(rows: &[UsageRow]) -> Option<UsageRow> {
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

/// `begin` is when the period begins, which the calls of a group share; its end is what was typed.
fn group(typed: &Typed, by: By, begin: &str, names: &BTreeMap<TenantId, String>, sums: UsageRow) -> Group {
    let name = match by {
        By::Tenant => {
            let known = sums.group.parse().ok().and_then(|id| names.get(&TenantId(id)));
            known.unwrap_or(&sums.group).clone()
        }
        _ => sums.group.clone(),
    };
    let query = match by {
        By::Day(zone) => {
            let next = moment::read(&sums.group, zone).and_then(|day| moment::day_of(day, 1, zone));
            let next = next.map_or_else(String::new, |next| moment::write_day(next, zone));
            typed.query_of_group(&[("from", &sums.group), ("to", &next)])
        }
        By::User if sums.group.is_empty() => typed.query_of_group(&[("from", begin), ("user", ""), ("unnamed", "1")]),
        By::User => typed.query_of_group(&[("from", begin), ("user", &sums.group), ("unnamed", "")]),
        _ => typed.query_of_group(&[("from", begin), (typed.by.as_str(), &sums.group)]),
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
