//! Files of a folder (`files`): nginx's `root`, `try_files`, `gzip_static` and `open_file_cache` in one.
//!
//! A file of up to 64 KiB is answered from the worker's memory, with no system call but the socket's; a look at the disk
//! is taken once a second for each file that is asked for, so that a change shows at most about a second late (two, where
//! the disk is slow to be asked). Larger files are read for each request.
//!
//! Strong tags: a file of up to 64 KiB has a hash of its bytes, a larger one its size and the time of its last change.
//!
//! Owns: the way from a path to an answer. Never: says why there is none: what is outside the folder, hidden or not
//! readable is not there. Never: follows a symbolic link out of the folder; within it, links are fine.

use std::cell::Cell;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_RANGE, LOCATION, RANGE};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use tokio::time::Instant;

use crate::limits;
use crate::message::coder::{self, Effort};
use crate::message::coding::Accepted;
use crate::message::{Body, headers, respond};
use crate::shutdown;
use crate::telemetry::log::client_warning;

mod cache;
mod condition;
mod entry;
mod find;
mod path;
mod pieces;
mod stamp;
#[cfg(test)]
mod tests;

use condition::{State, Verdict, judge};
use entry::{Content, Entry, Pick, Variant};
use find::Found;
use path::Below;
use pieces::Pieces;

/// A folder that is served.
#[derive(Debug)]
pub struct Files {
    /// In the workers' memory.
    id: u64,
    folder: Arc<Folder>,
    strip_prefix: Option<String>,
    /// The path of the file that is given for what is not there.
    spa: Option<String>,
}

/// What is said of it.
#[derive(Debug, Clone)]
pub struct Folder {
    pub root: PathBuf,
    /// Below `root`; given in place of a path without an extension that is not there.
    pub spa: Option<String>,
    pub cache: Vec<CacheRule>,
    /// Text is compressed on the way.
    pub compress: bool,
}

/// A rule for `Cache-Control`.
#[derive(Debug, Clone)]
pub struct CacheRule {
    /// As it is looked up in the folder, so without what `strip_prefix` cuts off, and decoded.
    pub path: String,
    /// All that begins so, too.
    pub prefix: bool,
    pub value: HeaderValue,
}

/// What is at a path.
enum Lookup {
    File(Rc<Entry>),
    Folder,
    Nothing,
}

/// Which bytes of a file are sent.
struct Span {
    range: Range<u64>,
    /// As a part (206), though it may be all of them.
    part: bool,
}

/// Resets what says that something is being done, also where the client leaves meanwhile.
struct Busy<'a>(&'a Cell<bool>);

/// What a client is told of all that is not there for it.
const NOT_FOUND: &str = "nothing is served at this path";
/// Looks at one path: a file may change between being found and being read, but not for ever.
const TRIES: usize = 3;

impl Files {
    /// `strip_prefix` is cut off a request's path by [`path`](Files::path).
    #[must_use]
    pub fn new(mut folder: Folder, strip_prefix: Option<String>) -> Files {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        folder.spa = folder.spa.map(|spa| spa.trim_start_matches('/').to_owned());
        let spa = folder.spa.as_deref().map(|spa| format!("/{}", path::encode(spa)));
        Files { id: NEXT.fetch_add(1, Ordering::Relaxed), folder: Arc::new(folder), strip_prefix, spa }
    }

