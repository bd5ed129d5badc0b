//! Compression on the way to the client (`compress`), of what is text and not compressed yet.
//!
//! Owns: which answers are compressed (RFC 9110, sections 8.4 and 12.5.3), and what becomes of their headers. Never: holds
//! back what a slow upstream has sent: where nothing more is there, what is has been flushed. Never: an event stream.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use http_body::{Body as _, Frame};

use super::body::{Body, Error};
use super::coder::{self, Coder, Effort};
use super::coding::{Accepted, Coding};

/// What a request says that its answer's compression depends on.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    pub accepted: Accepted,
    /// Only the head is wanted: it says what GET's would.
    pub head: bool,
}

/// What bounds a compressor.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Answers known to have fewer bytes are left alone.
    pub min: u64,
    /// Bytes compressed before other connections have their turn.
    pub turn: usize,
    /// Of the compressor's window.
    pub window_bits: u8,
}

/// At equal weights the one that takes the least time for its size.
const ORDER: [Coding; 3] = [Coding::Zstd, Coding::Brotli, Coding::Gzip];
/// Types that are text though their names do not say so.
const TEXT: [&str; 12] = [
    "application/javascript",
    "application/json",
    "application/graphql",
    "application/rtf",
    "application/toml",
    "application/vnd.ms-fontobject",
    "application/wasm",
    "application/x-javascript",
    "application/x-ndjson",
    "application/xml",
    "font/otf",
    "font/ttf",
];
/// What was made of the bytes as they were.
const DIGESTS: [HeaderName; 4] = [
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-md5"),
];

impl Wanted {
    #[must_use]
    pub fn of(method: &Method, headers: &HeaderMap) -> Wanted {
        Wanted { accepted: Accepted::of(headers), head: *method == Method::HEAD }
    }
}

/// The answer, compressed where it may and should be. What was upgraded must not come here.
#[must_use]
pub fn answer(wanted: &Wanted, response: Response<Body>, bounds: &Bounds) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    let coding = wanted.accepted.best(&ORDER, |_| true);
    if parts.status == StatusCode::NOT_MODIFIED {
        // What it speaks of was compressed; a weak tag fits whatever it was (RFC 9111, section 4.3.4).
        if coding.is_some() && !parts.headers.contains_key(CONTENT_ENCODING) {
            weaken(&mut parts.headers);
            vary(&mut parts.headers);
        }
        return Response::from_parts(parts, body);
    }
    if !may_be(parts.status, &parts.headers) || length(&parts.headers, &body).is_some_and(|length| length < bounds.min)
    {
        return Response::from_parts(parts, body);
    }
    vary(&mut parts.headers);
    let Some(coding) = coding else { return Response::from_parts(parts, body) };
    // Without a body, no length is made up for it.
    let body = if wanted.head { Ok(Body::Empty) } else { coded(body, coding, bounds) };
    match body {
        Ok(body) => {
            recode(&mut parts.headers, coding);
            Response::from_parts(parts, body)
        }
        Err(body) => Response::from_parts(parts, body),
    }
}

/// The body coded, or itself where nothing is gained.
fn coded(body: Body, coding: Coding, bounds: &Bounds) -> Result<Body, Body> {
    match body {
        Body::Whole(plain) if plain.len() <= bounds.turn => {
            match coder::whole(coding, Effort::Fast, bounds.window_bits, &plain) {
                Ok(coded) if coded.len() < plain.len() => Ok(Body::Whole(coded)),
                Ok(_) | Err(_) => Err(Body::Whole(plain)),
            }
        }
        Body::Empty | Body::Whole(_) | Body::Stream(_) | Body::Passing(_) => {
            match Coder::try_new(coding, Effort::Fast, bounds.window_bits) {
                Ok(coder) => Ok(Body::Passing(Box::pin(Compressing::new(body, coder, bounds.turn)))),
                Err(_) => Err(body),
            }
        }
    }
}

/// Whether an answer of this type gains by it.
#[must_use]
pub fn is_text(type_: &HeaderValue) -> bool {
    let Ok(type_) = type_.to_str() else { return false };
    let type_ = type_.split(';').next().unwrap_or(type_).trim().to_ascii_lowercase();
    let text = type_.starts_with("text/") || type_.ends_with("+json") || type_.ends_with("+xml");
    (text && type_ != "text/event-stream") || TEXT.contains(&type_.as_str())
}

/// Whether this `Cache-Control` wants the answer sent as it is.
#[must_use]
pub fn forbidden_by(value: &HeaderValue) -> bool {
    let directives = value.to_str().unwrap_or_default().split(',');
    directives.map(str::trim).any(|directive| directive.eq_ignore_ascii_case("no-transform"))
}

