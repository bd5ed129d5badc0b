//! What is known of one path: its file, the files that hold it compressed, and their answers' heads, ready to be sent.
//!
//! Owns: which variant a request gets, and which headers each has. Never: looks at the disk; [`find`](super::find) does.

use std::cell::{Cell, OnceCell};
use std::hash::{DefaultHasher, Hasher};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderMap, LAST_MODIFIED, VARY,
};
use http::{HeaderName, HeaderValue};
use tokio::time::Instant;

use super::stamp::Stamp;
use crate::message::coding::{Accepted, Coding};
use crate::message::headers;

/// One path's file, in each coding that there is.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) plain: Variant,
    /// Files beside it, by [`Coding::index`].
    pub(super) stored: [Option<Variant>; Coding::ALL.len()],
    /// What we have compressed ourselves, where that was asked for; `None` inside where nothing was gained.
    made: [OnceCell<Option<Variant>>; Coding::ALL.len()],
    /// Compressed on demand.
    pub(super) makes: bool,
    pub(super) described: Described,
    /// The folder, without symbolic links, when the file was found.
    pub(super) root: Arc<PathBuf>,
    /// The files that the entry was made of, and those that were not there.
    pub(super) watched: Arc<[(PathBuf, Option<Stamp>)]>,
    /// Before they were read.
    pub(super) read: SystemTime,
    /// When they were last looked at.
    pub(super) checked: Cell<Instant>,
    /// They are being looked at.
    pub(super) checking: Cell<bool>,
    /// A variant is being made.
    pub(super) making: Cell<bool>,
}

/// What all variants of a file have in common.
#[derive(Debug, Clone)]
pub(super) struct Described {
    pub(super) type_: HeaderValue,
    pub(super) cache: Option<HeaderValue>,
    /// There is, or may be, more than one variant.
    pub(super) varies: bool,
    pub(super) modified: Option<SystemTime>,
}

/// One form of a file.
#[derive(Debug)]
pub(super) struct Variant {
    /// Of the answer that gives it whole.
    pub(super) head: HeaderMap,
    pub(super) etag: HeaderValue,
    pub(super) modified: Option<SystemTime>,
    pub(super) length: u64,
    /// Parts of it are given.
    pub(super) ranges: bool,
    pub(super) content: Content,
}

/// Where its bytes are.
#[derive(Debug, Clone)]
pub(super) enum Content {
    Kept(Bytes),
    OnDisk { path: PathBuf, stamp: Stamp },
}

/// What a request gets.
#[derive(Debug)]
pub(super) enum Pick<'a> {
    Variant(&'a Variant),
    /// It is yet to be compressed, from these bytes.
    Make(Coding, &'a Bytes),
}

/// At equal weights the smallest: it was compressed once.
const ORDER: [Coding; 3] = Coding::ALL;
/// What a 304 does not repeat of the head it speaks of.
const OF_THE_BODY: [HeaderName; 5] =
    [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_ENCODING, ACCEPT_RANGES, http::header::X_CONTENT_TYPE_OPTIONS];

impl Entry {
    /// An entry that has made nothing yet, looked at just now.
    #[must_use]
    pub(super) fn new(plain: Variant, described: Described, root: Arc<PathBuf>, read: SystemTime) -> Entry {
        Entry {
            plain,
            described,
            root,
            stored: [const { None }; Coding::ALL.len()],
            made: [const { OnceCell::new() }; Coding::ALL.len()],
            makes: false,
            watched: Arc::new([]),
            read,
            checked: Cell::new(Instant::now()),
            checking: Cell::new(false),
            making: Cell::new(false),
        }
    }

    /// The variant for who accepts this; `ranged` where a part may be asked for, which what we make does not have.
    #[must_use]
    pub(super) fn pick(&self, accepted: Accepted, ranged: bool) -> Pick<'_> {
        let makes = self.makes && !ranged;
        let available = |coding: Coding| {
            self.stored[coding.index()].is_some()
                || makes && self.made[coding.index()].get().is_none_or(|made| made.is_some())
        };
        let Some(coding) = accepted.best(&ORDER, available) else { return Pick::Variant(&self.plain) };
        let stored = self.stored[coding.index()].as_ref();
        if let Some(variant) = stored.or_else(|| self.made[coding.index()].get()?.as_ref()) {
            return Pick::Variant(variant);
        }
        match &self.plain.content {
            // While one request makes it, the others do not wait.
            Content::Kept(bytes) if !self.making.get() => Pick::Make(coding, bytes),
            Content::Kept(_) | Content::OnDisk { .. } => Pick::Variant(&self.plain),
        }
    }

    /// Keeps what was made of the plain variant, if it is smaller. Gives how many bytes more the entry has now.
    pub(super) fn keep_made(&self, coding: Coding, bytes: Bytes) -> usize {
        let smaller = (bytes.len() as u64) < self.plain.length;
        let grown = if smaller { bytes.len() } else { 0 };
        let made = smaller.then(|| {
            // Weak: another version of the compressor may make other bytes of it.
            let bare = self.plain.etag.to_str().unwrap_or_default().trim_matches('"');
            let etag = format!("W/\"{bare}-{}\"", coding.name());
            Variant::new(&self.described, Some(coding), &etag, bytes.len() as u64, false, Content::Kept(bytes))
        });
        if self.made[coding.index()].set(made).is_ok() { grown } else { 0 }
    }

    /// Bytes of files that it holds.
    #[must_use]
    pub(super) fn kept(&self) -> usize {
        let stored = self.stored.iter().flatten();
        let made = self.made.iter().filter_map(|made| made.get()?.as_ref());
        stored.chain(made).chain([&self.plain]).map(Variant::kept).sum()
    }
}

