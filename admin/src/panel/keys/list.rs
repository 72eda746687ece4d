//! `/keys`: the keys of all tenants, newest first.

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;
use serde::{Deserialize, Serialize};
use shared::clock::Timestamp;
use shared::db::{Connection, DbError};
use shared::key::{self, KeyFilter, KeyOverview};
use shared::page::{Cursor, Page as Found};
use shared::secret_key::KeyId;
use shared::staff::Right;

use crate::frame::failure::{Failed, Handled};
use crate::frame::page::{self, Page};
use crate::frame::paging::{self, PAGE, Pager, Place};
use crate::frame::wrongs::Wrongs;
use crate::panel::Panel;
use crate::panel::access::{May, Read};
use crate::panel::tenants::choice;

#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(default)]
struct Filters {
    q: String,
    tenant: String,
    state: String,
}

#[derive(Template)]
#[template(path = "panel/keys/list.html")]
struct Keys<'a> {
    page: &'a Page,
    filters: &'a Filters,
    /// What stands in the filter for tenants names none.
    no_tenant: bool,
    wrongs: Wrongs,
    rows: &'a [KeyOverview],
    pager: Pager,
    is_first_page: bool,
    may_issue: bool,
}

/// Lists them.
pub(in crate::panel) async fn list(request: HttpRequest, staff: May<Read>, panel: Data<Panel>) -> Handled {
    let filters: Filters = paging::filters(&request);
    let place = Place::asked(&request);
    let (wanted, cursor, now) = (filters.clone(), place.cursor(), staff.now);
    let found = panel.database.read_records(move |connection| search(connection, &wanted, cursor, now)).await;
    let (found, no_tenant) = found.map_err(|error| Failed::database(&request, &error))?;
    let page = &staff.page;
    let mut wrongs = Wrongs::default();
    wrongs.check_part("q", filters.q.trim(), page.language);
    let keys = Keys {
        page,
        filters: &filters,
        wrongs,
        no_tenant,
        rows: &found.rows,
        pager: Pager::of("/keys", &filters, &place, &found, |row| row.key.id.to_string()),
        is_first_page: place.is_first(),
        may_issue: staff.may(Right::IssueKeys),
    };
    page::show(&request, page, &keys)
}

/// The keys that fit, and whether the filter for tenants had to be left out.
fn search(
    connection: &mut Connection,
    filters: &Filters,
    cursor: Cursor<KeyId>,
    now: Timestamp,
) -> Result<(Found<KeyOverview>, bool), DbError> {
    let is_filtered = !filters.tenant.trim().is_empty();
    let tenant = if is_filtered { choice::filtered(connection, &filters.tenant)? } else { None };
    let filter = KeyFilter { tenant, text: filters.q.trim().to_owned(), state: filters.state.parse().ok() };
    let found = key::search(connection, &filter, cursor, PAGE, now)?;
    Ok((found, is_filtered && tenant.is_none()))
}
