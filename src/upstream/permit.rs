//! What a request holds of its server until its response has ended.
//!
//! Owns: the count that `least_conn` goes by, and the way of a connection back to its pool, which costs no task.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::link::{Http1, StreamPermit};
use super::member::Member;
use super::pool::Pool;

/// A request in flight or a socket open, counted until dropped: to be kept with the response's body or the tunnel.
#[derive(Debug)]
pub struct LoadPermit {
    member: Arc<Member>,
    held: Held,
}

/// The request's part in its connection.
#[derive(Debug)]
pub(super) enum Held {
    /// It has a connection of its own, or none yet.
    Nothing,
    /// It has the connection; the pool has it back with the end of the response.
    Http1 {
        pool: Rc<Pool>,
        link: Http1,
    },
    Http2 {
        _permit: StreamPermit,
    },
}

impl LoadPermit {
    pub(super) fn new(member: &Arc<Member>) -> LoadPermit {
        member.load.fetch_add(1, Relaxed);
        LoadPermit { member: Arc::clone(member), held: Held::Nothing }
    }

    pub(super) fn hold(&mut self, held: Held) {
        self.held = held;
    }

    /// Gives up the connection too: what came over it can't be trusted, nor what may come after.
    pub fn discard(mut self) {
        self.held = Held::Nothing;
    }
}

impl Drop for LoadPermit {
    fn drop(&mut self) {
        self.member.load.fetch_sub(1, Relaxed);
        if let Held::Http1 { pool, link } = std::mem::replace(&mut self.held, Held::Nothing) {
            pool.put(link);
        }
    }
}

#[cfg(test)]
impl LoadPermit {
    /// The request's part in its connection, taken from it.
    pub(super) fn take(&mut self) -> Held {
        std::mem::replace(&mut self.held, Held::Nothing)
    }
}
