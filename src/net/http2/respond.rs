//! What is said on a request's stream before its answer: informational answers (RFC 9110, section 15.2).
//!
//! Never: more than [`limits::INTERIM`] bytes of them a request: they are hints, and a client that reads nothing would have
//! all of them kept.

use std::cell::{Cell, RefCell};
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::SendStream;
use h2::server::SendResponse;
use http::{HeaderMap, Response, StatusCode};

use crate::limits;

/// A field of a head beside its text, in bytes, as HPACK has it (RFC 7541, section 4.1); and a status line.
const FIELD: usize = 32;

/// One request's way back.
#[derive(Debug)]
pub struct Respond {
    stream: RefCell<SendResponse<Bytes>>,
    /// Bytes of informational answers that may yet be said.
    left: Cell<usize>,
}

impl Respond {
    pub(super) fn new(stream: SendResponse<Bytes>) -> Respond {
        Respond { stream: RefCell::new(stream), left: Cell::new(limits::INTERIM) }
    }

    /// Says an informational answer, or drops it.
    pub fn say(&self, status: StatusCode, headers: HeaderMap) {
        let size = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + FIELD).sum::<usize>() + FIELD;
        let Some(left) = self.left.get().checked_sub(size) else { return };
        self.left.set(left);
        let mut response = Response::new(());
        (*response.status_mut(), *response.headers_mut()) = (status, headers);
        // One that cannot be said is dropped as well.
        let _ = self.stream.borrow_mut().send_informational(response);
    }

    /// Completes when there is nobody to answer any more.
    pub(super) fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.stream.borrow_mut().poll_reset(cx).map(drop)
    }

    /// Says the answer, whose body, unless this is its `end`, goes where this leads; or resets the stream, and says why.
    pub(super) fn answer(self, response: Response<()>, end: bool) -> Result<SendStream<Bytes>, h2::Error> {
        let mut stream = self.stream.into_inner();
        stream.send_response(response, end).inspect_err(|_| stream.send_reset(h2::Reason::INTERNAL_ERROR))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::super::testing::{Ends, with_stream};
    use super::*;

    #[tokio::test]
    async fn more_than_a_few_heads_are_dropped_and_the_answer_is_not() {
        with_stream(100, async |Ends { respond, mut answer, .. }: Ends| {
            let respond = Respond::new(respond);
            let mut hint = HeaderMap::new();
            hint.insert("link", "x".repeat(limits::INTERIM / 4).parse().unwrap());
            (0..100).for_each(|_| respond.say(StatusCode::EARLY_HINTS, hint.clone()));
            assert!(respond.answer(Response::new(()), true).is_ok());
            let mut heard = 0;
            while let Some(head) = poll_fn(|cx| answer.poll_informational(cx)).await {
                let head = head.unwrap();
                assert_eq!((head.status(), head.headers()), (StatusCode::EARLY_HINTS, &hint));
                heard += 1;
            }
            assert_eq!((heard, answer.await.unwrap().status()), (3, StatusCode::OK));
        })
        .await;
    }
}
