//! One request and the head of its answer.
//!
//! Owns: how long the head may take, and how many informational answers (RFC 9110, section 15.2) may come before it: whoever
//! asked is told of them, but for 100, which lets the request's body go on.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::response::Parts;
use http::{Method, Response, StatusCode};
use tokio::time::Instant;

use super::Conn;
use super::decoder::Decoder;
use super::failure::Broken;
use super::head::{self, Head};
use super::incoming::Hearing;
use super::saying::{Saying, Unsaid};
use crate::limits;
use crate::message::Body;
use crate::message::framing::Rule;
use crate::shutdown::Tasks;
use crate::upstream::asker::{Asker, Withheld};
use crate::upstream::asking::Asking;
use crate::upstream::failure::BodyError;
use crate::upstream::incoming::Incoming;
use crate::upstream::io::Io;
use crate::upstream::pool::Pool;

/// Why there is no answer.
#[derive(Debug)]
pub(in crate::upstream) enum NoAnswer {
    /// It took too long.
    Late,
    /// The client's own body failed.
    Body(BodyError),
    /// How much was said by then is what may be done about it.
    Broken { broken: Broken, said: Said },
}

/// How much of a request a server may have got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::upstream) enum Said {
    /// Not a byte: the request is there as it was.
    Nothing,
    /// Its head, or some of that. Of its body, if it has one, nothing was taken: the request is there as it was.
    Head,
    /// Some of its body, which is not there any more.
    Body,
}

/// A connection that was answered with 101, and what is left of the request.
#[derive(Debug)]
pub struct Switched {
    conn: Conn,
    saying: Saying,
    body: Body,
}

/// One whose answer's head has come, and whose request may still go on.
struct Exchange {
    head: Head,
    saying: Saying,
}

/// What may come before it.
struct Before<'a> {
    asker: Option<&'a dyn Asker>,
    /// How many more.
    left: usize,
}

/// Says the request, and completes with the answer's head, which may take `allowance`; the connection goes to `pool` with
/// the answer's end. The body is taken out of the request where some of it is left.
pub(in crate::upstream) async fn exchange(
    mut conn: Conn,
    asking: &mut Asking,
    allowance: Duration,
    pool: Option<&Rc<Pool>>,
    asker: Option<&dyn Asker>,
) -> Result<Response<Incoming>, NoAnswer> {
    let Exchange { head, saying } = converse(&mut conn, asking, allowance, asker).await?;
    let Head { parts, length, keeps } = head;
    let pool = pool.filter(|_| keeps).map(Rc::clone);
    let mut decoder = Decoder::new(length);
    if parts.status == StatusCode::SWITCHING_PROTOCOLS {
        // Nothing that follows is HTTP.
        return Err(NoAnswer::Broken { broken: Broken::Ambiguous(Rule::Unasked), said: Said::of(&saying) });
    }
    let run = decoder.left().and_then(|left| usize::try_from(left).ok());
    if saying.is_done() && run.is_some_and(|left| conn.heard.len() >= left) {
        let whole = conn.heard.split_to(run.unwrap_or_default()).freeze();
        decoder.pass(whole.len());
        if let Some(pool) = pool.filter(|_| conn.heard.is_empty()) {
            pool.put(conn.rested());
        }
        return Ok(Response::from_parts(parts, Incoming::Whole(whole)));
    }
    let body = std::mem::replace(asking.request.body_mut(), Body::Empty);
    let hearing = Hearing::new(conn, decoder, saying, body, pool);
    Ok(Response::from_parts(parts, Incoming::Http1(Box::new(hearing))))
}

/// Asks for another protocol (RFC 9110, section 7.8).
pub(in crate::upstream) async fn switch(
    mut conn: Conn,
    asking: &mut Asking,
    allowance: Duration,
    asker: Option<&dyn Asker>,
) -> Result<(Response<Incoming>, Option<Switched>), NoAnswer> {
    let Exchange { head, saying } = converse(&mut conn, asking, allowance, asker).await?;
    let body = std::mem::replace(asking.request.body_mut(), Body::Empty);
    if head.parts.status != StatusCode::SWITCHING_PROTOCOLS {
        let hearing = Hearing::new(conn, Decoder::new(head.length), saying, body, None);
        return Ok((Response::from_parts(head.parts, Incoming::Http1(Box::new(hearing))), None));
    }
    let switched = Switched { conn, saying, body };
    Ok((Response::from_parts(head.parts, Incoming::Whole(Bytes::new())), Some(switched)))
}

impl Switched {
    /// Gives `work` what is [`taken`](Switched::taken): at once, as nearly always, or where the request has yet to be said to
    /// its end, later.
    pub fn then(self, tasks: &Tasks, work: impl FnOnce(Result<(Io, Bytes), String>) + 'static) {
        if self.saying.is_done() {
            return work(Ok(self.conn.into_parts()));
        }
        tasks.spawn_small(async move { work(self.taken().await) });
    }

