//! Listening sockets and the acceptor that places each connection on a worker.
//!
//! Owns: binding, and classifying what accepting may fail with. Never: gives up; out of descriptors, it waits.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream};

use rustix::net::{SocketFlags, acceptfrom_with};
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, sleep};

use crate::limits;

/// A bound listener that accepts nothing yet.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
}

/// A connection as accepted.
#[derive(Debug)]
pub struct Accepted {
    pub socket: TcpStream,
    pub addr: SocketAddr,
    pub at: Instant,
}

impl Listener {
    /// Binds `address`; port 0 takes any free one. Without `SO_REUSEPORT`: a second instance is refused.
    ///
    /// # Errors
    /// What the kernel says, `AddrInUse` above all.
    pub fn bind(address: SocketAddr) -> io::Result<Listener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        // Connections of an earlier instance that linger in TIME_WAIT are no reason to refuse.
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        inherited(&socket)?;
        socket.listen(i32::try_from(limits::ACCEPT_BACKLOG).unwrap_or(i32::MAX))?;
        socket.set_nonblocking(true)?;
        Ok(Listener { socket: socket.into() })
    }

    /// The address it has, with its real port.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Gives each connection to `place`, until dropped.
    ///
    /// # Errors
    /// When the listener cannot be registered with this thread's runtime; never for what accepting fails with.
    pub async fn accept_each(self, mut place: impl FnMut(Accepted)) -> io::Result<()> {
        #[expect(
            deprecated,
            reason = "unsound only for types that change their descriptor; std's TcpListener never does"
        )]
        let socket = AsyncFd::new(self.socket)?;
        let mut in_turn = 0;
        let mut complained = None;
        loop {
            let mut ready = socket.readable().await?;
            match ready.try_io(|socket| accept(socket.get_ref())) {
                Ok(Ok(accepted)) => place(accepted),
                Ok(Err(error)) => recover(&error, &mut complained).await,
                Err(_would_block) => {}
            }
            in_turn += 1;
            if in_turn % limits::FANOUT_SLICE == 0 {
                tokio::task::yield_now().await;
            }
        }
    }
}

/// What every connection has from its listener, without a system call of its own (tcp(7)): no delay, little that is kept
/// unsent, and the kernel's question whether a silent peer is still there.
fn inherited(listener: &Socket) -> io::Result<()> {
    let keepalive = TcpKeepalive::new().with_time(limits::CLIENT_KEEPALIVE).with_interval(limits::CLIENT_KEEPALIVE / 4);
    listener.set_tcp_nodelay(true)?;
    listener.set_tcp_notsent_lowat(limits::NOTSENT_LOWAT)?;
    listener.set_tcp_keepalive(&keepalive)
}

fn accept(listener: &TcpListener) -> io::Result<Accepted> {
    let (socket, addr) = acceptfrom_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
    let addr = addr.and_then(|addr| SocketAddr::try_from(addr).ok()).ok_or(ErrorKind::ConnectionAborted)?;
    Ok(Accepted { socket: socket.into(), addr, at: Instant::now() })
}

/// What a client did to its own connection passes; anything else may be a lack of descriptors or memory: wait.
/// It is complained of when it begins and now and then while it stays.
async fn recover(error: &io::Error, complained: &mut Option<Instant>) {
    let clients_own = [
        ErrorKind::ConnectionAborted,
        ErrorKind::ConnectionRefused,
        ErrorKind::ConnectionReset,
        ErrorKind::Interrupted,
        ErrorKind::InvalidInput,
    ];
    if clients_own.contains(&error.kind()) {
        return;
    }
    if complained.is_none_or(|at| at.elapsed() >= limits::ACCEPT_COMPLAINT) {
        *complained = Some(Instant::now());
        let remedy = "raise the limit of open files (ulimit -n) if this stays";
        tracing::error!(%error, remedy, "cannot accept connections for now");
    }
    sleep(limits::ACCEPT_BACKOFF).await;
}

#[cfg(test)]
mod tests {
    use socket2::SockRef;

    use super::*;

    #[test]
    fn a_connection_has_its_options_from_its_listener() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = Listener::bind(address.parse().unwrap()).unwrap();
            let client = TcpStream::connect(listener.address().unwrap()).unwrap();
            let accepted = loop {
                match accept(&listener.socket) {
                    Ok(accepted) => break accepted,
                    Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                }
            };
            assert_eq!(accepted.addr, client.local_addr().unwrap());
            let options = SockRef::from(&accepted.socket);
            assert!(options.tcp_nodelay().unwrap() && options.nonblocking().unwrap() && options.keepalive().unwrap());
            assert_eq!(options.tcp_notsent_lowat().unwrap(), limits::NOTSENT_LOWAT);
            assert_eq!(options.tcp_keepalive_time().unwrap(), limits::CLIENT_KEEPALIVE);
            assert_eq!(options.tcp_keepalive_interval().unwrap(), limits::CLIENT_KEEPALIVE / 4);
        }
    }
}
