//! Files, asked for as a request asks.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use http::header::{
    ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    IF_RANGE, LAST_MODIFIED, VARY,
};
use http::{HeaderName, Request};
use http_body_util::BodyExt;
use tempfile::TempDir;

use super::*;
use crate::message::coding::Coding;

/// A folder as a front end's build leaves it, and what must not be seen beside it.
struct Site {
    outside: TempDir,
    root: PathBuf,
}

/// What came back.
#[derive(Debug)]
struct Seen {
    status: u16,
    headers: http::HeaderMap,
    body: Vec<u8>,
}

const HTML: (HeaderName, &str) = (ACCEPT, "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8");

impl Site {
    fn new() -> Site {
        let outside = tempfile::tempdir().unwrap();
        let root = outside.path().join("html");
        let site = Site { outside, root };
        for (path, text) in [
            ("index.html", "<h1>front</h1>"),
            ("app.js", "let x = 1;"),
            ("a b.txt", "blank"),
            ("empty.txt", ""),
            ("docs/index.html", "<h1>docs</h1>"),
            ("bare/x.txt", "x"),
            (".env", "secret"),
            (".git/config", "secret"),
            ("docs/.htaccess", "secret"),
            (".well-known/security.txt", "contact"),
        ] {
            site.write(path, text);
        }
        fs::write(site.outside.path().join("secret.txt"), "secret").unwrap();
        site
    }

    fn write(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn link(&self, to: impl AsRef<Path>, from: &str) {
        symlink(to, self.root.join(from)).unwrap();
    }

    fn folder(&self) -> Folder {
        Folder { root: self.root.clone(), spa: None, cache: Vec::new(), compress: false }
    }

    fn files(&self) -> Files {
        Files::new(self.folder(), None)
    }

    fn spa(&self) -> Files {
        Files::new(Folder { spa: Some("index.html".to_owned()), ..self.folder() }, None)
    }

    fn compressing(&self) -> Files {
        Files::new(Folder { compress: true, ..self.folder() }, None)
    }
}

impl Seen {
    fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }
}

async fn ask(files: &Files, method: Method, uri: &str, headers: &[(HeaderName, &str)]) -> Seen {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    let (parts, ()) = request.body(()).unwrap().into_parts();
    let (head, body) = files.answer(&parts, files.path(parts.uri.path())).await.into_parts();
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    Seen { status: head.status.as_u16(), headers: head.headers, body }
}

async fn get(files: &Files, uri: &str, headers: &[(HeaderName, &str)]) -> Seen {
    ask(files, Method::GET, uri, headers).await
}

/// More than is kept in memory, and more than one piece.
fn large() -> Vec<u8> {
    (0..limits::FILE_PIECE * 2 + 77).map(|at| u8::try_from(at % 251).unwrap()).collect()
}

fn text(length: usize) -> String {
    "All work and no play makes Jack a dull boy. ".chars().cycle().take(length).collect()
}

#[tokio::test]
async fn a_file_is_given_with_its_type_and_what_a_cache_needs() {
    let site = Site::new();
    let files = site.files();
    for _ in 0..2 {
        let seen = get(&files, "/app.js", &[]).await;
        assert_eq!((seen.status, seen.text()), (200, "let x = 1;"));
        assert_eq!(seen.header(CONTENT_TYPE), Some("text/javascript"));
        assert_eq!(seen.header(CONTENT_LENGTH), Some("10"));
        let tag = seen.header(ETAG).unwrap();
        assert!(tag.starts_with('"') && tag.len() > 10, "{tag}");
        assert!(seen.header(LAST_MODIFIED).is_some() && seen.header(VARY).is_none());
    }
    assert_eq!(get(&files, "/a%20b.txt", &[]).await.text(), "blank");
    assert_eq!(get(&files, "//docs///index.html", &[]).await.text(), "<h1>docs</h1>");
    let empty = get(&files, "/empty.txt", &[]).await;
    assert_eq!((empty.status, empty.header(CONTENT_LENGTH), empty.text()), (200, Some("0"), ""));
}

