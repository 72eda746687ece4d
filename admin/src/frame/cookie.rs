//! The cookie of a session. It is never readable by a script and never sent from another site's page.

use actix_web::HttpRequest;
use actix_web::cookie::{Cookie, SameSite};

use super::side::Side;

/// The token that the browser presents, if any.
pub(crate) fn token(request: &HttpRequest, side: &Side) -> Option<String> {
    // A name may come twice, from another path or a parent domain: which is which nobody can tell, so none counts.
    let cookies = request.cookies().ok()?;
    let mut own = cookies.iter().filter(|cookie| cookie.name() == side.cookie);
    let token = own.next()?.value().to_owned();
    (own.next().is_none() && !token.is_empty()).then_some(token)
}

/// The cookie that keeps `token` until the browser is closed; the server ends the session before that.
pub(crate) fn keep(side: &Side, token: String) -> Cookie<'static> {
    Cookie::build(side.cookie, token)
        .path(path(side))
        .http_only(true)
        .same_site(SameSite::Strict)
        .secure(side.is_secure())
        .finish()
}

/// The cookie that removes it.
pub(crate) fn forget(side: &Side) -> Cookie<'static> {
    let mut cookie = keep(side, String::new());
    cookie.make_removal();
    cookie
}

/// Which paths a side's cookies are sent to: its own only.
pub(crate) fn path(side: &Side) -> &'static str {
    if side.root.is_empty() { "/" } else { side.root }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;
    use crate::frame::side::tests::side;

    #[test]
    fn has_every_protection() {
        let cookie = keep(&side("https://panel.example.com"), "t".to_owned()).to_string();
        assert_eq!(cookie, "xiaoyi_panel=t; HttpOnly; SameSite=Strict; Secure; Path=/");
        let local = keep(&side("http://127.0.0.1:8081"), "t".to_owned()).to_string();
        assert_eq!(local, "xiaoyi_panel=t; HttpOnly; SameSite=Strict; Path=/");
    }

    #[test]
    fn of_two_none_counts() {
        let side = side("http://127.0.0.1");
        let presented = |text: &str| {
            let request = TestRequest::default().insert_header(("cookie", text.to_owned())).to_http_request();
            token(&request, &side)
        };
        assert_eq!(presented("a=1; xiaoyi_panel=t"), Some("t".to_owned()));
        assert_eq!(presented("xiaoyi_panel=t; xiaoyi_panel=u"), None);
        assert_eq!(presented("xiaoyi_panel="), None);
        assert_eq!(presented("xiaoyi_console=t"), None);
    }
}
