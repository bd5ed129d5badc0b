//! A feed's log: the history of each (type, key), in the feed's one sequence, and reading it after a cursor.
//!
//! Owns: what is kept and what is pushed out: `history` messages of each (type, key), `keys` such pairs, and
//! [`limits::LOG_BYTES`] in all. Never: knows who reads.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;

use super::message::Message;
use crate::limits;

/// Messages by sequence number, bounded. A clone shares the messages.
#[derive(Debug, Clone)]
pub struct Log {
    messages: BTreeMap<u64, Arc<Message>>,
    /// Sequence numbers kept of each (type, key), oldest first.
    series: HashMap<Box<str>, VecDeque<u64>>,
    /// The newest of each series, by sequence number: the last values, and who was updated least recently.
    newest: BTreeMap<u64, Box<str>>,
    head: u64,
    /// The highest sequence number that was pushed out.
    floor: u64,
    bytes: usize,
    /// Up to this sequence number messages have been retired; bytes of those after it.
    retired: u64,
    fresh: usize,
    /// Where this copy was made anew, rather than gone on with: the heads before and after.
    jump: Range<u64>,
    bounds: Bounds,
}

#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Messages of each (type, key).
    pub history: NonZeroUsize,
    /// (type, key) pairs.
    pub keys: NonZeroUsize,
    /// Bytes of all messages.
    pub bytes: usize,
}

/// A place in a log: everything up to it has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    at: u64,
    /// Up to this sequence number only the newest `depth` messages of each (type, key) are read.
    until: u64,
    depth: usize,
}

/// The next thing after a cursor.
#[derive(Debug)]
pub enum Next<'a> {
    Message(&'a Arc<Message>),
    /// A message that the cursor leaves out, by its sequence number: it is to be passed.
    Older(u64),
    /// The cursor is at the head.
    Nothing,
    /// Messages the reader had not seen were pushed out.
    Behind,
}

impl Bounds {
    #[must_use]
    pub fn new(history: usize, keys: NonZeroUsize) -> Bounds {
        let history = NonZeroUsize::new(history).unwrap_or(NonZeroUsize::MIN);
        Bounds { history, keys, bytes: limits::LOG_BYTES }
    }
}

impl Log {
    #[must_use]
    pub fn new(bounds: Bounds) -> Log {
        Log {
            messages: BTreeMap::new(),
            series: HashMap::new(),
            newest: BTreeMap::new(),
            head: 0,
            floor: 0,
            bytes: 0,
            retired: 0,
            fresh: 0,
            jump: 0..0,
            bounds,
        }
    }

    /// The sequence number of the newest message, 0 before the first.
    #[must_use]
    pub fn head(&self) -> u64 {
        self.head
    }

    #[must_use]
    pub fn contains(&self, seq: u64) -> bool {
        self.messages.contains_key(&seq)
    }

    /// How many messages can be added before one of them could push out another of them.
    #[must_use]
    pub fn chunk(&self) -> usize {
        self.bounds.history.min(self.bounds.keys).get()
    }

    /// Bytes of all messages kept.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Keeps no more than this many bytes from here on; the newest message stays.
    pub fn bound_bytes(&mut self, bytes: usize) {
        self.bounds.bytes = bytes;
        self.trim();
    }

    /// Adds `message`, pushing out what exceeds the bounds. One that is not newer than the head is already here.
    pub fn append(&mut self, message: Arc<Message>) {
        let seq = message.seq();
        if seq <= self.head {
            return;
        }
        self.head = seq;
        self.bytes += message.envelope().len();
        self.fresh += message.envelope().len();
        let name = series_name(&message);
        let series = self.series.entry(name.clone()).or_default();
        if let Some(previous) = series.back() {
            self.newest.remove(previous);
        }
        series.push_back(seq);
        let oldest = if series.len() > self.bounds.history.get() { series.pop_front() } else { None };
        self.newest.insert(seq, name);
        self.messages.insert(seq, message);
        if let Some(oldest) = oldest {
            self.remove_message(oldest);
        }
        self.trim();
    }

