//! Tokens (JWT) and tickets, from the config to the socket: who gets in by what, and where a token is never seen.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::KeyPair;
use serde_json::{Value, json};
use steadfeed::config::{self, Surroundings};

use crate::support::config::{PLAIN as LISTENER, feed};
use crate::support::instance::run;
use crate::support::raw_ws::{masked, upgrade};
use crate::support::{Backend, Instance, Proxy, RawHttp, RawWs, WsClient, get, request, until};

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
    format!("{LISTENER}[auth.viewers]\nsecret = \"{SECRET}\"\n{auth}\n{routes}")
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

#[tokio::test]
async fn a_socket_opens_with_a_good_token_by_every_carrier() {
    let from = r#"from = ["header", "subprotocol", "query:token", "cookie:session"]"#;
    let proxy = Proxy::start(&config(from, ROUTES));
    let token = hs256(&claims());
    let (bearer, pair, cookie) =
        (format!("Bearer {token}"), format!("bearer, {token}"), format!("a=1; session={token}"));
    open(proxy.address(), "/private", &[("authorization", &bearer)]).await;
    open(proxy.address(), &format!("/private?token={token}"), &[]).await;
    open(proxy.address(), "/private", &[("cookie", &cookie)]).await;
    let socket = open(proxy.address(), "/private", &[("sec-websocket-protocol", &pair)]).await;
    assert_eq!(socket.response.headers()["sec-websocket-protocol"], "bearer");
}

#[tokio::test]
async fn every_door_of_a_feed_asks_for_the_token_and_the_public_one_beside_it_does_not() {
    let proxy = private();
    proxy.say_all(&[r#"{"type":"t","data":1}"#]).await;
    let bearer = format!("Bearer {}", hs256(&claims()));
    for accept in ["*/*", "text/event-stream"] {
        let refused = get(proxy.address(), "/private", &[("accept", accept)]).await;
        assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some("Bearer")));
        assert_eq!(refused.json()["detail"], "this needs a token");
    }
    assert_eq!(get(proxy.address(), "/private", &[("authorization", &bearer)]).await.status, 200);
    open(proxy.address(), "/f", &[]).await;
    assert_eq!(WsClient::refused(proxy.address(), "/private", &[]).await.0, 401);
}

#[tokio::test]
async fn a_bad_token_is_refused_before_the_socket_opens_and_counted() {
    let proxy = Proxy::start(&config("audience = \"dash\"\nrequire = { role = \"operator\" }", ROUTES));
    let with = |changed: Value| {
        let mut claims = claims();
        claims["aud"] = "dash".into();
        claims["role"] = "operator".into();
        claims.as_object_mut().expect("claims").extend(changed.as_object().expect("claims").clone());
        hs256(&claims)
    };
    open(proxy.address(), &format!("/private?token={}", with(json!({}))), &[]).await;
    let other = EncodingKey::from_secret(b"another secret of at least 32 bytes");
    let expired = "Bearer error=\"invalid_token\", error_description=\"the token has expired\"";
    let invalid = "Bearer error=\"invalid_token\"";
    let bad = [
        (with(json!({ "exp": now() - 60 })), 401, expired),
        (with(json!({ "nbf": now() + 60 })), 401, invalid),
        (with(json!({ "aud": "mail" })), 401, invalid),
        (encode(&Header::default(), &claims(), &other).expect("a token"), 401, invalid),
        ("eyJhbGciOiJub25lIn0.eyJleHAiOjQxMDI0NDQ4MDB9.".to_owned(), 401, invalid),
        ("nonsense".to_owned(), 401, invalid),
        ("%00".to_owned(), 401, invalid),
        ("x".repeat(16 * 1024), 401, invalid),
        (with(json!({ "role": "viewer" })), 403, "Bearer error=\"insufficient_scope\""),
    ];
    for (token, status, challenge) in &bad {
        let head = answer(proxy.address(), &format!("/private?token={token}"), &[]).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        assert!(head.contains(&format!("\r\nwww-authenticate: {challenge}\r\n")), "{head}");
        assert!(!head.contains(token.as_str()), "{head}");
    }
    let denied = |reason: &str| format!("steadfeed_denied_total{{route=\"/private\",reason=\"{reason}\"}}");
    assert_eq!(proxy.metric(&denied("bad_token")).await, 8.0);
    assert_eq!(proxy.metric(&denied("claim")).await, 1.0);
}