/// Says once that the answer depends on `Accept-Encoding`.
pub fn vary(headers: &mut HeaderMap) {
    let names = headers.get_all(VARY).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let said = names.map(str::trim).any(|name| name == "*" || name.eq_ignore_ascii_case("accept-encoding"));
    if !said {
        headers.append(VARY, HeaderValue::from_static("accept-encoding"));
    }
}

/// Whether nobody has coded the answer, or forbidden that (RFC 9110, section 7.7).
fn may_be(status: StatusCode, headers: &HeaderMap) -> bool {
    let bare = matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::PARTIAL_CONTENT);
    let directives = headers
        .get_all(CACHE_CONTROL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    let forbidden = directives.map(str::trim).any(|directive| directive.eq_ignore_ascii_case("no-transform"));
    !status.is_informational()
        && !bare
        && !forbidden
        && !headers.contains_key(CONTENT_ENCODING)
        && !headers.contains_key(CONTENT_RANGE)
        && headers.get(CONTENT_TYPE).is_some_and(is_text)
}

/// As the head says, else as the body knows; an answer to HEAD may say nothing.
fn length(headers: &HeaderMap, body: &Body) -> Option<u64> {
    let said = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()).and_then(|value| value.parse().ok());
    said.or_else(|| body.size_hint().exact())
}

/// What the head says once the body is coded.
fn recode(headers: &mut HeaderMap, coding: Coding) {
    headers.insert(CONTENT_ENCODING, coding.value());
    headers.remove(CONTENT_LENGTH);
    headers.remove(ACCEPT_RANGES);
    for digest in &DIGESTS {
        headers.remove(digest);
    }
    weaken(headers);
}

/// The same text, other bytes (RFC 9110, section 8.8.1).
fn weaken(headers: &mut HeaderMap) {
    let Some(tag) = headers.get(ETAG).filter(|tag| !tag.as_bytes().starts_with(b"W/")) else { return };
    if let Ok(weak) = HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat()) {
        headers.insert(ETAG, weak);
    }
}

/// A body on its way through a compressor.
struct Compressing {
    body: Body,
    /// Until it has given its last.
    coder: Option<Coder>,
    /// Not yet compressed.
    plain: Bytes,
    trailers: Option<Frame<Bytes>>,
    turn: usize,
    /// The compressor may hold something back.
    held: bool,
    /// A turn was taken; others are next.
    rests: bool,
}

impl Compressing {
    fn new(body: Body, coder: Coder, turn: usize) -> Compressing {
        let turn = turn.max(1);
        Compressing { body, coder: Some(coder), plain: Bytes::new(), trailers: None, turn, held: false, rests: false }
    }

    /// Compresses one turn's worth.
    fn step(&mut self) -> io::Result<Bytes> {
        let Some(coder) = &mut self.coder else { return Ok(Bytes::new()) };
        let plain = self.plain.split_to(self.turn.min(self.plain.len()));
        coder.write(&plain)?;
        (self.held, self.rests) = (true, true);
        Ok(coder.take())
    }

    /// What the compressor held back.
    fn flush(&mut self) -> io::Result<Bytes> {
        self.held = false;
        let Some(coder) = &mut self.coder else { return Ok(Bytes::new()) };
        coder.flush()?;
        Ok(coder.take())
    }

    /// The compressor's last.
    fn finish(&mut self) -> io::Result<Bytes> {
        self.held = false;
        self.coder.take().map_or(Ok(Bytes::new()), Coder::finish)
    }

    fn poll_made(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        loop {
            let made = if !self.plain.is_empty() {
                if std::mem::take(&mut self.rests) {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                self.step()
            } else if self.coder.is_none() {
                return Poll::Ready(self.trailers.take().map(Ok));
            } else {
                match Pin::new(&mut self.body).poll_frame(cx) {
                    Poll::Pending => {
                        self.rests = false;
                        if !self.held {
                            return Poll::Pending;
                        }
                        self.flush()
                    }
                    Poll::Ready(None) => self.finish(),
                    Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                    Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                        Ok(plain) => {
                            self.plain = plain;
                            continue;
                        }
                        Err(trailers) => {
                            self.trailers = Some(trailers);
                            self.finish()
                        }
                    },
                }
            };
            match made {
                Ok(made) if made.is_empty() => {}
                Ok(made) => return Poll::Ready(Some(Ok(Frame::data(made)))),
                Err(error) => return Poll::Ready(Some(Err(Error::Broken(error.into())))),
            }
        }
    }
}

