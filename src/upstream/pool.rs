//! One worker's connections to one server.
//!
//! Owns: which connection a request gets, how many are kept idle and for how long. A connection that its server closed, or
//! that leads to where the server's name no longer does, is never handed out.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::timeout;

use super::connect::{self, Protocol, Wanted};
use super::failure::Failure;
use super::http1::Conn;
use super::link::{Http2, Link};
use super::member::Member;
use super::options::{Scheme, Server};
use crate::limits;
use crate::shutdown::Tasks;

/// One worker's connections to one server.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) member: Arc<Member>,
    pub(super) response_timeout: Duration,
    connect_timeout: Duration,
    tasks: Tasks,
    /// Newest last.
    idle: RefCell<VecDeque<Idle>>,
    shared: RefCell<Vec<Shared>>,
    /// Held over the opening of an HTTP/2 connection, so that a burst of requests opens one and shares it.
    opening: Mutex<()>,
    /// The server speaks HTTP/2, as far as is known.
    multiplexes: Cell<bool>,
    /// Counts the sweeps.
    sweeps: Cell<u32>,
}

#[derive(Debug)]
struct Idle {
    link: Conn,
    /// The sweep after which it was last used.
    since: u32,
}

#[derive(Debug)]
struct Shared {
    link: Http2,
    /// The last sweep that found requests on it.
    since: u32,
}

impl Pool {
    pub(super) fn new(
        member: &Arc<Member>,
        connect_timeout: Duration,
        response_timeout: Duration,
        tasks: Tasks,
    ) -> Pool {
        let h2c = matches!(member.server, Server::Tcp { scheme: Scheme::H2c, .. });
        Pool {
            member: Arc::clone(member),
            response_timeout,
            connect_timeout,
            tasks,
            idle: RefCell::default(),
            shared: RefCell::default(),
            opening: Mutex::new(()),
            multiplexes: Cell::new(h2c),
            sweeps: Cell::new(0),
        }
    }

    /// A connection that was used before, if there is one to use now.
    pub(super) fn take(&self) -> Option<Link> {
        if self.multiplexes.get() { self.share(false).map(Link::Http2) } else { self.take_idle().map(Link::Http1) }
    }

    /// Keeps the connection for another request.
    pub(super) fn put(&self, mut link: Conn) {
        if !link.is_usable(&self.member) {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        if idle.len() >= limits::UPSTREAM_IDLE {
            idle.pop_front();
        }
        idle.push_back(Idle { link, since: self.sweeps.get() });
    }

    /// A new connection, or for HTTP/2 one that was opened meanwhile.
    ///
    /// # Errors
    /// [`Failure::Connect`], [`Failure::ConnectTimeout`] or [`Failure::Broken`].
    pub(super) async fn open(&self) -> Result<Link, Failure> {
        if !self.multiplexes.get() {
            return self.open_one(Wanted::Any).await;
        }
        let opened = async {
            let _one_at_a_time = self.opening.lock().await;
            let crowded = self.shared.borrow().len() >= limits::UPSTREAM_H2_CONNECTIONS;
            match self.share(crowded) {
                Some(link) => Ok(Link::Http2(link)),
                None => self.open_one(Wanted::Any).await,
            }
        };
        // The one before may have waited as long for nothing.
        timeout(self.connect_timeout, opened).await.map_err(|_| self.late())?
    }

    /// A connection for one request alone, which may become a socket.
    ///
    /// # Errors
    /// As [`Pool::open`].
    pub(super) async fn open_alone(&self) -> Result<Conn, Failure> {
        let connected = connect::connect(&self.member, Wanted::Http1, self.connect_timeout).await?;
        Ok(Conn::new(connected))
    }

    /// Closes what was idle for long; to be called each [`limits::UPSTREAM_SWEEP`].
    pub(super) fn sweep(&self) {
        let sweep = self.sweeps.get().wrapping_add(1);
        self.sweeps.set(sweep);
        let old = |since: u32| sweep.wrapping_sub(since) >= limits::UPSTREAM_SWEEPS;
        let member = &self.member;
        self.idle.borrow_mut().retain_mut(|idle| !old(idle.since) && idle.link.is_usable(member));
        self.shared.borrow_mut().retain_mut(|shared| {
            if shared.link.streams() > 0 {
                shared.since = sweep;
            }
            !old(shared.since) && shared.link.is_usable(member)
        });
    }

    async fn open_one(&self, wanted: Wanted) -> Result<Link, Failure> {
        let connected = connect::connect(&self.member, wanted, self.connect_timeout).await?;
        self.multiplexes.set(connected.protocol == Protocol::Http2);
        let opened = timeout(self.connect_timeout, Link::new(connected, &self.tasks)).await.map_err(|_| self.late())?;
        let link =
            opened.map_err(|error| Failure::Broken { server: Arc::clone(&self.member.name), error: error.into() })?;
        if let Link::Http2(link) = &link {
            let mut shared = self.shared.borrow_mut();
            // Over the bound, as many a server's first connections may be, it serves this request alone.
            if shared.len() < limits::UPSTREAM_H2_CONNECTIONS {
                shared.push(Shared { link: link.clone(), since: self.sweeps.get() });
            }
        }
        Ok(link)
    }

    fn late(&self) -> Failure {
        Failure::ConnectTimeout { server: Arc::clone(&self.member.name) }
    }

    fn take_idle(&self) -> Option<Conn> {
        let mut idle = self.idle.borrow_mut();
        loop {
            let mut link = idle.pop_back()?.link;
            if link.is_usable(&self.member) {
                return Some(link);
            }
        }
    }

    /// The first connection with room for another request; `crowded`, the one with the fewest.
    fn share(&self, crowded: bool) -> Option<Http2> {
        let mut shared = self.shared.borrow_mut();
        shared.retain_mut(|shared| shared.link.is_usable(&self.member));
        let mut links = shared.iter().map(|shared| &shared.link);
        let link = if crowded { links.min_by_key(|link| link.streams()) } else { links.find(|link| link.has_room()) };
        link.cloned()
    }
}

#[cfg(test)]
impl Pool {
    /// Connections kept, whether they can be used or not.
    pub(super) fn idle_count(&self) -> usize {
        self.idle.borrow().len()
    }
}
