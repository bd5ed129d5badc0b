//! From the bytes of one client to whole messages (RFC 6455, 5; RFC 7692, 6.2), split anywhere.
//!
//! Owns: [`Decoder`], small while idle: what is partial is boxed, and given back with the message's last byte.
//! Never: allocates by an announced length; keeps more than one message, within its limit, and one control frame.

use bytes::Bytes;

use super::assembly::{Assembly, Kind, most};
use super::close::{self, CloseFrame, Violation};
use super::frame::{Head, OpCode};
use super::mask;
use super::partial_head::PartialHead;

/// What a client said, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    Text(String),
    Binary(Bytes),
    Ping(Control),
    Pong(Control),
    /// The last one: nothing after it is to be read.
    Close(Option<CloseFrame>),
}

/// The payload of a ping or pong: at most [`CONTROL_MAX`](super::frame::CONTROL_MAX) bytes.
pub type Control = Bytes;

/// Decodes what one client sends.
#[derive(Debug)]
pub struct Decoder {
    /// Beside the flag it makes a decoder a third smaller than a `usize` would.
    max_message: u32,
    deflate: bool,
    partial: Option<Box<Partial>>,
}

/// What has begun and not ended: a head, a frame, a message, or several of them.
#[derive(Debug, Default)]
struct Partial {
    head: PartialHead<true>,
    frame: Option<Frame>,
    message: Option<Assembly>,
    control: Vec<u8>,
}

/// A frame whose head is known: `key` and `left` are those of the payload still to come.
#[derive(Debug)]
struct Frame {
    opcode: OpCode,
    fin: bool,
    key: mask::Key,
    left: usize,
}

impl Decoder {
    /// For messages of at most `max_message` bytes (4 GiB at most), inflated (a deflated one may be an eighth longer on the wire);
    /// `deflate` as it was negotiated.
    #[must_use]
    pub fn new(max_message: usize, deflate: bool) -> Decoder {
        Decoder { max_message: u32::try_from(max_message).unwrap_or(u32::MAX), deflate, partial: None }
    }

    fn max_message(&self) -> usize {
        usize::try_from(self.max_message).unwrap_or(usize::MAX)
    }

    /// The next whole message, its bytes taken off `input` (and unmasked there). `None` once all of `input` is used up:
    /// call again until then.
    ///
    /// # Errors
    /// Once the client broke the protocol or a limit, at the first byte that shows it. What was partial is dropped and
    /// where the next frame starts is unknown: neither this input nor any other may be decoded after it.
    pub fn next(&mut self, input: &mut &mut [u8]) -> Result<Option<Message>, Violation> {
        if input.is_empty() {
            return Ok(None);
        }
        if self.partial.is_none()
            && let Some(message) = self.whole(input)?
        {
            return Ok(Some(message));
        }
        let mut partial = self.partial.take().unwrap_or_default();
        let message = partial.advance(input, self.max_message(), self.deflate)?;
        if !partial.is_idle() {
            self.partial = Some(partial);
        }
        Ok(message)
    }

    /// How many bytes must come at least before the message in progress can be whole; 0 while idle. A hint for the size
    /// of the next read, and no more: the client announced it.
    #[must_use]
    pub fn wants(&self) -> usize {
        self.partial.as_ref().map_or(0, |partial| partial.wants())
    }

    /// Whether nothing has begun that has not ended: then the decoder owns no heap.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.partial.is_none()
    }

    /// The heap that the decoder owns, in bytes.
    #[must_use]
    pub fn held(&self) -> usize {
        self.partial.as_ref().map_or(0, |partial| size_of::<Partial>() + partial.held())
    }

    /// The usual case, without a detour: `input` begins with a frame that is a whole message.
    fn whole(&self, input: &mut &mut [u8]) -> Result<Option<Message>, Violation> {
        let Some((head, size)) = Head::parse(input)? else { return Ok(None) };
        if !head.fin || head.opcode == OpCode::Continuation {
            return Ok(None);
        }
        let kind = check(&head, None, self.max_message(), self.deflate)?;
        let end = usize::try_from(head.len).ok().and_then(|len| size.checked_add(len));
        let Some(end) = end.filter(|&end| end <= input.len()) else { return Ok(None) };
        let payload = take(input, end).get_mut(size..).unwrap_or_default();
        mask::apply(payload, head.key);
        match kind {
            None => control(head.opcode, payload).map(Some),
            Some(kind) => {
                let mut message = Assembly::new(kind, head.rsv1);
                message.push(payload, self.max_message())?;
                message.finish(self.max_message()).map(Some)
            }
        }
    }
}