    /// Has the oldest messages keep no encodings, until those that do hold no more than this many bytes; the newest may.
    pub fn retire(&mut self, bytes: usize) {
        while self.fresh > bytes {
            let Some((&seq, message)) = self.messages.range(self.retired + 1..self.head).next() else { return };
            message.retire();
            self.fresh -= message.envelope().len();
            self.retired = seq;
        }
    }

    /// Becomes a copy of `ahead`, which has messages that this one never will have had.
    pub fn jump_to(&mut self, ahead: Log) {
        // A reader may not have had its turn since the jump before.
        let from = if self.jump.end == self.head { self.jump.start } else { self.head };
        *self = Log { jump: from..ahead.head, ..ahead };
    }

    /// Whether `cursor` stood at the head of this copy when that jumped: what it misses it was never offered.
    #[must_use]
    pub fn excuses(&self, cursor: &Cursor) -> bool {
        self.jump.contains(&cursor.at.max(cursor.until))
    }

    /// What comes after `cursor`, which it does not move: that is [`Cursor::pass`]. One step, however long the log.
    #[must_use]
    pub fn next(&self, cursor: &Cursor) -> Next<'_> {
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

    /// The newest message of each (type, key), in sequence order.
    pub fn last_values(&self) -> impl Iterator<Item = &Arc<Message>> {
        self.newest.keys().filter_map(|seq| self.messages.get(seq))
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

    fn trim(&mut self) {
        while self.newest.len() > self.bounds.keys.get() {
            let Some((_, name)) = self.newest.pop_first() else { return };
            for seq in self.series.remove(&name).unwrap_or_default() {
                self.remove_message(seq);
            }
        }
        // The message just added stays, however large it is.
        while self.bytes > self.bounds.bytes && self.messages.len() > 1 {
            let Some((&seq, message)) = self.messages.first_key_value() else { return };
            let name = series_name(message);
            self.forget(&name, seq);
            self.remove_message(seq);
        }
    }

    fn forget(&mut self, name: &str, seq: u64) {
        let Some(series) = self.series.get_mut(name) else { return };
        series.retain(|kept| *kept != seq);
        if series.is_empty() {
            self.series.remove(name);
            self.newest.remove(&seq);
        }
    }

    fn remove_message(&mut self, seq: u64) {
        if let Some(message) = self.messages.remove(&seq) {
            self.bytes -= message.envelope().len();
            if seq > self.retired {
                self.fresh -= message.envelope().len();
            }
            self.floor = self.floor.max(seq);
        }
    }
}

impl Cursor {
    /// At the head: only what comes later is read.
    #[must_use]
    pub fn live(log: &Log) -> Cursor {
        Cursor { at: log.head, until: 0, depth: 0 }
    }

    /// Before the newest `depth` messages of each (type, key); what comes later is read whole.
    #[must_use]
    pub fn newest(log: &Log, depth: usize) -> Cursor {
        if depth == 0 { Cursor::live(log) } else { Cursor { at: 0, until: log.head, depth } }
    }

    /// After `seq`, as far as it is kept. A log that has not come to `seq` yet is read from there on once it has.
    #[must_use]
    pub fn after(log: &Log, seq: u64) -> Cursor {
        Cursor { at: seq, until: log.head, depth: usize::MAX }
    }

    /// From here on reads only the newest of each (type, key) of what is unread now.
    pub fn conflate(&mut self, log: &Log) {
        self.until = log.head;
        self.depth = 1;
    }

    /// `seq` has been read.
    pub fn pass(&mut self, seq: u64) {
        self.at = seq;
    }

