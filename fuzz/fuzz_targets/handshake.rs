//! Any header lines are accepted or refused; what is accepted can be answered, with nothing that was not offered.

#![no_main]

use http::{HeaderValue, Request, header};
use libfuzzer_sys::fuzz_target;
use steadfeed::{limits, ws::handshake};

const NAMES: [header::HeaderName; 8] = [
    header::SEC_WEBSOCKET_EXTENSIONS,
    header::SEC_WEBSOCKET_PROTOCOL,
    header::SEC_WEBSOCKET_KEY,
    header::SEC_WEBSOCKET_VERSION,
    header::CONNECTION,
    header::UPGRADE,
    header::HOST,
    header::CONTENT_LENGTH,
];

// Lines: the first byte of each chooses the header, the rest is added to a good request, or replaces what it has.
fuzz_target!(|data: &[u8]| {
    let (mut parts, ()) = Request::get("/").body(()).expect("a request").into_parts();
    for (name, value) in [
        (header::HOST, "example.com"),
        (header::CONNECTION, "upgrade"),
        (header::UPGRADE, "websocket"),
        (header::SEC_WEBSOCKET_VERSION, "13"),
        (header::SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ=="),
    ] {
        parts.headers.insert(name, HeaderValue::from_static(value));
    }
    for line in data.split(|&byte| byte == b'\n') {
        let [choice, value @ ..] = line else { continue };
        let Ok(value) = HeaderValue::from_bytes(value) else { continue };
        let name = NAMES[usize::from(choice % 8)].clone();
        if choice & 8 == 0 {
            parts.headers.append(name, value)
        } else {
            parts.headers.insert(name, value).is_some()
        };
    }
    for (offer, status) in [(handshake::check_h1(&parts), 101), (handshake::check_h2(&parts.headers), 200)] {
        match offer {
            Ok(offer) => {
                assert!(offer.protocols.len() <= limits::SUBPROTOCOLS);
                let last = offer.protocols.last().map(String::as_str);
                let response = handshake::response(&offer, last);
                assert_eq!(response.status(), status);
                let said = response.headers().get(header::SEC_WEBSOCKET_PROTOCOL);
                assert_eq!(said.map(HeaderValue::as_bytes), last.map(str::as_bytes));
            }
            Err(refusal) => assert!(refusal.status().is_client_error()),
        }
    }
});
