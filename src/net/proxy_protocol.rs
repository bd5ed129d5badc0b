//! The PROXY protocol's header, versions 1 and 2: whom a balancer speaks for, said before anything else on a connection
//! (HAProxy's `proxy-protocol.txt`, sections 2.1 and 2.2).
//!
//! Owns: [`parse`], which is pure, and [`read`], which takes the header off a socket and not a byte more. Never: decides
//! who may send one; what a header adds beyond the addresses (TLVs) is skipped.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::limits;

/// Whom the connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// The client, and the address that it dialled.
    Proxied { source: SocketAddr, destination: SocketAddr },
    /// The balancer itself (a health check), or a client whose address has no form of ours: the socket's own addresses
    /// count.
    Unspecified,
}

/// Bytes that are no PROXY header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("the connection does not begin with a PROXY header")]
    Missing,
    #[error("the PROXY header's line is malformed")]
    Line,
    #[error("the PROXY header has a version or command that does not exist")]
    Command,
    #[error("the PROXY header has an address family that does not exist")]
    Family,
    #[error("the PROXY header is too short for its addresses")]
    Short,
    #[error("the PROXY header is longer than 4 KiB")]
    Long,
}

/// What version 1 begins with.
const LINE_START: &[u8] = b"PROXY ";
/// The longest line of version 1, with its CRLF.
const LINE_MAX: usize = 107;
/// What version 2 begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The fixed part of version 2: signature, command, family, length.
const FIXED: usize = 16;

/// Reads a header off the front of `bytes`: it and its length in bytes, or `None` where more must come, and then all of
/// `bytes` belong to it.
///
/// # Errors
/// As soon as `bytes` can be no header, whatever comes.
pub fn parse(bytes: &[u8]) -> Result<Option<(Header, usize)>, Malformed> {
    if starts_alike(bytes, SIGNATURE) {
        return binary(bytes);
    }
    if starts_alike(bytes, LINE_START) {
        return line(bytes);
    }
    Err(Malformed::Missing)
}

/// Takes the header off `socket`, which is left at the first byte after it; `None` where the peer closed before its
/// first byte.
///
/// # Errors
/// What the socket says, and `InvalidData` with a [`Malformed`].
pub async fn read(socket: &mut TcpStream) -> io::Result<Option<Header>> {
    let mut seen = Vec::with_capacity(LINE_MAX);
    loop {
        // What is there is looked at first: how much of it is the header's is known only then.
        let known = seen.len();
        seen.resize(known + LINE_MAX, 0);
        let peeked = socket.peek(&mut seen[known..]).await?;
        seen.truncate(known + peeked);
        if peeked == 0 {
            return if known == 0 { Ok(None) } else { Err(ErrorKind::UnexpectedEof.into()) };
        }
        let parsed = parse(&seen).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        let end = parsed.map_or(seen.len(), |(_, length)| length);
        socket.read_exact(&mut seen[known..end]).await?;
        if let Some((header, _)) = parsed {
            return Ok(Some(header));
        }
    }
}

/// Whether one is the other's beginning.
fn starts_alike(bytes: &[u8], expected: &[u8]) -> bool {
    bytes.iter().zip(expected).all(|(byte, expected)| byte == expected)
}

/// Version 1: one line.
fn line(bytes: &[u8]) -> Result<Option<(Header, usize)>, Malformed> {
    let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
        // The two bytes of the line's end are yet to come.
        return if bytes.len() > LINE_MAX - 2 { Err(Malformed::Line) } else { Ok(None) };
    };
    if end > LINE_MAX - 2 {
        return Err(Malformed::Line);
    }
    match bytes[end..] {
        [b'\r'] => return Ok(None),
        [b'\r', b'\n', ..] => {}
        _ => return Err(Malformed::Line),
    }
    let text = std::str::from_utf8(&bytes[..end]).map_err(|_| Malformed::Line)?;
    let header = words(text).ok_or(Malformed::Line)?;
    Ok(Some((header, end + 2)))
}

