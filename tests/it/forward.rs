//! Requests that are forwarded, and their answers: what reaches either side, and what each gets when the other fails.
//!
//! Both sides are spoken for by hand, in literal bytes.
//!
//! Each of the submodules has one kind of guarantee.

mod bodies;
mod failures;
mod heads;

use crate::support::http::lines;

const EMPTY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
