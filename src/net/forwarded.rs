//! For whom a request is: what trusted proxies say of its client, scheme and host (`X-Forwarded-*`, RFC 7239).
//!
//! Owns: the rightmost-untrusted rule. Proxies add to the right, so a list is read from there, and the first address that
//! is no trusted proxy's is the client; what stands to the left of it is the client's own word. Never: reads a header of a
//! peer that is not trusted, or more than [`limits::FORWARDED_HOPS`] elements of one.

use std::net::IpAddr;

use http::header::FORWARDED;
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::Peer;
use crate::limits;
use crate::message::hop::Hop;
use crate::networks::Networks;

mod element;

use element::Element;

/// For whom a request is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forwarded {
    pub client: IpAddr,
    /// Who sent the request to us: the last of those on its way, by the socket or its PROXY header.
    pub sender: IpAddr,
    /// The client came over TLS.
    pub secure: bool,
    /// The peer is a trusted proxy: it was asked for all of this, and its own headers may be added to.
    pub trusted: bool,
    /// A trusted proxy said the scheme; else it is the socket's.
    told_scheme: bool,
    /// It was asked by `Forwarded`, which is whole.
    chained: bool,
    /// The host that a trusted proxy was asked for, perhaps with a port; `None` where `Host` counts.
    host: Option<Authority>,
}

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

impl Forwarded {
    /// What is known of a request that came from `peer` with `headers`.
    #[must_use]
    pub fn read(peer: &Peer, trusted: &Networks, headers: &HeaderMap) -> Forwarded {
        let direct = Forwarded {
            client: peer.client,
            sender: peer.client,
            secure: peer.secure,
            trusted: peer.trusted,
            told_scheme: false,
            chained: false,
            host: None,
        };
        if !peer.trusted {
            return direct;
        }
        let mut walk = Walk { client: peer.client, hops: 0, trusted };
        let (mut element, mut chained) = (Element::default(), false);
        if headers.contains_key(&FOR) {
            walk.addresses(headers);
        } else if headers.contains_key(FORWARDED) {
            element = walk.elements(headers);
            chained = headers.get_all(FORWARDED).iter().all(is_whole);
        }
        let proto = nth_from_right(headers, &PROTO, walk.hops).or(element.proto.as_deref()).and_then(is_secure);
        let host = nth_from_right(headers, &HOST, walk.hops).or(element.host.as_deref()).and_then(host);
        Forwarded {
            client: walk.client,
            secure: proto.unwrap_or(peer.secure),
            told_scheme: proto.is_some(),
            chained,
            host,
            ..direct
        }
    }

    /// Whether the client's own scheme is `https`; `None` where it is not known: on a plain socket TLS may have ended
    /// before us, by a proxy that does not say so.
    #[must_use]
    pub fn is_https(&self) -> Option<bool> {
        (self.secure || self.told_scheme).then_some(self.secure)
    }

    /// `https` or `http`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }

    /// What a server is told of the way that a request to `authority` came.
    #[must_use]
    pub fn hop<'a>(&'a self, authority: &'a str) -> Hop<'a> {
        Hop {
            peer: self.sender,
            client: self.client,
            trusted: self.trusted,
            chained: self.chained,
            scheme: self.scheme(),
            authority,
            host: self.host().unwrap_or(authority),
            request_id: limits::REQUEST_ID,
        }
    }

    /// The host that the client asked for, perhaps with a port, where a trusted proxy says it.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.host.as_ref().map(Authority::as_str)
    }
}

/// On the way from the peer towards the client.
struct Walk<'a> {
    /// The furthest address that is believed.
    client: IpAddr,
    /// Elements passed, the client's own included.
    hops: usize,
    trusted: &'a Networks,
}

impl Walk<'_> {
    /// Whether the next address to the left is worth a look: who says this one is trusted.
    fn step(&mut self, address: IpAddr) -> bool {
        self.client = address.to_canonical();
        self.hops += 1;
        self.trusted.contains(self.client) && self.hops < limits::FORWARDED_HOPS
    }

    fn addresses(&mut self, headers: &HeaderMap) {
        for element in from_right(headers, &FOR) {
            // The first that is no address ends the walk: the last that was one counts.
            if !element.and_then(element::address).is_some_and(|address| self.step(address)) {
                return;
            }
        }
    }

    /// The element that speaks of the client.
    fn elements(&mut self, headers: &HeaderMap) -> Element {
        let mut last = Element::default();
        for line in headers.get_all(FORWARDED).iter().rev() {
            let Some(mut elements) = line.to_str().ok().and_then(element::elements) else { return last };
            while let Some(text) = elements.pop_back() {
                let Some(element) = Element::parse(text) else { return last };
                let Some(address) = element.for_.as_deref().and_then(element::address) else { return last };
                last = element;
                if !self.step(address) {
                    return last;
                }
            }
        }
        last
    }
}