impl http_body::Body for Compressing {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.get_mut().poll_made(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.coder.is_none() && self.trailers.is_none()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures_util::{StreamExt, stream};
    use http::header::ACCEPT_ENCODING;
    use http_body_util::{BodyExt, StreamBody};
    use tokio::sync::mpsc;

    use super::*;
    use crate::message::respond;

    const BOUNDS: Bounds = Bounds { min: 100, turn: 1000, window_bits: 17 };

    fn wanted(value: &'static str) -> Wanted {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(value));
        Wanted::of(&Method::GET, &headers)
    }

    fn text(length: usize) -> Bytes {
        b"All work and no play makes Jack a dull boy. ".iter().copied().cycle().take(length).collect::<Vec<_>>().into()
    }

    fn response(status: u16, headers: &[(&'static str, &'static str)], body: Body) -> Response<Body> {
        let mut response = respond::empty(StatusCode::from_u16(status).unwrap());
        *response.body_mut() = body;
        for (name, value) in headers {
            response.headers_mut().append(*name, HeaderValue::from_static(value));
        }
        response
    }

    /// Whether an answer to `accept` with this status and these headers is coded, and whether it says that it depends.
    #[track_caller]
    fn check(
        accept: &'static str,
        status: u16,
        headers: &[(&'static str, &'static str)],
        expected: (Option<&str>, bool),
    ) {
        let answered = answer(&wanted(accept), response(status, headers, Body::Whole(text(500))), &BOUNDS);
        let coding = answered.headers().get(CONTENT_ENCODING).map(|value| value.to_str().unwrap());
        let varies = answered.headers().contains_key(VARY);
        assert_eq!((coding, varies), expected, "{accept} {status} {headers:?}");
    }

    #[test]
    fn what_is_text_and_large_and_nobody_has_coded_is_compressed() {
        let html = ("content-type", "text/html; charset=utf-8");
        check("gzip", 200, &[html], (Some("gzip"), true));
        check("gzip, br", 200, &[html], (Some("br"), true));
        check("gzip, br, zstd", 404, &[html], (Some("zstd"), true));
        check("gzip;q=0", 200, &[html], (None, true));
        check("identity", 200, &[html], (None, true));
        check("gzip", 200, &[], (None, false));
        for type_ in ["application/json", "image/svg+xml", "Application/Problem+JSON", "application/wasm", "font/ttf"] {
            check("gzip", 200, &[("content-type", type_)], (Some("gzip"), true));
        }
        for type_ in ["text/event-stream", "Text/Event-Stream; x=y", "image/png", "application/octet-stream", "x"] {
            check("gzip", 200, &[("content-type", type_)], (None, false));
        }
        for status in [101, 204, 205, 206] {
            check("gzip", status, &[html], (None, false));
        }
        check("gzip", 200, &[html, ("content-encoding", "br")], (Some("br"), false));
        check("gzip", 200, &[html, ("content-range", "bytes 0-499/1000")], (None, false));
        check("gzip", 200, &[html, ("cache-control", "public, No-Transform")], (None, false));
        check("gzip", 200, &[html, ("content-length", "99")], (None, false));
    }

    #[test]
    fn the_headers_fit_what_is_sent() {
        let headers = [
            ("content-type", "text/plain"),
            ("content-length", "500"),
            ("etag", "\"x\""),
            ("accept-ranges", "bytes"),
            ("content-digest", "sha-256=:x:"),
            ("vary", "origin"),
        ];
        let answered = answer(&wanted("gzip"), response(200, &headers, Body::Whole(text(500))), &BOUNDS);
        assert_eq!(answered.headers()[ETAG], "W/\"x\"");
        let vary: Vec<_> = answered.headers().get_all(VARY).iter().collect();
        assert_eq!(vary, ["origin", "accept-encoding"]);
        for gone in ["content-length", "accept-ranges", "content-digest"] {
            assert!(!answered.headers().contains_key(gone), "{gone}");
        }
        let Body::Whole(coded) = answered.into_body() else { panic!("it was whole") };
        assert_eq!(coder::decode(Coding::Gzip, &coded).unwrap(), text(500));
    }

    #[test]
    fn a_tag_that_is_weak_and_a_vary_that_is_said_stay_as_they_are() {
        for vary in ["*", "Origin, Accept-Encoding"] {
            let headers = [("content-type", "text/plain"), ("etag", "W/\"x\""), ("vary", vary)];
            let answered = answer(&wanted("gzip"), response(200, &headers, Body::Whole(text(500))), &BOUNDS);
            assert_eq!(answered.headers()[ETAG], "W/\"x\"");
            assert_eq!(answered.headers().get_all(VARY).iter().count(), 1);
        }
    }

    #[test]
    fn not_modified_speaks_of_what_was_compressed() {
        let answered = answer(&wanted("br"), response(304, &[("etag", "\"x\"")], Body::Empty), &BOUNDS);
        assert_eq!(
            (&answered.headers()[ETAG], &answered.headers()[VARY]),
            (&HeaderValue::from_static("W/\"x\""), &HeaderValue::from_static("accept-encoding"))
        );
        let answered = answer(&wanted("identity"), response(304, &[("etag", "\"x\"")], Body::Empty), &BOUNDS);
        assert_eq!(answered.headers()[ETAG], "\"x\"");
    }

    #[test]
    fn head_says_what_get_would_and_has_no_body() {
        let headers = [("content-type", "text/plain"), ("content-length", "500")];
        let wanted = Wanted { head: true, ..wanted("gzip") };
        for body in [Body::Empty, Body::Whole(text(500))] {
            let answered = answer(&wanted, response(200, &headers, body), &BOUNDS);
            assert_eq!(answered.headers()[CONTENT_ENCODING], "gzip");
            assert!(!answered.headers().contains_key(CONTENT_LENGTH));
            assert!(matches!(answered.body(), Body::Empty));
        }
    }

    #[test]
    fn what_would_grow_is_sent_as_it_is() {
        let mut state = 1u32;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state.to_le_bytes()[1]
        };
        let noise: Vec<u8> = (0..500).map(|_| next()).collect();
        let body = Body::Whole(noise.clone().into());
        let answered = answer(&wanted("gzip"), response(200, &[("content-type", "text/plain")], body), &BOUNDS);
        assert!(!answered.headers().contains_key(CONTENT_ENCODING) && answered.headers().contains_key(VARY));
        let Body::Whole(sent) = answered.into_body() else { panic!("it was whole") };
        assert_eq!(sent, noise);
    }

