//! Feeds that are split by path, query or subject: whose upstream is whose, with which token, and for how long.

use futures_util::FutureExt;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::support::config::PLAIN;
use crate::support::http::field;
use crate::support::{Backend, Proxy, ServerWs, SseClient, WsClient, get, post_json, until, within};

const SECRET: &str = "a secret of thirty-two bytes or so";

/// A socket that steadfeed dialled, for which the test speaks.
struct Dial {
    target: String,
    authorization: String,
    socket: ServerWs,
}

/// The next one.
async fn dialled(backend: &Backend) -> Dial {
    let socket = backend.websocket().await;
    let target = socket.head.split(' ').nth(1).expect("a request line").to_owned();
    Dial { target, authorization: field(&socket.head, "authorization").unwrap_or_default().to_owned(), socket }
}

impl Dial {
    /// Sends a number.
    async fn say(&mut self, number: u8) {
        let text = format!(r#"{{"type":"n","data":{number}}}"#);
        self.socket.say(&text).await;
    }

    /// Waits until steadfeed has let go of it.
    async fn ended(mut self) {
        self.socket.raw.rest().await;
    }
}

/// A feed `f` of `backend` with these options, and these routes.
fn split(backend: &Backend, options: &str, routes: &str) -> String {
    format!(
        "{PLAIN}[feed.f]\nsource = {{ websocket = \"ws://{}/src?tenant=0\" }}\ngreet = false\nkeepalive = false\n\
         notices = false\n{options}\n{routes}\n",
        backend.address()
    )
}

fn by_path_and_query(backend: &Backend, linger: &str) -> String {
    let options = format!("share = [\"path\", \"query\"]\nlinger = \"{linger}\"");
    split(backend, &options, "[[route]]\npath = \"/dash/*\"\nfeed = \"f\"")
}

#[tokio::test]
async fn each_path_and_query_has_its_own_upstream_which_ends_with_its_viewers() {
    let backend = Backend::bind().await;
    let proxy = Proxy::start(&by_path_and_query(&backend, "100ms"));
    let mut first = WsClient::connect(proxy.address(), "/dash/a?y=2&x=1&last=3").await;
    let mut one = dialled(&backend).await;
    assert_eq!(one.target, "/src/a?tenant=0&x=1&y=2");
    let mut second = WsClient::connect(proxy.address(), "/dash/b?tenant=9").await;
    let mut other = dialled(&backend).await;
    assert_eq!(other.target, "/src/b?tenant=0");
    one.say(1).await;
    other.say(2).await;
    assert_eq!((first.values(1).await, second.values(1).await), (vec![json!(1)], vec![json!(2)]));
    let mut third = SseClient::connect(proxy.address(), "/dash/%61?x=1&y=2", &[]).await;
    assert!(third.event().await.data.contains("\"data\":1"));
    proxy.until_metric("steadfeed_feed_viewers{feed=\"f\"}", 3.0).await;
    proxy.until_metric("steadfeed_feed_up{feed=\"f\",source=\"websocket\"}", 2.0).await;
    drop((first, third));
    one.ended().await;
    proxy.until_metric("steadfeed_feed_viewers{feed=\"f\"}", 1.0).await;
    proxy.until_metric("steadfeed_feed_up{feed=\"f\",source=\"websocket\"}", 1.0).await;
    other.say(3).await;
    assert_eq!(second.values(1).await, [3]);
}

#[tokio::test]
async fn a_plain_get_begins_a_branch_and_is_204_until_its_first_value() {
    let backend = Backend::bind().await;
    let proxy = Proxy::start(&by_path_and_query(&backend, "60s"));
    assert_eq!(get(proxy.address(), "/dash/a", &[]).await.status, 204);
    let mut dial = dialled(&backend).await;
    dial.say(7).await;
    let reply = until("the value", || async {
        let reply = get(proxy.address(), "/dash/a", &[]).await;
        (reply.status == 200).then_some(reply)
    })
    .await;
    assert_eq!(reply.json()["data"], 7);
    assert_eq!(get(proxy.address(), "/dash/b", &[]).await.status, 204, "another path has none of it");
}

#[tokio::test]
async fn a_crowd_causes_one_dial_and_one_more_where_that_is_lost() {
    let backend = Backend::bind().await;
    let proxy = Proxy::start(&by_path_and_query(&backend, "60s"));
    let crowd = (0..100).map(|_| WsClient::connect(proxy.address(), "/dash/a"));
    let mut crowd = futures_util::future::join_all(crowd).await;
    for round in 1..=2 {
        let mut dial = dialled(&backend).await;
        dial.say(round).await;
        for viewer in &mut crowd {
            assert_eq!(viewer.values(1).await, [round]);
        }
        assert!(backend.accept().now_or_never().is_none(), "one is enough");
    }
}

#[tokio::test]
async fn nobody_climbs_above_the_path_of_a_source() {
    let backend = Backend::bind().await;
    let proxy = Proxy::start(&by_path_and_query(&backend, "60s"));
    for path in ["/dash/../x", "/dash/%2e%2e/x", "/dash/a%2f..%2fb", "/dash/a//b", "/dash/..;/x", "/dash/%252e%252e"] {
        let (status, problem) = WsClient::refused(proxy.address(), path, &[]).await;
        assert_eq!(status, 400, "{path}: {problem}");
    }
    let long = format!("/dash/a?x={}", "x".repeat(steadfeed::limits::BRANCH_KEY));
    assert_eq!(WsClient::refused(proxy.address(), &long, &[]).await.0, 414);
    assert!(backend.accept().now_or_never().is_none());
}

#[tokio::test]
async fn nothing_is_published_to_a_feed_that_is_split() {
    let backend = Backend::bind().await;
    let proxy = Proxy::start(&by_path_and_query(&backend, "60s"));
    let reply = post_json(proxy.admin(), "/api/feeds/f", "1").await;
    assert_eq!(reply.status, 409, "{}", reply.text());
    assert!(reply.text().contains("split"), "{}", reply.text());
}

#[tokio::test]
async fn viewers_of_a_branch_are_told_to_come_back_in_a_drain() {
    let backend = Backend::bind().await;
    let config = format!("[drain]\nspread = \"100ms\"\n{}", by_path_and_query(&backend, "60s"));
    let proxy = Proxy::start(&config);
    let mut viewer = WsClient::connect(proxy.address(), "/dash/a").await;
    let mut events = SseClient::connect(proxy.address(), "/dash/b", &[]).await;
    let dials = [dialled(&backend).await, dialled(&backend).await];
    proxy.stages().drain();
    assert_eq!(viewer.closed().await.expect("a close").code, CloseCode::Restart);
    events.rest().await;
    within("the process to end", async { proxy.join() }).await;
    for dial in dials {
        dial.ended().await;
    }
}

/// A token of this subject that is good for so many seconds.
fn token(subject: &str, seconds: i64) -> String {
    let exp =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_secs() as i64 + seconds;
    let claims = if subject.is_empty() { json!({ "exp": exp }) } else { json!({ "exp": exp, "sub": subject }) };
    encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).expect("it is signed")
}

