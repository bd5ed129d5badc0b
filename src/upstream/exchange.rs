//! One request and its response on one server.
//!
//! Owns: what may be said twice (RFC 9110, section 9.2.2), on a new connection where a kept one had died, and how long a
//! response head may take. Never: picks a server.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use http::{Extensions, HeaderName, HeaderValue, Method, Request, Response, Uri};
use tokio::time::Instant;

use super::asker::Asker;
use super::asking::Asking;
use super::failure::Failure;
use super::http1::{self, NoAnswer, Said, Switched};
use super::incoming::Incoming;
use super::link::{Http2, Link, StreamPermit, fit_http1};
use super::outgoing::{Outgoing, Progress};
use super::pool::Pool;
use crate::message::Body;
use crate::message::alarm::Alarm;

/// A try that brought no response.
#[derive(Debug)]
pub(super) struct Miss {
    pub(super) failure: Failure,
    /// The request is there once more: not a byte of it was sent, or it is idempotent and has no body, or none that was
    /// taken yet.
    pub(super) again: bool,
}

/// What a server gave.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) response: Response<Incoming>,
    pub(super) stream: Option<StreamPermit>,
    pub(super) switched: Option<Switched>,
}

/// What it takes to say a request without a body another time: less than a [`http::HeaderMap`], which finds by name.
struct Spare {
    method: Method,
    uri: Uri,
    fields: Vec<(HeaderName, HeaderValue)>,
    extensions: Extensions,
}

/// On a connection kept from before, or a new one. Takes the request out of its place, and puts it back where it may be
/// said again: it is large, and each function that has it by value would store it once more.
pub(super) async fn send(
    pool: &Rc<Pool>,
    asking: &mut Asking,
    others: bool,
    asker: Option<&dyn Asker>,
) -> Result<Reply, Miss> {
    if !is_repeatable(&asking.request) {
        // It could not be said again to a new connection, so let this thread hear first which of the old ones are closed.
        tokio::task::yield_now().await;
    }
    let mut kept = pool.take();
    loop {
        let was_kept = kept.is_some();
        let link = match kept.take() {
            Some(link) => link,
            // Boxed: a handshake's state is large, and most requests need none.
            None => Box::pin(pool.open()).await.map_err(Miss::not_begun)?,
        };
        let outcome = match link {
            Link::Http1(conn) => {
                fit_http1(&mut asking.request);
                match http1::exchange(conn, asking, pool.response_timeout, Some(pool), asker).await {
                    Ok(response) => return Ok(Reply { response, stream: None, switched: None }),
                    Err(none) => missed(pool, none, asking.request.method()),
                }
            }
            // Boxed: few servers are asked like this.
            Link::Http2(mut link) => {
                asking.settle();
                let again = was_kept || others;
                match Box::pin(multiplexed(pool, &mut link, &mut asking.request, again)).await {
                    Ok(response) => {
                        return Ok(Reply { response, stream: Some(link.permit()), switched: None });
                    }
                    Err(miss) => miss,
                }
            }
        };
        match outcome {
            // It may have died while it was idle, which says nothing of the server.
            Miss { failure: Failure::Broken { .. }, again: true } if was_kept => {}
            miss => return Err(miss),
        }
    }
}

/// On a connection of its own, which comes with a 101.
pub(super) async fn upgrade(pool: &Rc<Pool>, asking: &mut Asking, asker: Option<&dyn Asker>) -> Result<Reply, Miss> {
    let conn = pool.open_alone().await.map_err(Miss::not_begun)?;
    match http1::switch(conn, asking, pool.response_timeout, asker).await {
        Ok((response, switched)) => Ok(Reply { response, stream: None, switched }),
        Err(none) => Err(missed(pool, none, asking.request.method())),
    }
}

