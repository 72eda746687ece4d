//! Whose: the part of a form that says for which tenant it is. The tenant is known from the page before (its id goes along), or somebody
//! types its name. The two are fields of their own, since a name may look like another tenant's id.

use actix_web::HttpRequest;
use serde::Deserialize;
use shared::db::{Connection, DbError};
use shared::id::TenantId;
use shared::tenant::{self, Tenant, TenantOverview};

use crate::frame::failure::Failed;
use crate::frame::page::Page;
use crate::frame::paging;
use crate::frame::wrongs::Wrongs;
use crate::panel::Panel;

/// What the form shows.
#[derive(Debug, Default)]
pub(in crate::panel) struct Choice {
    /// The tenant, where it is known.
    pub(in crate::panel) known: Option<Tenant>,
    /// What was typed for its name, where it is not.
    pub(in crate::panel) name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    tenant: String,
}

impl Choice {
    /// The tenant that `?tenant=` names by its id, if there is one.
    pub(in crate::panel) async fn asked(request: &HttpRequest, panel: &Panel) -> Result<Self, Failed> {
        let asked: Asked = paging::filters(request);
        let known = by_id(request, panel, &asked.tenant).await?.map(|found| found.tenant);
        Ok(Self { known, name: String::new() })
    }

    /// The tenant that was found, or what was typed and found nobody.
    pub(in crate::panel) fn of(found: Option<&TenantOverview>, name: &str) -> Self {
        Self { known: found.map(|found| found.tenant.clone()), name: name.to_owned() }
    }
}

/// The tenant that a form is for: by its id, else by its name. That there is none is wrong with the field `tenant_name`.
pub(in crate::panel) async fn chosen(
    request: &HttpRequest,
    panel: &Panel,
    page: &Page,
    (id, name): (&str, &str),
    wrongs: &mut Wrongs,
) -> Result<Option<TenantOverview>, Failed> {
    if let Some(found) = by_id(request, panel, id).await? {
        return Ok(Some(found));
    }
    let typed = findable(name);
    let found = panel.database.read(move |connection| match tenant::find(connection, &typed)? {
        Some(tenant) => tenant::by_id(connection, tenant.id),
        None => Ok(None),
    });
    let found = found.await.map_err(|error| Failed::database(request, &error))?;
    if found.is_none() {
        wrongs.add("tenant_name", page.say("No tenant has this name.", "没有名称相同的客户。"));
    }
    Ok(found)
}

/// The tenant that a filter names: by its id, or else by its whole name.
pub(in crate::panel) fn filtered(connection: &mut Connection, text: &str) -> Result<Option<TenantId>, DbError> {
    let by_id = match text.trim().parse() {
        Ok(id) => tenant::by_id(connection, TenantId(id))?.map(|found| found.tenant.id),
        Err(_) => None,
    };
    match by_id {
        Some(id) => Ok(Some(id)),
        None => Ok(tenant::find(connection, &findable(text))?.map(|tenant| tenant.id)),
    }
}

/// What was typed, as it can be looked for: PostgreSQL's texts cannot hold U+0000, so nothing has a name with one.
pub(in crate::panel) fn findable(name: &str) -> String {
    name.trim().replace('\0', "\u{fffd}")
}

async fn by_id(request: &HttpRequest, panel: &Panel, id: &str) -> Result<Option<TenantOverview>, Failed> {
    let Ok(id) = id.parse() else { return Ok(None) };
    let found = panel.database.read(move |connection| tenant::by_id(connection, TenantId(id))).await;
    found.map_err(|error| Failed::database(request, &error))
}
