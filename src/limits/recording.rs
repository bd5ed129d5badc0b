//! The numbers of recordings: what `steadfeed explain` reads.
//!
//! Never: a number that serving needs.

use super::command_line::WATCH_MESSAGE;

/// One line of a recording, in bytes: the largest message that is recorded, each byte of it escaped, and its time.
pub const RECORDED_LINE: usize = 6 * WATCH_MESSAGE + 256;
