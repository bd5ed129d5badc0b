//! The head of a message that is passed on: what stays behind, and what is added on the way.
//!
//! Owns: hop-by-hop headers (RFC 9110, section 7.6.1), who the client is by `X-Forwarded-*` and `Forwarded` (RFC 7239),
//! `traceparent` (W3C Trace Context) and `X-Request-Id`. Never: touches what is said end to end.

use std::net::IpAddr;

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, COOKIE, EXPECT,
    FORWARDED, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Version};

use super::trail::{Field, Line, Trail};
use super::{headers, trace};

const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");
/// What CGI would make of this header is what sends the backend's own requests through a client's proxy ("httpoxy").
const PROXY: HeaderName = HeaderName::from_static("proxy");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");

/// Whether it is a header of one connection.
fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "te"
            | "transfer-encoding"
            | "upgrade"
            | "http2-settings"
            | "proxy-authenticate"
            | "proxy-authorization"
    )
}

/// What `Connection` may not take away: a message without these would mean something else.
const ESSENTIAL: [HeaderName; 9] =
    [HOST, CONTENT_LENGTH, CONTENT_TYPE, CONTENT_ENCODING, CONTENT_RANGE, AUTHORIZATION, COOKIE, EXPECT, TRAILER];

/// Which headers of a request ask for more than to be passed on: one look at each, so that what is not there is looked for
/// no more, and most requests have few of them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Seen {
    /// One of a single connection.
    of_hop: bool,
    /// One that CGI and its heirs take for another.
    odd: bool,
    expect: bool,
    cookie: bool,
    /// One of those that say whom the request came from.
    way: bool,
    /// One that names the request.
    trace: bool,
}

/// Whom a request came from and for whom, as far as it is believed.
#[derive(Debug, Clone, Copy)]
pub struct Hop<'a> {
    /// Who sent it to us.
    pub peer: IpAddr,
    /// Who asked first, as far as it is believed; the peer itself, unless a trusted proxy knows better.
    pub client: IpAddr,
    /// The peer is a trusted proxy: what it says of those before it is passed on, and added to.
    pub trusted: bool,
    /// Its `Forwarded` is what the client is known by, and can be added to. Else that header is the client's own word, and
    /// stays behind.
    pub chained: bool,
    /// The client's own: `http` or `https`.
    pub scheme: &'static str,
    /// The host that the request is for, with its port.
    pub authority: &'a str,
    /// The host that the client asked for, with its port: the authority's, unless a trusted proxy knows better.
    pub host: &'a str,
    /// The longest `X-Request-Id` that is passed on, in bytes.
    pub request_id: usize,
}

/// Makes a request's head what a backend is sent, over HTTP/1.1 until the upstream knows better, and gives what is added to
/// it. How its body is framed is for whoever sends it.
#[must_use = "a server is to be told who asks"]
pub fn request(parts: &mut Parts, hop: &Hop<'_>) -> Trail {
    parts.version = Version::HTTP_11;
    parts.extensions.clear();
    let headers = &mut parts.headers;
    let seen = Seen::of(headers);
    if seen.of_hop {
        let wants_trailers = accepts_trailers(headers);
        strip(headers);
        if wants_trailers {
            headers.insert(TE, HeaderValue::from_static("trailers"));
            headers.insert(CONNECTION, HeaderValue::from_static("te"));
        }
    }
    if seen.odd {
        headers.remove(PROXY);
        disguised(headers);
    }
    if seen.expect && waits_to_continue(headers) {
        // Said to us, and for whoever forwards the body to say again.
        headers.remove(EXPECT);
    }
    if headers.get(HOST).is_none_or(|host| host.as_bytes() != hop.authority.as_bytes()) {
        headers::set(headers, HOST, hop.authority);
    }
    if seen.cookie {
        join_cookies(headers);
    }
    let mut trail = Trail::new();
    forwarded(headers, seen.way, hop, &mut trail);
    if seen.trace {
        trace::mark(headers, hop.request_id, &mut trail)
    } else {
        trace::name(true, true, &mut trail)
    }
    trail
}

