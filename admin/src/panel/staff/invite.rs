//! Invites a person. The link is in the direct reply and nowhere else.

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use shared::clock::Timestamp;
use shared::db::Connection;
use shared::staff::{self, Email, Role, StaffError, invitation};
use shared::token::Token;

use super::super::Panel;
use super::super::access::{ManageStaff, May};
use super::{Typed, again, failed};
use crate::frame::failure::Handled;
use crate::frame::page::{self, Page};
use crate::frame::posted::Posted;
use crate::frame::wrongs::Wrongs;

/// What is typed.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::panel) struct Fields {
    email: String,
    role: String,
    /// When the form was made, in milliseconds: the same form makes one link.
    once: String,
}

#[derive(Template)]
#[template(path = "panel/staff/invited.html")]
struct Invited<'a> {
    page: &'a Page,
    email: &'a str,
    role: &'a str,
    /// The link; `None` when this form has shown it before.
    link: Option<SecretString>,
    valid_min: i64,
}

/// Invites, and shows the link.
pub(in crate::panel) async fn invite(
    request: HttpRequest,
    staff: May<ManageStaff>,
    panel: Data<Panel>,
    Posted(fields): Posted<Fields>,
) -> Handled {
    let page = &staff.page;
    let typed = || Typed { email: &fields.email, role: &fields.role };
    let mut wrongs = Wrongs::default();
    let email: Option<Email> = fields.email.parse().ok();
    if email.is_none() {
        let english = "Give an e-mail address such as ann@example.com.";
        wrongs.add("email", page.say(english, "请填写邮箱地址，例如 ann@example.com。"));
    }
    let role: Option<Role> = fields.role.parse().ok();
    if role.is_none() {
        wrongs.add("role", page.say("Choose a role.", "请选择角色。"));
    }
    let (Some(email), Some(role)) = (email, role) else {
        return again(&request, &staff, &panel, typed(), &wrongs, "").await;
    };
    let token = Token::generate().map_err(|error| failed(&request, error.into()))?;
    let rendered_at = Timestamp(fields.once.parse().unwrap_or(0));
    let (hash, origin, now) = (token.hash(), staff.origin(), staff.now);
    let (name, inviting) = (email.to_string(), email.clone());
    let written = staff.write(&request, &panel, move |connection| {
        if is_issued_since(connection, &inviting, role, rendered_at, now)? {
            return Ok(false);
        }
        staff::invite(connection, &inviting, role, &hash, &origin, now)?;
        Ok(true)
    });
    let link = match written.await? {
        Ok(true) => Some(SecretString::from(format!("{}/invitation/{}", page.url(), token.to_text().expose_secret()))),
        Ok(false) => None,
        Err(StaffError::EmailTaken(_)) => {
            let wrongs = Wrongs::one("email", page.say("This person can sign in already.", "此人已可登录。"));
            return again(&request, &staff, &panel, typed(), &wrongs, "").await;
        }
        Err(error) => return Err(failed(&request, error)),
    };
    let valid_min = invitation::VALID_MS / 60_000;
    page::show(&request, page, &Invited { page, email: &name, role: role.as_str(), link, valid_min })
}

/// Whether an invitation of this person to this role was made after the form was: by the form itself, which was sent again. To another
/// role it is a new invitation.
fn is_issued_since(
    connection: &mut Connection,
    email: &Email,
    role: Role,
    rendered_at: Timestamp,
    now: Timestamp,
) -> Result<bool, StaffError> {
    let people = staff::list(connection, now)?;
    let own = people.into_iter().find(|listed| listed.staff.email == email.as_str());
    let until = own.filter(|listed| listed.staff.role == role).and_then(|listed| listed.invited_until);
    Ok(until.is_some_and(|until| until.plus_ms(-invitation::VALID_MS) >= rendered_at))
}
