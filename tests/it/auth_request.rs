//! `auth_request`: another server says whether a request may pass, and who it is from.

use tokio::io::AsyncWriteExt;

use crate::support::backend::{Backend, front};
use crate::support::http::lines;
use crate::support::{Proxy, RawHttp, WsClient, get, proxy, within};

const UPGRADE: &str = "Connection: Upgrade, X-User\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// Forwards everything that `auth` lets pass to `app`.
fn guarded(app: &str, auth: &Backend) -> Proxy {
    let asked = format!("auth_request = {{ url = \"{}/auth?a=1\", copy = [\"X-User\"] }}", auth.server());
    front("", app, "", &asked)
}

async fn ask(proxy: &Proxy, request: &str) -> RawHttp {
    let mut raw = RawHttp::connect(proxy.address()).await;
    raw.send(request.as_bytes()).await;
    raw
}

#[tokio::test]
async fn a_request_passes_with_what_the_answer_says_of_it() {
    let (app, auth) = (Backend::bind().await, Backend::bind().await);
    let proxy = guarded(&app.server(), &auth);
    let mut client = ask(
        &proxy,
        "POST /x/y?z=1 HTTP/1.1\r\nHost: dash.test\r\nCookie: s=1\r\nX-User: admin\r\nX_User: admin\r\n\
         Connection: X-User\r\nContent-Length: 4\r\n\r\nbody",
    )
    .await;
    let (head, mut asked) = auth.request().await;
    assert!(head.starts_with("GET /auth?a=1 HTTP/1.1\r\n"), "{head}");
    for (name, expected) in [
        ("host", ["dash.test"].as_slice()),
        ("cookie", &["s=1"]),
        ("x-original-uri", &["/x/y?z=1"]),
        ("x-original-method", &["POST"]),
        ("x-forwarded-for", &["127.0.0.1"]),
        ("x-forwarded-host", &["dash.test"]),
        ("content-length", &[]),
        ("transfer-encoding", &[]),
        ("connection", &[]),
    ] {
        assert_eq!(lines(&head, name), expected, "{name}: {head}");
    }
    asked.send(b"HTTP/1.1 200 OK\r\nX-User: ann\r\nX-Other: 1\r\nContent-Length: 2\r\n\r\nok").await;
    let (head, mut served) = app.request().await;
    assert!(head.starts_with("POST /x/y?z=1 HTTP/1.1\r\n"), "{head}");
    assert_eq!((lines(&head, "x-user"), lines(&head, "x_user")), (vec!["ann"], vec![]), "{head}");
    assert_eq!((lines(&head, "x-other"), lines(&head, "x-original-uri")), (vec![], vec![]), "{head}");
    assert_eq!(served.exactly(4).await, b"body");
    served.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await;
    assert!(client.head().await.starts_with("HTTP/1.1 200 "));
    // An answer that says nothing of the user leaves none; it comes on the same connection.
    client.exactly(2).await;
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX-User: admin\r\n\r\n").await;
    within("the second question", asked.head()).await;
    asked.send(b"HTTP/1.1 204 No Content\r\n\r\n").await;
    let head = within("the second request", served.head()).await;
    assert_eq!(lines(&head, "x-user"), Vec::<&str>::new(), "{head}");
}

/// What the question and the request behind it are called, for a client that says `told`.
async fn called(told: &str) -> [Vec<String>; 2] {
    let (app, auth) = (Backend::bind().await, Backend::bind().await);
    let proxy = guarded(&app.server(), &auth);
    let _client = ask(&proxy, &format!("GET / HTTP/1.1\r\nHost: a\r\n{told}\r\n")).await;
    let (question, mut asked) = auth.request().await;
    asked.send(b"HTTP/1.1 204 No Content\r\n\r\n").await;
    let (request, _served) = app.request().await;
    [question, request].map(|head| {
        let of = |name: &&str| lines(&head, name).into_iter().map(move |value| format!("{name}: {value}")).collect();
        let all: Vec<Vec<String>> = ["x-request-id", "traceparent", "tracestate"].iter().map(of).collect();
        all.concat()
    })
}

#[tokio::test]
async fn the_question_and_the_request_behind_it_are_called_the_same() {
    const PARENT: &str = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let [question, request] = called("").await;
    assert_eq!((question.len(), &question), (2, &request));
    // Neither the state of a trace that is no good, nor what stays behind on this connection.
    let odd = "Connection: X-Request-Id\r\nX-Request-Id: mine\r\nTraceparent: none\r\nTracestate: a=b\r\n";
    let [question, request] = called(odd).await;
    assert_eq!((question.len(), &question), (2, &request));
    assert!(!question.contains(&"x-request-id: mine".to_owned()), "{question:?}");
    let told = format!("X-Request-Id: mine\r\n{PARENT}\r\nTracestate: a=b\r\n");
    let [question, request] = called(&told).await;
    assert_eq!(question, ["x-request-id: mine", PARENT, "tracestate: a=b"]);
    assert_eq!(question, request);
}

