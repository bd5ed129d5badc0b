//! Cross-origin resource sharing, as a browser asks for it.

use crate::support::backend::{Backend, front};
use crate::support::{Proxy, RawHttp, Reply, get, request};

const CONFIG: &str = r#"
[[listener]]
address = "127.0.0.1:0"
[[route]]
path = "/api"
respond = { body = "data" }
cors = { origins = ["https://dash.example.com", "http://localhost:*"], credentials = true }
[[route]]
path = "/open"
respond = { body = "data" }
cors = { origins = ["*"] }
[[route]]
path = "/closed"
respond = { body = "data" }
"#;

async fn preflight(proxy: &Proxy, path: &str, origin: &str) -> Reply {
    let headers = [
        ("Origin", origin),
        ("Access-Control-Request-Method", "PUT"),
        ("Access-Control-Request-Headers", "authorization,content-type"),
    ];
    request(proxy.address(), "OPTIONS", path, &headers, "").await
}

#[tokio::test]
async fn a_browser_is_told_which_pages_may_ask() {
    let proxy = Proxy::start(CONFIG);
    let reply = preflight(&proxy, "/api", "https://dash.example.com").await;
    assert_eq!((reply.status, reply.text().as_str()), (204, ""));
    assert_eq!(reply.header("access-control-allow-origin"), Some("https://dash.example.com"));
    assert_eq!(reply.header("access-control-allow-credentials"), Some("true"));
    assert_eq!(reply.header("access-control-allow-methods"), Some("PUT"));
    assert_eq!(reply.header("access-control-allow-headers"), Some("authorization,content-type"));
    let foreign = preflight(&proxy, "/api", "https://evil.example").await;
    assert_eq!((foreign.status, foreign.header("access-control-allow-origin")), (403, None));
    // Without `cors` the question is for the route, and gets no leave.
    let closed = preflight(&proxy, "/closed", "https://dash.example.com").await;
    assert_eq!((closed.status, closed.header("access-control-allow-origin")), (200, None));
}

#[tokio::test]
async fn an_answer_is_given_to_all_and_opened_to_some() {
    let proxy = Proxy::start(CONFIG);
    let reply = get(proxy.address(), "/api", &[("Origin", "http://localhost:5173")]).await;
    assert_eq!((reply.status, reply.text().as_str()), (200, "data"));
    assert_eq!(reply.header("access-control-allow-origin"), Some("http://localhost:5173"));
    assert_eq!(reply.header("vary"), Some("origin"));
    for headers in [&[("Origin", "https://evil.example")][..], &[]] {
        let reply = get(proxy.address(), "/api", headers).await;
        assert_eq!((reply.status, reply.text().as_str()), (200, "data"));
        assert_eq!((reply.header("access-control-allow-origin"), reply.header("vary")), (None, Some("origin")));
    }
    let open = get(proxy.address(), "/open", &[("Origin", "https://evil.example")]).await;
    assert_eq!((open.header("access-control-allow-origin"), open.header("vary")), (Some("*"), None));
    assert_eq!(open.header("access-control-allow-credentials"), None);
}

#[tokio::test]
async fn a_backend_has_no_say_in_it_but_for_what_it_exposes() {
    let backend = Backend::bind().await;
    let proxy = front("", &backend.server(), "", "cors = { origins = [\"https://dash.example.com\"] }");
    let mut raw = RawHttp::connect(proxy.address()).await;
    raw.send(b"GET / HTTP/1.1\r\nHost: a\r\nOrigin: https://dash.example.com\r\n\r\n").await;
    let (head, mut server) = backend.request().await;
    assert!(head.to_lowercase().contains("origin: https://dash.example.com"), "{head}");
    server
        .send(
            b"HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nAccess-Control-Allow-Credentials: true\r\n\
              Access-Control-Expose-Headers: X-Total\r\nVary: Accept\r\nContent-Length: 0\r\n\r\n",
        )
        .await;
    let head = raw.head().await.to_lowercase();
    let mut said: Vec<_> =
        head.lines().filter(|line| line.starts_with("access-control") || line.starts_with("vary")).collect();
    said.sort_unstable();
    let expected = [
        "access-control-allow-origin: https://dash.example.com",
        "access-control-expose-headers: x-total",
        "vary: accept",
        "vary: origin",
    ];
    assert_eq!(said, expected);
    // A preflight is answered here, and the failure of the backend is the page's to read.
    let reply = preflight(&proxy, "/x", "https://dash.example.com").await;
    assert_eq!(reply.status, 204);
    drop((backend, server));
    let failed = get(proxy.address(), "/", &[("Origin", "https://dash.example.com")]).await;
    assert_eq!(failed.status, 502);
    assert_eq!(failed.header("access-control-allow-origin"), Some("https://dash.example.com"));
}
