//! One compressor of each content coding, fed by hand.
//!
//! Owns: how hard each tries. Never: waits; what it has made is taken out after each step.

use std::fmt;
use std::io::{self, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::coding::Coding;

/// How hard to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// For what is compressed for one request.
    Fast,
    /// For what is compressed once and kept.
    Kept,
}

/// A compressor, and what it has made so far.
pub enum Coder {
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    Zstd(Box<zstd::stream::write::Encoder<'static, Vec<u8>>>),
    Gzip(Box<GzEncoder<Vec<u8>>>),
}

/// Brotli's input buffer, in bytes; it has a ring of its own behind it.
const BROTLI_BUFFER: usize = 4 * 1024;
/// What zstd can do with at least (RFC 8878), and brotli too, in bits.
const WINDOW_BITS_MIN: u8 = 10;

impl Coder {
    /// A compressor whose window has at most this many bits (gzip's has 15 always).
    ///
    /// # Errors
    /// If memory is short.
    pub fn try_new(coding: Coding, effort: Effort, window_bits: u8) -> io::Result<Coder> {
        let window = u32::from(window_bits.max(WINDOW_BITS_MIN));
        Ok(match coding {
            Coding::Brotli => {
                let quality = if effort == Effort::Fast { 3 } else { 6 };
                Coder::Brotli(Box::new(brotli::CompressorWriter::new(Vec::new(), BROTLI_BUFFER, quality, window)))
            }
            Coding::Zstd => {
                let level = if effort == Effort::Fast { 1 } else { 7 };
                let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), level)?;
                encoder.window_log(window)?;
                Coder::Zstd(Box::new(encoder))
            }
            Coding::Gzip => {
                let level = if effort == Effort::Fast { 3 } else { 7 };
                Coder::Gzip(Box::new(GzEncoder::new(Vec::new(), Compression::new(level))))
            }
        })
    }

    /// Takes `plain` in.
    ///
    /// # Errors
    /// If the compressor fails; none has a reason to.
    pub fn write(&mut self, plain: &[u8]) -> io::Result<()> {
        match self {
            Coder::Brotli(encoder) => encoder.write_all(plain),
            Coder::Zstd(encoder) => encoder.write_all(plain),
            Coder::Gzip(encoder) => encoder.write_all(plain),
        }
    }

    /// Makes all that was taken in readable from what was made.
    ///
    /// # Errors
    /// As [`write`](Coder::write).
    pub fn flush(&mut self) -> io::Result<()> {
        match self {
            Coder::Brotli(encoder) => encoder.flush(),
            Coder::Zstd(encoder) => encoder.flush(),
            Coder::Gzip(encoder) => encoder.flush(),
        }
    }

    /// What was made since last asked.
    #[must_use]
    pub fn take(&mut self) -> Bytes {
        std::mem::take(match self {
            Coder::Brotli(encoder) => encoder.get_mut(),
            Coder::Zstd(encoder) => encoder.get_mut(),
            Coder::Gzip(encoder) => encoder.get_mut(),
        })
        .into()
    }

    /// The last of it.
    ///
    /// # Errors
    /// As [`write`](Coder::write).
    pub fn finish(self) -> io::Result<Bytes> {
        Ok(match self {
            Coder::Brotli(encoder) => encoder.into_inner(),
            Coder::Zstd(encoder) => encoder.finish()?,
            Coder::Gzip(encoder) => encoder.finish()?,
        }
        .into())
    }
}

/// All of `plain` at once.
///
/// # Errors
/// As [`Coder::write`].
pub fn whole(coding: Coding, effort: Effort, window_bits: u8, plain: &[u8]) -> io::Result<Bytes> {
    // A window beyond what there is would only be zeroed for nothing.
    let needed = u8::try_from(usize::BITS - plain.len().leading_zeros()).unwrap_or(u8::MAX);
    let mut coder = Coder::try_new(coding, effort, window_bits.min(needed))?;
    coder.write(plain)?;
    coder.finish()
}

impl fmt::Debug for Coder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Coder::Brotli(_) => "Brotli",
            Coder::Zstd(_) => "Zstd",
            Coder::Gzip(_) => "Gzip",
        })
    }
}

/// Undoes what the coders do, for tests.
#[cfg(test)]
pub(crate) fn decode(coding: Coding, coded: &[u8]) -> io::Result<Vec<u8>> {
    use std::io::Read;

    let mut plain = Vec::new();
    match coding {
        Coding::Brotli => brotli::Decompressor::new(coded, 4096).read_to_end(&mut plain)?,
        Coding::Zstd => zstd::stream::read::Decoder::new(coded)?.read_to_end(&mut plain)?,
        Coding::Gzip => flate2::read::GzDecoder::new(coded).read_to_end(&mut plain)?,
    };
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Text that is not all the same.
    fn text(lines: usize) -> String {
        (0..lines).map(|line| format!("line {line} of {lines} says {}\n", line * 7919 % 1009)).collect()
    }

    #[test]
    fn what_is_coded_at_once_is_smaller_and_the_same_again() {
        for coding in Coding::ALL {
            for effort in [Effort::Fast, Effort::Kept] {
                for lines in [0, 1, 100, 10_000] {
                    let plain = text(lines);
                    let coded = whole(coding, effort, 17, plain.as_bytes()).unwrap();
                    assert_eq!(decode(coding, &coded).unwrap(), plain.as_bytes(), "{coding:?} {effort:?} {lines}");
                    assert!(lines < 100 || coded.len() * 2 < plain.len(), "{coding:?}: {}", coded.len());
                }
            }
        }
    }

    #[test]
    fn what_was_flushed_can_be_read_before_the_end() {
        for coding in Coding::ALL {
            let mut coder = Coder::try_new(coding, Effort::Fast, 17).unwrap();
            let mut made = Vec::new();
            coder.write(b"first").unwrap();
            coder.flush().unwrap();
            made.extend_from_slice(&coder.take());
            let mut read = partial(coding, &made);
            assert_eq!(read, b"first", "{coding:?}");
            coder.write(b", second").unwrap();
            made.extend_from_slice(&coder.finish().unwrap());
            read = decode(coding, &made).unwrap();
            assert_eq!(read, b"first, second", "{coding:?}");
        }
    }

    /// What can be read of an unfinished stream.
    fn partial(coding: Coding, coded: &[u8]) -> Vec<u8> {
        use std::io::Read;

        let mut reader: Box<dyn Read + '_> = match coding {
            Coding::Brotli => Box::new(brotli::Decompressor::new(coded, 4096)),
            Coding::Zstd => Box::new(zstd::stream::read::Decoder::new(coded).unwrap()),
            Coding::Gzip => Box::new(flate2::read::GzDecoder::new(coded)),
        };
        let mut plain = [0; 64];
        let mut length = 0;
        while let Ok(count @ 1..) = reader.read(&mut plain[length..]) {
            length += count;
        }
        plain[..length].to_vec()
    }
}
