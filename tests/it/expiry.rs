//! A socket ends with its token, or goes on with a newer one of the same subject.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::support::backend::front;
use crate::support::config::{feed, plain};
use crate::support::raw_ws::upgrade;
use crate::support::{Backend, H2Client, Instance, Proxy, RawHttp, SseClient, WsClient, get};

const SECRET: &str = "a secret of thirty-two bytes or so";
const AUTH: &str = "[auth.viewers]\nsecret = \"a secret of thirty-two bytes or so\"\n";
const FEED: &str = concat!(plain!("websocket_h2 = true\n"), feed!("/f"));

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

/// A token of `sub` that runs out in so many seconds.
fn token(sub: &str, seconds: u64) -> String {
    let claims = json!({ "sub": sub, "exp": now() + seconds });
    encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).expect("a token")
}

fn start() -> Proxy {
    Proxy::start(&format!("{AUTH}{FEED}auth = \"viewers\"\n"))
}

async fn connect(proxy: &Proxy, token: &str) -> WsClient {
    let bearer = format!("Bearer {token}");
    WsClient::try_connect(proxy.address(), "/f", &[("Authorization", &bearer)]).await.expect("a socket")
}

fn renewal(token: &str) -> String {
    json!({ "type": "auth", "data": { "token": token } }).to_string()
}

async fn check_expired(mut socket: WsClient) {
    let close = socket.closed().await.expect("a code");
    assert_eq!((u16::from(close.code), close.reason.as_str()), (1008, "token expired"));
}

#[tokio::test]
async fn a_socket_is_closed_as_its_token_runs_out() {
    let proxy = start();
    let began = now();
    check_expired(connect(&proxy, &token("ann", 2)).await).await;
    assert!(now() >= began + 2);
    proxy.until_metric("steadfeed_websocket_closed_total{route=\"/f\",code=\"1008\"}", 1.0).await;
}

#[tokio::test]
async fn so_are_one_over_http2_and_an_event_stream() {
    let proxy = start();
    let short = token("ann", 2);
    let h2 = H2Client::connect(proxy.address()).await;
    let closing = [("Connection", "close")];
    let mut stream = SseClient::connect(proxy.address(), &format!("/f?token={short}"), &closing).await;
    assert!(stream.head.starts_with("HTTP/1.1 200 "), "{}", stream.head);
    check_expired(h2.websocket(&format!("/f?token={short}")).await).await;
    let rest = stream.rest().await;
    assert!(rest.ends_with("0\r\n\r\n"), "it ends as a whole body does: {rest:?}");
}

#[tokio::test]
async fn a_newer_token_of_the_same_subject_renews_in_place() {
    let proxy = start();
    let mut renewed = connect(&proxy, &token("ann", 2)).await;
    let expires = now() + 600;
    let answer = renewed.ask(&renewal(&token("ann", 600))).await;
    assert_eq!(answer["type"], "auth");
    let said: jiff::Timestamp = answer["data"]["expires"].as_str().expect("a time").parse().expect("RFC 3339");
    assert!(said.as_second().abs_diff(i64::try_from(expires).expect("it fits")) <= 1, "{answer}");
    check_expired(connect(&proxy, &token("ann", 2)).await).await;
    // It has outlived its first token by now.
    renewed.nothing_more().await;
}

#[tokio::test]
async fn a_renewal_may_shorten_too() {
    let proxy = start();
    let mut socket = connect(&proxy, &token("ann", 600)).await;
    assert_eq!(socket.ask(&renewal(&token("ann", 2))).await["type"], "auth");
    check_expired(socket).await;
}