impl Seen {
    fn of(headers: &HeaderMap) -> Seen {
        let mut seen = Seen::default();
        for name in headers.keys() {
            match name.as_str() {
                "host" | "accept" | "user-agent" | "accept-encoding" | "accept-language" | "origin" | "referer" => {}
                "cookie" => seen.cookie = true,
                "expect" => seen.expect = true,
                "forwarded" | "x-forwarded-for" | "x-forwarded-proto" | "x-forwarded-host" | "x-forwarded-port" => {
                    seen.way = true;
                }
                "traceparent" | "tracestate" | "x-request-id" => seen.trace = true,
                "proxy" => seen.odd = true,
                _ if is_hop_by_hop(name) => seen.of_hop = true,
                other => seen.odd |= other.as_bytes().contains(&b'_'),
            }
        }
        seen
    }
}

/// Whether the body is held back until its sender is told to go on (RFC 9110, section 10.1.1).
#[must_use]
pub fn waits_to_continue(headers: &HeaderMap) -> bool {
    headers.get(EXPECT).is_some_and(|expect| expect.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Makes `headers` those of an upgrade to `protocol`, after [`request`] or [`response`] took the client's off.
pub fn upgrade(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol);
}

/// Makes a backend's headers those of the answer.
pub fn response(headers: &mut HeaderMap) {
    strip(headers);
}

/// Takes out of trailers what has no place there (RFC 9110, section 6.5.1): whatever frames or routes a message, or says
/// who sent it, also in disguise, since some merge them into the headers.
pub fn trailers(fields: &mut HeaderMap) {
    let ours = |name: &HeaderName| {
        [FORWARDED, PROXY].contains(name) || name.as_str().starts_with("x-forwarded-") || is_disguised(name)
    };
    let gone: Vec<HeaderName> =
        fields.keys().filter(|name| is_hop_by_hop(name) || ESSENTIAL.contains(name) || ours(name)).cloned().collect();
    gone.iter().for_each(|name| drop(fields.remove(name)));
}

/// The protocols that a request asks to change to; `None` where it does not, or asks for what is never passed on.
#[must_use]
pub fn wanted_upgrade(parts: &Parts) -> Option<HeaderValue> {
    let headers = &parts.headers;
    let asked = parts.version == Version::HTTP_11 && names(headers, &CONNECTION, "upgrade");
    let mut protocols = headers.get_all(UPGRADE).iter();
    let (Some(protocol), None) = (protocols.next().filter(|_| asked), protocols.next()) else { return None };
    // HTTP/2 without TLS by an upgrade is gone (RFC 9113, section 3.1), and would pass every rule of ours by.
    let h2c = protocol.as_bytes().split(|byte| *byte == b',').any(|one| {
        let name = one.split(|byte| *byte == b'/').next().unwrap_or_default().trim_ascii();
        [b"h2c".as_slice(), b"h2", b"http"].iter().any(|known| name.eq_ignore_ascii_case(known))
    });
    (!h2c && !protocol.is_empty() && !headers.contains_key(HTTP2_SETTINGS)).then(|| protocol.clone())
}

/// Removes the headers of this connection: the known ones, and those that `Connection` names. One look at each that is
/// there, and most messages have none of them.
fn strip(headers: &mut HeaderMap) {
    let mut gone: Vec<HeaderName> = headers.keys().filter(|name| is_hop_by_hop(name)).cloned().collect();
    if gone.contains(&CONNECTION) {
        let named = headers.get_all(CONNECTION).iter();
        let named = named.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
        // An upgrade's names what is gone already.
        let named = named.map(<[u8]>::trim_ascii).filter(|name| !name.eq_ignore_ascii_case(b"upgrade"));
        let named = named.filter_map(|name| HeaderName::from_bytes(name).ok());
        gone.extend(named.filter(|name| !ESSENTIAL.contains(name)));
    }
    gone.iter().for_each(|name| drop(headers.remove(name)));
}

fn accepts_trailers(headers: &HeaderMap) -> bool {
    names(headers, &TE, "trailers")
}

/// Whether the list `header` has this member.
fn names(headers: &HeaderMap, header: &HeaderName, member: &str) -> bool {
    let mut members = headers.get_all(header).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    members.any(|one| one.trim_ascii().eq_ignore_ascii_case(member.as_bytes()))
}

/// Removes headers that CGI and its heirs cannot tell from those which we write, since both become `HTTP_X_FORWARDED_FOR`
/// and the like.
fn disguised(headers: &mut HeaderMap) {
    let found: Vec<HeaderName> = headers.keys().filter(|name| is_disguised(name)).cloned().collect();
    found.iter().for_each(|name| drop(headers.remove(name)));
}

/// Whether it is a name of ours with an underscore for a hyphen.
fn is_disguised(name: &HeaderName) -> bool {
    let ours =
        [X_FORWARDED_FOR, X_FORWARDED_PROTO, X_FORWARDED_HOST, X_FORWARDED_PORT, CONTENT_LENGTH, TRANSFER_ENCODING];
    let same = |(a, b): (u8, u8)| a == b || (a == b'_' && b == b'-');
    name.as_str().contains('_')
        && ours.iter().any(|ours| {
            ours.as_str().len() == name.as_str().len() && name.as_str().bytes().zip(ours.as_str().bytes()).all(same)
        })
}

/// Makes one `Cookie` of several, which HTTP/2 sends apart (RFC 9113, section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(COOKIE).iter().nth(1).is_none() {
        return;
    }
    let all: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(joined) = HeaderValue::from_bytes(&all.join(b"; ".as_slice())) {
        headers.insert(COOKIE, joined);
    }
}

