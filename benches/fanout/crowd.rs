//! Viewers over HTTP/2, and what others notice while a crowd is served.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::load::{Count, Viewer};
use super::measure::quantile;
use super::support::handshake::{head_end, upgrade};

/// One viewer on a connection of its own, by extended CONNECT (RFC 8441).
pub async fn open_http2(stream: TcpStream, seen: Count) {
    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::task::spawn_local(async move {
        let _ = connection.await;
    });
    // The server's settings say that extended CONNECT may be used.
    while !client.is_extended_connect_protocol_enabled() {
        client = client.ready().await.unwrap();
        tokio::task::yield_now().await;
    }
    let request = http::Request::builder()
        .method("CONNECT")
        .uri("http://localhost/feed")
        .version(http::Version::HTTP_2)
        .header("sec-websocket-version", "13")
        .extension(h2::ext::Protocol::from_static("websocket"))
        .body(())
        .unwrap();
    let (response, send) = client.send_request(request, false).unwrap();
    let response = response.await.unwrap();
    assert_eq!(response.status(), 200);
    seen.seated.set(seen.seated.get() + 1);
    let mut body = response.into_body();
    tokio::task::spawn_local(async move {
        let _open = (client, send);
        let mut viewer = Viewer { seen, last: 0 };
        let mut buffer = BytesMut::new();
        while let Some(Ok(data)) = body.data().await {
            let _ = body.flow_control().release_capacity(data.len());
            buffer.extend_from_slice(&data);
            viewer.take_frames(&mut buffer);
        }
    });
}

/// What a newcomer and a small request notice, in a process that goes before the load's: its delays are the server's.
pub fn notice(address: SocketAddr) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let until = Instant::now() + Duration::from_secs(5);
    let both = async { tokio::join!(small_requests(address, until), upgrades(address, until)) };
    let (mut small, mut upgrades) = runtime.block_on(both);
    let in_ms = |times: &mut Vec<Duration>, share| quantile(times, share).as_secs_f64() * 1000.0;
    println!(
        "  meanwhile: a small request p50 {:.2} p99 {:.2} ms, an upgrade p50 {:.2} p99 {:.2} ms  (p99 at most 5)",
        in_ms(&mut small, 0.5),
        in_ms(&mut small, 0.99),
        in_ms(&mut upgrades, 0.5),
        in_ms(&mut upgrades, 0.99)
    );
}

/// How long a small request on a kept connection takes, again and again until `until`.
async fn small_requests(address: SocketAddr, until: Instant) -> Vec<Duration> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut times = Vec::new();
    let mut reply = BytesMut::with_capacity(1024);
    while Instant::now() < until {
        let began = Instant::now();
        stream.write_all(b"GET /small HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        reply.clear();
        while !reply.ends_with(b"small") {
            assert!(stream.read_buf(&mut reply).await.unwrap() > 0);
        }
        times.push(began.elapsed());
        tokio::time::sleep(Duration::from_millis(7)).await;
    }
    times
}

/// How long it takes from connecting to the answer 101, again and again until `until`.
async fn upgrades(address: SocketAddr, until: Instant) -> Vec<Duration> {
    let mut times = Vec::new();
    while Instant::now() < until {
        let began = Instant::now();
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(upgrade("/feed", "").as_bytes()).await.unwrap();
        let mut reply = BytesMut::with_capacity(1024);
        while head_end(&reply).is_none() {
            assert!(stream.read_buf(&mut reply).await.unwrap() > 0);
        }
        times.push(began.elapsed());
        drop(stream);
        tokio::time::sleep(Duration::from_millis(7)).await;
    }
    times
}
