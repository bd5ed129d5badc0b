//! The opening handshake: RFC 6455 4.2 over HTTP/1.1, RFC 8441 over HTTP/2.
//!
//! [`check_h1`] or [`check_h2`] reads the request into an [`Offer`], [`response`] answers it. Which subprotocol is spoken
//! and whether to compress is the caller's choice among what was offered.
//!
//! Owns: [`Offer`], [`Refusal`]. Never: looks at `Origin` or tokens (the guards do), nor prints a subprotocol: it may be a token.

use std::fmt;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use http::header::{self, AsHeaderName};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version, request};
use sha1::{Digest as _, Sha1};

pub use super::extensions::Deflate;
use super::extensions::{is_token, negotiate};
use crate::limits;

/// What a client offers to speak, of what we understand.
pub struct Offer {
    /// In the client's order, none twice, at most [`limits::SUBPROTOCOLS`]. One of them may be a token.
    pub protocols: Vec<String>,
    /// The first offer of permessage-deflate that we can meet. `None` it to decline.
    pub deflate: Option<Deflate>,
    /// What proves over HTTP/1.1 that the request was understood; HTTP/2 needs no such proof.
    accept: Option<HeaderValue>,
}

/// Why a request is not upgraded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.message())]
pub enum Refusal {
    NotGet,
    NotUpgrade,
    BadVersion,
    BadKey,
    /// Malformed in the way that is said.
    BadHead(&'static str),
}

/// What the client's key is hashed with (RFC 6455, 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Bytes of a client's key, decoded.
const KEY: usize = 16;
const VERSION: HeaderValue = HeaderValue::from_static("13");
const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");
/// The protocol that a client names before its token; it is the one that such a client is answered with.
pub const BEARER: HeaderValue = HeaderValue::from_static("bearer");
const UPGRADE: HeaderValue = HeaderValue::from_static("upgrade");
/// Takes the example of RFC 6455 4.1 too, whose last character has bits that stand for nothing.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

/// Whether an HTTP/1.1 request asks for a WebSocket at all; if so, [`check_h1`] says whether it asks well.
/// (Over HTTP/2 the request's `:protocol` says so.)
#[must_use]
pub fn wants_websocket(method: &Method, version: Version, headers: &HeaderMap) -> bool {
    method == Method::GET && version == Version::HTTP_11 && asks_to_upgrade(headers)
}

/// Reads an HTTP/1.1 request (RFC 6455, 4.2.1).
///
/// # Errors
/// The first rule that it breaks.
pub fn check_h1(request: &request::Parts) -> Result<Offer, Refusal> {
    let headers = &request.headers;
    if request.method != Method::GET {
        return Err(Refusal::NotGet);
    }
    if request.version != Version::HTTP_11 {
        return Err(Refusal::BadHead("a WebSocket needs HTTP/1.1"));
    }
    if !asks_to_upgrade(headers) {
        return Err(Refusal::NotUpgrade);
    }
    if only(headers, header::HOST).is_none() {
        return Err(Refusal::BadHead("exactly one Host is needed"));
    }
    // What follows such a head could be a body or frames, and another hop may take it for the other.
    let length = headers.get(header::CONTENT_LENGTH);
    if headers.contains_key(header::TRANSFER_ENCODING) || length.is_some_and(|length| length != "0") {
        return Err(Refusal::BadHead("a request for a WebSocket has no body"));
    }
    check_version(headers)?;
    let key = only(headers, header::SEC_WEBSOCKET_KEY).ok_or(Refusal::BadKey)?;
    offer(headers, Some(accept(key)?))
}

/// Reads the headers of an HTTP/2 extended CONNECT whose `:protocol` is `websocket` (RFC 8441, 5): it has no key.
///
/// # Errors
/// The first rule that it breaks.
pub fn check_h2(headers: &HeaderMap) -> Result<Offer, Refusal> {
    check_version(headers)?;
    offer(headers, None)
}

/// The answer that opens the socket: 101 over HTTP/1.1, 200 over HTTP/2. `protocol` is the one to speak; it is said only
/// if it was offered.
#[must_use]
pub fn response(offer: &Offer, protocol: Option<&str>) -> Response<()> {
    let mut response = Response::new(());
    if let Some(accept) = &offer.accept {
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, UPGRADE);
        headers.insert(header::UPGRADE, WEBSOCKET);
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept.clone());
    }
    if let Some(deflate) = offer.deflate {
        response.headers_mut().insert(header::SEC_WEBSOCKET_EXTENSIONS, deflate.answer());
    }
    let protocol = protocol.filter(|&protocol| offer.protocols.iter().any(|offered| offered == protocol));
    if let Some(Ok(protocol)) = protocol.map(HeaderValue::from_str) {
        response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    response
}

