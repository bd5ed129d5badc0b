//! Values of the config that are written as text with a form of its own: addresses, pointers, patterns, offsets.
//!
//! Owns: their parsing, and what is said of a text that is not one. The origins of a route are in `origins`.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::{HeaderName, HeaderValue};
use ipnet::IpNet;

use super::problem::{Wrong, quoted};
use super::values::FromText;
use crate::message::percent;
use crate::route::{HostPattern, PathPattern};

/// `[admin] listen`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AdminListen {
    Off,
    At(SocketAddr),
}

/// A JSON Pointer (RFC 6901) to something within a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pointer(pub String);

/// Seconds east of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ZoneOffset(pub i32);

/// A header's value, perhaps empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HeaderText(pub HeaderValue);

impl FromText for SocketAddr {
    const EXPECTED: &'static str = "an address and a port, as in \"0.0.0.0:8080\"";
    const EXAMPLES: &'static [&'static str] = &["127.0.0.1:8080", "0.0.0.0:8080", "[::]:8080"];

    fn from_text(text: &str) -> Result<SocketAddr, Wrong> {
        if let Ok(address) = text.parse() {
            return Ok(address);
        }
        let with = |instead: String| Err(Wrong::new(format!("{} is not an address and a port", quoted(text)), instead));
        if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
            return with(format!("add a port, as in \"{}\"", SocketAddr::new(ip, 8080)));
        }
        match text.rsplit_once(':').map(|(host, port)| (host, port.parse::<u16>())) {
            Some(("" | "*", Ok(port))) => with(format!("write \"0.0.0.0:{port}\"")),
            Some((host, Ok(port))) => match host.parse::<Ipv6Addr>() {
                Ok(ip) => with(format!("write \"[{ip}]:{port}\"")),
                Err(_) if host == "localhost" => with(format!("write \"127.0.0.1:{port}\"")),
                Err(_) => with(format!("write the address itself, as in \"0.0.0.0:{port}\"")),
            },
            Some((_, Err(_))) => with("write a port from 0 to 65535".to_owned()),
            None => match text.parse::<u16>() {
                Ok(port) => with(format!("write \"0.0.0.0:{port}\"")),
                Err(_) => with(format!("write {}", Self::EXPECTED)),
            },
        }
    }
}

impl FromText for AdminListen {
    const EXPECTED: &'static str = "an address and a port, as in \"127.0.0.1:9090\", or \"off\"";
    const EXAMPLES: &'static [&'static str] = &["127.0.0.1:9090", "off"];

    fn from_text(text: &str) -> Result<AdminListen, Wrong> {
        if text == "off" { Ok(AdminListen::Off) } else { SocketAddr::from_text(text).map(AdminListen::At) }
    }
}

impl FromText for Pointer {
    const EXPECTED: &'static str = "a JSON Pointer, as in \"/data/cpu/usage\"";
    const EXAMPLES: &'static [&'static str] = &["/data/host"];

    fn from_text(text: &str) -> Result<Pointer, Wrong> {
        let with = |instead: String| Err(Wrong::new(format!("{} is not a JSON Pointer", quoted(text)), instead));
        if text.is_empty() {
            return with(format!("write {}", Self::EXPECTED));
        }
        if !text.starts_with('/') {
            return with(format!("start it with a slash: \"/{}\"", text.trim_start_matches("$.").replace('.', "/")));
        }
        if text.split('~').skip(1).any(|after| !after.starts_with(['0', '1'])) {
            return with("write `~` itself as \"~0\", and a slash within a name as \"~1\"".to_owned());
        }
        Ok(Pointer(text.to_owned()))
    }
}

impl FromText for ZoneOffset {
    const EXPECTED: &'static str = "\"utc\", or an offset as in \"+09:00\"";
    const EXAMPLES: &'static [&'static str] = &["utc", "+09:00"];

    fn from_text(text: &str) -> Result<ZoneOffset, Wrong> {
        if text == "utc" {
            return Ok(ZoneOffset(0));
        }
        let offset = || {
            let (sign, digits) = match text.split_at_checked(1)? {
                ("+", digits) => (1, digits),
                ("-", digits) => (-1, digits),
                _ => return None,
            };
            let (hours, minutes) = digits.split_once(':')?;
            let two = |text: &str, below: i32| -> Option<i32> {
                let number =
                    (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse())?;
                number.ok().filter(|&number| number < below)
            };
            // RFC 3339 allows offsets up to 23:59.
            Some(ZoneOffset(sign * (two(hours, 24)? * 3600 + two(minutes, 60)? * 60)))
        };
        offset().ok_or_else(|| {
            Wrong::new(format!("{} is not an offset from UTC", quoted(text)), format!("write {}", Self::EXPECTED))
        })
    }
}

