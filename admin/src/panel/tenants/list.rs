//! `/tenants`: all tenants with what they have, newest first.

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;
use serde::{Deserialize, Serialize};
use shared::id::TenantId;
use shared::staff::Right;
use shared::tenant::{self, TenantOverview};

use crate::frame::failure::{Failed, Handled};
use crate::frame::page::{self, Page};
use crate::frame::paging::{self, PAGE, Pager, Place};
use crate::frame::wrongs::Wrongs;
use crate::panel::Panel;
use crate::panel::access::{May, Read};

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Filters {
    q: String,
}

#[derive(Template)]
#[template(path = "panel/tenants/list.html")]
struct Tenants<'a> {
    page: &'a Page,
    filters: &'a Filters,
    wrongs: Wrongs,
    rows: &'a [TenantOverview],
    pager: Pager,
    is_first_page: bool,
    may_create: bool,
}

/// Lists them.
pub(in crate::panel) async fn list(request: HttpRequest, staff: May<Read>, panel: Data<Panel>) -> Handled {
    let filters: Filters = paging::filters(&request);
    let place = Place::asked(&request);
    let (part, cursor) = (filters.q.trim().to_owned(), place.cursor().map(TenantId));
    let found = panel.database.read_records(move |connection| tenant::search(connection, &part, cursor, PAGE)).await;
    let found = found.map_err(|error| Failed::database(&request, &error))?;
    let page = &staff.page;
    let mut wrongs = Wrongs::default();
    wrongs.check_part("q", filters.q.trim(), page.language);
    let tenants = Tenants {
        page,
        filters: &filters,
        wrongs,
        rows: &found.rows,
        pager: Pager::of("/tenants", &filters, &place, &found, |row| row.tenant.id.to_string()),
        is_first_page: place.is_first(),
        may_create: staff.may(Right::ManageTenants),
    };
    page::show(&request, page, &tenants)
}