    /// The connection, and what the server has said on it behind its answer, once the request is said to its end.
    ///
    /// # Errors
    /// If it cannot be, in words for the log.
    pub async fn taken(mut self) -> Result<(Io, Bytes), String> {
        poll_fn(|cx| self.saying.poll(cx, &mut self.conn.io, &mut self.body)).await.map_err(|unsaid| match unsaid {
            Unsaid::Body(error) => error.to_string(),
            Unsaid::Broken(broken) => broken.to_string(),
        })?;
        Ok(self.conn.into_parts())
    }
}

async fn converse(
    conn: &mut Conn,
    asking: &mut Asking,
    allowance: Duration,
    asker: Option<&dyn Asker>,
) -> Result<Exchange, NoAnswer> {
    let now = Instant::now();
    let mut before = Before { asker, left: limits::UPSTREAM_INTERIM };
    let Asking { request, trail } = asking;
    let mut saying = Some(Saying::new(request, trail, now));
    let mut due = now + allowance;
    let method = request.method().clone();
    if let Some(saying) = saying.as_mut().filter(|_| std::mem::take(&mut conn.is_fresh)) {
        saying.begin(&conn.io);
    }
    poll_fn(|cx| {
        loop {
            let Some(now) = &mut saying else { return Poll::Pending };
            if let Poll::Ready(head) = poll_head(conn, cx, now, request.body_mut(), &method, &mut before) {
                let said = Said::of(now);
                return Poll::Ready(match (head, saying.take()) {
                    (Ok(head), Some(saying)) => Ok(Exchange::new(head, saying)),
                    (Ok(_), None) => Err(NoAnswer::Late),
                    (Err(unsaid), _) => Err(NoAnswer::of(unsaid, said)),
                });
            }
            let waits = now.waits_until();
            if conn.alarm.poll(cx, waits.map_or(due, |until| until.min(due))).is_pending() {
                return Poll::Pending;
            }
            if waits.is_some_and(|until| until <= Instant::now()) {
                // The client need not be kept waiting for a server that says nothing of it.
                now.go_on();
                continue;
            }
            // Its time begins with the end of the request, or where that stops being taken.
            let began = now.servers_turn().unwrap_or_else(Instant::now);
            if began + allowance <= Instant::now() {
                return Poll::Ready(Err(NoAnswer::Late));
            }
            due = began + allowance;
        }
    })
    .await
}

fn poll_head(
    conn: &mut Conn,
    cx: &mut Context<'_>,
    saying: &mut Saying,
    body: &mut Body,
    method: &Method,
    before: &mut Before<'_>,
) -> Poll<Result<Head, Unsaid>> {
    if let Poll::Ready(Err(unsaid)) = saying.poll(cx, &mut conn.io, body) {
        return Poll::Ready(Err(unsaid));
    }
    loop {
        if !conn.heard.is_empty() {
            match head::response(&mut conn.heard, method) {
                Ok(Some(head)) if is_interim(head.parts.status) => {
                    if head.parts.status == StatusCode::CONTINUE {
                        saying.go_on();
                        if let Poll::Ready(Err(unsaid)) = saying.poll(cx, &mut conn.io, body) {
                            return Poll::Ready(Err(unsaid));
                        }
                    }
                    if let Err(broken) = before.came(head.parts) {
                        return Poll::Ready(Err(Unsaid::Broken(broken)));
                    }
                    continue;
                }
                Ok(Some(head)) => return Poll::Ready(Ok(head)),
                Ok(None) => {}
                Err(broken) => return Poll::Ready(Err(Unsaid::Broken(broken))),
            }
        }
        match conn.poll_hear(cx) {
            Poll::Ready(Ok(0)) => return Poll::Ready(Err(Unsaid::Broken(Broken::Closed))),
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(error)) => return Poll::Ready(Err(Unsaid::Broken(error.into()))),
            Poll::Pending => return Poll::Pending,
        }
    }
}

fn is_interim(status: StatusCode) -> bool {
    status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS
}

impl Exchange {
    fn new(mut head: Head, mut saying: Saying) -> Exchange {
        if saying.is_withheld(head.parts.status) {
            head.parts.extensions.insert(Withheld);
        }
        Exchange { head, saying }
    }
}

impl Before<'_> {
    /// # Errors
    /// If it is one too many.
    fn came(&mut self, head: Parts) -> Result<(), Broken> {
        self.left = self.left.checked_sub(1).ok_or(Broken::Interim(limits::UPSTREAM_INTERIM))?;
        if let Some(asker) = self.asker.filter(|_| head.status != StatusCode::CONTINUE) {
            asker.interim(head);
        }
        Ok(())
    }
}

impl NoAnswer {
    fn of(unsaid: Unsaid, said: Said) -> NoAnswer {
        match unsaid {
            Unsaid::Body(error) => NoAnswer::Body(error),
            Unsaid::Broken(broken) => NoAnswer::Broken { broken, said },
        }
    }
}

impl Said {
    fn of(saying: &Saying) -> Said {
        match (saying.has_begun(), saying.has_drawn()) {
            (_, true) => Said::Body,
            (true, false) => Said::Head,
            (false, false) => Said::Nothing,
        }
    }
}
