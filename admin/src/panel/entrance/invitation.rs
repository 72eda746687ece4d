//! An invitation: the link by which a person takes an account into use. To look at it changes nothing; the form uses it up.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use askama::Template;
use serde::Deserialize;
use shared::clock::Timestamp;
use shared::staff::StaffError;
use shared::staff::invitation::{self, Invitation, Invited};

use super::super::Panel;
use super::super::staff::failed;
use super::{let_in, words_for_password};
use crate::frame::address::address;
use crate::frame::failure::{Failed, Handled};
use crate::frame::page::{self, Page};
use crate::frame::posted::PostedByAnyone;
use crate::frame::wrongs::Wrongs;

/// What is typed.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::panel) struct Fields {
    /// Of the first owner; others have theirs.
    email: String,
    password: String,
    /// The same password.
    again: String,
}

#[derive(Template)]
#[template(path = "panel/entrance/invitation.html")]
struct Form<'a> {
    page: &'a Page,
    /// Whose it is; nobody's where the first owner is to say it.
    person: Option<&'a str>,
    email: &'a str,
    expires_at: Timestamp,
    wrongs: &'a Wrongs,
}

#[derive(Template)]
#[template(path = "panel/entrance/over.html")]
struct Over<'a> {
    page: &'a Page,
}

/// Shows what it is for.
pub(in crate::panel) async fn show(request: HttpRequest, panel: Data<Panel>, token: Path<String>) -> Handled {
    let found = find(&request, &panel, token.into_inner()).await?;
    send(&request, &panel, found.as_ref(), "", &Wrongs::default())
}

/// Uses it up: sets the password, and signs the person in.
pub(in crate::panel) async fn accept(
    request: HttpRequest,
    panel: Data<Panel>,
    token: Path<String>,
    PostedByAnyone(Fields { email, password, again }): PostedByAnyone<Fields>,
) -> Handled {
    let token = token.into_inner();
    let page = Page::anonymous(&request, &panel.side, panel.clock.now());
    let wrongs = if password == again {
        let address = address(&request, &panel.side);
        match panel.reception.accept(&token, &email, password.into(), address).await {
            Ok((_, session)) => return let_in(&panel, &session, "/dashboard"),
            Err(StaffError::BadEmail(_)) => Wrongs::one(
                "email",
                page.say("Give an e-mail address such as ann@example.com.", "请填写邮箱地址，例如 ann@example.com。"),
            ),
            Err(StaffError::WeakPassword(weak)) => Wrongs::one("password", words_for_password(weak, &page)),
            Err(StaffError::Over) => return send(&request, &panel, None, "", &Wrongs::default()),
            Err(error) => return Err(failed(&request, error)),
        }
    } else {
        Wrongs::one("again", page.say("The two passwords are not the same.", "两次输入的密码不一致。"))
    };
    let found = find(&request, &panel, token).await?;
    send(&request, &panel, found.as_ref(), &email, &wrongs)
}

async fn find(request: &HttpRequest, panel: &Panel, token: String) -> Result<Option<Invitation>, Failed> {
    let now = panel.clock.now();
    let read = panel.database.read(move |connection| invitation::find(connection, &token, now)).await;
    read.map_err(|error| Failed::database(request, &error))
}

fn send(
    request: &HttpRequest,
    panel: &Panel,
    invitation: Option<&Invitation>,
    email: &str,
    wrongs: &Wrongs,
) -> Handled {
    let page = &Page::anonymous(request, &panel.side, panel.clock.now());
    let Some(invitation) = invitation else {
        return page::show_with(request, page, StatusCode::GONE, &Over { page });
    };
    let person = match &invitation.whom {
        Invited::FirstOwner => None,
        Invited::Person(staff) => Some(staff.email.as_str()),
    };
    let form = Form { page, person, email, expires_at: invitation.expires_at, wrongs };
    if wrongs.is_empty() { page::show(request, page, &form) } else { page::show_again(request, page, &form) }
}