#[tokio::test]
async fn a_token_of_64_kib_is_refused() {
    let top = "[limits]\nheader_size = \"128KiB\"\n";
    let proxy = Proxy::start(&format!("{top}{}", config("", ROUTES)));
    let bearer = format!("Bearer {}", "x".repeat(64 * 1024));
    assert_eq!(get(proxy.address(), "/private", &[("authorization", &bearer)]).await.status, 401);
}

#[tokio::test]
async fn a_head_that_is_too_large_for_its_token_is_counted_as_one_that_is_no_head_at_all() {
    let proxy = private();
    let long = format!("GET /private HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\r\n", "x".repeat(64 * 1024));
    for (head, status, reason) in
        [(long.as_str(), 431, "header_size"), ("GET /private HTTP/1.1\r\nno field\r\n\r\n", 400, "malformed")]
    {
        let mut raw = RawHttp::connect(proxy.address()).await;
        raw.send(head.as_bytes()).await;
        let answer = raw.head().await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        let counted = format!("steadfeed_denied_total{{route=\"none\",reason=\"{reason}\"}}");
        proxy.until_metric(&counted, 1.0).await;
    }
}

/// What a page tells its script.
fn told(page: &str) -> Value {
    let (_, rest) = page.split_once("<script type=\"application/json\"").expect("what the page is told");
    let (_, rest) = rest.split_once('>').expect("the tag's end");
    serde_json::from_str(rest.split_once("</script>").expect("its end").0).expect("JSON")
}

#[tokio::test]
async fn a_page_that_asks_for_a_token_loads_and_shows_it_to_its_feed() {
    let page =
        "[[route]]\npath = \"/live\"\npage = \"f\"\nauth = \"viewers\"\n[[route]]\npath = \"/open\"\npage = \"f\"\n";
    let proxy = Proxy::start(&config("", &format!("{ROUTES}{page}")));
    assert_eq!(get(proxy.address(), "/live", &[]).await.status, 401);
    let live = get(proxy.address(), &format!("/live?token={}", hs256(&claims())), &[]).await;
    assert_eq!(live.status, 200);
    // Browsers ask for these without the page's query.
    assert_eq!(get(proxy.address(), "/live/.steadfeed/page.js", &[]).await.status, 200);
    let told_live = told(&live.text());
    assert_eq!((&told_live["feed"], &told_live["token"]), (&json!("/private"), &json!("token")));
    assert_eq!(told_live["private"], json!(["/private"]));
    let told_open = told(&get(proxy.address(), "/open", &[]).await.text());
    assert_eq!((&told_open["feed"], &told_open["private"]), (&json!("/f"), &json!([])));
}

