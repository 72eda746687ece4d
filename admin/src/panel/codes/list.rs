//! `/codes`: the batches of redeem codes, newest first.

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;
use serde::{Deserialize, Serialize};
use shared::staff::Right;
use shared::vouchers::{self, Batch, BatchId};

use crate::frame::failure::{Failed, Handled};
use crate::frame::page::{self, Page};
use crate::frame::paging::{self, PAGE, Pager};
use crate::panel::Panel;
use crate::panel::access::{May, Read};

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Filters {
    before: String,
}

#[derive(Template)]
#[template(path = "panel/codes/list.html")]
struct Batches<'a> {
    page: &'a Page,
    rows: &'a [Batch],
    pager: Pager,
    may_make: bool,
}

/// Lists them.
pub(in crate::panel) async fn list(request: HttpRequest, staff: May<Read>, panel: Data<Panel>) -> Handled {
    let filters: Filters = paging::filters(&request);
    let before = filters.before.parse().ok().map(BatchId);
    let found = panel.database.read_records(move |connection| vouchers::batches(connection, before, PAGE)).await;
    let found = found.map_err(|error| Failed::database(&request, &error))?;
    let last = found.rows.last().filter(|_| found.has_more).map(|last| last.id.to_string());
    let page = &staff.page;
    let batches = Batches {
        page,
        rows: &found.rows,
        pager: Pager::of("/codes", &filters, &filters.before, last),
        may_make: staff.may(Right::ManageCodes),
    };
    page::show(&request, page, &batches)
}
