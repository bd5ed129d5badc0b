//! A WebSocket as a source.
//!
//! The upgrade goes through the upstream, which knows names, TLS and health. What comes then is decoded by our own
//! [`ServerDecoder`], and not by tungstenite: that one fails the connection over a message larger than its limit, and makes
//! room for whatever length a frame announces below it. A backend that begins each connection with a message too large
//! would be dialled again for ever; here that one is dropped, counted and logged, and what comes after it is heard.
//!
//! Owns: the handshake, pings of our own with a deadline (any byte counts as life). Never: holds more than one message and
//! two control frames.

use std::convert::Infallible;

use bytes::Bytes;
use http::header::{SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout, timeout_at};

use super::DialOptions;
use super::failure::{Failure, kind};
use super::line::Line;
use super::request::request;
use super::socket::Socket;
use crate::feed::normalize::Incoming;
use crate::limits;
use crate::message::{Body, hop, trace};
use crate::upstream::{self, LoadPermit, Upstream};
use crate::ws::{CloseCode, Heard, OpCode, ServerDecoder, handshake};

/// A socket that is open.
struct Opened {
    io: upstream::Io,
    /// What the server has said already.
    said: Bytes,
    _load: LoadPermit,
}

/// Dials once and reads until the connection ends.
pub(super) async fn follow(options: &DialOptions, upstream: &Upstream, line: &Line<'_>) -> Result<Infallible, Failure> {
    let opened = timeout(limits::SOURCE_HANDSHAKE, Box::pin(open(options, upstream, line))).await;
    let Opened { io, said, _load } = opened.map_err(|_| Failure::Silent(limits::SOURCE_HANDSHAKE))??;
    line.open();
    listen(io, &said, line).await
}

async fn open(options: &DialOptions, upstream: &Upstream, line: &Line<'_>) -> Result<Opened, Failure> {
    let inlet = line.record.inlet;
    let asked = request(options, inlet.target(&options.path), &inlet.bearer())?;
    let (asked, accept) = upgrade(asked);
    let mut sent = upstream.upgrade(super::NOBODY, asked).await?;
    check(sent.response.status(), sent.response.headers(), &accept)?;
    let Some(switched) = sent.switched.take() else { return Err(Failure::Handshake("its connection is gone")) };
    let (io, said) = switched.taken().await.map_err(Failure::Upgrade)?;
    Ok(Opened { io, said, _load: sent.permit })
}

/// The request as one for a WebSocket (RFC 6455, section 4.1), and what a server says to its key.
fn upgrade(mut request: Request<Body>) -> (Request<Body>, HeaderValue) {
    let (key, accept) = handshake::key_and_accept([trace::random(), trace::random()]);
    let headers = request.headers_mut();
    hop::upgrade(headers, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    headers.insert(SEC_WEBSOCKET_KEY, key);
    headers.remove(SEC_WEBSOCKET_EXTENSIONS);
    (request, accept)
}

/// Whether the answer opens the socket that was asked for.
fn check(status: StatusCode, headers: &HeaderMap, accept: &HeaderValue) -> Result<(), Failure> {
    if let Some(failure) = Failure::of_head(status, headers) {
        return Err(failure);
    }
    if status != StatusCode::SWITCHING_PROTOCOLS {
        return Err(Failure::NoWebsocket { status, kind: kind(headers) });
    }
    if !headers.get(UPGRADE).is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket")) {
        return Err(Failure::Handshake("it changes to another protocol than websocket"));
    }
    if headers.get(SEC_WEBSOCKET_ACCEPT) != Some(accept) {
        return Err(Failure::Handshake("Sec-WebSocket-Accept does not fit the key"));
    }
    if headers.contains_key(SEC_WEBSOCKET_EXTENSIONS) {
        return Err(Failure::Handshake("it chose an extension, and none was offered"));
    }
    Ok(())
}

