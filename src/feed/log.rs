//! A feed's log: the history of each (type, key), in the feed's one sequence.
//!
//! Owns: what is kept and what is pushed out: `history` messages of each (type, key), `keys` such pairs, and
//! [`limits::LOG_BYTES`] in all; that the fallback's go with the first message of a source. Notices of the feed's standing
//! are entries of the same sequence, and no values. Never: knows who reads.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;

pub use cursor::{Cursor, Next};

use super::inlet::Rank;
use super::message::Message;
use super::notice::Notice;
use crate::limits;

mod cursor;

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
    /// How many of `messages` are the fallback's.
    borrowed: usize,
    /// The newest changes of the feed's standing, oldest first.
    notices: VecDeque<Arc<Notice>>,
    noticed: u64,
    bounds: Bounds,
}

/// What has a place in the one sequence.
#[derive(Debug, Clone)]
pub enum Entry {
    Message(Arc<Message>),
    Notice(Arc<Notice>),
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
            borrowed: 0,
            notices: VecDeque::new(),
            noticed: 0,
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

    /// Adds `entry`, pushing out what exceeds the bounds. One that is not newer than the head is already here.
    pub fn add(&mut self, entry: Entry) {
        let seq = entry.seq();
        if seq <= self.head {
            return;
        }
        self.head = seq;
        match entry {
            Entry::Message(message) => self.append(message),
            Entry::Notice(notice) => {
                self.noticed = seq;
                self.notices.push_back(notice);
                if self.notices.len() > limits::NOTICES {
                    self.notices.pop_front();
                }
            }
        }
    }

