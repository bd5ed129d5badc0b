//! Which addresses may ask: a route's `allow` and `deny`.
//!
//! Owns: that `deny` wins. The client is whom trusted proxies speak for, not the last of them.

use std::net::IpAddr;

use ipnet::IpNet;

use super::Denied;
use crate::networks::Networks;

/// A route's `allow` and `deny`; by default everyone may.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Network {
    /// Empty is all.
    allow: Networks,
    deny: Networks,
}

impl Network {
    #[must_use]
    pub fn new(allow: &[IpNet], deny: &[IpNet]) -> Network {
        let networks = |all: &[IpNet]| Networks::new(all.iter().copied());
        Network { allow: networks(allow), deny: networks(deny) }
    }

    /// # Errors
    /// If `client` is among those denied, or not among those allowed where some are.
    pub fn check(&self, client: IpAddr) -> Result<(), Denied> {
        let denied = self.deny.contains(client);
        if denied || !(self.allow.is_empty() || self.allow.contains(client)) {
            return Err(Denied::Address { denied });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ipnet::IpNet;

    use super::Network;

    #[track_caller]
    fn check(allow: &[&str], deny: &[&str], client: &str, expected: bool) {
        let parse = |networks: &[&str]| networks.iter().map(|one| one.parse().unwrap()).collect::<Vec<IpNet>>();
        let network = Network::new(&parse(allow), &parse(deny));
        assert_eq!(network.check(client.parse().unwrap()).is_ok(), expected, "{allow:?} {deny:?} {client}");
    }

    #[test]
    fn everyone_may_where_nothing_is_said() {
        for client in ["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"] {
            check(&[], &[], client, true);
        }
    }

    #[test]
    fn where_some_are_allowed_nobody_else_is() {
        let allow = ["10.0.0.0/8", "2001:db8::/32", "192.0.2.7/32"];
        check(&allow, &[], "10.1.2.3", true);
        check(&allow, &[], "11.1.2.3", false);
        check(&allow, &[], "192.0.2.7", true);
        check(&allow, &[], "192.0.2.8", false);
        check(&allow, &[], "2001:db8:1::1", true);
        check(&allow, &[], "2001:db9::1", false);
    }

    #[test]
    fn deny_wins() {
        check(&["10.0.0.0/8"], &["10.1.0.0/16"], "10.1.0.1", false);
        check(&["10.1.0.1/32"], &["10.0.0.0/8"], "10.1.0.1", false);
        check(&[], &["10.0.0.0/8"], "10.1.0.1", false);
        check(&[], &["10.0.0.0/8"], "11.1.0.1", true);
        check(&[], &["0.0.0.0/0", "::/0"], "2001:db8::1", false);
    }

    #[test]
    fn ipv4_within_ipv6_is_ipv4_in_a_client_and_in_a_rule() {
        check(&["10.0.0.0/8"], &[], "::ffff:10.1.2.3", true);
        check(&[], &["10.0.0.0/8"], "::ffff:10.1.2.3", false);
        check(&["::ffff:10.0.0.0/104"], &[], "10.1.2.3", true);
        check(&[], &["::ffff:10.0.0.0/104"], "::ffff:10.1.2.3", false);
        // The whole of IPv6 is not the whole of IPv4.
        check(&["::/0"], &[], "::ffff:10.1.2.3", false);
        check(&["::/0"], &[], "2001:db8::1", true);
    }
}
