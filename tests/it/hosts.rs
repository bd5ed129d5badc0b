//! Hosts: which a connection may be asked for, the way from a plain listener to HTTPS, and a route's own headers.

use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::support::backend::{Backend, front};
use crate::support::config::{PLAIN, plain};
use crate::support::raw::RawHttp;
use crate::support::{H2Client, Proxy, get, request, tls};

/// A TLS listener with a certificate for each name, and a route that says a host's own name.
fn secure(folder: &Path, names: &[&str]) -> String {
    let pairs: Vec<_> = names
        .iter()
        .map(|name| {
            tls::make(folder, name);
            let path = |end: &str| folder.join(format!("{}.{end}", name.replace('*', "_wildcard")));
            let (cert, key) = (path("pem"), path("key"));
            format!("{{ cert = \"{}\", key = \"{}\" }}", cert.display(), key.display())
        })
        .collect();
    format!(
        "{PLAIN}[listener.tls]\ncertificates = [{}]\n\
         [[route]]\nhost = \"b.test\"\npath = \"/*\"\nrespond = {{ body = \"b\" }}\n\
         [[route]]\npath = \"/*\"\nrespond = {{ body = \"any\" }}\n",
        pairs.join(", ")
    )
}

/// The status and body for `host` on a connection that asked for `name`.
async fn ask(proxy: &Proxy, folder: &TempDir, name: &str, host: &str) -> String {
    let config = Arc::new(tls::client(folder.path(), tls::BOTH));
    let stream = tls::connect(&config, proxy.address(), name).await.expect("TLS");
    let mut raw = RawHttp::over(stream);
    raw.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes()).await;
    let answer = String::from_utf8_lossy(&raw.rest().await).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    let body = if head.contains("problem+json") { "problem" } else { body };
    format!("{} {body}", &head[9..12])
}

#[tokio::test]
async fn a_request_for_a_host_of_another_certificate_is_misdirected() {
    let folder = tempfile::tempdir().expect("a folder");
    let proxy = Proxy::start(&secure(folder.path(), &["a.test", "b.test"]));
    assert_eq!(ask(&proxy, &folder, "a.test", "a.test").await, "200 any");
    assert_eq!(ask(&proxy, &folder, "b.test", "B.test:8443").await, "200 b");
    assert_eq!(ask(&proxy, &folder, "a.test", "b.test").await, "421 problem");
    assert_eq!(ask(&proxy, &folder, "b.test", "a.test").await, "421 problem");
    assert_eq!(ask(&proxy, &folder, "a.test", "localhost").await, "200 any");
    assert_eq!(ask(&proxy, &folder, "a.test", "127.0.0.1:8443").await, "200 any");
}

/// A connection of HTTP/2 that asked for `name`.
async fn http2(proxy: &Proxy, folder: &TempDir, name: &str) -> H2Client {
    let mut config = tls::client(folder.path(), tls::BOTH);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = tls::connect(&Arc::new(config), proxy.address(), name).await.expect("TLS");
    H2Client::over(stream, name).await
}

/// The statuses of requests for these hosts over one connection, and each body that is no problem.
async fn answers(client: &H2Client, hosts: &[&str]) -> Vec<String> {
    let mut answers = Vec::new();
    for host in hosts {
        let response = client.get_of(host, "/").await;
        let is_problem = response.headers()["content-type"] == "application/problem+json";
        let body = if is_problem { "problem".into() } else { String::from_utf8_lossy(response.body()) };
        answers.push(format!("{} {body}", response.status().as_u16()));
    }
    answers
}

#[tokio::test]
async fn over_http2_a_request_for_a_host_of_another_certificate_is_misdirected_and_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let proxy = Proxy::start(&secure(folder.path(), &["a.test", "b.test", "*.wild.test"]));
    let client = http2(&proxy, &folder, "a.test").await;
    // What is misdirected costs its stream alone.
    let hosts =
        ["a.test", "b.test", "B.test:8443", "x.wild.test", "a.test:8443", "c.test", "localhost", "127.0.0.1:8443"];
    let expected = ["200 any", "421 problem", "421 problem", "421 problem", "200 any", "200 any", "200 any", "200 any"];
    assert_eq!(answers(&client, &hosts).await, expected);
    // One connection for all that its certificate bears, as browsers have it.
    let client = http2(&proxy, &folder, "x.wild.test").await;
    let hosts = ["x.wild.test", "y.wild.test", "a.test", "y.x.wild.test"];
    assert_eq!(answers(&client, &hosts).await, ["200 any", "200 any", "421 problem", "200 any"]);
    let client = http2(&proxy, &folder, "b.test").await;
    assert_eq!(answers(&client, &["b.test", "a.test"]).await, ["200 b", "421 problem"]);
}

#[tokio::test]
async fn over_http2_nobody_is_misdirected_where_there_is_one_certificate_or_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let proxy = Proxy::start(&format!("{}{PLAIN}", secure(folder.path(), &["a.test"])));
    let secured = http2(&proxy, &folder, "a.test").await;
    let plain =
        H2Client::over(TcpStream::connect(proxy.listener(1)).await.expect("the listener accepts"), "a.test").await;
    for client in [secured, plain] {
        assert_eq!(answers(&client, &["a.test", "b.test", "c.test"]).await, ["200 any", "200 b", "200 any"]);
    }
}

