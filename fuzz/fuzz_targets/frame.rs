//! Any bytes, split anywhere, give the decoder the same messages or the same violation, and it holds no more than allowed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use steadfeed::ws::{CloseCode, Decoder, Message};

const MAX: usize = 4096;

fn decode(deflate: bool, bytes: &[u8], piece: usize) -> Result<Vec<Message>, CloseCode> {
    let mut decoder = Decoder::new(MAX, deflate);
    let mut messages = Vec::new();
    let mut bytes = bytes.to_vec();
    for mut input in bytes.chunks_mut(piece) {
        while let Some(message) = decoder.next(&mut input).map_err(|violation| violation.code)? {
            messages.push(message);
        }
        assert!(input.is_empty());
        assert!(decoder.held() <= MAX + MAX / 8 + 1024);
        assert_eq!(decoder.is_idle(), decoder.wants() == 0);
    }
    Ok(messages)
}

fuzz_target!(|data: &[u8]| {
    let [first, bytes @ ..] = data else { return };
    let deflate = first & 1 != 0;
    let whole = decode(deflate, bytes, bytes.len().max(1));
    assert_eq!(whole, decode(deflate, bytes, usize::from(first >> 1).max(1)));
    for message in whole.iter().flatten() {
        match message {
            Message::Text(text) => assert!(text.len() <= MAX),
            Message::Binary(bytes) => assert!(bytes.len() <= MAX),
            Message::Ping(bytes) | Message::Pong(bytes) => assert!(bytes.len() <= 125),
            Message::Close(frame) => assert!(frame.iter().all(|frame| frame.code.may_be_sent())),
        }
    }
});