/// `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443`, or `PROXY UNKNOWN` and anything.
fn words(text: &str) -> Option<Header> {
    let mut words = text.split(' ').skip(1);
    let ip = |word: &str, v6: bool| -> Option<IpAddr> {
        if v6 { word.parse().ok().map(IpAddr::V6) } else { word.parse().ok().map(IpAddr::V4) }
    };
    let v6 = match words.next()? {
        "UNKNOWN" => return Some(Header::Unspecified),
        "TCP4" => false,
        "TCP6" => true,
        _ => return None,
    };
    let (source, destination) = (ip(words.next()?, v6)?, ip(words.next()?, v6)?);
    let (from, to) = (port(words.next()?)?, port(words.next()?)?);
    let header =
        Header::Proxied { source: SocketAddr::new(source, from), destination: SocketAddr::new(destination, to) };
    words.next().is_none().then_some(header)
}

/// Digits without a sign or a leading zero.
fn port(word: &str) -> Option<u16> {
    let plain = word.bytes().all(|byte| byte.is_ascii_digit()) && (word.len() == 1 || !word.starts_with('0'));
    word.parse().ok().filter(|_| plain)
}

/// Version 2: sixteen bytes, the addresses, and what is skipped.
fn binary(bytes: &[u8]) -> Result<Option<(Header, usize)>, Malformed> {
    let Some((fixed, rest)) = bytes.split_at_checked(FIXED) else { return Ok(None) };
    let (command, family) = (fixed[12], fixed[13]);
    let length = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    let is_proxied = match command {
        0x20 => false,
        0x21 => true,
        _ => return Err(Malformed::Command),
    };
    // The families and the transports: unspecified, IPv4, IPv6, unix; unspecified, stream, datagram.
    if family >> 4 > 3 || family & 0x0f > 2 {
        return Err(Malformed::Family);
    }
    if FIXED + length > limits::PROXY_HEADER {
        return Err(Malformed::Long);
    }
    let Some(rest) = rest.get(..length) else { return Ok(None) };
    let proxied = match family {
        _ if !is_proxied => None,
        0x11 => Some(addresses::<4>(rest).ok_or(Malformed::Short)?),
        0x21 => Some(addresses::<16>(rest).ok_or(Malformed::Short)?),
        // Unix sockets, datagrams, and what is not said.
        _ => None,
    };
    let header = proxied.map_or(Header::Unspecified, |(source, destination)| Header::Proxied { source, destination });
    Ok(Some((header, FIXED + length)))
}

