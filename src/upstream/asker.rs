//! Whoever waits for an answer, and what it may be told beside it.

use http::response::Parts;

/// Is told of informational answers (RFC 9110, section 15.2) while the answer itself is waited for: all but 100 and 101.
/// Only what HTTP/1.1 servers say is told: hyper passes over those of HTTP/2.
pub trait Asker {
    /// One came; its headers are as the server wrote them. What is done with it is no matter of the answer's.
    fn interim(&self, head: Parts);
}

/// Among an answer's extensions: it came before the request's body was wanted, whose client was never told to go on. The
/// rest of that request will not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Withheld;