impl FromText for IpNet {
    const EXPECTED: &'static str = "a network or an address, as in \"10.0.0.0/8\" or \"192.0.2.1\"";
    const EXAMPLES: &'static [&'static str] = &["10.0.0.0/8", "192.0.2.1", "fd00::/8"];

    fn from_text(text: &str) -> Result<IpNet, Wrong> {
        let wrong = |instead: String| Wrong::new(format!("{} is not a network", quoted(text)), instead);
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(IpNet::from(address));
        }
        let net: IpNet = text.parse().map_err(|_| wrong(format!("write {}", Self::EXPECTED)))?;
        if net.trunc() == net { Ok(net) } else { Err(wrong(format!("write \"{}\"", net.trunc()))) }
    }
}

impl FromText for HeaderName {
    const EXPECTED: &'static str = "the name of a header, as in \"X-User\"";
    const EXAMPLES: &'static [&'static str] = &["X-User"];

    fn from_text(text: &str) -> Result<HeaderName, Wrong> {
        HeaderName::from_bytes(text.as_bytes()).map_err(|_| {
            Wrong::new(format!("{} is not the name of a header", quoted(text)), format!("write {}", Self::EXPECTED))
        })
    }
}

impl FromText for HeaderText {
    const EXPECTED: &'static str = "a header's value, in quotes";
    const EXAMPLES: &'static [&'static str] = &["no-store"];
    /// Tokens stand in headers.
    const SECRET: bool = true;

    fn from_text(text: &str) -> Result<HeaderText, Wrong> {
        let wrong = |instead| Wrong::new("this can't be sent in a header", instead);
        if text.trim() != text {
            return Err(wrong("leave out the space around it"));
        }
        HeaderValue::from_str(text).map(HeaderText).map_err(|_| wrong("write it in ASCII, on one line"))
    }
}

impl FromText for HeaderValue {
    const EXPECTED: &'static str = "a media type, as in \"application/json\"";
    const EXAMPLES: &'static [&'static str] = &["application/json", "text/plain; charset=utf-8"];

    fn from_text(text: &str) -> Result<HeaderValue, Wrong> {
        let wrong = || Wrong::new(format!("{} is not a media type", quoted(text)), format!("write {}", Self::EXPECTED));
        let kind = text.split(';').next().unwrap_or_default().trim();
        let is_token = |text: &str| {
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-*%'|~`".contains(&b))
        };
        match kind.split_once('/') {
            Some((kind, subtype)) if is_token(kind) && is_token(subtype) => {
                HeaderValue::from_str(text).map_err(|_| wrong())
            }
            _ => Err(wrong()),
        }
    }
}

impl FromText for HostPattern {
    const EXPECTED: &'static str = "a host name, as in \"dash.example.com\" or \"*.example.com\"";
    const EXAMPLES: &'static [&'static str] = &["dash.example.com", "*.example.com"];

    fn from_text(text: &str) -> Result<HostPattern, Wrong> {
        let with = |instead: String| Err(Wrong::new(format!("{} is not a host name", quoted(text)), instead));
        if text == "*" {
            return with("leave `host` out to serve every host".to_owned());
        }
        if let Some((_, host)) = text.split_once("://") {
            let host = host.split('/').next().unwrap_or_default();
            return with(format!("write the name alone: \"{host}\""));
        }
        let lower = text.to_ascii_lowercase();
        if let Some(inside) = lower.strip_prefix('[') {
            let address = inside.strip_suffix(']').and_then(|inside| inside.parse::<Ipv6Addr>().ok());
            return match address {
                Some(address) => Ok(HostPattern::Exact(format!("[{address}]"))),
                None => with("write an IPv6 address in brackets, as in \"[::1]\", without a port".to_owned()),
            };
        }
        if let Ok(address) = lower.parse::<Ipv6Addr>() {
            return with(format!("write \"[{address}]\""));
        }
        if let Some((host, _)) = lower.split_once(':') {
            return with(format!("leave the port out: \"{host}\""));
        }
        match lower.strip_prefix("*.") {
            Some(suffix) if is_host_name(suffix) => Ok(HostPattern::Suffix(format!(".{suffix}"))),
            None if is_host_name(&lower) => Ok(HostPattern::Exact(lower)),
            Some(_) | None => with(host_name_remedy(&lower)),
        }
    }
}

/// What to write where a host name is wrong.
pub(super) fn host_name_remedy(text: &str) -> String {
    if text.is_ascii() {
        format!("write {}", HostPattern::EXPECTED)
    } else {
        "write the name as DNS has it, starting with \"xn--\"".to_owned()
    }
}

