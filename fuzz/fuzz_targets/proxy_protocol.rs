//! Any bytes are a PROXY header, the beginning of one, or none, and the same however they are split.

#![no_main]

use libfuzzer_sys::fuzz_target;
use steadfeed::net::proxy_protocol::parse;

// The first byte chooses how the rest begins, so that little is spent on finding the signature.
fuzz_target!(|data: &[u8]| {
    let [choice, rest @ ..] = data else { return };
    let start: &[u8] = match choice % 3 {
        0 => b"",
        1 => b"PROXY ",
        _ => b"\r\n\r\n\0\r\nQUIT\n",
    };
    let bytes = [start, rest].concat();
    let whole = parse(&bytes);
    let half = parse(&bytes[..bytes.len() / 2]);
    assert!(half == Ok(None) || half == whole);
    if let Ok(Some((_, length))) = whole {
        assert_eq!(parse(&bytes[..length]), whole);
        assert_eq!(parse(&bytes[..length - 1]), Ok(None));
    }
});
