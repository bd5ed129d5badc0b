//! Sets of networks, and which addresses are one client's.
//!
//! Owns: that IPv4 within IPv6 (`::ffff:10.0.0.1`, RFC 4291, section 2.5.5.2) is IPv4, in a network as in an address. A
//! household or a host is given a /64 of IPv6 and takes any address of it; one by one they would be as many clients as it
//! likes.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};

/// Networks of either family; none by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

/// Who is counted as one client: an IPv4 address, or the /64 of an IPv6 one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Client {
    V4(u32),
    /// The network's half of the address.
    V6(u64),
}

impl Networks {
    #[must_use]
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Networks {
        Networks(networks.into_iter().map(fold).collect())
    }

    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Client {
    /// IPv4 within IPv6 is IPv4.
    #[must_use]
    pub fn of(address: IpAddr) -> Client {
        match address.to_canonical() {
            IpAddr::V4(v4) => Client::V4(v4.to_bits()),
            IpAddr::V6(v6) => Client::V6(network(v6)),
        }
    }
}

fn network(address: Ipv6Addr) -> u64 {
    u64::try_from(address.to_bits() >> 64).unwrap_or_default()
}

/// A network of IPv4 addresses within IPv6 is one of IPv4 addresses.
fn fold(network: IpNet) -> IpNet {
    let IpNet::V6(v6) = network else { return network };
    let v4 = v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(96));
    v4.and_then(|(address, length)| Ipv4Net::new(address, length).ok()).map_or(network, IpNet::V4)
}

#[cfg(test)]
mod tests {
    use super::{Client, Networks};

    #[track_caller]
    fn check(address: &str, expected: bool) {
        let networks = ["10.0.0.0/8", "192.0.2.7/32", "::ffff:172.16.0.0/108", "2001:db8::/32", "::1/128"];
        let networks = Networks::new(networks.map(|network| network.parse().unwrap()));
        assert_eq!(networks.contains(address.parse().unwrap()), expected, "{address}");
    }

    #[test]
    fn an_address_is_in_a_network_whatever_the_form_of_either() {
        check("10.255.0.1", true);
        check("::ffff:10.255.0.1", true);
        check("11.0.0.1", false);
        check("192.0.2.7", true);
        check("192.0.2.8", false);
        check("172.31.255.255", true);
        check("::ffff:172.31.255.255", true);
        check("172.32.0.0", false);
        check("2001:db8:1::1", true);
        check("2001:db9::", false);
        check("::1", true);
        check("127.0.0.1", false);
    }

    #[test]
    fn in_no_networks_is_nobody() {
        assert!(!Networks::default().contains("127.0.0.1".parse().unwrap()));
        assert!(Networks::default().is_empty());
        // The whole of IPv6 is not the whole of IPv4.
        let all = Networks::new(["::/0".parse().unwrap()]);
        assert!(!all.contains("::ffff:1.2.3.4".parse().unwrap()) && !all.is_empty());
    }

    #[track_caller]
    fn check_client(one: &str, other: &str, same: bool) {
        let client = |text: &str| Client::of(text.parse().unwrap());
        assert_eq!(client(one) == client(other), same, "{one} {other}");
    }

    #[test]
    fn an_ipv4_address_is_a_client_and_so_is_the_64_of_an_ipv6_one() {
        check_client("192.0.2.1", "192.0.2.1", true);
        check_client("192.0.2.1", "192.0.2.2", false);
        check_client("192.0.2.1", "::ffff:192.0.2.1", true);
        check_client("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true);
        check_client("2001:db8::1", "2001:db8:0:1::1", false);
        check_client("::1", "0.0.0.1", false);
    }
}
