//! Where a token comes with a request: found, and taken out again, so that it is neither sent upstream nor logged.
//!
//! Owns: the first carrier present decides. Never: judges a token; what is found may be anything.

use std::borrow::Cow;
use std::sync::Arc;

use http::header::{AUTHORIZATION, COOKIE, SEC_WEBSOCKET_PROTOCOL};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use super::options::{Carrier, ForwardToken};
use crate::limits;
use crate::message::{headers, percent};
use crate::secret::Secret;

/// What came, by the first carrier that was present.
#[derive(Debug)]
pub struct Found {
    /// As it came: longer than [`limits::TOKEN_SIZE`] it is not kept.
    pub(super) token: Result<Arc<Secret>, usize>,
    pub(super) is_ticket: bool,
    /// The pair was there, whether it decided or not.
    pub(super) has_pair: bool,
    /// All that are taken out.
    pub(super) from: Arc<[Carrier]>,
}

/// What a ticket's parameter is called.
const TICKET: &str = "ticket";
/// What stands before a token in `Sec-WebSocket-Protocol`.
const BEARER: &str = "bearer";

impl Found {
    /// Looks in each place in turn; without `tickets`, not for one.
    pub(super) fn look(from: &Arc<[Carrier]>, request: &Parts, tickets: bool) -> Option<Found> {
        let wanted = from.iter().filter(|carrier| tickets || **carrier != Carrier::Ticket);
        let (carrier, token) = wanted.filter_map(|carrier| Some((carrier, carrier.find(request)?))).next()?;
        let token =
            if token.len() > limits::TOKEN_SIZE { Err(token.len()) } else { Ok(Arc::new(Secret::new(token.into()))) };
        let pair = || Carrier::Subprotocol.find(request).is_some();
        Some(Found {
            token,
            is_ticket: *carrier == Carrier::Ticket,
            has_pair: from.contains(&Carrier::Subprotocol) && pair(),
            from: Arc::clone(from),
        })
    }

    /// Whether the answer that opens a WebSocket must name the protocol `bearer`, where it names no other.
    #[must_use]
    pub fn echo_bearer(&self) -> bool {
        self.has_pair
    }

    /// Takes tokens out of the request, from every place in which its auth would look: whoever is behind us must not find
    /// one that nobody judged. Nothing else of it changes.
    pub fn cut(&self, request: &mut Parts) {
        for carrier in self.from.iter() {
            match carrier {
                Carrier::Header if bearer(&request.headers).is_some() => drop(request.headers.remove(AUTHORIZATION)),
                Carrier::Header => {}
                Carrier::Subprotocol => cut_pair(&mut request.headers),
                Carrier::Cookie(name) => cut_cookie(&mut request.headers, name),
                Carrier::Query(name) => cut_query(&mut request.uri, name),
                Carrier::Ticket => cut_query(&mut request.uri, TICKET),
            }
        }
    }
}

impl Carrier {
    fn find<'a>(&self, request: &'a Parts) -> Option<Cow<'a, str>> {
        match self {
            Carrier::Header => bearer(&request.headers).map(Cow::Borrowed),
            Carrier::Subprotocol => pair(&request.headers).map(Cow::Borrowed),
            Carrier::Cookie(name) => cookie(&request.headers, name).map(Cow::Borrowed),
            Carrier::Query(name) => query(&request.uri, name),
            Carrier::Ticket => query(&request.uri, TICKET),
        }
    }
}

/// Gives a credential's token to a request that is forwarded, in place of what the request has there.
pub fn forward(token: &Secret, how: &ForwardToken, request: &mut Parts) {
    match how {
        ForwardToken::Header => {
            if let Some(value) = headers::bearer(token.reveal()) {
                request.headers.insert(AUTHORIZATION, value);
            }
        }
        ForwardToken::Query(name) => {
            cut_query(&mut request.uri, name);
            let mut query = request.uri.query().map_or(String::new(), |query| format!("{query}&"));
            percent::push(&mut query, name, "");
            query.push('=');
            percent::push(&mut query, token.reveal(), "");
            set_query(&mut request.uri, &query);
        }
    }
}

