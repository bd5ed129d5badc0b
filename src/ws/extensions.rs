//! `Sec-WebSocket-Extensions` (RFC 6455, 9.1), of which permessage-deflate (RFC 7692, 7.1) is the one that we speak.
//!
//! Owns: [`Deflate`], what was agreed. A header against the grammar fails the handshake, as RFC 6455 asks; an offer whose
//! parameters are unknown, repeated or out of range is declined, and the next one tried.

use http::{HeaderMap, HeaderValue, header};

use super::Refusal;
use crate::limits;

/// permessage-deflate, agreed on: no context is taken over on either side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deflate {
    /// Whether the client asked for a bounded window, and so is told that ours has [`limits::DEFLATE_WINDOW_BITS`].
    pub tell_window: bool,
}

/// One `name` or `name=value`.
#[derive(Debug, PartialEq, Eq)]
struct Parameter {
    name: String,
    value: Option<String>,
}

const MALFORMED: Refusal = Refusal::BadHead("Sec-WebSocket-Extensions is malformed");
/// Window sizes of deflate, in bits (RFC 7692, 7.1.2).
const WINDOW_BITS: std::ops::RangeInclusive<u8> = 8..=15;

impl Deflate {
    /// What `Sec-WebSocket-Extensions` answers.
    #[must_use]
    pub fn answer(self) -> HeaderValue {
        HeaderValue::from_static(if self.tell_window {
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12"
        } else {
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
        })
    }
}

/// The first offer that can be accepted, over all of the header's lines.
///
/// # Errors
/// For a header against the grammar, or with more than [`limits::EXTENSION_OFFERS`] offers.
pub(super) fn negotiate(headers: &HeaderMap) -> Result<Option<Deflate>, Refusal> {
    let mut agreed = None;
    let mut offers = 0;
    for line in headers.get_all(header::SEC_WEBSOCKET_EXTENSIONS) {
        let mut rest = line.to_str().map_err(|_| MALFORMED)?;
        while let Some((name, parameters)) = offer(&mut rest)? {
            offers += 1;
            if offers > limits::EXTENSION_OFFERS {
                return Err(Refusal::BadHead("Sec-WebSocket-Extensions has too many offers"));
            }
            if agreed.is_none() && name.eq_ignore_ascii_case("permessage-deflate") {
                agreed = accept(&parameters);
            }
        }
    }
    Ok(agreed)
}

/// Whether permessage-deflate can be had with these parameters.
fn accept(parameters: &[Parameter]) -> Option<Deflate> {
    let mut deflate = Deflate { tell_window: false };
    for (at, Parameter { name, value }) in parameters.iter().enumerate() {
        if parameters.iter().take(at).any(|earlier| earlier.name == *name) {
            return None;
        }
        match (name.as_str(), value.as_deref()) {
            ("server_no_context_takeover" | "client_no_context_takeover", None) => {}
            // A hint that the client could be told a window: any will do, we inflate in the largest.
            ("client_max_window_bits", None) => {}
            ("client_max_window_bits", Some(bits)) => {
                window_bits(bits)?;
            }
            ("server_max_window_bits", Some(bits)) => {
                if window_bits(bits)? < limits::DEFLATE_WINDOW_BITS {
                    return None;
                }
                deflate.tell_window = true;
            }
            _ => return None,
        }
    }
    Some(deflate)
}

/// A decimal without leading zeros, 8 to 15.
fn window_bits(text: &str) -> Option<u8> {
    let bits = text.parse().ok().filter(|bits| WINDOW_BITS.contains(bits))?;
    (bits.to_string() == text).then_some(bits)
}

/// Takes the next offer of a list, with the comma after it; empty elements are passed over.
fn offer(rest: &mut &str) -> Result<Option<(String, Vec<Parameter>)>, Refusal> {
    *rest = rest.trim_start_matches([' ', '\t', ',']);
    if rest.is_empty() {
        return Ok(None);
    }
    let name = token(rest)?;
    let mut parameters = Vec::new();
    loop {
        if eat(rest, ';') {
            parameters.push(parameter(rest)?);
        } else if rest.is_empty() || eat(rest, ',') {
            return Ok(Some((name, parameters)));
        } else {
            return Err(MALFORMED);
        }
    }
}

fn parameter(rest: &mut &str) -> Result<Parameter, Refusal> {
    let name = token(rest)?;
    let value = match eat(rest, '=') {
        true => Some(if rest.starts_with('"') { quoted(rest)? } else { token(rest)? }),
        false => None,
    };
    Ok(Parameter { name, value })
}

/// Takes `wanted` and the blanks around it.
fn eat(rest: &mut &str, wanted: char) -> bool {
    *rest = rest.trim_start_matches([' ', '\t']);
    let Some(after) = rest.strip_prefix(wanted) else { return false };
    *rest = after.trim_start_matches([' ', '\t']);
    true
}

fn token(rest: &mut &str) -> Result<String, Refusal> {
    let end = rest.find(|c| !is_token(c)).unwrap_or(rest.len());
    let (token, after) = rest.split_at_checked(end).ok_or(MALFORMED)?;
    if token.is_empty() {
        return Err(MALFORMED);
    }
    *rest = after;
    Ok(token.to_owned())
}