impl Variant {
    #[must_use]
    pub(super) fn new(
        described: &Described,
        coding: Option<Coding>,
        etag: &str,
        length: u64,
        ranges: bool,
        content: Content,
    ) -> Variant {
        // Room for what the edge adds, so that a clone need not grow.
        let mut head = HeaderMap::with_capacity(12);
        head.insert(CONTENT_TYPE, described.type_.clone());
        head.insert(CONTENT_LENGTH, length.into());
        headers::set(&mut head, ETAG, etag);
        if let Some(modified) = described.modified {
            headers::set(&mut head, LAST_MODIFIED, &httpdate::fmt_http_date(modified));
        }
        if ranges {
            head.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        }
        if let Some(coding) = coding {
            head.insert(CONTENT_ENCODING, coding.value());
        }
        if let Some(cache) = &described.cache {
            head.insert(CACHE_CONTROL, cache.clone());
        }
        if described.varies {
            head.insert(VARY, HeaderValue::from_static("accept-encoding"));
        }
        headers::finish(&mut head);
        let etag = head.get(ETAG).cloned().unwrap_or(HeaderValue::from_static("\"\""));
        Variant { head, etag, modified: described.modified, length, ranges, content }
    }

    /// What a 304 says.
    #[must_use]
    pub(super) fn bare_head(&self) -> HeaderMap {
        let mut head = self.head.clone();
        for name in &OF_THE_BODY {
            head.remove(name);
        }
        head
    }

    fn kept(&self) -> usize {
        match &self.content {
            Content::Kept(bytes) => bytes.len(),
            Content::OnDisk { .. } => 0,
        }
    }
}

/// The tag of a file whose bytes are known: made of them and of the coding, so that it is the same wherever the file is
/// (64 bits of SipHash: nobody who writes the files has a reason to make two the same).
#[must_use]
pub(super) fn tag_of_bytes(bytes: &[u8], coding: Option<Coding>) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    format!("\"{:016x}{}\"", hasher.finish(), suffix(coding))
}

/// The tag of a larger file: made of its size, of when it was changed, in nanoseconds, and of the coding. A change that
/// keeps the size and the time does not show in it.
#[must_use]
pub(super) fn tag_of_stamp(stamp: &Stamp, coding: Option<Coding>) -> String {
    format!("\"{:x}.{:x}-{:x}{}\"", stamp.modified.0, stamp.modified.1, stamp.size, suffix(coding))
}

fn suffix(coding: Option<Coding>) -> String {
    coding.map_or_else(String::new, |coding| format!("-{}", coding.name()))
}
