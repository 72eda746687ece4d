//! Where a channel may lead: any http or https address but a link-local one. There the metadata services of clouds
//! live, which hand the machine's credentials to whoever asks. Loopback and private addresses are fine: models run there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// Reads the base URL of a channel to a provider, such as `https://api.openai.com/v1`, and says whether calls may go there.
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
    #[error("the base URL must not carry a user name or password; the provider's key is given apart from it")]
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

/// Whether the address is link-local, also inside an IPv6 address that carries one.
pub fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => {
            address.is_unicast_link_local() || carried_v4(address).is_some_and(|carried| carried.is_link_local())
        }
    }
}

/// The IPv4 address inside a mapped (`::ffff:0:0/96`), compatible (`::/96`) or NAT64 (`64:ff9b::/96`) one.
fn carried_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let [first, second] = high.to_be_bytes();
            let [third, fourth] = low.to_be_bytes();
            Some(Ipv4Addr::new(first, second, third, fourth))
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
        "the base URL must not carry a user name or password; the provider's key is given apart from it"
    )]
    #[case::user(
        "https://me@example.com",
        "the base URL must not carry a user name or password; the provider's key is given apart from it"
    )]
    #[case::fragment("https://example.com/#v1", "the base URL must not have a part after #")]
    fn refused(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(check_base_url(text).unwrap_err().to_string(), expected);
    }
}
