//! The dialling side of the wire: from a server's bytes to whole messages, and our own frames, masked (RFC 6455, 5.1).
//!
//! A message over the limit is not the end: its bytes are passed over as they come, and what follows it is heard. No
//! extension is offered, so that a compressed frame is against the protocol.
//!
//! Owns: [`ServerDecoder`]. Never: allocates by an announced length; keeps more than one message, within its limit, and one
//! control frame.

use bytes::Bytes;

use super::assembly::{Assembly, Kind};
use super::close::Violation;
use super::decode::{Message, control};
use super::frame::{CONTROL_MAX, HEAD_MAX, Head, OpCode, header};
use super::mask::{self, Key};

/// Decodes what one server sends.
#[derive(Debug)]
pub struct ServerDecoder {
    max_message: usize,
    head: [u8; HEAD_MAX],
    head_len: usize,
    frame: Option<Frame>,
    message: Option<Part>,
    control: Vec<u8>,
}

/// What a server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    Message(Message),
    /// A message of at least so many bytes has begun, and is passed over.
    TooBig(u64),
}

/// A frame whose head is known.
#[derive(Debug)]
struct Frame {
    opcode: OpCode,
    fin: bool,
    /// Bytes of the payload still to come.
    left: u64,
}

/// A message that has not ended.
#[derive(Debug)]
enum Part {
    Kept(Assembly),
    Passed,
}

impl ServerDecoder {
    /// Keeps messages of at most `max_message` bytes.
    #[must_use]
    pub fn new(max_message: usize) -> ServerDecoder {
        ServerDecoder { max_message, head: [0; HEAD_MAX], head_len: 0, frame: None, message: None, control: Vec::new() }
    }

    /// What comes next, its bytes taken off `input`. `None` once all of `input` is used up: call again until then.
    ///
    /// # Errors
    /// Once the server broke the protocol, at the first byte that shows it: nothing may be decoded after it.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<Heard>, Violation> {
        loop {
            let mut frame = match self.frame.take() {
                Some(frame) => frame,
                None => {
                    let Some(head) = self.fill_head(input)? else { return Ok(None) };
                    let (frame, too_big) = self.begin(&head)?;
                    if let Some(bytes) = too_big {
                        self.frame = Some(frame);
                        return Ok(Some(Heard::TooBig(bytes)));
                    }
                    frame
                }
            };
            let payload = take(input, frame.left);
            frame.left -= payload.len() as u64;
            if frame.opcode.is_control() {
                self.control.extend_from_slice(payload);
            } else if let Some(Part::Kept(message)) = &mut self.message {
                message.push(payload, self.max_message)?;
            }
            if frame.left > 0 {
                self.frame = Some(frame);
                return Ok(None);
            }
            if frame.opcode.is_control() {
                let payload = std::mem::take(&mut self.control);
                return control(frame.opcode, &payload).map(|message| Some(Heard::Message(message)));
            }
            if frame.fin
                && let Some(Part::Kept(message)) = self.message.take()
            {
                return message.finish(self.max_message).map(|message| Some(Heard::Message(message)));
            }
        }
    }

    /// The heap that the decoder owns, in bytes.
    #[must_use]
    pub fn held(&self) -> usize {
        let message = match &self.message {
            Some(Part::Kept(message)) => message.held(),
            Some(Part::Passed) | None => 0,
        };
        self.control.capacity() + message
    }

    /// Takes up a frame, and the message that it begins; with how large the message is at least, where that is too large as
    /// of now.
    fn begin(&mut self, head: &Head) -> Result<(Frame, Option<u64>), Violation> {
        if head.rsv1 {
            return Err(Violation::protocol("compressed, though no compression was agreed on"));
        }
        let frame = Frame { opcode: head.opcode, fin: head.fin, left: head.len };
        let kind = match head.opcode {
            OpCode::Close | OpCode::Ping | OpCode::Pong => return Ok((frame, None)),
            OpCode::Continuation => None,
            OpCode::Text => Some(Kind::Text),
            OpCode::Binary => Some(Kind::Binary),
        };
        let message = match (kind, self.message.take()) {
            (None, None) => return Err(Violation::protocol("continuation of nothing")),
            (Some(_), Some(_)) => return Err(Violation::protocol("new message within a message")),
            (Some(kind), None) => Part::Kept(Assembly::new(kind, false)),
            (None, Some(message)) => message,
        };
        let size = match &message {
            Part::Kept(message) => head.len.saturating_add(message.len() as u64),
            Part::Passed => 0,
        };
        let too_big = size > self.max_message as u64;
        self.message = Some(if too_big { Part::Passed } else { message });
        Ok((frame, too_big.then_some(size)))
    }

    /// The head, once it is whole; what follows it is left in `input`.
    fn fill_head(&mut self, input: &mut &[u8]) -> Result<Option<Head>, Violation> {
        // Twice at most: the first two bytes say how many there are.
        while !input.is_empty() {
            let known = self.head.get(..self.head_len).unwrap_or_default();
            let missing = Head::size_unmasked(known).saturating_sub(self.head_len);
            for (to, from) in self.head.iter_mut().skip(self.head_len).zip(take(input, missing as u64)) {
                *to = *from;
                self.head_len += 1;
            }
            if let Some((head, _)) = Head::parse_unmasked(self.head.get(..self.head_len).unwrap_or_default())? {
                self.head_len = 0;
                return Ok(Some(head));
            }
        }
        Ok(None)
    }
}