/// Says who the client is, in both headers alike. With `any`, the request says something of it already.
fn forwarded(headers: &mut HeaderMap, any: bool, hop: &Hop<'_>, trail: &mut Trail) {
    let told = any && hop.trusted;
    let known = hop.client != hop.peer;
    let mut line = trail.line(Field::For);
    if told && headers.contains_key(X_FORWARDED_FOR) {
        before(headers, &X_FORWARDED_FOR, &mut line);
    } else if known {
        line.push_address(hop.client);
        line.push(", ");
    }
    line.push_address(hop.peer);
    line.end();
    let mut line = trail.line(Field::Forwarded);
    if told && hop.chained {
        before(headers, &FORWARDED, &mut line);
    } else if known {
        push_for(&mut line, hop.client);
        line.push(", ");
    }
    push_for(&mut line, hop.peer);
    if !hop.host.is_empty() {
        line.push(";host=\"");
        line.push(hop.host);
        line.push("\"");
    }
    line.push(";proto=");
    line.push(hop.scheme);
    line.end();
    let mut line = trail.line(Field::Proto);
    line.push(hop.scheme);
    line.end();
    let mut line = trail.line(Field::Host);
    line.push(hop.host);
    line.end();
    let one_port = told && headers.get_all(X_FORWARDED_PORT).iter().count() == 1;
    if !one_port {
        let mut line = trail.line(Field::Port);
        line.push_number(port(hop));
        line.end();
    }
    if any {
        [X_FORWARDED_FOR, FORWARDED, X_FORWARDED_PROTO, X_FORWARDED_HOST].iter().for_each(|name| {
            headers.remove(name);
        });
        if !one_port {
            headers.remove(X_FORWARDED_PORT);
        }
    }
}

/// What a trusted peer says of those before it, as the beginning of a list.
fn before(headers: &HeaderMap, name: &HeaderName, line: &mut Line<'_>) {
    for told in headers.get_all(name).iter().filter_map(|value| value.to_str().ok()) {
        line.push(told);
        line.push(", ");
    }
}

/// As RFC 7239, section 4, has it: an IPv6 address in brackets, and quoted for them.
fn push_for(line: &mut Line<'_>, address: IpAddr) {
    let (open, close) = if address.is_ipv4() { ("for=", "") } else { ("for=\"[", "]\"") };
    line.push(open);
    line.push_address(address);
    line.push(close);
}

