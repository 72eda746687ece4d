//! The people who use the panel: who they are, what they may do, and inviting others.

mod disable;
mod invite;
mod role;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use shared::id::StaffId;
use shared::staff::{self, Listed, Role, StaffError};

pub(super) use self::disable::disable;
pub(super) use self::invite::invite;
pub(super) use self::role::change as change_role;
use super::Panel;
use super::access::{ManageStaff, May};
use crate::frame::failure::{Failed, Handled, Problem};
use crate::frame::page::{self, Page};
use crate::frame::wrongs::Wrongs;

/// What the form for an invitation holds.
#[derive(Default)]
struct Typed<'a> {
    email: &'a str,
    role: &'a str,
}

#[derive(Template)]
#[template(path = "panel/staff/list.html")]
struct List<'a> {
    page: &'a Page,
    people: Vec<Listed>,
    own: StaffId,
    typed: Typed<'a>,
    wrongs: &'a Wrongs,
    /// What could not be done, about the people above the form.
    refused: &'a str,
}

/// Lists them.
pub(super) async fn list(request: HttpRequest, staff: May<ManageStaff>, panel: Data<Panel>) -> Handled {
    let wrongs = Wrongs::default();
    page::show(&request, &staff.page, &render(&request, &staff, &panel, Typed::default(), &wrongs, "").await?)
}

/// The list again, with what is wrong: with the form, or in words above it.
async fn again(
    request: &HttpRequest,
    staff: &May<ManageStaff>,
    panel: &Panel,
    typed: Typed<'_>,
    wrongs: &Wrongs,
    refused: &str,
) -> Result<HttpResponse, Failed> {
    page::show_again(request, &staff.page, &render(request, staff, panel, typed, wrongs, refused).await?)
}

async fn render<'a>(
    request: &HttpRequest,
    staff: &'a May<ManageStaff>,
    panel: &Panel,
    typed: Typed<'a>,
    wrongs: &'a Wrongs,
    refused: &'a str,
) -> Result<List<'a>, Failed> {
    let now = staff.now;
    let read = panel.database.read_records(move |connection| staff::list(connection, now)).await;
    let people = read.map_err(|error| Failed::database(request, &error))?;
    Ok(List { page: &staff.page, people, own: staff.staff.id, typed, wrongs, refused })
}

/// What a failure about people's accounts means for a page, where the page has no words of its own for it.
pub(super) fn failed(request: &HttpRequest, error: StaffError) -> Failed {
    match error {
        StaffError::TooMany(too_many) => {
            Failed::new(request, Problem::TooMany { retry_after_s: too_many.retry_after_s })
        }
        StaffError::Unknown(_) => Failed::new(request, Problem::NotFound),
        StaffError::SignedOut => Failed::new(request, Problem::SignedOut),
        StaffError::Database(error) => Failed::database(request, &error),
        error => Failed::internal(request, error),
    }
}

/// Why nobody would be left to let others in.
fn last_owner(page: &Page) -> &'static str {
    page.say(
        "This is the only owner who can sign in: make somebody else an owner first. Nothing was changed.",
        "这是唯一能登录的所有者：请先让其他人成为所有者。没有任何更改。",
    )
}

/// What a role may do, in words.
fn words_for_role(role: Role, page: &Page) -> &'static str {
    let (english, chinese) = match role {
        Role::Owner => ("owner: everything", "所有者：全部权限"),
        Role::Billing => ("billing: tenants, keys, money, prices", "财务：客户、密钥、资金、价格"),
        Role::Support => ("support: reads, revokes keys, blocks users", "支持：查看、吊销密钥、封禁用户"),
        Role::Auditor => ("auditor: reads, also the audit log", "审计：查看，包括审计日志"),
    };
    page.say(english, chinese)
}
