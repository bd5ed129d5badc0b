//! Tokens (JWT) and tickets, from the config to the socket: who gets in by what, and where a token is never seen.

mod doors;
mod keys;
mod secrecy;

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::support::config::{PLAIN, feed};
use crate::support::raw_ws::upgrade;
use crate::support::{Proxy, RawHttp, WsClient};

const SECRET: &str = "a secret of at least thirty-two bytes";
/// A public feed, the same for those with a token, and where tickets are given.
const ROUTES: &str = concat!(
    feed!("/f"),
    "\n[[route]]\npath = \"/private\"\nfeed = \"f\"\nauth = \"viewers\"\n",
    "\n[[route]]\npath = \"/ticket\"\nticket = \"viewers\"\n"
);

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

fn claims() -> Value {
    json!({ "sub": "ann", "exp": now() + 600 })
}

fn hs256(claims: &Value) -> String {
    encode(&Header::default(), claims, &EncodingKey::from_secret(SECRET.as_bytes())).expect("a token")
}

/// One auth with the secret, and these keys besides.
fn config(auth: &str, routes: &str) -> String {
    format!("{PLAIN}[auth.viewers]\nsecret = \"{SECRET}\"\n{auth}\n{routes}")
}

fn private() -> Proxy {
    Proxy::start(&config("", ROUTES))
}

async fn open(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> WsClient {
    let opened = WsClient::try_connect(address, path, headers).await;
    let mut socket = opened.unwrap_or_else(|error| panic!("{path}: {error}"));
    assert_eq!(socket.json().await["type"], "connected");
    socket
}

/// The head of an answer to an upgrade.
async fn answer(address: SocketAddr, path: &str, fields: &[(&str, &str)]) -> String {
    let mut raw = RawHttp::connect(address).await;
    raw.send(upgrade(address, path, fields).as_bytes()).await;
    raw.head().await
}
