//! Where a request comes from: the peer of its connection, or, behind proxies that are trusted, the client that they name.

use std::net::{IpAddr, SocketAddr};

use crate::config::Cidr;

/// Reads the lines of `X-Forwarded-For` from their right end, where each proxy has written whom it was called by, for as long as the one
/// who wrote is trusted. What clients write stands left of that and is never reached. Where an entry is no address the walk stops, since
/// nobody knows who wrote what is left of it: the last address that was reached counts.
pub fn behind_proxies<'a>(peer: IpAddr, lines: impl Iterator<Item = &'a [u8]>, trusted: &[Cidr]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    // Several headers are one, in their order.
    let lines: Vec<&[u8]> = lines.collect();
    let entries = lines.iter().rev().flat_map(|line| line.rsplit(|byte| *byte == b','));
    let mut entries = entries.map(<[u8]>::trim_ascii).filter(|entry| !entry.is_empty());
    let mut address = peer.to_canonical();
    while is_trusted(address) {
        let Some(next) = entries.next().and_then(read) else { break };
        address = next;
    }
    address
}

/// An address, perhaps with a port; some proxies put IPv6 into brackets. An IPv4 address that is written as IPv6 is IPv4.
fn read(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?;
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| text.parse().ok().map(|with_port: SocketAddr| with_port.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// Trusted are 10.0.0.0/8 and fd00::/8.
    #[rstest]
    #[case::no_proxy("203.0.113.9", &[], "203.0.113.9")]
    #[case::an_untrusted_peer_is_not_believed("203.0.113.9", &["198.51.100.1"], "203.0.113.9")]
    #[case::one_proxy("10.0.0.1", &["198.51.100.1"], "198.51.100.1")]
    #[case::a_proxy_without_the_header("10.0.0.1", &[], "10.0.0.1")]
    #[case::an_empty_header("10.0.0.1", &[""], "10.0.0.1")]
    #[case::what_the_client_wrote_is_not_reached("10.0.0.1", &["192.0.2.7, 198.51.100.1"], "198.51.100.1")]
    #[case::a_client_that_claims_to_be_a_proxy("10.0.0.1", &["10.0.0.9, 198.51.100.1"], "198.51.100.1")]
    #[case::two_proxies("10.0.0.1", &["192.0.2.7, 198.51.100.1, 10.2.3.4"], "198.51.100.1")]
    #[case::all_are_proxies("10.0.0.1", &["10.0.0.3,10.0.0.2"], "10.0.0.3")]
    #[case::several_headers_are_one("10.0.0.1", &["192.0.2.7", "198.51.100.1", "10.2.3.4"], "198.51.100.1")]
    #[case::spaces_and_gaps("10.0.0.1", &[" 198.51.100.1 ,, 10.2.3.4 , "], "198.51.100.1")]
    #[case::a_word_stops_the_walk("10.0.0.1", &["198.51.100.1, unknown"], "10.0.0.1")]
    #[case::a_word_behind_a_proxy("10.0.0.1", &["198.51.100.1, _hidden, 10.2.3.4"], "10.2.3.4")]
    #[case::bytes_that_are_no_text("10.0.0.1", &["198.51.100.1, \u{e9}"], "10.0.0.1")]
    #[case::a_network_is_no_address("10.0.0.1", &["198.51.100.0/24"], "10.0.0.1")]
    #[case::a_port("10.0.0.1", &["198.51.100.1:4711"], "198.51.100.1")]
    #[case::a_bad_port("10.0.0.1", &["198.51.100.1:99999"], "10.0.0.1")]
    #[case::ipv6("fd00::1", &["2001:db8::7"], "2001:db8::7")]
    #[case::ipv6_in_brackets("fd00::1", &["[2001:db8::7]"], "2001:db8::7")]
    #[case::ipv6_with_a_port("fd00::1", &["[2001:db8::7]:4711"], "2001:db8::7")]
    #[case::a_mapped_peer_is_ipv4("::ffff:10.0.0.1", &["198.51.100.1"], "198.51.100.1")]
    #[case::a_mapped_peer_alone("::ffff:203.0.113.9", &[], "203.0.113.9")]
    #[case::a_mapped_entry_is_ipv4("10.0.0.1", &["198.51.100.1, ::ffff:10.2.3.4"], "198.51.100.1")]
    #[case::a_mapped_client_is_ipv4("10.0.0.1", &["::ffff:198.51.100.1"], "198.51.100.1")]
    fn who_calls(#[case] peer: IpAddr, #[case] lines: &[&str], #[case] expected: IpAddr) {
        let trusted: Vec<Cidr> = ["10.0.0.0/8", "fd00::/8"].iter().map(|network| network.parse().unwrap()).collect();
        let lines = || lines.iter().map(|line| line.as_bytes());
        assert_eq!(behind_proxies(peer, lines(), &trusted), expected);
        assert_eq!(behind_proxies(peer, lines(), &[]), peer.to_canonical(), "nobody is trusted");
    }
}
