//! Any bytes inflate within the limit or are refused; what is deflated inflates to itself.

#![no_main]

use libfuzzer_sys::fuzz_target;
use steadfeed::ws::{Deflater, deflate::inflate};

fuzz_target!(|data: &[u8]| {
    let [first, bytes @ ..] = data else { return };
    let max = usize::from(*first) * 64;
    if let Ok(out) = inflate(bytes, max) {
        assert!(out.len() <= max && out.capacity() <= max + 1);
    }
    let mut deflated = Vec::new();
    Deflater::new().compress(bytes, &mut deflated);
    assert_eq!(inflate(&deflated, bytes.len()).as_deref(), Ok(bytes));
});
