//! Frames (RFC 6455, 5.2): the head of a client's frame, or of a server's, is read here, and our own frames are made here.
//!
//! Owns: [`OpCode`], [`Head`], the encoders. [`FrameWriter`] leaves room for the head, so that a payload is written once,
//! straight to where it is sent from. Never: judges a frame by those before it; [`super::decode`] does.

use bytes::Bytes;

use super::close::{self, CloseCode, Violation};
use super::mask::{self, Key};

/// The most a control frame may carry, in bytes (RFC 6455, 5.5).
pub const CONTROL_MAX: usize = 125;
/// The longest head of a frame of ours, in bytes: without a masking key.
pub const HEAD_MAX: usize = 10;
/// The longest head of a client's frame, in bytes.
pub const CLIENT_HEAD_MAX: usize = HEAD_MAX + 4;

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const RSV2_RSV3: u8 = 0x30;
const OPCODE: u8 = 0x0f;
const MASKED: u8 = 0x80;
const LENGTH: u8 = 0x7f;
const LENGTH_16: u8 = 126;
const LENGTH_64: u8 = 127;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpCode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

/// The head of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub fin: bool,
    pub rsv1: bool,
    pub opcode: OpCode,
    /// Zeros for a server's frame: those mask nothing.
    pub key: Key,
    /// Of the payload, in bytes, as announced.
    pub len: u64,
}

/// A frame in the making: the payload is written to [`FrameWriter::payload`], the head then put before it.
#[derive(Debug, Clone)]
pub struct FrameWriter {
    buffer: Vec<u8>,
}

impl OpCode {
    /// Close, ping and pong: never fragmented, at most [`CONTROL_MAX`] bytes, allowed within a message.
    #[must_use]
    pub fn is_control(self) -> bool {
        match self {
            OpCode::Close | OpCode::Ping | OpCode::Pong => true,
            OpCode::Continuation | OpCode::Text | OpCode::Binary => false,
        }
    }

    fn bits(self) -> u8 {
        match self {
            OpCode::Continuation => 0x0,
            OpCode::Text => 0x1,
            OpCode::Binary => 0x2,
            OpCode::Close => 0x8,
            OpCode::Ping => 0x9,
            OpCode::Pong => 0xa,
        }
    }

    fn from_bits(bits: u8) -> Option<OpCode> {
        match bits {
            0x0 => Some(OpCode::Continuation),
            0x1 => Some(OpCode::Text),
            0x2 => Some(OpCode::Binary),
            0x8 => Some(OpCode::Close),
            0x9 => Some(OpCode::Ping),
            0xa => Some(OpCode::Pong),
            _ => None,
        }
    }
}

impl Head {
    /// How many bytes the head that `bytes` begin with has, as far as they tell: at least two.
    #[must_use]
    pub fn size(bytes: &[u8]) -> usize {
        match bytes.get(1) {
            Some(_) => Head::unmasked_size(bytes) + size_of::<Key>(),
            None => 2,
        }
    }

    /// [`size`](Head::size) of a server's.
    #[must_use]
    pub fn unmasked_size(bytes: &[u8]) -> usize {
        let Some(second) = bytes.get(1) else { return 2 };
        let length = match second & LENGTH {
            LENGTH_16 => 2,
            LENGTH_64 => 8,
            _ => 0,
        };
        2 + length
    }

