//! A published message: an envelope with its place in the feed's sequence, and its encodings.
//!
//! Owns: each encoding, made on first need and shared by every viewer that wants it: WebSocket frame, deflated
//! frame, SSE block. Never: encodes twice for one shape, whichever worker asks, until it is retired: then encodings
//! are made for whoever asks, and not kept.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwapOption;
use bytes::Bytes;

use super::envelope::Envelope;
use super::inlet::Rank;
use super::options::Shape;
use super::select::FieldSet;
use crate::limits;
use crate::ws::frame::FrameWriter;
use crate::ws::{Deflater, OpCode};

/// One message of a feed.
#[derive(Debug)]
pub struct Message {
    seq: u64,
    rank: Rank,
    envelope: Envelope,
    shapes: [ArcSwapOption<Encoding>; 3],
    /// Held while an encoding is made to be kept.
    retired: Mutex<bool>,
}

/// One message as it goes out in one shape.
#[derive(Debug)]
pub struct Encoding {
    /// A whole unmasked WebSocket frame (RFC 6455, section 5.2).
    frame: Bytes,
    /// Where the payload starts in `frame`.
    payload: usize,
    opcode: OpCode,
    deflated: OnceLock<Bytes>,
    block: OnceLock<Bytes>,
}

impl Message {
    #[must_use]
    pub fn new(seq: u64, rank: Rank, envelope: Envelope) -> Message {
        Message { seq, rank, envelope, shapes: Default::default(), retired: Mutex::new(false) }
    }

    /// Whose it is.
    #[must_use]
    pub fn rank(&self) -> Rank {
        self.rank
    }

    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    #[must_use]
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// Calls `then` with the message whole, in `shape`.
    pub fn with_encoding<T>(&self, shape: Shape, then: impl FnOnce(&Encoding) -> T) -> T {
        let place = match shape {
            Shape::Envelope => &self.shapes[0],
            Shape::Mirrored => &self.shapes[1],
            Shape::Raw => &self.shapes[2],
        };
        match &*place.load() {
            Some(encoding) => then(encoding),
            None => then(&self.encode(shape, place)),
        }
    }

    /// A newer one has taken its place: it is no longer sent to all.
    pub fn retire(&self) {
        let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        *retired = true;
        self.shapes.iter().for_each(|place| place.store(None));
    }

    fn encode(&self, shape: Shape, place: &ArcSwapOption<Encoding>) -> Arc<Encoding> {
        let retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        if *retired {
            drop(retired);
            return Arc::new(Encoding::new(&self.envelope, shape, None));
        }
        // Another worker may have been faster.
        place.load_full().unwrap_or_else(|| {
            let made = Arc::new(Encoding::new(&self.envelope, shape, None));
            place.store(Some(Arc::clone(&made)));
            made
        })
    }
}

impl Encoding {
    /// Encodes `envelope` in `shape`, with only the `fields` of its data where some are named.
    #[must_use]
    pub fn new(envelope: &Envelope, shape: Shape, fields: Option<&FieldSet>) -> Encoding {
        let opcode = if envelope.is_binary() { OpCode::Binary } else { OpCode::Text };
        let mut writer = FrameWriter::with_capacity(envelope.len() + 64);
        envelope.encode(shape, fields, writer.payload());
        let length = writer.len();
        let frame = writer.finish(opcode, false);
        let payload = frame.len() - length;
        Encoding { payload, frame, opcode, deflated: OnceLock::new(), block: OnceLock::new() }
    }

    /// The WebSocket frame.
    #[must_use]
    pub fn frame(&self) -> &Bytes {
        &self.frame
    }

    /// The message's text (or bytes) alone.
    #[must_use]
    pub fn text(&self) -> Bytes {
        self.frame.slice(self.payload..)
    }

    /// The deflated WebSocket frame (RFC 7692), or the plain one where deflating would not pay.
    pub fn deflated(&self) -> &Bytes {
        self.deflated.get_or_init(|| self.deflate().unwrap_or_else(|| self.frame.clone()))
    }

    /// The server-sent event with this `id` and type.
    pub fn block(&self, id: &str, event: &str) -> &Bytes {
        self.block.get_or_init(|| sse_block(Some(id), event, &self.frame[self.payload..]))
    }

    fn deflate(&self) -> Option<Bytes> {
        thread_local! { static DEFLATER: RefCell<Option<Deflater>> = const { RefCell::new(None) } }
        let payload = &self.frame[self.payload..];
        if payload.len() < limits::DEFLATE_MIN {
            return None;
        }
        let mut writer = FrameWriter::with_capacity(payload.len() / 2);
        DEFLATER.with_borrow_mut(|deflater| {
            deflater.get_or_insert_with(Deflater::new).compress(payload, writer.payload());
        });
        (writer.len() < payload.len()).then(|| writer.finish(self.opcode, true))
    }
}

