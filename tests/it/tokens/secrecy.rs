//! Where a token is never seen, and where it goes on because the route says so.

use serde_json::json;

use super::{ROUTES, claims, config, hs256, now, open};
use crate::support::raw_ws::{masked, upgrade};
use crate::support::{Backend, Instance, Proxy, RawHttp, RawWs, WsClient};

#[tokio::test]
async fn an_application_never_sees_a_token_and_a_tunnel_is_answered_bearer() {
    let backend = Backend::bind().await;
    let app = format!(
        "[upstream.app]\nservers = [\"{}\"]\n[[route]]\npath = \"/*\"\nproxy = \"app\"\nauth = \"viewers\"\n",
        backend.server()
    );
    let proxy = Proxy::start(&config("", &app));
    let (token, stray) = (hs256(&claims()), hs256(&json!({ "sub": "bob", "exp": now() + 5 })));
    let fields = [("Sec-WebSocket-Protocol", format!("v1, bearer, {token}"))];
    let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
    let mut client = RawHttp::connect(proxy.address()).await;
    client.send(upgrade(proxy.address(), &format!("/ws?a=%20&token={stray}&b="), &fields).as_bytes()).await;
    let (head, mut server) = backend.request().await;
    assert!(head.starts_with("GET /ws?a=%20&b= HTTP/1.1\r\n"), "{head}");
    let lower = head.to_lowercase();
    assert!(lower.contains("\r\nsec-websocket-protocol: v1\r\n"), "{head}");
    assert!(!head.contains(&token) && !head.contains(&stray) && !lower.contains("bearer"), "{head}");
    let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";
    server.send(format!("{switch}\r\n").as_bytes()).await;
    let answer = client.head().await.to_lowercase();
    assert!(answer.contains("\r\nsec-websocket-protocol: bearer\r\n"), "{answer}");
    // What the application chose stays.
    let mut client = RawHttp::connect(proxy.address()).await;
    client.send(upgrade(proxy.address(), "/ws", &fields).as_bytes()).await;
    let (_, mut server) = backend.request().await;
    server.send(format!("{switch}Sec-WebSocket-Protocol: v1\r\n\r\n").as_bytes()).await;
    let answer = client.head().await.to_lowercase();
    assert!(answer.contains("\r\nsec-websocket-protocol: v1\r\n") && !answer.contains("bearer"), "{answer}");
}

#[tokio::test]
async fn a_session_is_answered_bearer_and_its_application_never_sees_the_token() {
    let backend = Backend::bind().await;
    let app = format!(
        "[upstream.app]\nservers = [\"{}\"]\n[[route]]\npath = \"/*\"\nproxy = \"app\"\nauth = \"viewers\"\n[route.session]\n",
        backend.server()
    );
    let proxy = Proxy::start(&config("", &app));
    let token = hs256(&claims());
    let pair = format!("bearer, {token}");
    for (offered, picked) in [(pair.clone(), "bearer"), (format!("v1, {pair}"), "v1")] {
        let mut client = RawHttp::connect(proxy.address()).await;
        let fields = [("Sec-WebSocket-Protocol", offered.as_str())];
        client.send(upgrade(proxy.address(), "/ws", &fields).as_bytes()).await;
        let (head, mut server) = backend.request().await;
        assert!(!head.contains(&token) && !head.to_lowercase().contains("bearer"), "{head}");
        let key = head.lines().find_map(|line| line.strip_prefix("sec-websocket-key: ")).expect("a key");
        let accept = tokio_tungstenite::tungstenite::handshake::derive_accept_key(key.trim().as_bytes());
        let chosen = if picked == "v1" { "Sec-WebSocket-Protocol: v1\r\n" } else { "" };
        let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";
        server.send(format!("{switch}Sec-WebSocket-Accept: {accept}\r\n{chosen}\r\n").as_bytes()).await;
        let answer = client.head().await.to_lowercase();
        assert!(answer.contains(&format!("\r\nsec-websocket-protocol: {picked}\r\n")), "{answer}");
        assert_eq!(answer.matches("sec-websocket-protocol").count(), 1, "{answer}");
    }
}

