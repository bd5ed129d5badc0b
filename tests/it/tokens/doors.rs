//! Who gets in by what: every carrier, every door, and what is refused.

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::{ROUTES, answer, claims, config, hs256, now, open, private};
use crate::support::instance::run;
use crate::support::{Proxy, RawHttp, WsClient, get, request};

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