impl Partial {
    fn advance(&mut self, input: &mut &mut [u8], max: usize, deflate: bool) -> Result<Option<Message>, Violation> {
        loop {
            let mut frame = match self.frame.take() {
                Some(frame) => frame,
                None => {
                    let (taken, head) = self.head.fill(input)?;
                    take(input, taken);
                    let Some(head) = head else { return Ok(None) };
                    self.begin(&head, max, deflate)?
                }
            };
            let payload = take(input, frame.left);
            frame.key = mask::apply(payload, frame.key);
            frame.left -= payload.len();
            if frame.opcode.is_control() {
                self.control.extend_from_slice(payload);
            } else if let Some(message) = &mut self.message {
                message.push(payload, max)?;
            }
            if frame.left > 0 {
                self.frame = Some(frame);
                return Ok(None);
            }
            if frame.opcode.is_control() {
                return control(frame.opcode, &std::mem::take(&mut self.control)).map(Some);
            }
            if frame.fin
                && let Some(message) = self.message.take()
            {
                return message.finish(max).map(Some);
            }
        }
    }

    /// Takes up a frame, and the message that it begins.
    fn begin(&mut self, head: &Head, max: usize, deflate: bool) -> Result<Frame, Violation> {
        if let Some(kind) = check(head, self.message.as_ref(), max, deflate)? {
            self.message = Some(Assembly::new(kind, head.rsv1));
        }
        let left = usize::try_from(head.len).map_err(|_| Violation::TOO_BIG)?;
        Ok(Frame { opcode: head.opcode, fin: head.fin, key: head.key, left })
    }

    fn wants(&self) -> usize {
        let next_frame = Head::size(&[]);
        match &self.frame {
            // A last frame ends the message in progress; after any other at least one more follows.
            Some(frame) if frame.fin && !frame.opcode.is_control() => frame.left,
            Some(frame) if self.message.is_none() => frame.left,
            Some(frame) => frame.left.saturating_add(next_frame),
            None if !self.head.is_empty() => self.head.missing(),
            None if self.message.is_some() => next_frame,
            None => 0,
        }
    }

    fn is_idle(&self) -> bool {
        self.head.is_empty() && self.frame.is_none() && self.message.is_none()
    }

    fn held(&self) -> usize {
        self.control.capacity() + self.message.as_ref().map_or(0, Assembly::held)
    }
}

/// Whether a frame may come now, `message` being in progress; what kind of message it begins, if it does.
fn check(head: &Head, message: Option<&Assembly>, max: usize, deflate: bool) -> Result<Option<Kind>, Violation> {
    if head.opcode.is_control() {
        return Ok(None);
    }
    let kind = Kind::begun_by(head.opcode, message.is_some())?;
    // Only the first frame of a message says whether it is deflated (RFC 7692, 6).
    if head.rsv1 && !(deflate && kind.is_some()) {
        return Err(Violation::protocol("reserved bit set"));
    }
    let (deflated, len) = message.map_or((head.rsv1, 0), |message| (message.is_deflated(), message.len()));
    if head.len > most(max, deflated).saturating_sub(len) as u64 {
        return Err(Violation::TOO_BIG);
    }
    Ok(kind)
}

/// What a control frame says.
pub(super) fn control(opcode: OpCode, payload: &[u8]) -> Result<Message, Violation> {
    match opcode {
        OpCode::Close => Ok(Message::Close(close::parse(payload)?)),
        OpCode::Ping => Ok(Message::Ping(Bytes::copy_from_slice(payload))),
        OpCode::Pong => Ok(Message::Pong(Bytes::copy_from_slice(payload))),
        OpCode::Continuation | OpCode::Text | OpCode::Binary => Err(Violation::protocol("not a control frame")),
    }
}

