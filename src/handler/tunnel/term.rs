//! How long a tunnel may last: as long as its client's token is good.
//!
//! Owns: its places among the open sockets, which go back with it. Never: costs anything where the route asks for neither.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use jiff::Timestamp;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::admission::Admission;
use crate::feed::pass::Pass;

/// One tunnel's.
#[derive(Debug, Default)]
pub(super) struct Term(Option<Box<Limited>>);

#[derive(Debug)]
struct Limited {
    pass: Box<Pass>,
    /// Until its token is looked at next.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Term {
    #[must_use]
    pub(super) fn of(admission: &Rc<Admission>) -> Term {
        let pass = Pass::of(admission, Instant::now(), Timestamp::now);
        let limited = |pass: Box<Pass>| {
            let waiting = pass.next_look().map(|look| Box::pin(sleep_until(look)));
            Box::new(Limited { pass, waiting })
        };
        Term(pass.map(limited))
    }

    /// Completes when the token has run out.
    pub(super) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(Limited { pass, waiting: Some(waiting) }) = self.0.as_deref_mut() else { return Poll::Pending };
        loop {
            ready!(waiting.as_mut().poll(cx));
            if pass.has_expired(Instant::now(), Timestamp::now) {
                return Poll::Ready(());
            }
            waiting.as_mut().reset(pass.next_look().unwrap_or_else(Instant::now));
        }
    }
}
