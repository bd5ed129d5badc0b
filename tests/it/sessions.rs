//! Sessions: a WebSocket whose messages are understood, with one upstream socket a client.
//!
//! Owns: how a session is opened, and what a client hears of it; each of the submodules has one kind of guarantee.

mod ends;
mod flow;
mod handshakes;
mod messages;
mod restarts;
mod silence;

use serde_json::{Value, json};
use steadfeed::feed::Delivery;
use steadfeed::handler::SessionOptions;

use crate::support::{Backend, Proxy, ServerWs, WsClient};

fn delivery() -> Delivery {
    Delivery { keepalive: None, ..Delivery::default() }
}

fn options() -> SessionOptions {
    SessionOptions { delivery: delivery(), ..SessionOptions::default() }
}

/// Both ends of a session.
async fn open(proxy: &Proxy, backend: &Backend) -> (WsClient, ServerWs) {
    tokio::join!(WsClient::connect(proxy.address(), "/chat"), backend.websocket())
}

/// The next message, which must be a notice.
async fn notice(client: &mut WsClient, upstream: &str) {
    let message = client.json().await;
    assert_eq!((&message["type"], &message["upstream"]), (&json!("keepalive"), &json!(upstream)), "{message}");
    assert_eq!(message["data"], Value::Null);
}

async fn closed(client: &mut WsClient) -> (u16, String) {
    let frame = client.closed().await.expect("a code");
    (frame.code.into(), frame.reason.to_string())
}
