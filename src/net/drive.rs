//! A connection of HTTP under its clock and the drain.
//!
//! Owns: how it ends: by itself, by a deadline, or because everything does. Never: knows which HTTP it speaks.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::Poll;

use tokio::time::Sleep;

use super::Limits;
use super::clock::{Clock, Expired};
use super::connection::{Connection, Edge, Unread};
use crate::limits;
use crate::shutdown::Tasks;

/// Why a connection ended that should not have.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) reason: String,
    pub(super) unread: Option<Unread>,
}

/// What whoever speaks HTTP found wrong.
pub(super) trait Broken {
    /// Of the socket.
    fn cause(&self) -> Option<&io::Error>;

    /// Whether the peer just went: between requests, or in the middle of a stream that has no other end, it may.
    fn has_left(&self) -> bool {
        self.cause().is_some_and(is_gone)
    }

    fn fault(&self, limits: &Limits) -> Fault;
}

fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    [ConnectionReset, BrokenPipe, UnexpectedEof].contains(&error.kind())
}

/// How one ended otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// All that was to be said on it was said.
    Done,
    /// It was let go before that.
    Dropped,
}

/// Polls the connection under its clock; a drain lets it finish what it is answering.
pub(super) async fn drive<C, A, E>(
    mut connection: Pin<&mut C>,
    shut: impl Fn(Pin<&mut C>),
    of: &Connection<A>,
) -> Result<Ended, Fault>
where
    C: Future<Output = Result<(), E>>,
    E: Broken,
{
    let Connection { clock, edge: Edge { limits, .. }, tasks, .. } = of;
    let mut alarm = pin!(tokio::time::sleep_until(clock.next_look(limits)));
    let mut draining = false;
    loop {
        tokio::select! {
            biased;
            outcome = under_clock(connection.as_mut(), alarm.as_mut(), clock, limits) => match outcome {
                Some(Ok(())) => return Ok(Ended::Done),
                Some(Err(error)) if !clock.awaits_head() && error.has_left() => return Ok(Ended::Dropped),
                Some(Err(error)) => return Err(error.fault(limits)),
                None => match clock.check(limits) {
                    None => alarm.as_mut().reset(clock.next_look(limits)),
                    Some(Expired::Idle) => {
                        // Nothing is in flight: a GOAWAY or a FIN is all there is to say.
                        shut(connection.as_mut());
                        let _ = tokio::time::timeout(limits::CLOSE_TIMEOUT, connection.as_mut()).await;
                        return Ok(Ended::Dropped);
                    }
                    Some(Expired::Head) => return Err(Fault::said("no complete request head in time")),
                    Some(Expired::Send) => return Err(Fault::said("a response made no progress")),
                },
            },
            () = turn_to_leave(tasks, clock), if !draining => {
                shut(connection.as_mut());
                draining = true;
            }
            () = tasks.stages().ending() => return Ok(Ended::Dropped),
        }
    }
}

/// Completes when the connection is to take no more requests. One that was only just accepted has its first yet to be
/// read: it is waited for, and answered.
async fn turn_to_leave(tasks: &Tasks, clock: &Clock) {
    tasks.stages().draining().await;
    if !clock.has_heard() {
        last_call(tasks).await;
    }
}

/// Completes when a drain no longer waits for one that has said nothing.
pub(super) async fn last_call(tasks: &Tasks) {
    tasks.stages().draining().await;
    tokio::time::sleep(limits::DRAIN_HEAD).await;
}

/// The connection's outcome, or `None` when the alarm rings first. What the connection does may bring the alarm forward.
async fn under_clock<C: Future>(
    mut connection: Pin<&mut C>,
    mut alarm: Pin<&mut Sleep>,
    clock: &Clock,
    limits: &Limits,
) -> Option<C::Output> {
    poll_fn(|cx| {
        if let Poll::Ready(outcome) = connection.as_mut().poll(cx) {
            return Poll::Ready(Some(outcome));
        }
        if let Some(next) = clock.next(limits).filter(|next| *next < alarm.deadline()) {
            alarm.as_mut().reset(next);
        }
        alarm.as_mut().poll(cx).map(|()| None)
    })
    .await
}

impl Fault {
    fn said(reason: &str) -> Fault {
        Fault { reason: reason.to_owned(), unread: None }
    }
}

impl Broken for hyper::Error {
    fn cause(&self) -> Option<&io::Error> {
        std::error::Error::source(self).and_then(|cause| cause.downcast_ref())
    }

    fn has_left(&self) -> bool {
        self.is_incomplete_message() || self.cause().is_some_and(is_gone)
    }

    /// With its cause; of a head that is too large, what would let it in.
    fn fault(&self, limits: &Limits) -> Fault {
        if self.is_parse_too_large() {
            let (size, fields) = (limits.header_size, limits::HEADER_FIELDS);
            let reason = format!(
                "the request's head is too large (a long token?): `header_size` of [limits] lets {size} bytes in, and {fields} fields"
            );
            return Fault { reason, unread: Some(Unread::TooLarge) };
        }
        let cause = std::error::Error::source(self).map_or_else(String::new, |cause| format!(": {cause}"));
        Fault { reason: format!("{self}{cause}"), unread: self.is_parse().then_some(Unread::Malformed) }
    }
}
