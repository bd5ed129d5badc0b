//! The heads of requests and answers, as bytes (RFC 9112, sections 2 to 6).
//!
//! Owns: where an answer's body ends (section 6.3). Never: writes a field that frames a request but by the body that goes
//! with it.

use std::mem::MaybeUninit;

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::ext::ReasonPhrase;

use super::failure::Broken;
use crate::limits;
use crate::message::framing;
use crate::message::trail::Trail;

/// An answer's head.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) parts: Parts,
    pub(super) length: Length,
    /// The connection may be used once more after its body.
    pub(super) keeps: bool,
}

/// How long a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    Known(u64),
    Chunked,
    /// Until the connection ends.
    Close,
}

/// How a request's body is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Nothing,
    Length(u64),
    Chunked,
}

/// What most heads fit in, in bytes: one small allocation.
const USUAL: usize = 1000;

/// Fields that an answer is given on its way on: a map that grew for them would cost more than reading it did.
const OURS: usize = 2;

/// The request's head, in origin form; `trail` behind its own fields.
pub(super) fn request<B>(request: &Request<B>, trail: &Trail, framing: Framing) -> Vec<u8> {
    let mut head = Vec::with_capacity(USUAL);
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    let mut push = |part: &[u8]| head.extend_from_slice(part);
    push(request.method().as_str().as_bytes());
    push(b" ");
    push(target.as_bytes());
    push(b" HTTP/1.1\r\n");
    for (name, value) in request.headers() {
        if *name == CONTENT_LENGTH || *name == TRANSFER_ENCODING {
            continue;
        }
        push(name.as_str().as_bytes());
        push(b": ");
        push(value.as_bytes());
        push(b"\r\n");
    }
    push(trail.lines());
    match framing {
        Framing::Nothing => push(b"\r\n"),
        Framing::Length(length) => push(format!("content-length: {length}\r\n\r\n").as_bytes()),
        Framing::Chunked => push(b"transfer-encoding: chunked\r\n\r\n"),
    }
    head
}

