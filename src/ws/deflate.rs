//! permessage-deflate's two halves (RFC 7692, 7.2), each message by itself: no context is taken over in either direction.
//!
//! Owns: [`Deflater`], in a window of [`limits::DEFLATE_WINDOW_BITS`]; [`Inflater`], which takes any window; one inflater a
//! thread, behind [`inflate`]. Each is large (a deflater about 200 KiB, an inflater up to 50), so a thread has one, not a socket.
//! Never: lets the inflated message pass its limit by more than one byte.

use std::cell::RefCell;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::limits;

/// What ends every flushed stream and is left out of the message (RFC 7692, 7.2.1).
const FLUSHED: [u8; 4] = [0, 0, 0xff, 0xff];
/// What is put after a message before it is inflated: what was left out, then an empty last block, so that a message cut
/// short is told from a whole one.
const ENDING: [u8; 6] = [0, 0, 0xff, 0xff, 0x03, 0];
/// Room that a step of (de)compression is given at least, in bytes.
const STEP: usize = 64;

/// Compresses messages, one after the other.
#[derive(Debug)]
pub struct Deflater {
    inner: Compress,
}

/// Inflates messages, one after the other.
#[derive(Debug)]
pub struct Inflater {
    inner: Decompress,
}

/// Why a message was not inflated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InflateError {
    #[error("larger than allowed once inflated")]
    TooBig,
    #[error("not a deflated message")]
    Corrupt,
}

impl Deflater {
    #[must_use]
    pub fn new() -> Deflater {
        Deflater::with_level(limits::DEFLATE_LEVEL)
    }

    fn with_level(level: u32) -> Deflater {
        let level = Compression::new(level);
        Deflater { inner: Compress::new_with_window_bits(level, false, limits::DEFLATE_WINDOW_BITS) }
    }

    /// Appends `payload`, deflated, to `out`: the payload of a frame with RSV1.
    pub fn compress(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        self.inner.reset();
        out.reserve(payload.len() / 4 + STEP);
        if self.run(payload, out).is_none() || !out.ends_with(&FLUSHED) {
            // zlib has no reason to fail here. If ever it does, the message goes as it is, in deflate's clothes.
            out.truncate(start);
            return store(payload, out);
        }
        out.truncate(out.len() - FLUSHED.len());
    }

    fn run(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Option<()> {
        loop {
            let rest = payload.get(usize::try_from(self.inner.total_in()).ok()?..)?;
            let status = self.inner.compress_vec(rest, out, FlushCompress::Sync).ok()?;
            // It is all flushed once some room is left over, or, had the room been exact, once there is nothing to do.
            if out.len() < out.capacity() || status == Status::BufError {
                return Some(());
            }
            out.reserve(out.len().max(STEP));
        }
    }
}

impl Default for Deflater {
    fn default() -> Deflater {
        Deflater::new()
    }
}

/// Appends `payload` as stored blocks (RFC 1951, 3.2.4), without the last one's length.
fn store(payload: &[u8], out: &mut Vec<u8>) {
    for chunk in payload.chunks(usize::from(u16::MAX)) {
        let len = u16::try_from(chunk.len()).unwrap_or(u16::MAX);
        out.push(0);
        out.extend(len.to_le_bytes());
        out.extend((!len).to_le_bytes());
        out.extend_from_slice(chunk);
    }
    out.push(0);
}

impl Inflater {
    #[must_use]
    pub fn new() -> Inflater {
        Inflater { inner: Decompress::new(false) }
    }

    /// The message that the payload `deflated` (of all its frames, in a row) stands for.
    ///
    /// A message of no bytes is taken for an empty one, and a last block (BFINAL) within it for the end of one stream
    /// and the start of another, with or without the zero byte that should follow it (RFC 7692, 7.2.3.4).
    ///
    /// # Errors
    /// [`InflateError::TooBig`] once it has more than `max` bytes, [`InflateError::Corrupt`] for what is no deflate stream or
    /// only the beginning of one.
    pub fn inflate(&mut self, deflated: &[u8], max: usize) -> Result<Vec<u8>, InflateError> {
        let mut out = Vec::new();
        if deflated.is_empty() {
            return Ok(out);
        }
        self.inner.reset(false);
        out.reserve_exact(deflated.len().saturating_mul(4).max(STEP).min(max.saturating_add(1)));
        let ended = self.run(deflated, max, &mut out)?;
        if !ended && !self.run(&ENDING, max, &mut out)? {
            return Err(InflateError::Corrupt);
        }
        Ok(out)
    }

