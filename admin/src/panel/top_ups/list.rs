//! `/top-ups`: the top-ups of all tenants, newest first.

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use shared::db::{Connection, DbError};
use shared::money::Amount;
use shared::page::Page as Found;
use shared::staff::Right;
use shared::top_ups::{self, TopUpFilter, TopUpRecord};

use crate::frame::failure::{Failed, Handled};
use crate::frame::moment;
use crate::frame::page::{self, Page};
use crate::frame::paging::{self, PAGE, Pager};
use crate::frame::wrongs::Wrongs;
use crate::panel::Panel;
use crate::panel::access::{May, Read};
use crate::panel::tenants::choice;

#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(default)]
struct Filters {
    tenant: String,
    reference: String,
    from: String,
    to: String,
    before: String,
}

#[derive(Template)]
#[template(path = "panel/top_ups/list.html")]
struct TopUps<'a> {
    page: &'a Page,
    filters: &'a Filters,
    /// A filter cannot be read, and counts as empty.
    ignored: bool,
    wrongs: Wrongs,
    rows: &'a [TopUpRecord],
    /// What the rows of this page booked, less what was taken back of it; nothing where that leaves the range.
    sum: Option<Amount>,
    pager: Pager,
    may_book: bool,
}

/// Lists them.
pub(in crate::panel) async fn list(request: HttpRequest, staff: May<Read>, panel: Data<Panel>) -> Handled {
    let (page, filters) = (&staff.page, paging::filters::<Filters>(&request));
    let (wanted, zone) = (filters.clone(), page.zone());
    let found = panel.database.read_records(move |connection| search(connection, &wanted, zone)).await;
    let (found, ignored) = found.map_err(|error| Failed::database(&request, &error))?;
    let last = found.rows.last().filter(|_| found.has_more).map(|last| last.id.to_string());
    let mut wrongs = Wrongs::default();
    wrongs.check_part("reference", filters.reference.trim(), page.language);
    let top_ups = TopUps {
        page,
        filters: &filters,
        ignored,
        wrongs,
        sum: sum(&found.rows),
        rows: &found.rows,
        pager: Pager::of("/top-ups", &filters, &filters.before, last),
        may_book: staff.may(Right::MoveMoney),
    };
    page::show(&request, page, &top_ups)
}

/// The top-ups that fit, and whether a filter had to be left out.
fn search(connection: &mut Connection, filters: &Filters, zone: Tz) -> Result<(Found<TopUpRecord>, bool), DbError> {
    let is_typed = |text: &str| !text.trim().is_empty();
    let tenant = if is_typed(&filters.tenant) { choice::filtered(connection, &filters.tenant)? } else { None };
    let (from, to) = (moment::read(&filters.from, zone), moment::read(&filters.to, zone));
    let filter = TopUpFilter { tenant, reference: filters.reference.trim().to_owned(), from, to };
    let found = top_ups::page(connection, &filter, filters.before.parse().ok(), PAGE)?;
    let ignored = (is_typed(&filters.tenant) && tenant.is_none())
        || (is_typed(&filters.from) && from.is_none())
        || (is_typed(&filters.to) && to.is_none());
    Ok((found, ignored))
}

fn sum(rows: &[TopUpRecord]) -> Option<Amount> {
    rows.iter().try_fold(Amount::ZERO, |sum, row| {
        let recovered = row.reversal.as_ref().map_or(Amount::ZERO, |reversal| reversal.recovered);
        sum.checked_add(row.amount)?.checked_sub(recovered)
    })
}
