//! The way in and out: invitations, signing in with its second step, and signing out.

mod code;
mod invitation;
mod sign_in;
mod sign_out;

use actix_web::HttpResponse;
use actix_web::http::header::LOCATION;
use secrecy::ExposeSecret;
use shared::staff::WeakPassword;
use shared::token::Token;

pub(super) use self::code::{ask as ask_code, enter as enter_code};
pub(super) use self::invitation::{accept, show as show_invitation};
pub(super) use self::sign_in::{form as sign_in_form, sign_in};
pub(super) use self::sign_out::sign_out;
use super::Panel;
use crate::frame::cookie;
use crate::frame::failure::Handled;
use crate::frame::own_path::own_path;
use crate::frame::page::Page;

/// Lets the browser keep a session, and sends it on.
fn let_in(panel: &Panel, token: &Token, to: &str) -> Handled {
    let cookie = cookie::keep(&panel.side, token.to_text().expose_secret().to_owned());
    Ok(HttpResponse::SeeOther().insert_header((LOCATION, to)).cookie(cookie).finish())
}

/// Where to go after signing in.
fn after_signing_in(next: &str) -> &str {
    own_path(next).filter(|path| !path.starts_with("/sign-in")).unwrap_or("/dashboard")
}

/// Why a password is not taken.
pub(super) fn words_for_password(weak: WeakPassword, page: &Page) -> &'static str {
    let (english, chinese) = match weak {
        WeakPassword::Short => (
            "At least 12 characters. A few words in a row are easy to keep in mind.",
            "至少 12 个字符。几个词连在一起便于记忆。",
        ),
        WeakPassword::Long => ("At most 200 characters.", "最多 200 个字符。"),
        WeakPassword::IsTheEmail => (
            "The e-mail address is the first thing that anybody tries: choose another password.",
            "邮箱地址是最先被猜测的：请换一个密码。",
        ),
    };
    page.say(english, chinese)
}
