//! A viewer whose socket is a stream within a connection (HTTP/2): one task that pulls from the log.
//!
//! Owns: reading, writing and waiting for one such viewer. Never: leaves what the peer sends unread, since unread small
//! frames count against the whole connection; a peer that does not read our answers loses this stream alone.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, sleep, sleep_until};

use super::farewell::by_order;
use super::roster::Roster;
use super::seat::{Farewell, Seat};
use super::turn::{Progress, Turn};
use crate::limits;
use crate::telemetry::{CUT_OFF, SocketRecord};
use crate::ws::{CloseCode, Decoder, close};

struct Puller<'a, S> {
    pipe: Pipe<'a, S>,
    seat: Seat,
    decoder: Decoder,
    /// The peer broke the protocol: what it says after that has no meaning.
    deaf: bool,
    /// What was read and is not heard yet, because answers wait to be read.
    held: Vec<u8>,
    roster: Rc<Roster>,
    record: Option<SocketRecord>,
    /// How it ended, once it has by itself.
    farewell: Option<Farewell>,
}

/// A stream, and the bytes that it did not take at once.
struct Pipe<'a, S> {
    io: &'a mut S,
    /// At most [`limits::H2_PIECE`] bytes.
    waiting: Vec<u8>,
}

/// Serves one viewer until it ends, and puts that on record, also where this is dropped before.
pub async fn attend<S>(io: &mut S, roster: Rc<Roster>, seat: Seat, decoder: Decoder, record: SocketRecord)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let _permit = roster.pull_permit();
    let pipe = Pipe { io, waiting: Vec::new() };
    let (itself, record) = (Rc::clone(&roster), Some(record));
    let mut puller =
        Puller { pipe, seat, decoder, deaf: false, held: Vec::new(), roster: itself, record, farewell: None };
    puller.farewell = Some(puller.run(&roster).await);
}