#[tokio::test]
async fn with_one_certificate_any_host_is_served() {
    let folder = tempfile::tempdir().expect("a folder");
    let proxy = Proxy::start(&secure(folder.path(), &["a.test"]));
    assert_eq!(ask(&proxy, &folder, "a.test", "b.test").await, "200 b");
    assert_eq!(ask(&proxy, &folder, "a.test", "c.test").await, "200 any");
}

#[tokio::test]
async fn a_plain_listener_leads_to_the_first_tls_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let plain = plain!("redirect_to_https = true\n");
    let proxy = Proxy::start(&format!("{plain}{}", secure(folder.path(), &["a.test"])));
    let port = proxy.listener(1).port();
    for (method, path) in [("GET", "/"), ("POST", "/x/y?z=1&u=%2F"), ("GET", "/no/such/route")] {
        let reply = request(proxy.address(), method, path, &[("Host", "a.test:80")], "").await;
        assert_eq!(reply.status, 308, "{path}");
        assert_eq!(reply.header("location"), Some(format!("https://a.test:{port}{path}").as_str()));
    }
    let mut raw = RawHttp::connect(proxy.address()).await;
    raw.send(b"GET / HTTP/1.0\r\n\r\n").await;
    assert!(raw.head().await.starts_with("HTTP/1.0 400 "));
    for host in ["a\"b", "a'b", "a;b"] {
        let reply = get(proxy.address(), "/", &[("Host", host)]).await;
        assert_eq!((reply.status, reply.header("location")), (400, None), "{host}");
    }
}

#[tokio::test]
async fn a_plain_listener_may_lead_to_a_host_of_its_own() {
    let to = |url: &str| format!("{PLAIN}redirect_to_https = \"{url}\"\n");
    let route = "[[route]]\npath = \"/*\"\nrespond = { body = \"x\" }\n";
    for (url, expected) in [
        ("https://dash.example.com", "https://dash.example.com/x?y"),
        ("https://dash.example.com:8443", "https://dash.example.com:8443/x?y"),
    ] {
        let proxy = Proxy::start(&format!("{}{route}", to(url)));
        let reply = get(proxy.address(), "/x?y", &[("Host", "a.test")]).await;
        assert_eq!((reply.status, reply.header("location")), (308, Some(expected)));
    }
}

#[tokio::test]
async fn a_routes_headers_are_on_all_its_answers_and_have_the_last_word() {
    let proxy = Proxy::start(&format!(
        "{PLAIN}[feed.f]\nsource = {{ publish = {{}} }}\n\
         [[route]]\npath = \"/f\"\nfeed = \"f\"\nheaders = {{ response = {{ X-Frame-Options = \"DENY\", Server = \"\" }} }}\n\
         [[route]]\npath = \"/page\"\npage = \"f\"\nheaders = {{ response = {{ Cache-Control = \"max-age=5\" }} }}\n"
    ));
    let empty = get(proxy.address(), "/f", &[]).await;
    let refused = request(proxy.address(), "DELETE", "/f", &[], "").await;
    for (reply, status) in [(empty, 204), (refused, 405)] {
        assert_eq!(reply.status, status);
        assert_eq!((reply.header("x-frame-options"), reply.header("server")), (Some("DENY"), None));
    }
    let page = get(proxy.address(), "/page", &[]).await;
    let etag = page.header("etag").expect("a tag").to_owned();
    let same = get(proxy.address(), "/page", &[("If-None-Match", &etag)]).await;
    assert_eq!((same.status, same.header("cache-control")), (304, Some("max-age=5")));
    assert_eq!(same.header("server"), Some("steadfeed"));
    assert_eq!(get(proxy.address(), "/none", &[]).await.header("x-frame-options"), None);
}

#[tokio::test]
async fn a_routes_headers_are_what_a_backend_gets_and_is_made_to_say() {
    let backend = Backend::bind().await;
    let rules = "headers = { request = { X-Tenant = \"a\", Host = \"inner\", Cookie = \"\", X-Forwarded-Proto = \"https\" }, \
                 response = { X-App = \"b\", Server = \"\" } }";
    let proxy = front("", &backend.server(), "", rules);
    let mut raw = RawHttp::connect(proxy.address()).await;
    raw.send(b"GET / HTTP/1.1\r\nHost: a.test\r\nX_Tenant: evil\r\nX-Tenant: evil\r\nCookie: a\r\nConnection: x-tenant\r\n\r\n")
        .await;
    let (head, mut server) = backend.request().await;
    let head = head.to_lowercase();
    for line in ["host: inner", "x-tenant: a", "x-forwarded-proto: https", "x-forwarded-host: a.test"] {
        assert_eq!(head.matches(&format!("\r\n{line}\r\n")).count(), 1, "{line}: {head}");
    }
    assert!(!head.contains("evil") && !head.contains("cookie"), "{head}");
    server.send(b"HTTP/1.1 200 OK\r\nServer: app\r\nX-App: a\r\nContent-Length: 0\r\n\r\n").await;
    let head = raw.head().await.to_lowercase();
    assert!(head.contains("\r\nx-app: b\r\n") && !head.contains("server:") && !head.contains("x-app: a"), "{head}");
    drop((backend, server));
    let failed = get(proxy.address(), "/", &[]).await;
    assert_eq!((failed.status, failed.header("x-app"), failed.header("server")), (502, Some("b"), None));
}