/// The elements of a header's lines as one list, from the right, empty ones left out (RFC 9110, section 5.6.1); `None`
/// for a line that is not text.
fn from_right<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = Option<&'a str>> {
    let elements = |line: &'a HeaderValue| {
        let text = line.to_str().ok();
        let elements = text.unwrap_or_default().rsplit(',').map(str::trim).filter(|element| !element.is_empty());
        text.is_none().then_some(None).into_iter().chain(elements.map(Some))
    };
    headers.get_all(name).iter().rev().flat_map(elements).take(2 * limits::FORWARDED_HOPS)
}

/// The element at `place` from the right, counted from 1 as the hops are: one a proxy. Where there are fewer, proxies
/// have set it anew: the leftmost.
fn nth_from_right<'a>(headers: &'a HeaderMap, name: &HeaderName, place: usize) -> Option<&'a str> {
    from_right(headers, name).take(place.max(1)).take_while(Option::is_some).flatten().last()
}

/// Whether a line of `Forwarded` reads as a list of elements: what is put behind one that does not may be read as a part of it.
fn is_whole(line: &HeaderValue) -> bool {
    let elements = line.to_str().ok().and_then(element::elements);
    elements.is_some_and(|elements| elements.into_iter().all(|element| Element::parse(element).is_some()))
}

fn is_secure(proto: &str) -> Option<bool> {
    match proto.to_ascii_lowercase().as_str() {
        "https" | "wss" => Some(true),
        "http" | "ws" => Some(false),
        _ => None,
    }
}

