//! A viewer whose socket is a stream within a connection (HTTP/2): one task that pulls from the log.
//!
//! Owns: reading, writing and waiting for one such viewer. Never: leaves what the peer sends unread, since unread small
//! frames count against the whole connection; a peer that does not read our answers loses this stream alone.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, sleep_until};

use super::outgoing::Flow;
use super::roster::Roster;
use super::seat::{Farewell, Seat, Tally};
use crate::limits;
use crate::ws::{CloseCode, Decoder, close};

struct Puller<S> {
    io: S,
    seat: Seat,
    decoder: Decoder,
    /// The peer broke the protocol: what it says after that has no meaning.
    deaf: bool,
    blocked: bool,
    roster: Rc<Roster>,
}

/// Serves one viewer until it ends.
pub async fn attend<S>(io: S, roster: Rc<Roster>, seat: Seat, decoder: Decoder) -> (Farewell, Tally)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let _permit = roster.pull_permit();
    let mut puller = Puller { io, seat, decoder, deaf: false, blocked: false, roster: Rc::clone(&roster) };
    let farewell = puller.run(&roster).await;
    // The stream may be reset already, and then there is nobody to tell.
    let _ = poll_fn(|cx| Pin::new(&mut puller.io).poll_shutdown(cx)).await;
    roster.feed().meters().sent(puller.seat.tally().messages, puller.seat.tally().bytes);
    (farewell, puller.seat.tally())
}

impl<S: AsyncRead + AsyncWrite + Unpin> Puller<S> {
    async fn run(&mut self, roster: &Roster) -> Farewell {
        let mut leaving = std::pin::pin!(roster.leave_in_turn());
        let mut left = false;
        loop {
            let due = self.seat.next_due();
            tokio::select! {
                biased;
                farewell = poll_fn(|cx| self.poll(cx)) => return farewell,
                () = roster.changed().notified() => {}
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    if let Some(farewell) = self.seat.on_time(Instant::now()) {
                        return farewell;
                    }
                }
                () = leaving.as_mut(), if !left => {
                    left = true;
                    self.seat.close(CloseCode::RESTART, close::DRAINING, Instant::now());
                }
            }
        }
    }

    /// Writes and reads what it can; completes only when the viewer has ended.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Farewell> {
        loop {
            if let Err(error) = self.write(cx) {
                return Poll::Ready(self.farewell(&format!("the stream failed: {error}")));
            }
            if self.seat.is_over() {
                return Poll::Ready(self.farewell("closed"));
            }
            if self.blocked && self.seat.is_deaf() {
                return Poll::Ready(Farewell::dropped("the viewer does not read its answers"));
            }
            match std::task::ready!(self.read(cx)) {
                Ok(true) => {}
                Ok(false) => {
                    self.seat.hear_end();
                    return Poll::Ready(self.farewell("the viewer left"));
                }
                Err(error) => return Poll::Ready(self.farewell(&format!("the stream failed: {error}"))),
            }
        }
    }

    fn write(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let Puller { io, seat, .. } = self;
        let mut offer = |bytes: &[u8]| match Pin::new(&mut *io).poll_write(cx, bytes) {
            Poll::Ready(written) => written,
            Poll::Pending => Ok(0),
        };
        self.blocked = seat.advance(Instant::now(), &mut offer)? == Flow::Blocked;
        match Pin::new(io).poll_flush(cx) {
            Poll::Ready(flushed) => flushed,
            Poll::Pending => Ok(()),
        }
    }

    /// Hears what has arrived; `false` at the end.
    fn read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let roster = Rc::clone(&self.roster);
        roster.with_scratch(limits::READ_SIZE, |scratch| {
            let mut buf = ReadBuf::new(scratch);
            std::task::ready!(Pin::new(&mut self.io).poll_read(cx, &mut buf))?;
            let bytes = buf.filled_mut();
            let some = !bytes.is_empty();
            self.hear(bytes, cx)?;
            Poll::Ready(Ok(some))
        })
    }

    fn hear(&mut self, mut bytes: &mut [u8], cx: &mut Context<'_>) -> io::Result<()> {
        while !self.deaf {
            match self.decoder.next(&mut bytes) {
                Ok(Some(message)) => self.seat.hear(message, Instant::now()),
                Ok(None) => break,
                Err(violation) => {
                    self.seat.reject(&violation, Instant::now());
                    self.deaf = true;
                }
            }
            if self.seat.is_deaf() {
                self.write(cx)?;
                if self.seat.is_deaf() {
                    break;
                }
            }
        }
        Ok(())
    }

    fn farewell(&self, otherwise: &str) -> Farewell {
        self.seat.farewell().cloned().unwrap_or_else(|| Farewell::dropped(otherwise))
    }
}