    /// Reads the head that `bytes` begin with, and its size; `None` where it is not whole yet.
    ///
    /// # Errors
    /// 1002 as soon as the bytes that are there show it: RSV2 or RSV3, a reserved opcode, no mask, a control frame that is
    /// fragmented, compressed or too long, a length of 64 bits with the highest one set, or one in more bytes than it needs.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Head, usize)>, Violation> {
        let Some((head, size)) = Head::parse_as(bytes, true)? else { return Ok(None) };
        let Some((key, _)) = bytes.get(size..).and_then(<[u8]>::split_first_chunk) else { return Ok(None) };
        Ok(Some((Head { key: *key, ..head }, size + size_of::<Key>())))
    }

    /// The same of a server's frame, which must not be masked.
    ///
    /// # Errors
    /// As for [`parse`](Head::parse), with a mask in place of none.
    pub fn parse_unmasked(bytes: &[u8]) -> Result<Option<(Head, usize)>, Violation> {
        Head::parse_as(bytes, false)
    }

    /// The head up to its masking key.
    fn parse_as(bytes: &[u8], masked: bool) -> Result<Option<(Head, usize)>, Violation> {
        let &[first, second, ref rest @ ..] = bytes else { return Ok(None) };
        let (fin, rsv1) = (first & FIN != 0, first & RSV1 != 0);
        if first & RSV2_RSV3 != 0 {
            return Err(Violation::protocol("reserved bit set"));
        }
        let Some(opcode) = OpCode::from_bits(first & OPCODE) else {
            return Err(Violation::protocol("reserved opcode"));
        };
        if (second & MASKED != 0) != masked {
            return Err(Violation::protocol(if masked { "frame without mask" } else { "masked frame of a server" }));
        }
        let short = second & LENGTH;
        if opcode.is_control() {
            check_control(fin, rsv1, short)?;
        }
        let Some((len, rest)) = parse_length(short, rest)? else { return Ok(None) };
        Ok(Some((Head { fin, rsv1, opcode, key: Key::default(), len }, bytes.len() - rest.len())))
    }
}

fn check_control(fin: bool, rsv1: bool, short: u8) -> Result<(), Violation> {
    if !fin {
        return Err(Violation::protocol("fragmented control frame"));
    }
    if rsv1 {
        return Err(Violation::protocol("reserved bit set"));
    }
    if usize::from(short) > CONTROL_MAX {
        return Err(Violation::protocol("control frame too long"));
    }
    Ok(())
}

fn parse_length(short: u8, rest: &[u8]) -> Result<Option<(u64, &[u8])>, Violation> {
    let (len, least, rest) = match short {
        LENGTH_16 => {
            let Some((len, rest)) = rest.split_first_chunk() else { return Ok(None) };
            (u64::from(u16::from_be_bytes(*len)), u64::from(LENGTH_16), rest)
        }
        LENGTH_64 => {
            let Some((len, rest)) = rest.split_first_chunk() else { return Ok(None) };
            (u64::from_be_bytes(*len), u64::from(u16::MAX) + 1, rest)
        }
        _ => (u64::from(short), 0, rest),
    };
    if len < least {
        return Err(Violation::protocol("length in more bytes than it needs"));
    }
    if len > u64::MAX >> 1 {
        return Err(Violation::protocol("length over 63 bits"));
    }
    Ok(Some((len, rest)))
}

/// The head of a whole, unmasked frame with a payload of `len` bytes: as many of the array's bytes as are said.
#[must_use]
pub fn header(opcode: OpCode, rsv1: bool, len: usize) -> ([u8; HEAD_MAX], usize) {
    let mut head = [0; HEAD_MAX];
    let [first, second, length @ ..] = &mut head;
    *first = FIN | if rsv1 { RSV1 } else { 0 } | opcode.bits();
    let size = match (u8::try_from(len), u16::try_from(len)) {
        (Ok(short), _) if short < LENGTH_16 => {
            *second = short;
            2
        }
        (_, Ok(medium)) => {
            *second = LENGTH_16;
            let [a, b, ..] = length;
            [*a, *b] = medium.to_be_bytes();
            4
        }
        (_, Err(_)) => {
            *second = LENGTH_64;
            *length = (len as u64).to_be_bytes();
            HEAD_MAX
        }
    };
    (head, size)
}

/// A whole, unmasked frame; `rsv1` marks a payload that [`super::deflate`] made. A control frame's payload is the caller's
/// to keep within [`CONTROL_MAX`]; [`ping`], [`pong`] and [`close()`] do.
#[must_use]
pub fn frame(opcode: OpCode, rsv1: bool, payload: &[u8]) -> Bytes {
    let (head, size) = header(opcode, rsv1, payload.len());
    let mut frame = Vec::with_capacity(size + payload.len());
    frame.extend(head.iter().take(size));
    frame.extend_from_slice(payload);
    frame.into()
}

/// A whole, masked frame: what a client says (RFC 6455, 5.3). A control frame's payload is the caller's to keep within
/// [`CONTROL_MAX`].
#[must_use]
pub fn masked(opcode: OpCode, payload: &[u8], key: Key) -> Bytes {
    let (mut head, size) = header(opcode, false, payload.len());
    let [_, second, ..] = &mut head;
    *second |= MASKED;
    let start = size + key.len();
    let mut frame = Vec::with_capacity(start + payload.len());
    frame.extend(head.iter().take(size));
    frame.extend(key);
    frame.extend_from_slice(payload);
    mask::apply(frame.get_mut(start..).unwrap_or_default(), key);
    frame.into()
}