/// Takes the first `len` bytes off `input`, or as many as there are.
fn take<'a>(input: &mut &'a mut [u8], len: usize) -> &'a mut [u8] {
    let all = std::mem::take(input);
    let (taken, rest) = all.split_at_mut(len.min(all.len()));
    *input = rest;
    taken
}

#[cfg(test)]
mod tests {
    use super::super::client::{bytes, frame, masked};
    use super::super::deflate::Deflater;
    use super::*;

    const MAX: usize = 1000;
    const FIN: bool = true;
    const MORE: bool = false;

    fn deflated(payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        Deflater::new().compress(payload, &mut out);
        out
    }

    fn run(decoder: &mut Decoder, input: &mut [u8]) -> Result<Vec<Message>, (u16, &'static str)> {
        let (mut rest, mut messages) = (input, Vec::new());
        loop {
            match decoder.next(&mut rest) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => return Ok(messages),
                Err(violation) => return Err((violation.code.get(), violation.reason)),
            }
        }
    }

    /// Whole, then byte by byte: the same comes out.
    #[track_caller]
    fn check_with(deflate: bool, frames: &[Vec<u8>], expected: Result<&[Message], (u16, &'static str)>) {
        let input = frames.concat();
        let mut whole = Decoder::new(MAX, deflate);
        assert_eq!(run(&mut whole, &mut input.clone()).as_deref(), expected.as_ref().copied(), "whole");
        let mut slow = Decoder::new(MAX, deflate);
        let mut messages = Ok(Vec::new());
        for &byte in &input {
            messages = messages.and_then(|mut sofar| {
                sofar.extend(run(&mut slow, &mut [byte])?);
                Ok(sofar)
            });
        }
        assert_eq!(messages.as_deref(), expected.as_ref().copied(), "byte by byte");
        for decoder in [whole, slow] {
            assert!(decoder.is_idle() && decoder.wants() == 0 && decoder.held() == 0);
        }
    }

    #[track_caller]
    fn check(frames: &[Vec<u8>], expected: &[Message]) {
        check_with(false, frames, Ok(expected));
    }

    #[track_caller]
    fn refused(frames: &[Vec<u8>], code: u16, reason: &'static str) {
        check_with(false, frames, Err((code, reason)));
        check_with(true, frames, Err((code, reason)));
    }

    fn text(text: &str) -> Message {
        Message::Text(text.to_owned())
    }

    #[test]
    fn an_idle_decoder_is_small() {
        assert!(size_of::<Decoder>() <= 48, "{} bytes", size_of::<Decoder>());
        assert!(size_of::<Message>() <= 48, "{} bytes", size_of::<Message>());
        assert_eq!(Decoder::new(MAX, true).held(), 0);
    }

    #[test]
    fn whole_messages_are_decoded() {
        check(&[vec![0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]], &[text("Hello")]);
        check(&[frame(FIN, OpCode::Text, b""), frame(FIN, OpCode::Text, b"a")], &[text(""), text("a")]);
        check(&[frame(FIN, OpCode::Binary, &[0xff; 300])], &[Message::Binary(vec![0xff; 300].into())]);
        check(
            &[frame(FIN, OpCode::Ping, b""), frame(FIN, OpCode::Pong, b"x")],
            &[Message::Ping(Bytes::new()), Message::Pong(Bytes::from_static(b"x"))],
        );
    }

    #[test]
    fn fragments_are_put_together_and_control_frames_pass_between_them() {
        let frames = [
            frame(MORE, OpCode::Text, b"\xe2"),
            frame(FIN, OpCode::Ping, &[b'p'; 125]),
            frame(MORE, OpCode::Continuation, b""),
            frame(MORE, OpCode::Continuation, b"\x82"),
            frame(FIN, OpCode::Pong, b""),
            frame(FIN, OpCode::Continuation, b"\xac!"),
            frame(FIN, OpCode::Text, b"next"),
        ];
        let expected = [Message::Ping(vec![b'p'; 125].into()), Message::Pong(Bytes::new()), text("€!"), text("next")];
        check(&frames, &expected);
        check(
            &[frame(MORE, OpCode::Binary, b""), frame(FIN, OpCode::Continuation, b"")],
            &[Message::Binary(Bytes::new())],
        );
    }

    #[test]
    fn a_close_is_read() {
        let said = CloseFrame { code: close::CloseCode::NORMAL, reason: "bye".to_owned() };
        check(&[frame(FIN, OpCode::Close, b"\x03\xe8bye")], &[Message::Close(Some(said))]);
        check(&[frame(FIN, OpCode::Close, b"")], &[Message::Close(None)]);
        refused(&[frame(FIN, OpCode::Close, b"\x03")], 1002, "close frame of one byte");
        refused(&[frame(FIN, OpCode::Close, b"\x03\xed")], 1002, "close code that must not be sent");
        refused(&[frame(FIN, OpCode::Close, b"\x03\xe8\xff")], 1007, "close reason is not UTF-8");
    }

    #[test]
    fn frames_out_of_order_are_refused() {
        let start = || frame(MORE, OpCode::Text, b"a");
        refused(&[frame(FIN, OpCode::Continuation, b"")], 1002, "continuation of nothing");
        refused(&[frame(MORE, OpCode::Continuation, b"")], 1002, "continuation of nothing");
        refused(&[start(), frame(FIN, OpCode::Text, b"")], 1002, "new message within a message");
        refused(&[start(), frame(MORE, OpCode::Binary, b"")], 1002, "new message within a message");
        refused(&[start(), frame(MORE, OpCode::Ping, b"")], 1002, "fragmented control frame");
        refused(&[start(), vec![0x80, 0x00]], 1002, "frame without mask");
        refused(&[frame(FIN, OpCode::Text, b""), vec![0x83, 0x80]], 1002, "reserved opcode");
    }

    #[test]
    fn text_that_is_not_utf8_is_refused_at_its_first_wrong_byte() {
        let reason = "text is not UTF-8";
        refused(&[frame(FIN, OpCode::Text, b"a\xff")], 1007, reason);
        refused(&[frame(FIN, OpCode::Text, b"\xe2\x82")], 1007, reason);
        refused(&[frame(MORE, OpCode::Text, b"\xe2"), frame(FIN, OpCode::Continuation, b"a")], 1007, reason);
        // Its end, and most of the frame, has not come.
        let start = frame(MORE, OpCode::Text, b"ab\xffcdefgh");
        refused(&[start[..6 + 3].to_vec()], 1007, reason);
        check(&[frame(FIN, OpCode::Binary, b"\xff")], &[Message::Binary(Bytes::from_static(b"\xff"))]);
    }

    #[test]
    fn a_message_over_the_limit_is_refused_by_its_head() {
        let reason = "message too big";
        let most = "a".repeat(MAX);
        check(&[frame(FIN, OpCode::Text, most.as_bytes())], &[text(&most)]);
        refused(&[masked(FIN, false, OpCode::Text, &[0; MAX + 1], [0; 4])[..8].to_vec()], 1009, reason);
        refused(&[frame(FIN, OpCode::Binary, &[0; 70_000])[..14].to_vec()], 1009, reason);
        refused(&[vec![0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]], 1009, reason);
        let part = || frame(MORE, OpCode::Continuation, &[b'a'; 400]);
        refused(&[frame(MORE, OpCode::Text, b""), part(), part(), part()[..8].to_vec()], 1009, reason);
        let rest = frame(FIN, OpCode::Continuation, &[b'a'; 200]);
        check(&[frame(MORE, OpCode::Text, b""), part(), part(), rest], &[text(&most)]);
    }

    #[test]
    fn an_announced_length_is_not_allocated() {
        let mut decoder = Decoder::new(1 << 30, false);
        let mut start = vec![0x82, 0xff, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, b'a', b'b'];
        assert_eq!(run(&mut decoder, &mut start), Ok(vec![]));
        assert!(!decoder.is_idle());
        assert_eq!(decoder.wants(), 0x2000_0000 - 2);
        assert!(decoder.held() < 300, "{} bytes", decoder.held());
    }

    #[test]
    fn it_says_how_much_more_it_wants() {
        let mut decoder = Decoder::new(MAX, false);
        let mut wants = |bytes: &mut [u8]| {
            run(&mut decoder, bytes).unwrap();
            decoder.wants()
        };
        assert_eq!(wants(&mut []), 0);
        assert_eq!(wants(&mut [0x01]), 1);
        assert_eq!(wants(&mut [0xfe]), 6);
        assert_eq!(wants(&mut [0, 200, 0, 0, 0]), 1);
        assert_eq!(wants(&mut [0]), 202);
        assert_eq!(wants(&mut [0; 200]), 2);
        assert_eq!(wants(&mut [0x89, 0x83, 0, 0, 0, 0]), 5);
        assert_eq!(wants(&mut [0; 3]), 2);
        assert_eq!(wants(&mut [0x80, 0x83, 0, 0, 0, 0]), 3);
        assert_eq!(wants(&mut [0; 3]), 0);
    }

    #[test]
    fn deflated_messages_are_inflated() {
        let hello = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        let key = [1, 2, 3, 4];
        let frames = [
            masked(FIN, true, OpCode::Text, &hello, key),
            masked(MORE, true, OpCode::Text, &hello[..3], key),
            frame(FIN, OpCode::Ping, b"p"),
            frame(FIN, OpCode::Continuation, &hello[3..]),
            frame(FIN, OpCode::Text, b"plain"),
            masked(FIN, true, OpCode::Binary, &[0], key),
            masked(FIN, true, OpCode::Text, &[], key),
        ];
        let ping = Message::Ping(Bytes::from_static(b"p"));
        let expected = [text("Hello"), ping, text("Hello"), text("plain"), Message::Binary(Bytes::new()), text("")];
        check_with(true, &frames, Ok(&expected));
    }

    #[test]
    fn deflated_messages_against_the_rules_are_refused() {
        let deflate = |frames: &[Vec<u8>], code, reason| check_with(true, frames, Err((code, reason)));
        let rsv1 = |fin, opcode, payload: &[u8]| masked(fin, true, opcode, payload, [9; 4]);
        check_with(false, &[rsv1(FIN, OpCode::Text, &[0])], Err((1002, "reserved bit set")));
        let start = || rsv1(MORE, OpCode::Text, &[0]);
        deflate(&[start(), rsv1(FIN, OpCode::Continuation, &[])], 1002, "reserved bit set");
        deflate(&[rsv1(FIN, OpCode::Ping, &[])], 1002, "reserved bit set");
        deflate(&[rsv1(FIN, OpCode::Text, &[0xff, 0xff])], 1007, "message does not inflate");
        deflate(&[rsv1(FIN, OpCode::Text, &deflated(b"a\xff"))], 1007, "text is not UTF-8");
        deflate(&[rsv1(FIN, OpCode::Text, &deflated(&[b'a'; MAX + 1]))], 1009, "message too big");
        deflate(&[rsv1(FIN, OpCode::Binary, &deflated(&[0; 1 << 20]))], 1009, "message too big");
        let most = "a".repeat(MAX);
        check_with(true, &[rsv1(FIN, OpCode::Text, &deflated(most.as_bytes()))], Ok(&[text(&most)]));
    }

    #[test]
    fn a_deflated_message_may_be_a_little_longer_than_its_limit_and_no_more() {
        let stored = |len: u16| {
            let head = [&[0][..], &len.to_le_bytes(), &(!len).to_le_bytes()].concat();
            [head, vec![7; usize::from(len)], vec![0]].concat()
        };
        let send = |payload: &[u8]| [masked(FIN, true, OpCode::Binary, payload, [9; 4])];
        let most = [Message::Binary(vec![7; MAX].into())];
        check_with(true, &send(&stored(1000)), Ok(&most));
        let slack = MAX / 8 + 64;
        let over = Err((1009, "message too big"));
        check_with(true, &send(&vec![0xff; MAX + slack]), Err((1007, "message does not inflate")));
        check_with(true, &send(&vec![0xff; MAX + slack + 1]), over);
        let start = masked(MORE, true, OpCode::Binary, &[0; MAX], [9; 4]);
        check_with(true, &[start, frame(FIN, OpCode::Continuation, &vec![0; slack + 1])], over);
    }

    #[test]
    fn every_violation_frees_what_was_partial() {
        let mut decoder = Decoder::new(MAX, false);
        run(&mut decoder, &mut frame(MORE, OpCode::Binary, &[0; 500])).unwrap();
        assert!(decoder.held() >= 500);
        assert!(run(&mut decoder, &mut bytes("83 80")).is_err());
        assert_eq!(decoder.held(), 0);
    }
}
