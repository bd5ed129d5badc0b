//! One stream of HTTP/2 with both of its ends, for the tests of what is done on it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::Request;
use tokio::io::duplex;
use tokio::time::Instant;

use super::pace::Pace;
use crate::limits;
use crate::net::Peer;
use crate::net::clock::Clock;

/// Of every stream here.
pub(super) const SEND_TIMEOUT: Duration = Duration::from_secs(30);

/// Ours, and the client's.
pub(super) struct Ends {
    pub(super) request: Request<RecvStream>,
    pub(super) respond: SendResponse<Bytes>,
    pub(super) answer: ResponseFuture,
    pub(super) ask: SendStream<Bytes>,
}

/// Runs `test` with a stream on which the client takes so many bytes ahead.
pub(super) async fn with_stream(window: u32, test: impl AsyncFnOnce(Ends)) {
    let (near, far) = duplex(1024 * 1024);
    let (mut client, mut server) = (h2::client::Builder::new(), h2::server::Builder::new());
    let client = client.initial_window_size(window).handshake(near);
    let server = server.max_send_buffer_size(limits::H2_SEND_BUFFER).handshake(far);
    let (client, server) = tokio::join!(client, server);
    let ((mut requests, mut client), mut server) = (client.unwrap(), server.unwrap());
    let (answer, ask) = requests.send_request(Request::post("http://a.example/").body(()).unwrap(), false).unwrap();
    let (request, respond) = tokio::select! {
        _ = &mut client => unreachable!("the client stays"),
        accepted = server.accept() => accepted.unwrap().unwrap(),
    };
    tokio::select! {
        _ = &mut client => unreachable!("the client stays"),
        _ = server.accept() => unreachable!("there is one request"),
        () = test(Ends { request, respond, answer, ask }) => {}
    }
}

/// What any connection's streams are held to.
pub(super) fn pace() -> (Pace, Arc<Clock>) {
    let clock = Arc::new(Clock::new(Instant::now(), true));
    let peer = Peer::new(([127, 0, 0, 1], 1).into(), false, false);
    (Pace::new(Arc::clone(&clock), peer, SEND_TIMEOUT), clock)
}
