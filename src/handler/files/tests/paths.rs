//! Which paths lead to a file, and which must not.

use std::fs;
use std::os::unix::fs::symlink;

use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, LOCATION};

use super::{HTML, Site, get, large};
use crate::handler::files::{Files, Folder};
use crate::limits;

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
