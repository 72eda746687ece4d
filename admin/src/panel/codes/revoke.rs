//! `/codes/{id}/revoke`: let no more codes of a batch be redeemed. A page before it says so.

use actix_web::HttpRequest;
use actix_web::web::{Data, Path};
use askama::Template;
use serde_json::json;
use shared::audit_log::{self, Entry};
use shared::vouchers::{self, Batch, VoucherError};

use super::{failed, find};
use crate::frame::failure::Handled;
use crate::frame::page::{self, Page, go_to};
use crate::frame::posted::{Nothing, Posted};
use crate::panel::Panel;
use crate::panel::access::{ManageCodes, May};

#[derive(Template)]
#[template(path = "panel/codes/revoke.html")]
struct Confirmation<'a> {
    page: &'a Page,
    batch: &'a Batch,
}

/// Says what revoking does.
pub(in crate::panel) async fn ask_to_revoke(
    request: HttpRequest,
    staff: May<ManageCodes>,
    panel: Data<Panel>,
    id: Path<String>,
) -> Handled {
    let (page, batch) = (&staff.page, find(&request, &panel, &id).await?);
    page::show(&request, page, &Confirmation { page, batch: &batch })
}

/// Revokes it.
pub(in crate::panel) async fn revoke(
    request: HttpRequest,
    staff: May<ManageCodes>,
    panel: Data<Panel>,
    id: Path<String>,
    _: Posted<Nothing>,
) -> Handled {
    let id = find(&request, &panel, &id).await?.id;
    let (by, origin, now) = (staff.staff.email.clone(), staff.origin(), staff.now);
    let revoked = staff.write(&request, &panel, move |connection| {
        let before = vouchers::batch(connection, id)?.ok_or(VoucherError::Unknown(id))?;
        if before.revoked.is_some() {
            return Ok(());
        }
        let after = vouchers::revoke(connection, id, &by, now)?;
        let entry = Entry {
            action: "codes.revoke",
            tenant: None,
            subject: &id.to_string(),
            before: Some(json!({"name": before.name, "count": before.count, "redeemed": before.redeemed})),
            after: Some(json!({"revoked_at": after.revoked.map(|(moment, _)| moment.to_rfc3339())})),
        };
        audit_log::record(connection, &origin, &entry, now)?;
        Ok(())
    });
    revoked.await?.map_err(|error| failed(&request, error))?;
    go_to(format!("/codes/{id}"))
}
