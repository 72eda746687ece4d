//! Secret Keys: all of them, a new one, and each one's own page, from where it is revoked or rotated.

mod issue;
mod list;
mod policy;
mod revoke;
mod rotate;
mod secret;
mod show;

use actix_web::HttpRequest;
use shared::clock::Timestamp;
use shared::key::{self, Key, KeyError, KeyOverview, KeyState};
use shared::secret_key::KeyId;

pub(super) use self::issue::{issue, new};
pub(super) use self::list::list;
pub(super) use self::revoke::{ask_to_revoke, revoke};
pub(super) use self::rotate::{ask_to_rotate, rotate};
pub(super) use self::show::show;
use super::Panel;
use crate::frame::failure::{Failed, Problem};

/// The key whose id stands in a path.
async fn find(request: &HttpRequest, panel: &Panel, id: &str) -> Result<KeyOverview, Failed> {
    let not_found = || Failed::new(request, Problem::NotFound);
    let id: KeyId = id.parse().map_err(|_| not_found())?;
    let found = panel.database.read(move |connection| key::overview(connection, id)).await;
    found.map_err(|error| Failed::database(request, &error))?.ok_or_else(not_found)
}

/// The failure of an operation on a key that no field of a form is to blame for.
fn failed(request: &HttpRequest, error: KeyError) -> Failed {
    match error {
        KeyError::Database(error) => Failed::database(request, &error),
        other => Failed::internal(request, other),
    }
}

/// The state of a key as pages show it.
pub(crate) struct Shown {
    /// The class of its shape and colour.
    pub(crate) class: &'static str,
    /// In words.
    pub(crate) english: &'static str,
    /// In words.
    pub(crate) chinese: &'static str,
    /// When one that works will end.
    pub(crate) until: Option<Timestamp>,
}

/// Whether a key works, for a page.
pub(crate) fn state_of(key: &Key, now: &Timestamp) -> Shown {
    let shown = |class, english, chinese, until| Shown { class, english, chinese, until };
    match key.state(*now) {
        KeyState::Active if key.grace_until.is_some() => {
            shown("warn", "rotated, works", "已轮换，仍可用", key.ends_at())
        }
        KeyState::Active => shown("good", "active", "有效", key.ends_at()),
        KeyState::Expired => shown("off", "expired", "已过期", None),
        KeyState::Revoked => shown("bad", "revoked", "已吊销", None),
    }
}
