//! Streams of one HTTP/2 connection that make no progress: each is ended alone, with a reset.
//!
//! Owns: `send_timeout` of a stream. hyper asks a body for a piece and then waits for the peer's window, for ever: a
//! body that gave a piece and is not asked for another stands still. Never: ends the connection, nor a stream that only
//! waits for others: while the socket itself takes little, that is the connection's clock's to judge.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use hyper::rt::Executor;
use tokio::time::{Instant, Sleep, sleep};

use super::Peer;
use super::clock::Clock;
use crate::limits;
use crate::shutdown::Tasks;
use crate::telemetry::log::client_warning;

/// The streams of one connection: runs what hyper spawns for them.
#[derive(Debug, Clone)]
pub struct Streams(Rc<Shared>);

#[derive(Debug)]
struct Shared {
    tasks: Tasks,
    clock: Arc<Clock>,
    peer: Peer,
    send_timeout: Duration,
    /// What became of the body of the stream whose task runs now.
    asked: Cell<Asked>,
    /// For the task that will send on the stream that is being upgraded now.
    upgraded: RefCell<Option<Rc<Link>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Not,
    /// It gave a piece.
    Gave,
    /// It has nothing to give for now, or any more.
    Waits,
}

/// One stream's task.
struct Watched<F> {
    work: Pin<Box<F>>,
    streams: Streams,
    /// Where the stream was upgraded.
    link: Option<Rc<Link>>,
    stall: Option<Box<Stall>>,
}

/// Since when a stream has stood still.
#[derive(Debug)]
pub(super) struct Stall {
    alarm: Pin<Box<Sleep>>,
    at: Instant,
    /// Bytes that the connection had sent then.
    sent: u64,
}

/// What whoever holds an upgraded stream and the task that sends on it know of each other.
#[derive(Debug, Clone)]
pub struct Tether {
    streams: Streams,
    link: Rc<Link>,
}

struct Link {
    holder: Cell<Holder>,
    task: Cell<Option<Waker>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    Holds,
    /// Gone; what it left is still to be sent.
    Left,
    /// The stream is to be reset.
    Cuts,
}

impl Streams {
    #[must_use]
    pub fn new(tasks: Tasks, clock: Arc<Clock>, peer: Peer, send_timeout: Duration) -> Streams {
        let (asked, upgraded) = (Cell::new(Asked::Not), RefCell::new(None));
        Streams(Rc::new(Shared { tasks, clock, peer, send_timeout, asked, upgraded }))
    }

    /// For a request whose stream may become a socket.
    #[must_use]
    pub fn tether(&self) -> Tether {
        let link = Rc::new(Link { holder: Cell::new(Holder::Holds), task: Cell::new(None) });
        Tether { streams: self.clone(), link }
    }

    /// The body of the stream whose task runs now was asked for a piece.
    pub(super) fn asked(&self, gave: bool) {
        self.0.asked.set(if gave { Asked::Gave } else { Asked::Waits });
    }

    pub(super) fn stall(&self) -> Box<Stall> {
        let alarm = Box::pin(sleep(self.0.send_timeout));
        Box::new(Stall { alarm, at: Instant::now(), sent: self.0.clock.sent() })
    }

    /// Completes when it is the stream's own fault that it stood still for `send_timeout`: while the socket took nothing
    /// now and then, it may have been for want of its turn, until every stream must have had one.
    pub(super) fn poll_stall(&self, stall: &mut Stall, cx: &mut Context<'_>) -> Poll<()> {
        const ROUND: u64 = limits::H2_STREAMS as u64 * limits::H2_SEND_BUFFER as u64;
        let clock = &self.0.clock;
        loop {
            ready!(stall.alarm.as_mut().poll(cx));
            if !clock.was_blocked_since(stall.at) || clock.sent() - stall.sent > ROUND {
                return Poll::Ready(());
            }
            stall.at = Instant::now();
            stall.alarm.as_mut().reset(stall.at + self.0.send_timeout);
        }
    }
}

impl<F: Future<Output = ()> + 'static> Executor<F> for Streams {
    fn execute(&self, work: F) {
        let link = self.0.upgraded.take();
        self.0.tasks.spawn_small(Watched { work: Box::pin(work), streams: self.clone(), link, stall: None });
    }
}

impl<F> Watched<F> {
    /// After its work was done as far as it goes now: whether it stands still.
    fn judge(&mut self, cx: &mut Context<'_>) {
        match (&self.link, self.streams.0.asked.get()) {
            (Some(link), _) => {
                link.task.set(Some(cx.waker().clone()));
                if link.holder.get() == Holder::Left && self.stall.is_none() {
                    self.stall = Some(self.streams.stall());
                }
            }
            (None, Asked::Gave) => self.stall = Some(self.streams.stall()),
            (None, Asked::Waits) => self.stall = None,
            (None, Asked::Not) => {}
        }
    }
}

