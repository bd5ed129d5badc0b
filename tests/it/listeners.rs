//! Addresses, connections and their deadlines, HTTP itself, and TLS.
//!
//! Owns: what is served, and how it is asked over a connection that stays; each of the submodules
//! has one kind of guarantee.

mod addresses;
mod connections;
mod encryption;
mod requests;
mod room;

use crate::support::config::{events, plain};
use crate::support::{Instance, RawHttp, get, post_json};

const PLAIN: &str = concat!(plain!(), events!(), "\n[[route]]\npath = \"/\"\npage = \"events\"\n");

/// The plain config, with these keys before it.
fn with(keys: &str) -> String {
    format!("{keys}\n{PLAIN}")
}

async fn publish(instance: &Instance, data: u32) {
    let reply = post_json(instance.admin(), "/api/feeds/events", &format!(r#"{{"type":"n","data":{data}}}"#)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
}

/// A GET on a connection that stays: the head and the body of its answer.
async fn again(raw: &mut RawHttp, path: &str) -> (String, String) {
    raw.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await;
    answer(raw).await
}

async fn answer(raw: &mut RawHttp) -> (String, String) {
    let head = raw.head().await.to_lowercase();
    let length = head.split_once("content-length: ").and_then(|(_, rest)| rest.split("\r\n").next()?.parse().ok());
    let body = raw.exactly(length.unwrap_or(0)).await;
    (head, String::from_utf8_lossy(&body).into_owned())
}

async fn metric(instance: &Instance, name: &str) -> f64 {
    let text = get(instance.admin(), "/metrics", &[]).await.text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().expect("a number"))
}
