//! `POST /tenants/{id}/block-user` and `POST /tenants/{id}/unblock-user`: whether the calls of one of a tenant's end users are refused.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::audit_log::{self, Entry};
use shared::blocked_users::{self, BlockError, BlockedUser};
use shared::clock::Timestamp;
use shared::db::DbError;

use super::find;
use super::show::{Typed, render};
use crate::frame::failure::{Failed, Handled};
use crate::frame::page::go_to;
use crate::frame::posted::Posted;
use crate::frame::wrongs::Wrongs;
use crate::panel::Panel;
use crate::panel::access::{BlockUsers, May};

/// What the forms send.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::panel) struct Fields {
    /// The name as somebody types it.
    end_user: String,
    /// The name as a page of ours has it, in JSON: a browser changes the ends of lines in what it sends.
    exactly: String,
}

impl Fields {
    fn name(&self) -> String {
        serde_json::from_str(&self.exactly).unwrap_or_else(|_| self.end_user.clone())
    }
}

/// Refuses the end user's calls.
pub(in crate::panel) async fn block_user(
    request: HttpRequest,
    staff: May<BlockUsers>,
    panel: Data<Panel>,
    id: Path<String>,
    Posted(fields): Posted<Fields>,
) -> Handled {
    let tenant = find(&request, &panel, &id).await?.tenant.id;
    let (name, origin, now) = (fields.name(), staff.origin(), staff.now);
    let (by, wanted) = (staff.staff.email.clone(), name.clone());
    let blocked = staff.write(&request, &panel, move |connection| {
        if blocked_users::find(connection, tenant, &wanted)?.is_some() {
            return Ok(());
        }
        let blocked = blocked_users::block(connection, tenant, &wanted, &by, now)?;
        let entry = Entry {
            action: "user.block",
            tenant: Some(tenant),
            subject: &blocked.end_user,
            before: None,
            after: Some(object(&blocked)),
        };
        audit_log::record(connection, &origin, &entry, now)?;
        Ok(())
    });
    let page = &staff.page;
    let words = match blocked.await? {
        Ok(()) => return go_to(format!("/tenants/{tenant}#users")),
        Err(BlockError::BadEndUser) => {
            page.say("An end user's name has 1 to 512 characters.", "终端用户名称须为 1 至 512 个字符。")
        }
        Err(BlockError::TooMany) => page.say(
            "This tenant has as many blocked end users as it may. Suspend it, or unblock some.",
            "该客户封禁的终端用户已达上限，请暂停该客户或解封部分用户。",
        ),
        Err(BlockError::Database(error)) => return Err(Failed::database(&request, &error)),
        Err(error) => return Err(Failed::internal(&request, error)),
    };
    let typed = Typed { end_user: name, wrongs: Wrongs::one("end_user", words), ..Typed::default() };
    render(&request, &staff, &panel, &id, &typed, StatusCode::UNPROCESSABLE_ENTITY).await
}

/// Lets them in again.
pub(in crate::panel) async fn unblock_user(
    request: HttpRequest,
    staff: May<BlockUsers>,
    panel: Data<Panel>,
    id: Path<String>,
    Posted(fields): Posted<Fields>,
) -> Handled {
    let tenant = find(&request, &panel, &id).await?.tenant.id;
    let (name, origin, now) = (fields.name(), staff.origin(), staff.now);
    let unblocked = staff.write(&request, &panel, move |connection| {
        let Some(blocked) = blocked_users::unblock(connection, tenant, &name)? else { return Ok(()) };
        let entry = Entry {
            action: "user.unblock",
            tenant: Some(tenant),
            subject: &blocked.end_user,
            before: Some(object(&blocked)),
            after: None,
        };
        audit_log::record(connection, &origin, &entry, now)
    });
    unblocked.await?.map_err(|error: DbError| Failed::database(&request, &error))?;
    go_to(format!("/tenants/{tenant}#users"))
}

fn object(blocked: &BlockedUser) -> Value {
    json!({"blocked_at": Timestamp::to_rfc3339(blocked.blocked_at), "blocked_by": blocked.blocked_by})
}