#[tokio::test]
async fn a_folder_gives_its_index_and_is_named_with_a_slash() {
    let site = Site::new();
    let files = site.files();
    assert_eq!(get(&files, "/", &[]).await.text(), "<h1>front</h1>");
    let docs = get(&files, "/docs/", &[]).await;
    assert_eq!((docs.text(), docs.header(CONTENT_TYPE)), ("<h1>docs</h1>", Some("text/html")));
    for (uri, location) in [("/docs", "/docs/"), ("/docs?a=b", "/docs/?a=b"), ("//docs", "/docs/")] {
        let seen = get(&files, uri, &[]).await;
        assert_eq!((seen.status, seen.header(LOCATION)), (301, Some(location)), "{uri}");
    }
    for uri in ["/bare", "/bare/", "/app.js/", "/index.html/x", "/none/"] {
        assert_eq!(get(&files, uri, &[]).await.status, 404, "{uri}");
    }
}

#[tokio::test]
async fn what_is_cut_off_a_path_is_cut_at_a_slash() {
    let site = Site::new();
    let files = Files::new(site.folder(), Some("/app".to_owned()));
    assert_eq!(get(&files, "/app/docs/", &[]).await.text(), "<h1>docs</h1>");
    assert_eq!(get(&files, "/app.js", &[]).await.text(), "let x = 1;");
    assert_eq!(get(&files, "/app", &[]).await.header(LOCATION), Some("/app/"));
    assert_eq!(get(&files, "/app/docs", &[]).await.header(LOCATION), Some("/app/docs/"));
    assert_eq!(get(&files, "/app/../secret.txt", &[]).await.status, 404);
}

#[tokio::test]
async fn nothing_hidden_or_outside_is_there() {
    let site = Site::new();
    let outside = site.outside.path();
    site.link(outside.join("secret.txt"), "absolute.txt");
    site.link("../secret.txt", "relative.txt");
    site.link(outside, "folder");
    site.link("loop", "loop");
    site.link("relative.txt", "twice.txt");
    site.link("../secret.txt", "app.js.gz");
    rustix::fs::mkfifoat(rustix::fs::CWD, site.root.join("pipe"), rustix::fs::Mode::RWXU).unwrap();
    for files in [site.files(), site.spa()] {
        for uri in [
            "/../secret.txt",
            "/docs/../../secret.txt",
            "/%2e%2e/secret.txt",
            "/%2E%2E/secret.txt",
            "/.%2e/secret.txt",
            "/..%2fsecret.txt",
            "/..%2Fsecret.txt",
            "/..%5csecret.txt",
            "/docs/..%5c..%5csecret.txt",
            "/docs%2findex.html",
            "/index.html%00",
            "/index.html%00.txt",
            "/.env",
            "/%2eenv",
            "/.git/config",
            "/.git/",
            "/.git",
            "/docs/.htaccess",
            "/docs/./index.html",
            "/absolute.txt",
            "/relative.txt",
            "/twice.txt",
            "/folder/secret.txt",
            "/folder/html/index.html.x",
            "/loop/x.txt",
            "/loop.txt",
            "/app.js.gz",
            "/%zz.txt",
            "/%",
        ] {
            let page = get(&files, uri, &[HTML]).await;
            assert_eq!((page.status, page.header(CONTENT_TYPE)), (404, Some("text/html; charset=utf-8")), "{uri}");
            let problem = get(&files, uri, &[]).await;
            let none = get(&files, "/none.txt", &[]).await;
            // It is not said why.
            assert_eq!((problem.status, problem.text()), (404, none.text()), "{uri}");
            assert!(!page.text().contains("secret") && !problem.text().contains("secret"), "{uri}");
        }
        assert_eq!(get(&files, "/pipe", &[]).await.status, 404);
        // Nor by way of a name beside it.
        let script = get(&files, "/app.js", &[(ACCEPT_ENCODING, "gzip")]).await;
        assert_eq!((script.text(), script.header(CONTENT_ENCODING)), ("let x = 1;", None));
    }
    assert_eq!(get(&site.files(), "/.well-known/security.txt", &[]).await.text(), "contact");
}

#[tokio::test]
async fn a_link_within_the_folder_is_followed() {
    let site = Site::new();
    site.link("docs", "manual");
    site.link(site.root.join("app.js"), "old.js");
    // As Kubernetes mounts a config map.
    site.write("..data/config.json", "{}");
    site.link("..data/config.json", "config.json");
    let files = site.files();
    assert_eq!(get(&files, "/manual/", &[]).await.text(), "<h1>docs</h1>");
    assert_eq!(get(&files, "/old.js", &[]).await.text(), "let x = 1;");
    assert_eq!(get(&files, "/config.json", &[]).await.text(), "{}");
}

