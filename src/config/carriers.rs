//! How tokens come and go: the words of `from` and `forward_token`.
//!
//! Owns: their parsing, and what is said of a text that is none of them.

use super::nearest;
use super::problem::{Wrong, quoted};
use super::values::FromText;
use crate::guard::{Carrier, ForwardToken};
use crate::message::percent::is_unreserved;

/// The words of `from`, as they are suggested.
const CARRIERS: [&str; 5] = ["header", "subprotocol", "query:token", "cookie:NAME", "ticket"];

impl FromText for Carrier {
    const EXPECTED: &'static str =
        "where a token is, as in \"header\", \"subprotocol\", \"query:token\", \"cookie:NAME\" or \"ticket\"";
    const EXAMPLES: &'static [&'static str] = &["header", "subprotocol", "query:token", "cookie:session", "ticket"];

    fn from_text(text: &str) -> Result<Carrier, Wrong> {
        let wrong = |instead: String| Wrong::new(format!("{} is no place for a token", quoted(text)), instead);
        match text.split_once(':') {
            None => match text {
                "header" => Ok(Carrier::Header),
                "subprotocol" => Ok(Carrier::Subprotocol),
                "ticket" => Ok(Carrier::Ticket),
                "query" => Err(wrong("name the parameter: \"query:token\"".to_owned())),
                "cookie" => Err(wrong("name the cookie: \"cookie:session\"".to_owned())),
                _ => Err(wrong(nearest::write_one_of(text, CARRIERS))),
            },
            Some(("query", "ticket")) => Err(wrong("write \"ticket\": that is where tickets stand".to_owned())),
            Some(("query", name)) if is_parameter(name) => Ok(Carrier::Query(name.to_owned())),
            Some(("cookie", name)) if is_token(name) => Ok(Carrier::Cookie(name.to_owned())),
            Some((kind @ ("query" | "cookie"), _)) => Err(wrong(format!("name it, as in \"{kind}:token\""))),
            Some((kind, name)) => Err(wrong(match nearest::nearest(kind, ["query", "cookie"]) {
                Some(kind) => format!("write \"{kind}:{}\"", if is_parameter(name) { name } else { "token" }),
                None => nearest::write_one_of(kind, CARRIERS),
            })),
        }
    }
}

impl FromText for ForwardToken {
    const EXPECTED: &'static str = "\"header\", or as in \"query:token\"";
    const EXAMPLES: &'static [&'static str] = &["header", "query:token"];

    fn from_text(text: &str) -> Result<ForwardToken, Wrong> {
        match text.split_once(':') {
            None if text == "header" => Ok(ForwardToken::Header),
            Some(("query", name)) if is_parameter(name) => Ok(ForwardToken::Query(name.to_owned())),
            _ => {
                let instead = format!("write {}", Self::EXPECTED);
                Err(Wrong::new(format!("{} is no way to pass a token on", quoted(text)), instead))
            }
        }
    }
}

/// A query parameter's name that is written the same encoded or not (RFC 3986, section 2.3).
fn is_parameter(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME && name.bytes().all(is_unreserved)
}

/// A cookie's name (RFC 6265, section 4.1.1).
fn is_token(name: &str) -> bool {
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !name.is_empty() && name.len() <= NAME && name.bytes().all(is_token)
}

/// The longest name of a parameter or a cookie, in bytes.
const NAME: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn wrong<T: FromText + std::fmt::Debug>(text: &str, instead: &str) {
        let wrong = T::from_text(text).unwrap_err();
        assert!(wrong.instead.contains(instead), "{text}: {wrong:?}");
    }

    #[test]
    fn tokens_come_in_five_ways() {
        for (text, expected) in [
            ("header", Carrier::Header),
            ("subprotocol", Carrier::Subprotocol),
            ("query:access_token", Carrier::Query("access_token".to_owned())),
            ("cookie:__Host-session", Carrier::Cookie("__Host-session".to_owned())),
            ("ticket", Carrier::Ticket),
        ] {
            assert_eq!(Carrier::from_text(text), Ok(expected));
        }
        wrong::<Carrier>("headers", "write `header`");
        wrong::<Carrier>("sub-protocol", "write `subprotocol`");
        wrong::<Carrier>("query", "\"query:token\"");
        wrong::<Carrier>("query:", "\"query:token\"");
        wrong::<Carrier>("query:a b", "\"query:token\"");
        wrong::<Carrier>("query:ticket", "\"ticket\"");
        wrong::<Carrier>("cookie", "\"cookie:session\"");
        wrong::<Carrier>("cookie:a;b", "\"cookie:token\"");
        wrong::<Carrier>("cokie:a", "\"cookie:a\"");
        wrong::<Carrier>("url:a", "one of `header`");
        wrong::<Carrier>("", "one of `header`");
        wrong::<Carrier>(&format!("query:{}", "a".repeat(129)), "\"query:token\"");
    }

    #[test]
    fn tokens_go_in_two_ways() {
        assert_eq!(ForwardToken::from_text("header"), Ok(ForwardToken::Header));
        assert_eq!(ForwardToken::from_text("query:jwt"), Ok(ForwardToken::Query("jwt".to_owned())));
        for text in ["", "query", "query:", "query:a&b", "cookie:a", "header:X-Token"] {
            wrong::<ForwardToken>(text, "\"query:token\"");
        }
    }
}
