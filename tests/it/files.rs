//! Files of a folder, and compression, as clients meet them.

use std::fs;
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::config::PLAIN;
use crate::support::{H2Client, KeepAlive, Proxy, RawHttp, Reply, get, request, within};

/// A built front end.
fn site() -> TempDir {
    let site = tempfile::tempdir().expect("a folder");
    write(&site, "html/index.html", "<h1>front</h1>");
    write(&site, "html/assets/app.js", "let x = 1;");
    write(&site, "html/assets/app.js.br", "brotli");
    write(&site, "html/.env", "secret");
    write(&site, "html/big.bin", big());
    write(&site, "html/big.html", "<p>All work and no play</p>\n".repeat(20_000));
    write(&site, "secret.txt", "secret");
    site
}

fn write(site: &TempDir, path: &str, bytes: impl AsRef<[u8]>) {
    let path = site.path().join(path);
    fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    fs::write(path, bytes).expect("written");
}

/// Some pieces and a bit.
fn big() -> Vec<u8> {
    (0..1024 * 1024 + 77u32).map(|at| (at % 251) as u8).collect()
}

fn serve(root: &Path, route: &str) -> Proxy {
    Proxy::start(&format!("{PLAIN}[[route]]\npath = \"/*\"\nfiles = \"{}\"\n{route}\n", root.display()))
}

fn front(site: &TempDir) -> Proxy {
    let route = "spa = \"index.html\"\ncache = { \"/assets/*\" = \"public, max-age=31536000, immutable\" }";
    serve(&site.path().join("html"), route)
}

#[tokio::test]
async fn a_front_end_is_served_from_its_folder() {
    let site = site();
    let proxy = front(&site);
    let html = [("Accept", "text/html")];
    for path in ["/", "/index.html", "/users/7"] {
        let reply = get(proxy.address(), path, &html).await;
        assert_eq!((reply.status, reply.text()), (200, "<h1>front</h1>".to_owned()), "{path}");
        assert_eq!(reply.header("content-type"), Some("text/html"));
        assert_eq!(reply.header("cache-control"), Some("no-cache"));
    }
    let script = get(proxy.address(), "/assets/app.js", &[("Accept-Encoding", "gzip, br")]).await;
    assert_eq!((script.text(), script.header("content-encoding")), ("brotli".to_owned(), Some("br")));
    assert_eq!(script.header("cache-control"), Some("public, max-age=31536000, immutable"));
    assert_eq!(script.header("x-content-type-options"), Some("nosniff"));
    let tag = script.header("etag").expect("a tag");
    let again = get(proxy.address(), "/assets/app.js", &[("Accept-Encoding", "br"), ("If-None-Match", tag)]).await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(get(proxy.address(), "/assets/missing.js", &html).await.status, 404);
    let posted = request(proxy.address(), "POST", "/", &[], "x").await;
    assert_eq!((posted.status, posted.header("allow")), (405, Some("GET, HEAD")));
}

#[tokio::test]
async fn no_literal_path_leads_out_of_the_folder() {
    let site = site();
    std::os::unix::fs::symlink(site.path().join("secret.txt"), site.path().join("html/link.txt")).expect("a link");
    let proxy = front(&site);
    for path in [
        "/../secret.txt",
        "/assets/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/..%5csecret.txt",
        "/..\\secret.txt",
        "//../secret.txt",
        "/.env",
        "/%2eenv",
        "/link.txt",
        "/secret.txt%00.html",
    ] {
        let mut raw = RawHttp::connect(proxy.address()).await;
        raw.send(
            format!("GET {path} HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\nConnection: close\r\n\r\n").as_bytes(),
        )
        .await;
        let reply = Reply::new(raw.head().await, raw.rest().await);
        assert!([400, 404].contains(&reply.status), "{path}: {}", reply.status);
        assert!(!reply.text().contains("secret"), "{path}");
    }
}

#[tokio::test]
async fn a_large_file_arrives_whole_and_in_parts_over_each_protocol() {
    let site = site();
    let proxy = front(&site);
    let mut client = KeepAlive::connect(proxy.address()).await;
    for _ in 0..3 {
        let reply = client.get("/big.bin").await;
        assert_eq!(reply.header("content-length"), Some(&*big().len().to_string()));
        assert!(reply.body == big());
    }
    let h2 = H2Client::connect(proxy.address()).await;
    let (one, other, head) = tokio::join!(h2.get("/big.bin"), h2.get("/big.bin"), h2.head("/big.bin"));
    assert!(one.body() == &big() && other.body() == &big());
    assert_eq!(head.headers()["content-length"], big().len().to_string());
    assert!(head.body().is_empty());
    let part = get(proxy.address(), "/big.bin", &[("Range", "bytes=300000-699999")]).await;
    assert_eq!((part.status, part.header("content-range")), (206, Some("bytes 300000-699999/1048653")));
    assert!(part.body == big()[300_000..700_000]);
    let beyond = get(proxy.address(), "/big.bin", &[("Range", "bytes=2000000-")]).await;
    assert_eq!((beyond.status, beyond.header("content-range")), (416, Some("bytes */1048653")));
}

