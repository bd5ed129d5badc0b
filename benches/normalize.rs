//! What the envelope rule costs a message: read, envelope, and each shape written once.
//!
//! `cargo bench --bench normalize`. The messages have 1.5 KiB, a busy dashboard's size, one for each point of the
//! rule. The floor beside it is one pass of `serde_json` that only finds the end of the same text; a message is to
//! cost at most 5 us, normalised and written in one shape.

use std::hint::black_box;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::value::RawValue;
use steadfeed::feed::normalize::{Incoming, Normalizer, Outcome};
use steadfeed::feed::{NormalizeOptions, Shape};
use tokio::time::Instant;

const SIZE: usize = 1536;
const FOR: Duration = Duration::from_millis(500);

fn main() {
    let options = NormalizeOptions { key: Some("/data/host".to_owned()), ..NormalizeOptions::default() };
    let normalizer = Normalizer::new(&options).expect("the pointer is one");
    println!("{:<34} {:>9} {:>9} {:>9} {:>9}", "ns a message of 1.5 KiB", "floor", "normalize", "envelope", "mirrored");
    for (name, message) in messages() {
        let floor = time(|| drop(black_box(serde_json::from_str::<&RawValue>(black_box(&message)))));
        let normalize = |message: &str| match normalizer.normalize(Incoming::Text(message), Timestamp::UNIX_EPOCH) {
            Outcome::Keep(envelope) => envelope,
            Outcome::Skip(dropped) => panic!("{name}: {dropped:?}"),
        };
        let normalized = time(|| drop(black_box(normalize(black_box(&message)))));
        let envelope = normalize(&message);
        let mut out = Vec::new();
        let mut encode = |shape| {
            time(|| {
                out.clear();
                envelope.encode(shape, None, black_box(&mut out));
            })
        };
        let (plain, mirrored) = (encode(Shape::Envelope), encode(Shape::Mirrored));
        println!("{name:<34} {floor:>9.0} {normalized:>9.0} {plain:>9.0} {mirrored:>9.0}");
    }
}

/// Nanoseconds a call.
fn time(mut call: impl FnMut()) -> f64 {
    let (start, mut calls) = (Instant::now(), 0u32);
    while start.elapsed() < FOR {
        for _ in 0..64 {
            call();
        }
        calls += 64;
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(calls)
}

fn messages() -> [(&'static str, String); 4] {
    let mut flat = String::from("\"host\":\"web-1\",\"timestamp\":\"2026-02-15T12:30:45.123456\"");
    for n in 0.. {
        if flat.len() >= SIZE - 40 {
            break;
        }
        flat.push_str(&format!(",\"metric_{n}\":{{\"usage\":{n}.25,\"name\":\"caf\u{e9} {n}\"}}"));
    }
    [
        ("1: type and data", format!("{{\"type\":\"stats\",\"data\":{{{flat}}}}}")),
        ("2: type alone", format!("{{\"type\":\"stats\",{flat}}}")),
        ("3: no type", format!("{{{flat}}}")),
        ("4: an array", format!("[{{{flat}}}]")),
    ]
}
