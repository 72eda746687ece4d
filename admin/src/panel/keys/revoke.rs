//! `/keys/{kid}/revoke`: refuse a key for good. A page before it says so.

use actix_web::HttpRequest;
use actix_web::web::{Data, Path};
use askama::Template;
use shared::audit_log::{self, Entry};
use shared::key::{self, KeyError, KeyOverview};

use super::{failed, find};
use crate::frame::failure::Handled;
use crate::frame::page::{self, Page, go_to};
use crate::frame::posted::{Nothing, Posted};
use crate::panel::Panel;
use crate::panel::access::{May, RevokeKeys};

#[derive(Template)]
#[template(path = "panel/keys/revoke.html")]
struct Confirmation<'a> {
    page: &'a Page,
    found: &'a KeyOverview,
}

/// Says what revoking does.
pub(in crate::panel) async fn ask_to_revoke(
    request: HttpRequest,
    staff: May<RevokeKeys>,
    panel: Data<Panel>,
    id: Path<String>,
) -> Handled {
    let (page, found) = (&staff.page, find(&request, &panel, &id).await?);
    page::show(&request, page, &Confirmation { page, found: &found })
}

/// Revokes it.
pub(in crate::panel) async fn revoke(
    request: HttpRequest,
    staff: May<RevokeKeys>,
    panel: Data<Panel>,
    id: Path<String>,
    _: Posted<Nothing>,
) -> Handled {
    let id = find(&request, &panel, &id).await?.key.id;
    let (origin, now) = (staff.origin(), staff.now);
    let revoked = staff.write(&request, &panel, move |connection| {
        let before = key::overview(connection, id)?.ok_or_else(|| KeyError::Unknown(id.to_string()))?.key;
        if before.revoked_at.is_some() {
            return Ok(());
        }
        let after = key::revoke(connection, id.as_str(), now)?;
        let entry = Entry {
            action: "key.revoke",
            tenant: Some(after.tenant),
            subject: id.as_str(),
            before: Some(before.facts()),
            after: Some(after.facts()),
        };
        audit_log::record(connection, &origin, &entry, now)?;
        Ok(())
    });
    revoked.await?.map_err(|error| failed(&request, error))?;
    go_to(format!("/keys/{id}"))
}
