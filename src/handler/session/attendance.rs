//! A session's attendance: the one task that moves what both sockets say, until both have ended.
//!
//! Owns: the sockets, what was read of them and is not understood yet, and the session's record. Never: reads a side
//! whose words the other takes none of, or keeps a buffer while both are silent.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderValue;
use jiff::Timestamp;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::dial::{Dialler, Wire};
use super::ending::{Ending, Verdict};
use super::parts::{Link, Moment};
use super::state::State;
use super::unread::Unread;
use crate::feed::farewell::by_order;
use crate::handler::tunnel::{Place, Seat, end::End};
use crate::limits;
use crate::telemetry::SocketRecord;
use crate::telemetry::log::client_warning;
use crate::upstream::LoadPermit;
use crate::ws::frame::{self, OpCode};
use crate::ws::{CloseCode, Decoder, ServerDecoder, close, mask};

/// The client's side, as it was opened.
#[derive(Debug)]
pub(super) struct ClientWire {
    pub(super) end: End,
    /// Said already.
    pub(super) early: Bytes,
    pub(super) decoder: Decoder,
}

/// Attends to one session. A future by hand, since there is one a session and its size counts.
#[derive(Debug)]
pub(super) struct Attendance {
    pub(super) state: State,
    pub(super) client: ClientEnd,
    pub(super) upstream: UpstreamEnd,
    dialler: Option<Rc<Dialler>>,
    dialling: Option<Dialling>,
    /// The subprotocol that the client was told.
    protocol: Option<HeaderValue>,
    timer: Pin<Box<Sleep>>,
    seat: Seat,
    record: Option<SocketRecord>,
    /// It is over, and until when a stream is heard out.
    lingering: Option<Pin<Box<Sleep>>>,
    _place: Place,
}

#[derive(Debug)]
pub(super) struct ClientEnd {
    pub(super) end: End,
    pub(super) decoder: Decoder,
    pub(super) unread: Unread,
    /// It broke the protocol: what it says after that has no meaning.
    pub(super) deaf: bool,
    finished: bool,
}

#[derive(Debug)]
pub(super) struct UpstreamEnd {
    pub(super) end: End,
    pub(super) decoder: ServerDecoder,
    pub(super) unread: Unread,
    /// It takes no more; what it has said before may still be read.
    pub(super) refuses: bool,
    pub(super) server: Arc<str>,
    load: Option<LoadPermit>,
}

/// An attempt to open another upstream socket.
struct Dialling(Pin<Box<dyn Future<Output = Result<Wire, String>>>>);

impl Moment {
    #[must_use]
    pub(super) fn now() -> Moment {
        Moment { now: Instant::now(), wall: Timestamp::now() }
    }
}

impl Attendance {
    /// Both sockets stand. `protocol` is the one that they speak; `dialler` opens others, where a client is held.
    #[must_use]
    pub(super) fn new(
        client: ClientWire,
        upstream: Wire,
        state: State,
        dialler: Option<Rc<Dialler>>,
        protocol: Option<HeaderValue>,
        seat: Seat,
        (record, place): (SocketRecord, Place),
    ) -> Attendance {
        let ClientWire { end, early, decoder } = client;
        let unread = Unread::new(&early);
        Attendance {
            client: ClientEnd { end, decoder, unread, deaf: false, finished: false },
            upstream: UpstreamEnd::new(upstream, state.terms.max_message),
            state,
            dialler,
            dialling: None,
            protocol,
            timer: Box::pin(sleep_until(Instant::now())),
            seat,
            record: Some(record),
            lingering: None,
            _place: place,
        }
    }

    /// Does all that can be done now; completes when both sockets have ended.
    fn attend(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let tunnels = Rc::clone(self.seat.tunnels());
        for _ in 0..limits::TUNNEL_READS {
            let at = Moment::now();
            if self.seat.is_told_to_leave() && !self.state.is_ending() {
                self.state.end(CloseCode::RESTART, close::DRAINING, at);
            }
            if let Some(record) = &self.record
                && let Poll::Ready(order) = record.watch().poll_told(cx)
                && !self.state.is_ending()
            {
                let (code, reason) = by_order(order);
                self.state.end(code, reason, at);
            }
            if self.state.next_due().is_some_and(|due| due <= at.now)
                && let Some((ending, verdict)) = self.state.on_time(at)
            {
                self.part(cx, &ending, &verdict);
            }
            self.dial(cx, at);
            let moved = tunnels.with_scratch(|scratch| self.turn(cx, scratch, at));
            if self.state.link == Link::Gone {
                self.upstream.end = End::Gone;
                (self.upstream.load, self.dialling) = (None, None);
            }
            self.finish_client(cx);
            if self.state.is_over() {
                return Poll::Ready(());
            }
            if !moved && self.wait(cx).is_pending() {
                self.seat.wait(cx);
                return Poll::Pending;
            }
        }
        // Others have their turn.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Says that no more will be written, once that is so. One that broke the protocol can't be heard to say goodbye: it is
    /// read on, and waits for this.
    fn finish_client(&mut self, cx: &mut Context<'_>) {
        let told = self.client.deaf && self.state.down.is_empty();
        if !self.client.finished && (told || self.state.has_client_ended()) {
            // Best effort: it may be gone, and then there is nobody to tell.
            self.client.finished = self.client.end.poll_finish(cx).is_ready();
        }
    }

    /// Completes when something is due.
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(due) = self.state.next_due() else { return Poll::Pending };
        // A deadline that was put off is looked at when the timer rings anyway: most are, with each message.
        if due < self.timer.deadline() || self.timer.is_elapsed() {
            self.timer.as_mut().reset(due);
        }
        self.timer.as_mut().poll(cx)
    }

