//! Which peers are believed when they say for whom they speak (`trusted_proxies`).
//!
//! Owns: what is the same address: IPv4 within IPv6 (`::ffff:10.0.0.1`) is IPv4.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

/// The networks of `trusted_proxies`; none by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trusted(Vec<IpNet>);

impl Trusted {
    #[must_use]
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> Trusted {
        Trusted(networks.into_iter().map(fold).collect())
    }

    /// Whether what comes from `address` is believed.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// A network of IPv4 addresses within IPv6 is one of IPv4 addresses.
fn fold(network: IpNet) -> IpNet {
    let IpNet::V6(v6) = network else { return network };
    let v4 = v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(96));
    v4.and_then(|(address, length)| Ipv4Net::new(address, length).ok()).map_or(network, IpNet::V4)
}

#[cfg(test)]
mod tests {
    use super::Trusted;

    #[track_caller]
    fn check(address: &str, expected: bool) {
        let networks = ["10.0.0.0/8", "192.0.2.7/32", "::ffff:172.16.0.0/108", "2001:db8::/32", "::1/128"];
        let trusted = Trusted::new(networks.map(|network| network.parse().unwrap()));
        assert_eq!(trusted.contains(address.parse().unwrap()), expected, "{address}");
    }

    #[test]
    fn a_network_is_believed_whatever_the_form_of_its_addresses() {
        check("10.255.0.1", true);
        check("::ffff:10.255.0.1", true);
        check("11.0.0.1", false);
        check("192.0.2.7", true);
        check("192.0.2.8", false);
        check("172.31.255.255", true);
        check("172.32.0.0", false);
        check("2001:db8:1::1", true);
        check("2001:db9::", false);
        check("::1", true);
        check("127.0.0.1", false);
    }

    #[test]
    fn nobody_is_believed_unasked() {
        assert!(!Trusted::default().contains("127.0.0.1".parse().unwrap()));
        // The whole of IPv6 is not the whole of IPv4.
        assert!(!Trusted::new(["::/0".parse().unwrap()]).contains("::ffff:1.2.3.4".parse().unwrap()));
    }
}
