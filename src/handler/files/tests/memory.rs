//! What is answered from memory, and when the disk is asked again.

use std::fs;
use std::time::Duration;

use http::Request;
use http::header::{ACCEPT_ENCODING, ETAG};
use http_body_util::BodyExt;

use super::{Site, get, large};
use crate::limits;

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
