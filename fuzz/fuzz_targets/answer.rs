//! Any bytes of a server, split anywhere, are the same answer or fail alike, and nothing behind it is lost or taken for it.

#![no_main]

use http::Method;
use libfuzzer_sys::fuzz_target;
use steadfeed::upstream::{Transcript, transcript};

fn read(asked: &Method, bytes: &[u8], piece: usize) -> Result<Option<Transcript>, String> {
    transcript(asked, bytes.chunks(piece)).map_err(|error| error.to_string())
}

// The first byte chooses the method, how the rest begins, so that little is spent on finding a head, and its pieces.
fuzz_target!(|data: &[u8]| {
    let [first, bytes @ ..] = data else { return };
    let asked = if first & 1 == 0 { Method::GET } else { Method::HEAD };
    let start: &[u8] = match first >> 1 & 3 {
        0 => b"",
        1 => b"HTTP/1.1 200 OK\r\n",
        2 => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        _ => b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n",
    };
    let bytes = [start, bytes].concat();
    let whole = read(&asked, &bytes, bytes.len().max(1));
    assert_eq!(whole, read(&asked, &bytes, usize::from(first >> 3) + 1));
    assert_eq!(whole, read(&asked, &bytes, 1));
    if let Ok(Some(answer)) = whole {
        assert!(bytes.ends_with(&answer.rest));
        assert!(answer.body.len() + answer.rest.len() <= bytes.len());
        assert!(asked != Method::HEAD || answer.body.is_empty());
    }
});