    /// Which path of the folder a request's path is.
    #[must_use]
    pub fn path<'a>(&self, path: &'a str) -> &'a str {
        let rest = self.strip_prefix.as_deref().and_then(|prefix| path.strip_prefix(prefix));
        rest.filter(|rest| rest.is_empty() || rest.starts_with('/')).unwrap_or(path)
    }

    /// The answer for `path` of the folder, which is the request's own or a part of it, percent-encoded.
    pub async fn answer(&self, parts: &Parts, path: &str) -> Response<Body> {
        if !matches!(parts.method, Method::GET | Method::HEAD) {
            return respond::method_not_allowed("GET, HEAD");
        }
        if let Some(response) = self.remembered(parts, path) {
            return response;
        }
        // Boxed, so that a request which memory answers does not have its size.
        Box::pin(self.look(parts, path)).await.unwrap_or_else(|error| {
            tracing::error!(%error, root = %self.folder.root.display(), "a file cannot be read");
            failure(parts, StatusCode::INTERNAL_SERVER_ERROR, "the file cannot be read")
        })
    }

    /// The answer that needs no look at the disk.
    fn remembered(&self, parts: &Parts, path: &str) -> Option<Response<Body>> {
        let entry = cache::recall(self.id, path).filter(|entry| entry.is_trusted(Instant::now()))?;
        match entry.pick(Accepted::of(&parts.headers), parts.headers.contains_key(RANGE)) {
            Pick::Variant(variant) => variant.answer(parts).ok(),
            Pick::Make(..) => None,
        }
    }

    async fn look(&self, parts: &Parts, path: &str) -> io::Result<Response<Body>> {
        let mut path = path;
        for _ in 0..TRIES {
            match self.lookup(path).await? {
                Lookup::File(entry) => {
                    if let Some(response) = self.give(parts, path, &entry).await? {
                        return Ok(response);
                    }
                    cache::forget(self.id, path, &entry);
                }
                Lookup::Folder => return Ok(to_folder(parts)),
                Lookup::Nothing => match &self.spa {
                    Some(spa) if path != spa && wants_page(parts, path) => path = spa,
                    Some(_) | None => return Ok(failure(parts, StatusCode::NOT_FOUND, NOT_FOUND)),
                },
            }
        }
        Err(io::Error::other("the file changes faster than it can be read"))
    }

    /// What is at `path`, known for no longer than may be.
    async fn lookup(&self, path: &str) -> io::Result<Lookup> {
        let began = Instant::now();
        if let Some(entry) = cache::recall(self.id, path) {
            if entry.is_trusted(began) {
                return Ok(Lookup::File(entry));
            }
            let unchanged = {
                let _busy = Busy::with(&entry.checking);
                let (watched, read) = (Arc::clone(&entry.watched), entry.read);
                shutdown::blocking(move || stamp::unchanged(&watched, read)).await?
            };
            if unchanged {
                entry.checked.set(began);
                return Ok(Lookup::File(entry));
            }
            cache::forget(self.id, path, &entry);
        }
        let Some(below) = Below::parse(path) else { return Ok(Lookup::Nothing) };
        let folder = Arc::clone(&self.folder);
        match shutdown::blocking(move || find::find(&folder, &below)).await? {
            Ok(Found::File(entry)) => {
                entry.checked.set(began);
                let entry = Rc::from(entry);
                cache::keep(self.id, path, &entry);
                Ok(Lookup::File(entry))
            }
            Ok(Found::Folder) => Ok(Lookup::Folder),
            Ok(Found::Nothing) => Ok(Lookup::Nothing),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.complain(&error);
                Ok(Lookup::Nothing)
            }
            Err(error) => Err(error),
        }
    }

    /// The file, or `None` where it is another one by now.
    async fn give(&self, parts: &Parts, path: &str, entry: &Rc<Entry>) -> io::Result<Option<Response<Body>>> {
        let (accepted, ranged) = (Accepted::of(&parts.headers), parts.headers.contains_key(RANGE));
        if let Pick::Make(coding, bytes) = entry.pick(accepted, ranged) {
            let bytes = bytes.clone();
            let _busy = Busy::with(&entry.making);
            let made =
                shutdown::blocking(move || coder::whole(coding, Effort::Kept, limits::COMPRESS_WINDOW_BITS, &bytes));
            if entry.keep_made(coding, made.await??) > 0 {
                cache::recount(self.id, path, entry);
            }
        }
        let variant = match entry.pick(accepted, ranged) {
            Pick::Variant(variant) => variant,
            Pick::Make(..) => &entry.plain,
        };
        let span = match variant.answer(parts) {
            Ok(response) => return Ok(Some(response)),
            Err(span) => span,
        };
        let Content::OnDisk { path, stamp } = variant.content.clone() else { return Ok(None) };
        let (root, at, length) = (Arc::clone(&entry.root), span.range.start, pieces::length(&span.range));
        let opened = shutdown::blocking(move || find::reopen(&root, &path, &stamp, at, length)).await??;
        let Some((file, first)) = opened else { return Ok(None) };
        let mut response = variant.head_of(&span);
        *response.body_mut() = Body::Passing(Box::pin(Pieces::new(file, first, span.range)));
        Ok(Some(response))
    }

    fn complain(&self, error: &io::Error) {
        if let Some(unsaid) = client_warning() {
            tracing::warn!(root = %self.folder.root.display(), %error, unsaid, "the folder is not there");
        }
    }
}

