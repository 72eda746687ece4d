//! A page that could not be shown, or a change that was not made: what happened, what it means for money, and what to do.

use std::fmt;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{LOCATION, RETRY_AFTER};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, ResponseError};
use askama::Template;
use shared::db::DbError;
use shared::plain_path::plain_path;
use shared::secret_key::without_keys;

use super::assets;
use super::guard::{Visit, is_safe};
use super::language::Language;
use super::looks::Looks;
use super::paging::{asked, query};
use super::side::Side;

/// Why there is no page.
#[derive(Debug, Clone)]
pub(crate) enum Problem {
    /// The page has no such method.
    NotThatWay,
    /// There is no such thing.
    NotFound,
    /// Nobody is signed in: a page asks to sign in first.
    SignedOut,
    /// The Secret Key that the session belonged to is revoked (or, if not, has expired).
    KeyEnded { is_revoked: bool },
    /// The tenant is suspended.
    Suspended,
    /// The session's Secret Key may not be used from this address.
    NotFromHere,
    /// The person's role lacks the right.
    Forbidden,
    /// The request came from another site's page.
    Foreign,
    /// The form lacks its token, or has another session's.
    NoToken,
    /// The form cannot be read.
    Unreadable(String),
    /// A form that no page of ours sends, such as a value that is not among the choices: in English and Chinese.
    Wrong(String, String),
    /// It was tried too often.
    TooMany {
        /// In so many seconds it may be tried again.
        retry_after_s: u64,
    },
    /// The database, or another part, does not answer.
    Unavailable,
    /// A fault of ours.
    Internal,
}

/// A [`Problem`] with what its page needs.
#[derive(Debug, Clone)]
pub(crate) struct Failed {
    problem: Problem,
    looks: Looks,
    root: &'static str,
    /// Where to go after signing in.
    back: Option<String>,
    request_id: String,
}

/// The result of a handler.
pub(crate) type Handled = Result<HttpResponse, Failed>;

impl Failed {
    /// A failure of `request`.
    pub(crate) fn new(request: &HttpRequest, problem: Problem) -> Self {
        // Before the extensions are borrowed: cookies that were read are kept there.
        let looks = Looks::of(request);
        let extensions = request.extensions();
        let request_id = extensions.get::<Visit>().map(|visit| visit.0.to_string()).unwrap_or_default();
        let root = extensions.get::<Arc<Side>>().map_or("", |side| side.root);
        let is_page = is_safe(request.method()) && request.headers().get("hx-request").is_none();
        let back = is_page.then(|| address(request));
        Self { problem, looks, root, back, request_id }
    }

    /// A form that no page of ours has sent, or that one has sent too long ago.
    pub(crate) fn out_of_date(request: &HttpRequest) -> Self {
        let (english, chinese) = ("This form is out of date. Open it again.", "该表单已失效，请重新打开。");
        Self::new(request, Problem::Wrong(english.to_owned(), chinese.to_owned()))
    }

    /// A failure of the database, which is logged here, once.
    pub(crate) fn database(request: &HttpRequest, error: &DbError) -> Self {
        let failed = Self::new(request, if is_fault(error) { Problem::Internal } else { Problem::Unavailable });
        tracing::error!(request_id = failed.request_id, %error, "a page could not ask the database");
        failed
    }

    /// A fault of ours, which is logged here, once.
    pub(crate) fn internal(request: &HttpRequest, error: impl fmt::Display) -> Self {
        let failed = Self::new(request, Problem::Internal);
        tracing::error!(request_id = failed.request_id, %error, "a page failed");
        failed
    }

    /// The request's id, as its reply carries it.
    pub(crate) fn request_id(&self) -> &str {
        &self.request_id
    }

    /// Whether its page can be shown as its person wants, should that not be known yet: not where the database has just failed, and not to
    /// who must sign in.
    pub(crate) const fn may_ask_for_looks(&self) -> bool {
        !matches!(
            self.problem,
            Problem::SignedOut | Problem::KeyEnded { .. } | Problem::Unavailable | Problem::Internal
        )
    }

    /// The same with other looks.
    pub(crate) fn with_looks(self, looks: Looks) -> Self {
        Self { looks, ..self }
    }