/// A host with or without a port, and nothing else.
fn host(text: &str) -> Option<Authority> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    (text.len() <= limits::HOST_NAME && text.bytes().all(plain)).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is made of these headers, from a proxy at 10.0.0.1, where 10.0.0.0/8 is trusted.
    fn read(headers: &[(&'static str, &str)]) -> Forwarded {
        read_from("10.0.0.1:9", headers)
    }

    fn read_from(addr: &str, headers: &[(&'static str, &str)]) -> Forwarded {
        let trusted = Networks::new(["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()]);
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        Forwarded::read(&Peer::new(addr.parse().unwrap(), false, false).judged(&trusted), &trusted, &map)
    }

    #[track_caller]
    fn check_client(headers: &[(&'static str, &str)], expected: &str) {
        assert_eq!(read(headers).client.to_string(), expected, "{headers:?}");
    }

    #[test]
    fn the_client_is_the_rightmost_address_that_is_no_trusted_proxys() {
        for (value, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            ("6.6.6.6, 192.0.2.1", "192.0.2.1"),
            ("6.6.6.6,192.0.2.1,10.0.0.2", "192.0.2.1"),
            ("192.0.2.1 ,\t10.0.0.3, 10.0.0.2", "192.0.2.1"),
            ("192.0.2.1:4711", "192.0.2.1"),
            ("::ffff:192.0.2.1, ::ffff:10.0.0.2", "192.0.2.1"),
            ("[2001:db9::1]:80, [2001:db8::1]:80", "2001:db9::1"),
            // All are proxies: the one furthest away.
            ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
            // The first garbage ends the walk.
            ("192.0.2.1, unknown, 10.0.0.2", "10.0.0.2"),
            ("192.0.2.1, _hidden", "10.0.0.1"),
            ("192.0.2.1, 10.0.0.2 10.0.0.3", "10.0.0.1"),
            ("192.0.2.1, é", "10.0.0.1"),
            ("192.0.2.1,,", "192.0.2.1"),
            ("", "10.0.0.1"),
        ] {
            check_client(&[("x-forwarded-for", value)], expected);
        }
    }

    #[test]
    fn several_lines_are_one_list_in_their_order() {
        let lines = |values: [&'static str; 3]| values.map(|value| ("x-forwarded-for", value));
        check_client(&lines(["6.6.6.6", "192.0.2.1", "10.0.0.2"]), "192.0.2.1");
        check_client(&lines(["192.0.2.1", "10.0.0.3, 10.0.0.4", "10.0.0.2"]), "192.0.2.1");
        check_client(&lines(["192.0.2.1", "x", "10.0.0.2"]), "10.0.0.2");
        check_client(&[("forwarded", "for=192.0.2.1, for=10.0.0.3"), ("forwarded", "for=10.0.0.2")], "192.0.2.1");
        check_client(&[("forwarded", "for=\"192.0.2.1"), ("forwarded", "for=10.0.0.2")], "10.0.0.2");
    }

    #[test]
    fn forwarded_counts_where_x_forwarded_for_is_absent() {
        for (value, expected) in [
            ("for=192.0.2.1", "192.0.2.1"),
            ("for=6.6.6.6, for=192.0.2.1;proto=https, for=10.0.0.2", "192.0.2.1"),
            ("For=\"[2001:db9::17]:4711\"", "2001:db9::17"),
            ("for=192.0.2.1, for=unknown", "10.0.0.1"),
            ("for=192.0.2.1, for=_a, for=10.0.0.2", "10.0.0.2"),
            ("for=192.0.2.1, proto=http", "10.0.0.1"),
            ("for=192.0.2.1, for=6.6.6.6;for=10.0.0.2", "10.0.0.1"),
        ] {
            check_client(&[("forwarded", value)], expected);
            check_client(&[("forwarded", value), ("x-forwarded-for", "192.0.2.9")], "192.0.2.9");
        }
    }

    #[test]
    fn a_peer_that_is_not_trusted_speaks_for_itself() {
        let headers = [
            ("x-forwarded-for", "192.0.2.1"),
            ("forwarded", "for=192.0.2.1;proto=https;host=a.example"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "a.example"),
        ];
        let forwarded = read_from("11.0.0.1:9", &headers);
        assert_eq!((forwarded.client, forwarded.client.to_string().as_str()), (forwarded.sender, "11.0.0.1"));
        assert!(!forwarded.trusted && !forwarded.secure && forwarded.host().is_none());
        assert_eq!(forwarded.is_https(), None);
        let believed = read_from("[::ffff:10.0.0.1]:9", &headers);
        assert_eq!((believed.client.to_string().as_str(), believed.trusted), ("192.0.2.1", true));
        assert_eq!(believed.sender.to_string(), "10.0.0.1");
    }

    #[track_caller]
    fn check_scheme(headers: &[(&'static str, &str)], https: Option<bool>, host: Option<&str>) {
        let forwarded = read(headers);
        assert_eq!((forwarded.is_https(), forwarded.host()), (https, host), "{headers:?}");
        assert_eq!(forwarded.scheme() == "https", https == Some(true));
    }

    #[test]
    fn scheme_and_host_are_what_the_clients_own_proxy_was_asked_for() {
        let (proto, host) = ("x-forwarded-proto", "x-forwarded-host");
        check_scheme(&[], None, None);
        check_scheme(&[(proto, "https"), (host, "a.example")], Some(true), Some("a.example"));
        check_scheme(&[(proto, "WSS"), (host, "a.example:8443")], Some(true), Some("a.example:8443"));
        check_scheme(&[(proto, "http"), (host, "[::1]:80")], Some(false), Some("[::1]:80"));
        check_scheme(&[(proto, "gopher"), (host, "a.example/x")], None, None);
        // One proxy that adds to what the client said.
        check_scheme(&[(proto, "http, https"), (host, "evil.example, a.example")], Some(true), Some("a.example"));
        // Two, each of which adds; two, the nearer of which passes on what the other said.
        let hops = ("x-forwarded-for", "192.0.2.1, 10.0.0.2");
        check_scheme(&[hops, (proto, "https, http"), (host, "e, a.example, b")], Some(true), Some("a.example"));
        check_scheme(&[hops, (proto, "https"), (host, "a.example")], Some(true), Some("a.example"));
        let element = ("forwarded", "for=6.6.6.6;proto=http, for=192.0.2.1;proto=https;host=a.example, for=10.0.0.2");
        check_scheme(&[element], Some(true), Some("a.example"));
        check_scheme(&[element, (host, "b.example")], Some(true), Some("b.example"));
    }

    #[test]
    fn a_host_is_no_longer_than_names_are() {
        let long = "a".repeat(limits::HOST_NAME);
        check_scheme(&[("x-forwarded-host", &long)], None, Some(&long));
        check_scheme(&[("x-forwarded-host", &format!("{long}a"))], None, None);
    }

    #[test]
    fn no_list_is_walked_without_end() {
        let proxies = |count: usize, by: &str| vec![by; count].join(",");
        let hops = limits::FORWARDED_HOPS;
        check_client(&[("x-forwarded-for", &format!("192.0.2.1,{}", proxies(hops - 1, "10.0.0.2")))], "192.0.2.1");
        check_client(&[("x-forwarded-for", &format!("192.0.2.1,{}", proxies(hops, "10.0.0.2")))], "10.0.0.2");
        let most = limits::HEADER_SIZE / "10.0.0.2,".len();
        check_client(&[("x-forwarded-for", &proxies(most, "10.0.0.2"))], "10.0.0.2");
        check_client(&[("x-forwarded-for", &",".repeat(limits::HEADER_SIZE))], "10.0.0.1");
        let elements = format!("for=192.0.2.1,{}", proxies(hops - 1, "for=10.0.0.2"));
        check_client(&[("forwarded", &elements)], "192.0.2.1");
        let elements = format!("for=192.0.2.1,{}", proxies(hops, "for=10.0.0.2"));
        check_client(&[("forwarded", &elements)], "10.0.0.2");
    }

    #[track_caller]
    fn check_chained(headers: &[(&'static str, &str)], expected: bool) {
        assert_eq!(read(headers).chained, expected, "{headers:?}");
    }

    #[test]
    fn forwarded_is_added_to_where_it_was_asked_and_is_whole() {
        let good = ("forwarded", "for=\"[2001:470::9]:1\";by=_a, for=192.0.2.1");
        check_chained(&[good], true);
        check_chained(&[good, ("x-forwarded-for", "192.0.2.1")], false);
        check_chained(&[("forwarded", "for=\"x"), ("forwarded", "for=192.0.2.1")], false);
        check_chained(&[("forwarded", "what"), ("forwarded", "for=192.0.2.1")], false);
        check_chained(&[], false);
        assert!(!read_from("192.0.2.9:1", &[good]).chained);
    }
}
