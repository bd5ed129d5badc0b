//! Any bytes, cut anywhere, are the same events, and none is larger than allowed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use steadfeed::message::event_stream::{Item, Parser};

const MAX: usize = 256;

fn parse(bytes: &[u8], piece: usize) -> Vec<Item> {
    let mut parser = Parser::new(MAX, String::new());
    let mut items = Vec::new();
    for part in bytes.chunks(piece) {
        parser.push(part, &mut items);
    }
    items
}

fuzz_target!(|data: &[u8]| {
    let [first, bytes @ ..] = data else { return };
    let items = parse(bytes, bytes.len().max(1));
    assert_eq!(items, parse(bytes, usize::from(*first).max(1)));
    for item in &items {
        if let Item::Event(event) = item {
            // What is no UTF-8 may take three bytes where it took one.
            assert!(event.data.len() <= 3 * MAX && event.name.len() <= 3 * MAX && event.id.len() <= 3 * MAX);
        }
    }
});