    /// The reply.
    pub(crate) fn response(&self) -> HttpResponse {
        let ended = match &self.problem {
            Problem::SignedOut => Some(""),
            Problem::KeyEnded { is_revoked: true } => Some("revoked"),
            Problem::KeyEnded { is_revoked: false } => Some("expired"),
            _ => None,
        };
        if let (Some(ended), Some(back)) = (ended, &self.back) {
            let location = format!("{}/sign-in?{}", self.root, query(&[("next", back), ("ended", ended)]));
            return HttpResponse::SeeOther().insert_header((LOCATION, location)).finish();
        }
        let status = self.status_code();
        let (title, what, money, todo) = self.words();
        let page = FailurePage {
            language: self.looks.language,
            theme: self.looks.colours(),
            icon: assets::path(self.root, "icon.svg"),
            style: assets::path(self.root, "style.css"),
            home: if self.root.is_empty() { "/" } else { self.root },
            title,
            what,
            money,
            todo,
            request_id: &self.request_id,
        };
        let mut response = HttpResponse::build(status);
        match self.problem {
            Problem::TooMany { retry_after_s } => response.insert_header((RETRY_AFTER, retry_after_s.to_string())),
            Problem::Unavailable => response.insert_header((RETRY_AFTER, "5")),
            _ => &mut response,
        };
        match page.render() {
            Ok(html) => response.content_type("text/html; charset=utf-8").body(html),
            Err(_) => response.body("error"),
        }
    }

    /// Title, what happened, what it means for money, what to do.
    fn words(&self) -> (&str, String, &str, &str) {
        let say = |english, chinese| self.looks.language.say(english, chinese);
        let nothing = say("Nothing was changed, and no money was moved.", "没有任何更改，也没有资金变动。");
        let (title, what, todo) = match &self.problem {
            Problem::NotFound => (
                say("Not found", "未找到"),
                say("There is nothing at this address.", "该地址没有内容。"),
                say("Check the address, or begin at the start page.", "请检查地址，或从首页开始。"),
            ),
            Problem::NotThatWay => (
                say("Not possible", "无法执行"),
                say("This address cannot be used in this way.", "不能以这种方式访问该地址。"),
                say("Open the page and use its forms.", "请打开页面并使用其中的表单。"),
            ),
            Problem::SignedOut => (
                say("Signed out", "已退出登录"),
                say("Your session has ended.", "您的会话已结束。"),
                say("Sign in and send the form again.", "请重新登录后再次提交。"),
            ),
            Problem::KeyEnded { is_revoked } => (
                say("Session ended", "会话已结束"),
                if *is_revoked {
                    say("The Secret Key of this session was revoked.", "该会话所用的密钥已被吊销。")
                } else {
                    say("The Secret Key of this session has expired.", "该会话所用的密钥已过期。")
                },
                say("Sign in with another key.", "请使用其他密钥登录。"),
            ),
            Problem::Suspended => (
                say("Account suspended", "账户已暂停"),
                say("This account is suspended, and its calls are refused.", "该账户已被暂停，其调用会被拒绝。"),
                say("Ask the operator of the service.", "请联系服务运营方。"),
            ),
            Problem::NotFromHere => (
                say("Not from this address", "不允许从此地址访问"),
                say("This Secret Key may not be used from your address.", "该密钥不允许从您当前的地址使用。"),
                say(
                    "Use one of the networks that it was issued for, or ask the operator of the service, who finds the address in the log under the request id.",
                    "请从签发时允许的网络访问，或联系服务运营方：可凭请求编号在日志中找到您的地址。",
                ),
            ),
            Problem::Forbidden => (
                say("Not allowed", "无权限"),
                say("Your role does not allow this.", "您的角色无权执行此操作。"),
                say("Ask an owner if you need it.", "如有需要，请联系所有者。"),
            ),
            Problem::Foreign => (
                say("Refused", "已拒绝"),
                say("This request came from a page of another site.", "该请求来自其他网站的页面。"),
                say("Open the page here and send the form again.", "请在本站打开页面后重新提交。"),
            ),
            Problem::NoToken => (
                say("Form out of date", "表单已过期"),
                say("This form belongs to another session.", "该表单属于另一个会话。"),
                say("Open the page again and send the form anew.", "请重新打开页面后再次提交。"),
            ),
            Problem::Unreadable(why) => {
                return (
                    say("Form not understood", "无法读取表单"),
                    why.clone(),
                    nothing,
                    say("Go back and try again.", "请返回后重试。"),
                );
            }
            Problem::Wrong(english, chinese) => {
                return (
                    say("Not possible", "无法执行"),
                    say(english, chinese).to_owned(),
                    nothing,
                    say("Go back and try again.", "请返回后重试。"),
                );
            }
            Problem::TooMany { retry_after_s } => {
                let minutes = retry_after_s.div_ceil(60);
                let what = match self.looks.language {
                    Language::English => format!("There were too many attempts. In {minutes} min there is one again."),
                    Language::Chinese => format!("尝试次数过多，{minutes} 分钟后可再次尝试。"),
                };
                let todo = say("Wait so long, then try again.", "请等待后重试。");
                return (say("Too many attempts", "尝试次数过多"), what, nothing, todo);
            }
            Problem::Unavailable => (
                say("Not available just now", "暂时不可用"),
                say("The service cannot reach its database.", "服务暂时无法访问数据库。"),
                say("Try again in a few seconds.", "请稍后重试。"),
            ),
            Problem::Internal => (
                say("Something went wrong", "出错了"),
                say("This is a fault of ours; its cause is in the log.", "这是我们的错误，原因已写入日志。"),
                say("Try again; if it stays, report the request id.", "请重试；如仍出现，请报告请求编号。"),
            ),
        };
        let money = match self.problem {
            // Of a change that broke off nobody here knows how far it came.
            Problem::Unavailable | Problem::Internal => say(
                "If you were moving money, look at the ledger before you try again: what is booked is shown there, and the same form is never booked twice.",
                "如果您正在进行资金操作，请先查看账本再重试：已入账的内容会显示在那里，同一表单不会重复入账。",
            ),
            _ => nothing,
        };
        (title, what.to_owned(), money, todo)
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}", self.problem)
    }
}