fn missed(pool: &Pool, none: NoAnswer, method: &Method) -> Miss {
    let server = Arc::clone(&pool.member.name);
    match none {
        NoAnswer::Late => Miss { failure: Failure::ResponseTimeout { server }, again: false },
        NoAnswer::Body(error) => Miss { failure: Failure::RequestBody(error), again: false },
        NoAnswer::Broken { broken, said } => {
            let again = match said {
                Said::Nothing => true,
                // What can't be understood was an answer all the same: the same again would get the same.
                Said::Head => is_idempotent(method) && !broken.is_answer(),
                Said::Body => false,
            };
            Miss { failure: Failure::Broken { server, error: broken }, again }
        }
    }
}

/// Says it once over HTTP/2. With `again`, keeps what it takes to say it another time.
async fn multiplexed(
    pool: &Pool,
    link: &mut Http2,
    request: &mut Request<Body>,
    again: bool,
) -> Result<Response<Incoming>, Miss> {
    let spare = (again && is_repeatable(request)).then(|| Spare::of(request));
    // Counted from now on, so that what is asked at the same time goes elsewhere when it is full.
    let _counted = link.permit();
    let (outgoing, progress) = outgoing(request);
    let answer = pin!(link.send(outgoing));
    let mut alarm = Alarm::default();
    let (error, unsent) = match in_time(answer, &mut alarm, progress.as_deref(), pool.response_timeout).await {
        Some(Ok(response)) => return Ok(response.map(Incoming::Http2)),
        Some(Err(unanswered)) => *unanswered,
        None => {
            let failure = Failure::ResponseTimeout { server: Arc::clone(&pool.member.name) };
            return Err(Miss { failure, again: false });
        }
    };
    if let Some(failed) = progress.and_then(|progress| progress.failure()) {
        return Err(Miss { failure: Failure::RequestBody(failed), again: false });
    }
    // What was no HTTP was an answer all the same: the same again would get the same.
    let spare = spare.filter(|_| !error.is_parse()).map(Spare::into_request);
    let once_more = unsent.map(|unsent| unsent.map(Outgoing::into_inner)).or(spare);
    let again = once_more.is_some();
    if let Some(once_more) = once_more {
        *request = once_more;
    }
    Err(Miss { failure: Failure::Broken { server: Arc::clone(&pool.member.name), error: error.into() }, again })
}

/// Takes the request out of its place, its body watched.
fn outgoing(request: &mut Request<Body>) -> (Request<Outgoing>, Option<Rc<Progress>>) {
    let (parts, body) = std::mem::replace(request, Request::new(Body::Empty)).into_parts();
    let (body, progress) = Outgoing::new(body);
    (Request::from_parts(parts, body), progress)
}

/// Whether saying it twice does no harm, and can be done whenever it fails.
fn is_repeatable(request: &Request<Body>) -> bool {
    is_idempotent(request.method()) && http_body::Body::is_end_stream(request.body())
}

/// RFC 9110, section 9.2.2.
fn is_idempotent(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE)
}

/// The answer, unless it takes longer than `allowance` from the end of the request on, or from where its body stops being
/// taken.
async fn in_time<F: Future>(
    mut answer: Pin<&mut F>,
    alarm: &mut Alarm,
    progress: Option<&Progress>,
    allowance: Duration,
) -> Option<F::Output> {
    let mut due = Instant::now() + allowance;
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                return Poll::Ready(Some(answer));
            }
            ready!(alarm.poll(cx, due));
            match progress.map(|progress| progress.due(allowance)) {
                Some(later) if later > Instant::now() => due = later,
                Some(_) | None => return Poll::Ready(None),
            }
        }
    })
    .await
}

impl Miss {
    /// There was no connection to say it on.
    fn not_begun(failure: Failure) -> Miss {
        Miss { failure, again: true }
    }
}

impl Spare {
    fn of(request: &Request<Body>) -> Spare {
        let field = |(name, value): (&HeaderName, &HeaderValue)| (name.clone(), value.clone());
        Spare {
            method: request.method().clone(),
            uri: request.uri().clone(),
            fields: request.headers().iter().map(field).collect(),
            extensions: request.extensions().clone(),
        }
    }

    fn into_request(self) -> Request<Body> {
        let mut request = Request::new(Body::Empty);
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.extensions_mut() = self.extensions;
        for (name, value) in self.fields {
            request.headers_mut().append(name, value);
        }
        request
    }
}