#[tokio::test]
async fn a_token_of_another_routes_auth_is_refused() {
    let second = "[auth.editors]\nsecret = \"another secret of at least 32 bytes\"\n\
                  [[route]]\npath = \"/edit\"\nfeed = \"f\"\nauth = \"editors\"\n";
    let proxy = Proxy::start(&config("", &format!("{ROUTES}{second}")));
    let path = |path: &str| format!("{path}?token={}", hs256(&claims()));
    open(proxy.address(), &path("/private"), &[]).await;
    assert_eq!(WsClient::refused(proxy.address(), &path("/edit"), &[]).await.0, 401);
}

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
async fn a_ticket_opens_one_socket_on_any_worker() {
    let proxy = private();
    let bearer = format!("Bearer {}", hs256(&claims()));
    // New connections go to the worker that has fewest: these go to both.
    for _ in 0..4 {
        let given = request(proxy.address(), "POST", "/ticket", &[("authorization", &bearer)], "").await;
        assert_eq!((given.status, given.header("cache-control")), (200, Some("no-store")));
        assert_eq!(given.json()["expires_in"], 30);
        let path = format!("/private?ticket={}", given.json()["ticket"].as_str().expect("a ticket"));
        let _kept = open(proxy.address(), &path, &[]).await;
        assert_eq!(WsClient::refused(proxy.address(), &path, &[]).await.0, 401);
    }
    let other = request(proxy.address(), "POST", "/ticket?ticket=abc", &[], "").await;
    assert_eq!((other.status, other.json()["detail"].as_str()), (401, Some("this needs a token")));
    let got = get(proxy.address(), "/ticket", &[("authorization", &bearer)]).await;
    assert_eq!((got.status, got.header("allow")), (405, Some("POST")));
}

/// A provider of keys: serves what it is told, and counts how often it was asked.
struct Provider {
    url: String,
    state: Arc<Mutex<(String, u32)>>,
}

impl Provider {
    async fn start(first: &str) -> Provider {
        let backend = Backend::bind().await;
        let url = format!("{}/keys", backend.server());
        let state = Arc::new(Mutex::new((first.to_owned(), 0)));
        let served = Arc::clone(&state);
        tokio::spawn(async move {
            loop {
                let (_, mut stream) = backend.request().await;
                let answer = {
                    let mut state = served.lock().expect("no panic");
                    state.1 += 1;
                    state.0.clone()
                };
                stream.send(answer.as_bytes()).await;
            }
        });
        Provider { url, state }
    }

    fn serve(&self, answer: &str) {
        self.state.lock().expect("no panic").0 = answer.to_owned();
    }

    fn asked(&self) -> u32 {
        self.state.lock().expect("no panic").1
    }
}

/// An answer with these keys, by their `kid`.
fn key_set(keys: &[(&str, &EncodingKey)]) -> String {
    let key = |(kid, key): &(&str, &EncodingKey)| {
        let mut jwk = Jwk::from_encoding_key(key, Algorithm::ES256).expect("a key");
        jwk.common.key_id = Some((*kid).to_owned());
        jwk
    };
    let body = json!({ "keys": keys.iter().map(key).collect::<Vec<_>>() }).to_string();
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

fn es256(kid: &str, key: &EncodingKey) -> String {
    let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::ES256) };
    encode(&header, &claims(), key).expect("a token")
}

fn key() -> EncodingKey {
    let pair = KeyPair::generate().expect("a key");
    EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).expect("it is one")
}

fn with_provider(provider: &Provider) -> Proxy {
    Proxy::start(&format!("{LISTENER}[auth.viewers]\njwks_url = \"{}\"\n{ROUTES}", provider.url))
}

