//! Listening sockets and the acceptor that places each connection on a worker.
//!
//! Owns: binding, and classifying what accepting may fail with. Never: gives up; out of descriptors, it waits.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream};

use socket2::{Domain, Protocol, SockRef, Socket, Type};
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

fn accept(listener: &TcpListener) -> io::Result<Accepted> {
    let (socket, addr) = listener.accept()?;
    let options = SockRef::from(&socket);
    options.set_nonblocking(true)?;
    options.set_tcp_nodelay(true)?;
    options.set_tcp_notsent_lowat(limits::NOTSENT_LOWAT)?;
    Ok(Accepted { socket, addr, at: Instant::now() })
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
