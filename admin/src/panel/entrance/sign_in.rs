//! Signing in with e-mail address and password. Whatever is wrong, the words are the same.

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;
use shared::staff::{Entrance, StaffError};

use super::super::Panel;
use super::super::staff::failed;
use super::{after_signing_in, let_in};
use crate::frame::address::address;
use crate::frame::failure::Handled;
use crate::frame::page::{self, Page};
use crate::frame::paging::{self, query};
use crate::frame::posted::PostedByAnyone;

/// Where to go afterwards.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Next {
    pub(super) next: String,
}

/// What is typed.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::panel) struct Fields {
    email: String,
    password: String,
    next: String,
}

/// Why the form is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    Asked,
    Refused,
    /// The time for the code has passed, or there were too many wrong ones.
    CodeIsOver,
}

#[derive(Template)]
#[template(path = "panel/entrance/sign_in.html")]
struct Form<'a> {
    page: &'a Page,
    email: &'a str,
    next: &'a str,
    is_refused: bool,
    is_over: bool,
}

/// The empty form.
pub(in crate::panel) async fn form(request: HttpRequest, panel: Data<Panel>) -> Handled {
    let Next { next } = paging::filters(&request);
    send(&request, &panel, "", &next, Why::Asked)
}

/// Signs in; where a code is asked for too, goes on to that.
pub(in crate::panel) async fn sign_in(
    request: HttpRequest,
    panel: Data<Panel>,
    PostedByAnyone(Fields { email, password, next }): PostedByAnyone<Fields>,
) -> Handled {
    match panel.reception.sign_in(&email, password.into(), address(&request, &panel.side)).await {
        Ok(Entrance::Open(token)) => let_in(&panel, &token, after_signing_in(&next)),
        Ok(Entrance::NeedsCode(token)) => {
            let to = format!("/sign-in/code?{}", query(&[("next", &next)]));
            let_in(&panel, &token, to.trim_end_matches('?'))
        }
        Err(StaffError::Refused) => send(&request, &panel, &email, &next, Why::Refused),
        Err(error) => Err(failed(&request, error)),
    }
}

/// Sends the form.
pub(super) fn send(request: &HttpRequest, panel: &Panel, email: &str, next: &str, why: Why) -> Handled {
    let page = &Page::anonymous(request, &panel.side, panel.clock.now());
    let (is_refused, is_over) = (why == Why::Refused, why == Why::CodeIsOver);
    let form = Form { page, email, next, is_refused, is_over };
    match why {
        Why::Asked => page::show(request, page, &form),
        Why::Refused | Why::CodeIsOver => page::show_again(request, page, &form),
    }
}