    #[must_use]
    pub fn at(&self) -> u64 {
        self.at
    }
}

/// Type and key as one text. A NUL cannot be in a type by way of a mistake: one that holds it merely shares a name.
pub(super) fn series_name(message: &Message) -> Box<str> {
    let envelope = message.envelope();
    match envelope.key() {
        None => envelope.type_().into(),
        Some(key) => [envelope.type_(), "\0", key].concat().into(),
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::{Bounds, Cursor, Log, Next};
    use crate::feed::NormalizeOptions;
    use crate::feed::message::Message;
    use crate::feed::normalize::{Incoming, Normalizer, Outcome};

    fn message(seq: u64, type_: &str) -> Arc<Message> {
        let text = format!(r#"{{"type":"{type_}","data":{seq}}}"#);
        let normalizer = Normalizer::new(&NormalizeOptions::default()).unwrap();
        let Outcome::Keep(envelope) = normalizer.normalize(Incoming::Text(&text), Timestamp::UNIX_EPOCH) else {
            panic!("{text} is kept");
        };
        Arc::new(Message::new(seq, envelope))
    }

    /// A log of messages of these one-letter types, numbered from 1.
    fn log(history: usize, types: &str) -> Log {
        let mut log = Log::new(Bounds::new(history, NonZeroUsize::new(10).unwrap()));
        add(&mut log, types);
        log
    }

    fn add(log: &mut Log, types: &str) {
        for type_ in types.chars() {
            log.append(message(log.head() + 1, &type_.to_string()));
        }
    }

    /// What is read after the cursor, and whether it was behind at first.
    #[track_caller]
    fn check(log: &Log, mut cursor: Cursor, behind: bool, expected: &[u64]) {
        let mut seen = Vec::new();
        let mut was_behind = false;
        loop {
            match log.next(&cursor) {
                Next::Nothing => break,
                Next::Behind => {
                    was_behind = true;
                    cursor.conflate(log);
                }
                Next::Older(seq) => cursor.pass(seq),
                Next::Message(message) => {
                    cursor.pass(message.seq());
                    seen.push(message.seq());
                }
            }
        }
        assert_eq!((was_behind, seen.as_slice()), (behind, expected));
    }

    #[test]
    fn a_cursor_reads_the_newest_of_each_series_in_order() {
        let log = log(3, "abaabba");
        check(&log, Cursor::newest(&log, 1), false, &[6, 7]);
        check(&log, Cursor::newest(&log, 2), false, &[4, 5, 6, 7]);
        check(&log, Cursor::newest(&log, usize::MAX), false, &[2, 3, 4, 5, 6, 7]);
        check(&log, Cursor::newest(&log, 0), false, &[]);
        check(&log, Cursor::live(&log), false, &[]);
    }

    #[test]
    fn a_cursor_that_resumes_reads_what_is_left_after_it() {
        let log = log(3, "abaabba");
        check(&log, Cursor::after(&log, 7), false, &[]);
        check(&log, Cursor::after(&log, 4), false, &[5, 6, 7]);
        check(&log, Cursor::after(&log, 0), false, &[2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn one_that_resumes_where_the_log_lags_is_told_nothing_twice() {
        let mut log = log(3, "aa");
        let cursor = Cursor::after(&log, 4);
        check(&log, cursor, false, &[]);
        add(&mut log, "aa");
        check(&log, cursor, false, &[]);
        add(&mut log, "aa");
        check(&log, cursor, false, &[5, 6]);
    }

    #[test]
    fn one_that_fell_behind_reads_the_newest_of_each_series_then_all() {
        let mut log = log(2, "ab");
        let mut cursor = Cursor::live(&log);
        add(&mut log, "aab");
        check(&log, cursor, false, &[3, 4, 5]);
        add(&mut log, "a");
        check(&log, cursor, true, &[5, 6]);
        cursor.conflate(&log);
        add(&mut log, "ab");
        check(&log, cursor, false, &[7, 8]);
        add(&mut log, "aa");
        check(&log, cursor, true, &[8, 10]);
    }
}
