//! A request body on its way to a server.
//!
//! Owns: whose turn it is while it streams, which the response timeout needs: a slow client is no slow server. And the
//! body's own error, which hyper would pass on in one protocol and drop in the other.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::Instant;

use super::failure::BodyError;
use crate::message::Body;

/// The body as hyper's client connections have it.
#[derive(Debug)]
pub(super) struct Outgoing {
    body: Body,
    progress: Option<Rc<Progress>>,
}

/// How far a body is that has not ended yet.
#[derive(Debug)]
pub(super) struct Progress {
    /// Since when the server is waited for; `None` while the client is.
    servers_turn: Cell<Option<Instant>>,
    failed: RefCell<Option<BodyError>>,
}

/// The body failed; [`Progress::failure`] has the reason.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the request's body failed")]
pub(super) struct BodyFailed;

impl Outgoing {
    /// Watched while it streams; a request without a body needs none of it.
    pub(super) fn new(body: Body) -> (Outgoing, Option<Rc<Progress>>) {
        let streams = !http_body::Body::is_end_stream(&body);
        let progress = streams.then(|| {
            let servers_turn = Cell::new(Some(Instant::now()));
            Rc::new(Progress { servers_turn, failed: RefCell::new(None) })
        });
        (Outgoing { body, progress: progress.clone() }, progress)
    }

    /// The body, if hyper hands it back unsent.
    pub(super) fn into_inner(self) -> Body {
        self.body
    }
}

impl Progress {
    /// When a response is due that may take `allowance` from the server's turn on.
    pub(super) fn due(&self, allowance: Duration) -> Instant {
        self.servers_turn.get().unwrap_or_else(Instant::now) + allowance
    }

    /// Why the body failed, if it did.
    pub(super) fn failure(&self) -> Option<BodyError> {
        self.failed.borrow_mut().take()
    }
}

impl http_body::Body for Outgoing {
    type Data = Bytes;
    type Error = BodyFailed;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFailed>>> {
        let Outgoing { body, progress } = self.get_mut();
        let polled = Pin::new(body).poll_frame(cx);
        let Some(progress) = progress else { return polled.map_err(|_| BodyFailed) };
        progress.servers_turn.set(polled.is_ready().then(Instant::now));
        Poll::Ready(match ready!(polled) {
            Some(Ok(frame)) => Some(Ok(frame)),
            Some(Err(error)) => {
                *progress.failed.borrow_mut() = Some(error);
                Some(Err(BodyFailed))
            }
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Waker};
    use std::time::Duration;

    use bytes::Bytes;
    use http_body::Body as _;
    use tokio::time::{Instant, advance};

    use super::Outgoing;
    use crate::message::Body;

    const ALLOWANCE: Duration = Duration::from_secs(60);

    fn poll(body: &mut Outgoing) -> bool {
        Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_client_uses_up_none_of_the_servers_time() {
        let (say, said) = tokio::sync::mpsc::unbounded_channel();
        let pieces = futures_util::stream::unfold(said, |mut said| async { Some((said.recv().await?, said)) });
        let (mut body, progress) = Outgoing::new(Body::stream(pieces));
        let progress = progress.unwrap();
        assert!(!poll(&mut body));
        advance(Duration::from_secs(1000)).await;
        assert_eq!(progress.due(ALLOWANCE), Instant::now() + ALLOWANCE);
        say.send(Bytes::from_static(b"piece")).unwrap();
        assert!(poll(&mut body));
        let due = Instant::now() + ALLOWANCE;
        advance(Duration::from_secs(1)).await;
        assert_eq!(progress.due(ALLOWANCE), due);
        drop(say);
        assert!(poll(&mut body));
        assert_eq!(progress.due(ALLOWANCE), Instant::now() + ALLOWANCE);
    }

    #[test]
    fn a_request_without_a_body_is_not_watched() {
        assert!(Outgoing::new(Body::Empty).1.is_none());
    }
}