/// A whole frame as a client sends it, masked with `key`; of a control frame's payload at most the first [`CONTROL_MAX`]
/// bytes.
#[must_use]
pub fn masked(opcode: OpCode, payload: &[u8], key: Key) -> Bytes {
    const MASKED: u8 = 0x80;
    let payload = if opcode.is_control() { payload.get(..CONTROL_MAX).unwrap_or(payload) } else { payload };
    let (mut head, size) = header(opcode, false, payload.len());
    let [_, second, ..] = &mut head;
    *second |= MASKED;
    let mut frame = Vec::with_capacity(size + key.len() + payload.len());
    frame.extend(head.iter().take(size));
    frame.extend(key);
    let start = frame.len();
    frame.extend_from_slice(payload);
    mask::apply(frame.get_mut(start..).unwrap_or_default(), key);
    frame.into()
}

/// Takes the first `len` bytes off `input`, or as many as there are.
fn take<'a>(input: &mut &'a [u8], len: u64) -> &'a [u8] {
    let len = usize::try_from(len).unwrap_or(usize::MAX).min(input.len());
    let (taken, rest) = input.split_at(len);
    *input = rest;
    taken
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::client;
    use super::super::close::CloseFrame;
    use super::super::decode::Decoder;
    use super::super::frame::{self, frame};
    use super::*;
    use crate::ws::CloseCode;

    const MAX: usize = 1000;

    fn text(text: &str) -> Heard {
        Heard::Message(Message::Text(text.to_owned()))
    }

    /// The first frame of a message, or one in its middle.
    fn open(opcode: OpCode, payload: &[u8]) -> Vec<u8> {
        let mut frame = frame(opcode, false, payload).to_vec();
        frame[0] &= 0x7f;
        frame
    }

    fn run(decoder: &mut ServerDecoder, mut input: &[u8]) -> Result<Vec<Heard>, &'static str> {
        let mut heard = Vec::new();
        loop {
            match decoder.next(&mut input) {
                Ok(Some(message)) => heard.push(message),
                Ok(None) => return Ok(heard),
                Err(violation) => return Err(violation.reason),
            }
        }
    }

    /// Whole, then byte by byte: the same comes out.
    #[track_caller]
    fn check(input: &[u8], expected: Result<&[Heard], &'static str>) {
        assert_eq!(run(&mut ServerDecoder::new(MAX), input).as_deref(), expected.as_ref().copied(), "whole");
        let mut slow = ServerDecoder::new(MAX);
        let mut heard = Ok(Vec::new());
        for byte in input.chunks(1) {
            heard = heard.and_then(|mut so_far: Vec<Heard>| {
                so_far.extend(run(&mut slow, byte)?);
                Ok(so_far)
            });
        }
        assert_eq!(heard.as_deref(), expected.as_ref().copied(), "byte by byte");
    }

    #[test]
    fn messages_are_heard_whole_or_in_pieces() {
        check(&frame::text("one"), Ok(&[text("one")]));
        check(&frame::text(""), Ok(&[text("")]));
        let long = "x".repeat(MAX);
        check(&frame::text(&long), Ok(&[text(&long)]));
        let pieces =
            [open(OpCode::Text, "a\u{e9}".as_bytes()), frame::ping(b"p").to_vec(), open(OpCode::Continuation, b"b")];
        let whole = [pieces.concat(), frame(OpCode::Continuation, false, b"c").to_vec()].concat();
        let ping = Heard::Message(Message::Ping(Bytes::from_static(b"p")));
        check(&whole, Ok(&[ping, text("a\u{e9}bc")]));
        check(&frame::binary(&[0, 1]), Ok(&[Heard::Message(Message::Binary(Bytes::from_static(&[0, 1])))]));
        let bye = CloseFrame { code: CloseCode::RESTART, reason: "bye".to_owned() };
        check(&frame::close(CloseCode::RESTART, "bye"), Ok(&[Heard::Message(Message::Close(Some(bye)))]));
        check(&[0x88, 0], Ok(&[Heard::Message(Message::Close(None))]));
    }

    #[test]
    fn a_message_over_the_limit_is_passed_over_and_the_next_is_heard() {
        let large = frame::text(&"x".repeat(MAX + 1));
        check(&[&large[..], &frame::text("next")].concat(), Ok(&[Heard::TooBig(1001), text("next")]));
        let pieces = [
            open(OpCode::Text, &[b'x'; 600]),
            open(OpCode::Continuation, &[b'x'; 401]),
            frame::pong(b"").to_vec(),
            // Not even text any more.
            open(OpCode::Continuation, &[0xff; 5000]),
            frame(OpCode::Continuation, false, b"").to_vec(),
            frame::text("next").to_vec(),
        ];
        let pong = Heard::Message(Message::Pong(Bytes::new()));
        check(&pieces.concat(), Ok(&[Heard::TooBig(1001), pong, text("next")]));
    }

    #[test]
    fn a_large_message_is_never_held_nor_room_made_for_it() {
        let mut decoder = ServerDecoder::new(MAX);
        let head = [0x81, 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(run(&mut decoder, &head), Ok(vec![Heard::TooBig(i64::MAX as u64)]));
        for _ in 0..100 {
            assert_eq!(run(&mut decoder, &[b'x'; 8192]), Ok(vec![]));
            assert_eq!(decoder.held(), 0);
        }
        let mut announced = ServerDecoder::new(1024 * 1024);
        assert_eq!(run(&mut announced, &[0x81, 127, 0, 0, 0, 0, 0, 0x10, 0, 0, b'x']), Ok(vec![]));
        assert!(announced.held() < 64, "{}", announced.held());
        // Whatever comes in pieces stays within the limit.
        let mut pieces = ServerDecoder::new(MAX);
        assert_eq!(run(&mut pieces, &open(OpCode::Text, b"x")), Ok(vec![]));
        for _ in 0..998 {
            assert_eq!(run(&mut pieces, &open(OpCode::Continuation, b"x")), Ok(vec![]));
        }
        assert!(pieces.held() <= MAX, "{}", pieces.held());
    }

    #[test]
    fn what_is_against_the_protocol_is_an_error() {
        check(&[0xc1, 0], Err("compressed, though no compression was agreed on"));
        check(&[0xa1, 0], Err("reserved bit set"));
        check(&[0x83, 0], Err("reserved opcode"));
        check(&[0x81, 0x80], Err("frame with mask"));
        check(&[0x09, 0], Err("fragmented control frame"));
        check(&[0x80, 0], Err("continuation of nothing"));
        check(&[0x01, 0, 0x81, 0], Err("new message within a message"));
        check(&[0x81, 2, 0xc3, 0x28], Err("text is not UTF-8"));
        check(&[0x81, 1, 0xc3], Err("text is not UTF-8"));
        check(&[0x88, 1, 3], Err("close frame of one byte"));
    }

    #[test]
    fn our_frames_are_what_a_server_reads() {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        assert_eq!(&masked(OpCode::Text, b"Hello", key)[..], client::bytes("81 85 37 fa 21 3d 7f 9f 4d 51 58"));
        for len in [0, 1, 125, 126, 65535, 65536] {
            let payload = vec![b'x'; len];
            let mut frame = masked(OpCode::Binary, &payload, key).to_vec();
            let said = Decoder::new(len, false).next(&mut &mut frame[..]);
            assert_eq!(said, Ok(Some(Message::Binary(payload.into()))));
        }
        assert_eq!(masked(OpCode::Ping, &[7; 200], key).len(), 2 + 4 + CONTROL_MAX);
    }

    proptest! {
        #[test]
        fn any_bytes_split_anywhere_say_the_same(
            bytes in proptest::collection::vec(prop_oneof![Just(0x81u8), Just(0u8), Just(1), Just(0x80), Just(126), any::<u8>()], 0..300),
            split in 0usize..300,
        ) {
            let whole = run(&mut ServerDecoder::new(16), &bytes);
            let (head, tail) = bytes.split_at(split.min(bytes.len()));
            let mut decoder = ServerDecoder::new(16);
            let parts = run(&mut decoder, head).and_then(|mut heard| {
                heard.extend(run(&mut decoder, tail)?);
                Ok(heard)
            });
            prop_assert_eq!(parts, whole);
        }
    }
}