    /// Begins an attempt that is due, and takes up what one gave.
    fn dial(&mut self, cx: &mut Context<'_>, at: Moment) {
        if self.state.takes_dial(at.now)
            && let Some(dialler) = &self.dialler
        {
            let token = self.state.identity.credential().map(|credential| Arc::clone(&credential.token));
            let attempt = Rc::clone(dialler).again(token, self.protocol.clone(), limits::SESSION_HANDSHAKE);
            self.dialling = Some(Dialling(Box::pin(attempt)));
        }
        let Some(Dialling(attempt)) = &mut self.dialling else { return };
        let Poll::Ready(outcome) = attempt.as_mut().poll(cx) else { return };
        self.dialling = None;
        match outcome {
            Ok(wire) => {
                if self.state.dialled(at) {
                    self.upstream = UpstreamEnd::new(wire, self.state.terms.max_message);
                }
            }
            Err(reason) => {
                tracing::debug!(route = self.route(), reason, "session's upstream not opened again");
                self.state.dial_failed(at);
            }
        }
    }

    /// The upstream socket has ended: it is let go, and its client's fate told.
    pub(super) fn part(&mut self, cx: &mut Context<'_>, ending: &Ending, verdict: &Verdict) {
        let goodbye = match ending {
            Ending::Closed(said) => Some((said.as_ref().map_or(CloseCode::NO_STATUS, |said| said.code), "")),
            Ending::Broke(violation) => Some((violation.code, violation.reason)),
            Ending::Silent => Some((CloseCode::GOING_AWAY, "no answer to a ping")),
            Ending::Lost(_) => None,
        };
        self.upstream.let_go(cx, goodbye.filter(|_| !self.state.cut));
        let (route, server) = (self.route(), &*self.upstream.server);
        match verdict {
            Verdict::Hold => {
                if let Some(unsaid) = client_warning() {
                    tracing::warn!(route, server, reason = %ending, unsaid, "session's upstream lost: its client is held");
                }
            }
            // What the application meant to say is no news.
            Verdict::Close(code, _) if matches!(ending, Ending::Closed(_)) => {
                tracing::debug!(route, server, reason = %ending, %code, "session closed by its upstream");
            }
            Verdict::Close(code, _) => {
                if let Some(unsaid) = client_warning() {
                    tracing::warn!(route, server, reason = %ending, %code, unsaid, "session's upstream lost");
                }
            }
        }
    }

    pub(super) fn route(&self) -> &str {
        &self.state.terms.meters.route
    }

    /// Puts the session on record.
    fn close_record(&mut self) {
        let Some(record) = self.record.take() else { return };
        let (farewell, tally) = self.state.farewell();
        match farewell {
            Some(farewell) => record.closed(farewell.code, &farewell.reason, tally.messages, tally.bytes),
            // Dropped, it says so itself.
            None => drop(record),
        }
    }

    /// Completes at once for a socket, and for a stream when it says no more, or has had its time.
    fn linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let tunnels = Rc::clone(self.seat.tunnels());
        if tunnels.with_scratch(|scratch| self.client.end.poll_discard(cx, scratch)).is_ready() {
            return Poll::Ready(());
        }
        self.lingering.get_or_insert_with(|| Box::pin(sleep(limits::CLOSE_TIMEOUT))).as_mut().poll(cx)
    }
}

impl UpstreamEnd {
    fn new(wire: Wire, max_message: usize) -> UpstreamEnd {
        let Wire { end, early, load, server } = wire;
        UpstreamEnd {
            end,
            decoder: ServerDecoder::new(max_message),
            unread: Unread::new(&early),
            refuses: false,
            server,
            load: Some(load),
        }
    }

    /// Answers its close, or says what is wrong with it, as far as that can be said at once.
    pub(super) fn let_go(&mut self, cx: &mut Context<'_>, goodbye: Option<(CloseCode, &str)>) {
        if let Some((code, reason)) = goodbye.filter(|_| !self.refuses) {
            let goodbye = frame::masked(OpCode::Close, &close::payload(code, reason), mask::fresh());
            let _ = self.end.poll_write(cx, &goodbye);
        }
        let _ = self.end.poll_finish(cx);
        self.end = End::Gone;
        self.unread = Unread::default();
        self.load = None;
    }
}

/// Completes when the session has ended and that is on record.
impl Future for Attendance {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let session = self.get_mut();
        if session.record.is_some() {
            ready!(session.attend(cx));
            session.close_record();
        }
        session.linger(cx)
    }
}

/// Whatever ended it.
impl Drop for Attendance {
    fn drop(&mut self) {
        self.close_record();
    }
}

impl std::fmt::Debug for Dialling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dialling")
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_kept_of_each_session_is_small() {
        let session = size_of::<super::Attendance>();
        assert!(session <= 1200, "{session}");
    }
}