/// Says the end of the stream, and then reads and does not hear what the peer still says, until that ends too or has had its
/// time: what comes on a stream that is given up counts as unread.
pub async fn let_go<S>(mut io: S, roster: &Roster)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let gone = poll_fn(|cx| {
        // What it is too late to say is no matter.
        let _ = Pin::new(&mut io).poll_shutdown(cx);
        roster.with_scratch(limits::READ_SIZE, |scratch| {
            loop {
                let mut buf = ReadBuf::new(scratch);
                match ready!(Pin::new(&mut io).poll_read(cx, &mut buf)) {
                    Ok(()) if !buf.filled().is_empty() => {}
                    Ok(()) | Err(_) => return Poll::Ready(()),
                }
            }
        })
    });
    tokio::select! {
        () = gone => {}
        () = sleep(limits::CLOSE_TIMEOUT) => {}
        () = roster.draining() => {}
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Puller<'_, S> {
    async fn run(&mut self, roster: &Roster) -> Farewell {
        let mut leaving = pin!(roster.leave_in_turn());
        let (mut left, mut told) = (false, false);
        let watch = self.record.as_ref().map(SocketRecord::watch);
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
                order = async { Some(watch?.told().await) }, if !told => {
                    told = true;
                    if let Some((code, reason)) = order.map(by_order) {
                        self.seat.close(code, reason, Instant::now());
                    }
                }
            }
        }
    }

    /// Writes what it can in one turn and reads what there is; completes only when the viewer has ended.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Farewell> {
        let mut turn = Turn::at(Instant::now());
        loop {
            let progress = match self.write(cx, &mut turn) {
                Ok(progress) => progress,
                Err(error) => return Poll::Ready(self.farewell(&format!("the stream failed: {error}"))),
            };
            if self.seat.is_over() && self.pipe.waiting.is_empty() {
                return Poll::Ready(self.farewell("closed"));
            }
            if !self.held.is_empty() && !self.seat.is_deaf() {
                let mut held = std::mem::take(&mut self.held);
                self.hear(&mut held);
                continue;
            }
            if self.held.len() > limits::H2_UNHEARD {
                return Poll::Ready(Farewell::dropped("the viewer does not read its answers"));
            }
            match self.read(cx) {
                Poll::Ready(Ok(true)) => {}
                Poll::Ready(Ok(false)) => {
                    self.seat.hear_end();
                    return Poll::Ready(self.farewell("the viewer left"));
                }
                Poll::Ready(Err(error)) => return Poll::Ready(self.farewell(&format!("the stream failed: {error}"))),
                Poll::Pending => {
                    // Not before: answers to many small frames go out as one.
                    if let Err(error) = self.pipe.go_on(cx) {
                        return Poll::Ready(self.farewell(&format!("the stream failed: {error}")));
                    }
                    if progress == Progress::More {
                        cx.waker().wake_by_ref();
                    }
                    return Poll::Pending;
                }
            }
        }
    }

    fn write(&mut self, cx: &mut Context<'_>, turn: &mut Turn) -> io::Result<Progress> {
        let Puller { pipe, seat, .. } = self;
        pipe.flush(cx)?;
        let before = seat.tally();
        let advanced = seat.advance(turn, &mut |bytes: &[u8]| pipe.offer(bytes, cx));
        seat.count(seat.tally().since(before));
        advanced
    }

    /// Hears what has arrived; `false` at the end.
    fn read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let roster = Rc::clone(&self.roster);
        roster.with_scratch(limits::READ_SIZE, |scratch| {
            let mut buf = ReadBuf::new(scratch);
            ready!(Pin::new(&mut *self.pipe.io).poll_read(cx, &mut buf))?;
            let bytes = buf.filled_mut();
            if self.held.is_empty() {
                self.hear(bytes);
            } else {
                self.held.extend_from_slice(bytes);
            }
            Poll::Ready(Ok(!bytes.is_empty()))
        })
    }

    /// Hears `bytes` as far as answers can be kept, and keeps the rest.
    fn hear(&mut self, mut bytes: &mut [u8]) {
        while !self.deaf && !self.seat.is_deaf() {
            match self.decoder.next(&mut bytes) {
                Ok(Some(message)) => self.seat.hear(message, Instant::now()),
                Ok(None) => return,
                Err(violation) => {
                    self.seat.reject(&violation, Instant::now());
                    self.deaf = true;
                }
            }
        }
        if !self.deaf {
            self.held = bytes.to_vec();
        }
    }

    fn farewell(&self, otherwise: &str) -> Farewell {
        self.seat.farewell().cloned().unwrap_or_else(|| Farewell::dropped(otherwise))
    }
}

impl<S> Drop for Puller<'_, S> {
    fn drop(&mut self) {
        let farewell = self.farewell.take().or_else(|| self.seat.farewell().cloned());
        let farewell = farewell.unwrap_or_else(|| Farewell::dropped(CUT_OFF));
        if let Some(record) = self.record.take() {
            let tally = self.seat.tally();
            record.closed(farewell.code, &farewell.reason, tally.messages, tally.bytes);
        }
    }
}

