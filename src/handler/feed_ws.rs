//! A feed over WebSocket: HTTP/1.1 upgrades (RFC 6455) and HTTP/2 extended CONNECT (RFC 8441).
//!
//! Owns: the handshake, and taking the socket back out of hyper. Never: writes a message; the roster does, or for
//! HTTP/2, which has no raw socket, a task that pulls.

use std::rc::Rc;

use http::header::SEC_WEBSOCKET_PROTOCOL;
use http::request::Parts;
use http::{Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::{Call, FeedDoor, upgrade};
use crate::feed::attendance::Attendance;
use crate::feed::pull;
use crate::feed::roster::{Roster, Stay};
use crate::feed::seat::{Farewell, Seat, Tally, Wish};
use crate::feed::select;
use crate::feed::socket::Socket;
use crate::feed::viewer::Viewer;
use crate::message::{Body, respond};
use crate::net::clock::InFlight;
use crate::net::stream::Io;
use crate::net::tethered::Tethered;
use crate::shutdown::Tasks;
use crate::telemetry::SocketRecord;
use crate::ws::{Decoder, handshake};

/// Opens the socket, or says why not; the flag is whether it opened.
pub fn open(door: &FeedDoor, stay: Stay, call: &Call<'_>, mut request: Request<Incoming>) -> (Response<Body>, bool) {
    let upgrade = hyper::upgrade::on(&mut request);
    let (parts, _body) = request.into_parts();
    let admission = Rc::clone(call.admission);
    let (answer, wish) = match shake_hands(stay.roster(), &parts, admission.echo_bearer) {
        Ok(agreed) => agreed,
        Err(refusal) => return (*refusal, false),
    };
    let record = SocketRecord::open(call.access, call.meters, call.asked.peer.client, parts.uri.path());
    let record = record.of(admission.subject());
    let delivery = door.delivery.clone();
    let http2 = call.asked.tether.map(|tether| (call.asked.in_flight.clone(), tether.clone()));
    let tasks = call.tasks.clone();
    let work = async move {
        let upgraded = match upgrade.await {
            Ok(upgraded) => upgraded,
            Err(error) => {
                return end(record, &Farewell::dropped(format!("the upgrade failed: {error}")), Tally::default());
            }
        };
        let decoder = Decoder::new(admission.inbound.message_size, wish.deflate);
        let now = Instant::now();
        // The viewer has its place until it is seated, and over HTTP/2 until its stream is let go.
        let roster = stay.roster();
        let seat = Seat::new(Rc::clone(roster), delivery, &wish, now).admitted(&admission, now);
        drop(admission);
        match http2 {
            None => attend_raw(upgraded, roster, seat, decoder, record, &tasks),
            Some((in_flight, tether)) => {
                let io = Tethered::new(TokioIo::new(upgraded), tether);
                attend_stream(io, Rc::clone(roster), seat, decoder, record, in_flight).await;
            }
        }
    };
    upgrade::follow(call, parts.version == Version::HTTP_2, work);
    (answer, true)
}

/// Seats the viewer on its raw socket, with a task of its own: this one's size is not kept for as long as it stays.
fn attend_raw(
    upgraded: Upgraded,
    roster: &Rc<Roster>,
    seat: Seat,
    decoder: Decoder,
    record: SocketRecord,
    tasks: &Tasks,
) {
    let Some((io, early, permit)) = upgrade::raw(upgraded) else {
        return end(record, &Farewell::dropped("the connection is not one of ours"), Tally::default());
    };
    let socket = socket(io);
    socket.bound_receiving();
    let subscription = roster.subscribe(Viewer::new(seat, socket));
    tasks.spawn_small(Box::pin(Attendance::new(subscription, decoder, early.into(), record, permit)));
}

fn end(record: SocketRecord, farewell: &Farewell, tally: Tally) {
    record.closed(farewell.code, &farewell.reason, tally.messages, tally.bytes);
}

async fn attend_stream(
    mut io: Tethered<TokioIo<Upgraded>>,
    roster: Rc<Roster>,
    seat: Seat,
    decoder: Decoder,
    record: SocketRecord,
    in_flight: InFlight,
) {
    pull::attend(&mut io, Rc::clone(&roster), seat, decoder, record).await;
    // What is left of the stream keeps the connection no longer than an idle one.
    drop(in_flight);
    pull::let_go(io, &roster).await;
}

fn socket(io: Io) -> Socket {
    match io {
        Io::Plain(stream) => Socket::Plain(stream),
        Io::Tls(stream) => {
            let (stream, tls) = stream.into_inner();
            Socket::tls(stream, tls)
        }
    }
}

/// The answer that opens the socket and what the viewer asked for, or the answer that refuses it.
fn shake_hands(
    roster: &Roster,
    parts: &Parts,
    echo_bearer: bool,
) -> Result<(Response<Body>, Wish), Box<Response<Body>>> {
    let offer = upgrade::shake_hands(parts)?;
    let query = select::from_query(parts.uri.query().unwrap_or_default()).map_err(|error| bad_query(&error))?;
    let selection = query.selection.interned(roster.feed().field_sets()).map_err(|error| bad_query(&error))?;
    let wish = Wish { selection, last: query.last, deflate: offer.deflate.is_some() };
    // A feed speaks JSON whatever it is called: a client that names a protocol is told the first it named.
    let mut answer = handshake::response(&offer, offer.protocols.first().map(String::as_str));
    if echo_bearer {
        answer.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, handshake::BEARER);
    }
    Ok((answer.map(|()| Body::Empty), wish))
}

/// The URL asks for what cannot be given.
pub(super) fn bad_query(error: &impl std::fmt::Display) -> Response<Body> {
    respond::problem(StatusCode::BAD_REQUEST, &format!("the query asks for what cannot be given: {error}"))
}