/// A text frame.
#[must_use]
pub fn text(payload: &str) -> Bytes {
    frame(OpCode::Text, false, payload.as_bytes())
}

/// A binary frame.
#[must_use]
pub fn binary(payload: &[u8]) -> Bytes {
    frame(OpCode::Binary, false, payload)
}

/// A ping, of at most the first [`CONTROL_MAX`] bytes of `payload`.
#[must_use]
pub fn ping(payload: &[u8]) -> Bytes {
    frame(OpCode::Ping, false, payload.get(..CONTROL_MAX).unwrap_or(payload))
}

/// A pong, which says again what the ping said.
#[must_use]
pub fn pong(payload: &[u8]) -> Bytes {
    frame(OpCode::Pong, false, payload.get(..CONTROL_MAX).unwrap_or(payload))
}

/// A close frame, its reason cut to what fits; an empty one where `code` must not be sent.
#[must_use]
pub fn close(code: CloseCode, reason: &str) -> Bytes {
    frame(OpCode::Close, false, &close::payload(code, reason))
}

impl FrameWriter {
    /// A frame whose payload will have about `payload` bytes.
    #[must_use]
    pub fn with_capacity(payload: usize) -> FrameWriter {
        let mut buffer = Vec::with_capacity(HEAD_MAX.saturating_add(payload));
        buffer.extend([0; HEAD_MAX]);
        FrameWriter { buffer }
    }

