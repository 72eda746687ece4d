//! The search: one hit goes straight there, several are listed, none says what can be found.

use std::collections::BTreeMap;

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;
use shared::id::TenantId;
use shared::search::{self, Found};
use shared::tenant;

use super::Panel;
use super::access::{May, Read};
use crate::frame::failure::{Failed, Handled};
use crate::frame::page::{self, Page, go_to};
use crate::frame::paging;
use crate::frame::wrongs::Wrongs;

/// The most hits of a search; who has more than this to look through types more.
const MOST: usize = 50;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Typed {
    q: String,
}

#[derive(Template)]
#[template(path = "panel/search.html")]
struct Search<'a> {
    page: &'a Page,
    query: &'a str,
    hits: Vec<Found>,
    names: BTreeMap<TenantId, String>,
    has_more: bool,
    wrongs: Wrongs,
}

impl Search<'_> {
    fn name(&self, tenant: &TenantId) -> &str {
        self.names.get(tenant).map_or("", String::as_str)
    }

    fn path(&self, hit: &Found) -> String {
        path(hit)
    }
}

/// Shows what was found.
pub(super) async fn show(request: HttpRequest, staff: May<Read>, panel: Data<Panel>) -> Handled {
    let typed: Typed = paging::filters(&request);
    let query = typed.q.trim().to_owned();
    let mut wrongs = Wrongs::default();
    wrongs.check_part("q", &query, staff.page.language);
    let (mut hits, names) = if query.is_empty() {
        (Vec::new(), BTreeMap::new())
    } else {
        let asked = query.clone();
        let read = panel.database.read_records(move |connection| {
            let hits = search::search(connection, &asked, MOST + 1)?;
            let names = tenant::names(connection, hits.iter().map(tenant_of))?;
            Ok((hits, names))
        });
        read.await.map_err(|error| Failed::database(&request, &error))?
    };
    if let [hit] = hits.as_slice() {
        return go_to(path(hit));
    }
    let has_more = hits.len() > MOST;
    hits.truncate(MOST);
    page::show(&request, &staff.page, &Search { page: &staff.page, query: &query, hits, names, has_more, wrongs })
}

const fn tenant_of(hit: &Found) -> TenantId {
    match hit {
        Found::Tenant { id, .. } => *id,
        Found::Key { tenant, .. } | Found::Call { tenant, .. } | Found::TopUp { tenant, .. } => *tenant,
    }
}

/// Where a hit is.
fn path(hit: &Found) -> String {
    match hit {
        Found::Tenant { id, .. } => format!("/tenants/{id}"),
        Found::Key { id, .. } => format!("/keys/{id}"),
        Found::Call { request_id, .. } => format!("/calls/{request_id}"),
        Found::TopUp { id, .. } => format!("/top-ups/{id}"),
    }
}
