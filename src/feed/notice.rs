//! A notice: that a feed's standing has changed, as its viewers are told.
//!
//! Owns: how it is written for each door, once for all of them. Never: a type of its own: it is a `keepalive` that says
//! more, so that a client which knows only those passes it over.

use bytes::Bytes;
use jiff::Timestamp;

use super::message::sse_block;
use super::standing::Standing;
use super::system::system;
use crate::ws::{OpCode, frame};

/// One change of a feed's standing, with its place in the feed's sequence.
#[derive(Debug)]
pub struct Notice {
    seq: u64,
    standing: Standing,
    frame: Bytes,
    block: Bytes,
}

impl Notice {
    /// `{"type":"keepalive","data":null,"upstream":"stale","timestamp":...}`
    #[must_use]
    pub fn new(seq: u64, standing: Standing, at: Timestamp) -> Notice {
        let text = system("keepalive", None, &[("upstream", standing.name())], at);
        let frame = frame::frame(OpCode::Text, false, &text);
        Notice { seq, standing, frame, block: sse_block(None, "keepalive", &text) }
    }

    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    #[must_use]
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// A whole unmasked WebSocket frame (RFC 6455, section 5.2). It is the same for who negotiated deflating: that would
    /// save nothing.
    #[must_use]
    pub fn frame(&self) -> &Bytes {
        &self.frame
    }

    /// A server-sent event without an id: a client that comes back resumes after the last message.
    #[must_use]
    pub fn block(&self) -> &Bytes {
        &self.block
    }

    /// About how many bytes it holds on to.
    #[must_use]
    pub(super) fn size(&self) -> usize {
        size_of::<Notice>() + self.frame.len() + self.block.len()
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{Notice, Standing};

    #[test]
    fn a_notice_is_a_keepalive_that_says_more() {
        const TEXT: &str =
            r#"{"type":"keepalive","data":null,"upstream":"stale","timestamp":"1970-01-01T00:00:00.000Z"}"#;
        let notice = Notice::new(7, Standing::Stale, Timestamp::UNIX_EPOCH);
        let frame = [&[0x81, u8::try_from(TEXT.len()).unwrap()], TEXT.as_bytes()].concat();
        assert_eq!(notice.frame(), &frame);
        assert_eq!(notice.block(), format!("event: keepalive\ndata: {TEXT}\n\n").as_bytes());
    }
}