#[tokio::test]
async fn a_refusal_is_the_clients_and_the_application_sees_nothing() {
    let (app, auth) = (Backend::bind().await.record(), Backend::bind().await);
    let proxy = guarded(&format!("http://{}", app.address), &auth);
    for (answer, status, challenge) in [
        (
            "401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"a\"\r\nSet-Cookie: a=1\r\n",
            401,
            Some("Basic realm=\"a\""),
        ),
        ("401 Unauthorized\r\n", 401, Some("Bearer")),
        ("403 Forbidden\r\n", 403, None),
        ("302 Found\r\nLocation: /login\r\n", 500, None),
        ("404 Not Found\r\n", 500, None),
        ("503 Service Unavailable\r\n", 500, None),
    ] {
        let reply = async {
            let (_, mut asked) = auth.request().await;
            let answer = format!("HTTP/1.1 {answer}Connection: close\r\nContent-Length: 6\r\n\r\nsecret");
            asked.send(answer.as_bytes()).await;
        };
        let (reply, ()) = tokio::join!(get(proxy.address(), "/", &[]), reply);
        assert_eq!((reply.status, reply.header("www-authenticate")), (status, challenge), "{answer}");
        assert_eq!((reply.header("set-cookie"), reply.header("location")), (None, None));
        assert!(!reply.text().contains("secret") && reply.json()["status"] == status, "{}", reply.text());
    }
    assert_eq!(app.seen(), "");
}

#[tokio::test]
async fn where_nobody_can_be_asked_nothing_passes() {
    let (app, auth) = (Backend::bind().await.record(), Backend::bind().await);
    let proxy = guarded(&format!("http://{}", app.address), &auth);
    let hangs_up = async {
        loop {
            drop(auth.request().await);
        }
    };
    let reply = tokio::select! {
        reply = get(proxy.address(), "/", &[]) => reply,
        () = hangs_up => unreachable!("it goes on"),
    };
    assert_eq!(reply.status, 502);
    drop(auth);
    assert_eq!(get(proxy.address(), "/", &[]).await.status, 502);
    assert_eq!(app.seen(), "");
}

#[tokio::test]
async fn a_body_without_end_is_not_waited_for() {
    let (app, auth) = (Backend::bind().await.record(), Backend::bind().await);
    let proxy = guarded(&format!("http://{}", app.address), &auth);
    let endless = async {
        let (_, mut asked) = auth.request().await;
        asked.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n").await;
        while asked.stream.write_all(&[b'x'; 4096]).await.is_ok() {}
    };
    let (reply, ()) = tokio::join!(get(proxy.address(), "/", &[]), within("the proxy to hang up", endless));
    assert_eq!(reply.text(), "ok");
    let silent = async {
        let (_, mut asked) = auth.request().await;
        asked.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n").await;
        assert_eq!(asked.rest().await, b"");
    };
    let (reply, ()) = tokio::join!(get(proxy.address(), "/", &[]), silent);
    assert_eq!(reply.text(), "ok");
}

#[tokio::test]
async fn sockets_are_asked_for_too() {
    let (app, auth) = (Backend::bind().await, Backend::bind().await);
    let proxy = guarded(&app.server(), &auth);
    let mut client = ask(&proxy, &format!("GET /ws HTTP/1.1\r\nHost: a\r\nX-User: admin\r\n{UPGRADE}\r\n")).await;
    let (head, mut asked) = auth.request().await;
    assert!(head.starts_with("GET /auth?a=1 ") && lines(&head, "upgrade").is_empty(), "{head}");
    asked.send(b"HTTP/1.1 200 OK\r\nX-User: ann\r\nContent-Length: 0\r\n\r\n").await;
    let (head, mut served) = app.request().await;
    assert_eq!((lines(&head, "x-user"), lines(&head, "upgrade")), (vec!["ann"], vec!["websocket"]), "{head}");
    served.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello").await;
    assert!(client.head().await.starts_with("HTTP/1.1 101 "));
    assert_eq!(client.exactly(5).await, b"hello");
}

#[tokio::test]
async fn a_feed_may_be_behind_it() {
    let auth = Backend::bind().await;
    let proxy = Proxy::start(&format!("{}auth_request = \"{}\"\n", proxy::feed(""), auth.server()));
    let no = async {
        let (head, mut asked) = auth.request().await;
        asked.send(b"HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").await;
        // On a connection of its own, as it may come from another worker.
        let (_, mut asked) = auth.request().await;
        asked.send(b"HTTP/1.1 204 No Content\r\n\r\n").await;
        head
    };
    let clients = async {
        let (status, _) = WsClient::refused(proxy.address(), "/f", &[]).await;
        assert_eq!(status, 403);
        let mut client = WsClient::connect(proxy.address(), "/f").await;
        assert_eq!(client.json().await["type"], "connected");
    };
    let ((), head) = tokio::join!(clients, no);
    assert!(head.starts_with("GET / HTTP/1.1\r\n"), "{head}");
}

#[tokio::test]
async fn trailers_do_not_say_what_the_answer_says() {
    let (app, auth) = (Backend::bind().await, Backend::bind().await);
    let asked = format!("auth_request = {{ url = \"{}/auth\", copy = [\"X-User\"] }}", auth.server());
    let rules = "headers = { request = { \"X-Tenant\" = \"a\", \"X-Gone\" = \"\" } }";
    let proxy = front("", &app.server(), "", &format!("{asked}\n{rules}"));
    let _client = ask(
        &proxy,
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\
         X-User: admin\r\nX_User: admin\r\nX-Tenant: b\r\nX-Gone: c\r\nX-Sum: 1\r\n\r\n",
    )
    .await;
    let (_, mut asked) = auth.request().await;
    asked.send(b"HTTP/1.1 200 OK\r\nX-User: guest\r\nContent-Length: 0\r\n\r\n").await;
    let (head, mut passed) = app.request().await;
    assert_eq!((lines(&head, "x-user"), lines(&head, "x-tenant")), (vec!["guest"], vec!["a"]), "{head}");
    assert_eq!(passed.until(b"\r\n\r\n").await, "2\r\nhi\r\n0\r\nx-sum: 1\r\n\r\n");
}
