//! Files that are compressed, beforehand or for whoever asks.

use http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_NONE_MATCH, RANGE, VARY,
};
use http::{HeaderValue, Request};

use super::{Site, get, large};
use crate::handler::files::{CacheRule, Files, Folder};
use crate::message::coder;
use crate::message::coding::Coding;

fn text(length: usize) -> String {
    "All work and no play makes Jack a dull boy. ".chars().cycle().take(length).collect()
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
