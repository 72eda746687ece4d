//! Tenants: all of them, a new one, and each one's own page with what can be done about it.

pub(super) mod choice;
mod create;
mod list;
pub(super) mod names;
mod notes;
mod show;
mod suspend;
mod users;

use actix_web::HttpRequest;
use serde_json::Value;
use shared::id::TenantId;
use shared::tenant::{self, TenantOverview};

pub(super) use self::create::{create, new};
pub(super) use self::list::list;
pub(super) use self::notes::add_note;
pub(super) use self::show::show;
pub(super) use self::suspend::{ask_to_resume, ask_to_suspend, resume, suspend};
pub(super) use self::users::{block_user, unblock_user};
use super::Panel;
use crate::frame::failure::{Failed, Problem};

/// The tenant whose id stands in a path.
async fn find(request: &HttpRequest, panel: &Panel, id: &str) -> Result<TenantOverview, Failed> {
    let not_found = || Failed::new(request, Problem::NotFound);
    let id = TenantId(id.parse().map_err(|_| not_found())?);
    let found = panel.database.read(move |connection| tenant::by_id(connection, id)).await;
    found.map_err(|error| Failed::database(request, &error))?.ok_or_else(not_found)
}

/// A text in JSON: for hidden fields, since a browser changes the ends of lines in what it sends.
pub(crate) fn in_json(text: &str) -> String {
    Value::from(text).to_string()
}
