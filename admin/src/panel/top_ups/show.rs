//! `/top-ups/{id}`: one top-up, as it stands in the ledger, and what became of it.

use actix_web::HttpRequest;
use actix_web::web::{Data, Path};
use askama::Template;
use serde::Deserialize;
use shared::audit_log::{self, Filter, Record};
use shared::ledger::{self, LedgerLine};
use shared::page::Cursor;
use shared::staff::Right;
use shared::tenant::{self, TenantOverview};
use shared::top_ups::TopUpRecord;

use super::find;
use crate::frame::failure::{Failed, Handled, Problem};
use crate::frame::page::{self, Page};
use crate::frame::paging;
use crate::panel::Panel;
use crate::panel::access::{May, Read};

/// Entries of the audit log on the page: a booking, a reversal, and some room.
const ENTRIES: usize = 5;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    /// Somebody wanted to book it a second time.
    again: String,
    /// Somebody wanted to take it back a second time.
    reversed: String,
}

#[derive(Template)]
#[template(path = "panel/top_ups/show.html")]
struct Shown<'a> {
    page: &'a Page,
    top_up: &'a TopUpRecord,
    line: Option<LedgerLine>,
    tenant: TenantOverview,
    /// Who did it, for whoever may see that.
    entries: Vec<Record>,
    again: bool,
    reversed_before: bool,
    may_reverse: bool,
}

/// Shows it.
pub(in crate::panel) async fn show(
    request: HttpRequest,
    staff: May<Read>,
    panel: Data<Panel>,
    id: Path<String>,
) -> Handled {
    let (page, top_up) = (&staff.page, find(&request, &panel, &id).await?);
    let (id, of, may_see) = (top_up.id, top_up.tenant, staff.may(Right::ReadAudit));
    let read = panel.database.read_records(move |connection| {
        let filter = Filter { tenant: Some(of), subject: Some(id.to_string()), ..Filter::default() };
        let entries =
            if may_see { audit_log::page(connection, &filter, Cursor::First, ENTRIES)?.rows } else { Vec::new() };
        Ok((ledger::line(connection, id)?, tenant::by_id(connection, of)?, entries))
    });
    let (line, tenant, entries) = read.await.map_err(|error| Failed::database(&request, &error))?;
    let tenant = tenant.ok_or_else(|| Failed::new(&request, Problem::NotFound))?;
    let asked = paging::filters::<Asked>(&request);
    let shown = Shown {
        page,
        line,
        tenant,
        entries,
        again: !asked.again.is_empty(),
        reversed_before: top_up.reversal.is_some() && !asked.reversed.is_empty(),
        may_reverse: staff.may(Right::MoveMoney) && top_up.reversal.is_none(),
        top_up: &top_up,
    };
    page::show(&request, page, &shown)
}
