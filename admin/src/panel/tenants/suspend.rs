//! `/tenants/{id}/suspend` and `/tenants/{id}/resume`: refuse all calls of a tenant, or let them in again. A page before each says what
//! happens to the calls that run and to the money.

use actix_web::HttpRequest;
use actix_web::web::{Data, Path};
use askama::Template;
use serde_json::json;
use shared::audit_log::{self, Entry};
use shared::clock::Timestamp;
use shared::tenant::{self, TenantError, TenantOverview};

use super::find;
use crate::frame::failure::{Failed, Handled};
use crate::frame::page::{self, Page, go_to};
use crate::frame::posted::{Nothing, Posted};
use crate::panel::Panel;
use crate::panel::access::{ManageTenants, May};

#[derive(Template)]
#[template(path = "panel/tenants/suspend.html")]
struct Confirmation<'a> {
    page: &'a Page,
    found: &'a TenantOverview,
    suspends: bool,
}

/// Says what suspending does.
pub(in crate::panel) async fn ask_to_suspend(
    request: HttpRequest,
    staff: May<ManageTenants>,
    panel: Data<Panel>,
    id: Path<String>,
) -> Handled {
    ask(&request, &staff, &panel, &id, true).await
}

/// Says what resuming does.
pub(in crate::panel) async fn ask_to_resume(
    request: HttpRequest,
    staff: May<ManageTenants>,
    panel: Data<Panel>,
    id: Path<String>,
) -> Handled {
    ask(&request, &staff, &panel, &id, false).await
}

/// Suspends the tenant.
pub(in crate::panel) async fn suspend(
    request: HttpRequest,
    staff: May<ManageTenants>,
    panel: Data<Panel>,
    id: Path<String>,
    _: Posted<Nothing>,
) -> Handled {
    set(&request, &staff, &panel, &id, Some(staff.now)).await
}

/// Lets it call again.
pub(in crate::panel) async fn resume(
    request: HttpRequest,
    staff: May<ManageTenants>,
    panel: Data<Panel>,
    id: Path<String>,
    _: Posted<Nothing>,
) -> Handled {
    set(&request, &staff, &panel, &id, None).await
}

async fn ask(request: &HttpRequest, staff: &May<ManageTenants>, panel: &Panel, id: &str, suspends: bool) -> Handled {
    let (page, found) = (&staff.page, find(request, panel, id).await?);
    page::show(request, page, &Confirmation { page, found: &found, suspends })
}

async fn set(
    request: &HttpRequest,
    staff: &May<ManageTenants>,
    panel: &Panel,
    id: &str,
    since: Option<Timestamp>,
) -> Handled {
    let found = find(request, panel, id).await?.tenant;
    let (id, origin, now) = (found.id, staff.origin(), staff.now);
    let written = staff.write(request, panel, move |connection| {
        let before = tenant::named(connection, &found.name)?;
        if before.suspended_at.is_some() == since.is_some() {
            return Ok(());
        }
        let after = tenant::set_suspended(connection, &found.name, since)?;
        let entry = Entry {
            action: if since.is_some() { "tenant.suspend" } else { "tenant.resume" },
            tenant: Some(id),
            subject: &after.name,
            before: Some(json!(before)),
            after: Some(json!(after)),
        };
        audit_log::record(connection, &origin, &entry, now)?;
        Ok(())
    });
    match written.await? {
        Ok(()) => go_to(format!("/tenants/{id}")),
        Err(TenantError::Database(error)) => Err(Failed::database(request, &error)),
        Err(error) => Err(Failed::internal(request, error)),
    }
}
