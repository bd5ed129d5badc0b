//! WebSocket frames (RFC 6455) as the load and its backends need them: whole ones only, none fragmented.

use bytes::{Buf, BytesMut};
use tokio::net::TcpStream;

use super::Outcome;

pub const TEXT: u8 = 1;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// Takes the first frame off, if it is whole: its opcode and its payload, unmasked.
pub fn take(buffer: &mut BytesMut) -> Outcome<Option<(u8, BytesMut)>> {
    let [first, second, ..] = buffer[..] else { return Ok(None) };
    if first & 0xf0 != 0x80 {
        return Err(format!("a frame that begins with {first:#04x}").into());
    }
    let masked = second & 0x80 != 0;
    let (head, length) = match (second & 0x7f, &buffer[2..]) {
        (126, [high, low, ..]) => (4, usize::from(u16::from_be_bytes([*high, *low]))),
        (126, _) => return Ok(None),
        (127, _) => return Err("a frame of more than 64 KiB".into()),
        (short, _) => (2, usize::from(short)),
    };
    let mask_length = if masked { 4 } else { 0 };
    if buffer.len() < head + mask_length + length {
        return Ok(None);
    }
    let mut frame = buffer.split_to(head + mask_length + length);
    frame.advance(head);
    if masked {
        let mask = frame.get_u32().to_be_bytes();
        frame.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    }
    Ok(Some((first & 0x0f, frame)))
}

/// A frame as a server sends it, or as a client does.
pub fn frame(opcode: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let bit = if mask.is_some() { 0x80 } else { 0 };
    let mut frame = vec![0x80 | opcode];
    match u8::try_from(payload.len()) {
        Ok(short @ 0..=125) => frame.push(bit | short),
        _ => {
            frame.push(bit | 126);
            // The messages here are short.
            frame.extend(u16::try_from(payload.len()).unwrap_or(u16::MAX).to_be_bytes());
        }
    }
    let mask_bytes = mask.unwrap_or_default();
    frame.extend(mask.iter().flatten());
    frame.extend(payload.iter().zip(mask_bytes.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// Writes all of it, whoever else holds the socket.
pub async fn send(stream: &TcpStream, mut bytes: &[u8]) -> Outcome<()> {
    while !bytes.is_empty() {
        match stream.try_write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => stream.writable().await?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Reads more of it; gives how much.
pub async fn receive(stream: &TcpStream, buffer: &mut BytesMut) -> Outcome<usize> {
    loop {
        stream.readable().await?;
        buffer.reserve(2048);
        match stream.try_read_buf(buffer) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            other => return Ok(other?),
        }
    }
}
