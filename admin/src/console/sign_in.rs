//! Signing in with a Secret Key, and out. The key comes in a form's body, is looked at once, and stands in no reply.

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderValue, RETRY_AFTER};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use shared::console_session;
use shared::db::DbError;
use shared::key::{self, Barred};
use shared::keyring::{Caller, NotACaller};
use shared::secret_key::InvalidKey;
use shared::throttle::TooMany;
use shared::token::Token;

use super::Console;
use crate::frame::address::address;
use crate::frame::cookie;
use crate::frame::failure::{Failed, Handled, Problem};
use crate::frame::own_path::own_path;
use crate::frame::page::{self, Page, go_to};
use crate::frame::paging;
use crate::frame::posted::{Nothing, Posted, PostedByAnyone};

/// What the page is asked for.
#[derive(Debug, Default, Deserialize)]
struct Asked {
    /// Where to go then.
    next: Option<String>,
    /// Why the last session ended.
    ended: Option<String>,
}

/// What the form sends.
#[derive(Deserialize)]
pub(super) struct Fields {
    #[serde(default)]
    secret_key: String,
    #[serde(default)]
    next: String,
}

#[derive(Template)]
#[template(path = "console/sign_in.html")]
struct SignIn<'a> {
    page: &'a Page,
    next: &'a str,
    /// Why the last session ended, in words; empty when there was none.
    ended: &'a str,
    /// Why this try failed, in words; empty before the first.
    error: &'a str,
}

/// Shows the form.
pub(super) async fn show(request: HttpRequest, console: Data<Console>) -> Handled {
    let page = Page::anonymous(&request, &console.side, console.clock.now());
    let Asked { next, ended } = paging::filters(&request);
    let ended = match ended.as_deref() {
        Some("revoked") => page.say("The Secret Key of your session was revoked.", "您会话所用的密钥已被吊销。"),
        Some("expired") => page.say("The Secret Key of your session has expired.", "您会话所用的密钥已过期。"),
        _ => "",
    };
    page::show(&request, &page, &SignIn { page: &page, next: own_page(&next.unwrap_or_default()), ended, error: "" })
}

/// Begins a session.
pub(super) async fn enter(
    request: HttpRequest,
    console: Data<Console>,
    PostedByAnyone(fields): PostedByAnyone<Fields>,
) -> Handled {
    let page = Page::anonymous(&request, &console.side, console.clock.now());
    let (key, next) = (SecretString::from(fields.secret_key), own_page(&fields.next).to_owned());
    match let_in(&request, &console, &key).await? {
        Ok(token) => {
            let to = if next.is_empty() { console.side.root } else { &next };
            let mut reply = go_to(to)?;
            let cookie = cookie::keep(&console.side, token.expose_secret().to_owned());
            reply.add_cookie(&cookie).map_err(|error| Failed::internal(&request, error))?;
            Ok(reply)
        }
        Err(refused) => {
            let error = refused.words(&page);
            let form = SignIn { page: &page, next: &next, ended: "", error: &error };
            let mut reply = page::show_with(&request, &page, refused.status(), &form)?;
            if let Refused::TooMany(TooMany { retry_after_s }) = refused {
                reply.headers_mut().insert(RETRY_AFTER, HeaderValue::from(retry_after_s));
            }
            Ok(reply)
        }
    }
}

/// Ends the session, if there still is one.
pub(super) async fn leave(request: HttpRequest, console: Data<Console>, _: Posted<Nothing>) -> Handled {
    if let Some(token) = cookie::token(&request, &console.side).and_then(|text| Token::parse(&text)) {
        let hash = token.hash();
        let ended = console.database.write(move |connection| console_session::end(connection, &hash)).await;
        ended.map_err(|error: DbError| Failed::database(&request, &error))?;
    }
    let mut reply: HttpResponse = go_to("/console/sign-in")?;
    let cookie = cookie::forget(&console.side);
    reply.add_cookie(&cookie).map_err(|error| Failed::internal(&request, error))?;
    Ok(reply)
}

/// Why there is no session.
#[derive(Debug, Clone, Copy)]
enum Refused {
    TooMany(TooMany),
    Key(NotACaller),
    NoConsole,
    NotFromHere,
}

