//! The machine's resolver for calls to providers, without link-local results: a name cannot lead where an address may not
//! (see [`shared::catalogue::address`]).

use std::io;
use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use shared::catalogue::address::is_link_local;

/// The machine's resolver, without link-local results.
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

#[cfg(test)]
mod tests {
    use super::*;

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
