//! What a request holds of its server until its response has ended.
//!
//! Owns: the count that `least_conn` goes by.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::link::StreamPermit;
use super::member::Member;

/// A request in flight or a socket open, counted until dropped: to be kept with the response's body or the tunnel.
#[derive(Debug)]
pub struct LoadPermit {
    member: Arc<Member>,
    /// Its part in an HTTP/2 connection.
    stream: Option<StreamPermit>,
}

impl LoadPermit {
    pub(super) fn new(member: &Arc<Member>) -> LoadPermit {
        member.load.fetch_add(1, Relaxed);
        LoadPermit { member: Arc::clone(member), stream: None }
    }

    pub(super) fn hold(&mut self, stream: Option<StreamPermit>) {
        self.stream = stream;
    }
}

impl Drop for LoadPermit {
    fn drop(&mut self) {
        self.member.load.fetch_sub(1, Relaxed);
    }
}