#[tokio::test(start_paused = true)]
async fn the_folder_itself_may_be_a_link_that_changes() {
    let site = Site::new();
    let (current, next) = (site.outside.path().join("current"), site.outside.path().join("next"));
    symlink(&site.root, &current).unwrap();
    fs::create_dir(&next).unwrap();
    fs::write(next.join("index.html"), "next").unwrap();
    fs::write(next.join("large.bin"), "large").unwrap();
    site.write("large.bin", large());
    let files = Files::new(Folder { root: current.clone(), ..site.folder() }, None);
    assert_eq!(get(&files, "/", &[]).await.text(), "<h1>front</h1>");
    assert_eq!(get(&files, "/large.bin", &[]).await.body, large());
    fs::remove_file(&current).unwrap();
    symlink(&next, &current).unwrap();
    // A large one is opened each time.
    assert_eq!(get(&files, "/large.bin", &[]).await.text(), "large");
    tokio::time::advance(limits::FILE_TRUST).await;
    assert_eq!(get(&files, "/", &[]).await.text(), "next");
}

#[tokio::test]
async fn a_folder_that_is_not_there_has_nothing() {
    let site = Site::new();
    let files = Files::new(Folder { root: site.root.join("none"), ..site.folder() }, None);
    assert_eq!(get(&files, "/", &[]).await.status, 404);
}

#[tokio::test]
async fn other_methods_are_told_which_there_are() {
    let site = Site::new();
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
        let seen = ask(&site.spa(), method, "/app.js", &[]).await;
        assert_eq!((seen.status, seen.header(ALLOW)), (405, Some("GET, HEAD")));
    }
}

#[tokio::test]
async fn head_says_what_get_would() {
    let site = Site::new();
    site.write("large.bin", large());
    let files = site.files();
    for uri in ["/app.js", "/large.bin", "/none"] {
        let (get, head) = (get(&files, uri, &[]).await, ask(&files, Method::HEAD, uri, &[]).await);
        assert_eq!((get.status, get.headers), (head.status, head.headers));
        assert!(uri == "/none" || head.body.is_empty(), "{uri}");
    }
}

#[tokio::test]
async fn parts_are_given_of_small_files_and_of_large_ones() {
    let site = Site::new();
    let bytes = large();
    site.write("large.bin", &bytes);
    site.write("small.bin", &bytes[..1000]);
    let files = site.files();
    for (uri, bytes) in [("/large.bin", &bytes[..]), ("/small.bin", &bytes[..1000])] {
        let length = bytes.len();
        let tag = get(&files, uri, &[]).await.header(ETAG).unwrap().to_owned();
        for (range, expected) in [
            ("bytes=0-0".to_owned(), 0..1),
            ("bytes=10-19".to_owned(), 10..20),
            ("bytes=-10".to_owned(), length - 10..length),
            (format!("bytes={}-", length - 1), length - 1..length),
            ("bytes=1-".to_owned(), 1..length),
            // All of it is a part, too: players ask so, and believe nothing else.
            ("bytes=0-".to_owned(), 0..length),
        ] {
            let seen = get(&files, uri, &[(RANGE, &range), (IF_RANGE, &tag)]).await;
            let said = format!("bytes {}-{}/{length}", expected.start, expected.end - 1);
            assert_eq!((seen.status, seen.header(CONTENT_RANGE)), (206, Some(&*said)), "{uri} {range}");
            assert_eq!(seen.header(CONTENT_LENGTH), Some(&*expected.len().to_string()));
            assert_eq!(seen.header(ETAG), Some(&*tag));
            assert!(seen.body == bytes[expected], "{uri} {range}");
        }
        let beyond = get(&files, uri, &[(RANGE, &format!("bytes={length}-"))]).await;
        assert_eq!((beyond.status, beyond.header(CONTENT_RANGE)), (416, Some(&*format!("bytes */{length}"))));
        for headers in [[(RANGE, "bytes=0-1,3-4"), (IF_RANGE, &tag)], [(RANGE, "bytes=0-1"), (IF_RANGE, "\"x\"")]] {
            let seen = get(&files, uri, &headers).await;
            assert_eq!((seen.status, seen.body.len(), seen.header(CONTENT_RANGE)), (200, length, None));
        }
    }
}

