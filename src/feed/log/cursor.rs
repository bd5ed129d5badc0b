//! Reading a log after a cursor: the snapshot, history, what is live, and conflation are one thing.
//!
//! Owns: what comes next for a reader, and when it is told of the feed's standing. Never: changes the log.

use std::sync::Arc;

use super::{Log, series_name};
use crate::feed::message::Message;
use crate::feed::notice::Notice;
use crate::feed::standing::Standing;

/// A place in a log: everything up to it has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    at: u64,
    /// Up to this sequence number only the newest `depth` messages of each (type, key) are read.
    until: u64,
    depth: usize,
    /// The newest notice that was told, or was not worth telling.
    told: u64,
}

/// The next thing after a cursor.
#[derive(Debug)]
pub enum Next<'a> {
    Message(&'a Arc<Message>),
    /// The feed's standing has changed: it is to be [told](Cursor::tell).
    Notice(&'a Arc<Notice>),
    /// A message that the cursor leaves out, by its sequence number: it is to be passed.
    Older(u64),
    /// The cursor is at the head.
    Nothing,
    /// Messages the reader had not seen were pushed out.
    Behind,
}

impl Log {
    /// Whether `cursor` stood at the head of this copy when that jumped: what it misses it was never offered.
    #[must_use]
    pub fn excuses(&self, cursor: &Cursor) -> bool {
        self.jump.contains(&cursor.at.max(cursor.until))
    }

    /// The oldest notice that `cursor` has not told, though there may be messages before it.
    #[must_use]
    pub fn untold(&self, cursor: &Cursor) -> Option<&Arc<Notice>> {
        self.notices.iter().find(|notice| notice.seq() > cursor.told)
    }

    /// What comes after `cursor`, which it does not move: that is [`Cursor::pass`] and [`Cursor::tell`]. One step, however
    /// long the log.
    #[must_use]
    pub fn next(&self, cursor: &Cursor) -> Next<'_> {
        let next = self.next_message(cursor);
        if cursor.told >= self.noticed {
            return next;
        }
        let Some(notice) = self.untold(cursor) else { return next };
        // Past messages are told whole before the standing of today.
        let due = notice.seq().max(cursor.until);
        match next {
            Next::Message(message) if message.seq() <= due => next,
            Next::Older(seq) if seq <= due => next,
            Next::Behind => next,
            Next::Message(_) | Next::Older(_) | Next::Notice(_) | Next::Nothing => Next::Notice(notice),
        }
    }

    fn next_message(&self, cursor: &Cursor) -> Next<'_> {
        if cursor.at >= self.head {
            return Next::Nothing;
        }
        if self.is_past(cursor) {
            return Next::Behind;
        }
        if cursor.depth == 1 && cursor.at < cursor.until {
            return self.next_newest(cursor);
        }
        let whole = cursor.depth >= self.bounds.history.get();
        let within =
            |seq: u64, message: &Message| whole || seq > cursor.until || self.rank(seq, message) <= cursor.depth;
        match self.messages.range(cursor.at + 1..).next() {
            Some((seq, message)) if within(*seq, message) => Next::Message(message),
            Some((seq, _)) => Next::Older(*seq),
            None => Next::Nothing,
        }
    }

    /// Whether messages after `cursor` were pushed out before they were read.
    #[must_use]
    pub fn is_past(&self, cursor: &Cursor) -> bool {
        cursor.at.max(cursor.until) < self.floor
    }

    /// As [`next`](Log::next) at depth 1, without a walk over the history.
    fn next_newest(&self, cursor: &Cursor) -> Next<'_> {
        let newest = self.newest.range(cursor.at + 1..=cursor.until).next().map(|(seq, _)| *seq);
        let later = || self.messages.range(cursor.until + 1..).next().map(|(seq, _)| *seq);
        let seq = newest.or_else(later);
        seq.and_then(|seq| self.messages.get(&seq)).map_or(Next::Nothing, Next::Message)
    }

    /// 1 for the newest of its (type, key), 2 for the one before it, and so on.
    fn rank(&self, seq: u64, message: &Message) -> usize {
        let Some(series) = self.series.get(&series_name(message)) else { return usize::MAX };
        series.len() - series.partition_point(|kept| *kept < seq)
    }
}

impl Cursor {
    /// At the head: only what comes later is read.
    #[must_use]
    pub fn live(log: &Log) -> Cursor {
        Cursor { at: log.head, until: 0, depth: 0, told: Cursor::told(log) }
    }

    /// Before the newest `depth` messages of each (type, key); what comes later is read whole.
    #[must_use]
    pub fn newest(log: &Log, depth: usize) -> Cursor {
        if depth == 0 { Cursor::live(log) } else { Cursor { at: 0, until: log.head, depth, told: Cursor::told(log) } }
    }

    /// After `seq`, as far as it is kept. A log that has not come to `seq` yet is read from there on once it has.
    #[must_use]
    pub fn after(log: &Log, seq: u64) -> Cursor {
        Cursor { at: seq, until: log.head, depth: usize::MAX, told: Cursor::told(log) }
    }

    /// Who comes while the feed is live takes that for granted; else it is told once how things stand.
    fn told(log: &Log) -> u64 {
        match log.notices.back() {
            Some(newest) if newest.standing() != Standing::Live => newest.seq() - 1,
            Some(_) | None => log.noticed,
        }
    }

    /// Reads on from `place`; of the feed's standing it has been told what it has been told.
    pub fn move_to(&mut self, place: Cursor) {
        *self = Cursor { told: self.told, ..place };
    }

    /// From here on reads only the newest of each (type, key) of what is unread now, and the newest notice.
    pub fn conflate(&mut self, log: &Log) {
        self.told = self.told.max(log.noticed.saturating_sub(1));
        self.until = log.head;
        self.depth = 1;
    }

    /// `seq` has been read.
    pub fn pass(&mut self, seq: u64) {
        self.at = seq;
    }

    /// The notice `seq` has been told.
    pub fn tell(&mut self, seq: u64) {
        self.told = seq;
    }

    #[must_use]
    pub fn at(&self) -> u64 {
        self.at
    }
}