/// Completes when the stream's work is done, or has stood still for too long: dropping it is what resets the stream.
impl<F: Future<Output = ()>> Future for Watched<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let watched = self.get_mut();
        watched.streams.0.asked.set(Asked::Not);
        let done = watched.work.as_mut().poll(cx);
        watched.streams.0.upgraded.take();
        if done.is_ready() {
            return Poll::Ready(());
        }
        watched.judge(cx);
        let cut = watched.link.as_ref().is_some_and(|link| link.holder.get() == Holder::Cuts);
        if !cut {
            let Some(stall) = &mut watched.stall else { return Poll::Pending };
            ready!(watched.streams.poll_stall(stall, cx));
        }
        if let Some(unsaid) = client_warning() {
            let client = watched.streams.0.peer.client;
            tracing::warn!(%client, reason = "a response made no progress", unsaid, "stream ended");
        }
        Poll::Ready(())
    }
}

impl Tether {
    /// The response that upgrades the stream is the next thing that its task gives to hyper.
    pub(super) fn hand_over(&self) {
        self.streams.0.upgraded.replace(Some(Rc::clone(&self.link)));
    }

    pub(super) fn streams(&self) -> &Streams {
        &self.streams
    }

    /// Resets the stream, once what reads from it is dropped too.
    pub(super) fn cut(&self) {
        self.tell(Holder::Cuts);
    }

    /// What was written before has `send_timeout` to go out.
    pub(super) fn leave(&self) {
        if self.link.holder.get() == Holder::Holds {
            self.tell(Holder::Left);
        }
    }

    fn tell(&self, holder: Holder) {
        self.link.holder.set(holder);
        if let Some(task) = self.link.task.take() {
            task.wake();
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("holder", &self.holder).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::advance;

    use super::*;
    use crate::shutdown::Stages;
    use crate::testing::run_paused;

    const TIMEOUT: Duration = Duration::from_secs(30);

    fn streams() -> (Streams, Tasks, Arc<Clock>) {
        let tasks = Tasks::new(Stages::default());
        let clock = Arc::new(Clock::new(Instant::now(), true));
        let peer = Peer::new(([127, 0, 0, 1], 1).into(), false, false);
        (Streams::new(tasks.clone(), Arc::clone(&clock), peer, TIMEOUT), tasks, clock)
    }

    /// As hyper's task of a stream whose body gives a piece, `gaps` after each other, and then waits as hyper does for
    /// the window, or as its body does for more to give.
    async fn sending(streams: Streams, gaps: Vec<Duration>, then_gives: bool) {
        for gap in gaps {
            streams.asked(true);
            sleep(gap).await;
        }
        streams.asked(then_gives);
        pending().await
    }

    /// Whether the stream has been ended after each of these seconds.
    async fn check(tasks: &Tasks, clock: &Clock, blocked: bool, sent: u64, seconds: &[(u64, bool)]) {
        let start = Instant::now();
        for (second, ended) in seconds {
            while start.elapsed() < Duration::from_secs(*second) {
                advance(Duration::from_millis(500)).await;
                tokio::task::yield_now().await;
                clock.sending(Some(sent));
                if blocked {
                    clock.sending(None);
                }
            }
            assert_eq!(tasks.count() == 0, *ended, "after {second} s");
        }
    }

    #[test]
    fn a_stream_whose_body_is_not_asked_for_more_is_ended_and_one_that_waits_for_more_is_not() {
        run_paused(async {
            let (streams, tasks, clock) = streams();
            streams.execute(sending(streams.clone(), vec![Duration::from_secs(20); 3], true));
            check(&tasks, &clock, false, 0, &[(88, false), (92, true)]).await;
            streams.execute(sending(streams.clone(), Vec::new(), false));
            check(&tasks, &clock, false, 0, &[(1000, false)]).await;
        });
    }

    #[test]
    fn one_that_waits_for_its_turn_on_a_slow_connection_is_not_ended_before_all_have_had_theirs() {
        run_paused(async {
            let (streams, tasks, clock) = streams();
            streams.execute(sending(streams.clone(), Vec::new(), true));
            check(&tasks, &clock, true, 1, &[(1000, false)]).await;
            check(&tasks, &clock, true, 100_000, &[(100, true)]).await;
        });
    }

    #[test]
    fn what_is_left_of_an_upgraded_stream_has_its_time_and_one_that_is_cut_none() {
        for (cut, seconds) in [(false, [(28, false), (31, true)]), (true, [(0, false), (1, true)])] {
            run_paused(async move {
                let (streams, tasks, clock) = streams();
                let tether = streams.tether();
                let upgrading = streams.clone();
                streams.execute({
                    let tether = tether.clone();
                    async move {
                        tether.hand_over();
                        upgrading.execute(pending());
                    }
                });
                check(&tasks, &clock, false, 0, &[(100, false)]).await;
                assert_eq!(tasks.count(), 1, "the stream's own task is done, and what sends on it is not");
                if cut {
                    tether.cut()
                } else {
                    tether.leave()
                }
                check(&tasks, &clock, false, 0, &seconds).await;
            });
        }
    }
}
