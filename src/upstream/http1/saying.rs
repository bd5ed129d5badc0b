//! A request on its way out: its head, then its body, framed as the head says.
//!
//! Owns: whose turn it is while it goes out, which the response timeout needs: a slow client is no slow server. A body whose
//! client waits to be told to go on (`Expect: 100-continue`; RFC 9110, section 10.1.1) is not asked for until the server
//! wants it, or says nothing of it for a while. Never: copies a body's bytes.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http::{HeaderMap, Request, StatusCode};
use http_body::Body as _;
use socket2::SockRef;
use tokio::io::AsyncWrite;
use tokio::time::Instant;

use super::failure::Broken;
use super::head::{self, Framing};
use crate::limits;
use crate::message::trail::Trail;
use crate::message::{Body, hop};
use crate::upstream::failure::BodyError;
use crate::upstream::io::Io;

/// What is still to be said.
#[derive(Debug)]
pub(super) struct Saying {
    /// Bytes of our own before the piece.
    before: Vec<u8>,
    /// How many of those are out.
    out: usize,
    piece: Bytes,
    /// Behind the piece.
    behind: &'static [u8],
    framing: Framing,
    state: State,
    /// Anything was written.
    begun: bool,
    /// Anything of the body was taken, or its end.
    drawn: bool,
    /// Since when the server is waited for; `None` while the client is.
    servers_turn: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The head is to be answered before the body is asked for.
    Waiting,
    /// There may be more of the body.
    Body,
    /// What is there is the last.
    Last,
    Done,
    /// The server takes no more, or there is none that may follow. It may have answered all the same.
    Failed,
}

/// Why it cannot be said to its end.
#[derive(Debug)]
pub(super) enum Unsaid {
    /// The client's own body failed.
    Body(BodyError),
    Broken(Broken),
}

impl Saying {
    pub(super) fn new(request: &Request<Body>, trail: &Trail, now: Instant) -> Saying {
        let length = request.body().size_hint().exact().or_else(|| head::said_length(request.headers()));
        let framing = head::framing(request.method(), length);
        let state = match framing {
            Framing::Nothing | Framing::Length(0) => State::Last,
            Framing::Length(_) | Framing::Chunked if hop::waits_to_continue(request.headers()) => State::Waiting,
            Framing::Length(_) | Framing::Chunked => State::Body,
        };
        let before = head::request(request, trail, framing);
        let (piece, behind, servers_turn) = (Bytes::new(), b"".as_slice(), Some(now));
        Saying { before, out: 0, piece, behind, framing, state, begun: false, drawn: false, servers_turn }
    }

    /// Says what the socket takes at once of the head, without asking the runtime whether it does. A failure shows when it is
    /// asked.
    pub(super) fn begin(&mut self, io: &Io) {
        let Io::Plain(tcp) = io else { return };
        if let Ok(count) = SockRef::from(tcp).send(&self.before) {
            self.begun = count > 0;
            self.pass(count);
        }
    }

    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Whether the body is not what it was any more: the request can't be said once more.
    pub(super) fn has_drawn(&self) -> bool {
        self.drawn
    }

