//! Where a token comes with a request: found, and taken out again, so that it is neither sent upstream nor logged.
//!
//! Owns: the first carrier present decides. Never: judges a token; what is found may be anything.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use http::header::{AUTHORIZATION, COOKIE, SEC_WEBSOCKET_PROTOCOL};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use super::options::{Carrier, ForwardToken};
use crate::limits;
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
            if let Ok(mut value) = HeaderValue::from_str(&format!("Bearer {}", token.reveal())) {
                value.set_sensitive(true);
                request.headers.insert(AUTHORIZATION, value);
            }
        }
        ForwardToken::Query(name) => {
            cut_query(&mut request.uri, name);
            let mut query = request.uri.query().map_or(String::new(), |query| format!("{query}&"));
            encode(&mut query, name);
            query.push('=');
            encode(&mut query, token.reveal());
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
        let hex = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let byte = match (first, after) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low),
            (_, _) => None,
        };
        bytes.push(byte.unwrap_or(if *first == b'+' { b' ' } else { *first }));
        rest = after.get(if byte.is_some() { 2 } else { 0 }..).unwrap_or_default();
    }
    String::from_utf8(bytes).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// What may not stand in a query as it is becomes `%XX` (RFC 3986, section 2.3).
fn encode(into: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            into.push(char::from(byte));
        } else {
            // Writing to a String does not fail.
            let _ = write!(into, "%{byte:02X}");
        }
    }
}