impl<S: AsyncWrite + Unpin> Pipe<'_, S> {
    /// Writes at most one piece of `bytes`. What the stream has no room for waits here, up to one piece: many small
    /// frames then go out as one.
    fn offer(&mut self, bytes: &[u8], cx: &mut Context<'_>) -> io::Result<usize> {
        let piece = &bytes[..bytes.len().min(limits::H2_PIECE - self.waiting.len())];
        if self.waiting.is_empty()
            && let Poll::Ready(written) = Pin::new(&mut *self.io).poll_write(cx, piece)
        {
            return written;
        }
        self.waiting.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while !self.waiting.is_empty() {
            match Pin::new(&mut *self.io).poll_write(cx, &self.waiting) {
                Poll::Ready(Ok(written)) if written < self.waiting.len() => drop(self.waiting.drain(..written)),
                Poll::Ready(Ok(_)) => self.waiting = Vec::new(),
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Ok(()),
            }
        }
        Ok(())
    }

    /// What a stream holds back until it is told to go on goes now; whether it has room again is asked when there is
    /// something to write.
    fn go_on(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match Pin::new(&mut *self.io).poll_flush(cx) {
            Poll::Ready(flushed) => flushed,
            Poll::Pending => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;
    use std::time::Duration;

    use jiff::Timestamp;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::Instant;

    use super::{attend, let_go};
    use crate::feed::normalize::Incoming;
    use crate::feed::roster::Roster;
    use crate::feed::seat::{Seat, Wish};
    use crate::feed::testing::{
        LONG, TURNS, in_turns, long, notices, overrun, quiet, record, restart, roster, say, sourced, told_next, wish,
    };
    use crate::feed::{Options, Slow};
    use crate::limits;
    use crate::ws::Decoder;

    #[tokio::test]
    async fn a_long_history_is_walked_in_turns_with_others() {
        let (_feed, roster) = long();
        let (mut ours, mut theirs) = duplex(64 * 1024);
        let seat = Seat::new(Rc::clone(&roster), quiet(), &wish(&format!("types=b&last={LONG}")), Instant::now());
        let decoder = Decoder::new(limits::MESSAGE_SIZE, false);
        let turns = Cell::new(0);
        tokio::select! {
            _ = in_turns(&turns, attend(&mut ours, Rc::clone(&roster), seat, decoder, record())) => panic!("the viewer left"),
            read = theirs.read_u8() => assert!(read.is_ok() && turns.get() >= TURNS, "{} turns", turns.get()),
        }
    }

    #[tokio::test]
    async fn where_the_slow_are_closed_one_that_kept_up_is_not_and_one_that_did_not_is() {
        for (room, first) in [(64 * 1024, 0x81), (16, 0x88)] {
            let (feed, roster) = roster(Options { history: 1, slow: Slow::Close, ..Options::named("f") });
            let (mut ours, mut theirs) = duplex(room);
            let seat = Seat::new(Rc::clone(&roster), quiet(), &Wish::default(), Instant::now());
            let decoder = Decoder::new(limits::MESSAGE_SIZE, false);
            let told = async {
                // The slow one does not read for a while: it is told more than its room, and then more than the history.
                for _ in 0..limits::H2_PIECE / 50 {
                    feed.publish(Incoming::Text("1"), Timestamp::UNIX_EPOCH);
                    tokio::task::yield_now().await;
                    if room > 16 {
                        frame(&mut theirs).await;
                    }
                }
                overrun(&feed);
                while room > 16 || frame(&mut theirs).await != 0x88 {
                    if room > 16 {
                        return frame(&mut theirs).await;
                    }
                }
                0x88
            };
            let told = tokio::select! {
                biased;
                () = Rc::clone(&roster).run() => unreachable!("it never ends"),
                () = attend(&mut ours, Rc::clone(&roster), seat, decoder, record()) => panic!("the viewer left"),
                told = told => told,
            };
            assert_eq!(told, first, "with room for {room}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_let_go_is_told_so_and_heard_out_for_a_while() {
        let (_feed, roster) = roster(Options::named("f"));
        for (ends, lasts) in [(true, Duration::ZERO), (false, limits::CLOSE_TIMEOUT)] {
            let (ours, mut theirs) = duplex(16);
            let start = Instant::now();
            let (took, _kept) = tokio::join!(
                async {
                    let_go(ours, &roster).await;
                    start.elapsed()
                },
                async {
                    assert_eq!(theirs.read(&mut [0]).await.unwrap(), 0, "the end is told");
                    theirs.write_all(&[7; 1000]).await.unwrap();
                    if ends {
                        theirs.shutdown().await.unwrap();
                    }
                    theirs
                }
            );
            assert_eq!(took, lasts);
        }
    }

    /// The first byte of the next frame.
    async fn frame(stream: &mut DuplexStream) -> u8 {
        let mut head = [0; 2];
        stream.read_exact(&mut head).await.unwrap();
        stream.read_exact(&mut vec![0; usize::from(head[1])]).await.unwrap();
        head[0]
    }

    #[tokio::test]
    async fn a_burst_longer_than_the_history_is_read_whole() {
        let (feed, roster) = roster(Options { history: 1, ..Options::named("f") });
        let (mut ours, mut theirs) = duplex(64 * 1024);
        let seat = Seat::new(Rc::clone(&roster), quiet(), &Wish::default(), Instant::now());
        let decoder = Decoder::new(limits::MESSAGE_SIZE, false);
        let reading = async {
            for number in 100..200u64 {
                let mut frame = [0; 2];
                theirs.read_exact(&mut frame).await.unwrap();
                let mut payload = vec![0; usize::from(frame[1])];
                theirs.read_exact(&mut payload).await.unwrap();
                let expected = format!(r#"{{"type":"message","data":{number},"#);
                assert!(payload.starts_with(expected.as_bytes()), "{number}: {}", String::from_utf8_lossy(&payload));
            }
        };
        for number in 100..200 {
            feed.publish(Incoming::Text(&number.to_string()), Timestamp::UNIX_EPOCH);
        }
        tokio::select! {
            biased;
            () = Rc::clone(&roster).run() => {}
            _ = attend(&mut ours, Rc::clone(&roster), seat, decoder, record()) => panic!("the viewer left"),
            () = reading => {}
        }
    }

    /// A viewer of `roster` for as long as `story` takes, which hears it.
    async fn view(roster: &Rc<Roster>, seat: Seat, story: impl AsyncFnOnce(DuplexStream)) {
        let (mut ours, theirs) = duplex(64 * 1024);
        let decoder = Decoder::new(limits::MESSAGE_SIZE, false);
        tokio::select! {
            () = Rc::clone(roster).run() => unreachable!("it never ends"),
            () = attend(&mut ours, Rc::clone(roster), seat, decoder, record()) => panic!("the viewer left"),
            () = story(theirs) => {}
        }
    }

    #[tokio::test]
    async fn how_the_feed_stands_is_told_where_the_route_says_so() {
        for wanted in [true, false] {
            let (inlet, roster) = sourced(false);
            let seat = Seat::new(Rc::clone(&roster), notices(wanted), &Wish::default(), Instant::now());
            view(&roster, seat, async |mut viewer| {
                restart(&inlet, wanted, async || told_next(&mut viewer).await).await
            })
            .await;
        }
    }

    #[tokio::test]
    async fn one_that_comes_later_is_told_after_the_snapshot() {
        let (inlet, roster) = sourced(true);
        let seat = Seat::new(Rc::clone(&roster), quiet(), &Wish::default(), Instant::now());
        view(&roster, seat, async |mut viewer| {
            assert_eq!([told_next(&mut viewer).await, told_next(&mut viewer).await], ["1", "stale"]);
            say(&inlet, 2);
            assert_eq!([told_next(&mut viewer).await, told_next(&mut viewer).await], ["2", "live"]);
        })
        .await;
    }

    #[tokio::test]
    async fn how_the_feed_stands_waits_for_no_tick_and_passes_every_selection() {
        let (inlet, roster) = sourced(false);
        let wish = wish("every=1h&types=message,other&fields=none");
        let seat = Seat::new(Rc::clone(&roster), quiet(), &wish, Instant::now());
        view(&roster, seat, async |mut viewer| {
            assert_eq!(told_next(&mut viewer).await, "1");
            inlet.fell();
            assert_eq!(told_next(&mut viewer).await, "stale");
            say(&inlet, 2);
            assert_eq!(told_next(&mut viewer).await, "live");
            inlet.fell();
            assert_eq!(told_next(&mut viewer).await, "stale");
        })
        .await;
    }
}