#[tokio::test]
async fn what_the_client_has_is_not_sent_again() {
    let site = Site::new();
    site.write("large.bin", large());
    let files = site.files();
    for uri in ["/app.js", "/large.bin"] {
        let first = get(&files, uri, &[]).await;
        let (tag, date) = (first.header(ETAG).unwrap(), first.header(LAST_MODIFIED).unwrap());
        for headers in [(IF_NONE_MATCH, tag), (IF_MODIFIED_SINCE, date)] {
            let seen = get(&files, uri, &[headers]).await;
            assert_eq!((seen.status, seen.body.len()), (304, 0));
            assert_eq!((seen.header(ETAG), seen.header(CONTENT_TYPE)), (Some(tag), None));
            assert_eq!(seen.header(CONTENT_LENGTH), None);
        }
        assert_eq!(get(&files, uri, &[(IF_NONE_MATCH, "\"x\"")]).await.status, 200);
        assert_eq!(get(&files, uri, &[(http::header::IF_MATCH, "\"x\"")]).await.status, 412);
    }
}

#[tokio::test]
async fn a_small_file_has_the_same_tag_wherever_it_is() {
    let (one, other) = (Site::new(), Site::new());
    let tag = |seen: Seen| seen.header(ETAG).unwrap().to_owned();
    assert_eq!(tag(get(&one.files(), "/app.js", &[]).await), tag(get(&other.files(), "/app.js", &[]).await));
    other.write("app.js", "let x = 2;");
    assert_ne!(tag(get(&one.files(), "/app.js", &[]).await), tag(get(&other.files(), "/app.js", &[]).await));
}

#[tokio::test]
async fn a_file_that_was_compressed_beforehand_is_chosen_by_what_the_client_accepts() {
    let site = Site::new();
    site.write("app.js.br", "brotli");
    site.write("app.js.gz", "gzip");
    site.write("large.bin", large());
    site.write("large.bin.zst", [large(), large()].concat());
    let files = site.files();
    let cases = [
        ("/app.js", "br, gzip, zstd", Some("br"), "brotli"),
        ("/app.js", "gzip, zstd", Some("gzip"), "gzip"),
        ("/app.js", "br;q=0.5, gzip", Some("gzip"), "gzip"),
        ("/app.js", "br;q=0, gzip;q=0", None, "let x = 1;"),
        ("/app.js", "zstd", None, "let x = 1;"),
        ("/app.js", "identity, gzip;q=0.5", None, "let x = 1;"),
        ("/", "br", None, "<h1>front</h1>"),
    ];
    let mut tags = Vec::new();
    for (uri, accept, coding, text) in cases {
        let seen = get(&files, uri, &[(ACCEPT_ENCODING, accept)]).await;
        assert_eq!((seen.header(CONTENT_ENCODING), seen.text()), (coding, text), "{uri} {accept}");
        assert_eq!(seen.header(VARY), (uri != "/").then_some("accept-encoding"));
        if uri != "/" {
            assert_eq!(seen.header(CONTENT_TYPE), Some("text/javascript"));
            tags.push(seen.header(ETAG).unwrap().to_owned());
        }
    }
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), 3, "each coding has a tag of its own: {tags:?}");
    let seen = get(&files, "/large.bin", &[(ACCEPT_ENCODING, "zstd"), (RANGE, "bytes=0-9")]).await;
    assert_eq!((seen.status, seen.header(CONTENT_ENCODING)), (206, Some("zstd")));
    assert_eq!(seen.header(CONTENT_RANGE), Some(&*format!("bytes 0-9/{}", large().len() * 2)));
    let seen = get(&files, "/app.js.gz", &[(ACCEPT_ENCODING, "gzip")]).await;
    assert_eq!((seen.header(CONTENT_TYPE), seen.header(CONTENT_ENCODING)), (Some("application/gzip"), None));
}

#[tokio::test]
async fn a_single_page_answers_for_paths_that_are_its_own() {
    let site = Site::new();
    let files = site.spa();
    for uri in ["/users/7", "/users/", "/bare", "/bare/", "/a%20b", "/users?x=y.z"] {
        let seen = get(&files, uri, &[HTML]).await;
        assert_eq!((seen.status, seen.text()), (200, "<h1>front</h1>"), "{uri}");
        assert_eq!(seen.header(CACHE_CONTROL), Some("no-cache"));
        let head = ask(&files, Method::HEAD, uri, &[HTML]).await;
        assert_eq!((head.status, head.header(CONTENT_LENGTH), head.body.len()), (200, Some("14"), 0));
    }
    for (uri, headers) in [
        ("/missing.js", &[HTML][..]),
        ("/v1.2", &[HTML]),
        ("/users/7", &[]),
        ("/users/7", &[(ACCEPT, "application/json")]),
        ("/users/7", &[(ACCEPT, "*/*")]),
        ("/users/7", &[(ACCEPT, "text/html;q=0")]),
    ] {
        assert_eq!(get(&files, uri, headers).await.status, 404, "{uri} {headers:?}");
    }
    assert_eq!(get(&files, "/docs", &[HTML]).await.status, 301, "what is there is given");
    assert_eq!(get(&files, "/app.js", &[HTML]).await.header(CACHE_CONTROL), None);
    // The same page under its own name is as little to be kept.
    assert_eq!(get(&files, "/", &[]).await.header(CACHE_CONTROL), Some("no-cache"));
    fs::remove_file(site.root.join("index.html")).unwrap();
    assert_eq!(get(&site.spa(), "/users", &[HTML]).await.status, 404);
}

