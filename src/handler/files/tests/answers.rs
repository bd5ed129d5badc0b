//! What an answer says of a file, all of it or a part.

use http::Method;
use http::header::{
    ALLOW, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    LAST_MODIFIED, RANGE, VARY,
};

use super::{Seen, Site, ask, get, large};

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
