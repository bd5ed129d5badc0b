//! A roster: the viewers of one feed on one worker, and the walk that writes each message to all of them.
//!
//! Owns: the worker's copy of the feed's log, the viewers on raw sockets, their deadlines. Never: wakes a task,
//! copies a message or takes a lock for a viewer.

mod stay;

use std::cell::{Cell, Ref, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use slab::Slab;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::audience::Audiences;
use super::deadlines::Deadlines;
use super::hub::{Feed, Follower};
use super::log::Log;
use super::pulse::Stamp;
use super::seat::Tally;
use super::system::system;
use super::tokens::Visit;
use super::turn::Turn;
use super::viewer::Viewer;
use crate::limits;
use crate::shutdown;
use crate::ws::{self, CloseCode, OpCode, close};

pub use stay::{PullPermit, Stay, Subscription};

/// The viewers of one feed on one worker.
#[derive(Debug)]
pub struct Roster {
    feed: Arc<Feed>,
    follower: RefCell<Follower>,
    audiences: Audiences,
    viewers: RefCell<Slab<Rc<Viewer>>>,
    /// When each viewer falls due, by its place in `viewers`.
    deadlines: Deadlines,
    /// Wakes those who pull: SSE and HTTP/2.
    changed: Notify,
    /// Wakes those of them who read at intervals: how the feed stands is told at once.
    noticed: Notify,
    /// The newest keepalive, and when it was made.
    keepalive: RefCell<Option<(Instant, Bytes)>>,
    scratch: Scratch,
    draining: CancellationToken,
    /// The drain's window.
    spread: Cell<Duration>,
    /// Who is here, or about to be.
    stays: Cell<usize>,
    /// When the last of those left; while nobody has come, when this was made.
    emptied: Cell<Instant>,
    left: Notify,
    /// The token of who came last and did not stay.
    passing: RefCell<Option<Visit>>,
}

/// A worker's one read buffer; whoever reads borrows it for that moment.
pub type Scratch = Rc<RefCell<Box<[u8]>>>;

impl Roster {
    #[must_use]
    pub fn new(feed: &Arc<Feed>, scratch: Scratch) -> Rc<Roster> {
        Rc::new(Roster {
            follower: RefCell::new(feed.follow()),
            feed: Arc::clone(feed),
            audiences: Audiences::default(),
            viewers: RefCell::new(Slab::new()),
            deadlines: Deadlines::default(),
            changed: Notify::new(),
            noticed: Notify::new(),
            keepalive: RefCell::new(None),
            scratch,
            draining: CancellationToken::new(),
            spread: Cell::new(Duration::ZERO),
            stays: Cell::new(0),
            emptied: Cell::new(Instant::now()),
            left: Notify::new(),
            passing: RefCell::new(None),
        })
    }

    #[must_use]
    pub fn feed(&self) -> &Arc<Feed> {
        &self.feed
    }

    /// The log as this worker has it.
    #[must_use]
    pub fn log(&self) -> Ref<'_, Log> {
        Ref::map(self.follower.borrow(), Follower::log)
    }

    #[must_use]
    pub fn audiences(&self) -> &Audiences {
        &self.audiences
    }

    /// Told after each change of the log, to those who pull.
    #[must_use]
    pub fn changed(&self) -> &Notify {
        &self.changed
    }

    /// Told when how the feed stands has changed, to those who pull and read messages at intervals only.
    #[must_use]
    pub fn noticed(&self) -> &Notify {
        &self.noticed
    }

    /// Completes for one that pulls when it is to leave.
    pub async fn leave_in_turn(&self) {
        self.draining.cancelled().await;
        tokio::time::sleep_until(self.turn_to_leave()).await;
    }

    /// When one that pulls is to leave, once the drain has begun: a random part of its window from now.
    #[must_use]
    pub fn turn_to_leave(&self) -> Instant {
        Instant::now() + shutdown::random_part(self.spread.get())
    }

    /// Completes when the drain begins.
    pub async fn draining(&self) {
        self.draining.cancelled().await;
    }

    /// Follows the feed and writes to all viewers; never ends.
    pub async fn run(self: Rc<Self>) {
        let handoff = self.follower.borrow().handoff();
        loop {
            handoff.arrived().await;
            loop {
                let began = Instant::now();
                if !self.pull() {
                    break;
                }
                self.changed.notify_waiters();
                if !self.viewers.borrow().is_empty() {
                    self.walk().await;
                    self.feed.meters().lagged(began.elapsed());
                }
                // Those who pull read this much before more can push it out.
                tokio::task::yield_now().await;
            }
        }
    }

    /// Takes over some of what was handed off; gives whether there was any.
    fn pull(&self) -> bool {
        let mut follower = self.follower.borrow_mut();
        let before = follower.log().noticed();
        let moved = follower.pull() > 0;
        if follower.log().noticed() > before {
            self.noticed.notify_waiters();
        }
        moved
    }

    /// Keeps time for all viewers; never ends.
    pub async fn keep_time(self: Rc<Self>) {
        let (mut served, mut passed) = (0, 0);
        loop {
            let (due, slot) = self.deadlines.next().await;
            let viewer = self.viewers.borrow().get(slot).map(Rc::clone);
            if let Some(viewer) = viewer.filter(|viewer| viewer.timer.get() == Some(due)) {
                viewer.timer.set(None);
                let mut turn = Turn::at(Instant::now());
                self.attend_to(&viewer, |viewer| viewer.on_time(&mut turn));
                self.rearm(slot, &viewer);
                passed += turn.passed();
            }
            served += 1;
            if served >= limits::FANOUT_SLICE || passed >= limits::WALK_MESSAGES {
                (served, passed) = (0, 0);
                tokio::task::yield_now().await;
            }
        }
    }

    /// Closes every viewer with 1012, in random order over `spread`.
    pub async fn drain(self: Rc<Self>, spread: Duration) {
        self.spread.set(spread);
        self.draining.cancel();
        let mut leaving: Vec<_> =
            self.viewers.borrow().iter().map(|(slot, viewer)| (slot, Rc::clone(viewer))).collect();
        shutdown::shuffle(&mut leaving);
        let pause = spread / u32::try_from(leaving.len()).unwrap_or(u32::MAX).max(1);
        // There are many rosters, and some have few viewers: theirs are not all to go first.
        let start = Instant::now() + shutdown::random_part(pause);
        for (place, (slot, viewer)) in leaving.into_iter().enumerate() {
            tokio::time::sleep_until(start + pause * u32::try_from(place).unwrap_or(u32::MAX)).await;
            self.attend_to(&viewer, |viewer| {
                viewer.close(CloseCode::RESTART, close::DRAINING, Instant::now());
            });
            if self.viewers.borrow().get(slot).is_some_and(|there| Rc::ptr_eq(there, &viewer)) {
                self.rearm(slot, &viewer);
            }
        }
    }

    /// A `keepalive` frame whose timestamp is at most 100 ms old.
    pub fn keepalive(&self, now: Instant) -> Bytes {
        const FRESH: Duration = Duration::from_millis(100);
        let mut newest = self.keepalive.borrow_mut();
        match &*newest {
            Some((made, frame)) if now < *made + FRESH => frame.clone(),
            Some(_) | None => {
                let frame = ws::frame::frame(OpCode::Text, false, &system("keepalive", None, &[], Timestamp::now()));
                *newest = Some((now, frame.clone()));
                frame
            }
        }
    }

    pub fn with_scratch<T>(&self, size: usize, then: impl FnOnce(&mut [u8]) -> T) -> T {
        let mut scratch = self.scratch.borrow_mut();
        let size = size.min(scratch.len());
        then(&mut scratch[..size])
    }

    /// Takes every viewer to the head of the log, a slice at a time so that others' requests don't wait.
    async fn walk(&self) {
        let mut next = 0;
        loop {
            let (more, tally) = self.walk_slice(&mut next);
            self.feed.meters().sent(tally.messages, tally.bytes);
            if !more {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    fn walk_slice(&self, next: &mut usize) -> (bool, Tally) {
        let now = Instant::now();
        let viewers = self.viewers.borrow();
        let mut end = (*next + limits::FANOUT_SLICE).min(viewers.capacity());
        let (mut sum, mut passed) = (Tally::default(), 0);
        for slot in *next..end {
            if let Some(soon) = viewers.get(slot + limits::FANOUT_AHEAD) {
                soon.foresee();
            }
            let Some(viewer) = viewers.get(slot) else { continue };
            if viewer.is_blocked() {
                // It is woken when its peer takes more.
                if self.attend_to(viewer, |viewer| viewer.fall_back(now)) == Some(true) {
                    self.rearm(slot, viewer);
                }
                continue;
            }
            if viewer.has_more() {
                // It reads on in its own turns, up to this message too.
                continue;
            }
            let mut turn = Turn::at(now);
            if let Some(tally) = self.attend_to(viewer, |viewer| viewer.advance(&mut turn)) {
                sum.messages += tally.messages;
                sum.bytes += tally.bytes;
            }
            passed += turn.passed();
            if passed >= limits::WALK_MESSAGES {
                end = slot + 1;
                break;
            }
        }
        *next = end;
        (end < viewers.capacity(), sum)
    }

    /// A panic over one viewer ends that viewer.
    fn attend_to<T>(&self, viewer: &Viewer, act: impl FnOnce(&Viewer) -> T) -> Option<T> {
        catch_unwind(AssertUnwindSafe(|| act(viewer)))
            .inspect_err(|_| {
                tracing::error!(feed = self.feed.name(), "serving a viewer panicked; it is dropped");
                viewer.cut("our own fault");
            })
            .ok()
    }

    /// Notes the viewer's next deadline, where it is earlier than the one it waits for.
    fn rearm(&self, slot: usize, viewer: &Viewer) {
        let Some(due) = viewer.next_due().map(Stamp::not_before) else { return };
        if viewer.timer.get().is_some_and(|set| set <= due) {
            return;
        }
        viewer.timer.set(Some(due));
        self.deadlines.add(due, slot);
        let viewers = self.viewers.borrow();
        if self.deadlines.is_overgrown(viewers.len()) {
            self.deadlines.keep(viewers.iter().filter_map(|(slot, viewer)| Some((viewer.timer.get()?, slot))));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::{Instant, sleep};

    use crate::feed::seat::{Seat, Wish};
    use crate::feed::socket::Socket;
    use crate::feed::testing::{quiet, roster};
    use crate::feed::turn::Turn;
    use crate::feed::viewer::Viewer;
    use crate::feed::{Delivery, Options};
    use crate::limits;
    use crate::ws::Message;

    const PING: Duration = Duration::from_secs(3600);
    const TOLD: [&str; 2] = [r#"{"type":"subscribe","data":{"every":"100ms"}}"#, r#"{"type":"subscribe","data":{}}"#];

    #[tokio::test(start_paused = true)]
    async fn a_viewer_that_changes_its_mind_has_no_end_of_deadlines_and_is_pinged_when_it_is_due() {
        let (_feed, roster) = roster(Options::named("f"));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let socket = Socket::Plain(listener.accept().await.unwrap().0);
        let delivery = Arc::new(Delivery { ping: Some(PING), ..Delivery::clone(&quiet()) });
        let seat = Seat::new(Rc::clone(&roster), delivery, &Wish::default(), Instant::now());
        let subscription = roster.subscribe(Viewer::new(seat, socket));
        let viewer = subscription.viewer();
        let most = 2 + limits::STALE_DEADLINES;
        let work = async {
            let mut peak = 0;
            for _ in 0..=most {
                for text in TOLD {
                    viewer.with_seat(|seat| seat.hear(Message::Text(text.to_owned()), Instant::now()));
                    viewer.go_on(&mut Turn::at(Instant::now()));
                    subscription.rearm();
                    sleep(Duration::from_millis(110)).await;
                    peak = peak.max(roster.deadlines.len());
                }
            }
            let due = viewer.next_due().unwrap();
            assert!(due > Instant::now() + PING / 2);
            tokio::time::sleep_until(due + Duration::from_millis(2)).await;
            assert!(viewer.next_due().unwrap() < Instant::now() + PING / 2, "its pong is waited for");
            peak
        };
        tokio::select! {
            () = Rc::clone(&roster).keep_time() => unreachable!("it never ends"),
            peak = work => assert_eq!(peak, most),
        }
    }
}
