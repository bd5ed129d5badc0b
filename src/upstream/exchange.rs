//! One request and its response on one server.
//!
//! Owns: what may be said twice (RFC 9110, section 9.2.2), on a new connection where a kept one had died, and how long a
//! response head may take. Never: picks a server.

use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response};
use hyper::body::Incoming;
use tokio::time::{Instant, sleep};

use super::failure::Failure;
use super::link::Link;
use super::outgoing::{Outgoing, Progress};
use super::permit::Held;
use super::pool::Pool;
use crate::message::Body;

/// A request that has no response.
#[derive(Debug)]
pub(super) struct Unsaid {
    pub(super) failure: Failure,
    /// The request, where it may be said again: not a byte of it was sent, or it is idempotent and has no body.
    pub(super) request: Option<Request<Body>>,
}

pub(super) type Answered = (Response<Incoming>, Held);

/// On a connection kept from before, or a new one.
pub(super) async fn send(pool: &Rc<Pool>, mut request: Request<Body>, others: bool) -> Result<Answered, Box<Unsaid>> {
    if let Some(link) = pool.take() {
        match exchange(pool, link, request, true).await {
            Ok(answered) => return Ok(keep(pool, answered)),
            // It may have died while it was idle, which says nothing of the server.
            Err(unsaid) => match *unsaid {
                Unsaid { failure: Failure::Broken { .. }, request: Some(again) } => request = again,
                unsaid => return Err(Box::new(unsaid)),
            },
        }
    }
    match pool.open().await {
        Ok(link) => exchange(pool, link, request, others).await.map(|answered| keep(pool, answered)),
        Err(failure) => Err(Box::new(Unsaid { failure, request: Some(request) })),
    }
}

/// On a connection of its own, which may become a socket.
pub(super) async fn upgrade(pool: &Rc<Pool>, request: Request<Body>, others: bool) -> Result<Answered, Box<Unsaid>> {
    match pool.open_upgradeable().await {
        Ok(link) => exchange(pool, link, request, others).await.map(|(response, _)| (response, Held::Nothing)),
        Err(failure) => Err(Box::new(Unsaid { failure, request: Some(request) })),
    }
}

/// Hands the connection to whoever reads the response.
fn keep(pool: &Rc<Pool>, (response, link): (Response<Incoming>, Link)) -> Answered {
    let held = match link {
        Link::Http1(link) => Held::Http1 { pool: Rc::clone(pool), link },
        Link::Http2(link) => Held::Http2 { _permit: link.permit() },
    };
    (response, held)
}

/// Says it once. With `again`, keeps what it takes to say it another time.
async fn exchange(
    pool: &Pool,
    mut link: Link,
    request: Request<Body>,
    again: bool,
) -> Result<(Response<Incoming>, Link), Box<Unsaid>> {
    let spare = if again { spare(&request) } else { None };
    let (parts, body) = request.into_parts();
    let (body, progress) = Outgoing::new(body);
    // Counted from now on, so that what is asked at the same time goes elsewhere when it is full.
    let counted = match &link {
        Link::Http1(_) => None,
        Link::Http2(link) => Some(link.permit()),
    };
    let answer = link.send(Request::from_parts(parts, body));
    let outcome = in_time(answer, progress.as_deref(), pool.response_timeout).await;
    drop(counted);
    let server = || Arc::clone(&pool.member.name);
    let unsaid = match outcome {
        Some(Ok(response)) => return Ok((response, link)),
        None => Unsaid { failure: Failure::ResponseTimeout { server: server() }, request: None },
        Some(Err((error, unsent))) => {
            if let Some(failed) = progress.and_then(|progress| progress.failure()) {
                Unsaid { failure: Failure::RequestBody(failed), request: None }
            } else {
                // What was no HTTP was an answer all the same: the same again would get the same.
                let spare = if error.is_parse() { None } else { spare };
                let request = unsent.map(|unsent| unsent.map(Outgoing::into_inner)).or(spare);
                Unsaid { failure: Failure::Broken { server: server(), error }, request }
            }
        }
    };
    Err(Box::new(unsaid))
}

/// The same request once more, where saying it twice does no harm.
fn spare(request: &Request<Body>) -> Option<Request<Body>> {
    let idempotent = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE
    );
    if !idempotent || !http_body::Body::is_end_stream(request.body()) {
        return None;
    }
    let mut spare = Request::new(Body::Empty);
    spare.method_mut().clone_from(request.method());
    spare.uri_mut().clone_from(request.uri());
    spare.headers_mut().clone_from(request.headers());
    spare.extensions_mut().clone_from(request.extensions());
    Some(spare)
}

/// The answer, unless it takes longer than `allowance` from the end of the request on, or from where its body stops being
/// taken.
async fn in_time<F: Future>(answer: F, progress: Option<&Progress>, allowance: Duration) -> Option<F::Output> {
    let mut answer = pin!(answer);
    let mut alarm = pin!(sleep(allowance));
    loop {
        tokio::select! {
            biased;
            answer = answer.as_mut() => return Some(answer),
            () = alarm.as_mut() => {}
        }
        let due = progress?.due(allowance);
        if due <= Instant::now() {
            return None;
        }
        alarm.as_mut().reset(due);
    }
}
