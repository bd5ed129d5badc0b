//! Whom a limit counts as one client: an IPv4 address, or the /64 of an IPv6 one.
//!
//! A household or a host is given a /64 and takes any address of it; one by one they would be as many clients as it likes.

use std::net::{IpAddr, Ipv6Addr};

/// A client, as a limit tells it from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Client {
    V4(u32),
    /// The network's half of the address.
    V6(u64),
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

#[cfg(test)]
mod tests {
    use super::Client;

    #[track_caller]
    fn check(one: &str, other: &str, same: bool) {
        let client = |text: &str| Client::of(text.parse().unwrap());
        assert_eq!(client(one) == client(other), same, "{one} {other}");
    }

    #[test]
    fn an_ipv4_address_is_a_client_and_so_is_the_64_of_an_ipv6_one() {
        check("192.0.2.1", "192.0.2.1", true);
        check("192.0.2.1", "192.0.2.2", false);
        check("192.0.2.1", "::ffff:192.0.2.1", true);
        check("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true);
        check("2001:db8::1", "2001:db8:0:1::1", false);
        check("::1", "0.0.0.1", false);
    }
}