#[tokio::test]
async fn a_session_speaks_bearer_and_its_next_upstream_socket_gets_the_newest_token() {
    let backend = Backend::bind().await;
    let route = |path: &str, rest: &str| {
        format!("[[route]]\npath = \"{path}\"\nproxy = \"app\"\nauth = \"viewers\"\n{rest}[route.session]\n")
    };
    let app = format!("[upstream.app]\nservers = [\"{}\"]\n", backend.server());
    let routes = [
        route("/kept", ""),
        route("/h", "forward_token = \"header\"\n"),
        route("/q", "forward_token = \"query:jwt\"\n"),
    ];
    let proxy = Proxy::start(&config("", &format!("{app}{}", routes.concat())));
    for (path, forwards) in [("/kept", false), ("/h", true), ("/q?jwt=forged", true)] {
        let token = |life| hs256(&json!({ "sub": "ann", "exp": now() + life }));
        let (old, newest) = (token(300), token(600));
        let pair = format!("v1, bearer, {old}");
        let fields = [("Sec-WebSocket-Protocol", pair.as_str())];
        let (mut client, server) = tokio::join!(RawWs::connect(proxy.address(), path, &fields), backend.websocket());
        let answer = client.head.to_lowercase();
        assert!(answer.contains("\r\nsec-websocket-protocol: bearer\r\n"), "{answer}");
        assert_eq!(server.head.matches(&old).count(), usize::from(forwards), "{}", server.head);
        assert!(!server.head.contains("forged") && server.head.contains("v1"), "{}", server.head);
        let renewal = json!({ "type": "auth", "data": { "token": newest } }).to_string();
        client.raw.send(&masked(0x81, renewal.as_bytes())).await;
        let answer = client.json().await;
        assert!(answer["type"] == "auth" && answer["data"]["expires"].is_string(), "{answer}");
        server.reset();
        let again = backend.websocket().await;
        assert_eq!(again.head.matches(&newest).count(), usize::from(forwards), "{}", again.head);
        assert!(!again.head.contains(&old) && !again.head.contains("forged"), "{}", again.head);
    }
}

#[tokio::test]
async fn a_token_goes_on_only_where_the_route_says_so() {
    let backend = Backend::bind().await;
    let route = |path: &str, how: &str| {
        format!("[[route]]\npath = \"{path}\"\nproxy = \"app\"\nauth = \"viewers\"\nforward_token = \"{how}\"\n")
    };
    let app = format!("[upstream.app]\nservers = [\"{}\"]\n", backend.server());
    let proxy = Proxy::start(&config("", &format!("{app}{}{}", route("/h", "header"), route("/q", "query:jwt"))));
    let token = hs256(&claims());
    for (path, line) in [
        ("/h?token=", format!("\r\nauthorization: Bearer {token}\r\n")),
        ("/q?jwt=forged&a=1&token=", format!("GET /q?a=1&jwt={token} HTTP/1.1\r\n")),
    ] {
        let mut client = RawHttp::connect(proxy.address()).await;
        client.send(format!("GET {path}{token} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await;
        let (head, mut server) = backend.request().await;
        assert!(head.contains(&line) && head.matches(&token).count() == 1 && !head.contains("forged"), "{head}");
        server.send(b"HTTP/1.1 204 No Content\r\n\r\n").await;
        assert!(client.head().await.starts_with("HTTP/1.1 204 "));
    }
}

#[tokio::test]
async fn neither_a_good_token_nor_a_bad_one_is_ever_in_the_log() {
    let instance = Instance::start(&format!("[log]\nlevel = \"debug\"\n{}", config("", ROUTES))).await;
    let (good, bad) = (hs256(&claims()), hs256(&json!({ "sub": "ann", "exp": 1 })));
    drop(open(instance.address(), &format!("/private?token={good}"), &[]).await);
    drop(open(instance.address(), "/private", &[("sec-websocket-protocol", &format!("bearer, {good}"))]).await);
    assert_eq!(WsClient::refused(instance.address(), &format!("/private?token={bad}"), &[]).await.0, 401);
    let line = instance.line("token refused").await;
    assert!(line.contains("viewers") && line.contains("it expired"), "{line}");
    instance.lines("/private", 3).await;
    for line in instance.printed() {
        for token in [&good, &bad] {
            assert!(token.split('.').all(|part| !line.contains(part)), "{line}");
        }
    }
}