async fn listen<S>(io: S, said: &[u8], line: &Line<'_>) -> Result<Infallible, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut socket = Socket::new(io);
    let mut decoder = ServerDecoder::new(line.record.max_message());
    hear(&mut socket, &mut decoder, said, line).await?;
    let mut scratch = vec![0; limits::SOURCE_READ].into_boxed_slice();
    let (mut heard, mut pinged) = (Instant::now(), false);
    loop {
        let patience = if pinged { limits::SOURCE_PING + limits::SOURCE_PONG } else { limits::SOURCE_PING };
        let count = match timeout_at(heard + patience, socket.read(&mut scratch)).await {
            Ok(read) => read?,
            Err(_) if pinged => return Err(Failure::Silent(patience)),
            Err(_) => {
                socket.say(OpCode::Ping, b"");
                pinged = true;
                continue;
            }
        };
        if count == 0 {
            return Err(Failure::Ended);
        }
        (heard, pinged) = (Instant::now(), false);
        hear(&mut socket, &mut decoder, scratch.get(..count).unwrap_or_default(), line).await?;
    }
}

/// Takes what was read.
async fn hear<S>(
    socket: &mut Socket<S>,
    decoder: &mut ServerDecoder,
    mut input: &[u8],
    line: &Line<'_>,
) -> Result<(), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        let heard = match decoder.next(&mut input) {
            Ok(None) => return Ok(()),
            Ok(Some(heard)) => heard,
            Err(violation) => {
                leave(socket, violation.code, violation.reason).await;
                return Err(violation.into());
            }
        };
        match heard {
            Heard::Text(text) => line.take(Incoming::Text(&text)).await,
            Heard::Binary(bytes) => line.take(Incoming::Binary(Bytes::from(bytes.into_owned()))).await,
            Heard::TooLarge(bytes) => line.record.too_large(bytes),
            Heard::Ping(payload) => socket.say(OpCode::Pong, &payload),
            Heard::Pong(_) => {}
            Heard::Close(frame) => {
                let code = frame.as_ref().map_or(CloseCode::NO_STATUS, |frame| frame.code);
                leave(socket, code, "").await;
                return Err(Failure::Closed(frame));
            }
        }
    }
}

/// Says the last word, which the server need not hear.
async fn leave<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut Socket<S>, code: CloseCode, reason: &str) {
    socket.close(code, reason);
    let _ = timeout(limits::SOURCE_GOODBYE, socket.flush()).await;
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::sleep;

    use super::*;
    use crate::feed;
    use crate::feed::hub::Feed;
    use crate::feed::inlet::{Inlet, Rank};
    use crate::source::line::Record;
    use crate::telemetry::Metrics;
    use crate::ws::frame;

    /// Listens to a server of which `serve` is the whole behaviour; gives why that ended, and after how long.
    async fn listen_to<F: Future>(serve: impl FnOnce(DuplexStream) -> F) -> (String, std::time::Duration) {
        let metrics = Metrics::new();
        let feed = Arc::new(Feed::try_new(feed::Options::named("f"), false, metrics.feed("f")).unwrap());
        let (inlet, meters) = (Inlet::new(&feed, Rank::Source), metrics.source("f", "websocket"));
        let record = Record::new(&inlet, &meters, "ws://h/");
        let line = Line::new(&record);
        let (near, far) = duplex(1024);
        let began = Instant::now();
        let listened = async {
            let Err(failure) = listen(near, b"", &line).await;
            (failure.to_string(), began.elapsed())
        };
        tokio::join!(listened, serve(far)).0
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_falls_silent_is_asked_and_then_left() {
        let (why, after) = listen_to(|mut server| async move {
            let mut ping = [0; 6];
            server.read_exact(&mut ping).await.unwrap();
            assert_eq!(ping[..2], [0x89, 0x80]);
            // Alive as a socket, and nothing more.
            assert_eq!(server.read_to_end(&mut Vec::new()).await.unwrap(), 0);
        })
        .await;
        assert_eq!(after, limits::SOURCE_PING + limits::SOURCE_PONG);
        assert_eq!(why, "it has said nothing for 20s");
    }

    #[tokio::test(start_paused = true)]
    async fn any_byte_is_a_sign_of_life() {
        let step = limits::SOURCE_PING + limits::SOURCE_PONG / 2;
        let (why, after) = listen_to(|mut server| async move {
            for piece in [&frame::pong(b"")[..], &frame::text("x")[..1], &frame::text("x")[1..], &frame::ping(b"")[..]]
            {
                sleep(step).await;
                server.write_all(piece).await.unwrap();
            }
            server.read_to_end(&mut Vec::new()).await.unwrap();
        })
        .await;
        assert_eq!(after, 4 * step + limits::SOURCE_PING + limits::SOURCE_PONG);
        assert_eq!(why, "it has said nothing for 20s");
    }
}