/// Gives the new session's token.
async fn let_in(
    request: &HttpRequest,
    console: &Console,
    key: &SecretString,
) -> Result<Result<SecretString, Refused>, Failed> {
    let (from, now) = (address(request, &console.side), console.clock.now());
    if let Err(too_many) = console.throttles.sign_in(from) {
        return Ok(Err(Refused::TooMany(too_many)));
    }
    let caller = match console.keyring.verify(key.expose_secret().trim()).await {
        Ok(caller) => caller,
        // It was logged where it failed.
        Err(NotACaller::Unavailable) => return Err(Failed::new(request, Problem::Unavailable)),
        Err(not_a_caller) => return Ok(Err(Refused::Key(not_a_caller))),
    };
    let Caller { key, console: sees, .. } = caller;
    if sees == key::Console::None {
        return Ok(Err(Refused::NoConsole));
    }
    if !caller.may_call_from(from) {
        let address = from.map(tracing::field::display);
        tracing::info!(%key, address, "a key was used for signing in from an address that it does not allow");
        return Ok(Err(Refused::NotFromHere));
    }
    let token = Token::generate().map_err(|error| Failed::internal(request, error))?;
    let hash = token.hash();
    // Whoever signs in anew in the same browser leaves the session before.
    let before = cookie::token(request, &console.side).and_then(|text| Token::parse(&text)).map(|token| token.hash());
    let begun = console.database.write(move |connection| {
        if let Some(before) = before {
            console_session::end(connection, &before)?;
        }
        console_session::begin(connection, key, &hash, from, now)
    });
    begun.await.map_err(|error: DbError| Failed::database(request, &error))?;
    Ok(Ok(token.to_text()))
}

impl Refused {
    const fn status(self) -> StatusCode {
        match self {
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Key(NotACaller::Barred(Barred::TenantSuspended)) | Self::NoConsole | Self::NotFromHere => {
                StatusCode::FORBIDDEN
            }
            Self::Key(_) => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }

    fn words(self, page: &Page) -> String {
        let text = match self {
            Self::TooMany(TooMany { retry_after_s }) => {
                let english = format!("There were too many attempts from your address. Try again in {retry_after_s} s.");
                let chinese = format!("您的地址尝试次数过多，请在 {retry_after_s} 秒后重试。");
                return page.say(&english, &chinese).to_owned();
            }
            Self::Key(NotACaller::Malformed(InvalidKey::Length)) => page.say(
                "This is not a Secret Key: copy it whole, without spaces or quotation marks.",
                "这不是有效的密钥：请完整复制，不要带空格或引号。",
            ),
            Self::Key(NotACaller::Malformed(_)) => page.say(
                "This Secret Key was not issued here, or a character of it was changed. Copy it again.",
                "该密钥不是由本服务签发的，或其中有字符被改动。请重新复制。",
            ),
            Self::Key(NotACaller::Barred(Barred::Revoked)) => {
                page.say("This Secret Key was revoked. Ask for a new one.", "该密钥已被吊销，请申请新的密钥。")
            }
            Self::Key(NotACaller::Barred(Barred::Expired)) => {
                page.say("This Secret Key has expired. Ask for a new one.", "该密钥已过期，请申请新的密钥。")
            }
            Self::Key(NotACaller::Barred(Barred::TenantSuspended)) => page.say(
                "This account is suspended. Please ask the operator of the service.",
                "该账户已被暂停，请联系服务运营方。",
            ),
            Self::Key(NotACaller::Unknown | NotACaller::Unavailable) => page.say(
                "This Secret Key is not known. Check that it was copied whole.",
                "未找到该密钥，请确认已完整复制。",
            ),
            Self::NoConsole => page.say(
                "This Secret Key was issued without the console: it works for calls, but nobody can sign in with it. Use another key, or ask the operator of the service for one.",
                "该密钥签发时未开放控制台：可以用于调用，但不能用来登录。请使用其他密钥，或向服务运营方申请。",
            ),
            Self::NotFromHere => page.say(
                "This Secret Key may not be used from your address. Sign in from one of the networks that it was issued for.",
                "该密钥不允许从您当前的地址使用，请从签发时允许的网络登录。",
            ),
        };
        text.to_owned()
    }
}

/// `next`, if it leads to a page of the console that is not about signing in; else nothing.
fn own_page(next: &str) -> &str {
    let below = own_path(next).and_then(|path| path.strip_prefix("/console"));
    let is_page = |below: &str| below.is_empty() || below.starts_with(['/', '?']) && !below.starts_with("/sign-");
    if below.is_some_and(is_page) { next } else { "" }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::own_page;

    #[rstest]
    #[case("/console", true)]
    #[case("/console?lang=zh", true)]
    #[case("/console/calls?before=7&model=a%26b", true)]
    #[case("", false)]
    #[case("/", false)]
    #[case("/consoles", false)]
    #[case("//evil.org/console", false)]
    #[case("https://evil.org/console", false)]
    #[case("/console\\evil", false)]
    #[case("/console/\r\nset-cookie: a=b", false)]
    #[case("/console/sign-in", false)]
    #[case("/console/sign-out", false)]
    #[case("?", false)]
    fn leads_nowhere_else(#[case] next: &str, #[case] is_own: bool) {
        assert_eq!(own_page(next), if is_own { next } else { "" });
    }
}
