//! The first request on a connection of HTTP/1.1, where it asks for an upgrade: most sockets begin so.
//!
//! Owns: reading that one request, waiting for its answer and writing it without hyper, whose buffers would be made for one
//! head and let go at once. Never: judges a head. Whatever is not whole, plain and short is hyper's to read, and an answer
//! after which the connection may go on is hyper's to write: both see the connection as if nobody had read from it.

use std::future::{Future, poll_fn};
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::poll;
use http::header::{CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri};
use memchr::memmem;
use tokio::io::{AsyncRead as _, AsyncWrite, AsyncWriteExt as _, ReadBuf, copy, sink};
use tokio::task::yield_now;
use tokio::time::timeout;

use super::connection::{Answer, Connection};
use super::interim::Interims;
use super::stream::Stream;
use super::upgrade::{Socket, Upgrade};
use super::{clock::InFlight, whole};
use crate::limits;
use crate::message::{Body, Incoming};

/// What is left to do on the connection.
pub(super) enum Left {
    /// All of it: nobody has read anything.
    All(Stream),
    /// The first request is answered with this, which is to be sent; nobody has read anything.
    Answer(Stream, Box<(Response<Body>, InFlight)>),
    /// It has ended, or is no longer HTTP.
    Nothing,
}

/// Serves the connection's first request, if it is one for here.
pub(super) async fn serve<A: Answer>(connection: &Rc<Connection<A>>, mut stream: Stream) -> Left {
    let limits = &connection.edge.limits;
    let Some((request, length)) = read(stream.early(), limits.header_size) else { return Left::All(stream) };
    let early = stream.take_early();
    let mut said = early.get(length..).unwrap_or_default().to_vec();
    let in_flight = connection.clock.begin(true);
    let upgrade = Upgrade::default();
    let answered = {
        let interims = Interims::Http1(&in_flight);
        // Boxed: what it takes to answer is no part of what is kept of a connection.
        let answering = Box::pin(connection.answer(request, &in_flight, interims, None, &upgrade));
        wait(answering, &mut stream, &mut said).await
    };
    let Some(response) = answered else { return Left::Nothing };
    let bytes = if upgrade.is_wanted() {
        Some(whole::head(response.status(), response.headers()))
    } else if said.is_empty() {
        whole::last(&response)
    } else {
        // Whoever has said more may not have said all of it: hyper's end of a connection waits for the rest.
        None
    };
    let Some(bytes) = bytes else {
        stream.unread([&early[..length], &said].concat().into());
        return Left::Answer(stream, Box::new((response, in_flight)));
    };
    let out = in_time(limits.send_timeout, write(&mut stream, &bytes, !upgrade.is_wanted())).await;
    connection.clock.finish();
    upgrade.end(|| match out {
        Ok(()) => {
            let (io, _, permit) = stream.into_parts();
            Ok(Socket::Connection { io, said: said.into(), permit })
        }
        Err(error) => Err(error.to_string()),
    });
    Left::Nothing
}

/// The request that these bytes begin with, and its head's length; `None` where it is not for here.
fn read(early: &Bytes, most: usize) -> Option<(Request<Incoming>, usize)> {
    if !early.starts_with(b"GET ") || memmem::find(early, b"pgrade").is_none() {
        return None;
    }
    let mut fields = [const { MaybeUninit::uninit() }; limits::FIRST_FIELDS];
    let mut head = httparse::Request::new(&mut []);
    let parsed = head.parse_with_uninit_headers(early, &mut fields).ok()?;
    let httparse::Status::Complete(length) = parsed else { return None };
    if head.version != Some(1) || length > most {
        return None;
    }
    let mut request = Request::new(Incoming::Empty);
    *request.method_mut() = Method::GET;
    *request.uri_mut() = Uri::from_maybe_shared(early.slice_ref(head.path?.as_bytes())).ok()?;
    *request.headers_mut() = headers(head.headers, early)?;
    Some((request, length))
}

/// Those of an upgrade without a body.
fn headers(fields: &[httparse::Header<'_>], early: &Bytes) -> Option<HeaderMap> {
    let mut headers = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        if [CONTENT_LENGTH, TRANSFER_ENCODING, EXPECT].contains(&name) {
            return None;
        }
        headers.append(name, HeaderValue::from_maybe_shared(early.slice_ref(field.value)).ok()?);
    }
    headers.contains_key(UPGRADE).then_some(headers)
}

