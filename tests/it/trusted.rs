//! Trusted proxies: whose word counts on who the client is, and what its own scheme and host are.

use crate::support::backend::{Backend, front_config};
use crate::support::config::{PLAIN, feed};
use crate::support::{Instance, Proxy, RawHttp, WsClient, get};

const ROUTES: &str = concat!(feed!("/f"), "\n[[route]]\npath = \"/*\"\nrespond = { body = \"hello\" }\n");

fn config(trusted: &str) -> String {
    format!("trusted_proxies = [{trusted}]\nadmin.listen = \"off\"\n{PLAIN}{ROUTES}")
}

async fn start(trusted: &str) -> Instance {
    Instance::start_whole(&config(trusted)).await
}

#[tokio::test]
async fn the_access_log_names_the_client_that_a_trusted_proxy_names() {
    let instance = start("\"127.0.0.1\", \"10.0.0.0/8\"").await;
    let chain = [("X-Forwarded-For", "6.6.6.6, 192.0.2.1"), ("X-Forwarded-For", "10.0.0.7")];
    get(instance.address(), "/chain", &chain).await;
    let line = instance.line("/chain").await;
    assert!(line.contains("192.0.2.1 "), "{line}");
    get(instance.address(), "/forwarded", &[("Forwarded", "for=\"[2001:db8::9]:1\", for=10.0.0.1")]).await;
    let line = instance.line("/forwarded").await;
    assert!(line.contains("2001:db8::9 "), "{line}");
    let header = [("X-Forwarded-For", "192.0.2.5")];
    let mut client = WsClient::try_connect(instance.address(), "/f", &header).await.expect("a socket");
    client.close(1000).await;
    client.ended().await;
    let line = instance.line("/f closed").await;
    assert!(line.contains("192.0.2.5 "), "{line}");
}

#[tokio::test]
async fn nobody_else_is_believed() {
    let instance = start("\"10.0.0.0/8\"").await;
    get(instance.address(), "/chain", &[("X-Forwarded-For", "192.0.2.1"), ("Forwarded", "for=192.0.2.1")]).await;
    let line = instance.line("/chain").await;
    assert!(line.contains("127.0.0.1 ") && !line.contains("192.0.2.1"), "{line}");
}

/// Whether a page of `origin` may open a socket with these headers.
async fn opens(proxy: &Proxy, origin: &str, headers: &[(&str, &str)]) -> bool {
    let headers = [&[("Origin", origin)], headers].concat();
    match WsClient::try_connect(proxy.address(), "/f", &headers).await {
        Ok(_) => true,
        Err(tokio_tungstenite::tungstenite::Error::Http(response)) => {
            assert_eq!(response.status(), 403);
            false
        }
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_forwarded_host_and_scheme_make_the_same_origin() {
    let proxy = Proxy::start_whole(&config("\"127.0.0.1\""));
    let told = [("X-Forwarded-Host", "dash.example.com"), ("X-Forwarded-Proto", "https")];
    assert!(opens(&proxy, "https://dash.example.com", &told).await);
    assert!(!opens(&proxy, "http://dash.example.com", &told).await);
    assert!(!opens(&proxy, &format!("https://{}", proxy.address()), &told).await);
    let forwarded = [("Forwarded", "for=192.0.2.1;host=dash.example.com;proto=https")];
    assert!(opens(&proxy, "https://dash.example.com", &forwarded).await);
    let own = format!("http://{}", proxy.address());
    assert!(opens(&proxy, &own, &[]).await);
    assert!(!opens(&proxy, &own, &[("X-Forwarded-Proto", "https")]).await);
    let stranger = Proxy::start_whole(&config(""));
    assert!(!opens(&stranger, "https://dash.example.com", &told).await);
}

#[tokio::test]
async fn a_backend_is_told_what_trusted_proxies_said_and_no_more() {
    let backend = Backend::bind().await;
    for (trusted, chain, proto, host) in [
        ("\"127.0.0.1\"", "6.6.6.6, 127.0.0.1", "https", "dash.example.com"),
        ("\"10.0.0.1\"", "127.0.0.1", "http", "a.test"),
    ] {
        let top = format!("trusted_proxies = [{trusted}]\nadmin.listen = \"off\"");
        let proxy = Proxy::start_whole(&front_config(&top, &backend.server(), "", ""));
        let mut raw = RawHttp::connect(proxy.address()).await;
        raw.send(
            b"GET / HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n\
              X-Forwarded-Host: dash.example.com\r\n\r\n",
        )
        .await;
        let (head, _) = backend.request().await;
        let head = head.to_lowercase();
        for line in [
            format!("x-forwarded-for: {chain}\r\n"),
            format!("x-forwarded-proto: {proto}\r\n"),
            format!("x-forwarded-host: {host}\r\n"),
            "host: a.test\r\n".to_owned(),
        ] {
            assert_eq!(head.matches(&format!("\r\n{line}")).count(), 1, "{line}: {head}");
        }
    }
}
