//! `/keys/new` and `POST /keys`: a new key. The key's id is made when the form is rendered, so the same form twice issues one key; its secret
//! is in the answer to the first one, and nowhere else.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;
use shared::audit_log::{self, Entry};
use shared::key::{self, KeyError, NewSecret};
use shared::secret_key::{KeyId, PlainSecretKey};

use super::policy::Fields;
use super::{failed, secret};
use crate::frame::failure::{Failed, Handled, Problem};
use crate::frame::page::{self, Page};
use crate::frame::posted::Posted;
use crate::frame::wrongs::Wrongs;
use crate::panel::Panel;
use crate::panel::access::{IssueKeys, May};
use crate::panel::tenants::choice::{Choice, chosen};

#[derive(Template)]
#[template(path = "panel/keys/new.html")]
struct Form<'a> {
    page: &'a Page,
    once: KeyId,
    tenant: Choice,
    fields: &'a Fields,
    wrongs: Wrongs,
    /// The models that a channel serves at present.
    served: Vec<String>,
}

/// Shows the form.
pub(in crate::panel) async fn new(request: HttpRequest, staff: May<IssueKeys>, panel: Data<Panel>) -> Handled {
    let (page, tenant) = (&staff.page, Choice::asked(&request, &panel).await?);
    let once = KeyId::generate().map_err(|error| Failed::internal(&request, error))?;
    let (fields, wrongs) = (&Fields::default(), Wrongs::default());
    page::show(&request, page, &Form { page, once, tenant, fields, wrongs, served: served(&panel) })
}

/// Issues the key.
pub(in crate::panel) async fn issue(
    request: HttpRequest,
    staff: May<IssueKeys>,
    panel: Data<Panel>,
    Posted(fields): Posted<Fields>,
) -> Handled {
    let (page, now, id) = (&staff.page, staff.now, read_once(&request, &fields.once)?);
    let mut wrongs = Wrongs::default();
    let policy = fields.policy(page, now, &mut wrongs).map_err(|error| failed(&request, error))?;
    let whose = (fields.tenant.as_str(), fields.tenant_name.as_str());
    let found = chosen(&request, &panel, page, whose, &mut wrongs).await?;
    let (Some(tenant), Some(policy)) = (found.as_ref().map(|found| &found.tenant), policy) else {
        let tenant = Choice::of(found.as_ref(), &fields.tenant_name);
        let form = Form { page, once: id, tenant, fields: &fields, wrongs, served: served(&panel) };
        return page::show_again(&request, page, &form);
    };
    let (plain, new) = new_secret(&request, &panel, id).await?;
    let (of, origin) = (tenant.id, staff.origin());
    let issued = staff.write(&request, &panel, move |connection| {
        if let Some(before) = key::overview(connection, id)? {
            return Ok(Err(before));
        }
        let key = key::issue(connection, of, policy, &new, now)?;
        let after = Some(key.facts());
        let entry = Entry { action: "key.issue", tenant: Some(of), subject: key.id.as_str(), before: None, after };
        audit_log::record(connection, &origin, &entry, now)?;
        Ok::<_, KeyError>(Ok(key))
    });
    match issued.await?.map_err(|error| failed(&request, error))? {
        Ok(key) => secret::show(&request, page, &panel, &key, &tenant.name, &plain, None),
        Err(before) => secret::show_without(&request, page, &before),
    }
}

/// The id of the key that a form will make.
pub(super) fn read_once(request: &HttpRequest, text: &str) -> Result<KeyId, Failed> {
    text.parse().map_err(|_| {
        let english = "This form lacks the id of the key that it makes. No key was issued.";
        Failed::new(request, Problem::Wrong(english.to_owned(), "表单缺少要签发的密钥编号，未签发密钥。".to_owned()))
    })
}

/// A secret for the key of this id.
pub(super) async fn new_secret(
    request: &HttpRequest,
    panel: &Panel,
    id: KeyId,
) -> Result<(PlainSecretKey, NewSecret), Failed> {
    let sealer = Arc::clone(&panel.sealer);
    let made = panel.database.read(move |connection| Ok(key::new_secret(connection, &sealer, id))).await;
    made.map_err(|error| Failed::database(request, &error))?.map_err(|error| Failed::internal(request, error))
}

fn served(panel: &Panel) -> Vec<String> {
    panel.catalogue.now().model_names().map(str::to_owned).collect()
}