/// Source and destination of `N` bytes each, then their ports.
fn addresses<const N: usize>(bytes: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let (source, rest) = bytes.split_first_chunk::<N>()?;
    let (destination, rest) = rest.split_first_chunk::<N>()?;
    let (from, rest) = rest.split_first_chunk()?;
    let (to, _) = rest.split_first_chunk()?;
    Some((
        SocketAddr::new(address(source)?, u16::from_be_bytes(*from)),
        SocketAddr::new(address(destination)?, u16::from_be_bytes(*to)),
    ))
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(|bytes| Ipv4Addr::from(bytes).into());
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(|bytes| Ipv6Addr::from(bytes).into())).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    fn proxied(source: &str, destination: &str) -> Header {
        Header::Proxied { source: source.parse().unwrap(), destination: destination.parse().unwrap() }
    }

    /// Version 2 with this command, family and what follows.
    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, rest].concat()
    }

    const V4: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 1, 0xdc, 0x04, 0x01, 0xbb];

    fn v6() -> Vec<u8> {
        let both: [Ipv6Addr; 2] = ["2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap()];
        [&both[0].octets()[..], &both[1].octets(), &[0xdc, 0x04, 0x01, 0xbb]].concat()
    }

    /// The whole is the header; each part of it lacks the rest, and what follows it is left alone.
    #[track_caller]
    fn check(bytes: &[u8], expected: Header) {
        for end in 0..bytes.len() {
            assert_eq!(parse(&bytes[..end]), Ok(None), "{end} of {:?}", String::from_utf8_lossy(bytes));
        }
        let followed = [bytes, b"GET / HTTP/1.1\r\n"].concat();
        assert_eq!(parse(&followed), Ok(Some((expected, bytes.len()))), "{:?}", String::from_utf8_lossy(bytes));
    }

    #[test]
    fn both_versions_say_who_the_client_is() {
        let four = proxied("192.0.2.1:56324", "198.51.100.1:443");
        let six = proxied("[2001:db8::1]:56324", "[2001:db8::2]:443");
        check(b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n", four);
        check(b"PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n", six);
        check(b"PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n", proxied("0.0.0.0:0", "255.255.255.255:65535"));
        check(&v2(0x21, 0x11, &V4), four);
        check(&v2(0x21, 0x21, &v6()), six);
        // A TLV after the addresses.
        check(&v2(0x21, 0x11, &[&V4[..], &[3, 0, 4, 1, 2, 3, 4]].concat()), four);
    }

    #[test]
    fn where_no_address_is_said_the_sockets_counts() {
        check(b"PROXY UNKNOWN\r\n", Header::Unspecified);
        check(b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", Header::Unspecified);
        check(&v2(0x20, 0x00, &[]), Header::Unspecified);
        check(&v2(0x20, 0x11, &V4), Header::Unspecified);
        check(&v2(0x21, 0x00, &[1, 2, 3]), Header::Unspecified);
        check(&v2(0x21, 0x12, &V4), Header::Unspecified);
        check(&v2(0x21, 0x31, &[0; 216]), Header::Unspecified);
    }

    #[track_caller]
    fn check_malformed(bytes: &[u8], expected: Malformed) {
        assert_eq!(parse(bytes), Err(expected), "{:?}", String::from_utf8_lossy(bytes));
    }

    #[test]
    fn what_is_no_header_is_refused_at_its_first_wrong_byte() {
        check_malformed(b"GET / HTTP/1.1\r\n", Malformed::Missing);
        check_malformed(b"PRI * HTTP/2.0\r\n", Malformed::Missing);
        check_malformed(b"\x16\x03\x01", Malformed::Missing);
        check_malformed(b"PROXZ", Malformed::Missing);
        check_malformed(b"\r\n\r\n\0\r\nQUIX", Malformed::Missing);
        check_malformed(b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\n", Malformed::Line);
        check_malformed(b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\rx", Malformed::Line);
        for line in [
            "PROXY ",
            "PROXY TCP5 192.0.2.1 198.51.100.1 1 2",
            "PROXY TCP4 192.0.2.1 198.51.100.1 1",
            "PROXY TCP4 192.0.2.1 198.51.100.1 1 2 3",
            "PROXY TCP4 192.0.2.1 198.51.100.1 1 2 ",
            "PROXY TCP4  192.0.2.1 198.51.100.1 1 2",
            "PROXY TCP4 192.0.2.1 198.51.100.1 +1 2",
            "PROXY TCP4 192.0.2.1 198.51.100.1 01 2",
            "PROXY TCP4 192.0.2.1 198.51.100.1 1 65536",
            "PROXY TCP4 192.0.2.256 198.51.100.1 1 2",
            "PROXY TCP4 ::1 ::2 1 2",
            "PROXY TCP6 192.0.2.1 198.51.100.1 1 2",
            "PROXY TCP6 fe80::1%eth0 ::2 1 2",
            "PROXY tcp4 192.0.2.1 198.51.100.1 1 2",
        ] {
            check_malformed(format!("{line}\r\n").as_bytes(), Malformed::Line);
        }
        check_malformed(&v2(0x11, 0x11, &V4), Malformed::Command);
        check_malformed(&v2(0x22, 0x11, &V4), Malformed::Command);
        check_malformed(&v2(0x21, 0x41, &V4), Malformed::Family);
        check_malformed(&v2(0x21, 0x13, &V4), Malformed::Family);
        check_malformed(&v2(0x21, 0x11, &V4[..11]), Malformed::Short);
        check_malformed(&v2(0x21, 0x21, &v6()[..35]), Malformed::Short);
    }

    #[test]
    fn a_header_has_its_longest() {
        let line = |length: usize| format!("PROXY UNKNOWN {}\r\n", "x".repeat(length - "PROXY UNKNOWN \r\n".len()));
        check(line(LINE_MAX).as_bytes(), Header::Unspecified);
        check_malformed(line(LINE_MAX + 1).as_bytes(), Malformed::Line);
        check_malformed(&line(LINE_MAX + 1).as_bytes()[..LINE_MAX - 1], Malformed::Line);
        let most = limits::PROXY_HEADER - FIXED;
        let filled = [&V4[..], &vec![0; most - V4.len()]].concat();
        check(&v2(0x21, 0x11, &filled), proxied("192.0.2.1:56324", "198.51.100.1:443"));
        check_malformed(&v2(0x21, 0x11, &[&filled[..], &[0]].concat())[..FIXED], Malformed::Long);
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_the_same_however_they_are_split(
            start in prop_oneof![Just(&b""[..]), Just(LINE_START), Just(&SIGNATURE[..]), Just(&b"PROXY TCP4 1.2.3.4"[..])],
            rest in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let bytes = [start, &rest].concat();
            let whole = parse(&bytes);
            for end in 0..bytes.len() {
                match parse(&bytes[..end]) {
                    Ok(None) => {}
                    // What is known of a part stays true of the whole.
                    known => prop_assert_eq!(known, whole),
                }
            }
            if let Ok(Some((_, length))) = whole {
                prop_assert!(length <= bytes.len());
                prop_assert_eq!(parse(&bytes[..length]), whole);
                prop_assert_eq!(parse(&bytes[..length - 1]), Ok(None));
            }
        }
    }

    /// What `read` makes of these pieces, each sent when the one before was taken, and what it left on the socket.
    async fn read_pieces(pieces: &[&[u8]]) -> (io::Result<Option<Header>>, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut socket, _) = listener.accept().await.unwrap();
        let send = async {
            for piece in pieces {
                client.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            client.shutdown().await.unwrap();
        };
        let (header, ()) = tokio::join!(read(&mut socket), send);
        let mut rest = Vec::new();
        socket.read_to_end(&mut rest).await.unwrap();
        (header, rest)
    }

    #[tokio::test]
    async fn what_follows_the_header_stays_on_the_socket() {
        let expected = proxied("192.0.2.1:56324", "198.51.100.1:443");
        let line = b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n".to_vec();
        let filled = v2(0x21, 0x11, &[&V4[..], &[7; 1000]].concat());
        for header in [line, filled] {
            let all = [&header[..], b"GET /"].concat();
            let mut splits = vec![vec![&all[..]], all.chunks(1).collect()];
            splits.extend([7, 100].map(|size| all.chunks(size).collect()));
            for pieces in splits {
                let (read, rest) = read_pieces(&pieces).await;
                assert_eq!(read.unwrap(), Some(expected));
                assert_eq!(rest, b"GET /");
            }
        }
    }

    #[tokio::test]
    async fn a_peer_that_leaves_or_lies_is_told_apart() {
        assert_eq!(read_pieces(&[]).await.0.unwrap(), None);
        assert_eq!(read_pieces(&[b"PROXY TCP4"]).await.0.unwrap_err().kind(), ErrorKind::UnexpectedEof);
        let error = read_pieces(&[b"GET / HTTP/1.1\r\n\r\n"]).await.0.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert_eq!(error.to_string(), Malformed::Missing.to_string());
    }
}