    /// All of it is out.
    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// There is nothing more to do.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Done | State::Failed)
    }

    pub(super) fn servers_turn(&self) -> Option<Instant> {
        self.servers_turn
    }

    /// Until when the server may keep the body waiting, if it does.
    pub(super) fn waits_until(&self) -> Option<Instant> {
        let since = self.servers_turn.filter(|_| self.state == State::Waiting)?;
        Some(since + limits::CONTINUE_WAIT)
    }

    /// The body is wanted: 100 was said, or nothing for long enough.
    pub(super) fn go_on(&mut self) {
        if self.state == State::Waiting {
            self.state = State::Body;
        }
    }

    /// The answer has come; whether the server got all that it wanted of the request, and will get no more: its client was
    /// not told to go on, and need not be.
    pub(super) fn is_withheld(&mut self, answer: StatusCode) -> bool {
        if answer == StatusCode::SWITCHING_PROTOCOLS {
            self.go_on();
        }
        let withheld = self.state == State::Waiting;
        if withheld {
            self.state = State::Failed;
        }
        withheld
    }

    /// Says what can be said; completes when all is out, or when the server takes no more.
    ///
    /// # Errors
    /// If the body fails. That the server takes no more is no error until it has not answered either.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, io: &mut Io, body: &mut Body) -> Poll<Result<(), Unsaid>> {
        loop {
            match self.state {
                State::Done | State::Failed => return Poll::Ready(Ok(())),
                State::Waiting | State::Body | State::Last => {}
            }
            if self.left() > 0 {
                match ready!(self.poll_write(cx, io)) {
                    Ok(()) => {}
                    Err(_) => self.state = State::Failed,
                }
            } else if self.state == State::Waiting {
                match ready!(Pin::new(&mut *io).poll_flush(cx)) {
                    Ok(()) => return Poll::Pending,
                    Err(_) => self.state = State::Failed,
                }
            } else if self.state == State::Last {
                // TLS keeps what the socket did not take.
                match ready!(Pin::new(&mut *io).poll_flush(cx)) {
                    Ok(()) => self.state = State::Done,
                    Err(_) => self.state = State::Failed,
                }
            } else {
                let polled = Pin::new(&mut *body).poll_frame(cx);
                self.servers_turn = polled.is_ready().then(Instant::now);
                if polled.is_pending() {
                    // Nothing more comes for now: what is there must not wait for it.
                    let _ = Pin::new(&mut *io).poll_flush(cx);
                }
                self.drawn |= polled.is_ready();
                let taken = match ready!(polled) {
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(data) => self.add(data),
                        Err(frame) => self.end(frame.into_trailers().ok()),
                    },
                    Some(Err(error)) => Err(Unsaid::Body(error)),
                    None => self.end(None),
                };
                if let Err(unsaid) = taken {
                    // Whatever the body gives now does not follow what is out, least of all its end.
                    self.state = State::Failed;
                    return Poll::Ready(Err(unsaid));
                }
            }
        }
    }

    fn left(&self) -> usize {
        self.before.len() - self.out + self.piece.len() + self.behind.len()
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, io: &mut Io) -> Poll<io::Result<()>> {
        let before = self.before.get(self.out..).unwrap_or_default();
        let count = if self.piece.is_empty() && self.behind.is_empty() {
            ready!(Pin::new(io).poll_write(cx, before))?
        } else {
            let parts = [IoSlice::new(before), IoSlice::new(&self.piece), IoSlice::new(self.behind)];
            let first = usize::from(before.is_empty());
            ready!(Pin::new(io).poll_write_vectored(cx, parts.get(first..).unwrap_or_default()))?
        };
        if count == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.begun = true;
        self.pass(count);
        Poll::Ready(Ok(()))
    }

    fn pass(&mut self, count: usize) {
        let of_before = count.min(self.before.len() - self.out);
        self.out += of_before;
        let of_piece = (count - of_before).min(self.piece.len());
        self.piece.advance(of_piece);
        let of_behind = (count - of_before - of_piece).min(self.behind.len());
        self.behind = self.behind.get(of_behind..).unwrap_or_default();
        if self.out == self.before.len() {
            self.before = Vec::new();
            self.out = 0;
        }
    }

    /// Another piece of the body.
    fn add(&mut self, data: Bytes) -> Result<(), Unsaid> {
        match &mut self.framing {
            Framing::Length(left) => {
                let rest = left.checked_sub(data.len() as u64);
                *left = rest.ok_or(Unsaid::Broken(Broken::Length))?;
                if *left == 0 {
                    self.state = State::Last;
                }
            }
            // An empty chunk would be the last.
            Framing::Chunked if data.is_empty() => {}
            Framing::Chunked => {
                self.before = format!("{:x}\r\n", data.len()).into_bytes();
                self.behind = b"\r\n";
            }
            Framing::Nothing if data.is_empty() => {}
            Framing::Nothing => return Err(Unsaid::Broken(Broken::Length)),
        }
        self.piece = data;
        Ok(())
    }

    fn end(&mut self, trailers: Option<HeaderMap>) -> Result<(), Unsaid> {
        match self.framing {
            // Trailers have no place behind a body of a known length.
            Framing::Length(0) | Framing::Nothing => {}
            Framing::Length(_) => return Err(Unsaid::Broken(Broken::Length)),
            Framing::Chunked => {
                self.before = b"0\r\n".to_vec();
                for (name, value) in &trailers.unwrap_or_default() {
                    for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                        self.before.extend_from_slice(part);
                    }
                }
                self.before.extend_from_slice(b"\r\n");
            }
        }
        self.state = State::Last;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use futures_util::{Stream, StreamExt as _, stream};
    use http::header::HOST;
    use http::{HeaderName, HeaderValue, Method};
    use http_body::Frame;
    use http_body_util::StreamBody;
    use tokio::io::AsyncReadExt as _;
    use tokio::net::UnixStream;
    use tokio::sync::mpsc;
    use tokio::time::advance;

    use super::*;
    use crate::message::body::Bounds;

    type Given = Result<Frame<Bytes>, io::Error>;

    fn data(text: &'static str) -> Given {
        Ok(Frame::data(Bytes::from_static(text.as_bytes())))
    }

    fn trailer(name: &'static str, value: &'static str) -> Given {
        let field = (HeaderName::from_static(name), HeaderValue::from_static(value));
        Ok(Frame::trailers([field].into_iter().collect()))
    }

    fn failure() -> Given {
        Err(io::Error::other("gone"))
    }

    /// A body of unknown length.
    fn passing(frames: impl Stream<Item = Given> + 'static) -> Body {
        let bounds = Bounds { size: u64::MAX, pause: Duration::from_secs(60) };
        Body::passing(StreamBody::new(Box::pin(frames)), bounds, ())
    }

    fn post(length: Option<&str>, body: Body) -> Request<Body> {
        let request = Request::builder().method(Method::POST).uri("/").header(HOST, "app");
        let request = length.into_iter().fold(request, |request, length| request.header("content-length", length));
        request.body(body).unwrap()
    }

    /// What reaches a server that reads `step` bytes at a time, and `done`, or why it was not said to its end. It is polled
    /// after that as well, as it is while an answer goes on.
    async fn said(mut request: Request<Body>, step: usize) -> (Vec<u8>, String) {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let speak = async {
            let (mut io, mut saying) = (Io::Unix(ours), Saying::new(&request, &Trail::default(), Instant::now()));
            let body = request.body_mut();
            let ended = poll_fn(|cx| saying.poll(cx, &mut io, body)).await;
            poll_fn(|cx| saying.poll(cx, &mut io, body)).await.expect("it has failed once");
            assert!(saying.is_over() && saying.has_begun() && saying.is_done() == ended.is_ok());
            match ended {
                Ok(()) => "done".to_owned(),
                Err(Unsaid::Body(error)) => error.to_string(),
                Err(Unsaid::Broken(broken)) => broken.to_string(),
            }
        };
        let hear = async {
            let (mut heard, mut piece) = (Vec::new(), vec![0; step]);
            while let Ok(count @ 1..) = theirs.read(&mut piece).await {
                heard.extend_from_slice(&piece[..count]);
            }
            heard
        };
        let (ended, heard) = tokio::join!(speak, hear);
        (heard, ended)
    }

    /// With these frames of a body, what follows the request's first lines and how it ended.
    #[track_caller]
    fn check(length: Option<&str>, frames: Vec<Given>, expected: &str, outcome: &str) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (heard, ended) = runtime.block_on(said(post(length, passing(stream::iter(frames))), 3));
        let heard = String::from_utf8(heard).unwrap();
        let rest = heard.strip_prefix("POST / HTTP/1.1\r\nhost: app\r\n").expect("the first lines");
        assert_eq!((rest, ended.as_str()), (expected, outcome));
    }

    const CHUNKED: &str = "transfer-encoding: chunked\r\n\r\n";
    const NOT_AS_LONG: &str = "the request's body is not as long as its head says";

    #[test]
    fn a_body_of_unknown_length_goes_in_chunks_and_its_trailers_behind() {
        check(None, vec![], &format!("{CHUNKED}0\r\n\r\n"), "done");
        check(None, vec![data("bo"), data("dy")], &format!("{CHUNKED}2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n"), "done");
        let sixteen = vec![data("0123456789abcdef"), trailer("x-sum", "1")];
        check(None, sixteen, &format!("{CHUNKED}10\r\n0123456789abcdef\r\n0\r\nx-sum: 1\r\n\r\n"), "done");
        check(None, vec![trailer("x-empty", "")], &format!("{CHUNKED}0\r\nx-empty: \r\n\r\n"), "done");
    }

    #[test]
    fn an_empty_piece_does_not_end_a_body() {
        let frames = vec![data(""), data("a"), data(""), data("b"), data("")];
        check(None, frames, &format!("{CHUNKED}1\r\na\r\n1\r\nb\r\n0\r\n\r\n"), "done");
        check(Some("2"), vec![data(""), data("a"), data(""), data("b")], "content-length: 2\r\n\r\nab", "done");
    }

    #[test]
    fn no_trailer_frames_or_routes_a_request() {
        for name in ["content-length", "transfer-encoding", "host", "connection", "authorization", "x-forwarded-for"] {
            check(None, vec![data("a"), trailer(name, "1")], &format!("{CHUNKED}1\r\na\r\n0\r\n\r\n"), "done");
        }
    }

    #[test]
    fn a_body_of_known_length_goes_as_it_is_and_without_trailers() {
        check(Some("4"), vec![data("bo"), data("dy")], "content-length: 4\r\n\r\nbody", "done");
        check(Some("4"), vec![data("body"), trailer("x-sum", "1")], "content-length: 4\r\n\r\nbody", "done");
        check(Some("0"), vec![], "content-length: 0\r\n\r\n", "done");
    }

    #[test]
    fn a_body_that_is_not_as_long_as_was_said_goes_no_further_than_that() {
        check(Some("4"), vec![data("bod")], "content-length: 4\r\n\r\nbod", NOT_AS_LONG);
        check(Some("4"), vec![data("bod"), trailer("x-sum", "1")], "content-length: 4\r\n\r\nbod", NOT_AS_LONG);
        // What would fit again after that is no part of it.
        check(Some("4"), vec![data("bo"), data("dyx"), data("zz")], "content-length: 4\r\n\r\nbo", NOT_AS_LONG);
        // All is out before that comes, and nobody asks for it.
        check(Some("4"), vec![data("body"), data("more")], "content-length: 4\r\n\r\nbody", "done");
    }

    #[test]
    fn a_body_that_fails_is_never_ended_as_if_it_were_whole() {
        check(None, vec![data("bo"), failure()], &format!("{CHUNKED}2\r\nbo\r\n"), "gone");
        check(None, vec![data("bo"), failure(), data("dy")], &format!("{CHUNKED}2\r\nbo\r\n"), "gone");
        check(Some("4"), vec![data("bo"), failure(), data("dy")], "content-length: 4\r\n\r\nbo", "gone");
    }

    #[tokio::test]
    async fn a_large_body_arrives_as_it_is_where_the_server_takes_a_little_at_a_time() {
        let whole: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_be_bytes).collect();
        let (heard, ended) = said(post(None, Body::from(Bytes::from(whole.clone()))), 1009).await;
        let head = format!("POST / HTTP/1.1\r\nhost: app\r\ncontent-length: {}\r\n\r\n", whole.len());
        assert_eq!((&heard[..head.len()], ended.as_str()), (head.as_bytes(), "done"));
        assert!(heard[head.len()..] == whole);
        let half = Bytes::from(whole).slice(..2_000_000);
        let frames = [Ok(Frame::data(half.clone())), Ok(Frame::data(half.clone()))];
        let (heard, ended) = said(post(None, passing(stream::iter(frames))), 1009).await;
        let chunk = [b"1e8480\r\n".as_slice(), &half, b"\r\n"].concat();
        let expected =
            [b"POST / HTTP/1.1\r\nhost: app\r\n", CHUNKED.as_bytes(), &chunk, &chunk, b"0\r\n\r\n".as_slice()].concat();
        assert!(heard == expected && ended == "done");
    }

    #[test]
    fn whatever_part_of_it_the_socket_takes_what_is_left_is_the_rest() {
        let text = b"abcdefg";
        for first in 0..=text.len() {
            for second in 0..=text.len() - first {
                let mut saying = Saying::new(&post(None, Body::Empty), &Trail::default(), Instant::now());
                (saying.before, saying.piece, saying.behind) = (b"ab".to_vec(), Bytes::from_static(b"cde"), b"fg");
                saying.pass(first);
                saying.pass(second);
                let left = [&saying.before[saying.out..], &saying.piece, saying.behind].concat();
                assert_eq!(left, text[first + second..], "{first} and {second}");
                assert_eq!(saying.left(), left.len());
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_the_servers_turn_but_while_the_client_is_waited_for() {
        let (say, told) = mpsc::unbounded_channel();
        let pieces = stream::unfold(told, |mut told| async { Some((told.recv().await?, told)) });
        let mut request = post(None, passing(pieces.map(Ok)));
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (mut io, mut saying) = (Io::Unix(ours), Saying::new(&request, &Trail::default(), Instant::now()));
        let body = request.body_mut();
        let quiet = || Context::from_waker(std::task::Waker::noop());
        assert_eq!(saying.servers_turn(), Some(Instant::now()));
        assert!(saying.poll(&mut quiet(), &mut io, body).is_pending());
        assert_eq!(saying.servers_turn(), None);
        // More than the socket takes: from now on it is the server that is waited for.
        let began = Instant::now();
        say.send(Frame::data(Bytes::from(vec![0; 4_000_000]))).unwrap();
        assert!(saying.poll(&mut quiet(), &mut io, body).is_pending());
        advance(Duration::from_secs(1000)).await;
        assert!(saying.poll(&mut quiet(), &mut io, body).is_pending());
        assert_eq!(saying.servers_turn(), Some(began));
        drop(theirs);
        poll_fn(|cx| saying.poll(cx, &mut io, body)).await.unwrap();
        assert!(saying.is_over() && !saying.is_done());
    }
}
