//! The two sides: the operators' panel and the developers' console. Each has its own root, cookie and address.

use std::net::IpAddr;

use chrono_tz::Tz;
use shared::config::Cidr;

/// What the pages of one side have in common.
#[derive(Debug)]
pub(crate) struct Side {
    /// What every path begins with: nothing for the panel, `/console` for the console.
    pub(crate) root: &'static str,
    /// The name of its session cookie.
    pub(crate) cookie: &'static str,
    /// How it is reached, without the root: `https://panel.example.com`.
    pub(crate) url: String,
    /// The zone in which times are shown.
    pub(crate) zone: Tz,
    /// The currency's letters.
    pub(crate) currency: String,
    /// Only from these is `X-Forwarded-For` read.
    pub(crate) trusted: Vec<Cidr>,
}

impl Side {
    /// Whether its cookies are for encrypted connections only: everywhere but on this machine itself.
    pub(crate) fn is_secure(&self) -> bool {
        !self.url.starts_with("http://") || !is_loopback(authority(&self.url))
    }

    /// Whether a page of this side could have sent `origin` (an `Origin` header): it is the side's own URL, or where the request went to.
    pub(crate) fn is_own(&self, origin: &str, host: Option<&str>) -> bool {
        let Some((_, asked)) = origin.split_once("://") else { return false };
        asked == authority(&self.url) || host.is_some_and(|host| host == asked)
    }
}

/// `panel.example.com:8443` of `https://panel.example.com:8443/path`.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => authority.split(':').next().unwrap_or(authority),
    };
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
pub(crate) mod tests {
    use rstest::rstest;

    use super::*;

    pub(crate) fn side(url: &str) -> Side {
        Side {
            root: "",
            cookie: "xiaoyi_panel",
            url: url.to_owned(),
            zone: chrono_tz::Asia::Shanghai,
            currency: "CNY".to_owned(),
            trusted: Vec::new(),
        }
    }

    #[rstest]
    #[case("http://127.0.0.1:8081", false)]
    #[case("http://[::1]:8081", false)]
    #[case("http://localhost", false)]
    #[case("http://localhost.example.com", true)]
    #[case("http://10.0.0.5:8081", true)]
    #[case("https://127.0.0.1", true)]
    fn cookies_are_for_encrypted_connections_but_on_this_machine(#[case] url: &str, #[case] expected: bool) {
        assert_eq!(side(url).is_secure(), expected);
    }

    #[rstest]
    #[case("https://panel.example.com", Some("internal:8081"), true)]
    #[case("http://internal:8081", Some("internal:8081"), true)]
    #[case("https://panel.example.com.evil.org", Some("internal:8081"), false)]
    #[case("https://evil.org", None, false)]
    #[case("null", Some("null"), false)]
    fn knows_its_own_origin(#[case] origin: &str, #[case] host: Option<&str>, #[case] expected: bool) {
        assert_eq!(side("https://panel.example.com/").is_own(origin, host), expected);
    }
}