/// A quoted string, whose content must be a token once unescaped (RFC 6455, 9.1).
fn quoted(rest: &mut &str) -> Result<String, Refusal> {
    let mut value = String::new();
    let mut chars = rest.chars();
    chars.next();
    loop {
        let c = match chars.next() {
            Some('"') if !value.is_empty() => break,
            Some('\\') => chars.next(),
            other => other,
        };
        value.push(c.filter(|&c| is_token(c)).ok_or(MALFORMED)?);
    }
    *rest = chars.as_str();
    Ok(value)
}

/// A character of a token (RFC 9110, 5.6.2).
pub(super) fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Result<Option<&str>, &str> =
        Ok(Some("permessage-deflate; server_no_context_takeover; client_no_context_takeover"));
    const TOLD: Result<Option<&str>, &str> = Ok(Some(
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12",
    ));
    const DECLINED: Result<Option<&str>, &str> = Ok(None);
    const REFUSED: Result<Option<&str>, &str> = Err("Sec-WebSocket-Extensions is malformed");

    #[track_caller]
    fn check(lines: &[&str], expected: Result<Option<&str>, &str>) {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        let got = negotiate(&headers);
        let got = got.as_ref().map(|agreed| agreed.map(Deflate::answer)).map_err(|refusal| refusal.message());
        let got = got.map(|answer| answer.map(|answer| answer.to_str().unwrap().to_owned()));
        assert_eq!(got, expected.map(|answer| answer.map(str::to_owned)), "{lines:?}");
    }

    #[test]
    fn offers_are_accepted() {
        check(&[], DECLINED);
        check(&[""], DECLINED);
        check(&["permessage-deflate"], PLAIN);
        check(&["PerMessage-Deflate"], PLAIN);
        check(&["permessage-deflate; client_max_window_bits"], PLAIN);
        check(&["permessage-deflate; client_max_window_bits=9"], PLAIN);
        check(&["permessage-deflate;client_max_window_bits=\"1\\5\""], PLAIN);
        check(&["permessage-deflate; server_no_context_takeover; client_no_context_takeover"], PLAIN);
        check(&["permessage-deflate; server_max_window_bits=12"], TOLD);
        check(&["permessage-deflate ;\tserver_max_window_bits = \"15\" ; client_max_window_bits"], TOLD);
        check(&["x-other; a=b; c=\"d\", ,permessage-deflate"], PLAIN);
        check(&["x-other", "permessage-deflate"], PLAIN);
    }

    #[test]
    fn an_offer_that_cannot_be_met_is_declined_and_the_next_one_tried() {
        for parameters in [
            "server_max_window_bits=8",
            "server_max_window_bits=11",
            "server_max_window_bits=16",
            "server_max_window_bits=012",
            "server_max_window_bits=+12",
            "server_max_window_bits",
            "client_max_window_bits=7",
            "client_max_window_bits=x",
            "server_no_context_takeover=1",
            "client_no_context_takeover; client_no_context_takeover",
            "client_max_window_bits; client_max_window_bits=10",
            "unknown",
        ] {
            let offer = format!("permessage-deflate; {parameters}");
            check(&[&offer], DECLINED);
            check(&[&format!("{offer}, permessage-deflate")], PLAIN);
            check(&[&offer, "permessage-deflate; server_max_window_bits=13"], TOLD);
        }
        check(&["x-webkit-deflate-frame"], DECLINED);
        check(&["permessage-deflate, permessage-deflate; server_max_window_bits=13"], PLAIN);
    }

    #[test]
    fn a_header_against_the_grammar_is_refused() {
        for line in [
            ";",
            "permessage-deflate;",
            "permessage-deflate; ;",
            "permessage-deflate; a=",
            "permessage-deflate; a=\"",
            "permessage-deflate; a=\"\"",
            "permessage-deflate; a=\"b c\"",
            "permessage-deflate; a=\"b\\ c\"",
            "permessage-deflate; a=\"b",
            "permessage-deflate permessage-deflate",
            "permessage-deflate; a b",
            "permessage-deflate, \"x\"",
            "permessage-deflate; a=\"1\\",
            "permessage-d\u{e9}flate",
        ] {
            check(&[line], REFUSED);
        }
    }

    #[test]
    fn offers_are_bounded() {
        let offers = ["permessage-deflate"; limits::EXTENSION_OFFERS + 1];
        check(&offers[1..], PLAIN);
        check(&offers, Err("Sec-WebSocket-Extensions has too many offers"));
        check(&[&offers.join(",")], Err("Sec-WebSocket-Extensions has too many offers"));
    }

    #[test]
    fn the_window_that_is_told_is_the_one_that_is_used() {
        let told = Deflate { tell_window: true }.answer();
        assert!(told.to_str().unwrap().ends_with(&format!("server_max_window_bits={}", limits::DEFLATE_WINDOW_BITS)));
    }
}