impl Refusal {
    /// What it is answered with.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Refusal::NotGet => StatusCode::METHOD_NOT_ALLOWED,
            Refusal::NotUpgrade | Refusal::BadVersion => StatusCode::UPGRADE_REQUIRED,
            Refusal::BadKey | Refusal::BadHead(_) => StatusCode::BAD_REQUEST,
        }
    }

    /// For the client to read.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Refusal::NotGet => "a WebSocket is asked for with GET",
            Refusal::NotUpgrade => "this is a WebSocket: ask for an upgrade",
            Refusal::BadVersion => "Sec-WebSocket-Version must be 13",
            Refusal::BadKey => "exactly one Sec-WebSocket-Key of 16 bytes in base64 is needed",
            Refusal::BadHead(message) => message,
        }
    }

    /// What the answer must say beside its status: `Allow` with 405; with 426 the version that we speak (RFC 6455, 4.4)
    /// and, where the request's HTTP `version` knows it, `Upgrade` (RFC 9110, 15.5.22).
    #[must_use]
    pub fn headers(self, version: Version) -> HeaderMap {
        let mut headers = HeaderMap::new();
        match self {
            Refusal::NotGet => {
                headers.insert(header::ALLOW, HeaderValue::from_static("GET"));
            }
            Refusal::NotUpgrade | Refusal::BadVersion => {
                headers.insert(header::SEC_WEBSOCKET_VERSION, VERSION);
                if version <= Version::HTTP_11 {
                    headers.insert(header::CONNECTION, UPGRADE);
                    headers.insert(header::UPGRADE, WEBSOCKET);
                }
            }
            Refusal::BadKey | Refusal::BadHead(_) => {}
        }
        headers
    }
}

impl fmt::Debug for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocols = format_args!("{} of them", self.protocols.len());
        f.debug_struct("Offer").field("protocols", &protocols).field("deflate", &self.deflate).finish_non_exhaustive()
    }
}

fn offer(headers: &HeaderMap, accept: Option<HeaderValue>) -> Result<Offer, Refusal> {
    Ok(Offer { protocols: protocols(headers)?, deflate: negotiate(headers)?, accept })
}

fn asks_to_upgrade(headers: &HeaderMap) -> bool {
    has_token(headers, header::CONNECTION, "upgrade") && has_token(headers, header::UPGRADE, "websocket")
}

/// Whether a list, over all of its lines, has `token` in it.
fn has_token(headers: &HeaderMap, name: impl AsHeaderName, token: &str) -> bool {
    let lines = headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(elements).any(|element| element.eq_ignore_ascii_case(token))
}

/// The elements of a list; empty ones are passed over (RFC 9110, 5.6.1.2).
fn elements(line: &str) -> impl Iterator<Item = &str> {
    line.split(',').map(|element| element.trim_matches([' ', '\t'])).filter(|element| !element.is_empty())
}