#[tokio::test]
async fn what_is_no_renewal_leaves_the_socket_and_its_end_as_they_are() {
    let proxy = start();
    let mut socket = connect(&proxy, &token("ann", 3)).await;
    let forged = encode(
        &Header::default(),
        &json!({ "sub": "ann", "exp": now() + 600 }),
        &EncodingKey::from_secret(b"another secret of thirty-two bytes"),
    );
    for bad in [token("bob", 600), "garbage".to_owned(), forged.expect("a token"), token("ann", 0).replace('.', "")] {
        let answer = socket.ask(&renewal(&bad)).await;
        assert_eq!((&answer["type"], &answer["data"]["code"]), (&json!("error"), &json!("auth_failed")));
        assert!(!answer.to_string().contains(&bad), "{answer}");
    }
    assert_eq!(socket.ask(r#"{"type":"ping"}"#).await["type"], "pong");
    check_expired(socket).await;
    let open = Proxy::of_feed("");
    let mut socket = WsClient::connect(open.address(), "/f").await;
    assert_eq!(socket.ask(&renewal(&token("ann", 600))).await["data"]["code"], "auth_not_needed");
    assert_eq!(socket.ask(r#"{"type":"ping"}"#).await["type"], "pong");
}

#[tokio::test]
async fn a_tunnel_ends_with_its_token_and_its_server_never_sees_it() {
    let backend = Backend::bind().await;
    let proxy = front(AUTH, &backend.server(), "", "auth = \"viewers\"");
    let short = token("ann", 2);
    let mut client = RawHttp::connect(proxy.address()).await;
    client.send(upgrade(proxy.address(), &format!("/ws?a=b&token={short}"), &[]).as_bytes()).await;
    let (head, mut server) = backend.request().await;
    assert!(head.starts_with("GET /ws?a=b HTTP/1.1\r\n") && !head.contains(&short), "{head}");
    let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                  Sec-WebSocket-Accept: as-it-is\r\n\r\n";
    server.send(switch.as_bytes()).await;
    assert!(client.head().await.starts_with("HTTP/1.1 101 "));
    assert_eq!(client.rest().await, b"");
    assert_eq!(server.rest().await, b"");
}

#[tokio::test]
async fn sockets_of_one_subject_are_counted_wherever_they_come_from() {
    let limit = "[limit.public]\nconnections_per_subject = 1\n";
    let proxy = Proxy::start(&format!("{AUTH}{limit}{FEED}auth = \"viewers\"\nlimit = \"public\"\n"));
    let _held = connect(&proxy, &token("ann", 600)).await;
    let (status, problem) = WsClient::refused(proxy.address(), &format!("/f?token={}", token("ann", 900)), &[]).await;
    assert_eq!(status, 429, "{problem}");
    let _other = connect(&proxy, &token("bob", 600)).await;
    // Who has no good token is told so, and takes no place.
    assert_eq!(WsClient::refused(proxy.address(), "/f", &[]).await.0, 401);
    let reason = "steadfeed_denied_total{route=\"/f\",reason=\"connections_per_subject\"}";
    assert_eq!(proxy.metric(reason).await, 1.0);
}

#[tokio::test]
async fn guessing_at_tokens_meets_the_rate() {
    let limit = "[limit.public]\nrequests = \"3/h\"\n";
    let proxy = Proxy::start(&format!("{AUTH}{limit}{FEED}auth = \"viewers\"\nlimit = \"public\"\n"));
    for expected in [401, 401, 401, 429, 429] {
        assert_eq!(get(proxy.address(), "/f?token=a.b.c", &[]).await.status, expected);
    }
}

#[tokio::test]
async fn where_the_secrets_variable_is_not_set_the_answer_says_which() {
    let auth = "[auth.viewers]\nsecret = \"${STEADFEED_NO_SUCH_VARIABLE:-}\"\n";
    let proxy = Proxy::start(&format!("{auth}{FEED}auth = \"viewers\"\n"));
    for path in ["/f".to_owned(), format!("/f?token={}", token("ann", 600))] {
        let reply = get(proxy.address(), &path, &[]).await;
        assert_eq!((reply.status, reply.header("retry-after").is_some()), (503, true));
        let problem: Value = reply.json();
        assert!(problem["detail"].as_str().expect("a detail").contains("STEADFEED_NO_SUCH_VARIABLE"), "{problem}");
        let (status, problem) = WsClient::refused(proxy.address(), &path, &[]).await;
        assert!(status == 503 && problem.to_string().contains("STEADFEED_NO_SUCH_VARIABLE"), "{problem}");
    }
    assert_eq!(proxy.metric("steadfeed_denied_total{route=\"/f\",reason=\"no_secret\"}").await, 4.0);
}

#[tokio::test]
async fn the_log_says_who_where_why_and_what_to_change_and_no_token() {
    let limit = "[limit.public]\nupgrades = \"1/h\"\nconnections_per_client = 1\n";
    let routes = "[[route]]\npath = \"/inside\"\nrespond = { body = \"x\" }\nallow = [\"10.0.0.0/8\"]\n";
    let config = format!("admin.listen = \"off\"\n{AUTH}{limit}{FEED}auth = \"viewers\"\nlimit = \"public\"\n{routes}");
    let instance = Instance::start_whole(&config).await;
    let good = token("ann", 600);
    let _held = WsClient::try_connect(instance.address(), &format!("/f?token={good}"), &[]).await.expect("a socket");
    WsClient::refused(instance.address(), &format!("/f?token={good}"), &[]).await;
    let line = instance.line("client asks too often").await;
    for part in ["127.0.0.1", "/f", "public", "upgrades", "1/h", "trusted_proxies"] {
        assert!(line.contains(part), "{part}: {line}");
    }
    get(instance.address(), "/inside", &[]).await;
    let line = instance.line("address refused").await;
    for part in ["127.0.0.1", "/inside", "allow"] {
        assert!(line.contains(part), "{part}: {line}");
    }
    get(instance.address(), "/f?token=a.b.c", &[]).await;
    let line = instance.line("token refused").await;
    assert!(line.contains("127.0.0.1") && line.contains("viewers") && !line.contains("a.b.c"), "{line}");
}
