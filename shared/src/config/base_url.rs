//! The beginning of other URLs, such as `https://api.example.com/v1`.

use std::fmt;
use std::str::FromStr;

use url::Url;

/// An `http` or `https` URL to which paths are appended. It never ends in a slash, so
/// `format!("{base}/models")` is right, and it holds no password, so it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(String);

/// The text is no such URL. It does not hold the text, which may contain a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotABaseUrl {
    /// No URL, or one of another scheme.
    #[error("must be a URL that begins with http:// or https://")]
    Scheme,
    /// A user name or a password before the host.
    #[error("must not hold a user name or a password")]
    Credentials,
    /// `?` or `#`, behind which nothing can be appended.
    #[error("must end before any ? or #")]
    Tail,
}

impl BaseUrl {
    /// The URL, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BaseUrl {
    type Err = NotABaseUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text).map_err(|_| NotABaseUrl::Scheme)?;
        // The text itself is looked at too: the parser would also take `http:host` and `http:\\host`.
        let begins_right = ["http://", "https://"]
            .iter()
            .any(|scheme| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)));
        if !begins_right {
            return Err(NotABaseUrl::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(NotABaseUrl::Credentials);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(NotABaseUrl::Tail);
        }
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("https://api.openai.com/v1", "https://api.openai.com/v1")]
    #[case("https://api.openai.com/v1/", "https://api.openai.com/v1")]
    #[case("http://127.0.0.1:8080", "http://127.0.0.1:8080")]
    #[case("HTTPS://Example.COM", "https://example.com")]
    fn reads(#[case] text: BaseUrl, #[case] expected: &str) {
        assert_eq!(text.as_str(), expected);
    }

    #[rstest]
    #[case("", NotABaseUrl::Scheme)]
    #[case("example.com", NotABaseUrl::Scheme)]
    #[case("http:example.com", NotABaseUrl::Scheme)]
    #[case("http://", NotABaseUrl::Scheme)]
    #[case("ftp://example.com", NotABaseUrl::Scheme)]
    #[case("https://user:hunter2@example.com", NotABaseUrl::Credentials)]
    #[case("https://user@example.com", NotABaseUrl::Credentials)]
    #[case("https://example.com/?a=b", NotABaseUrl::Tail)]
    #[case("https://example.com/#a", NotABaseUrl::Tail)]
    fn refuses(#[case] text: &str, #[case] expected: NotABaseUrl) {
        assert_eq!(text.parse::<BaseUrl>(), Err(expected));
    }
}