/// The answer, or `None` where the client has left before it. What it says meanwhile is read, up to a bound: its end is
/// behind that.
async fn wait<T>(
    mut answering: Pin<Box<impl Future<Output = T>>>,
    stream: &mut Stream,
    said: &mut Vec<u8>,
) -> Option<T> {
    poll_fn(|cx| {
        // Between messages as it stands, informational answers may be said.
        let _ = Pin::new(&mut *stream).poll_flush(cx);
        if let Poll::Ready(answer) = answering.as_mut().poll(cx) {
            return Poll::Ready(Some(answer));
        }
        let _ = Pin::new(&mut *stream).poll_flush(cx);
        while said.len() < limits::OPENING_READ {
            match poll_more(stream, cx, said) {
                Poll::Ready(true) => {}
                Poll::Ready(false) => return Poll::Ready(None),
                Poll::Pending => break,
            }
        }
        Poll::Pending
    })
    .await
}

/// Whether there was more.
fn poll_more(stream: &mut Stream, cx: &mut Context<'_>, said: &mut Vec<u8>) -> Poll<bool> {
    let mut room = [MaybeUninit::uninit(); limits::OPENING_READ];
    let mut buf = ReadBuf::uninit(&mut room);
    Pin::new(stream).poll_read(cx, &mut buf).map(|outcome| {
        said.extend_from_slice(buf.filled());
        outcome.is_ok() && !buf.filled().is_empty()
    })
}

/// As [`timeout`], which nearly nothing needs: what is written is small.
async fn in_time(allowance: Duration, writing: impl Future<Output = io::Result<()>>) -> io::Result<()> {
    let mut writing = pin!(writing);
    if let Poll::Ready(outcome) = poll!(writing.as_mut()) {
        return outcome;
    }
    timeout(allowance, writing).await?
}

/// Writes `bytes`, and where they are the `last`, ends the connection.
async fn write(stream: &mut Stream, bytes: &[u8], last: bool) -> io::Result<()> {
    stream.write_all(bytes).await?;
    if !last {
        return stream.flush().await;
    }
    stream.shutdown().await?;
    // The runtime has its turn, and hears of what came meanwhile: to close on that would be a reset.
    yield_now().await;
    let mut said = Vec::new();
    if poll!(poll_fn(|cx| poll_more(stream, cx, &mut said))) == Poll::Ready(true) {
        let _ = timeout(limits::CLOSE_TIMEOUT, copy(stream, &mut sink())).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::Version;

    use super::read;
    use crate::limits;

    const UPGRADE: &str = "GET /ws?a=b HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";

    /// The head's length, where the request is for here.
    fn length(head: &str) -> Option<usize> {
        read(&Bytes::copy_from_slice(head.as_bytes()), 500).map(|(_, length)| length)
    }

    #[test]
    fn an_upgrade_is_read_as_it_was_said() {
        let early = Bytes::from(format!("{UPGRADE}Cookie: a\r\ncookie: b\r\n\r\nmore"));
        let (request, length) = read(&early, 500).unwrap();
        assert_eq!(&early[length..], b"more");
        assert_eq!(
            (request.uri().path_and_query().unwrap().as_str(), request.version()),
            ("/ws?a=b", Version::HTTP_11)
        );
        assert_eq!(request.headers().get_all("cookie").iter().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((&request.headers()["upgrade"], request.headers().len()), (&"websocket".parse().unwrap(), 5));
    }

    #[test]
    fn whatever_is_not_whole_plain_and_short_is_left_to_hyper() {
        assert_eq!(length(&format!("{UPGRADE}\r\n")), Some(UPGRADE.len() + 2));
        for fields in ["Content-Length: 0", "Transfer-Encoding: chunked", "Expect: 100-continue", "a b: c", "a: \0"] {
            assert_eq!(length(&format!("{UPGRADE}{fields}\r\n\r\n")), None, "{fields}");
        }
        assert_eq!(length(UPGRADE), None, "there is more to come");
        assert_eq!(length(&format!("{UPGRADE}a: {}\r\n\r\n", "b".repeat(500))), None, "longer than it may be");
        let fields = "a: b\r\n".repeat(limits::FIRST_FIELDS - 3);
        assert!(length(&format!("{UPGRADE}{fields}\r\n")).is_some());
        assert_eq!(length(&format!("{UPGRADE}{fields}a: b\r\n\r\n")), None, "one field too many");
        for (from, to) in
            [("GET", "POST"), ("1.1", "1.0"), ("/ws", "ws /"), ("Upgrade: websocket\r\n", ""), ("GET", "\r\nGET")]
        {
            assert_eq!(length(&format!("{}\r\n", UPGRADE.replacen(from, to, 1))), None, "{to}");
        }
    }
}
