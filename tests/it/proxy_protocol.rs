//! The PROXY protocol: who may say whom a connection is for, and that what follows is served as if it came from there.

use std::net::SocketAddr;

use tokio::net::TcpStream;

use crate::support::config::{feed, plain};
use crate::support::ws::tls_over;
use crate::support::{Instance, RawHttp, WsClient, within};

const ROUTES: &str = concat!(feed!("/f"), "\n[[route]]\npath = \"/hello\"\nrespond = { body = \"hello\" }\n");

/// A plain listener and a TLS one that take PROXY headers from these networks.
async fn start(trusted: &str) -> Instance {
    let listener = plain!("proxy_protocol = true\n");
    let tls = "[listener.tls]\nself_signed = [\"localhost\"]\n";
    let keys = format!("trusted_proxies = [{trusted}]\nlimits.header_timeout = \"1s\"\nadmin.listen = \"off\"\n");
    Instance::start_whole(&format!("{keys}{listener}{listener}{tls}{ROUTES}")).await
}

const LINE: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n";
const GET: &[u8] = b"GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// Version 2: IPv6 addresses, and a TLV after them.
fn binary() -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x2b".to_vec();
    header.extend(std::net::Ipv6Addr::from(0x2001_0db8_0000_0000_0000_0000_0000_0001_u128).octets());
    header.extend(std::net::Ipv6Addr::LOCALHOST.octets());
    header.extend([0xdc, 0x04, 0x01, 0xbb, 0x01, 0, 4, b'h', b'2', b'!', b'!']);
    header
}

async fn ask(address: SocketAddr, pieces: &[&[u8]]) -> String {
    let mut raw = RawHttp::connect(address).await;
    for piece in pieces {
        raw.send(piece).await;
    }
    String::from_utf8_lossy(&raw.rest().await).into_owned()
}

/// The access log's line of a request for `path` by `client`.
async fn logged(instance: &Instance, client: &str, path: &str) {
    let lines = within("a line of the access log", instance.line(&format!("{client} "))).await;
    assert!(lines.contains(path), "{lines}");
}

#[tokio::test]
async fn a_header_says_who_the_client_is_and_is_no_part_of_what_follows() {
    let instance = start("\"127.0.0.0/8\"").await;
    let answer = ask(instance.address(), &[LINE, GET]).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("hello"), "{answer}");
    logged(&instance, "192.0.2.1", "/hello").await;
    let binary = binary();
    let pieces: Vec<&[u8]> = binary.chunks(5).chain([GET]).collect();
    let answer = ask(instance.address(), &pieces).await;
    assert!(answer.ends_with("hello"), "{answer}");
    logged(&instance, "2001:db8::1", "/hello").await;
    // A health check of the balancer's own.
    let local = [&b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"[..], GET].concat();
    assert!(ask(instance.address(), &[&local]).await.ends_with("hello"));
    logged(&instance, "127.0.0.1", "/hello").await;
}

#[tokio::test]
async fn tls_and_sockets_come_after_it() {
    let instance = start("\"127.0.0.1\"").await;
    let mut stream = TcpStream::connect(instance.listener(1)).await.expect("it accepts");
    tokio::io::AsyncWriteExt::write_all(&mut stream, LINE).await.expect("it reads");
    let stream = tls_over(stream, &["http/1.1"]).await;
    let mut client = WsClient::over(Box::new(stream), "ws://localhost/f", &[]).await.expect("a socket");
    assert_eq!(client.json().await["type"], "connected");
    client.close(1000).await;
    client.ended().await;
    logged(&instance, "192.0.2.1", "/f").await;
}

#[tokio::test]
async fn only_a_trusted_proxy_may_connect_and_it_must_send_one() {
    let instance = start("\"10.0.0.0/8\"").await;
    assert_eq!(ask(instance.address(), &[LINE]).await, "");
    instance.line("only `trusted_proxies` may connect").await;
    let instance = start("\"127.0.0.1\"").await;
    assert_eq!(ask(instance.address(), &[GET]).await, "");
    instance.line("does not begin with a PROXY header").await;
    assert_eq!(ask(instance.address(), &[b"PROXY TCP4 192.0.2.1\r\n"]).await, "");
    instance.line("line is malformed").await;
    assert_eq!(ask(instance.listener(1), &[b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"]).await, "");
    instance.lines("does not begin with a PROXY header", 2).await;
}

#[tokio::test]
async fn a_header_that_stalls_meets_the_deadline() {
    let instance = start("\"127.0.0.1\"").await;
    assert_eq!(ask(instance.address(), &[&LINE[..20]]).await, "");
    instance.line("no complete request head in time").await;
}
