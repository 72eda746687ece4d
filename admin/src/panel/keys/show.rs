//! `/keys/{kid}`: what a key may do, whether it works, and what it was used for lately.

use actix_web::HttpRequest;
use actix_web::web::{Data, Path};
use askama::Template;
use shared::calls::{self, CallFilter, CallRow};
use shared::key::{KeyOverview, KeyState};
use shared::page::Cursor;
use shared::staff::Right;

use super::find;
use crate::frame::failure::{Failed, Handled};
use crate::frame::page::{self, Page};
use crate::panel::Panel;
use crate::panel::access::{May, Read};

/// Calls on the page.
const CALLS: usize = 20;

#[derive(Template)]
#[template(path = "panel/keys/show.html")]
struct Shown<'a> {
    page: &'a Page,
    found: &'a KeyOverview,
    ips: Option<Vec<String>>,
    calls: Vec<CallRow>,
    may_revoke: bool,
    may_rotate: bool,
}

/// Shows it.
pub(in crate::panel) async fn show(
    request: HttpRequest,
    staff: May<Read>,
    panel: Data<Panel>,
    id: Path<String>,
) -> Handled {
    let (page, found) = (&staff.page, find(&request, &panel, &id).await?);
    let filter = CallFilter { key: Some(found.key.id), ..CallFilter::default() };
    let calls = panel.database.read_records(move |connection| calls::list(connection, &filter, Cursor::First, CALLS));
    let calls = calls.await.map_err(|error| Failed::database(&request, &error))?.rows;
    let state = found.key.state(staff.now);
    let shown = Shown {
        page,
        ips: found.key.policy.ips(),
        calls,
        may_revoke: staff.may(Right::RevokeKeys) && state != KeyState::Revoked,
        may_rotate: staff.may(Right::IssueKeys) && state == KeyState::Active,
        found: &found,
    };
    page::show(&request, page, &shown)
}
