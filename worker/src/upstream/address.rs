//! Where a channel may lead: any http or https address but a link-local one. There the metadata services of clouds
//! live, which hand the machine's credentials to whoever asks. Loopback and private addresses are fine: models run there.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Reads a channel's base URL, such as `https://api.openai.com/v1`, and says whether calls may go there.
///
/// # Errors
/// [`AddressError`], in words for the person who typed it; a password in the URL is not repeated.
pub fn check_base_url(text: &str) -> Result<Url, AddressError> {
    let url = Url::parse(text)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(AddressError::Scheme { scheme: url.scheme().to_owned() });
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(AddressError::Credentials);
    }
    if url.fragment().is_some() {
        return Err(AddressError::Fragment);
    }
    let address = match url.host() {
        Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        Some(Host::Domain(_)) | None => None,
    };
    match address {
        Some(address) if is_link_local(address) => Err(AddressError::LinkLocal { address }),
        _ => Ok(url),
    }
}

/// Why a base URL is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It cannot be read.
    #[error("the base URL cannot be read ({0}); give one such as https://api.openai.com/v1")]
    Unreadable(#[from] url::ParseError),
    /// It is neither http nor https.
    #[error("the base URL must begin with http:// or https://, not {scheme}:")]
    Scheme {
        /// What it begins with.
        scheme: String,
    },
    /// It carries a user name or a password.
    #[error("the base URL must not carry a user name or password; give the key with --api-key-env or --api-key-stdin")]
    Credentials,
    /// It has a `#`.
    #[error("the base URL must not have a part after #")]
    Fragment,
    /// Its address is link-local.
    #[error("the base URL leads to {address}; link-local addresses are always refused")]
    LinkLocal {
        /// The address.
        address: IpAddr,
    },
}

/// The machine's resolver, without link-local results: a name cannot lead where an address may not.
#[derive(Debug, Clone, Copy)]
pub(super) struct WithoutLinkLocal;

impl Resolve for WithoutLinkLocal {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // Port 0 stands for the URL's.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Addrs = Box::new(without_link_local(found)?.into_iter());
            Ok(allowed)
        })
    }
}

fn without_link_local(found: impl Iterator<Item = SocketAddr>) -> io::Result<Vec<SocketAddr>> {
    let (refused, allowed): (Vec<_>, Vec<_>) = found.partition(|address| is_link_local(address.ip()));
    if allowed.is_empty() && !refused.is_empty() {
        return Err(io::Error::other("the name leads to link-local addresses only, which are always refused"));
    }
    Ok(allowed)
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => {
            address.is_unicast_link_local() || carried_v4(address).is_some_and(|carried| carried.is_link_local())
        }
    }
}

/// The IPv4 address inside a mapped (`::ffff:0:0/96`), compatible (`::/96`) or NAT64 (`64:ff9b::/96`) one.
fn carried_v4(address: Ipv6Addr) -> Option<std::net::Ipv4Addr> {
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let [first, second] = high.to_be_bytes();
            let [third, fourth] = low.to_be_bytes();
            Some(std::net::Ipv4Addr::new(first, second, third, fourth))
        }
        _ => address.to_ipv4(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::openai("https://api.openai.com/v1")]
    #[case::loopback("http://127.0.0.1:11434/v1")]
    #[case::loopback_v6("http://[::1]:8000")]
    #[case::localhost("http://localhost:8000/")]
    #[case::private("http://192.168.1.20/v1")]
    #[case::with_query("https://example.com/openai?api-version=1")]
    #[case::beside_the_range("http://169.253.255.255")]
    #[case::mapped_private("http://[::ffff:10.0.0.1]/")]
    fn allowed(#[case] text: &str) {
        assert!(check_base_url(text).is_ok(), "{:?}", check_base_url(text));
    }

    #[rstest]
    #[case::metadata("http://169.254.169.254/latest")]
    #[case::first("http://169.254.0.0")]
    #[case::last("http://169.254.255.255")]
    #[case::as_one_number("http://2852039166/")]
    #[case::in_hexadecimal("http://0xa9fea9fe/")]
    #[case::with_a_dot_behind("http://169.254.169.254./")]
    #[case::wide_digits("http://１６９.254.169.254/")]
    #[case::v6("http://[fe80::1]/")]
    #[case::v6_last("http://[febf:ffff::1]/")]
    #[case::mapped("http://[::ffff:169.254.169.254]/")]
    #[case::mapped_in_hexadecimal("http://[::ffff:a9fe:a9fe]/")]
    #[case::compatible("http://[::169.254.169.254]/")]
    #[case::nat64("http://[64:ff9b::169.254.169.254]/")]
    fn link_local(#[case] text: &str) {
        assert!(matches!(check_base_url(text), Err(AddressError::LinkLocal { .. })), "{:?}", check_base_url(text));
    }

    #[rstest]
    #[case::relative(
        "/v1",
        "the base URL cannot be read (relative URL without a base); give one such as https://api.openai.com/v1"
    )]
    #[case::no_host("http://", "the base URL cannot be read (empty host); give one such as https://api.openai.com/v1")]
    #[case::file("file:///etc/passwd", "the base URL must begin with http:// or https://, not file:")]
    #[case::forgotten_scheme("localhost:8000", "the base URL must begin with http:// or https://, not localhost:")]
    #[case::password(
        "https://me:secret@example.com",
        "the base URL must not carry a user name or password; give the key with --api-key-env or --api-key-stdin"
    )]
    #[case::user(
        "https://me@example.com",
        "the base URL must not carry a user name or password; give the key with --api-key-env or --api-key-stdin"
    )]
    #[case::fragment("https://example.com/#v1", "the base URL must not have a part after #")]
    fn refused(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(check_base_url(text).unwrap_err().to_string(), expected);
    }

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn a_name_leads_to_its_other_addresses_only() {
        let found = addresses(&["169.254.169.254:0", "10.0.0.1:0", "[fe80::1]:0", "[::ffff:169.254.1.1]:0"]);
        assert_eq!(without_link_local(found.into_iter()).unwrap(), addresses(&["10.0.0.1:0"]));
        let found = addresses(&["169.254.169.254:0"]);
        assert!(without_link_local(found.into_iter()).unwrap_err().to_string().contains("link-local"));
    }

    #[tokio::test]
    async fn the_machine_is_asked() {
        let found = WithoutLinkLocal.resolve("localhost".parse().unwrap()).await.unwrap();
        assert!(found.into_iter().all(|address| address.ip().is_loopback()));
    }
}
