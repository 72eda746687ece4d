//! A range of network addresses, such as `10.0.0.0/8`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A network in CIDR notation. A single address is a network of one (`10.0.0.1` is `10.0.0.1/32`).
///
/// An IPv4 address that arrives as IPv6 (`::ffff:10.0.0.1`, as a listener on `[::]` reports it) is treated
/// as the IPv4 address that it is, in the network as well as in the address asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cidr {
    network: IpAddr,
    prefix: u32,
}

/// The text is neither an address nor a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no address such as 10.0.0.1 and no network such as 10.0.0.0/8 or fd00::/8")]
pub struct NotACidr {
    /// What was to be read.
    pub text: String,
}

impl Cidr {
    /// Whether `address` lies in this network. IPv4 addresses lie in IPv4 networks only: `::/0` is all of IPv6.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.network, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => masked_v4(address, self.prefix) == network,
            (IpAddr::V6(network), IpAddr::V6(address)) => masked_v6(address, self.prefix) == network,
            _ => false,
        }
    }

    /// The network of `prefix` bits around `address`; `None` when the family has fewer bits.
    fn around(address: IpAddr, prefix: u32) -> Option<Self> {
        match address {
            IpAddr::V4(address) if prefix <= Ipv4Addr::BITS => {
                Some(Self { network: IpAddr::V4(masked_v4(address, prefix)), prefix })
            }
            IpAddr::V6(address) if prefix <= Ipv6Addr::BITS => {
                // The last 32 bits of ::ffff:0:0/96 are IPv4's.
                match (address.to_ipv4_mapped(), prefix.checked_sub(96)) {
                    (Some(mapped), Some(prefix)) => Self::around(IpAddr::V4(mapped), prefix),
                    _ => Some(Self { network: IpAddr::V6(masked_v6(address, prefix)), prefix }),
                }
            }
            _ => None,
        }
    }
}

impl FromStr for Cidr {
    type Err = NotACidr;

    /// Bits behind the prefix are dropped: `10.1.2.3/8` is `10.0.0.0/8`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || NotACidr { text: text.to_owned() };
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.trim().parse().map_err(|_| refused())?;
        let prefix = match prefix.map(str::trim) {
            None if address.is_ipv4() => Ipv4Addr::BITS,
            None => Ipv6Addr::BITS,
            // `parse` alone would take a sign.
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_err(|_| refused())?
            }
            Some(_) => return Err(refused()),
        };
        Self::around(address, prefix).ok_or_else(refused)
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.network, self.prefix)
    }
}

fn masked_v4(address: Ipv4Addr, prefix: u32) -> Ipv4Addr {
    let host_bits = Ipv4Addr::BITS.saturating_sub(prefix);
    let mask = u32::MAX.checked_shl(host_bits).unwrap_or(0);
    Ipv4Addr::from_bits(address.to_bits() & mask)
}

fn masked_v6(address: Ipv6Addr, prefix: u32) -> Ipv6Addr {
    let host_bits = Ipv6Addr::BITS.saturating_sub(prefix);
    let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
    Ipv6Addr::from_bits(address.to_bits() & mask)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("10.0.0.0/8", "10.255.255.255", true)]
    #[case("10.0.0.0/8", "11.0.0.0", false)]
    #[case("10.0.0.0/8", "::ffff:10.1.2.3", true)]
    #[case("::ffff:10.0.0.0/104", "10.1.2.3", true)]
    #[case("::ffff:10.0.0.1", "10.0.0.1", true)]
    #[case("10.0.0.1", "10.0.0.1", true)]
    #[case("10.0.0.1", "10.0.0.2", false)]
    #[case("192.168.4.0/22", "192.168.7.255", true)]
    #[case("192.168.4.0/22", "192.168.8.0", false)]
    #[case("0.0.0.0/0", "203.0.113.9", true)]
    #[case("0.0.0.0/0", "::1", false)]
    #[case("::/0", "2001:db8::1", true)]
    #[case("::/0", "203.0.113.9", false)]
    #[case("::1", "::1", true)]
    #[case("::1", "::2", false)]
    #[case("fd00::/8", "fdff::1", true)]
    #[case("fd00::/8", "fe00::1", false)]
    fn contains(#[case] network: Cidr, #[case] address: IpAddr, #[case] expected: bool) {
        assert_eq!(network.contains(address), expected);
    }

    #[rstest]
    #[case("10.1.2.3/8", "10.0.0.0/8")]
    #[case("10.1.2.3", "10.1.2.3/32")]
    #[case("2001:db8::1/32", "2001:db8::/32")]
    #[case("::ffff:10.0.0.0/104", "10.0.0.0/8")]
    #[case("0.0.0.0/0", "0.0.0.0/0")]
    fn displays_the_network(#[case] text: Cidr, #[case] expected: &str) {
        assert_eq!(text.to_string(), expected);
    }

    #[rstest]
    #[case("")]
    #[case("10.0.0.0/33")]
    #[case("::/129")]
    #[case("10.0.0.0/")]
    #[case("10.0.0.0/+8")]
    #[case("10.0.0.0/-1")]
    #[case("10.0.0/8")]
    #[case("example.com")]
    fn refuses(#[case] text: &str) {
        assert_eq!(text.parse::<Cidr>(), Err(NotACidr { text: text.to_owned() }));
    }

    proptest! {
        #[test]
        fn every_network_holds_the_address_it_was_made_from(bits: u32, prefix in 0u32..=32) {
            let address = Ipv4Addr::from_bits(bits);
            let network: Cidr = format!("{address}/{prefix}").parse().unwrap();
            prop_assert!(network.contains(IpAddr::V4(address)));
            prop_assert!(network.contains(IpAddr::V6(address.to_ipv6_mapped())));
            prop_assert_eq!(network.to_string().parse::<Cidr>().unwrap(), network);
        }
    }
}
