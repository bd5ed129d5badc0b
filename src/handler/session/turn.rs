//! One turn of a session: each side is read once, and what can be written is.
//!
//! Owns: the order in which that happens, so that an answer goes out in the turn in which it was asked for. Never: more
//! than one read a side, so that others have their turn.

use std::io::{self, ErrorKind};
use std::task::{Context, Poll};

use super::attendance::Attendance;
use super::ending::Ending;
use super::parts::{Link, Moment, Side};
use crate::telemetry::log::client_warning;
use crate::ws::Heard;

impl Attendance {
    /// Whether anything was heard: then there may be more.
    pub(super) fn turn(&mut self, cx: &mut Context<'_>, scratch: &mut [u8], at: Moment) -> bool {
        self.write_up(cx);
        let heard_client = self.read_client(cx, scratch, at);
        self.write_up(cx);
        self.write_down(cx, at);
        let heard_upstream = self.read_upstream(cx, scratch, at);
        self.write_down(cx, at);
        self.write_up(cx);
        heard_client || heard_upstream
    }

    fn read_client(&mut self, cx: &mut Context<'_>, scratch: &mut [u8], at: Moment) -> bool {
        if self.state.client == Side::Gone {
            return false;
        }
        if !self.state.hears_client() {
            if let Err(error) = self.client.end.hoard(cx, scratch) {
                self.state.lose_client(format!("the stream failed: {error}"), at);
            }
            return false;
        }
        if !self.client.unread.is_empty() {
            let mut unread = self.client.unread.take();
            let understood = self.hear_client(cx, unread.rest(), at);
            self.client.unread.put_back(unread, understood);
            return true;
        }
        match self.client.end.poll_read(cx, scratch) {
            Poll::Pending => false,
            Poll::Ready(Ok(0)) => {
                // Where it has said goodbye already, this is how that ends.
                if self.state.client == Side::Open {
                    self.state.lose_client("the client left", at);
                } else {
                    self.state.client = Side::Gone;
                }
                true
            }
            Poll::Ready(Ok(count)) => {
                self.state.client_pulse.heard(at.now);
                let bytes = scratch.get_mut(..count).unwrap_or_default();
                let understood = self.hear_client(cx, bytes, at);
                if let Some(rest) = bytes.get(understood..).filter(|rest| !rest.is_empty()) {
                    self.client.unread = super::unread::Unread::new(rest);
                }
                true
            }
            Poll::Ready(Err(error)) => {
                self.state.lose_client(format!("the client was lost: {error}"), at);
                true
            }
        }
    }

    /// Understands what the upstream takes; gives how many bytes that were.
    fn hear_client(&mut self, cx: &mut Context<'_>, mut bytes: &mut [u8], at: Moment) -> usize {
        let all = bytes.len();
        // After its goodbye it has nothing to say.
        if self.client.deaf || self.state.client == Side::Heard {
            return all;
        }
        while self.state.hears_client() {
            match self.client.decoder.next(&mut bytes) {
                Ok(Some(message)) => self.state.hear_client(message, at),
                Ok(None) => return all,
                Err(violation) => {
                    self.state.reject(&violation, at);
                    self.client.deaf = true;
                    return all;
                }
            }
            if self.state.client == Side::Heard {
                return all;
            }
            self.write_up(cx);
        }
        all - bytes.len()
    }

    fn read_upstream(&mut self, cx: &mut Context<'_>, scratch: &mut [u8], at: Moment) -> bool {
        // What was read goes out before more is read, unless nobody is there to be told.
        let waits = self.state.client == Side::Open && !self.state.down.is_empty();
        if waits || !self.state.hears_upstream() {
            return false;
        }
        if !self.upstream.unread.is_empty() {
            let mut unread = self.upstream.unread.take();
            let understood = self.hear_upstream(cx, unread.rest(), at);
            self.upstream.unread.put_back(unread, understood);
            return true;
        }
        match self.upstream.end.poll_read(cx, scratch) {
            Poll::Pending => false,
            Poll::Ready(Ok(0)) => self.upstream_ends(cx, &Ending::Lost("it ended the connection".to_owned()), at),
            Poll::Ready(Ok(count)) => {
                self.state.upstream_pulse.heard(at.now);
                let bytes = scratch.get(..count).unwrap_or_default();
                let understood = self.hear_upstream(cx, bytes, at);
                if let Some(rest) = bytes.get(understood..).filter(|rest| !rest.is_empty()) {
                    self.upstream.unread = super::unread::Unread::new(rest);
                }
                true
            }
            Poll::Ready(Err(error)) => self.upstream_ends(cx, &Ending::Lost(error.to_string()), at),
        }
    }

