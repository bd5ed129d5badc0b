//! A viewer on a raw socket: its seat, written to by the roster, heard by its [attendance](super::attendance).
//!
//! Owns: the socket and who waits for it. Never: holds a buffer while idle, or is woken for the feed's messages: the
//! roster writes those straight to the socket.

use std::cell::{Cell, RefCell, RefMut};
use std::fmt;
use std::hint::black_box;
use std::io;
use std::task::{Context, Poll, Waker};

use tokio::time::Instant;

use super::pulse::Stamp;
use super::seat::{Farewell, Seat, Tally};
use super::socket::{Received, Socket};
use super::turn::{Progress, Turn};
use crate::telemetry::CUT_OFF;
use crate::ws::CloseCode;

/// One viewer. The roster and the viewer's own task share it, on one thread.
pub struct Viewer {
    inner: RefCell<Inner>,
    /// The peer takes no more for now; its task waits until it does.
    blocked: Cell<bool>,
    /// Its turn was too short; its task goes on in the next.
    more: Cell<bool>,
    over: Cell<bool>,
    task: Cell<Option<Waker>>,
    /// When its roster looks at it next.
    pub(super) timer: Cell<Option<Stamp>>,
}

#[derive(Debug)]
struct Inner {
    seat: Seat,
    socket: Socket,
}

/// What a viewer's task is to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    Readable,
    Writable,
    /// The log has more than fitted its last turn.
    More,
    Over,
}

impl fmt::Debug for Viewer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Viewer").field("inner", &self.inner).field("blocked", &self.blocked).finish_non_exhaustive()
    }
}

impl Inner {
    /// The socket is gone; a close that was under way is how it ended.
    fn lose(&mut self, error: &io::Error) {
        if self.seat.farewell().is_none() {
            self.seat.end(Farewell::dropped(format!("the socket failed: {error}")));
        }
    }
}

impl Viewer {
    #[must_use]
    pub fn new(seat: Seat, socket: Socket) -> Viewer {
        Viewer {
            inner: RefCell::new(Inner { seat, socket }),
            blocked: Cell::new(false),
            more: Cell::new(false),
            over: Cell::new(false),
            task: Cell::new(None),
            timer: Cell::new(None),
        }
    }

    /// Writes what the peer takes now, as far as the turn goes.
    pub fn advance(&self, turn: &mut Turn) -> Tally {
        if self.over.get() {
            return Tally::default();
        }
        let mut inner = self.inner.borrow_mut();
        let before = inner.seat.tally();
        let Inner { seat, socket } = &mut *inner;
        let progress =
            seat.advance(turn, &mut |bytes: &[u8]| socket.offer(bytes)).and_then(|progress| match progress {
                Progress::Done | Progress::More => Ok(if socket.flush()? { progress } else { Progress::Blocked }),
                Progress::Blocked => Ok(Progress::Blocked),
            });
        let after = inner.seat.tally();
        self.settle(inner, progress);
        after.since(before)
    }

    /// Reads a little of it, so that it is on its way from memory while the roster serves those before it.
    pub fn foresee(&self) {
        if let Ok(inner) = self.inner.try_borrow() {
            black_box((self.blocked.get(), inner.seat.is_over(), inner.seat.tally(), inner.socket.is_tls()));
        }
    }

    /// As [`advance`](Viewer::advance), outside of the roster's walk, which counts what it sends by itself.
    pub(super) fn go_on(&self, turn: &mut Turn) {
        let tally = self.advance(turn);
        self.inner.borrow().seat.count(tally);
    }

