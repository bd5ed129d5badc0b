//! From the bytes of one server to whole messages (RFC 6455, 5), split anywhere.
//!
//! Owns: [`ServerDecoder`], small while idle as [`super::Decoder`] is; a message over its limit is passed over, and what
//! follows is heard. Never: allocates by an announced length, or copies a message that arrived whole; takes what is
//! masked or compressed, since nobody negotiated that.

use std::borrow::Cow;

use bytes::Bytes;

use super::assembly::{Assembly, Kind};
use super::close::{CloseFrame, Violation};
use super::decode::{Message, control};
use super::frame::{Head, OpCode};
use super::partial_head::PartialHead;

/// What a server said, whole; borrowed from what was read where it arrived in one piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard<'a> {
    Text(Cow<'a, str>),
    Binary(Cow<'a, [u8]>),
    /// A message of so many bytes, over the limit: it is gone.
    TooLarge(u64),
    Ping(Bytes),
    Pong(Bytes),
    /// The last one: nothing after it is to be read.
    Close(Option<CloseFrame>),
}

/// Hears what one server says.
#[derive(Debug)]
pub struct ServerDecoder {
    max_message: usize,
    partial: Option<Box<Partial>>,
}

/// What has begun and not ended.
#[derive(Debug, Default)]
struct Partial {
    head: PartialHead<false>,
    frame: Option<Frame>,
    message: Option<Growing>,
    control: Vec<u8>,
}

/// A frame whose head is known: `left` bytes of it are still to come.
#[derive(Debug)]
struct Frame {
    opcode: OpCode,
    fin: bool,
    left: u64,
}

#[derive(Debug)]
enum Growing {
    Kept(Assembly),
    /// So many bytes were passed over.
    Dropped(u64),
}

impl ServerDecoder {
    /// For messages of at most `max_message` bytes.
    #[must_use]
    pub fn new(max_message: usize) -> ServerDecoder {
        ServerDecoder { max_message, partial: None }
    }

    /// The next whole message, its bytes taken off `input`. `None` once all of `input` is used up: call again until then.
    ///
    /// # Errors
    /// Once the server broke the protocol, at the first byte that shows it: nothing may be decoded after it.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Heard<'a>>, Violation> {
        if input.is_empty() {
            return Ok(None);
        }
        if self.partial.is_none()
            && let Some(message) = self.whole(input)?
        {
            return Ok(Some(message));
        }
        let mut partial = self.partial.take().unwrap_or_default();
        let message = partial.advance(input, self.max_message)?;
        if !partial.is_idle() {
            self.partial = Some(partial);
        }
        Ok(message)
    }

    /// The heap that it owns, in bytes.
    #[must_use]
    pub fn held(&self) -> usize {
        self.partial.as_ref().map_or(0, |partial| size_of::<Partial>() + partial.held())
    }

    /// The usual case: `input` begins with a frame that is a whole message.
    fn whole<'a>(&self, input: &mut &'a [u8]) -> Result<Option<Heard<'a>>, Violation> {
        let Some((head, size)) = Head::parse_unmasked(input)? else { return Ok(None) };
        if !head.fin {
            return Ok(None);
        }
        let kind = check(&head, false)?;
        let end = usize::try_from(head.len).ok().and_then(|len| size.checked_add(len));
        let Some(end) = end.filter(|&end| end <= input.len()) else { return Ok(None) };
        let payload = take(input, end as u64).get(size..).unwrap_or_default();
        let Some(kind) = kind else { return Ok(Some(control(head.opcode, payload)?.into())) };
        if payload.len() > self.max_message {
            return Ok(Some(Heard::TooLarge(head.len)));
        }
        Ok(Some(match kind {
            Kind::Text => match std::str::from_utf8(payload) {
                Ok(text) => Heard::Text(Cow::Borrowed(text)),
                Err(_) => return Err(Violation::invalid_data("text is not UTF-8")),
            },
            Kind::Binary => Heard::Binary(Cow::Borrowed(payload)),
        }))
    }
}