#[tokio::test]
async fn the_most_specific_cache_rule_wins() {
    let site = Site::new();
    site.write("assets/app.1.js", "1");
    site.write("assets/maps/app.1.js", "1");
    let rule = |path: &str, prefix, value| {
        let value = HeaderValue::from_static(value);
        CacheRule { path: path.to_owned(), prefix, value }
    };
    let cache = vec![
        rule("/assets/maps/", true, "maps"),
        rule("/assets/", true, "assets"),
        rule("/assets/maps/app.1.js", false, "one"),
        rule("/docs/", false, "docs"),
    ];
    let with =
        |cache, spa: Option<&str>| Files::new(Folder { cache, spa: spa.map(str::to_owned), ..site.folder() }, None);
    let files = with(cache.clone(), None);
    for (uri, expected) in [
        ("/assets/app.1.js", Some("assets")),
        ("/%61ssets/app.1.js", Some("assets")),
        ("/assets/maps/app.1.js", Some("one")),
        ("/docs/", Some("docs")),
        ("/docs/index.html", None),
        ("/app.js", None),
    ] {
        assert_eq!(get(&files, uri, &[]).await.header(CACHE_CONTROL), expected, "{uri}");
    }
    let spa = with(cache.clone(), Some("/index.html"));
    // A rule for what is not there is not for the page that is given in its place.
    assert_eq!(get(&spa, "/assets/none", &[HTML]).await.header(CACHE_CONTROL), Some("no-cache"));
    let ruled = with([cache, vec![rule("/index.html", false, "page")]].concat(), Some("index.html"));
    assert_eq!(get(&ruled, "/assets/none", &[HTML]).await.header(CACHE_CONTROL), Some("page"));
    assert_eq!(get(&ruled, "/", &[]).await.header(CACHE_CONTROL), Some("page"));
}

#[tokio::test(start_paused = true)]
async fn a_change_is_seen_within_a_second_and_until_then_the_disk_is_not_asked() {
    let site = Site::new();
    let files = site.files();
    assert_eq!(get(&files, "/app.js", &[]).await.text(), "let x = 1;");
    site.write("app.js", "let x = 2;");
    site.write("app.js.gz", "gzip");
    assert_eq!(get(&files, "/app.js", &[]).await.text(), "let x = 1;");
    tokio::time::advance(limits::FILE_TRUST - Duration::from_millis(1)).await;
    assert_eq!(get(&files, "/app.js", &[]).await.text(), "let x = 1;");
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(get(&files, "/app.js", &[]).await.text(), "let x = 2;");
    assert_eq!(get(&files, "/app.js", &[(ACCEPT_ENCODING, "gzip")]).await.text(), "gzip");
    fs::remove_file(site.root.join("app.js")).unwrap();
    assert_eq!(get(&files, "/app.js", &[]).await.status, 200);
    tokio::time::advance(limits::FILE_TRUST).await;
    assert_eq!(get(&files, "/app.js", &[]).await.status, 404);
}

/// Takes the runtime's one thread for what blocks, until what it gives is dropped.
async fn occupy() -> std::sync::mpsc::Sender<()> {
    let (release, released) = std::sync::mpsc::channel();
    let mut busy = Box::pin(crate::shutdown::blocking(move || released.recv().is_ok()));
    assert!(futures_util::poll!(&mut busy).is_pending());
    release
}