    /// Whether the roster's walk can pass it by: it is woken when the peer takes more.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.blocked.get()
    }

    /// Whether its own task goes on with it, in a turn of its own.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.more.get()
    }

    /// The log has gone on while the peer takes nothing. Gives whether that brought a deadline.
    pub fn fall_back(&self, now: Instant) -> bool {
        !self.over.get() && self.inner.borrow_mut().seat.fall_back(now)
    }

    /// Does what has fallen due.
    pub fn on_time(&self, turn: &mut Turn) {
        if self.over.get() {
            return;
        }
        let mut inner = self.inner.borrow_mut();
        if let Some(farewell) = inner.seat.on_time(turn.now()) {
            inner.seat.end(farewell);
            drop(inner);
            return self.end();
        }
        drop(inner);
        if !self.blocked.get() {
            self.go_on(turn);
        }
    }

    pub fn close(&self, code: CloseCode, reason: &str, now: Instant) {
        self.inner.borrow_mut().seat.close(code, reason, now);
        if !self.blocked.get() {
            self.go_on(&mut Turn::at(now));
        }
    }

    /// When it must be looked at next; never again once it is over.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        if self.over.get() { None } else { self.inner.borrow().seat.next_due() }
    }

    /// Ends it without a close, from outside of its task.
    pub fn cut(&self, reason: &str) {
        // A panic may have come from within: what it borrowed is free again by now.
        if let Ok(mut inner) = self.inner.try_borrow_mut()
            && !self.over.get()
        {
            inner.seat.end(Farewell { code: CloseCode::INTERNAL.get(), reason: reason.to_owned() });
        }
        self.end();
    }

    /// Whether it must read our answers before it is heard again.
    pub(super) fn is_deaf(&self) -> bool {
        self.inner.borrow().seat.is_deaf()
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.get()
    }

    pub(super) fn with_seat<T>(&self, then: impl FnOnce(&mut Seat) -> T) -> T {
        then(&mut self.inner.borrow_mut().seat)
    }

    /// Reads what has arrived.
    pub(super) fn receive(&self, scratch: &mut [u8]) -> io::Result<Received> {
        self.inner.borrow_mut().socket.receive(scratch)
    }

    /// The peer says no more.
    pub(super) fn hear_end(&self) {
        self.with_seat(Seat::hear_end);
        self.end();
    }

    /// The socket is gone.
    pub(super) fn lose(&self, error: &io::Error) {
        self.inner.borrow_mut().lose(error);
        self.end();
    }

    /// Says goodbye, as far as the peer still listens.
    pub(super) fn farewell(&self) -> (Farewell, Tally) {
        // A panic may have come from within.
        let Ok(mut inner) = self.inner.try_borrow_mut() else {
            return (Farewell::dropped(CUT_OFF), Tally::default());
        };
        inner.socket.finish();
        let farewell = inner.seat.farewell().cloned();
        (farewell.unwrap_or_else(|| Farewell::dropped(CUT_OFF)), inner.seat.tally())
    }

    fn settle(&self, mut inner: RefMut<'_, Inner>, progress: io::Result<Progress>) {
        let blocked = matches!(progress, Ok(Progress::Blocked));
        let more = matches!(progress, Ok(Progress::More));
        let over = match progress {
            Ok(_) => inner.seat.is_over(),
            Err(error) => {
                inner.lose(&error);
                true
            }
        };
        if inner.seat.has_hung_up() {
            inner.socket.finish();
        }
        drop(inner);
        let news = (blocked && !self.blocked.get()) || (more && !self.more.get());
        self.blocked.set(blocked);
        self.more.set(more);
        if news {
            self.wake();
        }
        if over {
            self.end();
        }
    }

    fn end(&self) {
        self.over.set(true);
        self.wake();
    }

    fn wake(&self) {
        if let Some(task) = self.task.take() {
            task.wake();
        }
    }

    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<Event> {
        if self.over.get() {
            return Poll::Ready(Event::Over);
        }
        let inner = self.inner.borrow();
        if self.blocked.get() && inner.socket.poll_write_ready(cx).is_ready() {
            return Poll::Ready(Event::Writable);
        }
        if !(self.blocked.get() && inner.seat.is_deaf()) && inner.socket.poll_read_ready(cx).is_ready() {
            return Poll::Ready(Event::Readable);
        }
        if self.more.get() {
            return Poll::Ready(Event::More);
        }
        self.task.set(Some(cx.waker().clone()));
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_kept_of_each_viewer_is_small() {
        // With an Rc's counts and malloc's that fills a chunk of 240 bytes, which is what two things on lines of 128 bytes leave
        // between them; beyond 216 it would not fit there any more. In a debug build 8 are a check of mio.
        assert!(size_of::<super::Viewer>() <= 208, "{}", size_of::<super::Viewer>());
    }
}
