//! A message in the making: what its frames have brought so far.
//!
//! Owns: [`Assembly`], and how buffers grow: by what has arrived, doubling, never over the message's limit.
//! Never: holds an inflater; the thread's one is borrowed once the message is whole.

use super::close::Violation;
use super::decode::Message;
use super::deflate::{self, InflateError};
use super::frame::OpCode;
use super::utf8::{NotUtf8, TextBuffer};

/// The payload so far.
#[derive(Debug)]
pub(super) enum Assembly {
    Text(TextBuffer),
    Binary(Vec<u8>),
    /// Still deflated.
    Deflated(Kind, Vec<u8>),
}

/// What a deflated message will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Binary,
}

impl Kind {
    /// What a frame begins, if it begins a message; `within` says that one is in progress (RFC 6455, section 5.4).
    ///
    /// # Errors
    /// 1002 for a frame that goes on with what has not begun, or begins what has not ended.
    pub(super) fn begun_by(opcode: OpCode, within: bool) -> Result<Option<Kind>, Violation> {
        let kind = match opcode {
            OpCode::Close | OpCode::Ping | OpCode::Pong => return Ok(None),
            OpCode::Continuation => None,
            OpCode::Text => Some(Kind::Text),
            OpCode::Binary => Some(Kind::Binary),
        };
        match (kind, within) {
            (None, false) => Err(Violation::protocol("continuation of nothing")),
            (Some(_), true) => Err(Violation::protocol("new message within a message")),
            (Some(_), false) | (None, true) => Ok(kind),
        }
    }
}

impl Assembly {
    pub(super) fn new(kind: Kind, deflated: bool) -> Assembly {
        match (kind, deflated) {
            (kind, true) => Assembly::Deflated(kind, Vec::new()),
            (Kind::Text, false) => Assembly::Text(TextBuffer::default()),
            (Kind::Binary, false) => Assembly::Binary(Vec::new()),
        }
    }

    /// The payload so far, in bytes.
    pub(super) fn len(&self) -> usize {
        match self {
            Assembly::Text(text) => text.len(),
            Assembly::Binary(bytes) | Assembly::Deflated(_, bytes) => bytes.len(),
        }
    }

    pub(super) fn is_deflated(&self) -> bool {
        match self {
            Assembly::Deflated(..) => true,
            Assembly::Text(_) | Assembly::Binary(_) => false,
        }
    }

    /// What it occupies, in bytes.
    pub(super) fn held(&self) -> usize {
        match self {
            Assembly::Text(text) => text.held(),
            Assembly::Binary(bytes) | Assembly::Deflated(_, bytes) => bytes.capacity(),
        }
    }

    /// Adds unmasked payload. That it stays within [`most`] was checked when its frame began.
    ///
    /// # Errors
    /// 1007 at the first byte of a text that can't be UTF-8.
    pub(super) fn push(&mut self, payload: &[u8], max: usize) -> Result<(), Violation> {
        match self {
            Assembly::Text(text) => text.push(payload, max)?,
            Assembly::Binary(bytes) | Assembly::Deflated(_, bytes) => {
                let want = capacity(bytes.capacity(), bytes.len() + payload.len(), max);
                bytes.reserve_exact(want.saturating_sub(bytes.len()));
                bytes.extend_from_slice(payload);
            }
        }
        Ok(())
    }

    /// The whole message, inflated.
    ///
    /// # Errors
    /// 1007 for a text that is not UTF-8 and for what does not inflate, 1009 for what inflates to more than `max`.
    pub(super) fn finish(self, max: usize) -> Result<Message, Violation> {
        match self {
            Assembly::Text(text) => Ok(Message::Text(text.finish()?)),
            Assembly::Binary(bytes) => Ok(Message::Binary(bytes.into())),
            Assembly::Deflated(kind, bytes) => inflated(kind, &bytes, max),
        }
    }
}

/// The message that a deflated payload stands for.
fn inflated(kind: Kind, deflated: &[u8], max: usize) -> Result<Message, Violation> {
    let payload = deflate::inflate(deflated, max)?;
    match kind {
        Kind::Text => Ok(Message::Text(String::from_utf8(payload).map_err(|_| NotUtf8)?)),
        Kind::Binary => Ok(Message::Binary(payload.into())),
    }
}

/// How long a message may be on the wire whose limit is `max`: noise grows when it is deflated, by at most an eighth.
pub(super) fn most(max: usize, deflated: bool) -> usize {
    if deflated { max.saturating_add(max / 8).saturating_add(64) } else { max }
}

/// What a buffer of `capacity` must have for `needed` bytes: the double, so that growing is amortised, but within `max`.
pub(super) fn capacity(capacity: usize, needed: usize, max: usize) -> usize {
    if needed <= capacity { capacity } else { capacity.saturating_mul(2).min(max).max(needed) }
}

impl From<NotUtf8> for Violation {
    fn from(NotUtf8: NotUtf8) -> Violation {
        Violation::invalid_data("text is not UTF-8")
    }
}

impl From<InflateError> for Violation {
    fn from(error: InflateError) -> Violation {
        match error {
            InflateError::TooBig => Violation::TOO_BIG,
            InflateError::Corrupt => Violation::invalid_data("message does not inflate"),
        }
    }
}