#[test]
fn one_looks_at_the_disk_while_the_others_are_answered_from_memory() {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().start_paused(true).max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let site = Site::new();
        let files = site.files();
        get(&files, "/app.js", &[]).await;
        site.write("app.js", "let x = 2;");
        let (parts, ()) = Request::get("/app.js").body(()).unwrap().into_parts();
        let path = "/app.js";
        tokio::time::advance(limits::FILE_TRUST).await;
        let release = occupy().await;
        let mut looking = Box::pin(files.answer(&parts, path));
        assert!(futures_util::poll!(&mut looking).is_pending());
        assert!(files.remembered(&parts, path).is_some());
        // Who leaves does not keep the others from looking.
        drop(looking);
        assert!(files.remembered(&parts, path).is_none());
        // What has not been asked for in a while is not given meanwhile.
        tokio::time::advance(limits::FILE_TRUST).await;
        let mut looking = Box::pin(files.answer(&parts, path));
        assert!(futures_util::poll!(&mut looking).is_pending());
        assert!(files.remembered(&parts, path).is_none());
        drop(release);
        let body = looking.await.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "let x = 2;");
    });
}

#[tokio::test]
async fn a_large_file_that_changes_is_found_again() {
    let site = Site::new();
    site.write("large.bin", large());
    let files = site.files();
    let first = get(&files, "/large.bin", &[]).await;
    site.write("large.bin", [large(), large()].concat());
    let second = get(&files, "/large.bin", &[]).await;
    assert_eq!((second.status, second.body.len()), (200, large().len() * 2));
    assert_ne!(first.header(ETAG), second.header(ETAG));
    fs::remove_file(site.root.join("large.bin")).unwrap();
    assert_eq!(get(&files, "/large.bin", &[]).await.status, 404);
}

#[tokio::test]
async fn small_text_is_compressed_once_and_kept() {
    let site = Site::new();
    site.write("page.html", text(5000));
    site.write("few.html", text(500));
    site.write("page.png", text(5000));
    site.write("large.html", text(200_000));
    let files = site.compressing();
    for coding in Coding::ALL {
        let mut tags = Vec::new();
        for _ in 0..2 {
            let seen = get(&files, "/page.html", &[(ACCEPT_ENCODING, coding.name())]).await;
            assert_eq!(seen.header(CONTENT_ENCODING), Some(coding.name()));
            assert_eq!(seen.header(CONTENT_LENGTH), Some(&*seen.body.len().to_string()));
            assert!(seen.body.len() < 500, "{}", seen.body.len());
            assert_eq!(coder::decode(coding, &seen.body).unwrap(), text(5000).as_bytes());
            tags.push(seen.header(ETAG).unwrap().to_owned());
        }
        assert!(tags[0].starts_with("W/") && tags[0] == tags[1], "{tags:?}");
        let again = [(ACCEPT_ENCODING, coding.name()), (IF_NONE_MATCH, &*tags[0])];
        let (parts, ()) = Request::get("/page.html").body(()).unwrap().into_parts();
        assert!(files.remembered(&parts, "/page.html").is_some());
        assert_eq!(get(&files, "/page.html", &again).await.status, 304);
        // What may be asked for in parts is given as it is.
        let part = get(&files, "/page.html", &[(ACCEPT_ENCODING, coding.name()), (RANGE, "bytes=0-2")]).await;
        assert_eq!((part.status, part.header(CONTENT_ENCODING), part.text()), (206, None, "All"));
    }
    // Too few, no text, or too many to be kept: the last is for the stream's compressor.
    for (uri, varies) in [("/few.html", true), ("/page.png", false), ("/large.html", true)] {
        let seen = get(&files, uri, &[(ACCEPT_ENCODING, "gzip")]).await;
        assert_eq!((seen.header(CONTENT_ENCODING), seen.header(VARY).is_some()), (None, varies), "{uri}");
    }
    let plain = get(&site.files(), "/page.html", &[(ACCEPT_ENCODING, "gzip")]).await;
    assert_eq!((plain.header(CONTENT_ENCODING), plain.header(VARY)), (None, None));
}

#[tokio::test]
async fn text_that_must_not_be_transformed_is_given_as_it_is() {
    let site = Site::new();
    site.write("page.html", text(5000));
    let value = HeaderValue::from_static("public, no-transform");
    let cache = vec![CacheRule { path: "/".to_owned(), prefix: true, value }];
    let files = Files::new(Folder { cache, compress: true, ..site.folder() }, None);
    let seen = get(&files, "/page.html", &[(ACCEPT_ENCODING, "gzip")]).await;
    assert_eq!((seen.header(CONTENT_ENCODING), seen.body.len()), (None, 5000));
}
