//! `/keys/{kid}/rotate`: a new key with the same policy, while the old one works on for a while. The new key's id is made when the form is
//! rendered, so the same form twice rotates once.

use actix_web::HttpRequest;
use actix_web::web::{Data, Path};
use askama::Template;
use serde::Deserialize;
use serde_json::json;
use shared::audit_log::{self, Entry};
use shared::key::{self, KeyError, KeyOverview, KeyState};
use shared::secret_key::KeyId;
use shared::values::{self, Span};

use super::issue::{new_secret, read_once};
use super::secret::{self, Replaced};
use super::{failed, find};
use crate::frame::failure::{Failed, Handled};
use crate::frame::page::{self, Page};
use crate::frame::posted::Posted;
use crate::frame::wrongs::Wrongs;
use crate::panel::Panel;
use crate::panel::access::{IssueKeys, May};

/// What the form sends.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::panel) struct Fields {
    once: String,
    grace: String,
}

#[derive(Template)]
#[template(path = "panel/keys/rotate.html")]
struct Form<'a> {
    page: &'a Page,
    found: &'a KeyOverview,
    once: KeyId,
    grace: &'a str,
    wrongs: Wrongs,
    /// A key that has ended cannot be rotated.
    works: bool,
}

/// Shows the form.
pub(in crate::panel) async fn ask_to_rotate(
    request: HttpRequest,
    staff: May<IssueKeys>,
    panel: Data<Panel>,
    id: Path<String>,
) -> Handled {
    let (page, found) = (&staff.page, find(&request, &panel, &id).await?);
    let once = KeyId::generate().map_err(|error| Failed::internal(&request, error))?;
    let works = found.key.state(staff.now) == KeyState::Active;
    let form = Form { page, found: &found, once, grace: "24h", wrongs: Wrongs::default(), works };
    page::show(&request, page, &form)
}

/// Rotates the key.
pub(in crate::panel) async fn rotate(
    request: HttpRequest,
    staff: May<IssueKeys>,
    panel: Data<Panel>,
    id: Path<String>,
    Posted(Fields { once, grace }): Posted<Fields>,
) -> Handled {
    let (page, now, mut wrongs) = (&staff.page, staff.now, Wrongs::default());
    let (found, new_id) = (find(&request, &panel, &id).await?, read_once(&request, &once)?);
    let words = page.say("Give a length of time such as 24h, 90m or 7d.", "请填写时长，如 24h、90m 或 7d。");
    let Some(Span(grace_ms)) = wrongs.read("grace", &grace, words, values::span) else {
        let works = found.key.state(now) == KeyState::Active;
        let form = Form { page, found: &found, once: new_id, grace: &grace, wrongs, works };
        return page::show_again(&request, page, &form);
    };
    let (plain, new) = new_secret(&request, &panel, new_id).await?;
    let (old_id, origin) = (found.key.id, staff.origin());
    let rotated = staff.write(&request, &panel, move |connection| {
        if let Some(before) = key::overview(connection, new_id)? {
            return Ok(Err(before));
        }
        let before = key::overview(connection, old_id)?.map(|found| found.key.facts());
        let (key, old_ends_at) = key::rotate(connection, old_id.as_str(), now.plus_ms(grace_ms), &new, now)?;
        let after = Some(json!({"new_id": key.id, "old_ends_at": old_ends_at.to_rfc3339()}));
        let entry = Entry { action: "key.rotate", tenant: Some(key.tenant), subject: old_id.as_str(), before, after };
        audit_log::record(connection, &origin, &entry, now)?;
        Ok(Ok((key, old_ends_at)))
    });
    match rotated.await? {
        Ok(Ok((key, ends_at))) => {
            let replaced = Some(Replaced { id: old_id, ends_at });
            secret::show(&request, page, &panel, &key, &found.tenant_name, &plain, replaced)
        }
        Ok(Err(before)) => secret::show_without(&request, page, &before),
        Err(KeyError::Ended(_)) => {
            let form = Form { page, found: &found, once: new_id, grace: &grace, wrongs, works: false };
            page::show_again(&request, page, &form)
        }
        Err(error) => Err(failed(&request, error)),
    }
}
