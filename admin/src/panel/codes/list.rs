//! `/codes`: the batches of redeem codes, newest first.

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;
use shared::staff::Right;
use shared::vouchers::{self, Batch, BatchId};

use crate::frame::failure::{Failed, Handled};
use crate::frame::page::{self, Page};
use crate::frame::paging::{PAGE, Pager, Place};
use crate::panel::Panel;
use crate::panel::access::{May, Read};

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
    let place = Place::asked(&request);
    let cursor = place.cursor().map(BatchId);
    let found = panel.database.read_records(move |connection| vouchers::batches(connection, cursor, PAGE)).await;
    let found = found.map_err(|error| Failed::database(&request, &error))?;
    let page = &staff.page;
    let batches = Batches {
        page,
        rows: &found.rows,
        pager: Pager::of("/codes", &(), &place, &found, |row| row.id.to_string()),
        may_make: staff.may(Right::ManageCodes),
    };
    page::show(&request, page, &batches)
}