    fn append(&mut self, message: Arc<Message>) {
        let seq = message.seq();
        match message.rank() {
            Rank::Fallback => self.borrowed += 1,
            Rank::Source if self.borrowed > 0 => self.give_back(),
            Rank::Source => {}
        }
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

    /// The sequence number of the newest notice, 0 before the first.
    #[must_use]
    pub fn noticed(&self) -> u64 {
        self.noticed
    }

    /// The newest message of each (type, key), in sequence order.
    pub fn last_values(&self) -> impl Iterator<Item = &Arc<Message>> {
        self.newest.keys().filter_map(|seq| self.messages.get(seq))
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

    /// A source has spoken: what the fallback said is gone, from the history and as last values. No reader fell behind by
    /// that: the messages were not its source's.
    fn give_back(&mut self) {
        let (mut bytes, mut fresh) = (0, 0);
        self.messages.retain(|seq, message| {
            let size = if message.rank() == Rank::Fallback { message.envelope().len() } else { 0 };
            bytes += size;
            fresh += if *seq > self.retired { size } else { 0 };
            message.rank() == Rank::Source
        });
        self.bytes -= bytes;
        self.fresh -= fresh;
        self.borrowed = 0;
        let messages = &self.messages;
        self.series.retain(|_, kept| {
            kept.retain(|seq| messages.contains_key(seq));
            !kept.is_empty()
        });
        self.newest.clear();
        for (name, kept) in &self.series {
            self.newest.extend(kept.back().map(|seq| (*seq, name.clone())));
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
            self.borrowed -= usize::from(message.rank() == Rank::Fallback);
            self.floor = self.floor.max(seq);
        }
    }
}

impl Entry {
    #[must_use]
    pub fn seq(&self) -> u64 {
        match self {
            Entry::Message(message) => message.seq(),
            Entry::Notice(notice) => notice.seq(),
        }
    }

    /// About how many bytes it holds on to.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Entry::Message(message) => message.envelope().len(),
            Entry::Notice(notice) => notice.size(),
        }
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

    use super::{Bounds, Cursor, Entry, Log, Next};
    use crate::feed::NormalizeOptions;
    use crate::feed::inlet::Rank;
    use crate::feed::message::Message;
    use crate::feed::normalize::{Incoming, Normalizer, Outcome};
    use crate::feed::notice::Notice;
    use crate::feed::standing::Standing;
    use crate::limits;

    fn message(seq: u64, type_: char, rank: Rank) -> Arc<Message> {
        let text = format!(r#"{{"type":"{type_}","data":{seq}}}"#);
        let normalizer = Normalizer::new(&NormalizeOptions::default()).unwrap();
        let Outcome::Keep(envelope) = normalizer.normalize(Incoming::Text(&text), Timestamp::UNIX_EPOCH) else {
            panic!("{text} is kept");
        };
        Arc::new(Message::new(seq, rank, envelope))
    }

    /// A log of messages of these one-letter types, numbered from 1; of the fallback those in capitals. `-` is a notice
    /// that the feed is stale, `~` that the fallback serves, `+` that it is live.
    fn log(history: usize, entries: &str) -> Log {
        let mut log = Log::new(Bounds::new(history, NonZeroUsize::new(10).unwrap()));
        add(&mut log, entries);
        log
    }

    fn add(log: &mut Log, entries: &str) {
        for entry in entries.chars() {
            let seq = log.head() + 1;
            let notice = |standing| Entry::Notice(Arc::new(Notice::new(seq, standing, Timestamp::UNIX_EPOCH)));
            log.add(match entry {
                '-' => notice(Standing::Stale),
                '~' => notice(Standing::Fallback),
                '+' => notice(Standing::Live),
                'A'..='Z' => Entry::Message(message(seq, entry.to_ascii_lowercase(), Rank::Fallback)),
                _ => Entry::Message(message(seq, entry, Rank::Source)),
            });
        }
    }

    /// What is read after the cursor, notices below 0, and whether it was behind at first.
    #[track_caller]
    fn check(log: &Log, mut cursor: Cursor, behind: bool, expected: &[i64]) {
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
                    seen.push(message.seq().cast_signed());
                }
                Next::Notice(notice) => {
                    cursor.tell(notice.seq());
                    seen.push(-notice.seq().cast_signed());
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

    #[test]
    fn what_the_fallback_said_is_gone_at_the_first_message_of_a_source() {
        let mut log = log(3, "ab-ACA~C");
        check(&log, Cursor::newest(&log, 1), false, &[2, 6, 8, -7]);
        let (behind, live) = (Cursor::after(&log, 2), Cursor::live(&log));
        let size = |seq: u64| log.messages[&seq].envelope().len();
        let left = size(1) + size(2);
        add(&mut log, "+");
        assert_eq!(log.messages.len(), 6, "that a source stands is no message of it");
        add(&mut log, "d");
        check(&log, Cursor::newest(&log, 1), false, &[1, 2, 10]);
        check(&log, Cursor::newest(&log, usize::MAX), false, &[1, 2, 10]);
        check(&log, live, false, &[-7, -9, 10]);
        check(&log, behind, false, &[-7, -9, 10]);
        let size = left + log.messages[&10].envelope().len();
        assert_eq!((log.bytes, log.fresh, log.borrowed), (size, size, 0));
        // What was least recently updated is still known.
        assert_eq!(
            log.newest.iter().map(|(seq, name)| (*seq, &**name)).collect::<Vec<_>>(),
            [(1, "a"), (2, "b"), (10, "d")]
        );
    }

    #[test]
    fn a_copy_that_follows_is_rid_of_the_fallback_too() {
        let mut hub = log(2, "aBB");
        hub.retire(0);
        let mut copy = hub.clone();
        add(&mut hub, "CCCC-c");
        add(&mut copy, "CCCC-c");
        for log in [hub, copy] {
            check(&log, Cursor::newest(&log, usize::MAX), false, &[1, 9, -8]);
            assert_eq!(log.series.values().map(|kept| kept.len()).sum::<usize>(), 2);
            assert_eq!(log.borrowed, 0);
        }
    }

    #[test]
    fn notices_come_in_the_one_sequence_and_are_no_values() {
        let mut log = log(3, "ab");
        let cursor = Cursor::live(&log);
        add(&mut log, "-~Aa+b");
        check(&log, cursor, false, &[-3, -4, 6, -7, 8]);
        check(&log, Cursor::newest(&log, 1), false, &[6, 8]);
        assert_eq!(log.last_values().map(|message| message.seq()).collect::<Vec<_>>(), [6, 8]);
    }

    #[test]
    fn who_comes_while_no_source_stands_is_told_so_once_after_the_snapshot() {
        let mut log = log(3, "a-a");
        for cursor in [Cursor::newest(&log, 1), Cursor::after(&log, 1)] {
            check(&log, cursor, false, &[3, -2]);
        }
        check(&log, Cursor::live(&log), false, &[-2]);
        add(&mut log, "+");
        check(&log, Cursor::live(&log), false, &[]);
        add(&mut log, "-a~");
        check(&log, Cursor::newest(&log, 1), false, &[6, -7]);
    }

    #[test]
    fn one_that_looks_back_is_not_told_again() {
        let log = log(3, "aa-");
        let mut cursor = Cursor::live(&log);
        cursor.tell(3);
        cursor.move_to(Cursor::newest(&log, 2));
        check(&log, cursor, false, &[1, 2]);
    }

    #[test]
    fn one_that_fell_behind_is_told_the_newest_standing_alone() {
        let mut log = log(1, "a");
        let cursor = Cursor::live(&log);
        add(&mut log, "-+-aaa+");
        check(&log, cursor, true, &[7, -8]);
        // One that keeps up, though late, misses none.
        let cursor = Cursor::live(&log);
        add(&mut log, "-a+");
        check(&log, cursor, false, &[-9, 10, -11]);
    }

    #[test]
    fn of_the_notices_the_newest_are_kept() {
        let mut log = log(1, "a");
        let cursor = Cursor::live(&log);
        add(&mut log, &"-+".repeat(limits::NOTICES));
        let last = log.head().cast_signed();
        let first = last - limits::NOTICES as i64 + 1;
        check(&log, cursor, false, &(first..=last).map(|seq| -seq).collect::<Vec<_>>());
    }
}
