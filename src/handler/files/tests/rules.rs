//! What a route's own keys change: the single page, and how long a file may be kept.

use std::fs;

use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_LENGTH};
use http::{HeaderValue, Method};

use super::{HTML, Site, ask, get};
use crate::handler::files::{CacheRule, Files, Folder};

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
