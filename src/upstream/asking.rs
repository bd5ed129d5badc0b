//! A request as an upstream is given it.
//!
//! Never: says where a field came from; [`crate::message::hop`] does.

use http::Request;

use crate::message::Body;
use crate::message::trail::Trail;

/// The request, and what it tells a server of its way, which is sent behind its own fields.
#[derive(Debug)]
pub struct Asking {
    pub request: Request<Body>,
    pub trail: Trail,
}

impl Asking {
    /// All in one head, for whoever edits it, or sends it over HTTP/2.
    #[must_use]
    pub fn settled(mut self) -> Request<Body> {
        self.settle();
        self.request
    }

    /// The same, in place.
    pub(super) fn settle(&mut self) {
        self.trail.set(self.request.headers_mut());
    }
}

/// A request of our own, which has no way behind it.
impl From<Request<Body>> for Asking {
    fn from(request: Request<Body>) -> Asking {
        Asking { request, trail: Trail::default() }
    }
}