#[tokio::test]
async fn a_key_set_that_is_down_at_the_start_is_503_and_is_had_once_it_is_up() {
    let key = key();
    let provider = Provider::start("HTTP/1.1 500 Oh\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
    let proxy = with_provider(&provider);
    let bearer = format!("Bearer {}", es256("one", &key));
    let down = get(proxy.address(), "/private", &[("authorization", &bearer)]).await;
    assert_eq!((down.status, down.header("retry-after").is_some()), (503, true));
    assert_eq!(down.json()["detail"], "tokens cannot be checked at the moment; try again soon");
    provider.serve(&key_set(&[("one", &key)]));
    until("the keys", || async {
        WsClient::try_connect(proxy.address(), "/private", &[("authorization", &bearer)]).await.ok()
    })
    .await;
    assert_eq!(proxy.metric("steadfeed_jwks_keys{auth=\"viewers\"}").await, 1.0);
    assert!(proxy.metric("steadfeed_denied_total{route=\"/private\",reason=\"no_keys\"}").await >= 1.0);
}

#[tokio::test]
async fn a_key_that_nobody_has_is_refused_and_asked_for_once_however_many_bring_it() {
    let (key, other) = (key(), key());
    let provider = Provider::start(&key_set(&[("one", &key)])).await;
    let proxy = with_provider(&provider);
    open(proxy.address(), &format!("/private?token={}", es256("one", &key)), &[]).await;
    for kid in 0..20 {
        let path = format!("/private?token={}", es256(&format!("none-{kid}"), &other));
        assert_eq!(WsClient::refused(proxy.address(), &path, &[]).await.0, 401);
    }
    // The pause after the first fetch is not over.
    assert_eq!(provider.asked(), 1);
    // A key's name alone is not enough.
    let forged = format!("/private?token={}", es256("one", &other));
    assert_eq!(WsClient::refused(proxy.address(), &forged, &[]).await.0, 401);
}

#[tokio::test]
async fn a_key_file_that_is_rotated_is_read_again_for_the_first_who_brings_the_new_key() {
    let (old, new) = (key(), key());
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("keys.json");
    let body = |keys: &[(&str, &EncodingKey)]| key_set(keys).split_once("\r\n\r\n").expect("a body").1.to_owned();
    std::fs::write(&path, body(&[("old", &old)])).expect("a disk");
    let auth = format!("[auth.viewers]\njwks_file = \"{}\"\n", path.display());
    let proxy = Proxy::start(&format!("{LISTENER}{auth}{ROUTES}"));
    open(proxy.address(), &format!("/private?token={}", es256("old", &old)), &[]).await;
    std::fs::write(&path, body(&[("new", &new)])).expect("a disk");
    open(proxy.address(), &format!("/private?token={}", es256("new", &new)), &[]).await;
    let gone = format!("/private?token={}", es256("old", &old));
    assert_eq!(WsClient::refused(proxy.address(), &gone, &[]).await.0, 401);
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

#[tokio::test]
async fn what_the_command_signs_opens_the_socket() {
    let text = config("issuer = \"https://id.test\"\nrequire = { role = \"operator\" }", ROUTES);
    let proxy = Proxy::start(&text);
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("steadfeed.toml"), &text).expect("a disk");
    let token = |more: &[&str]| {
        let output = run(folder.path(), &[&["token", "--auth", "viewers", "--sub", "ann"], more].concat());
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
        (output.status.success(), text(&output.stdout), text(&output.stderr))
    };
    let (done, printed, said) = token(&["--ttl", "5m", "--claim", "role=operator"]);
    assert!(done && said.is_empty(), "{said}");
    open(proxy.address(), &format!("/private?token={}", printed.trim_end()), &[]).await;
    let (done, printed, said) = token(&[]);
    assert!(done && said.contains("add --claim 'role=\"operator\"'"), "{said}");
    let path = format!("/private?token={}", printed.trim_end());
    assert_eq!(WsClient::refused(proxy.address(), &path, &[]).await.0, 403);
    let output = run(folder.path(), &["token", "--auth", "editors", "--sub", "ann"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    assert_eq!(output.stderr, b"steadfeed: the config has no [auth.editors]; it has viewers\n");
}

#[test]
fn a_config_whose_key_cannot_be_had_is_told_at_the_start() {
    let surroundings = Surroundings { variable: &|_| None, cpus: std::num::NonZeroUsize::MIN, descriptors: 20_000 };
    let text = format!("{LISTENER}[auth.viewers]\npublic_key_file = \"Cargo.toml\"\n{ROUTES}");
    let loaded = config::check("a.toml".to_owned(), text, &surroundings).unwrap_or_else(|refused| panic!("{refused}"));
    let error = steadfeed::app::App::bind(loaded.config).expect_err("Cargo.toml is no key");
    assert!(error.to_string().contains("Cargo.toml: it holds no public key or certificate in PEM"), "{error}");
}