    /// Takes all of `input`; says whether a stream ended right at its end.
    fn run(&mut self, mut input: &[u8], max: usize, out: &mut Vec<u8>) -> Result<bool, InflateError> {
        loop {
            let before = self.inner.total_in();
            let status = self.inner.decompress_vec(input, out, FlushDecompress::None);
            let status = status.map_err(|_| InflateError::Corrupt)?;
            let taken = usize::try_from(self.inner.total_in() - before).map_err(|_| InflateError::Corrupt)?;
            input = input.get(taken..).unwrap_or_default();
            if out.len() > max {
                return Err(InflateError::TooBig);
            }
            if status == Status::StreamEnd {
                if input.is_empty() {
                    return Ok(true);
                }
                self.inner.reset(false);
            } else if out.len() == out.capacity() {
                let most = max.saturating_add(1) - out.len();
                out.reserve_exact(out.len().max(STEP).min(most));
            } else if input.is_empty() {
                return Ok(false);
            } else if taken == 0 {
                return Err(InflateError::Corrupt);
            }
        }
    }
}

impl Default for Inflater {
    fn default() -> Inflater {
        Inflater::new()
    }
}

thread_local! {
    static INFLATER: RefCell<Inflater> = RefCell::new(Inflater::new());
}

/// [`Inflater::inflate`] with the thread's own inflater.
///
/// # Errors
/// As [`Inflater::inflate`].
pub fn inflate(deflated: &[u8], max: usize) -> Result<Vec<u8>, InflateError> {
    INFLATER.with_borrow_mut(|inflater| inflater.inflate(deflated, max))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX: usize = 1 << 20;

    fn deflate(payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        Deflater::new().compress(payload, &mut out);
        out
    }

    #[track_caller]
    fn check(deflated: &[u8], expected: Result<&[u8], InflateError>) {
        assert_eq!(inflate(deflated, MAX), expected.map(<[u8]>::to_vec));
    }

    #[test]
    fn the_examples_of_rfc_7692_inflate() {
        check(&[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00], Ok(b"Hello"));
        check(&[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00], Ok(b"Hello"));
        check(&[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00], Ok(b"Hello"));
        let two_blocks = [0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00];
        check(&two_blocks, Ok(b"Hello"));
    }

    #[test]
    fn last_blocks_end_one_stream_and_begin_another() {
        let hello = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        check(&hello, Ok(b"Hello"));
        check(&[&hello[..], &hello].concat(), Ok(b"HelloHello"));
        check(&[&hello[..], &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]].concat(), Ok(b"HelloHello"));
    }

    #[test]
    fn an_empty_message_is_nothing_or_one_zero() {
        check(&[], Ok(b""));
        check(&[0], Ok(b""));
        check(&[0x03, 0x00], Ok(b""));
        assert_eq!(deflate(b""), [0]);
    }

    #[test]
    fn what_is_no_deflate_stream_is_refused() {
        check(&[0xff, 0xff, 0xff], Err(InflateError::Corrupt));
        check(b"{\"type\":\"ping\"}", Err(InflateError::Corrupt));
        // The RFC's stored Hello, cut short: what is put after it must not be taken for its end.
        check(&[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65], Err(InflateError::Corrupt));
        check(&[0xf2, 0x48, 0xcd], Err(InflateError::Corrupt));
    }

    #[test]
    fn a_bomb_stops_one_byte_past_the_limit() {
        let bomb = deflate(&vec![b'a'; 10 * MAX]);
        assert!(bomb.len() < MAX / 10, "{} bytes", bomb.len());
        let mut out = Vec::new();
        assert_eq!(Inflater::new().run(&bomb, 1000, &mut out), Err(InflateError::TooBig));
        assert_eq!((out.len(), out.capacity()), (1001, 1001));
        assert_eq!(inflate(&bomb, 10 * MAX).unwrap().len(), 10 * MAX);
        assert_eq!(inflate(&bomb, 10 * MAX - 1), Err(InflateError::TooBig));
        assert_eq!(inflate(&deflate(b"a"), 0), Err(InflateError::TooBig));
        assert_eq!(inflate(&[0], 0), Ok(vec![]));
    }

    #[test]
    fn stored_blocks_are_a_deflated_message_too() {
        for len in [0, 1, 65535, 65536, 200_000] {
            let payload: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
            let mut out = Vec::new();
            store(&payload, &mut out);
            assert_eq!(inflate(&out, MAX).unwrap(), payload);
        }
    }

    /// How many bytes `apart` bytes of noise with the same 500 bytes before and after become at this level.
    fn repeated(level: u32, apart: usize) -> usize {
        let mut state = 1u64;
        let mut noise = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        };
        let start: Vec<u8> = (0..500).map(|_| noise()).collect();
        let filler: Vec<u8> = (0..apart).map(|_| noise()).collect();
        let mut out = Vec::new();
        Deflater::with_level(level).compress(&[&start[..], &filler, &start].concat(), &mut out);
        out.len()
    }

    #[test]
    fn we_look_back_within_a_window_of_12_bits_and_no_further() {
        for level in 1..=9 {
            let (near, far) = (repeated(level, 3000), repeated(level, 4096));
            assert!(near < 3000 + 500 + 500 / 2, "level {level}: {near} bytes");
            assert!(far > 4096 + 2 * 500, "level {level}: {far} bytes");
        }
    }

    #[test]
    fn a_message_cut_short_is_refused_wherever_it_is_cut() {
        let line = |at: u32| format!("{{\"host\":\"web-{}\",\"cpu\":{}}}", at % 97, at.wrapping_mul(2_654_435_761));
        for payload in [(0..60).map(line).collect::<String>(), "Hello, hello, hello".to_owned()] {
            let whole = deflate(payload.as_bytes());
            for cut in 1..whole.len() {
                check(&whole[..cut], Err(InflateError::Corrupt));
            }
        }
    }

    fn payload() -> impl Strategy<Value = Vec<u8>> {
        let noise = proptest::collection::vec(any::<u8>(), 0..5000);
        let text = proptest::collection::vec(prop_oneof![Just(b'a'), Just(b'b'), Just(b'"')], 0..8000);
        prop_oneof![noise, text]
    }

    proptest! {
        #[test]
        fn what_is_deflated_inflates(payloads in proptest::collection::vec(payload(), 1..4), room in 0usize..100) {
            let mut deflater = Deflater::new();
            for payload in payloads {
                let mut out = Vec::with_capacity(room);
                out.extend_from_slice(b"head");
                deflater.compress(&payload, &mut out);
                prop_assert_eq!(&out[..4], b"head");
                prop_assert_eq!(inflate(&out[4..], payload.len()).unwrap(), payload);
            }
        }

        #[test]
        fn any_bytes_inflate_within_the_limit_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300), max in 0usize..2000) {
            if let Ok(out) = inflate(&bytes, max) {
                prop_assert!(out.len() <= max && out.capacity() <= max + 1);
            }
        }
    }
}
