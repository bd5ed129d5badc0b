//! The far end of a socket.

use std::net::{IpAddr, SocketAddr};

use crate::networks::Networks;

/// Who is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// As the kernel sees it.
    pub addr: SocketAddr,
    /// Who it is taken to be: IPv4-mapped IPv6 addresses are folded to IPv4.
    pub client: IpAddr,
    /// The socket is TLS.
    pub secure: bool,
    /// `client` is one of `trusted_proxies`: it is believed when it says for whom it speaks.
    pub trusted: bool,
    /// The process is at its cap of connections: it is told so, and nothing else.
    pub over_cap: bool,
}

impl Peer {
    #[must_use]
    pub fn new(addr: SocketAddr, secure: bool, over_cap: bool) -> Peer {
        Peer { addr, client: addr.ip().to_canonical(), secure, trusted: false, over_cap }
    }

    /// The same, speaking for `client`: what a PROXY header says.
    #[must_use]
    pub fn speaking_for(self, client: IpAddr) -> Peer {
        Peer { client: client.to_canonical(), ..self }
    }

    /// The same, believed in what its requests say if `client` is trusted.
    #[must_use]
    pub fn judged(self, trusted: &Networks) -> Peer {
        Peer { trusted: trusted.contains(self.client), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::Peer;

    #[test]
    fn an_ipv4_mapped_address_is_the_ipv4_address() {
        let peer = Peer::new("[::ffff:10.0.0.1]:80".parse().unwrap(), false, false);
        assert_eq!(peer.client.to_string(), "10.0.0.1");
    }
}