impl Partial {
    fn advance(&mut self, input: &mut &[u8], max: usize) -> Result<Option<Heard<'static>>, Violation> {
        loop {
            let mut frame = match self.frame.take() {
                Some(frame) => frame,
                None => {
                    let (taken, head) = self.head.fill(input)?;
                    take(input, taken as u64);
                    let Some(head) = head else { return Ok(None) };
                    self.begin(&head, max)?
                }
            };
            let payload = take(input, frame.left);
            frame.left -= payload.len() as u64;
            if frame.opcode.is_control() {
                self.control.extend_from_slice(payload);
            } else if let Some(Growing::Kept(message)) = &mut self.message {
                message.push(payload, max)?;
            }
            if frame.left > 0 {
                self.frame = Some(frame);
                return Ok(None);
            }
            if frame.opcode.is_control() {
                return Ok(Some(control(frame.opcode, &std::mem::take(&mut self.control))?.into()));
            }
            if frame.fin
                && let Some(message) = self.message.take()
            {
                return message.finish(max).map(Some);
            }
        }
    }

    /// Takes up a frame, and the message that it begins or goes on with.
    fn begin(&mut self, head: &Head, max: usize) -> Result<Frame, Violation> {
        if let Some(kind) = check(head, self.message.is_some())? {
            self.message = Some(Growing::Kept(Assembly::new(kind, false)));
        }
        if !head.opcode.is_control() {
            self.message = self.message.take().map(|message| message.with(head.len, max));
        }
        Ok(Frame { opcode: head.opcode, fin: head.fin, left: head.len })
    }

    fn is_idle(&self) -> bool {
        self.head.is_empty() && self.frame.is_none() && self.message.is_none()
    }

    fn held(&self) -> usize {
        let message = match &self.message {
            Some(Growing::Kept(message)) => message.held(),
            Some(Growing::Dropped(_)) | None => 0,
        };
        self.control.capacity() + message
    }
}

impl Growing {
    /// `len` more bytes are to come; over `max` in all, none of it is kept.
    fn with(self, len: u64, max: usize) -> Growing {
        match self {
            Growing::Kept(message) if len <= max.saturating_sub(message.len()) as u64 => Growing::Kept(message),
            Growing::Kept(message) => Growing::Dropped(len.saturating_add(message.len() as u64)),
            Growing::Dropped(before) => Growing::Dropped(before.saturating_add(len)),
        }
    }

    fn finish(self, max: usize) -> Result<Heard<'static>, Violation> {
        Ok(match self {
            Growing::Dropped(bytes) => Heard::TooLarge(bytes),
            Growing::Kept(message) => message.finish(max)?.into(),
        })
    }
}

impl From<Message> for Heard<'static> {
    fn from(message: Message) -> Heard<'static> {
        match message {
            Message::Text(text) => Heard::Text(Cow::Owned(text)),
            Message::Binary(bytes) => Heard::Binary(Cow::Owned(bytes.into())),
            Message::Ping(payload) => Heard::Ping(payload),
            Message::Pong(payload) => Heard::Pong(payload),
            Message::Close(frame) => Heard::Close(frame),
        }
    }
}

/// Whether a frame may come now; what kind of message it begins, if it does.
fn check(head: &Head, within: bool) -> Result<Option<Kind>, Violation> {
    let kind = Kind::begun_by(head.opcode, within)?;
    if head.rsv1 {
        return Err(Violation::protocol("compressed, though nobody agreed on that"));
    }
    Ok(kind)
}