/// Two auths with the same key, and a route for each.
fn by_subject(backend: &Backend) -> String {
    let routes = format!(
        "[auth.v]\nsecret = \"{SECRET}\"\n[auth.w]\nsecret = \"{SECRET}\"\n\
         [[route]]\npath = \"/v\"\nfeed = \"f\"\nauth = \"v\"\n[[route]]\npath = \"/w\"\nfeed = \"f\"\nauth = \"w\"\n"
    );
    split(backend, "share = [\"subject\"]\nforward_token = \"header\"\nlinger = \"100ms\"", &routes)
}

async fn view(proxy: &Proxy, path: &str, token: &str) -> WsClient {
    let bearer = format!("Bearer {token}");
    let opened = WsClient::try_connect(proxy.address(), path, &[("Authorization", &bearer)]).await;
    opened.unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[tokio::test]
async fn each_user_has_an_upstream_that_is_asked_with_their_own_token() {
    let backend = Backend::bind().await;
    let proxy = Proxy::start(&by_subject(&backend));
    let mut viewers = Vec::new();
    for (number, (path, subject)) in [("/v", "ann"), ("/v", "bob"), ("/w", "ann")].into_iter().enumerate() {
        let token = token(subject, 600 + number as i64);
        let viewer = view(&proxy, path, &token).await;
        let mut dial = dialled(&backend).await;
        assert_eq!((dial.target.as_str(), dial.authorization), ("/src?tenant=0", format!("Bearer {token}")));
        dial.authorization = String::new();
        dial.say(number as u8).await;
        viewers.push((viewer, dial));
    }
    for (number, (viewer, _dial)) in viewers.iter_mut().enumerate() {
        assert_eq!(viewer.values(1).await, [number]);
    }
    let bearer = format!("Bearer {}", token("bob", 60));
    let reply = get(proxy.address(), "/v", &[("Authorization", &bearer)]).await;
    assert_eq!((reply.json()["data"].clone(), reply.header("cache-control")), (json!(1), Some("private, no-cache")));
    assert_eq!(WsClient::refused(proxy.address(), "/v", &[]).await.0, 401);
    let untimely = "steadfeed_feed_failures_total{feed=\"f\",reason=\"no_token\"}";
    assert_eq!(proxy.metric(untimely).await, 0.0, "an upstream is asked once its first viewer's token is there");
    let bearer = format!("Bearer {}", token("", 60));
    assert_eq!(WsClient::refused(proxy.address(), "/v", &[("Authorization", &bearer)]).await.0, 403);
}

#[tokio::test]
async fn an_upstream_that_is_lost_is_asked_again_with_the_newest_token_of_who_is_there() {
    let backend = Backend::bind().await;
    let proxy = Proxy::start(&by_subject(&backend));
    let (old, long, newest) = (token("ann", 600), token("ann", 900), token("ann", 700));
    let _stays = view(&proxy, "/v", &old).await;
    let first = dialled(&backend).await;
    let leaves = view(&proxy, "/v", &long).await;
    let mut renews = view(&proxy, "/v", &old).await;
    renews.ask(&json!({ "type": "auth", "data": { "token": newest } }).to_string()).await;
    drop(first);
    let second = dialled(&backend).await;
    assert_eq!(second.authorization, format!("Bearer {long}"));
    drop(leaves);
    proxy.until_metric("steadfeed_feed_viewers{feed=\"f\"}", 2.0).await;
    drop(second);
    let third = dialled(&backend).await;
    assert_eq!(third.authorization, format!("Bearer {newest}"));
}