fn port(hop: &Hop<'_>) -> u16 {
    let host = headers::without_port(hop.host);
    let said = hop.host.get(host.len() + 1..).and_then(|port| port.parse().ok());
    said.unwrap_or(if hop.scheme == "https" { 443 } else { 80 })
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    const HOP: Hop<'static> = Hop {
        peer: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7)),
        client: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7)),
        trusted: false,
        chained: false,
        scheme: "http",
        authority: "a.example:8080",
        host: "a.example:8080",
        request_id: 64,
    };

    fn parts(headers: &[(&str, &str)]) -> Parts {
        let request = Request::builder().uri("/").header("host", "a.example:8080");
        headers
            .iter()
            .fold(request, |request, (name, value)| request.header(*name, *value))
            .body(())
            .unwrap()
            .into_parts()
            .0
    }

    /// What is left of `headers`, without those that are always there.
    #[track_caller]
    fn check(headers: &[(&str, &str)], expected: &[(&str, &str)]) {
        let mut parts = parts(headers);
        request(&mut parts, &HOP).set(&mut parts.headers);
        let added = ["host", "forwarded", "traceparent", "x-request-id"];
        let mut left: Vec<_> =
            parts.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        left.retain(|(name, _)| !added.contains(name) && !name.starts_with("x-forwarded-"));
        left.sort();
        assert_eq!(left, expected);
    }

    #[test]
    fn headers_of_one_connection_stay_behind() {
        check(&[("accept", "a")], &[("accept", "a")]);
        check(
            &[
                ("connection", "close, X-Mine"),
                ("x-mine", "a"),
                ("keep-alive", "a"),
                ("proxy-connection", "a"),
                ("proxy-authorization", "a"),
                ("transfer-encoding", "chunked"),
                ("upgrade", "websocket"),
                ("http2-settings", "a"),
                ("te", "gzip"),
                ("proxy", "a"),
                ("x-kept", "a"),
            ],
            &[("x-kept", "a")],
        );
        check(&[("te", "gzip, Trailers")], &[("connection", "te"), ("te", "trailers")]);
        check(&[("expect", "100-Continue")], &[]);
        check(&[("expect", "other")], &[("expect", "other")]);
        check(&[("trailer", "x-sum")], &[("trailer", "x-sum")]);
    }

    #[test]
    fn a_connection_header_takes_nothing_away_that_a_message_needs() {
        check(
            &[
                ("connection", "Host, Content-Length, Authorization, Cookie, X-Forwarded-For, not a name"),
                ("content-length", "1"),
                ("authorization", "a"),
                ("cookie", "a"),
            ],
            &[("authorization", "a"), ("content-length", "1"), ("cookie", "a")],
        );
        let mut parts = parts(&[("connection", "Host, X-Forwarded-For")]);
        request(&mut parts, &HOP).set(&mut parts.headers);
        assert_eq!(
            (&parts.headers[HOST], &parts.headers[X_FORWARDED_FOR]),
            (&HeaderValue::from_static("a.example:8080"), &HeaderValue::from_static("192.0.2.7"),)
        );
    }

    #[test]
    fn what_cgi_would_take_for_ours_stays_behind() {
        check(
            &[("x_forwarded_for", "a"), ("x-forwarded_for", "a"), ("content_length", "a"), ("x_a", "a")],
            &[("x_a", "a")],
        );
    }

    #[test]
    fn cookies_that_came_apart_are_joined() {
        check(&[("cookie", "a=1"), ("cookie", "b=2")], &[("cookie", "a=1; b=2")]);
    }

    #[track_caller]
    fn check_forwarded(hop: Hop<'_>, told: &[(&str, &str)], name: &str, expected: &str) {
        let mut parts = parts(told);
        request(&mut parts, &hop).set(&mut parts.headers);
        let all: Vec<_> = parts.headers.get_all(name).iter().collect();
        assert_eq!(all, [expected], "{name}");
    }

    #[test]
    fn the_peer_is_named_in_place_of_what_a_stranger_says() {
        let told = [
            ("x-forwarded-for", "1.1.1.1"),
            ("x-forwarded-for", "2.2.2.2"),
            ("forwarded", "for=1.1.1.1"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "evil"),
            ("x-forwarded-port", "1"),
        ];
        let check = |hop, name, expected| check_forwarded(hop, &told, name, expected);
        check(HOP, "x-forwarded-for", "192.0.2.7");
        check(HOP, "x-forwarded-proto", "http");
        check(HOP, "x-forwarded-host", "a.example:8080");
        check(HOP, "x-forwarded-port", "8080");
        check(HOP, "forwarded", "for=192.0.2.7;host=\"a.example:8080\";proto=http");
        let client = "1.1.1.1".parse().unwrap();
        let trusted = Hop { trusted: true, client, scheme: "https", host: "b.example", ..HOP };
        check(trusted, "x-forwarded-for", "1.1.1.1, 2.2.2.2, 192.0.2.7");
        check(trusted, "x-forwarded-proto", "https");
        check(trusted, "x-forwarded-host", "b.example");
        check(trusted, "x-forwarded-port", "1");
        check(trusted, "forwarded", "for=1.1.1.1, for=192.0.2.7;host=\"b.example\";proto=https");
    }

    #[test]
    fn what_a_trusted_peer_says_in_one_header_is_said_in_both_and_the_other_is_not_believed() {
        let client: IpAddr = "2001:db8::9".parse().unwrap();
        let by_list = Hop { trusted: true, client, host: "", ..HOP };
        let chained = Hop { chained: true, ..by_list };
        let (list, element) = (("x-forwarded-for", "2001:db8::9"), ("forwarded", "for=\"[2001:db8::9]:1\";by=a"));
        let lie = ("forwarded", "for=7.7.7.7");
        for (hop, told, expected) in [
            (by_list, &[list][..], ["2001:db8::9, 192.0.2.7", "for=\"[2001:db8::9]\", for=192.0.2.7;proto=http"]),
            (by_list, &[list, lie], ["2001:db8::9, 192.0.2.7", "for=\"[2001:db8::9]\", for=192.0.2.7;proto=http"]),
            (chained, &[element], ["2001:db8::9, 192.0.2.7", "for=\"[2001:db8::9]:1\";by=a, for=192.0.2.7;proto=http"]),
            (
                Hop { client: HOP.peer, ..by_list },
                &[("forwarded", "for=\"x")],
                ["192.0.2.7", "for=192.0.2.7;proto=http"],
            ),
        ] {
            check_forwarded(hop, told, "x-forwarded-for", expected[0]);
            check_forwarded(hop, told, "forwarded", expected[1]);
        }
    }

    #[test]
    fn an_ipv6_peer_and_a_default_port_are_written_as_they_must_be() {
        let peer = "2001:db8::1".parse().unwrap();
        let hop = Hop { peer, client: peer, authority: "[::1]", host: "[::1]", scheme: "https", ..HOP };
        check_forwarded(hop, &[], "forwarded", "for=\"[2001:db8::1]\";host=\"[::1]\";proto=https");
        check_forwarded(hop, &[], "x-forwarded-for", "2001:db8::1");
        check_forwarded(hop, &[], "x-forwarded-port", "443");
        check_forwarded(hop, &[], "host", "[::1]");
    }

    #[track_caller]
    fn check_upgrade(headers: &[(&str, &str)], expected: Option<&str>) {
        let wanted = wanted_upgrade(&parts(headers));
        assert_eq!(wanted.as_ref().map(|value| value.to_str().unwrap()), expected, "{headers:?}");
    }

    #[test]
    fn an_upgrade_is_asked_for_on_the_connection_and_never_to_http() {
        check_upgrade(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")], Some("websocket"));
        check_upgrade(&[("connection", "upgrade"), ("upgrade", "irc/6.9, tls")], Some("irc/6.9, tls"));
        check_upgrade(&[("upgrade", "websocket")], None);
        check_upgrade(&[("connection", "upgrade")], None);
        for h2c in ["h2c", "H2C", "websocket, h2c", "HTTP/2.0", "h2c/1"] {
            check_upgrade(&[("connection", "upgrade"), ("upgrade", h2c)], None);
        }
        check_upgrade(&[("connection", "upgrade"), ("upgrade", "a"), ("upgrade", "h2c")], None);
        check_upgrade(&[("connection", "upgrade"), ("upgrade", "a"), ("http2-settings", "b")], None);
    }

    #[test]
    fn trailers_frame_nothing_and_do_not_say_who_sent_a_message() {
        let mut fields = HeaderMap::new();
        for name in [
            "content-length",
            "host",
            "te",
            "forwarded",
            "x-forwarded-for",
            "x_forwarded-host",
            "transfer_encoding",
            "proxy",
        ] {
            fields.insert(HeaderName::from_static(name), HeaderValue::from_static("a"));
        }
        for kept in ["x-sum", "x_sum", "grpc-status"] {
            fields.insert(HeaderName::from_static(kept), HeaderValue::from_static("a"));
        }
        trailers(&mut fields);
        let mut left: Vec<_> = fields.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["grpc-status", "x-sum", "x_sum"]);
    }
}
