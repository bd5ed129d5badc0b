//! What the benches share: processes on a core of their own, the kernel's accounts of them, and the first words on a socket.
//!
//! Owns: the ways of measuring; what is measured, and how it is told, is each bench's own.

pub mod handshake;
pub mod measure;
pub mod process;
pub mod report;
pub mod steadfeed;
pub mod wait;

/// What went wrong, in words for whoever ran the bench.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error>>;