/// The value of a header that is there exactly once.
fn only(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&HeaderValue> {
    let mut lines = headers.get_all(name).into_iter();
    lines.next().filter(|_| lines.next().is_none())
}

fn check_version(headers: &HeaderMap) -> Result<(), Refusal> {
    match only(headers, header::SEC_WEBSOCKET_VERSION) {
        Some(version) if *version == VERSION => Ok(()),
        Some(_) | None => Err(Refusal::BadVersion),
    }
}

/// A client's key, made of `random` bits, and what a server that speaks WebSocket says to it (RFC 6455, section 4.1).
#[must_use]
pub fn key_and_accept(random: [u64; 2]) -> (HeaderValue, HeaderValue) {
    let bytes = random.map(u64::to_be_bytes).concat();
    // Base64 is always a header's value, and of 16 bytes a key.
    let key = HeaderValue::try_from(BASE64.encode(bytes)).unwrap_or(VERSION);
    let accept = accept(&key).unwrap_or(VERSION);
    (key, accept)
}

/// What `Sec-WebSocket-Accept` says to a key.
fn accept(key: &HeaderValue) -> Result<HeaderValue, Refusal> {
    let decoded = BASE64.decode(key.as_bytes()).map_err(|_| Refusal::BadKey)?;
    if decoded.len() != KEY {
        return Err(Refusal::BadKey);
    }
    let hash = Sha1::new().chain_update(key.as_bytes()).chain_update(GUID).finalize();
    HeaderValue::try_from(BASE64.encode(hash)).map_err(|_| Refusal::BadKey)
}

fn protocols(headers: &HeaderMap) -> Result<Vec<String>, Refusal> {
    let mut protocols: Vec<String> = Vec::new();
    for line in headers.get_all(header::SEC_WEBSOCKET_PROTOCOL) {
        let line = line.to_str().map_err(|_| Refusal::BadHead("Sec-WebSocket-Protocol is malformed"))?;
        for protocol in elements(line) {
            if !protocol.chars().all(is_token) {
                return Err(Refusal::BadHead("Sec-WebSocket-Protocol is malformed"));
            }
            if protocols.iter().any(|earlier| earlier == protocol) {
                return Err(Refusal::BadHead("Sec-WebSocket-Protocol names one twice"));
            }
            if protocols.len() == limits::SUBPROTOCOLS {
                return Err(Refusal::BadHead("Sec-WebSocket-Protocol names too many"));
            }
            protocols.push(protocol.to_owned());
        }
    }
    Ok(protocols)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &[(&str, &str)] = &[
        ("host", "example.com"),
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "WebSocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    /// The good request, with all lines of the headers in `other` replaced by those given; "-" is none.
    fn request(other: &[(&str, &str)]) -> request::Parts {
        let kept = GOOD.iter().filter(|(name, _)| other.iter().all(|(replaced, _)| replaced != name));
        let given = other.iter().filter(|(_, value)| *value != "-");
        let builder = http::Request::get("/ws");
        kept.chain(given)
            .fold(builder, |builder, (name, value)| builder.header(*name, *value))
            .body(())
            .unwrap()
            .into_parts()
            .0
    }

    #[track_caller]
    fn refused(other: &[(&str, &str)], refusal: Refusal) {
        assert_eq!(check_h1(&request(other)).map(|_| ()), Err(refusal), "{other:?}");
    }

    #[track_caller]
    fn accepted(other: &[(&str, &str)]) -> Offer {
        let parts = request(other);
        assert!(wants_websocket(&parts.method, parts.version, &parts.headers));
        check_h1(&parts).unwrap()
    }

    fn lines(headers: &HeaderMap) -> Vec<String> {
        let mut lines: Vec<_> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        lines.sort();
        lines
    }

    #[test]
    fn the_example_of_rfc_6455_1_3_is_answered() {
        let response = response(&accepted(&[]), None);
        assert_eq!(response.status(), 101);
        assert_eq!(
            lines(response.headers()),
            ["connection: upgrade", "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "upgrade: websocket"]
        );
    }

    #[test]
    fn a_whole_answer_names_one_protocol_and_the_compression() {
        let mut offer = accepted(&[
            ("sec-websocket-protocol", "bearer, abc.def-_"),
            ("sec-websocket-protocol", "chat"),
            ("sec-websocket-extensions", "permessage-deflate; client_max_window_bits"),
        ]);
        assert_eq!(offer.protocols, ["bearer", "abc.def-_", "chat"]);
        let answer = lines(response(&offer, Some("chat")).headers());
        assert_eq!(
            answer[2],
            "sec-websocket-extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover"
        );
        assert_eq!(answer[3], "sec-websocket-protocol: chat");
        offer.deflate = None;
        assert_eq!(response(&offer, Some("not offered")).headers().len(), 3);
    }

    #[test]
    fn http2_is_answered_with_200_and_no_key() {
        let mut headers = HeaderMap::new();
        assert_eq!(check_h2(&headers).map(|_| ()), Err(Refusal::BadVersion));
        headers.insert(header::SEC_WEBSOCKET_VERSION, VERSION);
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("a"));
        headers.insert(header::SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_static("permessage-deflate"));
        let response = response(&check_h2(&headers).unwrap(), Some("a"));
        assert_eq!(response.status(), 200);
        assert_eq!(
            lines(response.headers()),
            [
                "sec-websocket-extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover",
                "sec-websocket-protocol: a"
            ]
        );
    }

    #[test]
    fn lists_may_be_spread_over_lines_and_cases() {
        accepted(&[("connection", "keep-alive"), ("connection", " ,UPGRADE")]);
        accepted(&[("upgrade", "h2c, websocket")]);
        accepted(&[("content-length", "0")]);
        accepted(&[("sec-websocket-key", "AQIDBAUGBwgJCgsMDQ4PEC==")]);
        assert!(accepted(&[("sec-websocket-protocol", " , ")]).protocols.is_empty());
    }

    #[test]
    fn a_request_without_an_upgrade_does_not_want_a_websocket() {
        for other in [("connection", "keep-alive"), ("connection", "-"), ("upgrade", "h2c"), ("upgrade", "-")] {
            let parts = request(&[other]);
            assert!(!wants_websocket(&parts.method, parts.version, &parts.headers));
            refused(&[other], Refusal::NotUpgrade);
        }
        let headers = request(&[]).headers;
        assert!(!wants_websocket(&Method::POST, Version::HTTP_11, &headers));
        assert!(!wants_websocket(&Method::GET, Version::HTTP_10, &headers));
        assert!(!wants_websocket(&Method::GET, Version::HTTP_2, &headers));
    }

    #[test]
    fn malformed_requests_are_refused() {
        refused(&[("host", "-")], Refusal::BadHead("exactly one Host is needed"));
        refused(&[("host", "a"), ("host", "b")], Refusal::BadHead("exactly one Host is needed"));
        let body = Refusal::BadHead("a request for a WebSocket has no body");
        refused(&[("content-length", "5")], body);
        refused(&[("transfer-encoding", "chunked")], body);
        for version in ["-", "8", "13, 8", "14", "013"] {
            refused(&[("sec-websocket-version", version)], Refusal::BadVersion);
        }
        refused(&[("sec-websocket-version", "13"), ("sec-websocket-version", "13")], Refusal::BadVersion);
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        for key in [
            "-",
            "",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25j",
            "dGhlIHNhbXBsZSBub25jZSE=",
            "?GhlIHNhbXBsZSBub25jZQ==",
        ] {
            refused(&[("sec-websocket-key", key)], Refusal::BadKey);
        }
        refused(&[("sec-websocket-key", key), ("sec-websocket-key", key)], Refusal::BadKey);
        refused(&[("sec-websocket-extensions", "a;")], Refusal::BadHead("Sec-WebSocket-Extensions is malformed"));
        let mut post = request(&[]);
        post.method = Method::POST;
        assert_eq!(check_h1(&post).map(|_| ()), Err(Refusal::NotGet));
        let mut old = request(&[]);
        old.version = Version::HTTP_10;
        assert_eq!(check_h1(&old).map(|_| ()), Err(Refusal::BadHead("a WebSocket needs HTTP/1.1")));
    }

    #[test]
    fn subprotocols_are_tokens_unique_and_bounded() {
        let line = "sec-websocket-protocol";
        refused(&[(line, "a b")], Refusal::BadHead("Sec-WebSocket-Protocol is malformed"));
        refused(&[(line, "a, b, a")], Refusal::BadHead("Sec-WebSocket-Protocol names one twice"));
        refused(&[(line, "a"), (line, "a")], Refusal::BadHead("Sec-WebSocket-Protocol names one twice"));
        let names: Vec<String> = (0..=limits::SUBPROTOCOLS).map(|at| format!("p{at}")).collect();
        assert_eq!(accepted(&[(line, &names[1..].join(","))]).protocols, names[1..]);
        refused(&[(line, &names.join(","))], Refusal::BadHead("Sec-WebSocket-Protocol names too many"));
    }

    #[test]
    fn an_offer_never_prints_its_subprotocols() {
        let offer = accepted(&[("sec-websocket-protocol", "bearer, s3cret")]);
        assert!(!format!("{offer:?}").contains("s3cret"));
    }

    #[test]
    fn each_refusal_says_what_the_client_needs_to_know() {
        let says = |refusal: Refusal, version| (refusal.status().as_u16(), lines(&refusal.headers(version)));
        let upgrade = ["connection: upgrade", "sec-websocket-version: 13", "upgrade: websocket"].map(str::to_owned);
        assert_eq!(says(Refusal::BadVersion, Version::HTTP_11), (426, upgrade.to_vec()));
        assert_eq!(says(Refusal::NotUpgrade, Version::HTTP_11), (426, upgrade.to_vec()));
        assert_eq!(says(Refusal::BadVersion, Version::HTTP_2), (426, upgrade[1..2].to_vec()));
        assert_eq!(says(Refusal::NotGet, Version::HTTP_11), (405, vec!["allow: GET".to_owned()]));
        assert_eq!(says(Refusal::BadKey, Version::HTTP_11), (400, vec![]));
        assert_eq!(Refusal::BadHead("x").to_string(), "x");
    }
}
