//! One request, one reply, over plain HTTP/1.1 and a connection of its own.

use std::net::SocketAddr;

use super::RawHttp;

#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    head: String,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn new(head: String, body: Vec<u8>) -> Reply {
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line");
        Reply { status, head, body }
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        field(&self.head, name)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

/// The values of a head's fields of this name, in their order.
pub fn lines<'a>(head: &'a str, name: &str) -> Vec<&'a str> {
    let field = |line: &'a str| line.split_once(": ").filter(|(field, _)| field.eq_ignore_ascii_case(name));
    head.lines().filter_map(field).map(|(_, value)| value).collect()
}

/// The first of them.
pub fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    lines(head, name).first().copied()
}

pub async fn get(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Reply {
    request(address, "GET", path, headers, "").await
}

pub async fn post_json(address: SocketAddr, path: &str, body: &str) -> Reply {
    request(address, "POST", path, &[("Content-Type", "application/json")], body).await
}

pub async fn request(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    let mut raw = RawHttp::connect(address).await;
    let mut text = format!("{method} {path} HTTP/1.1\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        text.push_str(&format!("Host: {address}\r\n"));
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    text.push_str("Connection: close\r\n\r\n");
    text.push_str(body);
    raw.send(text.as_bytes()).await;
    let head = raw.head().await;
    let body = raw.rest().await;
    Reply::new(head, body)
}
