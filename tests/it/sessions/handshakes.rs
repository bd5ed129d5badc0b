//! How a session opens: what the upstream is asked, and what each answer of it comes to.

use serde_json::json;

use super::options;
use crate::support::{Backend, RawWs, WsClient, get};

#[tokio::test]
async fn the_upstream_is_asked_as_a_tunnel_would_ask_and_without_compression() {
    let backend = Backend::bind().await;
    let route = "strip_prefix = \"/api\"\nheaders = { request = { \"X-Tenant\" = \"a\" } }";
    let proxy = backend.sessions_under_api(route, &options());
    let headers = [("Sec-WebSocket-Extensions", "permessage-deflate"), ("Cookie", "a=b"), ("X-Tenant", "b")];
    let (client, server) = tokio::join!(
        RawWs::connect(proxy.address(), "/api/chat?q=1", &headers),
        backend.websocket_with("Set-Cookie: c=d\r\n"),
    );
    let head = server.head.to_ascii_lowercase();
    assert!(head.starts_with("get /chat?q=1 http/1.1\r\n"), "{head}");
    for field in ["cookie: a=b", "x-tenant: a", "x-forwarded-for: 127.0.0.1", "upgrade: websocket"] {
        assert!(head.contains(&format!("\r\n{field}\r\n")), "{field}: {head}");
    }
    assert!(!head.contains("extensions") && !head.contains("dghlihnhbxbszsbub25jzq=="), "{head}");
    let answer = client.head.to_ascii_lowercase();
    for field in ["set-cookie: c=d", "sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="] {
        assert!(answer.contains(&format!("\r\n{field}\r\n")), "{field}: {answer}");
    }
    assert!(answer.contains("\r\nsec-websocket-extensions: permessage-deflate"), "{answer}");
}

#[tokio::test]
async fn the_client_speaks_the_subprotocol_that_the_upstream_picks() {
    let backend = Backend::bind().await;
    let proxy = backend.sessions(&options());
    let offered = [("Sec-WebSocket-Protocol", "chat.v2, chat.v1")];
    let picked = "Sec-WebSocket-Protocol: chat.v1\r\n";
    let (client, server) = tokio::join!(RawWs::connect(proxy.address(), "/", &offered), backend.websocket_with(picked));
    assert!(server.head.to_ascii_lowercase().contains("\r\nsec-websocket-protocol: chat.v2, chat.v1\r\n"));
    assert!(client.head.to_ascii_lowercase().contains("\r\nsec-websocket-protocol: chat.v1\r\n"), "{}", client.head);
    // Another one would not be what the client was told.
    drop(server);
    let mut other = backend.websocket_with("Sec-WebSocket-Protocol: chat.v2\r\n").await;
    assert!(other.raw.rest().await.is_empty());
    backend.websocket_with(picked).await.say("1").await;
    let mut client = client;
    assert_eq!(client.json().await["upstream"], "stale");
    assert_eq!(client.json().await["data"], 1);
}

#[tokio::test]
async fn an_upstream_that_refuses_is_heard_before_anything_is_opened() {
    let backend = Backend::bind().await;
    let proxy = backend.sessions(&options());
    let asked = WsClient::refused(proxy.address(), "/", &[]);
    let refuses = async {
        let (_, mut raw) = backend.request().await;
        raw.send(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\n{}").await;
        raw
    };
    let ((status, body), _raw) = tokio::join!(asked, refuses);
    assert_eq!((status, body), (401, json!({})));
    for answer in [
        "HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n",
        "HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: chat\r\nSec-WebSocket-Accept: x\r\n\r\n",
        "nonsense\r\n\r\n",
    ] {
        let asked = WsClient::refused(proxy.address(), "/", &[]);
        let refuses = async {
            let (_, mut raw) = backend.request().await;
            raw.send(answer.as_bytes()).await;
            raw
        };
        let ((status, _), _raw) = tokio::join!(asked, refuses);
        assert_eq!(status, 502, "{answer}");
    }
    for fields in ["Sec-WebSocket-Extensions: permessage-deflate\r\n", "Sec-WebSocket-Protocol: other\r\n"] {
        let ((status, _), _) =
            tokio::join!(WsClient::refused(proxy.address(), "/", &[]), backend.websocket_with(fields));
        assert_eq!(status, 502, "{fields}");
    }
    drop(backend);
    assert_eq!(WsClient::refused(proxy.address(), "/", &[]).await.0, 502);
}

#[tokio::test]
async fn what_is_no_websocket_is_forwarded_and_a_bad_handshake_refused() {
    let backend = Backend::bind().await;
    let proxy = backend.sessions(&options());
    let serves = async {
        let (_, mut raw) = backend.request().await;
        raw.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await;
        raw
    };
    let (reply, _raw) = tokio::join!(get(proxy.address(), "/page", &[]), serves);
    assert_eq!((reply.status, reply.text().as_str()), (200, "hi"));
    let (connection, upgrade) = (("Connection", "Upgrade"), ("Upgrade", "websocket"));
    let reply = get(proxy.address(), "/", &[connection, upgrade, ("Sec-WebSocket-Version", "8")]).await;
    assert_eq!((reply.status, reply.header("sec-websocket-version")), (426, Some("13")));
    let reply = get(proxy.address(), "/", &[connection, upgrade, ("Sec-WebSocket-Version", "13")]).await;
    assert_eq!(reply.status, 400, "it has no key");
}
