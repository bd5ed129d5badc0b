//! A viewer's attendance: the one small task that hears it until it ends.
//!
//! Owns: what the viewer has said that is not understood yet, and its record. Never: holds a buffer while idle, or is
//! woken for the feed's messages, but where one turn was too short for what the viewer asked for.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::Instant;

use super::farewell::by_order;
use super::roster::Subscription;
use super::socket::Received;
use super::turn::Turn;
use super::viewer::{Event, Viewer};
use crate::limits;
use crate::telemetry::SocketRecord;
use crate::ws::Decoder;

/// Hears one viewer until it ends, then gives its connection's place (`P`) back. A future by hand, since there is one a
/// viewer and its size counts. It is boxed: the runtime lays its tasks out in steps of 128 bytes, of which its own part fills
/// one, and this fits what lies unused between two of them.
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
    deaf: bool,
    /// Bytes that wait while the viewer does not read its answers; at most one read.
    held: Box<[u8]>,
}

impl Ear {
    /// Hears `bytes`, as far as answers can be kept; gives how many were taken.
    fn hear(&mut self, viewer: &Viewer, mut bytes: &mut [u8], turn: &mut Turn) -> usize {
        let before = bytes.len();
        if self.deaf {
            return before;
        }
        loop {
            if viewer.is_deaf() {
                viewer.go_on(turn);
                if viewer.is_deaf() || viewer.is_over() {
                    return before - bytes.len();
                }
                continue;
            }
            match self.decoder.next(&mut bytes) {
                Ok(Some(message)) => viewer.with_seat(|seat| seat.hear(message, turn.now())),
                Ok(None) => return before,
                Err(violation) => {
                    viewer.with_seat(|seat| seat.reject(&violation, turn.now()));
                    self.deaf = true;
                    return before;
                }
            }
        }
    }

    fn read(&mut self, viewer: &Viewer, scratch: &mut [u8], turn: &mut Turn) {
        match viewer.receive(scratch) {
            Ok(Received::Nothing) => {}
            Ok(Received::Bytes(count)) => self.take_in(viewer, &mut scratch[..count], turn),
            Ok(Received::End) => viewer.hear_end(),
            Err(error) => viewer.lose(&error),
        }
    }

    fn take_in(&mut self, viewer: &Viewer, bytes: &mut [u8], turn: &mut Turn) {
        let taken = self.hear(viewer, bytes, turn);
        self.held = bytes[taken..].into();
        if !viewer.is_blocked() {
            viewer.go_on(turn);
        }
    }
}

impl<P> Attendance<P> {
    /// Tells the viewer what it gets first: the snapshot is that of this moment. `early` is what it said before.
    #[must_use]
    pub fn new(subscription: Subscription, decoder: Decoder, early: Box<[u8]>, record: SocketRecord, place: P) -> Self {
        subscription.viewer().go_on(&mut Turn::at(Instant::now()));
        let ear = Ear { decoder, held: early, deaf: false };
        Attendance { subscription, ear, record: Some(record), _place: place }
    }

    fn viewer(&self) -> &Viewer {
        self.subscription.viewer()
    }

    /// Hears what was held back, once the viewer reads its answers again.
    fn hear_held(&mut self, turn: &mut Turn) -> bool {
        if self.ear.held.is_empty() || self.viewer().is_deaf() || self.viewer().is_over() {
            return false;
        }
        let mut held = std::mem::take(&mut self.ear.held);
        self.ear.take_in(self.subscription.viewer(), &mut held, turn);
        true
    }

    /// Closes it where it is told to.
    fn obey(&self, cx: &Context<'_>, now: Instant) {
        if let Some(record) = &self.record
            && let Poll::Ready(order) = record.watch().poll_told(cx)
        {
            let (code, reason) = by_order(order);
            self.viewer().close(code, reason, now);
        }
    }

    /// Gives whether the viewer has ended.
    fn take(&mut self, event: Event, turn: &mut Turn) -> bool {
        let Attendance { subscription, ear, .. } = self;
        match event {
            Event::Over => return true,
            Event::Writable | Event::More => subscription.viewer().go_on(turn),
            Event::Readable => subscription.with_scratch(limits::READ_SIZE, |scratch| {
                ear.read(subscription.viewer(), scratch, turn);
            }),
        }
        false
    }
}

