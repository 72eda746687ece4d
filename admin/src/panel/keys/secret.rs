//! A new secret, shown once, in the answer to the form that made it; and what the same form gets the second time.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use askama::Template;
use shared::clock::Timestamp;
use shared::key::{Key, KeyOverview};
use shared::secret_key::{KeyId, PlainSecretKey};

use crate::frame::failure::Handled;
use crate::frame::page::{self, Page};
use crate::panel::Panel;

/// The key that a rotation replaced.
pub(super) struct Replaced {
    pub(super) id: KeyId,
    /// Until when it works.
    pub(super) ends_at: Timestamp,
}

#[derive(Template)]
#[template(path = "panel/keys/secret.html")]
struct Secret<'a> {
    page: &'a Page,
    key: &'a Key,
    tenant_name: &'a str,
    /// Nothing, where it was shown before.
    secret: Option<&'a str>,
    replaced: Option<Replaced>,
    /// Models that the key names and that no channel serves.
    unserved: Vec<&'a str>,
}

/// Shows a new key with its secret.
pub(super) fn show(
    request: &HttpRequest,
    page: &Page,
    panel: &Panel,
    key: &Key,
    tenant_name: &str,
    plain: &PlainSecretKey,
    replaced: Option<Replaced>,
) -> Handled {
    let catalogue = panel.catalogue.now();
    let models = key.policy.models.iter().flatten().map(String::as_str);
    let unserved = models.filter(|model| catalogue.model(model).is_none()).collect();
    let secret = Secret { page, key, tenant_name, secret: Some(plain.expose()), replaced, unserved };
    page::show(request, page, &secret)
}

/// Shows that the form has made this key before, and not its secret.
pub(super) fn show_without(request: &HttpRequest, page: &Page, before: &KeyOverview) -> Handled {
    let secret = Secret {
        page,
        key: &before.key,
        tenant_name: &before.tenant_name,
        secret: None,
        replaced: None,
        unserved: Vec::new(),
    };
    page::show_with(request, page, StatusCode::CONFLICT, &secret)
}
