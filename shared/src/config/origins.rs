//! Which pages of other sites may call the API from a browser.

use std::fmt;

use serde::Deserializer;
use serde::de::Error as _;
use url::Url;

use super::value::{Setting, list};

/// Origins, such as `https://chat.example.com`, that a browser is told may read replies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// Those of every site.
    Any,
    /// These, perhaps none. Each is written as browsers write it.
    Some(Vec<String>),
}

impl Origins {
    /// Whether a page of this origin is among them, as a browser's header `Origin` names it.
    pub fn allow(&self, origin: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Some(origins) => origins.iter().any(|each| each == origin),
        }
    }
}

impl fmt::Display for Origins {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => formatter.write_str(ANY),
            Self::Some(origins) => formatter.write_str(&origins.join(",")),
        }
    }
}

const ANY: &str = "*";

/// One entry of the list.
struct Entry(String);

impl Setting for Entry {
    fn from_text(text: &str) -> Result<Self, String> {
        if text == ANY {
            return Ok(Self(ANY.to_owned()));
        }
        origin(text).map(Self).ok_or_else(|| {
            format!("must be origins such as https://chat.example.com with commas between, or *; {text:?} is none")
        })
    }
}

/// The origin as browsers write it: in small letters, without the port that its scheme has anyway.
fn origin(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let host = url.host_str().filter(|host| !host.is_empty() && !host.contains('*'))?;
    let is_bare = url.username().is_empty() && url.password().is_none() && matches!(url.path(), "" | "/");
    if !is_bare || url.query().is_some() || url.fragment().is_some() || !text.contains("://") {
        return None;
    }
    // Also of apps that are pages in a window of their own: tauri://localhost, chrome-extension://...
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    Some(format!("{}://{host}{port}", url.scheme()))
}

pub(super) fn origins<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Origins, D::Error> {
    let origins: Vec<String> = list(deserializer)?.into_iter().map(|Entry(origin)| origin).collect();
    match origins.iter().any(|origin| origin == ANY) {
        false => Ok(Origins::Some(origins)),
        true if origins.len() == 1 => Ok(Origins::Any),
        true => Err(D::Error::custom("must be either * alone, which is every site, or a list of origins")),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("https://chat.example.com", "https://chat.example.com")]
    #[case("HTTPS://Chat.Example.COM/", "https://chat.example.com")]
    #[case("https://chat.example.com:443", "https://chat.example.com")]
    #[case("http://localhost:3000", "http://localhost:3000")]
    #[case("http://[::1]:3000", "http://[::1]:3000")]
    #[case("https://bücher.example", "https://xn--bcher-kva.example")]
    #[case("tauri://localhost", "tauri://localhost")]
    #[case("chrome-extension://abcdefghijklmnop", "chrome-extension://abcdefghijklmnop")]
    #[case("*", "*")]
    fn reads(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(Entry::from_text(text).map(|Entry(origin)| origin), Ok(expected.to_owned()));
    }

    #[rstest]
    #[case("chat.example.com")]
    #[case("https:chat.example.com")]
    #[case("https://chat.example.com/page")]
    #[case("https://chat.example.com/?a=b")]
    #[case("https://chat.example.com#a")]
    #[case("https://user@chat.example.com")]
    #[case("https://*.example.com")]
    #[case("null")]
    #[case("file:///page")]
    #[case("mailto:ann@example.com")]
    fn refuses(#[case] text: &str) {
        assert!(Entry::from_text(text).is_err(), "{text}");
    }

    #[test]
    fn only_what_is_listed_is_allowed() {
        let some = Origins::Some(vec!["https://chat.example.com".to_owned()]);
        assert!(some.allow("https://chat.example.com"));
        for other in ["http://chat.example.com", "https://chat.example.com:8443", "https://example.com", "null", ""] {
            assert!(!some.allow(other), "{other}");
            assert!(Origins::Any.allow(other));
        }
        assert!(!Origins::Some(Vec::new()).allow("https://chat.example.com"));
    }
}