/// Lower-case letters, digits, `-` and `_` in labels of 1 to 63 joined by dots; 253 in all (RFC 1035).
#[must_use]
pub(super) fn is_host_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

impl FromText for PathPattern {
    const EXPECTED: &'static str = "a path, as in \"/ws\" or \"/api/*\"";
    const EXAMPLES: &'static [&'static str] = &["/", "/ws", "/api/*"];

    fn from_text(text: &str) -> Result<PathPattern, Wrong> {
        let with = |what: &str, instead: String| Err(Wrong::new(format!("{} {what}", quoted(text)), instead));
        if !text.starts_with('/') {
            let path =
                text.split_once("://").map_or(text, |(_, rest)| rest.split_once('/').map_or("", |(_, path)| path));
            return with("is not a path", format!("start it with a slash: \"/{path}\""));
        }
        if let Some((path, _)) = text.split_once(['?', '#']) {
            return with("has a query or fragment, which paths are matched without", format!("write \"{path}\""));
        }
        let (path, is_prefix) = match text.strip_suffix("/*") {
            Some(path) => (path, true),
            None => (text, false),
        };
        if path.contains('*') {
            return with(
                "has a `*` that is not its last part",
                "write `*` only at the end, as in \"/api/*\"".to_owned(),
            );
        }
        if path.contains("//") || (is_prefix && path.ends_with('/')) {
            return with("has an empty part, as no request does", "write single slashes".to_owned());
        }
        if path.split('/').any(|part| matches!(part, "." | "..")) {
            return with("has a `.` or `..`, as no request does", "write the path it comes to".to_owned());
        }
        if let Some(odd) = path_fault(path) {
            return with("has a character that no URL has", format!("write it percent-encoded: {odd}"));
        }
        Ok(if is_prefix { PathPattern::Prefix(format!("{path}/")) } else { PathPattern::Exact(path.to_owned()) })
    }
}

