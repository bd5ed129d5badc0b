//! An answer read out of bytes alone, in the pieces that a connection would give: what tests and the fuzz target compare.
//!
//! Never: forwards anything; it holds an answer whole.

use bytes::BytesMut;
use http::{HeaderMap, Method, StatusCode};

use super::decoder::{Decoder, Piece};
use super::failure::Broken;
use super::head::{self, Head};

/// One answer, and those before it that were informational.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transcript {
    /// The answer's own last.
    pub statuses: Vec<StatusCode>,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub trailers: Option<HeaderMap>,
    /// The body ended as the head said that it would.
    pub is_whole: bool,
    /// Another request may follow, as far as this answer says.
    pub keeps: bool,
    /// What came behind it.
    pub rest: Vec<u8>,
}

/// Reads the answer to a request with the method `asked` out of `pieces`, after which the connection ends. `None` where that
/// is before the end of its head.
///
/// # Errors
/// If it is no answer, or can be read in two ways.
pub fn transcript<'a>(
    asked: &Method,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Option<Transcript>, Broken> {
    let (mut heard, mut pieces, mut statuses) = (BytesMut::new(), pieces.into_iter(), Vec::new());
    let Head { parts, length, keeps } = loop {
        match head::response(&mut heard, asked)? {
            Some(head) => {
                let status = head.parts.status;
                statuses.push(status);
                if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
                    break head;
                }
            }
            None => match pieces.next() {
                Some(piece) => heard.extend_from_slice(piece),
                None => return Ok(None),
            },
        }
    };
    let (headers, mut body, mut trailers) = (parts.headers, Vec::new(), None);
    let mut decoder = Decoder::new(length);
    let is_whole = loop {
        match decoder.take(&mut heard)? {
            Piece::Data(data) => body.extend_from_slice(&data),
            Piece::Trailers(fields) => trailers = Some(fields),
            Piece::End => break true,
            Piece::More => match pieces.next() {
                Some(piece) => heard.extend_from_slice(piece),
                None => break decoder.finish(),
            },
        }
    };
    pieces.for_each(|piece| heard.extend_from_slice(piece));
    Ok(Some(Transcript { statuses, headers, body, trailers, is_whole, keeps, rest: heard.to_vec() }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What servers say, good and bad, in parts that are put together in any order.
    const PARTS: [&str; 32] = [
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.0 200 OK\nConnection: keep-alive\n",
        "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n",
        "HTTP/1.1 304 \r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: a\r\n\r\n",
        "HTTP/1.1 2",
        "Content-Length: 5\r\n",
        "Content-Length: 12\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Connection: close\r\n",
        "X: \u{e9}\r\n",
        "X:\t \r\n",
        " folded\r\n",
        "\r\n",
        "\r\n\r\n",
        "\r",
        "\n",
        "0\r\n",
        "0\r\n\r\n",
        "5\r\n",
        "5;a=b\r\n",
        "A \r\n",
        "ffffffffffffffff\r\n",
        "hello",
        "hello\r\n",
        "x",
        ":",
        "\0",
    ];

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let good = prop::sample::select(&PARTS[..4]);
        let parts = prop::collection::vec(prop::sample::select(&PARTS[..]), 0..12);
        (good, parts, any::<bool>()).prop_map(|(good, parts, starts)| {
            let start = if starts { good } else { "" };
            [start, &parts.concat()].concat().into_bytes()
        })
    }

    /// The same, as text that can be compared.
    fn read<'a>(asked: &Method, pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Option<Transcript>, String> {
        transcript(asked, pieces).map_err(|error| error.to_string())
    }

    proptest! {
        #[test]
        fn any_split_of_the_bytes_gives_the_same_answer(
            bytes in bytes(),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
            head in any::<bool>(),
        ) {
            let asked = if head { Method::HEAD } else { Method::GET };
            let whole = read(&asked, [bytes.as_slice()]);
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            prop_assert_eq!(&whole, &read(&asked, cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]])));
            prop_assert_eq!(&whole, &read(&asked, bytes.chunks(1)));
            if let Ok(Some(answer)) = whole {
                prop_assert!(bytes.ends_with(&answer.rest));
            }
        }

        #[test]
        fn an_answer_that_was_written_is_read_as_it_was(
            chunks in prop::collection::vec("[a-z\r\n]{1,40}", 0..6),
            sum in proptest::option::of("[a-z]{1,8}"),
            step in 1_usize..40,
        ) {
            let body = chunks.concat();
            let plain = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}behind", body.len());
            let coded: String = chunks.iter().map(|chunk| format!("{:x}\r\n{chunk}\r\n", chunk.len())).collect();
            let trailers = sum.as_ref().map(|sum| format!("X-Sum: {sum}\r\n")).unwrap_or_default();
            let coded = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{coded}0\r\n{trailers}\r\nbehind");
            for (text, sum) in [(plain, None), (coded, sum)] {
                let answer = transcript(&Method::GET, text.as_bytes().chunks(step)).unwrap().unwrap();
                prop_assert_eq!(&answer.body, body.as_bytes());
                prop_assert_eq!(&answer.rest, b"behind");
                prop_assert!(answer.is_whole && answer.keeps);
                let told = answer.trailers.map(|fields| fields["x-sum"].to_str().unwrap().to_owned());
                prop_assert_eq!(told, sum);
            }
        }
    }
}
