//! What a worker remembers of files: a bounded map, the least recently used forgotten first.
//!
//! Owns: its bounds, for all folders of the worker together. One a thread, so that nothing is locked and nothing is copied
//! on the way to an answer. Never: judges whether an entry is still true.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::entry::Entry;
use crate::limits;

thread_local! {
    static CACHE: RefCell<Cache> = RefCell::default();
}

/// What one entry takes beside its files and its path, in bytes: up to seven heads of half a KiB.
const OVERHEAD: usize = 4 * 1024;

#[derive(Debug, Default)]
struct Cache {
    /// By folder, then by path as it was sent.
    folders: HashMap<u64, HashMap<Box<str>, Kept>>,
    count: usize,
    bytes: usize,
    /// Counts the looks, to tell which entry was used last.
    looks: u64,
}

#[derive(Debug)]
struct Kept {
    entry: Rc<Entry>,
    used: u64,
    bytes: usize,
}

/// What is remembered of `path` in this folder.
#[must_use]
pub(super) fn recall(folder: u64, path: &str) -> Option<Rc<Entry>> {
    CACHE.with_borrow_mut(|cache| cache.recall(folder, path))
}

/// Remembers it, in place of what was.
pub(super) fn keep(folder: u64, path: &str, entry: &Rc<Entry>) {
    CACHE.with_borrow_mut(|cache| cache.keep(folder, path, entry));
}

/// Counts it anew: it has more bytes than it had.
pub(super) fn recount(folder: u64, path: &str, entry: &Rc<Entry>) {
    CACHE.with_borrow_mut(|cache| cache.recount(folder, path, entry));
}

/// Forgets it, if it is what is remembered.
pub(super) fn forget(folder: u64, path: &str, entry: &Rc<Entry>) {
    CACHE.with_borrow_mut(|cache| cache.forget(folder, path, entry));
}

impl Cache {
    fn recall(&mut self, folder: u64, path: &str) -> Option<Rc<Entry>> {
        self.looks += 1;
        let kept = self.folders.get_mut(&folder)?.get_mut(path)?;
        kept.used = self.looks;
        Some(Rc::clone(&kept.entry))
    }

    fn keep(&mut self, folder: u64, path: &str, entry: &Rc<Entry>) {
        self.remove(folder, path);
        let bytes = entry.kept() + path.len() + OVERHEAD;
        if bytes > limits::FILE_MEMORY {
            return;
        }
        while self.count >= limits::FILE_ENTRIES || self.bytes + bytes > limits::FILE_MEMORY {
            if !self.evict() {
                return;
            }
        }
        self.looks += 1;
        self.count += 1;
        self.bytes += bytes;
        let kept = Kept { entry: Rc::clone(entry), used: self.looks, bytes };
        self.folders.entry(folder).or_default().insert(path.into(), kept);
    }

    fn recount(&mut self, folder: u64, path: &str, entry: &Rc<Entry>) {
        if self.holds(folder, path, entry) {
            self.keep(folder, path, entry);
        }
    }

    fn forget(&mut self, folder: u64, path: &str, entry: &Rc<Entry>) {
        if self.holds(folder, path, entry) {
            self.remove(folder, path);
        }
    }

    fn holds(&self, folder: u64, path: &str, entry: &Rc<Entry>) -> bool {
        let kept = self.folders.get(&folder).and_then(|paths| paths.get(path));
        kept.is_some_and(|kept| Rc::ptr_eq(&kept.entry, entry))
    }

    fn remove(&mut self, folder: u64, path: &str) {
        let Some(paths) = self.folders.get_mut(&folder) else { return };
        if let Some(kept) = paths.remove(path) {
            self.count -= 1;
            self.bytes -= kept.bytes;
        }
        if paths.is_empty() {
            self.folders.remove(&folder);
        }
    }

    /// Forgets the least recently used. Finding it takes a look at all of them, which is little beside reading a file.
    fn evict(&mut self) -> bool {
        let all =
            self.folders.iter().flat_map(|(folder, paths)| paths.iter().map(|(path, kept)| (*folder, path, kept.used)));
        let Some((folder, path, _)) = all.min_by_key(|(_, _, used)| *used) else { return false };
        let path = path.clone();
        self.remove(folder, &path);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use http::HeaderValue;

    use super::super::entry::{Content, Described, Variant};
    use super::*;

    fn entry(size: usize) -> Rc<Entry> {
        let type_ = HeaderValue::from_static("text/plain");
        let described = Described { type_, cache: None, varies: false, modified: None };
        let content = Content::Kept(Bytes::from(vec![0; size]));
        let plain = Variant::new(&described, None, "\"x\"", size as u64, true, content);
        Rc::new(Entry::new(plain, described, Arc::default(), std::time::SystemTime::now()))
    }

    #[test]
    fn only_so_many_entries_are_kept_and_the_least_recently_used_goes_first() {
        let mut cache = Cache::default();
        for number in 0..limits::FILE_ENTRIES {
            cache.keep(u64::from(number % 2 == 1), &format!("/{number}"), &entry(1));
        }
        assert!(cache.recall(0, "/0").is_some());
        cache.keep(0, "/new", &entry(1));
        assert_eq!(cache.count, limits::FILE_ENTRIES);
        assert!(cache.recall(0, "/0").is_some() && cache.recall(1, "/1").is_none() && cache.recall(0, "/2").is_some());
    }

    #[test]
    fn only_so_many_bytes_are_kept() {
        let mut cache = Cache::default();
        let size = usize::try_from(limits::FILE_KEPT).unwrap();
        for number in 0..200 {
            cache.keep(0, &format!("/{number}"), &entry(size));
            assert!(cache.bytes <= limits::FILE_MEMORY);
        }
        assert!(cache.count < 200 && cache.bytes + size + 2 * OVERHEAD > limits::FILE_MEMORY, "{cache:?}");
        // Long names count, too.
        let before = cache.count;
        cache.keep(0, &"/".repeat(1024 * 1024), &entry(1));
        assert!(cache.bytes <= limits::FILE_MEMORY && cache.count < before);
        // What would not fit at all is not kept.
        let before = cache.count;
        cache.keep(0, &"/".repeat(limits::FILE_MEMORY), &entry(1));
        assert_eq!(cache.count, before);
    }

    #[test]
    fn what_has_grown_is_counted_anew() {
        let mut cache = Cache::default();
        let kept = entry(2000);
        cache.keep(0, "/a", &kept);
        let before = cache.bytes;
        assert_eq!(kept.keep_made(crate::message::coding::Coding::Gzip, Bytes::from(vec![0; 500])), 500);
        cache.recount(0, "/b", &kept);
        cache.recount(0, "/a", &entry(1));
        assert_eq!((cache.bytes, cache.count), (before, 1));
        cache.recount(0, "/a", &kept);
        assert_eq!((cache.bytes, cache.count), (before + 500, 1));
    }

    #[test]
    fn an_entry_that_was_replaced_is_not_forgotten_in_place_of_the_old() {
        let mut cache = Cache::default();
        let (old, new) = (entry(1), entry(2));
        cache.keep(0, "/a", &old);
        cache.keep(0, "/a", &new);
        cache.forget(0, "/a", &old);
        assert!(cache.recall(0, "/a").is_some());
        cache.forget(0, "/a", &new);
        assert_eq!((cache.count, cache.bytes, cache.folders.len()), (0, 0, 0));
    }
}