    fn passing(frames: impl futures_util::Stream<Item = Result<Frame<Bytes>, Error>> + 'static) -> Response<Body> {
        let body = Body::Passing(Box::pin(StreamBody::new(frames)));
        response(200, &[("content-type", "text/plain")], body)
    }

    #[tokio::test]
    async fn a_stream_is_compressed_in_turns_and_keeps_its_trailers() {
        for coding in Coding::ALL {
            let mut trailers = HeaderMap::new();
            trailers.insert("x-sum", HeaderValue::from_static("1"));
            let frames = [text(10), text(5000), Bytes::new(), text(3000)].map(Frame::data).into_iter();
            let frames = frames.chain([Frame::trailers(trailers)]).map(Ok);
            let answered = answer(&wanted(coding.name()), passing(stream::iter(frames)), &BOUNDS);
            let collected = answered.into_body().collect().await.unwrap();
            assert_eq!(collected.trailers().unwrap()["x-sum"], "1");
            let plain = [text(10), text(5000), text(3000)].concat();
            assert_eq!(coder::decode(coding, &collected.to_bytes()).unwrap(), plain);
        }
    }

    #[tokio::test]
    async fn others_have_their_turn_after_each_piece() {
        let mut body =
            answer(&wanted("gzip"), response(200, &[("content-type", "text/plain")], Body::Whole(text(5000))), &BOUNDS)
                .into_body();
        let mut rests = 0;
        let ended = poll_fn(|cx| {
            loop {
                match Pin::new(&mut body).poll_frame(cx) {
                    Poll::Ready(Some(frame)) => drop(frame.unwrap()),
                    Poll::Ready(None) => return Poll::Ready(true),
                    Poll::Pending => {
                        rests += 1;
                        return Poll::Pending;
                    }
                }
            }
        });
        assert!(ended.await);
        assert_eq!(rests, 4, "5,000 bytes are five turns");
    }

    #[tokio::test]
    async fn what_a_slow_upstream_has_sent_is_not_held_back() {
        for coding in Coding::ALL {
            let (send, receive) = mpsc::channel::<Bytes>(1);
            let frames = stream::unfold(receive, |mut receive| async {
                receive.recv().await.map(|piece| (Ok(Frame::data(piece)), receive))
            });
            let answered = answer(&wanted(coding.name()), passing(frames.boxed_local()), &BOUNDS);
            let mut body = answered.into_body();
            let mut coded = Vec::new();
            send.send(Bytes::from_static(b"first")).await.unwrap();
            coded.extend_from_slice(&body.frame().await.unwrap().unwrap().into_data().unwrap());
            send.send(Bytes::from_static(b"second")).await.unwrap();
            coded.extend_from_slice(&body.frame().await.unwrap().unwrap().into_data().unwrap());
            drop(send);
            coded.extend_from_slice(&body.collect().await.unwrap().to_bytes());
            assert_eq!(coder::decode(coding, &coded).unwrap(), b"firstsecond");
        }
    }

    #[tokio::test]
    async fn a_broken_body_stays_broken() {
        let broken = Error::Broken("gone".into());
        let frames = stream::iter([Ok(Frame::data(text(2000))), Err(broken)]);
        let answered = answer(&wanted("gzip"), passing(frames), &BOUNDS);
        assert!(answered.into_body().collect().await.is_err());
    }
}