    /// Understands what the client takes; gives how many bytes that were. All of them where the socket has ended.
    fn hear_upstream(&mut self, cx: &mut Context<'_>, mut bytes: &[u8], at: Moment) -> usize {
        let all = bytes.len();
        while self.state.hears_upstream() {
            let ending = match self.upstream.decoder.next(&mut bytes) {
                Ok(None) => return all,
                Ok(Some(heard)) => {
                    if let Heard::TooLarge(size) = heard
                        && let Some(unsaid) = client_warning()
                    {
                        let (route, server, most) =
                            (self.route(), &*self.upstream.server, self.state.terms.max_message);
                        tracing::warn!(
                            route,
                            server,
                            size,
                            most,
                            unsaid,
                            "session's upstream said too large a message"
                        );
                    }
                    self.state.hear_upstream(heard, at)
                }
                Err(violation) => Some(Ending::Broke(violation)),
            };
            if let Some(ending) = ending {
                self.upstream_ends(cx, &ending, at);
                return all;
            }
            if self.state.down.is_full() {
                self.write_down(cx, at);
            }
        }
        all - bytes.len()
    }

    fn upstream_ends(&mut self, cx: &mut Context<'_>, ending: &Ending, at: Moment) -> bool {
        match self.state.upstream_ends(ending, at) {
            Some(verdict) => self.part(cx, ending, &verdict),
            // It was told goodbye before.
            None => self.upstream.let_go(cx, None),
        }
        true
    }

    /// Writes what the upstream takes. One that fails is heard out: it may have said why.
    fn write_up(&mut self, cx: &mut Context<'_>) {
        if self.upstream.refuses || matches!(self.state.link, Link::Down { .. } | Link::Gone) {
            return;
        }
        loop {
            let unsent = self.state.up.unsent();
            let wrote = if unsent.is_empty() {
                match self.upstream.end.poll_flush(cx) {
                    Poll::Ready(Ok(())) | Poll::Pending => return,
                    Poll::Ready(Err(_)) => None,
                }
            } else {
                match took(self.upstream.end.poll_write(cx, unsent)) {
                    Poll::Pending => return,
                    Poll::Ready(wrote) => wrote.ok(),
                }
            };
            match wrote {
                Some(count) => self.state.up.sent(count),
                None => {
                    self.upstream.refuses = true;
                    return;
                }
            }
        }
    }

    /// Writes what the client takes.
    fn write_down(&mut self, cx: &mut Context<'_>, at: Moment) {
        while self.state.client != Side::Gone {
            let unsent = self.state.down.unsent();
            let wrote = if unsent.is_empty() {
                match self.client.end.poll_flush(cx) {
                    Poll::Ready(Ok(())) | Poll::Pending => return,
                    Poll::Ready(Err(error)) => Err(error),
                }
            } else {
                match took(self.client.end.poll_write(cx, unsent)) {
                    Poll::Pending => return self.state.client_stalls(at.now),
                    Poll::Ready(wrote) => wrote,
                }
            };
            match wrote {
                Ok(count) => self.state.client_took(count, at.now),
                Err(error) => self.state.lose_client(format!("the client was lost: {error}"), at),
            }
        }
    }
}

/// A socket that takes nothing, without saying to wait, never will.
fn took(wrote: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
    match wrote {
        Poll::Ready(Ok(0)) => Poll::Ready(Err(ErrorKind::WriteZero.into())),
        Poll::Ready(_) | Poll::Pending => wrote,
    }
}
