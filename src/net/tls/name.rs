//! A name that a certificate carries: a DNS name, perhaps a wildcard, or an IP address (RFC 5280 section 4.2.1.6).
//!
//! Never: resolves anything.

use std::fmt;
use std::net::IpAddr;

use rustls_pki_types::DnsName;

/// One subject alternative name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Name {
    /// In lower case, without a final dot; its first label may be `*`.
    Dns(String),
    Ip(IpAddr),
}

/// A text that is neither.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no name for a certificate")]
pub struct BadName(pub String);

impl Name {
    /// Reads `text` as an IP address (IPv6 with or without brackets) or a DNS name.
    ///
    /// # Errors
    ///
    /// When it is neither.
    pub fn parse(text: &str) -> Result<Name, BadName> {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        if let Ok(address) = bare.parse() {
            return Ok(Name::Ip(address));
        }
        let dns = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        match DnsName::try_from(dns.strip_prefix("*.").unwrap_or(&dns)) {
            Ok(_) => Ok(Name::Dns(dns)),
            Err(_) => Err(BadName(text.to_owned())),
        }
    }

    /// [`Name::parse`] for each.
    ///
    /// # Errors
    ///
    /// With the first that is no name; an empty list is one bad, empty name.
    pub fn parse_all(texts: &[String]) -> Result<Vec<Name>, BadName> {
        if texts.is_empty() {
            return Err(BadName(String::new()));
        }
        texts.iter().map(|text| Name::parse(text)).collect()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Name::Dns(name) => f.write_str(name),
            Name::Ip(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, ()>) {
        let found = Name::parse(text).map(|name| name.to_string());
        assert_eq!(found.as_deref().map_err(|_| ()), expected, "{text:?}");
    }

    #[test]
    fn names_are_dns_names_wildcards_or_addresses() {
        check("localhost", Ok("localhost"));
        check("Dash.Example.COM.", Ok("dash.example.com"));
        check("*.example.com", Ok("*.example.com"));
        check("127.0.0.1", Ok("127.0.0.1"));
        check("::1", Ok("::1"));
        check("[::1]", Ok("::1"));
        check("my_host", Ok("my_host"));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in ["", "*", "*.", "a b", "../../etc", "a/b", "a.*.b", "https://a", "münchen.de", "a..b", "[x]"] {
            check(text, Err(()));
        }
        assert_eq!(Name::parse_all(&[]), Err(BadName(String::new())));
    }
}
