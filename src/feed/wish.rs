//! What a viewer asks for as it comes, and where in the log it begins.
//!
//! Owns: the choice between the feed's snapshot and what the viewer named. Never: reads.

use super::log::Cursor;
use super::options::Snapshot;
use super::roster::Roster;
use super::select::Selection;

/// What a viewer asked for as it came.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    pub selection: Selection,
    /// `?last=N`.
    pub last: Option<usize>,
    /// permessage-deflate was negotiated.
    pub deflate: bool,
}

/// Before what a new viewer gets first.
#[must_use]
pub fn first_cursor(roster: &Roster, last: Option<usize>) -> Cursor {
    let log = roster.log();
    match (last, roster.feed().options().snapshot) {
        (Some(last), _) => Cursor::newest(&log, last),
        (None, Snapshot::Last) => Cursor::newest(&log, 1),
        (None, Snapshot::History) => Cursor::newest(&log, usize::MAX),
        (None, Snapshot::None) => Cursor::live(&log),
    }
}