/// The first character of a path that RFC 3986 (3.3) does not allow, percent-encoded.
pub(super) fn path_fault(path: &str) -> Option<String> {
    for (at, c) in path.char_indices() {
        match c {
            '%' => {
                let digits = path.get(at + 1..at + 3).unwrap_or_default();
                if !digits.bytes().all(|b| b.is_ascii_hexdigit()) || digits.len() < 2 {
                    return Some(percent::encode("%", ""));
                }
            }
            // A URL may have it; in a path of ours it would look like a pattern.
            '*' => return Some(percent::encode("*", "")),
            c => {
                let encoded = percent::encode(c.encode_utf8(&mut [0; 4]), percent::PATH);
                if encoded.len() > 1 {
                    return Some(encoded);
                }
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn right<T: FromText + std::fmt::Debug + PartialEq>(text: &str, expected: T) {
        assert_eq!(T::from_text(text).unwrap(), expected);
    }

    #[track_caller]
    fn wrong<T: FromText + std::fmt::Debug>(text: &str, instead: &str) {
        let wrong = T::from_text(text).unwrap_err();
        assert!(wrong.instead.contains(instead), "{text}: {wrong:?}");
    }

    #[test]
    fn addresses_have_a_port() {
        right::<SocketAddr>("0.0.0.0:80", ([0, 0, 0, 0], 80).into());
        right::<SocketAddr>("[::1]:0", (Ipv6Addr::LOCALHOST, 0).into());
        wrong::<SocketAddr>("0.0.0.0", "\"0.0.0.0:8080\"");
        wrong::<SocketAddr>("::1", "\"[::1]:8080\"");
        wrong::<SocketAddr>("[::1]", "\"[::1]:8080\"");
        wrong::<SocketAddr>(":8080", "\"0.0.0.0:8080\"");
        wrong::<SocketAddr>("*:81", "\"0.0.0.0:81\"");
        wrong::<SocketAddr>("8080", "\"0.0.0.0:8080\"");
        wrong::<SocketAddr>("localhost:8080", "\"127.0.0.1:8080\"");
        wrong::<SocketAddr>("web:80", "write the address itself, as in \"0.0.0.0:80\"");
        wrong::<SocketAddr>("127.0.0.1:99999", "a port from 0 to 65535");
        wrong::<SocketAddr>("", "an address and a port");
        right("off", AdminListen::Off);
        wrong::<AdminListen>("of", "an address and a port");
    }

    #[test]
    fn pointers_start_with_a_slash() {
        right("/data/a~1b~0", Pointer("/data/a~1b~0".to_owned()));
        right("/", Pointer("/".to_owned()));
        wrong::<Pointer>("", "a JSON Pointer");
        wrong::<Pointer>("data.cpu", "\"/data/cpu\"");
        wrong::<Pointer>("$.data.cpu", "\"/data/cpu\"");
        wrong::<Pointer>("/a~2", "\"~0\"");
        wrong::<Pointer>("/a~", "\"~0\"");
    }

    #[test]
    fn offsets_are_east_of_utc() {
        right("utc", ZoneOffset(0));
        right("+09:00", ZoneOffset(32_400));
        right("-03:30", ZoneOffset(-12_600));
        for text in ["", "UTC+9", "+9", "+9:00", "+24:00", "+09:60", "09:00", "é", "+é:00"] {
            wrong::<ZoneOffset>(text, "\"+09:00\"");
        }
    }

    #[test]
    fn networks_end_where_their_length_says() {
        right::<IpNet>("10.0.0.0/8", "10.0.0.0/8".parse().unwrap());
        right::<IpNet>("192.0.2.1", "192.0.2.1/32".parse().unwrap());
        right::<IpNet>("::1", "::1/128".parse().unwrap());
        wrong::<IpNet>("10.0.0.1/8", "write \"10.0.0.0/8\"");
        for text in ["", "10.0.0.0/33", "localhost", "10.0.0.0/", "[::1]", "10.0.0.0/255.0.0.0"] {
            wrong::<IpNet>(text, "a network or an address");
        }
    }

    #[test]
    fn headers_have_a_token_and_one_line() {
        right("X-User", HeaderName::from_static("x-user"));
        for text in ["", "X User", "X-User:", "é"] {
            wrong::<HeaderName>(text, "\"X-User\"");
        }
        right("max-age=1, \"a\"", HeaderText(HeaderValue::from_static("max-age=1, \"a\"")));
        right("", HeaderText(HeaderValue::from_static("")));
        wrong::<HeaderText>(" a", "the space around it");
        wrong::<HeaderText>("a\nb", "on one line");
        assert!(!HeaderText::from_text("s3cret\n").unwrap_err().what.contains("s3cret"));
    }

    #[test]
    fn media_types_have_two_parts() {
        right("text/plain; charset=utf-8", http::HeaderValue::from_static("text/plain; charset=utf-8"));
        for text in ["", "json", "a/", "text/plain\n", "text /plain"] {
            wrong::<http::HeaderValue>(text, "\"application/json\"");
        }
    }

    #[test]
    fn hosts_are_names_without_a_port() {
        right("Dash.Example.com", HostPattern::Exact("dash.example.com".to_owned()));
        right("*.Example.com", HostPattern::Suffix(".example.com".to_owned()));
        right("[::0001]", HostPattern::Exact("[::1]".to_owned()));
        right("127.0.0.1", HostPattern::Exact("127.0.0.1".to_owned()));
        wrong::<HostPattern>("*", "leave `host` out");
        wrong::<HostPattern>("a.com:80", "leave the port out: \"a.com\"");
        wrong::<HostPattern>("https://a.com/x", "\"a.com\"");
        wrong::<HostPattern>("::1", "\"[::1]\"");
        wrong::<HostPattern>("[::1]:80", "without a port");
        wrong::<HostPattern>("a.*.com", "\"*.example.com\"");
        wrong::<HostPattern>("müller.de", "xn--");
        for text in ["", "*.", "a..b", "-a", "a b", &"a".repeat(64), &"a.".repeat(130)] {
            wrong::<HostPattern>(text, "a host name");
        }
    }

    #[test]
    fn paths_are_as_requests_have_them() {
        right("/", PathPattern::Exact("/".to_owned()));
        right("/ws", PathPattern::Exact("/ws".to_owned()));
        right("/a%20b/", PathPattern::Exact("/a%20b/".to_owned()));
        right("/*", PathPattern::Prefix("/".to_owned()));
        right("/api/*", PathPattern::Prefix("/api/".to_owned()));
        wrong::<PathPattern>("", "\"/\"");
        wrong::<PathPattern>("ws", "\"/ws\"");
        wrong::<PathPattern>("http://a/ws", "\"/ws\"");
        wrong::<PathPattern>("*", "\"/*\"");
        wrong::<PathPattern>("/ws?a=b", "write \"/ws\"");
        wrong::<PathPattern>("/a/*/b", "only at the end");
        wrong::<PathPattern>("/a*", "only at the end");
        wrong::<PathPattern>("/a//b", "single slashes");
        wrong::<PathPattern>("//*", "single slashes");
        wrong::<PathPattern>("/a/../b", "the path it comes to");
        wrong::<PathPattern>("/.", "the path it comes to");
        wrong::<PathPattern>("/a b", "%20");
        wrong::<PathPattern>("/é", "%C3%A9");
        wrong::<PathPattern>("/{id}", "%7B");
        wrong::<PathPattern>("/%2", "%25");
        wrong::<PathPattern>("/%é", "%25");
    }
}
