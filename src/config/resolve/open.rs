//! What is open to the world though nothing says that it is meant to be.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::needless::{list, shown};
use crate::config::place::ListenerPlaces;
use crate::config::problem::Wrong;
use crate::config::problems::Problems;
use crate::net::ListenerOptions;
use crate::route::{Action, Options};

/// Says once which sockets everyone may open, where everyone can reach them.
pub(super) fn check(
    listeners: &[ListenerOptions],
    places: &[ListenerPlaces],
    routes: &[Options],
    problems: &mut Problems,
) {
    // A listener that only redirects opens nothing.
    let serves = |listener: &ListenerOptions| listener.redirect_to_https.is_none();
    let public = listeners.iter().zip(places).find(|(options, _)| serves(options) && is_public(options.address.ip()));
    let Some((listener, place)) = public else { return };
    let open: Vec<String> = routes.iter().filter(|route| is_open(route)).map(shown).collect();
    if open.is_empty() {
        return;
    }
    let list = list(&open);
    let what = format!("whoever reaches {} may open as many sockets as they like on {list}", listener.address);
    let instead = "give those routes a `limit`, `auth` or `allow`";
    problems.warning(place.address.clone(), Wrong::new(what, instead));
}

/// Whether the route lets everyone open a socket that costs us something, without a bound.
fn is_open(route: &Options) -> bool {
    let is_socket = match route.action {
        Action::Feed { .. } | Action::Session { .. } => true,
        // A ticket's needs a token; a tunnel's upstream has guards of its own, as it had before.
        Action::Proxy { .. }
        | Action::Ticket { .. }
        | Action::Page { .. }
        | Action::Respond(_)
        | Action::Files(_)
        | Action::Redirect(_) => false,
    };
    is_socket && route.auth.is_none() && route.limit.is_none() && route.allow.is_empty() && route.auth_request.is_none()
}

/// Whether strangers may reach it: all addresses, or one that is routed in the Internet.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            !(address.is_loopback() || address.is_private() || address.is_link_local() || is_shared(address))
        }
        IpAddr::V6(address) => !(address.is_loopback() || is_local(address)),
    }
}

/// Between a carrier and its customers (RFC 6598).
fn is_shared(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    first == 100 && (64..128).contains(&second)
}

/// Unique local (RFC 4193) or link-local (RFC 4291, section 2.5.6).
fn is_local(address: Ipv6Addr) -> bool {
    address.is_unique_local() || address.is_unicast_link_local()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_reach_all_but_private_addresses() {
        for (address, expected) in [
            ("0.0.0.0", true),
            ("::", true),
            ("203.0.113.7", true),
            ("2001:db8::1", true),
            ("127.0.0.1", false),
            ("127.9.9.9", false),
            ("::1", false),
            ("::ffff:127.0.0.1", false),
            ("10.1.2.3", false),
            ("172.16.0.1", false),
            ("192.168.1.1", false),
            ("169.254.0.1", false),
            ("100.64.0.1", false),
            ("100.128.0.1", true),
            ("fd00::1", false),
            ("fe80::1", false),
        ] {
            assert_eq!(is_public(address.parse().unwrap()), expected, "{address}");
        }
    }
}