    /// Where the payload goes: append, and touch nothing that is there already.
    pub fn payload(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// How much payload has been written, in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.buffer.len().saturating_sub(HEAD_MAX)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The whole, unmasked frame: the head is put right before the payload, nothing is copied.
    #[must_use]
    pub fn finish(mut self, opcode: OpCode, rsv1: bool) -> Bytes {
        // A caller that cut into the room for the head gets a frame with an empty payload, not a broken one.
        self.buffer.resize(self.buffer.len().max(HEAD_MAX), 0);
        let (head, size) = header(opcode, rsv1, self.len());
        let start = HEAD_MAX - size;
        for (to, from) in self.buffer.iter_mut().skip(start).zip(head.iter().take(size)) {
            *to = *from;
        }
        Bytes::from(self.buffer).slice(start..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: Result<Option<(OpCode, u64, usize)>, &str>) {
        let got = Head::parse(bytes).map(|parsed| parsed.map(|(head, size)| (head.opcode, head.len, size)));
        assert_eq!(got.map_err(|violation| violation.reason), expected);
        if let Err(violation) = Head::parse(bytes) {
            assert_eq!(violation.code, CloseCode::PROTOCOL);
        }
    }

    #[test]
    fn heads_are_read_when_they_are_whole() {
        check(&[], Ok(None));
        check(&[0x81], Ok(None));
        check(&[0x81, 0x85, 1, 2, 3], Ok(None));
        check(&[0x81, 0x85, 1, 2, 3, 4], Ok(Some((OpCode::Text, 5, 6))));
        check(&[0x81, 0x85, 1, 2, 3, 4, b'x'], Ok(Some((OpCode::Text, 5, 6))));
        check(&[0x02, 0x80, 1, 2, 3, 4], Ok(Some((OpCode::Binary, 0, 6))));
        check(&[0x80, 0xfe, 0, 126, 1, 2, 3, 4], Ok(Some((OpCode::Continuation, 126, 8))));
        check(&[0x80, 0xfe, 0, 126, 1, 2, 3], Ok(None));
        check(&[0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4], Ok(Some((OpCode::Binary, 65536, 14))));
        check(&[0x88, 0xfd, 1, 2, 3, 4], Ok(Some((OpCode::Close, 125, 6))));
    }

    #[track_caller]
    fn check_unmasked(bytes: &[u8], expected: Result<Option<(OpCode, u64, usize)>, &str>) {
        let got = Head::parse_unmasked(bytes).map(|parsed| parsed.map(|(head, size)| (head.opcode, head.len, size)));
        assert_eq!(got.map_err(|violation| violation.reason), expected);
    }

    #[test]
    fn a_servers_heads_have_no_mask() {
        check_unmasked(&[0x81], Ok(None));
        check_unmasked(&[0x81, 5], Ok(Some((OpCode::Text, 5, 2))));
        check_unmasked(&[0x81, 126, 0], Ok(None));
        check_unmasked(&[0x81, 126, 0, 126], Ok(Some((OpCode::Text, 126, 4))));
        check_unmasked(&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0], Ok(Some((OpCode::Binary, 65536, 10))));
        check_unmasked(&[0x81, 0x85], Err("masked frame of a server"));
        check_unmasked(&[0x91, 5], Err("reserved bit set"));
        check_unmasked(&[0x89, 126], Err("control frame too long"));
    }

    #[test]
    fn a_masked_frame_is_read_as_what_was_said() {
        for payload in [&b""[..], b"a", &[7; 126], &[8; 70_000]] {
            let frame = masked(OpCode::Binary, payload, [1, 2, 3, 4]);
            let (head, size) = Head::parse(&frame).unwrap().unwrap();
            let mut said = frame[size..].to_vec();
            mask::apply(&mut said, head.key);
            assert_eq!((head.fin, head.rsv1, head.opcode, head.key), (true, false, OpCode::Binary, [1, 2, 3, 4]));
            assert_eq!(said, payload);
        }
    }

    #[test]
    fn heads_against_the_rules_are_refused() {
        check(&[0x91, 0x80], Err("reserved bit set"));
        check(&[0xa1, 0x80], Err("reserved bit set"));
        check(&[0xc9, 0x80], Err("reserved bit set"));
        for opcode in [0x3, 0x7, 0xb, 0xf] {
            check(&[0x80 | opcode, 0x80], Err("reserved opcode"));
        }
        check(&[0x81, 0x05], Err("frame without mask"));
        check(&[0x09, 0x80], Err("fragmented control frame"));
        check(&[0x89, 0xfe], Err("control frame too long"));
        check(&[0x89, 0xff], Err("control frame too long"));
        check(&[0x81, 0xfe, 0, 125], Err("length in more bytes than it needs"));
        check(&[0x81, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff], Err("length in more bytes than it needs"));
        check(&[0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0], Err("length over 63 bits"));
    }

    #[test]
    fn a_head_tells_its_size_from_its_second_byte() {
        for (bytes, size) in [(&[][..], 2), (&[0x81], 2), (&[0x81, 0x85], 6), (&[0x81, 0xfe], 8), (&[0x81, 0xff], 14)] {
            assert_eq!(Head::size(bytes), size);
        }
    }

    #[test]
    fn lengths_are_written_in_as_few_bytes_as_they_need() {
        for (len, expected) in [
            (0, &[0x81, 0][..]),
            (125, &[0x81, 125]),
            (126, &[0x81, 126, 0, 126]),
            (65535, &[0x81, 126, 0xff, 0xff]),
            (65536, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let (head, size) = header(OpCode::Text, false, len);
            assert_eq!(&head[..size], expected);
        }
    }

    #[test]
    fn frames_are_whole_and_unmasked() {
        assert_eq!(text("Hello"), &b"\x81\x05Hello"[..]);
        assert_eq!(binary(&[1, 2]), &b"\x82\x02\x01\x02"[..]);
        assert_eq!(frame(OpCode::Text, true, &[0]), &b"\xc1\x01\0"[..]);
        assert_eq!(ping(b""), &b"\x89\x00"[..]);
        assert_eq!(pong(&[7; 200]).len(), 2 + CONTROL_MAX);
        assert_eq!(close(CloseCode::NORMAL, "bye"), &b"\x88\x05\x03\xe8bye"[..]);
        assert_eq!(close(CloseCode::ABNORMAL, "bye"), &b"\x88\x00"[..]);
    }

    #[test]
    fn a_payload_written_in_place_is_the_frame_that_a_copy_gives() {
        for len in [0, 1, 125, 126, 65535, 65536] {
            let payload = vec![b'x'; len];
            let mut writer = FrameWriter::with_capacity(16);
            writer.payload().extend_from_slice(&payload);
            assert_eq!((writer.len(), writer.is_empty()), (len, len == 0));
            assert_eq!(writer.finish(OpCode::Text, true), frame(OpCode::Text, true, &payload));
        }
        let mut cut = FrameWriter::with_capacity(16);
        cut.payload().clear();
        assert_eq!(cut.finish(OpCode::Text, false), text(""));
    }
}