/// `Authorization: Bearer` (RFC 6750, section 2.1); the scheme in any case (RFC 9110, section 11.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get_all(AUTHORIZATION).iter().filter_map(|line| line.to_str().ok()).find_map(|line| {
        let (scheme, token) = line.split_once(' ').unwrap_or((line, ""));
        scheme.eq_ignore_ascii_case(BEARER).then_some(token.trim())
    })
}

/// Lines that are text, and their elements.
fn elements<'a>(headers: &'a HeaderMap, name: &HeaderName, between: char) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(move |line| line.split(between)).map(str::trim).filter(|element| !element.is_empty())
}

fn pair(headers: &HeaderMap) -> Option<&str> {
    let mut protocols = elements(headers, &SEC_WEBSOCKET_PROTOCOL, ',');
    protocols.find(|protocol| *protocol == BEARER)?;
    protocols.next()
}

fn cut_pair(headers: &mut HeaderMap) {
    if pair(headers).is_some() {
        let kept = without_pairs(headers);
        replace(headers, &SEC_WEBSOCKET_PROTOCOL, &kept);
    }
}

/// What stands after `bearer` is a token, however often the pair is said.
fn without_pairs(headers: &HeaderMap) -> String {
    let mut protocols = elements(headers, &SEC_WEBSOCKET_PROTOCOL, ',');
    let mut kept: Vec<&str> = Vec::new();
    while let Some(protocol) = protocols.next() {
        if protocol != BEARER || protocols.next().is_none() {
            kept.push(protocol);
        }
    }
    kept.join(", ")
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let value = elements(headers, &COOKIE, ';').find_map(|one| named_cookie(one, name))?;
    Some(value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value))
}

/// The value of a cookie, if it is the one of this name.
fn named_cookie<'a>(one: &'a str, name: &str) -> Option<&'a str> {
    let (called, value) = one.split_once('=')?;
    (called.trim() == name).then(|| value.trim())
}

fn cut_cookie(headers: &mut HeaderMap, name: &str) {
    if cookie(headers, name).is_none() {
        return;
    }
    let kept: Vec<&str> = elements(headers, &COOKIE, ';').filter(|one| named_cookie(one, name).is_none()).collect();
    let kept = kept.join("; ");
    replace(headers, &COOKIE, &kept);
}

/// One line, or none where nothing is left.
fn replace(headers: &mut HeaderMap, name: &HeaderName, text: &str) {
    headers.remove(name);
    if let Ok(value) = HeaderValue::from_str(text)
        && !text.is_empty()
    {
        headers.insert(name, value);
    }
}

/// A parameter's name and value, as they stand.
fn parameter(pair: &str) -> (&str, &str) {
    pair.split_once('=').unwrap_or((pair, ""))
}

fn query<'a>(uri: &'a Uri, name: &str) -> Option<Cow<'a, str>> {
    let (_, value) = uri.query()?.split('&').map(parameter).find(|(called, _)| decoded(called) == name)?;
    Some(decoded(value))
}

fn cut_query(uri: &mut Uri, name: &str) {
    let Some(query) = uri.query() else { return };
    let is_named = |pair: &&str| decoded(parameter(pair).0) == name;
    if query.split('&').any(|pair| is_named(&pair)) {
        let kept: Vec<&str> = query.split('&').filter(|pair| !is_named(pair)).collect();
        let kept = kept.join("&");
        set_query(uri, &kept);
    }
}

/// The same path; an empty query is none.
fn set_query(uri: &mut Uri, query: &str) {
    let path = uri.path();
    let text = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    let mut parts = std::mem::take(uri).into_parts();
    // Both came out of a URI: they make one.
    parts.path_and_query = Some(PathAndQuery::from_maybe_shared(text).unwrap_or(PathAndQuery::from_static("/")));
    *uri = Uri::from_parts(parts).unwrap_or_default();
}

