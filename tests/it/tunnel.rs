//! Upgrades that become tunnels: bytes, untouched, in both directions, for as long as both sides want.
//!
//! Owns: how a tunnel is opened over HTTP/1.1; each of the submodules has one kind of guarantee.

mod arrivals;
mod flow;
mod handshakes;
mod http2;

use crate::support::{Backend, Proxy, RawHttp};

const SWITCH: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat/2\r\nX-Own: y\r\n\r\n";
const ASK: &[u8] =
    b"GET /t?q HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: chat/2, chat/1\r\n\r\n";

/// Both ends of a tunnel.
async fn open(proxy: &Proxy, backend: &Backend) -> (RawHttp, RawHttp) {
    let mut client = RawHttp::connect(proxy.address()).await;
    client.send(ASK).await;
    let (_, mut server) = backend.request().await;
    server.send(SWITCH).await;
    assert!(client.head().await.starts_with("HTTP/1.1 101 "));
    (client, server)
}
