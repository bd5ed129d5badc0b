//! How a session begins: both handshakes, the upstream's first.
//!
//! Owns: what the client is told of its own: the subprotocol that the upstream picked, the compression that we speak.
//! Never: opens the client's socket where there is no upstream socket.

use std::rc::Rc;
use std::sync::Arc;

use http::header::SEC_WEBSOCKET_PROTOCOL;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Version};

use super::Session;
use super::attendance::{Attendance, ClientWire};
use super::dial::{Dialled, Dialler, NotDialled};
use super::identity::Identity;
use super::parts::Moment;
use super::state::{Beginning, State};
use crate::handler::tunnel::{self, Tunnels, end::End};
use crate::handler::{Call, Kind, Outcome, upgrade};
use crate::message::{Body, Incoming};
use crate::net::upgrade::Outcome as Way;
use crate::shutdown::{Tasks, random_unit};
use crate::telemetry::SocketRecord;
use crate::upstream::Upstream;
use crate::ws::{Decoder, Offer, handshake};

/// The upstream's side, and what a session needs beside the client's.
struct Opening {
    dialled: Dialled,
    dialler: Option<Rc<Dialler>>,
    beginning: Beginning,
    record: SocketRecord,
    tunnels: Rc<Tunnels>,
}

/// Opens the upstream's socket and then the client's, or says why not.
///
/// # Errors
/// If the upstream gave no answer to pass on.
pub(super) async fn open(
    session: &Session,
    upstream: &Rc<Upstream>,
    call: &Call<'_>,
    request: Request<Incoming>,
) -> Outcome {
    let (mut parts, body) = request.into_parts();
    let offer = match upgrade::shake_hands(&parts) {
        Ok(offer) => offer,
        Err(refused) => return Ok((*refused, Kind::Own)),
    };
    let (terms, identity) = (&session.terms, Identity::new(call.admission));
    let client = call.asked.peer.client;
    let path: Box<str> = parts.uri.path().into();
    let http2 = parts.version == Version::HTTP_2;
    parts.method = Method::GET;
    let outgoing = session.proxy.outgoing(call, parts, body)?.settled();
    let dialler = Dialler::new(upstream, client, &outgoing, terms.forwarding.clone());
    let token = identity.credential().map(|credential| Arc::clone(&credential.token));
    let dialled = match dialler.dial(token).await {
        Ok(dialled) => dialled,
        Err(NotDialled::Unanswered(failure)) => return Err(session.proxy.failed(failure)),
        Err(NotDialled::Declined(sent)) => return tunnel::declined(upstream, *sent, http2),
        Err(NotDialled::Bad(failure)) => return Err(failure),
    };
    let answer = answer(&offer, &dialled, call);
    let send_timeout = (!http2).then_some(call.asked.send_timeout);
    let deflate = offer.deflate.is_some();
    let opening = Opening {
        dialled,
        dialler: (!terms.hold.is_zero()).then(|| Rc::new(dialler)),
        beginning: Beginning { terms: Arc::clone(terms), identity, deflate, send_timeout, random: random_unit },
        record: SocketRecord::open(call.access, call.meters, client, &path).of(call.admission.subject()),
        tunnels: Rc::clone(call.tunnels),
    };
    let tasks = call.tasks.clone();
    call.asked.upgrade.then(move |client| tasks.clone().spawn_small(async move { opening.run(client, tasks).await }));
    Ok((answer, Kind::Socket))
}

/// The answer that opens the client's socket: the upstream's headers, and our own handshake.
fn answer(offer: &Offer, dialled: &Dialled, call: &Call<'_>) -> Response<Body> {
    let protocol = dialled.protocol.as_ref().and_then(|protocol| protocol.to_str().ok());
    let mut answer = handshake::response(offer, protocol).map(|()| Body::Empty);
    // The upstream was not offered the protocol that carried the token, and browsers drop a socket that names none of theirs.
    if protocol.is_none() && call.admission.echo_bearer {
        answer.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, handshake::BEARER);
    }
    let mut headers: HeaderMap<HeaderValue> = dialled.headers.clone();
    for (name, value) in answer.headers() {
        headers.insert(name, value.clone());
    }
    *answer.headers_mut() = headers;
    answer
}

impl Opening {
    /// Waits until the upstream's side is no longer HTTP either; the session is a task of its own, since this one's size is
    /// not kept for as long as it lives.
    async fn run(self, client: Way, tasks: Tasks) {
        let Opening { dialled, dialler, beginning, record, tunnels } = self;
        let protocol = dialled.protocol.clone();
        let (client, upstream) = match (client, dialled.open().await) {
            (Ok(client), Ok(upstream)) => (client, upstream),
            (Err(reason), _) => return dropped(record, &format!("the client's upgrade failed: {reason}")),
            (Ok(_), Err(error)) => return dropped(record, &format!("the upstream's upgrade failed: {error}")),
        };
        let (end, early, place) = tunnel::client_side(client, |io| End::stream(io.timed()));
        let decoder = Decoder::new(beginning.identity.inbound().message_size, beginning.deflate);
        let state = State::new(beginning, Moment::now());
        let client = ClientWire { end, early, decoder };
        let seat = Tunnels::seat(&tunnels);
        tasks.spawn_small(Attendance::new(client, upstream, state, dialler, protocol, seat, (record, place)));
    }
}

fn dropped(record: SocketRecord, reason: &str) {
    record.closed(crate::ws::CloseCode::ABNORMAL.get(), reason, 0, 0);
}

impl std::fmt::Debug for Opening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opening").field("dialled", &self.dialled).finish_non_exhaustive()
    }
}