/// Takes the first `len` bytes off `input`, or as many as there are.
fn take<'a>(input: &mut &'a [u8], len: u64) -> &'a [u8] {
    let (taken, rest) = input.split_at(usize::try_from(len).unwrap_or(usize::MAX).min(input.len()));
    *input = rest;
    taken
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::frame::{self, frame as whole};
    use super::super::{CloseCode, OpCode};
    use super::*;

    const MAX: usize = 300;

    fn fragment(fin: bool, opcode: OpCode, payload: &[u8]) -> Vec<u8> {
        let mut bytes = whole(opcode, false, payload).to_vec();
        if !fin {
            bytes[0] &= 0x7f;
        }
        bytes
    }

    /// What is heard of `bytes` in pieces of `size`.
    fn hear(bytes: &[u8], size: usize) -> Result<Vec<Heard<'static>>, Violation> {
        let (mut decoder, mut all) = (ServerDecoder::new(MAX), Vec::new());
        for mut piece in bytes.chunks(size) {
            while let Some(heard) = decoder.next(&mut piece)? {
                all.push(match heard {
                    Heard::Text(text) => Heard::Text(Cow::Owned(text.into_owned())),
                    Heard::Binary(bytes) => Heard::Binary(Cow::Owned(bytes.into_owned())),
                    Heard::TooLarge(bytes) => Heard::TooLarge(bytes),
                    Heard::Ping(bytes) => Heard::Ping(bytes),
                    Heard::Pong(bytes) => Heard::Pong(bytes),
                    Heard::Close(frame) => Heard::Close(frame),
                });
            }
            assert!(decoder.held() <= 2 * MAX + 200, "{}", decoder.held());
        }
        Ok(all)
    }

    fn text(text: &str) -> Heard<'static> {
        Heard::Text(Cow::Owned(text.to_owned()))
    }

    #[track_caller]
    fn check(bytes: &[u8], expected: &[Heard<'_>]) {
        for size in [1, 2, 3, 7, bytes.len()] {
            assert_eq!(hear(bytes, size).as_deref(), Ok(expected), "in pieces of {size}");
        }
    }

    #[track_caller]
    fn check_broken(bytes: &[u8], code: CloseCode) {
        for size in [1, bytes.len()] {
            assert_eq!(hear(bytes, size).map_err(|violation| violation.code), Err(code), "in pieces of {size}");
        }
    }

    #[test]
    fn messages_come_whole_however_they_were_cut() {
        let close = CloseFrame { code: CloseCode::RESTART, reason: "back soon".to_owned() };
        let bytes = [
            frame::text("één").to_vec(),
            fragment(false, OpCode::Text, b"a"),
            fragment(true, OpCode::Ping, b"p"),
            fragment(false, OpCode::Continuation, b""),
            fragment(true, OpCode::Continuation, b"b"),
            frame::binary(&[0; 200]).to_vec(),
            frame::pong(b"").to_vec(),
            frame::close(CloseCode::RESTART, "back soon").to_vec(),
        ]
        .concat();
        let expected = [
            text("één"),
            Heard::Ping(Bytes::from_static(b"p")),
            text("ab"),
            Heard::Binary(Cow::Owned(vec![0; 200])),
            Heard::Pong(Bytes::new()),
            Heard::Close(Some(close)),
        ];
        check(&bytes, &expected);
        check(&frame::close(CloseCode::NO_STATUS, ""), &[Heard::Close(None)]);
    }

    #[test]
    fn a_message_over_its_limit_is_passed_over_and_the_next_is_heard() {
        let bytes = [
            frame::binary(&[7; MAX + 1]).to_vec(),
            frame::text("a").to_vec(),
            fragment(false, OpCode::Text, &[b'x'; MAX]),
            fragment(true, OpCode::Ping, b""),
            fragment(false, OpCode::Continuation, b"y"),
            fragment(true, OpCode::Continuation, &[b'z'; 200]),
            frame::binary(&[7; MAX]).to_vec(),
        ]
        .concat();
        let expected = [
            Heard::TooLarge(MAX as u64 + 1),
            text("a"),
            Heard::Ping(Bytes::new()),
            Heard::TooLarge(MAX as u64 + 201),
            Heard::Binary(Cow::Owned(vec![7; MAX])),
        ];
        check(&bytes, &expected);
    }

    #[test]
    fn what_nobody_agreed_on_breaks_the_protocol() {
        check_broken(&frame::masked(OpCode::Text, b"a", [1, 2, 3, 4]), CloseCode::PROTOCOL);
        check_broken(&whole(OpCode::Text, true, b"a"), CloseCode::PROTOCOL);
        check_broken(&fragment(true, OpCode::Continuation, b"a"), CloseCode::PROTOCOL);
        check_broken(
            &[fragment(false, OpCode::Text, b"a"), fragment(true, OpCode::Text, b"a")].concat(),
            CloseCode::PROTOCOL,
        );
        check_broken(&fragment(true, OpCode::Text, b"\xff"), CloseCode::INVALID_DATA);
        check_broken(
            &[fragment(false, OpCode::Text, b"\xe2\x82"), fragment(true, OpCode::Continuation, b"")].concat(),
            CloseCode::INVALID_DATA,
        );
        check_broken(&[0x88, 1, 3], CloseCode::PROTOCOL);
        check_broken(&[0xb1, 1, 3], CloseCode::PROTOCOL);
    }

    #[test]
    fn while_idle_it_owns_no_heap() {
        let mut decoder = ServerDecoder::new(MAX);
        let bytes = frame::text("abc");
        let mut input = &bytes[..3];
        assert_eq!(decoder.next(&mut input), Ok(None));
        assert!(decoder.held() > 0);
        input = &bytes[3..];
        assert!(matches!(decoder.next(&mut input), Ok(Some(Heard::Text(_)))));
        assert_eq!(decoder.held(), 0);
    }

    proptest! {
        #[test]
        fn any_bytes_are_messages_or_one_violation_whichever_way_they_are_split(
            bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(0x81), Just(0x01), Just(0x80), 0u8..9], 1..80),
            size in 1usize..9,
        ) {
            let (whole, split) = (hear(&bytes, bytes.len()), hear(&bytes, size));
            prop_assert_eq!(whole, split);
        }
    }
}
