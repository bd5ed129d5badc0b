//! A viewer on a raw socket: its seat, written to by the roster, and the one small task that hears it.
//!
//! Owns: the socket and who waits for it. Never: holds a buffer while idle, or is woken for the feed's messages: the
//! roster writes those straight to the socket.

use std::cell::{Cell, RefCell, RefMut};
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use tokio::time::Instant;
use tokio_util::time::delay_queue;

use super::outgoing::Flow;
use super::roster::Subscription;
use super::seat::{Farewell, Seat, Tally};
use super::socket::{Received, Socket};
use crate::limits;
use crate::telemetry::SocketRecord;
use crate::ws::{CloseCode, Decoder};

/// One viewer. The roster and the viewer's own task share it, on one thread.
pub struct Viewer {
    inner: RefCell<Inner>,
    /// The peer takes no more for now; its task waits until it does.
    blocked: Cell<bool>,
    over: Cell<bool>,
    task: Cell<Option<Waker>>,
    pub(super) timer: Cell<Option<(delay_queue::Key, Instant)>>,
}

#[derive(Debug)]
struct Inner {
    seat: Seat,
    socket: Socket,
    /// How it ended, where the seat does not know.
    cut: Option<Box<Farewell>>,
}

enum Event {
    Readable,
    Writable,
    Over,
}

/// Hears one viewer until it ends, then gives its connection's place (`P`) back. A future by hand, since there is one a
/// viewer and its size counts: with what the runtime adds it fits 256 bytes.
#[derive(Debug)]
pub struct Attendance<P> {
    subscription: Subscription,
    ear: Ear,
    record: Option<SocketRecord>,
    _place: P,
}

/// What one viewer has said that is not understood yet.
#[derive(Debug)]
struct Ear {
    decoder: Decoder,
    /// The viewer broke the protocol: what it says after that has no meaning.
    /// Bytes that wait while the viewer does not read its answers; at most one read.
    held: Box<[u8]>,
    deaf: bool,
}

impl fmt::Debug for Viewer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Viewer").field("inner", &self.inner).field("blocked", &self.blocked).finish_non_exhaustive()
    }
}

impl Inner {
    /// The socket is gone; a close that was under way is how it ended.
    fn lose(&mut self, error: &io::Error) {
        let farewell = self.seat.farewell().cloned();
        let farewell = farewell.unwrap_or_else(|| Farewell::dropped(format!("the socket failed: {error}")));
        self.cut = Some(Box::new(farewell));
    }
}

impl Viewer {
    #[must_use]
    pub fn new(seat: Seat, socket: Socket) -> Viewer {
        Viewer {
            inner: RefCell::new(Inner { seat, socket, cut: None }),
            blocked: Cell::new(false),
            over: Cell::new(false),
            task: Cell::new(None),
            timer: Cell::new(None),
        }
    }

    /// Writes what the peer takes now.
    pub fn advance(&self, now: Instant) -> Tally {
        if self.over.get() {
            return Tally::default();
        }
        let mut inner = self.inner.borrow_mut();
        let before = inner.seat.tally();
        let Inner { seat, socket, .. } = &mut *inner;
        let flow = seat.advance(now, &mut |bytes: &[u8]| socket.offer(bytes)).and_then(|flow| match flow {
            Flow::Done => Ok(if socket.flush()? { Flow::Done } else { Flow::Blocked }),
            Flow::Blocked => Ok(Flow::Blocked),
        });
        let after = inner.seat.tally();
        self.settle(inner, flow);
        after.since(before)
    }

    /// As [`advance`](Viewer::advance), outside of the roster's walk, which counts what it sends by itself.
    fn go_on(&self, now: Instant) {
        let tally = self.advance(now);
        self.inner.borrow().seat.count(tally);
    }

