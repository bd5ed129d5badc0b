//! A feed over WebSocket: HTTP/1.1 upgrades (RFC 6455) and HTTP/2 extended CONNECT (RFC 8441).
//!
//! Owns: the handshake, and the viewer's place from it on. Never: writes a message; the roster does, or for
//! HTTP/2, which has no raw socket, a task that pulls.

use std::rc::Rc;

use http::header::SEC_WEBSOCKET_PROTOCOL;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use tokio::time::Instant;

use super::{Call, FeedDoor, upgrade};
use crate::feed::attendance::Attendance;
use crate::feed::pull;
use crate::feed::roster::{Roster, Stay};
use crate::feed::seat::{Farewell, Seat, Tally, Wish};
use crate::feed::select;
use crate::feed::socket::Socket;
use crate::feed::viewer::Viewer;
use crate::message::{Body, Incoming, respond};
use crate::net::clock::InFlight;
use crate::net::stream::Io;
use crate::net::upgrade::{self as way_out, StreamIo};
use crate::telemetry::SocketRecord;
use crate::ws::{Decoder, handshake};

/// Opens the socket, or says why not; the flag is whether it opened.
pub fn open(door: &FeedDoor, stay: Stay, call: &Call<'_>, request: Request<Incoming>) -> (Response<Body>, bool) {
    let (parts, _body) = request.into_parts();
    let admission = Rc::clone(call.admission);
    let (answer, wish) = match shake_hands(stay.roster(), &parts, admission.echo_bearer) {
        Ok(agreed) => agreed,
        Err(refusal) => return (*refusal, false),
    };
    let record = SocketRecord::open(call.access, call.meters, call.asked.peer.client, parts.uri.path());
    let record = record.of(admission.subject());
    let delivery = door.delivery.clone();
    let tasks = call.tasks.clone();
    call.asked.upgrade.then(move |outcome| {
        let socket = match outcome {
            Ok(socket) => socket,
            Err(reason) => {
                return end(record, &Farewell::dropped(format!("the upgrade failed: {reason}")), Tally::default());
            }
        };
        let decoder = Decoder::new(admission.inbound.message_size, wish.deflate);
        // What is the snapshot is decided when the viewer is seated, which is where it is written to.
        let seat = move |roster: &Rc<Roster>| {
            let now = Instant::now();
            Seat::new(Rc::clone(roster), delivery, &wish, now).admitted(&admission, now)
        };
        // The viewer has its place until it is seated, and over HTTP/2 until its stream is let go.
        match socket {
            way_out::Socket::Connection { io, said, permit } => {
                let subscription = stay.roster().subscribe(Viewer::new(seat(stay.roster()), raw(io)));
                // Boxed: tasks come in steps of 128 bytes, and this just fits between two of them.
                tasks.spawn_small(Box::pin(Attendance::new(subscription, decoder, said, record, permit)));
            }
            way_out::Socket::Stream { io, in_flight } => {
                let io = io.timed();
                tasks.spawn_small(async move { attend_stream(io, stay, seat, decoder, record, in_flight).await });
            }
        }
    });
    (answer, true)
}

fn end(record: SocketRecord, farewell: &Farewell, tally: Tally) {
    record.closed(farewell.code, &farewell.reason, tally.messages, tally.bytes);
}

async fn attend_stream(
    mut io: StreamIo,
    stay: Stay,
    seat: impl FnOnce(&Rc<Roster>) -> Seat,
    decoder: Decoder,
    record: SocketRecord,
    in_flight: InFlight,
) {
    let roster = stay.roster();
    pull::attend(&mut io, Rc::clone(roster), seat(roster), decoder, record).await;
    // What is left of the stream keeps the connection no longer than an idle one.
    drop(in_flight);
    pull::let_go(io, roster).await;
}

fn raw(io: Io) -> Socket {
    let socket = match io {
        Io::Plain(stream) => Socket::Plain(stream),
        Io::Tls(stream) => {
            let (stream, tls) = stream.into_inner();
            Socket::tls(stream, tls)
        }
    };
    socket.bound_receiving();
    socket
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