/// A server-sent event (WHATWG HTML, section 9.2); each line of `data` becomes a `data:` line.
#[must_use]
pub fn sse_block(id: Option<&str>, event: &str, data: &[u8]) -> Bytes {
    let mut block = Vec::with_capacity(data.len() + event.len() + 64);
    if let Some(id) = id {
        line(&mut block, b"id: ", id.as_bytes());
    }
    // A type may hold anything that JSON can; an event name ends at its line.
    let one_line: String = event.chars().filter(|c| !matches!(c, '\r' | '\n' | '\0')).collect();
    line(&mut block, b"event: ", one_line.as_bytes());
    for part in split_lines(data) {
        line(&mut block, b"data: ", part);
    }
    block.push(b'\n');
    block.into()
}

fn line(block: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    block.extend_from_slice(name);
    block.extend_from_slice(value);
    block.push(b'\n');
}

/// CR LF, LF and CR all end a line of an event stream.
fn split_lines(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(data);
    std::iter::from_fn(move || {
        let data = rest?;
        let Some(end) = data.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
            rest = None;
            return Some(data);
        };
        let skip = if data[end..].starts_with(b"\r\n") { 2 } else { 1 };
        rest = Some(&data[end + skip..]);
        Some(&data[..end])
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::{Encoding, Message, sse_block};
    use crate::feed::hub::Feed;
    use crate::feed::log::{Cursor, Next};
    use crate::feed::normalize::Incoming;
    use crate::feed::{Options, Shape};
    use crate::limits;
    use crate::telemetry::FeedMeters;

    const SHAPES: [Shape; 3] = [Shape::Envelope, Shape::Mirrored, Shape::Raw];

    /// Whether any encoding is kept.
    fn is_encoded(message: &Message) -> bool {
        message.shapes.iter().any(|place| place.load().is_some())
    }

    #[test]
    fn encodings_are_kept_of_the_newest_messages_alone_and_the_same_for_all() {
        const SIZE: usize = 100_000;
        let feed = Arc::new(
            Feed::try_new(Options { history: 1000, ..Options::named("f") }, true, FeedMeters::unseen()).unwrap(),
        );
        let mut follower = feed.follow();
        let text = format!(r#"{{"type":"n","data":"{}"}}"#, "x".repeat(SIZE));
        let mut messages = Vec::new();
        for _ in 0..2 * limits::ENCODED_BYTES / SIZE {
            feed.publish(Incoming::Text(&text), Timestamp::UNIX_EPOCH);
            while follower.pull() > 0 {}
            let Next::Message(message) = follower.log().next(&Cursor::newest(follower.log(), 1)) else {
                panic!("gone")
            };
            messages.push(Arc::clone(message));
            // Someone reads the whole history at each.
            for message in &messages {
                for shape in SHAPES {
                    let frame = |encoding: &Encoding| (encoding.frame().clone(), encoding.block("b-1", "n").clone());
                    let (one, other) = (message.with_encoding(shape, frame), message.with_encoding(shape, frame));
                    assert_eq!(one, other);
                    let kept = one.0.as_ptr() == other.0.as_ptr() && one.1.as_ptr() == other.1.as_ptr();
                    assert_eq!(kept, is_encoded(message), "the same for all, while it is kept");
                }
            }
            let bytes: usize = messages.iter().filter(|one| is_encoded(one)).map(|one| one.envelope().len()).sum();
            assert!(bytes <= limits::ENCODED_BYTES, "{bytes}");
            assert!(messages.last().is_some_and(|newest| is_encoded(newest)));
        }
        assert!(!is_encoded(&messages[0]));
    }

    #[track_caller]
    fn check(event: &str, data: &str, expected: &str) {
        assert_eq!(sse_block(Some("b-1"), event, data.as_bytes()), expected.as_bytes());
    }

    #[test]
    fn every_line_of_data_is_a_data_line() {
        check("stats", "{}", "id: b-1\nevent: stats\ndata: {}\n\n");
        check("m", "a\nb\r\nc\rd", "id: b-1\nevent: m\ndata: a\ndata: b\ndata: c\ndata: d\n\n");
        check("m", "", "id: b-1\nevent: m\ndata: \n\n");
    }

    #[test]
    fn a_type_cannot_forge_another_event() {
        check("x\ndata: evil\n\n", "1", "id: b-1\nevent: xdata: evil\ndata: 1\n\n");
    }
}
