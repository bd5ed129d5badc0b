//! The bytes of a large file, piece by piece, read by the blocking threads.
//!
//! Owns: the buffers that they are read into, of which each worker keeps a few for the next file. Never: reads ahead: the
//! next piece is read once the last one was taken.

use std::cell::RefCell;
use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use rustix::buffer::spare_capacity;

use crate::limits;
use crate::message::body::Error;
use crate::shutdown;

thread_local! {
    /// Buffers that no file needs now; what is dropped on another thread than a worker's is simply freed with it.
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// A part of a file, as a body.
pub(super) struct Pieces {
    /// `None` while it is on a blocking thread.
    file: Option<File>,
    /// What was read and not yet given.
    first: Bytes,
    /// What is left to be read.
    left: Range<u64>,
    hop: Option<Hop>,
}

type Hop = Pin<Box<dyn Future<Output = io::Result<(File, Vec<u8>)>>>>;

/// A buffer that goes back to its worker when the last of its bytes is sent.
struct Piece(Vec<u8>);

impl Pieces {
    /// What is left of `file` once `first`, the bytes from the start of `range`, is sent.
    #[must_use]
    pub(super) fn new(file: File, first: Vec<u8>, range: Range<u64>) -> Pieces {
        let left = range.start.saturating_add(first.len() as u64)..range.end;
        Pieces { file: Some(file), first: piece(first), left, hop: None }
    }

    /// Sets out for the next piece; `None` at the end.
    fn next(&mut self) -> Option<Hop> {
        let length = length(&self.left);
        let file = self.file.take().filter(|_| length > 0)?;
        let (buffer, at) = (buffer(length), self.left.start);
        Some(Box::pin(async move {
            shutdown::blocking(move || read(&file, buffer, at, length).map(|bytes| (file, bytes))).await?
        }))
    }
}

/// Bytes that the first piece of `range` has.
#[must_use]
pub(super) fn length(range: &Range<u64>) -> usize {
    let left = range.end.saturating_sub(range.start);
    usize::try_from(left).unwrap_or(usize::MAX).min(limits::FILE_PIECE)
}

/// An empty buffer for that many bytes.
#[must_use]
pub(super) fn buffer(length: usize) -> Vec<u8> {
    let spare = (length > limits::FILE_PIECE / 4)
        .then(|| SPARE.try_with(|spare| spare.try_borrow_mut().ok()?.pop()).ok().flatten())
        .flatten();
    spare.unwrap_or_else(|| {
        Vec::with_capacity(if length > limits::FILE_PIECE / 4 { limits::FILE_PIECE } else { length })
    })
}

/// Reads exactly `length` bytes of the file into the empty `buffer`. Blocks.
///
/// # Errors
/// Those of the disk, and `UnexpectedEof` where the file has become shorter.
pub(super) fn read(file: &File, mut buffer: Vec<u8>, at: u64, length: usize) -> io::Result<Vec<u8>> {
    buffer.clear();
    buffer.reserve_exact(length);
    while buffer.len() < length {
        let next = at.saturating_add(buffer.len() as u64);
        match rustix::io::pread(file, spare_capacity(&mut buffer), next) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // The buffer may have room for more than was asked for.
    buffer.truncate(length);
    Ok(buffer)
}

fn piece(bytes: Vec<u8>) -> Bytes {
    if bytes.is_empty() { Bytes::new() } else { Bytes::from_owner(Piece(bytes)) }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let mut buffer = std::mem::take(&mut self.0);
        if buffer.capacity() != limits::FILE_PIECE {
            return;
        }
        buffer.clear();
        let _ = SPARE.try_with(|spare| {
            if let Ok(mut spare) = spare.try_borrow_mut()
                && spare.len() < limits::FILE_BUFFERS
            {
                spare.push(buffer);
            }
        });
    }
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let pieces = self.get_mut();
        if !pieces.first.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut pieces.first)))));
        }
        if pieces.hop.is_none() {
            pieces.hop = pieces.next();
        }
        let Some(hop) = &mut pieces.hop else { return Poll::Ready(None) };
        let outcome = ready!(hop.as_mut().poll(cx));
        pieces.hop = None;
        Poll::Ready(Some(match outcome {
            Ok((file, bytes)) => {
                pieces.file = Some(file);
                pieces.left.start += bytes.len() as u64;
                Ok(Frame::data(piece(bytes)))
            }
            Err(error) => Err(Error::Broken(error.into())),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_empty() && self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.end.saturating_sub(self.left.start) + self.first.len() as u64)
    }
}

impl fmt::Debug for Pieces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pieces").field("left", &self.left).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use http_body_util::BodyExt;

    use super::*;

    fn spare() -> usize {
        SPARE.with(|spare| spare.borrow().len())
    }

    /// A file of `length` bytes that are not all the same.
    fn file(length: usize) -> (File, Vec<u8>) {
        let bytes: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        (file, bytes)
    }

    #[tokio::test]
    async fn a_file_comes_in_pieces_of_one_size_and_is_the_same_again() {
        for length in [1, limits::FILE_PIECE - 1, limits::FILE_PIECE, limits::FILE_PIECE * 2 + 100] {
            let (file, bytes) = file(length);
            let range = 0..length as u64;
            let first = read(&file, buffer(super::length(&range)), 0, super::length(&range)).unwrap();
            let mut body = Pieces::new(file, first, range);
            assert_eq!(http_body::Body::size_hint(&body).exact(), Some(length as u64));
            let mut seen = Vec::new();
            while let Some(frame) = body.frame().await {
                let piece = frame.unwrap().into_data().unwrap();
                assert!(piece.len() <= limits::FILE_PIECE);
                seen.extend_from_slice(&piece);
            }
            assert!(seen == bytes, "{length}");
            assert!(http_body::Body::is_end_stream(&body));
        }
    }

    #[tokio::test]
    async fn a_file_that_shrinks_is_an_error_and_not_an_end() {
        let (file, _) = file(1000);
        let shrunk = file.try_clone().unwrap();
        let mut body = Pieces::new(file, Vec::new(), 0..1000);
        shrunk.set_len(500).unwrap();
        assert!(body.frame().await.unwrap().is_err());
        assert!(body.frame().await.is_none());
    }

    #[test]
    fn only_so_many_buffers_are_kept() {
        let made: Vec<Bytes> = (0..limits::FILE_BUFFERS + 3)
            .map(|_| {
                let mut buffer = buffer(limits::FILE_PIECE);
                buffer.push(1);
                piece(buffer)
            })
            .collect();
        assert_eq!(spare(), 0);
        let part = made[0].slice(..1);
        drop(made);
        assert_eq!(spare(), limits::FILE_BUFFERS);
        drop(part);
        assert_eq!(spare(), limits::FILE_BUFFERS);
        assert_eq!(buffer(limits::FILE_PIECE).capacity(), limits::FILE_PIECE);
        assert_eq!(spare(), limits::FILE_BUFFERS - 1);
    }
}