impl ResponseError for Failed {
    fn status_code(&self) -> StatusCode {
        match self.problem {
            Problem::NotFound => StatusCode::NOT_FOUND,
            Problem::NotThatWay => StatusCode::METHOD_NOT_ALLOWED,
            Problem::SignedOut | Problem::KeyEnded { .. } => StatusCode::UNAUTHORIZED,
            Problem::Forbidden | Problem::Foreign | Problem::NoToken | Problem::Suspended | Problem::NotFromHere => {
                StatusCode::FORBIDDEN
            }
            Problem::Unreadable(_) => StatusCode::BAD_REQUEST,
            Problem::Wrong(..) => StatusCode::UNPROCESSABLE_ENTITY,
            Problem::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            Problem::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Problem::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse {
        self.response()
    }
}

/// Path and query of a request, without what looks like a Secret Key.
fn address(request: &HttpRequest) -> String {
    let (path, query) = (without_keys(plain_path(request.path())), asked(request));
    if query.is_empty() { path } else { format!("{path}?{query}") }
}

/// Whether the failure is ours, and asking again is no use.
const fn is_fault(error: &DbError) -> bool {
    matches!(error, DbError::Query(_) | DbError::Corrupt(_))
}

#[derive(Template)]
#[template(path = "failure.html")]
struct FailurePage<'a> {
    language: Language,
    theme: &'a str,
    icon: String,
    style: String,
    home: &'a str,
    title: &'a str,
    what: String,
    money: &'a str,
    todo: &'a str,
    request_id: &'a str,
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn who_must_sign_in_comes_back_but_for_a_key() {
        let location = |uri: &str| {
            let response = Failed::new(&TestRequest::with_uri(uri).to_http_request(), Problem::SignedOut).response();
            response.headers().get(LOCATION).unwrap().to_str().unwrap().to_owned()
        };
        assert_eq!(location("/calls?model=a%26b"), "/sign-in?next=%2Fcalls%3Fmodel%3Da%2526b");
        assert_eq!(location("/calls/sk%2DxyAb9?a=sk-xyAb9"), "/sign-in?next=%2Fcalls%2Fsk-xy...%3Fa%3Dsk-xy...");
    }

    #[test]
    fn is_written_in_the_visitors_language_with_nothing_that_was_asked_for_before() {
        let request = TestRequest::with_uri("/nowhere").insert_header(("cookie", "xiaoyi_language=zh"));
        let failed = Failed::new(&request.to_http_request(), Problem::NotFound);
        assert_eq!((failed.looks.language, failed.status_code()), (Language::Chinese, StatusCode::NOT_FOUND));
    }
}
