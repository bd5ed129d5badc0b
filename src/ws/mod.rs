//! The WebSocket wire: RFC 6455, RFC 7692 without context takeover, RFC 8441.
//!
//! Bytes in, messages out: [`handshake`] reads the request and writes the answer, [`decode::Decoder`] makes messages of
//! what arrives from a client, [`server::ServerDecoder`] of what arrives from a server, [`frame`] makes frames of what leaves,
//! [`deflate`] compresses both ways, [`close`] knows the codes.
//!
//! Owns: every rule of the protocol that can be judged without a socket.
//! Never: reads, writes, waits or spawns; allocates by a length that a peer merely announced.

pub mod close;
pub mod decode;
pub mod deflate;
pub mod extensions;
pub mod frame;
pub mod handshake;
pub mod mask;
pub mod server;

mod assembly;
mod partial_head;
mod utf8;

#[cfg(test)]
mod client;
#[cfg(test)]
mod interop;
#[cfg(test)]
mod round_trip;

pub use close::{CloseCode, CloseFrame, Violation};
pub use decode::{Control, Decoder, Message};
pub use deflate::{Deflater, Inflater};
pub use frame::OpCode;
pub use handshake::{Offer, Refusal};
pub use server::{Heard, ServerDecoder};
