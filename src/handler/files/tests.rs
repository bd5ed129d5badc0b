//! Files, asked for as a request asks.
//!
//! Owns: the folder that these tests serve, and how they ask; each of the submodules has one kind of guarantee.

mod answers;
mod codings;
mod memory;
mod paths;
mod rules;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use http::header::ACCEPT;
use http::{HeaderName, Method, Request};
use http_body_util::BodyExt;
use tempfile::TempDir;

use super::{Files, Folder};
use crate::limits;

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
