//! Any bytes of a server, split anywhere, are heard as the same messages or break the same rule, and no more is held than
//! allowed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use steadfeed::ws::{CloseCode, Heard, ServerDecoder};

/// What was heard, and the code of the rule that was broken after it.
fn hear(max: usize, bytes: &[u8], piece: usize) -> (Vec<String>, Option<CloseCode>) {
    let mut decoder = ServerDecoder::new(max);
    let mut messages = Vec::new();
    for mut input in bytes.chunks(piece) {
        loop {
            let heard = match decoder.next(&mut input) {
                Ok(Some(heard)) => heard,
                Ok(None) => break,
                Err(violation) => return (messages, Some(violation.code)),
            };
            match &heard {
                Heard::Text(text) => assert!(text.len() <= max),
                Heard::Binary(bytes) => assert!(bytes.len() <= max),
                Heard::TooLarge(size) => assert!(*size > max as u64),
                Heard::Ping(bytes) | Heard::Pong(bytes) => assert!(bytes.len() <= 125),
                Heard::Close(frame) => assert!(frame.iter().all(|frame| frame.code.may_be_sent())),
            }
            let last = matches!(heard, Heard::Close(_));
            messages.push(format!("{heard:?}"));
            if last {
                return (messages, None);
            }
        }
        assert!(input.is_empty());
        assert!(decoder.held() <= 2 * max + 1024, "{}", decoder.held());
    }
    (messages, None)
}

fuzz_target!(|data: &[u8]| {
    let [first, bytes @ ..] = data else { return };
    let (most, piece) = (bytes.len(), usize::from(*first).max(1));
    // Where nothing is too large: what is, is passed over unread where it came in one piece.
    let whole = hear(most, bytes, most.max(1));
    assert_eq!(whole, hear(most, bytes, piece));
    assert_eq!(whole, hear(most, bytes, 1));
    hear(64, bytes, piece);
});
