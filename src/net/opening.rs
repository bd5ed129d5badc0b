//! A connection's beginning: whom the peer speaks for (PROXY), TLS, and which HTTP is spoken.
//!
//! Never: waits by itself; the caller's deadline covers all of it.

use std::io::{self, Read as _};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::Peer;
use super::connection::Edge;
use super::proxy_protocol::{self, Header};
use super::stream::{self, Io};
use super::tls::{Sni, Tls};
use crate::limits;

/// The connection's first bytes.
const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The content type of a TLS handshake record (RFC 8446, section 5.1).
const TLS_HANDSHAKE: u8 = 22;

/// What a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// A connection on which it is known what is spoken.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) io: Io,
    /// Read already.
    pub(super) early: Bytes,
    pub(super) protocol: Protocol,
    pub(super) sni: Option<Sni>,
}

/// Up to knowing for whom the peer speaks, and what; `None` where it said nothing or the wrong thing and was told.
pub(super) async fn open(socket: std::net::TcpStream, peer: &mut Peer, edge: &Edge) -> io::Result<Option<Opened>> {
    *peer = peer.judged(&edge.trusted);
    let early = if edge.tls.is_none() && !edge.proxy_protocol { at_hand(&socket) } else { BytesMut::new() };
    let mut socket = TcpStream::from_std(socket)?;
    if edge.proxy_protocol {
        if !peer.trusted {
            let reason = "only `trusted_proxies` may connect where `proxy_protocol` is on, and this is none of them";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
        }
        match proxy_protocol::read(&mut socket).await? {
            Some(Header::Proxied { source, .. }) => *peer = peer.speaking_for(source.ip()).judged(&edge.trusted),
            Some(Header::Unspecified) => {}
            None => return Ok(None),
        }
    }
    match &edge.tls {
        // Boxed: a handshake's state is large, and a connection that is plain has none.
        Some(tls) => Box::pin(open_tls(socket, tls)).await,
        None => open_plain(socket, early).await,
    }
}

async fn open_tls(mut socket: TcpStream, tls: &Tls) -> io::Result<Option<Opened>> {
    let mut first = [0];
    if socket.peek(&mut first).await? == 0 {
        return Ok(None);
    }
    if first[0] != TLS_HANDSHAKE {
        socket.write_all(plain_on_tls().as_bytes()).await?;
        stream::close(socket).await;
        let reason = "plain text on a TLS port: the client must use https or wss";
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    let mut stream = TlsAcceptor::from(tls.server_config()).accept(socket).await?;
    let session = stream.get_ref().1;
    let http2 = session.alpn_protocol() == Some(b"h2");
    let protocol = if http2 { Protocol::Http2 } else { Protocol::Http1 };
    let sni = session.server_name().map(|name| tls.sni(name));
    let mut early = BytesMut::new();
    if !http2 {
        early.reserve(limits::OPENING_READ);
        if (&mut stream).take(limits::OPENING_READ as u64).read_buf(&mut early).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(Opened { io: Io::Tls(Box::new(stream)), early: early.freeze(), protocol, sni }))
}

/// The answer to HTTP without TLS, written by hand: there is no TLS for hyper to write it into.
fn plain_on_tls() -> String {
    const BODY: &str = r#"{"type":"about:blank","title":"Bad Request","status":400,"detail":"this port speaks TLS: use https:// (or wss://) for it"}"#;
    let length = BODY.len();
    format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\nserver: steadfeed\r\n\
         connection: close\r\ncontent-length: {length}\r\n\r\n{BODY}"
    )
}

/// What the client has said by now: a request, most often, for which then nobody has to wait. Its end or failure shows when it
/// is waited for.
fn at_hand(mut socket: &std::net::TcpStream) -> BytesMut {
    let mut room = [0; limits::OPENING_READ];
    let count = socket.read(&mut room).unwrap_or_default();
    let mut early = BytesMut::with_capacity(limits::OPENING_READ);
    early.extend_from_slice(&room[..count]);
    early
}

async fn open_plain(mut socket: TcpStream, mut early: BytesMut) -> io::Result<Option<Opened>> {
    early.reserve(limits::OPENING_READ - early.len());
    while early.len() < H2_PREFACE.len() && H2_PREFACE.starts_with(&early) {
        let room = (limits::OPENING_READ - early.len()) as u64;
        if (&mut socket).take(room).read_buf(&mut early).await? == 0 {
            return Ok(None);
        }
    }
    if early.first() == Some(&TLS_HANDSHAKE) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "TLS on a plain port: the client must use http or ws"));
    }
    let protocol = if early.starts_with(H2_PREFACE) { Protocol::Http2 } else { Protocol::Http1 };
    Ok(Some(Opened { io: Io::Plain(socket), early: early.freeze(), protocol, sni: None }))
}
