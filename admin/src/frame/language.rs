//! In which language a page is written.

use actix_web::HttpRequest;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::header::ACCEPT_LANGUAGE;
use actix_web::web::Query;
use serde::Deserialize;

use super::cookie;
use super::side::Side;

/// It holds nothing but the tag of a language.
const COOKIE: &str = "xiaoyi_language";

/// A language of the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    English,
    Chinese,
}

#[derive(Deserialize)]
struct Asked {
    lang: Option<String>,
}

impl Language {
    /// What `?lang=` says, else what it said last (a cookie), else what the browser prefers, else English.
    pub(crate) fn of(request: &HttpRequest) -> Self {
        if let Some(language) = Self::asked(request.query_string()) {
            return language;
        }
        if let Some(language) = request.cookie(COOKIE).and_then(|cookie| Self::named(cookie.value())) {
            return language;
        }
        let accepted = request.headers().get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        accepted.and_then(Self::preferred).unwrap_or(Self::English)
    }

    /// What `?lang=` says, if it says anything.
    fn asked(query: &str) -> Option<Self> {
        let asked = Query::<Asked>::from_query(query).ok()?.into_inner().lang?;
        Self::named(&asked)
    }

    /// The cookie that keeps a choice made by `?lang=` for the pages after it.
    pub(crate) fn cookie(query: &str, side: &Side) -> Option<Cookie<'static>> {
        let language = Self::asked(query)?;
        let cookie = Cookie::build(COOKIE, language.tag()).path(cookie::path(side)).http_only(true);
        Some(cookie.same_site(SameSite::Lax).secure(side.is_secure()).finish())
    }

    /// The tag for HTML.
    pub(crate) const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh-CN",
        }
    }

    /// The text in this language.
    pub(crate) const fn say<'a>(self, english: &'a str, chinese: &'a str) -> &'a str {
        match self {
            Self::English => english,
            Self::Chinese => chinese,
        }
    }

    fn named(tag: &str) -> Option<Self> {
        match tag.split(['-', '_']).next()?.trim().to_ascii_lowercase().as_str() {
            "en" => Some(Self::English),
            "zh" => Some(Self::Chinese),
            _ => None,
        }
    }

    /// The known language of the highest weight; the first of equals.
    fn preferred(accepted: &str) -> Option<Self> {
        let mut best: Option<(u32, Self)> = None;
        for item in accepted.split(',').take(32) {
            let (tag, parameters) = item.split_once(';').unwrap_or((item, ""));
            let Some(language) = Self::named(tag.trim()) else { continue };
            let weight = weight(parameters);
            if weight > 0 && best.is_none_or(|(most, _)| weight > most) {
                best = Some((weight, language));
            }
        }
        best.map(|(_, language)| language)
    }
}

/// `q=0.8` in thousandths; 1000 when it is not given, 0 when it cannot be read.
fn weight(parameters: &str) -> u32 {
    let Some(text) = parameters.trim().strip_prefix("q=") else { return 1000 };
    let (whole, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let digits: String = fraction.chars().chain("000".chars()).take(3).collect();
    match (whole.parse::<u32>(), digits.parse::<u32>()) {
        (Ok(whole @ 0..=1), Ok(thousandths)) => (whole * 1000 + thousandths).min(1000),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use rstest::rstest;

    use super::*;
    use crate::frame::side::tests::side;

    #[rstest]
    #[case("/", None, Language::English)]
    #[case("/", Some("zh-CN,zh;q=0.9,en;q=0.8"), Language::Chinese)]
    #[case("/", Some("en-US,en;q=0.9,zh;q=0.8"), Language::English)]
    #[case("/", Some("fr,en;q=0.3,zh;q=0.30001"), Language::English)]
    #[case("/", Some("en;q=0,zh;q=0.1"), Language::Chinese)]
    #[case("/", Some("de"), Language::English)]
    #[case("/", Some("zh;q=x"), Language::English)]
    #[case("/?lang=zh", Some("en"), Language::Chinese)]
    #[case("/?lang=en", Some("zh"), Language::English)]
    #[case("/?lang=xx", Some("zh"), Language::Chinese)]
    fn chooses(#[case] uri: &str, #[case] accepted: Option<&str>, #[case] expected: Language) {
        let mut request = TestRequest::with_uri(uri);
        if let Some(accepted) = accepted {
            request = request.insert_header((ACCEPT_LANGUAGE, accepted));
        }
        assert_eq!(Language::of(&request.to_http_request()), expected);
    }

    #[test]
    fn a_choice_is_kept_for_the_pages_after_it() {
        let side = side("http://127.0.0.1:8081");
        let cookie = Language::cookie("lang=zh", &side).unwrap();
        let request =
            TestRequest::with_uri("/").cookie(cookie).insert_header((ACCEPT_LANGUAGE, "en")).to_http_request();
        assert_eq!(Language::of(&request), Language::Chinese);
        assert_eq!(Language::cookie("lang=xx", &side), None);
    }
}