/// Takes the answer's head off what was `heard`, once it is there whole.
///
/// # Errors
/// If it is none, or where its body ends can be read in two ways.
pub(super) fn response(heard: &mut BytesMut, asked: &Method) -> Result<Option<Head>, Broken> {
    let mut fields = [const { MaybeUninit::uninit() }; limits::UPSTREAM_FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    let strict = httparse::ParserConfig::default();
    let length = match strict.parse_response_with_uninit_headers(&mut parsed, heard, &mut fields) {
        Ok(httparse::Status::Complete(length)) if length <= limits::UPSTREAM_HEAD => length,
        Ok(httparse::Status::Partial) if heard.len() < limits::UPSTREAM_HEAD => return Ok(None),
        Ok(httparse::Status::Complete(_) | httparse::Status::Partial) => {
            return Err(Broken::Head(limits::UPSTREAM_HEAD));
        }
        Err(error) => return Err(Broken::NoHttp(error.to_string())),
    };
    let (version, code) = (parsed.version, parsed.code.unwrap_or_default());
    let status = StatusCode::from_u16(code).map_err(|error| Broken::NoHttp(error.to_string()))?;
    let reason = parsed.reason.unwrap_or_default();
    let reason = (status.canonical_reason() != Some(reason)).then(|| Bytes::copy_from_slice(reason.as_bytes()));
    let start = heard.as_ptr() as usize;
    let places: Vec<Place> = parsed.headers.iter().map(|field| Place::of(field, start)).collect();
    let head = heard.split_to(length).freeze();
    let (mut parts, ()) = Response::new(()).into_parts();
    parts.status = status;
    parts.version = if version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
    parts.headers = headers(&head, &places)?;
    if let Some(reason) = reason.and_then(|reason| ReasonPhrase::try_from(reason).ok()) {
        parts.extensions.insert(reason);
    }
    let length = body(&parts, asked)?;
    let keeps = length != Length::Close && keeps(&parts) && !belies_itself(&parts);
    Ok(Some(Head { parts, length, keeps }))
}

/// Where a field stands in the head.
#[derive(Debug, Clone, Copy)]
struct Place {
    name: (usize, usize),
    value: (usize, usize),
}

impl Place {
    fn of(field: &httparse::Header<'_>, start: usize) -> Place {
        let place = |part: &[u8]| {
            let from = (part.as_ptr() as usize).saturating_sub(start);
            (from, from + part.len())
        };
        Place { name: place(field.name.as_bytes()), value: place(field.value) }
    }
}

/// Values are parts of the head, which is kept for them.
fn headers(head: &Bytes, places: &[Place]) -> Result<HeaderMap, Broken> {
    let no_http = |error: &dyn std::fmt::Display| Broken::NoHttp(error.to_string());
    let mut headers = HeaderMap::with_capacity(places.len() + OURS);
    for Place { name, value } in places {
        let name = HeaderName::from_bytes(head.get(name.0..name.1).unwrap_or_default());
        let value = if value.0 == value.1 { Bytes::new() } else { head.slice(value.0..value.1) };
        let value = HeaderValue::from_maybe_shared(value).map_err(|error| no_http(&error))?;
        headers.append(name.map_err(|error| no_http(&error))?, value);
    }
    Ok(headers)
}

/// RFC 9112, section 6.3.
fn body(parts: &Parts, asked: &Method) -> Result<Length, Broken> {
    let switches = parts.status == StatusCode::SWITCHING_PROTOCOLS;
    if !switches {
        framing::response(parts.status, &parts.headers, None).map_err(Broken::Ambiguous)?;
    }
    let nothing = parts.status.is_informational()
        || matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        || *asked == Method::HEAD;
    if nothing {
        return Ok(Length::Known(0));
    }
    if parts.headers.contains_key(TRANSFER_ENCODING) {
        // Before HTTP/1.1 there was none (section 6.1).
        let chunked = parts.version == Version::HTTP_11;
        return if chunked { Ok(Length::Chunked) } else { Err(Broken::Ambiguous(framing::Rule::Encoding)) };
    }
    Ok(said_length(&parts.headers).map_or(Length::Close, Length::Known))
}

/// What `Content-Length` says.
pub(super) fn said_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// RFC 9112, section 9.3.
fn keeps(parts: &Parts) -> bool {
    let says = |option: &str| {
        let options =
            parts.headers.get_all(CONNECTION).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
        options.into_iter().any(|one| one.trim_ascii().eq_ignore_ascii_case(option.as_bytes()))
    };
    !says("close") && (parts.version == Version::HTTP_11 || says("keep-alive"))
}

/// It is a 204 and says that it has a body, which it may not (RFC 9110, section 8.6; RFC 9112, section 6.1): one may well
/// follow, and would be taken for the next answer.
fn belies_itself(parts: &Parts) -> bool {
    parts.status == StatusCode::NO_CONTENT
        && (parts.headers.contains_key(TRANSFER_ENCODING)
            || said_length(&parts.headers).is_some_and(|length| length > 0))
}

/// How the body of a request is framed that has `length` bytes, or does not know.
pub(super) fn framing(method: &Method, length: Option<u64>) -> Framing {
    match length {
        // A server would wait for a body where one is usual (RFC 9110, section 8.6).
        Some(0) if matches!(*method, Method::POST | Method::PUT | Method::PATCH) => Framing::Length(0),
        Some(0) => Framing::Nothing,
        Some(length) => Framing::Length(length),
        None => Framing::Chunked,
    }
}

#[cfg(test)]
mod tests {
    use http::header::HOST;

    use super::*;

    /// Fed byte by byte: the status, how long its body is, whether the connection is kept, and what was left.
    #[track_caller]
    fn check(method: Method, answer: &str, expected: (u16, Length, bool)) {
        let mut heard = BytesMut::new();
        let taken = answer.bytes().find_map(|byte| {
            heard.extend_from_slice(&[byte]);
            response(&mut heard, &method).unwrap()
        });
        let Head { parts, length, keeps } = taken.expect("it is whole");
        assert_eq!((parts.status.as_u16(), length, keeps), expected, "{answer:?}");
        assert!(heard.is_empty());
    }

    #[track_caller]
    fn check_refused(answer: &str, expected: &str) {
        let error = response(&mut BytesMut::from(answer), &Method::GET).unwrap_err();
        assert!(error.is_answer() && error.to_string().contains(expected), "{answer:?}: {error}");
    }

    #[test]
    fn where_a_body_ends_is_what_the_head_says() {
        let get = Method::GET;
        check(get.clone(), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", (200, Length::Known(5), true));
        check(get.clone(), "HTTP/1.1 200\r\ncontent-length:0\r\n\r\n", (200, Length::Known(0), true));
        check(get.clone(), "HTTP/1.1 200 OK\r\nTransfer-Encoding: CHUNKED\r\n\r\n", (200, Length::Chunked, true));
        check(get.clone(), "HTTP/1.1 200 OK\r\n\r\n", (200, Length::Close, false));
        check(get.clone(), "HTTP/1.1 204 No Content\r\n\r\n", (204, Length::Known(0), true));
        check(get.clone(), "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", (304, Length::Known(0), true));
        check(get.clone(), "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", (103, Length::Known(0), true));
        check(get.clone(), "HTTP/1.1 101 Switching Protocols\r\nUpgrade: a\r\n\r\n", (101, Length::Known(0), true));
        check(Method::HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", (200, Length::Known(0), true));
        check(
            get.clone(),
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: x, Close\r\n\r\n",
            (200, Length::Known(5), false),
        );
        check(get.clone(), "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", (200, Length::Known(5), false));
        check(
            get.clone(),
            "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive, close\r\n\r\n",
            (200, Length::Known(5), false),
        );
        check(
            get.clone(),
            "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
            (204, Length::Known(0), false),
        );
        check(get.clone(), "HTTP/1.1 204 No Content\r\nContent-Length: 1\r\n\r\n", (204, Length::Known(0), false));
        check(get.clone(), "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", (204, Length::Known(0), true));
        check(
            get,
            "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n",
            (200, Length::Known(5), true),
        );
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        check_refused("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", "more than one");
        check_refused("HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n", "no number");
        check_refused("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "both");
        check_refused("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "other than chunked");
        check_refused("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "other than chunked");
        check_refused("HTTP/1.1 204 OK\r\nTransfer-Encoding: x\r\n\r\n", "other than chunked");
        check_refused("HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n", "no HTTP");
        check_refused("HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", "no HTTP");
        check_refused("HTTP/2 200 OK\r\n\r\n", "no HTTP");
        check_refused("SSH-2.0-OpenSSH\r\n", "no HTTP");
        let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(limits::UPSTREAM_HEAD));
        check_refused(&long, "larger than");
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: a\r\n".repeat(limits::UPSTREAM_FIELDS + 1));
        check_refused(&many, "no HTTP");
    }

    #[test]
    fn fields_and_an_unusual_reason_are_kept_as_they_came() {
        let mut heard = BytesMut::from("HTTP/1.1 200 Fine\r\nX-Twice: 1\r\nx-twice:  \u{e9} \r\nX-Empty:\r\n\r\nbody");
        let Head { parts, .. } = response(&mut heard, &Method::GET).unwrap().unwrap();
        let fields: Vec<_> = parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let accent = "\u{e9}".as_bytes();
        assert_eq!(fields, [("x-twice", b"1".as_slice()), ("x-twice", accent), ("x-empty", b"")]);
        assert_eq!(parts.extensions.get::<ReasonPhrase>().unwrap().as_bytes(), b"Fine");
        assert_eq!(heard, "body");
    }

    #[test]
    fn a_request_is_said_in_origin_form_and_framed_by_its_body() {
        let built = |method: Method, uri: &'static str| {
            let built = Request::builder().method(method).uri(uri).header(HOST, "app").header("content-length", "9");
            built.header("transfer-encoding", "chunked").body(()).unwrap()
        };
        let nothing = Trail::default();
        let said =
            |request: &Request<()>, framing| String::from_utf8(super::request(request, &nothing, framing)).unwrap();
        let get = built(Method::GET, "/a?b=c");
        assert_eq!(said(&get, Framing::Nothing), "GET /a?b=c HTTP/1.1\r\nhost: app\r\n\r\n");
        assert_eq!(said(&get, Framing::Length(5)), "GET /a?b=c HTTP/1.1\r\nhost: app\r\ncontent-length: 5\r\n\r\n");
        let options = said(&built(Method::OPTIONS, "*"), Framing::Chunked);
        assert_eq!(options, "OPTIONS * HTTP/1.1\r\nhost: app\r\ntransfer-encoding: chunked\r\n\r\n");
        assert_eq!(framing(&Method::POST, Some(0)), Framing::Length(0));
        assert_eq!(framing(&Method::GET, Some(0)), Framing::Nothing);
        assert_eq!(framing(&Method::GET, Some(3)), Framing::Length(3));
        assert_eq!(framing(&Method::PUT, None), Framing::Chunked);
    }
}