impl Folder {
    /// The value of the most specific rule for any of these names of one file.
    fn cache_control(&self, names: &[&str]) -> Option<&HeaderValue> {
        let rules = self.cache.iter().filter(|rule| names.iter().any(|name| rule.is_for(name)));
        rules.max_by_key(|rule| (!rule.prefix, rule.path.len())).map(|rule| &rule.value)
    }
}

impl CacheRule {
    fn is_for(&self, name: &str) -> bool {
        if self.prefix { name.starts_with(&self.path) } else { name == self.path }
    }
}

impl Entry {
    /// Whether it is believed without a look at the disk. While one request looks, the others do not wait, but for what
    /// nobody has asked for in a while.
    fn is_trusted(&self, now: Instant) -> bool {
        let age = now.saturating_duration_since(self.checked.get());
        age < limits::FILE_TRUST || (self.checking.get() && age < 2 * limits::FILE_TRUST)
    }
}

impl Variant {
    /// The answer, where it is at hand, or else which bytes of the file it needs.
    fn answer(&self, parts: &Parts) -> Result<Response<Body>, Span> {
        let state =
            State { etag: self.etag.as_bytes(), modified: self.modified, length: self.length, ranges: self.ranges };
        let span = match judge(parts, &state, SystemTime::now) {
            Verdict::Whole => Span { range: 0..self.length, part: false },
            Verdict::Part(range) => Span { range, part: true },
            Verdict::NotModified => {
                let mut response = respond::empty(StatusCode::NOT_MODIFIED);
                *response.headers_mut() = self.bare_head();
                return Ok(response);
            }
            Verdict::Failed => {
                let detail = "the file is not as the request's conditions want it";
                return Ok(respond::problem(StatusCode::PRECONDITION_FAILED, detail));
            }
            Verdict::Unsatisfiable => {
                let detail = "the file has no such bytes";
                let mut response = respond::problem(StatusCode::RANGE_NOT_SATISFIABLE, detail);
                headers::set(response.headers_mut(), CONTENT_RANGE, &format!("bytes */{}", self.length));
                return Ok(response);
            }
        };
        if parts.method == Method::HEAD {
            return Ok(self.head_of(&span));
        }
        let Content::Kept(bytes) = &self.content else { return Err(span) };
        let (start, end) = (index(span.range.start, bytes.len()), index(span.range.end, bytes.len()));
        let mut response = self.head_of(&span);
        *response.body_mut() = Body::from(bytes.slice(start..end.max(start)));
        Ok(response)
    }

    /// The head for these bytes.
    fn head_of(&self, Span { range, part }: &Span) -> Response<Body> {
        let mut response = respond::empty(StatusCode::OK);
        let head = response.headers_mut();
        head.clone_from(&self.head);
        if *part {
            let last = range.end.saturating_sub(1);
            headers::set(head, CONTENT_RANGE, &format!("bytes {}-{last}/{}", range.start, self.length));
            head.insert(CONTENT_LENGTH, range.end.saturating_sub(range.start).into());
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        response
    }
}

impl<'a> Busy<'a> {
    fn with(flag: &'a Cell<bool>) -> Busy<'a> {
        flag.set(true);
        Busy(flag)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

/// Whether a person's browser asks for a page: then the front end finds out what the path means.
fn wants_page(parts: &Parts, path: &str) -> bool {
    let last = path.rsplit('/').next().unwrap_or(path);
    !last.contains('.') && Below::parse(path).is_some() && headers::accepts(&parts.headers, "text/html")
}

/// In the form that the request prefers.
fn failure(parts: &Parts, status: StatusCode, detail: &str) -> Response<Body> {
    if parts.headers.get(ACCEPT).is_some_and(headers::prefers_html) {
        respond::page(status, detail)
    } else {
        respond::problem(status, detail)
    }
}

/// To the same path with a slash, on the same host: the path alone says so, however the client came here.
fn to_folder(parts: &Parts) -> Response<Body> {
    // Two slashes would begin a host.
    let path = parts.uri.path().trim_start_matches('/');
    let query = parts.uri.query().map_or_else(String::new, |query| format!("?{query}"));
    let mut response = respond::empty(StatusCode::MOVED_PERMANENTLY);
    headers::set(response.headers_mut(), LOCATION, &format!("/{path}/{query}"));
    response
}

fn index(at: u64, length: usize) -> usize {
    usize::try_from(at).unwrap_or(length).min(length)
}
