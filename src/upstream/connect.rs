//! Connecting to a server.
//!
//! Owns: one deadline over look-up, TCP and TLS, and the order among several addresses. Never: speaks HTTP.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use socket2::{Domain, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::failure::Failure;
use super::io::Io;
use super::member::Member;
use super::options::{Scheme, Server};
use super::resolve::Round;
use crate::limits;

/// A connection, and how HTTP is spoken on it.
#[derive(Debug)]
pub(super) struct Connected {
    pub(super) io: Io,
    pub(super) protocol: Protocol,
    pub(super) place: Place,
    /// It takes bytes, which the runtime has yet to hear.
    pub(super) is_fresh: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// What is wanted of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Whatever the server speaks.
    Any,
    /// For an upgrade (RFC 9110, section 7.8), which HTTP/2 has not.
    Http1,
}

/// Where a connection leads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Of a unix socket there is none.
    address: Option<SocketAddr>,
    /// [`Addresses::changes`](super::resolve::Addresses::changes) when it was last known to be right.
    changes: u64,
}

impl Place {
    /// Whether the server's name still leads there.
    pub(super) fn is_right(&mut self, member: &Member) -> bool {
        let changes = member.addresses.changes();
        if changes == self.changes {
            return true;
        }
        self.changes = changes;
        self.address.is_none_or(|address| member.addresses.has(address))
    }
}

/// Connects within `allowance`, TLS included.
///
/// # Errors
/// [`Failure::Connect`] or [`Failure::ConnectTimeout`].
pub(super) async fn connect(member: &Member, wanted: Wanted, allowance: Duration) -> Result<Connected, Failure> {
    if let Some(connected) = at_once(member, wanted) {
        return Ok(connected);
    }
    let late = || Failure::ConnectTimeout { server: Arc::clone(&member.name) };
    let deadline = Instant::now() + allowance;
    // Boxed: a handshake's state is large, and most requests need none.
    match timeout_at(deadline, Box::pin(dial(member, wanted, deadline))).await {
        Ok(Ok(connected)) => Ok(connected),
        Ok(Err(error)) if error.kind() == io::ErrorKind::TimedOut => Err(late()),
        Ok(Err(error)) => Err(Failure::Connect { server: Arc::clone(&member.name), error }),
        Err(_) => Err(late()),
    }
}

/// Connected to a server of this machine, which has both ends: where the server has room, the call itself makes them one. What
/// comes of it otherwise is for whoever dials to find out.
fn at_once(member: &Member, wanted: Wanted) -> Option<Connected> {
    let Server::Tcp { scheme: scheme @ (Scheme::Http | Scheme::H2c), .. } = &member.server else { return None };
    let address = member.addresses.own()?;
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), None).ok()?;
    // That it is under way is no failure, and whether it is over is asked next.
    let _ = socket.connect(&address.into());
    socket.peer_addr().ok()?;
    // It cannot go without its kernel's saying so: there is nothing to keep alive.
    let _ = socket.set_tcp_nodelay(true);
    let tcp = TcpStream::from_std(socket.into()).ok()?;
    let place = Place { address: Some(address), changes: member.addresses.changes() };
    Some(Connected { io: Io::Plain(tcp), protocol: unencrypted(*scheme, wanted), place, is_fresh: true })
}

fn unencrypted(scheme: Scheme, wanted: Wanted) -> Protocol {
    match (scheme, wanted) {
        (Scheme::H2c, Wanted::Any) => Protocol::Http2,
        (Scheme::Http | Scheme::Https | Scheme::H2c, Wanted::Any | Wanted::Http1) => Protocol::Http1,
    }
}

async fn dial(member: &Member, wanted: Wanted, deadline: Instant) -> io::Result<Connected> {
    let scheme = match &member.server {
        Server::Unix(path) => {
            let io = Io::Unix(UnixStream::connect(path).await?);
            let place = Place { address: None, changes: member.addresses.changes() };
            return Ok(Connected { io, protocol: Protocol::Http1, place, is_fresh: false });
        }
        Server::Tcp { scheme, .. } => *scheme,
    };
    let (tcp, place) = dial_tcp(member, deadline).await?;
    let Some((name, tls)) = &member.tls else {
        let protocol = unencrypted(scheme, wanted);
        return Ok(Connected { io: Io::Plain(tcp), protocol, place, is_fresh: false });
    };
    let config: &Arc<ClientConfig> = match wanted {
        Wanted::Any => &tls.any,
        Wanted::Http1 => &tls.http1,
    };
    let stream = TlsConnector::from(Arc::clone(config)).connect(name.clone(), tcp).await?;
    let protocol = match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => Protocol::Http2,
        Some(_) | None => Protocol::Http1,
    };
    Ok(Connected { io: Io::Tls(Box::new(stream)), protocol, place, is_fresh: false })
}

/// Tries each address; where none answers, and the name leads elsewhere by now, those it leads to.
async fn dial_tcp(member: &Member, deadline: Instant) -> io::Result<(TcpStream, Place)> {
    let round = member.addresses.round().await?;
    match try_each(member, &round, deadline).await {
        Ok(connected) => Ok(connected),
        Err(error) => match member.addresses.newer(&round).await {
            Some(newer) => try_each(member, &newer, deadline).await,
            None => Err(error),
        },
    }
}

async fn try_each(member: &Member, round: &Round, deadline: Instant) -> io::Result<(TcpStream, Place)> {
    let mut failed = None;
    for (index, address) in round.addresses.iter().enumerate() {
        // One that swallows packets leaves the others their share of the time.
        let left = u32::try_from(round.addresses.len() - index).unwrap_or(u32::MAX);
        let share = deadline.saturating_duration_since(Instant::now()) / left;
        let connecting = TcpStream::connect(address);
        // The last one has all that is left, which the deadline above is for.
        let outcome = if left == 1 { Ok(connecting.await) } else { timeout(share, connecting).await };
        match outcome {
            Ok(Ok(tcp)) => {
                set_up(&tcp);
                member.addresses.answered(*address);
                return Ok((tcp, Place { address: Some(*address), changes: member.addresses.changes() }));
            }
            Ok(Err(error)) => failed = Some(error),
            Err(_) => failed = Some(io::ErrorKind::TimedOut.into()),
        }
    }
    Err(failed.unwrap_or_else(|| io::Error::other("there is no address to connect to")))
}

/// Best effort: a socket that takes no options still takes requests.
fn set_up(tcp: &TcpStream) {
    let _ = tcp.set_nodelay(true);
    let keepalive = TcpKeepalive::new().with_time(limits::UPSTREAM_TCP_KEEPALIVE);
    let _ = SockRef::from(tcp).set_tcp_keepalive(&keepalive);
}
