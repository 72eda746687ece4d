//! `/tenants/new` and `POST /tenants`: a new tenant with an empty balance. Its name is unique, so the same form twice makes one.

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;
use serde_json::json;
use shared::audit_log::{self, Entry};
use shared::tenant::{self, Tenant, TenantError};

use crate::frame::failure::{Failed, Handled};
use crate::frame::page::{self, Page, go_to};
use crate::frame::posted::Posted;
use crate::frame::wrongs::Wrongs;
use crate::panel::Panel;
use crate::panel::access::{ManageTenants, May};

/// What the form sends.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::panel) struct Fields {
    name: String,
}

#[derive(Template)]
#[template(path = "panel/tenants/new.html")]
struct Form<'a> {
    page: &'a Page,
    fields: &'a Fields,
    wrongs: Wrongs,
    /// The tenant that has the name already.
    other: Option<Tenant>,
}

/// Shows the form.
pub(in crate::panel) async fn new(request: HttpRequest, staff: May<ManageTenants>) -> Handled {
    let (page, fields) = (&staff.page, &Fields::default());
    page::show(&request, page, &Form { page, fields, wrongs: Wrongs::default(), other: None })
}

/// Makes the tenant.
pub(in crate::panel) async fn create(
    request: HttpRequest,
    staff: May<ManageTenants>,
    panel: Data<Panel>,
    Posted(fields): Posted<Fields>,
) -> Handled {
    let (page, origin, now) = (&staff.page, staff.origin(), staff.now);
    let name = fields.name.trim().to_owned();
    let made = staff.write(&request, &panel, move |connection| {
        let tenant = match tenant::create(connection, &name, now) {
            // Looked for here, so that what is shown beside the name is what refused it.
            Err(TenantError::NameTaken(name)) => return Ok(Err(tenant::named(connection, &name)?)),
            made => made?,
        };
        let after = Some(json!(tenant));
        let entry =
            Entry { action: "tenant.create", tenant: Some(tenant.id), subject: &tenant.name, before: None, after };
        audit_log::record(connection, &origin, &entry, now)?;
        Ok::<_, TenantError>(Ok(tenant))
    });
    let (words, other) = match made.await? {
        Ok(Ok(tenant)) => return go_to(format!("/tenants/{}", tenant.id)),
        Ok(Err(other)) => {
            (page.say("A tenant of this name exists. None was made now.", "已有同名客户，本次没有新建。"), Some(other))
        }
        Err(TenantError::BadName) => {
            let english = "A name has 1 to 200 characters and no control characters.";
            (page.say(english, "名称须为 1 至 200 个字符，不含控制字符。"), None)
        }
        Err(TenantError::Database(error)) => return Err(Failed::database(&request, &error)),
        Err(error) => return Err(Failed::internal(&request, error)),
    };
    let wrongs = Wrongs::one("name", words);
    page::show_again(&request, page, &Form { page, fields: &fields, wrongs, other })
}
