//! The second step of signing in: a code of the authenticator, or a recovery code.

use actix_web::HttpRequest;
use actix_web::web::Data;
use askama::Template;
use serde::Deserialize;
use shared::csrf;
use shared::staff::StaffError;

use super::super::Panel;
use super::super::staff::failed;
use super::sign_in::{self, Next, Why};
use super::{after_signing_in, let_in};
use crate::frame::address::address;
use crate::frame::cookie;
use crate::frame::failure::{Failed, Handled};
use crate::frame::page::{self, Page};
use crate::frame::paging::{self, query};
use crate::frame::posted::Posted;

/// What is typed.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::panel) struct Fields {
    code: String,
    next: String,
}

#[derive(Template)]
#[template(path = "panel/entrance/code.html")]
struct Form<'a> {
    page: &'a Page,
    next: &'a str,
    is_wrong: bool,
}

/// Asks for it, after the right password.
pub(in crate::panel) async fn ask(request: HttpRequest, panel: Data<Panel>) -> Handled {
    let Next { next } = paging::filters(&request);
    let token = cookie::token(&request, &panel.side).unwrap_or_default();
    let waits = panel.reception.waits_for_code(&token).await;
    if !waits.map_err(|error| Failed::database(&request, &error))? {
        let to = format!("/sign-in?{}", query(&[("next", &next)]));
        return page::go_to(to.trim_end_matches('?'));
    }
    let page = page_of(&request, &panel, &token);
    page::show(&request, &page, &Form { page: &page, next: &next, is_wrong: false })
}

/// Takes it, and signs in.
pub(in crate::panel) async fn enter(
    request: HttpRequest,
    panel: Data<Panel>,
    Posted(Fields { code, next }): Posted<Fields>,
) -> Handled {
    let token = cookie::token(&request, &panel.side).unwrap_or_default();
    match panel.reception.enter_code(&token, &code, address(&request, &panel.side)).await {
        Ok(token) => let_in(&panel, &token, after_signing_in(&next)),
        Err(StaffError::WrongCode) => {
            let page = page_of(&request, &panel, &token);
            page::show_again(&request, &page, &Form { page: &page, next: &next, is_wrong: true })
        }
        Err(StaffError::Over) => sign_in::send(&request, &panel, "", &next, Why::CodeIsOver),
        Err(error) => Err(failed(&request, error)),
    }
}

/// A page of somebody who has only half shown who they are: its form belongs to that, and it says nothing about them.
fn page_of(request: &HttpRequest, panel: &Panel, token: &str) -> Page {
    let mut page = Page::anonymous(request, &panel.side, panel.clock.now());
    page.csrf = csrf::token(token);
    page
}
