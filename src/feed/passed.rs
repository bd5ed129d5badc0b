//! What of a viewer's query is its feed's: what is shared by, and goes upstream.
//!
//! Owns: leaving out what selects or carries a token, one order for what is in any, and that a viewer never sets what the
//! source's own URL sets. Never: decodes what it passes on.

use std::borrow::Cow;

use super::select::decode;

/// Names that are the viewer's own: what selects, and a ticket.
const OWN: [&str; 6] = ["fields", "types", "keys", "every", "last", "ticket"];

/// The query, without its `?`, less [`OWN`] names and the one called `token`. Its pairs are sorted by name where each has
/// one, those of the same name in the order in which they came; else they stand as they came.
pub(super) fn normal(query: &str, token: Option<&str>) -> String {
    let kept = |(name, _): &(Cow<'_, str>, &str)| {
        !OWN.contains(&&**name) && token.is_none_or(|token| family(name) != family(token))
    };
    let mut pairs: Vec<_> = pairs(query).filter(kept).collect();
    if pairs.iter().all(|(_, pair)| pair.contains('=')) {
        pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
    }
    // To some servers a semicolon parts two pairs.
    pairs.iter().map(|(_, pair)| pair.replace(';', "%3B")).collect::<Vec<_>>().join("&")
}

/// A viewer's `query` behind the source's `own`: less the names that the source itself sets, since many a server takes
/// the last of two.
pub(super) fn behind(own: &str, query: &str) -> String {
    let set: Vec<String> = pairs(own).map(|(name, _)| family(&name)).collect();
    let passed = pairs(query).filter(|(name, _)| !set.contains(&family(name))).map(|(_, pair)| pair);
    let own = Some(own).filter(|own| !own.is_empty());
    own.into_iter().chain(passed).collect::<Vec<_>>().join("&")
}

/// Each pair with its name decoded; one that is not UTF-8 then is left as it is.
fn pairs(query: &str) -> impl Iterator<Item = (Cow<'_, str>, &str)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let name = pair.split_once('=').map_or(pair, |(name, _)| name);
        (decode(name).unwrap_or(Cow::Borrowed(name)), pair)
    })
}

/// What servers may take for the same name: in any case, as an array, or as a language that has no dots in names has it.
fn family(name: &str) -> String {
    let name = name.trim_start();
    let name = name.find(['[', '\0']).filter(|at| *at > 0).map_or(name, |at| &name[..at]);
    name.chars().map(|c| if matches!(c, '.' | ' ' | '[') { '_' } else { c.to_ascii_lowercase() }).collect()
}

#[cfg(test)]
mod tests {
    use super::{behind, normal};

    #[track_caller]
    fn check(query: &str, expected: &str) {
        assert_eq!(normal(query, Some("jwt")), expected, "{query}");
    }

    #[test]
    fn what_selects_and_what_carries_a_token_is_left_out() {
        check("", "");
        check("fields=a&types=b&keys=c&every=1s&last=3&ticket=x&room=1", "room=1");
        check("%66ields=a&l%61st=2&room=1", "room=1");
        check("jwt=secret&JWT=secret&jwt[]=secret&%6awt=secret&room=1", "room=1");
        check("fieldsets=1&Fields=2", "Fields=2&fieldsets=1");
    }

    #[test]
    fn the_order_of_different_names_makes_no_difference() {
        check("b=2&a=1", "a=1&b=2");
        check("a=1&&b=2&", "a=1&b=2");
        check("b=2&a=2&b=1&a=1", "a=2&a=1&b=2&b=1");
        check("%62=2&b=1&a=", "a=&%62=2&b=1");
    }

    #[test]
    fn where_a_pair_has_no_name_the_order_stays() {
        check("b&a", "b&a");
        check("z=1&b&a=1", "z=1&b&a=1");
    }

    #[test]
    fn bytes_that_are_no_text_are_kept() {
        check("b=%FF&%FF=1&a=%zz", "%FF=1&a=%zz&b=%FF");
    }

    #[track_caller]
    fn check_behind(own: &str, query: &str, expected: &str) {
        assert_eq!(behind(own, query), expected, "{own} then {query}");
    }

    #[test]
    fn a_viewer_never_sets_what_the_source_sets() {
        check_behind("", "", "");
        check_behind("", "a=1", "a=1");
        check_behind("t=1", "", "t=1");
        check_behind("t=1&u", "a=1&t=2&T=2&%74=2&t[]=2&t[0]=2&u=3&+t=2&b=1", "t=1&u&a=1&b=1");
        check_behind("a.b=1", "a_b=2&a+b=2&ab=3", "a.b=1&ab=3");
        assert_eq!(normal("x=1;t=2", None), "x=1%3Bt=2");
    }
}
