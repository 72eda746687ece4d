//! `/tenants/{id}`: what a tenant has, its keys, and what became of its money and calls lately.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use serde::{Deserialize, Serialize};
use shared::blocked_users::{self, BlockedUser};
use shared::calls::{self, CallFilter, CallRow, RefusedFilter, RefusedRow};
use shared::clock::Timestamp;
use shared::db::{Connection, DbError};
use shared::id::TenantId;
use shared::key::{self, KeyFilter, KeyOverview};
use shared::ledger::{self, StatementEntry};
use shared::page::{Cursor, Page as Found};
use shared::staff::Right;
use shared::tenant::notes::{self, Note};
use shared::tenant::{self, TenantOverview};
use shared::top_ups::{self, TopUpFilter, TopUpRecord};

use crate::frame::failure::{Failed, Handled, Problem};
use crate::frame::page::{self, Page};
use crate::frame::paging;
use crate::frame::wrongs::Wrongs;
use crate::panel::Panel;
use crate::panel::access::{May, Read};

/// Rows of each of the page's tables. The whole tables are pages of their own.
const ROWS: usize = 10;
/// Notes, and blocked end users, on a page.
const MANY_ROWS: usize = 25;
/// How far back refusals are counted, in milliseconds: a day.
const REFUSALS_MS: i64 = 24 * 3_600_000;

/// Where in its longer tables the page begins.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(default)]
struct Filters {
    /// The note behind which.
    notes: String,
    /// The end user behind whom.
    users: String,
}

/// What was typed into the page's forms, and what is wrong with it.
#[derive(Debug, Default)]
pub(super) struct Typed {
    /// A note.
    pub(super) note: String,
    /// The name of an end user.
    pub(super) end_user: String,
    /// What is wrong.
    pub(super) wrongs: Wrongs,
}

/// All that the page shows.
struct Facts {
    tenant: TenantOverview,
    keys: Vec<KeyOverview>,
    top_ups: Vec<TopUpRecord>,
    statement: Vec<StatementEntry>,
    calls: Vec<CallRow>,
    refused: Vec<RefusedRow>,
    notes: Found<Note>,
    users: Found<BlockedUser>,
}

/// What its visitor may do about the tenant.
struct Rights {
    manage: bool,
    issue: bool,
    top_up: bool,
    note: bool,
    block: bool,
}

#[derive(Template)]
#[template(path = "panel/tenants/show.html")]
struct Tenant<'a> {
    page: &'a Page,
    facts: &'a Facts,
    rights: Rights,
    typed: &'a Typed,
    wrongs: &'a Wrongs,
    older_notes: Option<String>,
    more_users: Option<String>,
}

impl Tenant<'_> {
    /// The query of whose requests were refused for a reason, in the time for which the page counts them.
    fn refused(&self, row: &RefusedRow) -> String {
        let (tenant, code) = (self.facts.tenant.tenant.id.to_string(), row.code.to_string());
        let from = self.page.now.plus_ms(-REFUSALS_MS).to_rfc3339();
        let of = [("by", "refusal"), ("tenant", &tenant), ("model", &row.model), ("status", &code), ("from", &from)];
        paging::query(&of)
    }

    /// The query of the calls of an end user.
    fn calls_of(&self, end_user: &str) -> String {
        paging::query(&[("tenant", &self.facts.tenant.tenant.id.to_string()), ("user", end_user)])
    }
}

/// Shows it.
pub(in crate::panel) async fn show(
    request: HttpRequest,
    staff: May<Read>,
    panel: Data<Panel>,
    id: Path<String>,
) -> Handled {
    render(&request, &staff, &panel, &id, &Typed::default(), StatusCode::OK).await
}

/// Shows it with what was typed into its forms.
pub(super) async fn render<R>(
    request: &HttpRequest,
    staff: &May<R>,
    panel: &Panel,
    id: &str,
    typed: &Typed,
    status: StatusCode,
) -> Result<HttpResponse, Failed> {
    let not_found = || Failed::new(request, Problem::NotFound);
    let id = TenantId(id.parse().map_err(|_| not_found())?);
    let filters: Filters = paging::filters(request);
    let (wanted, now) = (filters.clone(), staff.now);
    let facts = panel.database.read_records(move |connection| gather(connection, id, &wanted, now)).await;
    let facts = facts.map_err(|error| Failed::database(request, &error))?.ok_or_else(not_found)?;
    let last_note = facts.notes.rows.last().filter(|_| facts.notes.has_more);
    let last_user = facts.users.rows.last().filter(|_| facts.users.has_more);
    let page = &staff.page;
    let tenant = Tenant {
        page,
        rights: Rights {
            manage: staff.may(Right::ManageTenants),
            issue: staff.may(Right::IssueKeys),
            top_up: staff.may(Right::MoveMoney),
            note: staff.may(Right::WriteNotes),
            block: staff.may(Right::BlockUsers),
        },
        typed,
        wrongs: &typed.wrongs,
        older_notes: last_note.map(|note| paging::query_of(&filters, &[("notes", &note.id.to_string())])),
        more_users: last_user.map(|user| paging::query_of(&filters, &[("users", &user.end_user)])),
        facts: &facts,
    };
    page::show_with(request, page, status, &tenant)
}

fn gather(
    connection: &mut Connection,
    id: TenantId,
    filters: &Filters,
    now: Timestamp,
) -> Result<Option<Facts>, DbError> {
    let Some(tenant) = tenant::by_id(connection, id)? else { return Ok(None) };
    let of_tenant = KeyFilter { tenant: Some(id), ..KeyFilter::default() };
    let keys = key::search(connection, &of_tenant, Cursor::First, ROWS, now)?.rows;
    let of_tenant = TopUpFilter { tenant: Some(id), ..TopUpFilter::default() };
    let top_ups = top_ups::page(connection, &of_tenant, Cursor::First, ROWS)?.rows;
    let statement = ledger::statement(connection, id, None, None, ROWS as i64)?.entries;
    let of_tenant = CallFilter { tenant: Some(id), ..CallFilter::default() };
    let calls = calls::list(connection, &of_tenant, Cursor::First, ROWS)?.rows;
    let from = now.plus_ms(-REFUSALS_MS);
    let of_tenant = RefusedFilter { tenant: Some(id), key: None, model: None, code: None, from, to: now };
    let refused = calls::refused(connection, &of_tenant)?;
    let notes = notes::list(connection, id, filters.notes.parse().ok(), MANY_ROWS)?;
    let after = Some(filters.users.as_str()).filter(|name| !name.is_empty());
    let users = blocked_users::list(connection, id, after, MANY_ROWS)?;
    Ok(Some(Facts { tenant, keys, top_ups, statement, calls, refused, notes, users }))
}