/// Whether the viewer has ended or everything does: it is put on record.
impl<P> Drop for Attendance<P> {
    fn drop(&mut self) {
        let (farewell, tally) = self.viewer().farewell();
        if let Some(record) = self.record.take() {
            record.closed(farewell.code, &farewell.reason, tally.messages, tally.bytes);
        }
    }
}

/// Completes when the viewer has ended.
impl<P: Unpin> Future for Attendance<P> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut turn = Turn::at(Instant::now());
        self.obey(cx, turn.now());
        loop {
            if !self.hear_held(&mut turn) {
                // What was just heard or written may have brought a deadline forward.
                self.subscription.rearm();
                let event = ready!(self.viewer().poll(cx));
                let heard = matches!(event, Event::Readable);
                if self.take(event, &mut turn) {
                    return Poll::Ready(());
                }
                if heard || turn.is_over() {
                    // One read a turn, and one turn's walk over the log: others wait meanwhile.
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::Instant;

    use super::Attendance;
    use crate::feed::seat::{Seat, Wish};
    use crate::feed::socket::Socket;
    use crate::feed::testing::{TURNS, in_turns, long, notices, quiet, record, restart, sourced, told_next, wish};
    use crate::feed::viewer::Viewer;
    use crate::limits;
    use crate::ws::Decoder;

    #[test]
    fn what_is_kept_of_each_viewer_is_small() {
        // Two shared counters are a connection's place.
        let attendance = size_of::<Attendance<(Arc<()>, Arc<()>)>>();
        assert!(attendance <= 104, "{attendance}");
    }

    #[tokio::test]
    async fn a_flood_of_history_is_walked_in_turns_with_others() {
        let (_feed, roster) = long();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let socket = Socket::Plain(listener.accept().await.unwrap().0);
        let wish = wish("types=b&last=2");
        let seat = Seat::new(Rc::clone(&roster), quiet(), &wish, Instant::now());
        let subscription = roster.subscribe(Viewer::new(seat, socket));
        let decoder = Decoder::new(limits::MESSAGE_SIZE, false);
        let turns = Cell::new(0);
        let attending = in_turns(&turns, Attendance::new(subscription, decoder, Box::default(), record(), ()));
        let watching = async {
            let mut frame = [0; 100];
            let first = client.read(&mut frame).await.unwrap();
            let snapshot = turns.replace(0);
            // As much as is read at once, and nothing of it is answered.
            let text = r#"{"type":"history","data":{"last":2}}"#;
            let command = [&[0x81, 0x80 | u8::try_from(text.len()).unwrap(), 0, 0, 0, 0], text.as_bytes()].concat();
            client.write_all(&command.repeat(limits::READ_SIZE / command.len())).await.unwrap();
            assert_eq!(client.read(&mut frame).await.unwrap(), first);
            (snapshot, turns.get())
        };
        let (snapshot, flood) = tokio::select! {
            () = attending => panic!("the viewer left"),
            counted = watching => counted,
        };
        assert!(snapshot + 1 >= TURNS && flood >= TURNS, "{snapshot} and {flood} turns");
    }

    #[tokio::test]
    async fn how_the_feed_stands_is_told_where_the_route_says_so() {
        for wanted in [true, false] {
            let (inlet, roster) = sourced(false);
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let socket = Socket::Plain(listener.accept().await.unwrap().0);
            let seat = Seat::new(Rc::clone(&roster), notices(wanted), &Wish::default(), Instant::now());
            let subscription = roster.subscribe(Viewer::new(seat, socket));
            let decoder = Decoder::new(limits::MESSAGE_SIZE, true);
            tokio::select! {
                () = Rc::clone(&roster).run() => unreachable!("it never ends"),
                () = Attendance::new(subscription, decoder, Box::default(), record(), ()) => panic!("the viewer left"),
                () = restart(&inlet, wanted, async || told_next(&mut client).await) => {}
            }
        }
    }
}
