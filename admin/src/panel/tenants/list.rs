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
use crate::frame::paging::{self, PAGE, Pager};
use crate::frame::wrongs::Wrongs;
use crate::panel::Panel;
use crate::panel::access::{May, Read};

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Filters {
    q: String,
    before: String,
}

#[derive(Template)]
#[template(path = "panel/tenants/list.html")]
struct Tenants<'a> {
    page: &'a Page,
    filters: &'a Filters,
    wrongs: Wrongs,
    rows: &'a [TenantOverview],
    pager: Pager,
    may_create: bool,
}

/// Lists them.
pub(in crate::panel) async fn list(request: HttpRequest, staff: May<Read>, panel: Data<Panel>) -> Handled {
    let filters: Filters = paging::filters(&request);
    let (part, before) = (filters.q.trim().to_owned(), filters.before.parse().ok().map(TenantId));
    let found = panel.database.read_records(move |connection| tenant::search(connection, &part, before, PAGE)).await;
    let found = found.map_err(|error| Failed::database(&request, &error))?;
    let last = found.rows.last().filter(|_| found.has_more).map(|last| last.tenant.id.to_string());
    let page = &staff.page;
    let mut wrongs = Wrongs::default();
    wrongs.check_part("q", filters.q.trim(), page.language);
    let tenants = Tenants {
        page,
        filters: &filters,
        wrongs,
        rows: &found.rows,
        pager: Pager::of("/tenants", &filters, &filters.before, last),
        may_create: staff.may(Right::ManageTenants),
    };
    page::show(&request, page, &tenants)
}