/// With `%` undone; what is no UTF-8 then stands for itself.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let byte = match (first, after) {
            (b'%', [high, low, ..]) => percent::decode(*high, *low),
            (_, _) => None,
        };
        bytes.push(byte.unwrap_or(if *first == b'+' { b' ' } else { *first }));
        rest = after.get(if byte.is_some() { 2 } else { 0 }..).unwrap_or_default();
    }
    String::from_utf8(bytes).map_or(Cow::Borrowed(text), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::testing::request;

    fn all() -> Arc<[Carrier]> {
        let (query, cookie) = (Carrier::Query("token".to_owned()), Carrier::Cookie("session".to_owned()));
        [Carrier::Header, Carrier::Subprotocol, query, Carrier::Ticket, cookie].into()
    }

    fn found(uri: &str, headers: &[(&str, &str)]) -> Option<String> {
        let found = Found::look(&all(), &request(uri, headers), true)?;
        Some(found.token.unwrap().reveal().to_owned())
    }

    #[track_caller]
    fn check(uri: &str, headers: &[(&str, &str)], expected: Option<&str>) {
        assert_eq!(found(uri, headers).as_deref(), expected, "{uri} {headers:?}");
    }

    /// What is left of a request: its URI, then its headers.
    #[track_caller]
    fn cut(uri: &str, headers: &[(&str, &str)], expected: &[&str]) {
        let mut parts = request(uri, headers);
        Found::look(&all(), &parts, true).expect("a token").cut(&mut parts);
        let lines = parts.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
        let left: Vec<_> = [parts.uri.to_string()].into_iter().chain(lines).collect();
        assert_eq!(left, expected, "{uri} {headers:?}");
    }

    #[test]
    fn a_token_is_found_in_the_header() {
        check("/", &[("authorization", "Bearer abc")], Some("abc"));
        check("/", &[("authorization", "bearer  abc ")], Some("abc"));
        check("/", &[("authorization", "BEARER abc")], Some("abc"));
        check("/", &[("authorization", "Bearer")], Some(""));
        check("/", &[("authorization", "Basic abc")], None);
        check("/", &[("authorization", "Bearerabc")], None);
        check("/", &[("authorization", "Basic x"), ("authorization", "Bearer abc")], Some("abc"));
    }

    #[test]
    fn a_token_is_found_as_the_pair_of_a_subprotocol() {
        check("/", &[("sec-websocket-protocol", "bearer, abc")], Some("abc"));
        check("/", &[("sec-websocket-protocol", "chat,bearer,abc,more")], Some("abc"));
        check("/", &[("sec-websocket-protocol", "bearer"), ("sec-websocket-protocol", "abc")], Some("abc"));
        check("/", &[("sec-websocket-protocol", "bearer")], None);
        check("/", &[("sec-websocket-protocol", "abc, bearer")], None);
        check("/", &[("sec-websocket-protocol", "Bearer, abc")], None);
    }

    #[test]
    fn a_token_is_found_in_the_query_whatever_is_escaped() {
        check("/?token=abc", &[], Some("abc"));
        check("/?a=1&token=abc&b=2", &[], Some("abc"));
        check("/?%74oken=a%2Eb", &[], Some("a.b"));
        check("/?token=one&token=two", &[], Some("one"));
        check("/?token", &[], Some(""));
        check("/?mytoken=abc&tokens=x&Token=y", &[], None);
        check("/?ticket=abc", &[], Some("abc"));
        check("/?ticket=t&token=abc", &[], Some("abc"));
    }

    #[test]
    fn a_token_is_found_in_its_cookie() {
        check("/", &[("cookie", "a=1; session=abc; b=2")], Some("abc"));
        check("/", &[("cookie", "a=1"), ("cookie", "session=\"abc\"")], Some("abc"));
        check("/", &[("cookie", "mysession=abc; Session=x; session")], None);
    }

    #[test]
    fn the_first_carrier_present_decides_also_where_it_is_empty() {
        let both = [("authorization", "Bearer one"), ("sec-websocket-protocol", "bearer, two")];
        check("/?token=three", &both, Some("one"));
        check("/?token=three", &both[1..], Some("two"));
        check("/?token=three", &[("authorization", "Bearer ")], Some(""));
    }

    #[test]
    fn a_token_too_long_is_not_kept() {
        let uri = format!("/?token={}", "x".repeat(limits::TOKEN_SIZE + 1));
        let found = Found::look(&all(), &request(&uri, &[]), true).unwrap();
        assert_eq!(found.token.unwrap_err(), limits::TOKEN_SIZE + 1);
        let uri = format!("/?token={}", "x".repeat(limits::TOKEN_SIZE));
        assert!(Found::look(&all(), &request(&uri, &[]), true).unwrap().token.is_ok());
    }

    #[test]
    fn nothing_else_of_a_query_changes() {
        cut("/ws?token=abc", &[], &["/ws"]);
        cut("/ws?a=%20+&token=abc&b=", &[], &["/ws?a=%20+&b="]);
        cut("/ws?token=abc&&a", &[], &["/ws?&a"]);
        cut("/ws?%74oken=abc&token=d&ticket=e&a", &[], &["/ws?a"]);
        cut("http://host.test/ws?token=abc&a=1", &[], &["http://host.test/ws?a=1"]);
        cut("/%2e?x=token&token=abc", &[], &["/%2e?x=token"]);
    }

    #[test]
    fn the_pair_is_taken_out_and_other_protocols_stay() {
        cut("/", &[("sec-websocket-protocol", "bearer, abc")], &["/"]);
        cut("/", &[("sec-websocket-protocol", "v1, bearer, abc, v2")], &["/", "sec-websocket-protocol: v1, v2"]);
        let lines = [("sec-websocket-protocol", "v1, bearer"), ("sec-websocket-protocol", "abc, bearer, def")];
        cut("/", &lines, &["/", "sec-websocket-protocol: v1"]);
    }

    #[test]
    fn the_one_cookie_and_the_header_are_taken_out_and_others_stay() {
        cut("/", &[("cookie", "a=1; session=abc; b=\"2\"")], &["/", "cookie: a=1; b=\"2\""]);
        cut("/", &[("cookie", "session=abc"), ("cookie", "session=def")], &["/"]);
        cut("/", &[("authorization", "Bearer abc"), ("accept", "x")], &["/", "accept: x"]);
        cut("/?token=abc", &[("authorization", "Basic x")], &["/", "authorization: Basic x"]);
    }

    #[test]
    fn a_second_token_that_nobody_judged_goes_too() {
        let headers =
            [("authorization", "Bearer one"), ("cookie", "session=two"), ("sec-websocket-protocol", "bearer, three")];
        cut("/?token=four&ticket=five", &headers, &["/"]);
    }

    #[test]
    fn where_an_auth_does_not_look_nothing_is_taken() {
        let from: Arc<[Carrier]> = [Carrier::Query("token".to_owned())].into();
        let mut parts = request("/?token=a&ticket=b", &[("authorization", "Bearer x"), ("cookie", "session=y")]);
        let found = Found::look(&from, &parts, true).unwrap();
        found.cut(&mut parts);
        assert_eq!((parts.uri.to_string().as_str(), parts.headers.len()), ("/?ticket=b", 2));
        assert!(!found.echo_bearer());
    }

    #[test]
    fn bearer_is_echoed_to_whoever_offered_it_whichever_carrier_decided() {
        let echo = |uri: &str, headers: &[(&str, &str)]| {
            Found::look(&all(), &request(uri, headers), true).unwrap().echo_bearer()
        };
        let pair = ("sec-websocket-protocol", "bearer, abc");
        assert!(echo("/", &[pair]));
        assert!(echo("/", &[("authorization", "Bearer x"), pair]));
        assert!(!echo("/?token=abc", &[("sec-websocket-protocol", "bearer")]));
    }

    #[test]
    fn a_token_is_forwarded_in_place_of_what_the_client_put_there() {
        let token = Secret::new("a.b-c_d+e".to_owned());
        let mut parts = request("/ws?jwt=mine&a=1", &[("authorization", "Basic x")]);
        forward(&token, &ForwardToken::Header, &mut parts);
        assert_eq!(parts.headers[AUTHORIZATION], "Bearer a.b-c_d+e");
        assert!(parts.headers[AUTHORIZATION].is_sensitive());
        forward(&token, &ForwardToken::Query("jwt".to_owned()), &mut parts);
        assert_eq!(parts.uri, "/ws?a=1&jwt=a.b-c_d%2Be");
        let mut bare = request("/ws", &[]);
        forward(&token, &ForwardToken::Query("jwt".to_owned()), &mut bare);
        assert_eq!(bare.uri, "/ws?jwt=a.b-c_d%2Be");
    }

    #[test]
    fn debug_shows_no_token() {
        let found = Found::look(&all(), &request("/?token=hunter2", &[]), true);
        assert!(!format!("{found:?}").contains("hunter2"));
    }
}
