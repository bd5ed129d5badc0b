//! Properties of the whole decoder: what a client encodes comes out, however it is fragmented and split; and no bytes
//! whatever make it panic or hold more than its limit.

use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress};
use proptest::prelude::*;

use super::client::masked;
use super::{CloseCode, CloseFrame, Decoder, Message, OpCode};

const MAX: usize = 3000;

/// How a client sends one message.
#[derive(Debug, Clone)]
struct Sent {
    message: Message,
    /// Deflated at this level, in a window of this many bits.
    deflate: Option<(u32, u8)>,
    /// Lengths of all fragments but the last.
    fragments: Vec<usize>,
    /// What passes between the fragments.
    control: Option<Message>,
    key: [u8; 4],
}

fn control() -> impl Strategy<Value = Message> {
    let payload = || proptest::collection::vec(any::<u8>(), 0..=125).prop_map(Bytes::from);
    prop_oneof![payload().prop_map(Message::Ping), payload().prop_map(Message::Pong)]
}

fn message() -> impl Strategy<Value = Message> {
    let text = prop_oneof![any::<String>(), "[a-c]{0,3000}"].prop_filter("limit", |text| text.len() <= MAX);
    let binary = proptest::collection::vec(any::<u8>(), 0..=MAX);
    prop_oneof![text.prop_map(Message::Text), binary.prop_map(|bytes| Message::Binary(bytes.into())), control()]
}

fn sent() -> impl Strategy<Value = Sent> {
    let deflate = proptest::option::of((0u32..=9, 9u8..=15));
    let fragments = proptest::collection::vec(0usize..700, 0..6);
    (message(), deflate, fragments, proptest::option::of(control()), any::<[u8; 4]>())
        .prop_map(|(message, deflate, fragments, control, key)| Sent { message, deflate, fragments, control, key })
}

fn deflated(payload: &[u8], level: u32, window: u8) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() * 2 + 100);
    let mut deflater = Compress::new_with_window_bits(Compression::new(level), false, window);
    deflater.compress_vec(payload, &mut out, FlushCompress::Sync).unwrap();
    assert_eq!(out.split_off(out.len() - 4), [0, 0, 0xff, 0xff]);
    out
}

/// The opcode and payload that say `message`.
fn parts(message: &Message) -> (OpCode, Vec<u8>) {
    match message {
        Message::Text(text) => (OpCode::Text, text.clone().into_bytes()),
        Message::Binary(bytes) => (OpCode::Binary, bytes.to_vec()),
        Message::Ping(bytes) => (OpCode::Ping, bytes.to_vec()),
        Message::Pong(bytes) => (OpCode::Pong, bytes.to_vec()),
        Message::Close(None) => (OpCode::Close, vec![]),
        Message::Close(Some(frame)) => (OpCode::Close, super::close::payload(frame.code, &frame.reason).to_vec()),
    }
}

/// Puts the frames of `sent` on the wire, and what is to come out of them into `expected`.
fn send(sent: &Sent, wire: &mut Vec<u8>, expected: &mut Vec<Message>) {
    let (opcode, mut payload) = parts(&sent.message);
    let mut rsv1 = false;
    let mut opcode = opcode;
    if !opcode.is_control() {
        if let Some((level, window)) = sent.deflate {
            (payload, rsv1) = (deflated(&payload, level, window), true);
        }
        for &len in &sent.fragments {
            let rest = payload.split_off(len.min(payload.len()));
            wire.extend(masked(false, rsv1, opcode, &payload, sent.key));
            (payload, opcode, rsv1) = (rest, OpCode::Continuation, false);
            if let Some(control) = &sent.control {
                let (opcode, payload) = parts(control);
                wire.extend(masked(true, false, opcode, &payload, sent.key));
                expected.push(control.clone());
            }
        }
    }
    wire.extend(masked(true, rsv1, opcode, &payload, sent.key));
    expected.push(sent.message.clone());
}

/// Feeds `wire` in pieces of these lengths over and over, checking what the decoder holds after each.
fn feed(decoder: &mut Decoder, wire: &mut [u8], pieces: &[usize]) -> Result<Vec<Message>, CloseCode> {
    let mut messages = Vec::new();
    let mut rest = wire;
    for &len in pieces.iter().cycle() {
        let (mut piece, after) = rest.split_at_mut(len.min(rest.len()));
        while let Some(message) = decoder.next(&mut piece).map_err(|violation| violation.code)? {
            messages.push(message);
        }
        assert!(piece.is_empty());
        assert!(decoder.held() <= MAX + MAX / 8 + 125 * 2 + 300, "{} bytes", decoder.held());
        assert_eq!(decoder.is_idle(), decoder.wants() == 0);
        if after.is_empty() {
            break;
        }
        rest = after;
    }
    Ok(messages)
}

/// Bytes that are often almost frames.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let first =
        prop_oneof![any::<u8>(), proptest::sample::select(&[0x00, 0x01, 0x80, 0x81, 0x82, 0xc1, 0x41, 0x89][..])];
    let second = prop_oneof![any::<u8>(), 0x80u8..0xa0, Just(0xfe)];
    let tail = proptest::collection::vec(any::<u8>(), 0..40);
    let frame = (first, second, tail).prop_map(|(first, second, tail)| [&[first, second][..], &tail].concat());
    proptest::collection::vec(frame, 0..8).prop_map(|frames| frames.concat())
}

proptest! {
    #[test]
    fn what_a_client_sends_comes_out(
        all in proptest::collection::vec(sent(), 1..6),
        pieces in proptest::collection::vec(prop_oneof![1usize..20, 1usize..5000], 1..10),
    ) {
        let (mut wire, mut expected) = (Vec::new(), Vec::new());
        for sent in &all {
            send(sent, &mut wire, &mut expected);
        }
        let said = CloseFrame { code: CloseCode::NORMAL, reason: "done".to_owned() };
        expected.push(Message::Close(Some(said)));
        wire.extend(masked(true, false, OpCode::Close, b"\x03\xe8done", [1, 2, 3, 4]));
        let mut decoder = Decoder::new(MAX, true);
        prop_assert_eq!(feed(&mut decoder, &mut wire, &pieces), Ok(expected));
        prop_assert!(decoder.is_idle());
    }

    #[test]
    fn any_bytes_are_messages_or_one_violation_whichever_way_they_are_split(
        bytes in noise(),
        pieces in proptest::collection::vec(1usize..30, 1..10),
        deflate in any::<bool>(),
    ) {
        let whole = feed(&mut Decoder::new(MAX, deflate), &mut bytes.clone(), &[bytes.len().max(1)]);
        let split = feed(&mut Decoder::new(MAX, deflate), &mut bytes.clone(), &pieces);
        prop_assert_eq!(&whole, &split);
        for message in whole.iter().flatten() {
            prop_assert!(parts(message).1.len() <= MAX);
        }
    }
}