#[tokio::test]
async fn a_file_that_is_cut_short_under_way_is_not_taken_for_whole() {
    let site = site();
    let proxy = front(&site);
    // More than all buffers on the way hold.
    let size = 64 * 1024 * 1024;
    let file = fs::File::create(site.path().join("html/huge.bin")).expect("created");
    file.set_len(size).expect("sized");
    let mut raw = RawHttp::connect(proxy.address()).await;
    raw.send(b"GET /huge.bin HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(raw.head().await.contains(&format!("content-length: {size}\r\n")));
    file.set_len(0).expect("cut");
    assert!((raw.rest().await.len() as u64) < size, "the connection ends, which says so");
}

#[tokio::test]
async fn a_prefix_that_is_cut_off_makes_an_alias() {
    let site = site();
    let proxy = Proxy::start(&format!(
        "{PLAIN}[[route]]\npath = \"/static/*\"\nfiles = \"{}\"\nstrip_prefix = \"/static\"\n",
        site.path().join("html").display()
    ));
    assert_eq!(get(proxy.address(), "/static/assets/app.js", &[]).await.text(), "let x = 1;");
    assert_eq!(get(proxy.address(), "/assets/app.js", &[]).await.status, 404);
    write(&site, "html/docs/index.html", "docs");
    let to = get(proxy.address(), "/static/docs?x=1", &[]).await;
    assert_eq!((to.status, to.header("location")), (301, Some("/static/docs/?x=1")));
}

#[tokio::test]
async fn text_is_compressed_where_the_route_says_so() {
    let site = site();
    let (plain, proxy) = (front(&site), serve(&site.path().join("html"), "compress = true"));
    let expected = fs::read(site.path().join("html/big.html")).expect("read");
    let ask = |address| async move {
        let mut raw = RawHttp::connect(address).await;
        // HTTP/1.0, whose answers end with the connection.
        raw.send(b"GET /big.html HTTP/1.0\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n").await;
        Reply::new(raw.head().await, raw.rest().await)
    };
    let coded = ask(proxy.address()).await;
    assert_eq!((coded.header("content-encoding"), coded.header("content-length")), (Some("gzip"), None));
    assert_eq!(coded.header("vary"), Some("accept-encoding"));
    assert!(coded.header("etag").is_some_and(|tag| tag.starts_with("W/\"")) && coded.body.len() < expected.len() / 10);
    let mut decoded = Vec::new();
    GzDecoder::new(&coded.body[..]).read_to_end(&mut decoded).expect("gzip");
    assert!(decoded == expected);
    let part = get(proxy.address(), "/big.html", &[("Accept-Encoding", "gzip"), ("Range", "bytes=0-2")]).await;
    assert_eq!((part.status, part.header("content-encoding"), part.text()), (206, None, "<p>".to_owned()));
    assert_eq!(ask(plain.address()).await.header("content-encoding"), None);
}

#[tokio::test]
async fn what_a_slow_server_has_sent_is_passed_on_compressed_and_at_once() {
    let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let proxy = Proxy::start(&format!(
        "{PLAIN}[upstream.app]\nservers = [\"http://{}\"]\n[[route]]\npath = \"/*\"\n\
         proxy = \"app\"\ncompress = true\n",
        server.local_addr().expect("an address")
    ));
    let mut raw = RawHttp::connect(proxy.address()).await;
    raw.send(b"GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n").await;
    let (mut app, _) = within("the proxy to come", server.accept()).await.expect("accepted");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let read = within("the request's head", app.read_buf(&mut head)).await.expect("read");
        assert!(read > 0, "the proxy closed");
    }
    app.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        .await
        .expect("written");
    assert!(raw.head().await.contains("content-encoding: gzip\r\n"));
    let mut coded = Vec::new();
    let mut seen = String::new();
    while seen != "first" {
        let size = raw.until(b"\r\n").await;
        let size = usize::from_str_radix(size.trim_end(), 16).expect("a chunk's size");
        coded.extend_from_slice(&raw.exactly(size + 2).await[..size]);
        seen = String::new();
        // It has no end yet.
        let _ = GzDecoder::new(&coded[..]).read_to_string(&mut seen);
    }
}
