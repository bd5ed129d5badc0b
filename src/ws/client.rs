//! The client's side of the wire, for tests: frames as a browser would send them, and as no browser would.

use super::frame::{OpCode, header};
use super::mask::{self, Key};

/// A masked frame.
pub(super) fn masked(fin: bool, rsv1: bool, opcode: OpCode, payload: &[u8], key: Key) -> Vec<u8> {
    let (mut head, size) = header(opcode, rsv1, payload.len());
    if !fin {
        head[0] &= 0x7f;
    }
    head[1] |= 0x80;
    let mut payload = payload.to_vec();
    mask::apply(&mut payload, key);
    [&head[..size], &key, &payload].concat()
}

/// A masked frame that is not deflated.
pub(super) fn frame(fin: bool, opcode: OpCode, payload: &[u8]) -> Vec<u8> {
    masked(fin, false, opcode, payload, [0x37, 0xfa, 0x21, 0x3d])
}

/// Bytes from pairs of hexadecimal digits.
pub(super) fn bytes(hex: &str) -> Vec<u8> {
    hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}