    /// Whether the roster's walk can pass it by: it is woken when the peer takes more.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.blocked.get()
    }

    /// The log has gone on while the peer takes nothing. Gives whether that brought a deadline.
    pub fn fall_back(&self, now: Instant) -> bool {
        !self.over.get() && self.inner.borrow_mut().seat.fall_back(now)
    }

    /// Does what has fallen due.
    pub fn on_time(&self, now: Instant) {
        if self.over.get() {
            return;
        }
        let mut inner = self.inner.borrow_mut();
        if let Some(farewell) = inner.seat.on_time(now) {
            inner.cut = Some(Box::new(farewell));
            drop(inner);
            return self.end();
        }
        drop(inner);
        if !self.blocked.get() {
            self.go_on(now);
        }
    }

    pub fn close(&self, code: CloseCode, reason: &str, now: Instant) {
        self.inner.borrow_mut().seat.close(code, reason, now);
        if !self.blocked.get() {
            self.go_on(now);
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
        if let Ok(mut inner) = self.inner.try_borrow_mut() {
            inner.cut.get_or_insert_with(|| {
                Box::new(Farewell { code: CloseCode::INTERNAL.get(), reason: reason.to_owned() })
            });
        }
        self.end();
    }

    fn is_deaf(&self) -> bool {
        self.inner.borrow().seat.is_deaf()
    }

    /// Says goodbye, as far as the peer still listens.
    fn farewell(&self) -> (Farewell, Tally) {
        let mut inner = self.inner.borrow_mut();
        inner.socket.finish();
        let farewell = inner.cut.take().map(|cut| *cut).or_else(|| inner.seat.farewell().cloned());
        (farewell.unwrap_or_else(|| Farewell::dropped("unknown")), inner.seat.tally())
    }

    fn settle(&self, mut inner: RefMut<'_, Inner>, flow: io::Result<Flow>) {
        let blocked = matches!(flow, Ok(Flow::Blocked));
        let over = match flow {
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
        if self.blocked.replace(blocked) != blocked && blocked {
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

    fn poll(&self, cx: &mut Context<'_>) -> Poll<Event> {
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
        self.task.set(Some(cx.waker().clone()));
        Poll::Pending
    }

    /// Hears `bytes`, as far as answers can be kept; gives how many were taken.
    fn hear(&self, ear: &mut Ear, mut bytes: &mut [u8], now: Instant) -> usize {
        let before = bytes.len();
        if ear.deaf {
            return before;
        }
        loop {
            let mut inner = self.inner.borrow_mut();
            if inner.seat.is_deaf() {
                drop(inner);
                self.go_on(now);
                if self.inner.borrow().seat.is_deaf() || self.over.get() {
                    return before - bytes.len();
                }
                continue;
            }
            match ear.decoder.next(&mut bytes) {
                Ok(Some(message)) => inner.seat.hear(message, now),
                Ok(None) => return before,
                Err(violation) => {
                    inner.seat.reject(&violation, now);
                    ear.deaf = true;
                    return before;
                }
            }
        }
    }

    fn read(&self, ear: &mut Ear, scratch: &mut [u8], now: Instant) {
        let received = self.inner.borrow_mut().socket.receive(scratch);
        match received {
            Ok(Received::Nothing) => {}
            Ok(Received::Bytes(count)) => self.take_in(ear, &mut scratch[..count], now),
            Ok(Received::End) => {
                self.inner.borrow_mut().seat.hear_end();
                self.end();
            }
            Err(error) => {
                self.inner.borrow_mut().lose(&error);
                self.end();
            }
        }
    }

    fn take_in(&self, ear: &mut Ear, bytes: &mut [u8], now: Instant) {
        let taken = self.hear(ear, bytes, now);
        ear.held = bytes[taken..].into();
        if !self.blocked.get() {
            self.go_on(now);
        }
    }
}

impl<P> Attendance<P> {
    /// Tells the viewer what it gets first: the snapshot is that of this moment. `early` is what it said before.
    #[must_use]
    pub fn new(subscription: Subscription, decoder: Decoder, early: Box<[u8]>, record: SocketRecord, place: P) -> Self {
        subscription.viewer().go_on(Instant::now());
        let ear = Ear { decoder, held: early, deaf: false };
        Attendance { subscription, ear, record: Some(record), _place: place }
    }

    fn viewer(&self) -> &Viewer {
        self.subscription.viewer()
    }

    /// Hears what was held back, once the viewer reads its answers again.
    fn hear_held(&mut self) -> bool {
        if self.ear.held.is_empty() || self.viewer().is_deaf() || self.viewer().over.get() {
            return false;
        }
        let mut held = std::mem::take(&mut self.ear.held);
        self.subscription.viewer().take_in(&mut self.ear, &mut held, Instant::now());
        true
    }

    /// Gives whether the viewer has ended.
    fn take(&mut self, event: Event) -> bool {
        let Attendance { subscription, ear, .. } = self;
        match event {
            Event::Over => return true,
            Event::Writable => subscription.viewer().go_on(Instant::now()),
            Event::Readable => subscription.with_scratch(limits::READ_SIZE, |scratch| {
                subscription.viewer().read(ear, scratch, Instant::now());
            }),
        }
        false
    }

    fn end(&mut self) {
        let (farewell, tally) = self.viewer().farewell();
        if let Some(record) = self.record.take() {
            record.closed(farewell.code, &farewell.reason, tally.messages, tally.bytes);
        }
    }
}

/// Completes when the viewer has ended and that is on record.
impl<P: Unpin> Future for Attendance<P> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if !self.hear_held() {
                // What was just heard or written may have brought a deadline forward.
                self.subscription.rearm();
                let event = ready!(self.viewer().poll(cx));
                let heard = matches!(event, Event::Readable);
                if self.take(event) {
                    self.end();
                    return Poll::Ready(());
                }
                if heard {
                    // One read a turn: what it asks for may be a walk over the whole log, and others wait meanwhile.
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Attendance;

    #[test]
    fn what_is_kept_of_each_viewer_is_small() {
        // Two shared counters are a connection's place.
        let attendance = size_of::<Attendance<(Arc<()>, Arc<()>)>>();
        assert!(attendance <= 144, "{attendance}");
        assert!(size_of::<super::Viewer>() <= 256, "{}", size_of::<super::Viewer>());
    }
}
