//! Calls of all tenants: a list with filters and exactly its totals, sums by groups, and the same as CSV.

mod export;
mod filters;
mod groups;
mod refusals;
mod sums;
mod sums_export;

use std::collections::BTreeMap;

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;
use shared::calls::{self, CallPage, CallTotals};
use shared::catalogue::Snapshot;
use shared::id::TenantId;
use shared::tenant;

pub(super) use self::export::export;
use self::filters::{Grouping, Typed};
use super::Panel;
use super::access::{May, Read};
use crate::frame::failure::{Failed, Handled};
use crate::frame::page::{self, Page};
use crate::frame::paging::{self, PAGE, Place};
use crate::frame::wrongs::Wrongs;

/// The list.
#[derive(Template)]
#[template(path = "panel/usage.html")]
struct Usage<'a> {
    page: &'a Page,
    typed: &'a Typed,
    wrongs: &'a Wrongs,
    models: &'a Snapshot,
    totals: CallTotals,
    calls: CallPage,
    names: BTreeMap<TenantId, String>,
}

impl Usage<'_> {
    fn name(&self, tenant: &TenantId) -> &str {
        self.names.get(tenant).map_or("", String::as_str)
    }

    fn older(&self) -> Option<String> {
        self.calls.older.map(|id| self.typed.query("older", &id.to_string()))
    }

    fn newer(&self) -> Option<String> {
        self.calls.newer.map(|id| self.typed.query("newer", &id.to_string()))
    }
}

/// Shows them.
pub(super) async fn show(request: HttpRequest, staff: May<Read>, panel: Data<Panel>) -> Handled {
    let typed: Typed = paging::filters(&request);
    let (zone, language) = (panel.side.zone, staff.page.language);
    if let Some(grouping) = Grouping::named(&typed.by, zone) {
        return match grouping {
            Grouping::Charged(by) => groups::show(&request, &staff.page, &panel, &typed, by).await,
            Grouping::Refusals => refusals::show(&request, &staff.page, &panel, &typed).await,
        };
    }
    let (asked, cursor) = (typed.clone(), Place::asked(&request).cursor());
    let read = panel.database.read_records(move |connection| {
        let understood = asked.understand(connection, language, zone)?;
        let totals = calls::totals(connection, &understood.filter)?;
        let calls = calls::list(connection, &understood.filter, cursor, PAGE)?;
        let names = tenant::names(connection, calls.rows.iter().map(|row| row.tenant))?;
        Ok((understood.wrongs, totals, calls, names))
    });
    let (wrongs, totals, calls, names) = read.await.map_err(|error| Failed::database(&request, &error))?;
    let (page, models) = (&staff.page, panel.catalogue.now());
    page::show(&request, page, &Usage { page, typed: &typed, wrongs: &wrongs, models: &models, totals, calls, names })
}
