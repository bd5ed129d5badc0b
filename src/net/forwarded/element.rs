//! What one proxy says in `Forwarded` (RFC 7239, section 4), and how an address is written there and in
//! `X-Forwarded-For`.
//!
//! Never: believes any of it.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::limits;

/// One `forwarded-element`: the parameters that are of use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) for_: Option<String>,
    pub(super) proto: Option<String>,
    pub(super) host: Option<String>,
}

/// The elements of one line, each yet to be read, the last [`limits::FORWARDED_HOPS`] of them; `None` where a quote is
/// left open.
pub(super) fn elements(line: &str) -> Option<VecDeque<&str>> {
    let mut elements = VecDeque::new();
    split_unquoted(line, b',', |element| {
        if elements.len() == limits::FORWARDED_HOPS {
            elements.pop_front();
        }
        elements.push_back(element);
    })?;
    Some(elements)
}

impl Element {
    /// Reads one element; `None` where a parameter is said twice or has no value.
    pub(super) fn parse(text: &str) -> Option<Element> {
        let mut element = Element::default();
        let mut good = true;
        split_unquoted(text, b';', |pair| good &= element.take(pair).is_some())?;
        good.then_some(element)
    }

    fn take(&mut self, pair: &str) -> Option<()> {
        let (name, value) = pair.split_once('=')?;
        let value = unquote(value)?;
        let place = match name.to_ascii_lowercase().as_str() {
            "for" => &mut self.for_,
            "proto" => &mut self.proto,
            "host" => &mut self.host,
            _ => return Some(()),
        };
        place.replace(value).is_none().then_some(())
    }
}

/// Gives the parts between separators outside of quotes, without blanks around them and but for empty ones; `None` where
/// a quote is left open.
fn split_unquoted<'a>(text: &'a str, separator: u8, mut part: impl FnMut(&'a str)) -> Option<()> {
    let (mut start, mut quoted, mut escaped) = (0, false, false);
    let mut give = |from: usize, to: usize| {
        let piece = text.get(from..to).unwrap_or_default().trim();
        if !piece.is_empty() {
            part(piece);
        }
    };
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if byte == separator && !quoted => {
                give(start, at);
                start = at + 1;
            }
            _ => {}
        }
    }
    give(start, text.len());
    (!quoted).then_some(())
}

/// A token, or what a quoted string stands for (RFC 9110, section 5.6.4).
fn unquote(value: &str) -> Option<String> {
    let Some(inner) = value.strip_prefix('"') else {
        return (!value.is_empty() && !value.contains(['"', ' '])).then(|| value.to_owned());
    };
    let mut text = String::with_capacity(inner.len());
    let mut chars = inner.strip_suffix('"')?.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => text.push(chars.next()?),
            '"' => return None,
            plain => text.push(plain),
        }
    }
    Some(text)
}

/// An address with or without a port, IPv6 with or without brackets; `None` for `unknown`, a name of a proxy's own
/// (`_hidden`), and all else.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let (address, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            let port = if port.is_empty() { None } else { Some(port.strip_prefix(':')?) };
            (IpAddr::V6(address.parse::<Ipv6Addr>().ok()?), port)
        }
        None => {
            let (address, port) = text.split_once(':')?;
            (IpAddr::V4(address.parse::<Ipv4Addr>().ok()?), Some(port))
        }
    };
    let named = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let is_port = |port: &str| match port.strip_prefix('_') {
        Some(name) => !name.is_empty() && name.bytes().all(named),
        None => port.len() <= 5 && !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()),
    };
    port.is_none_or(is_port).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_address(text: &str, expected: Option<&str>) {
        assert_eq!(address(text).map(|address| address.to_string()).as_deref(), expected, "{text}");
    }

    #[test]
    fn an_address_may_have_brackets_and_a_port() {
        check_address("192.0.2.43", Some("192.0.2.43"));
        check_address("192.0.2.43:47011", Some("192.0.2.43"));
        check_address("192.0.2.43:_port", Some("192.0.2.43"));
        check_address("2001:db8::17", Some("2001:db8::17"));
        check_address("[2001:db8::17]", Some("2001:db8::17"));
        check_address("[2001:db8::17]:4711", Some("2001:db8::17"));
        for garbage in [
            "",
            "unknown",
            "_hidden",
            "a.example",
            "192.0.2.43:",
            "192.0.2.43:x",
            "192.0.2.43:123456",
            "192.0.2",
            "[192.0.2.43]",
            "[2001:db8::17",
            "[2001:db8::17]4711",
            "fe80::1%eth0",
            "10.0.0.1 10.0.0.2",
        ] {
            check_address(garbage, None);
        }
    }

    #[track_caller]
    fn check(text: &str, expected: Option<[Option<&str>; 3]>) {
        let element = Element::parse(text);
        let found = element.as_ref().map(|e| [e.for_.as_deref(), e.proto.as_deref(), e.host.as_deref()]);
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn an_element_has_its_parameters_in_any_order_and_case() {
        check("for=192.0.2.60;proto=http;by=203.0.113.43", Some([Some("192.0.2.60"), Some("http"), None]));
        check("For=\"[2001:db8:cafe::17]:4711\"", Some([Some("[2001:db8:cafe::17]:4711"), None, None]));
        check("HOST=\"a.example:80\"; for=_x", Some([Some("_x"), None, Some("a.example:80")]));
        check("host=a.example:80", Some([None, None, Some("a.example:80")]));
        check(r#"for="a\"\\b;c""#, Some([Some(r#"a"\b;c"#), None, None]));
        check(";;for=a;", Some([Some("a"), None, None]));
        check("for=a;for=b", None);
        check("for", None);
        check("for=", None);
        check(r#"for="a"b"#, None);
        check(r#"for="a""#, Some([Some("a"), None, None]));
        check(r#"for="a"#, None);
        check(r#"for="a\""#, None);
    }

    #[test]
    fn a_line_is_split_outside_of_quotes_and_its_end_is_kept() {
        assert_eq!(elements(r#"for=a, for="b,c" ,,for=d"#).unwrap(), ["for=a", r#"for="b,c""#, "for=d"]);
        assert_eq!(elements(r#"for=a, for="b"#), None);
        let many = (0..limits::FORWARDED_HOPS + 2).map(|n| format!("for={n}")).collect::<Vec<_>>();
        let joined = many.join(",");
        assert!(elements(&joined).unwrap().iter().eq(&many[2..]));
    }
}
