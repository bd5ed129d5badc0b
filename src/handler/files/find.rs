//! Looking for a file on the disk: all that blocks, for the blocking threads.
//!
//! Owns: that nothing outside the folder is ever read, whatever links lead there: what was opened is asked where it is, so
//! that no change of a link in between can fool it. Never: runs on a worker's own thread.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use http::HeaderValue;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::entry::{Content, Described, Entry, Variant, tag_of_bytes, tag_of_stamp};
use super::path::Below;
use super::stamp::Stamp;
use super::{Folder, pieces};
use crate::limits;
use crate::message::coding::Coding;
use crate::message::compress;

/// What is at a path.
#[derive(Debug)]
pub(super) enum Found {
    File(Box<Entry>),
    /// A folder with an index, asked for without its slash.
    Folder,
    Nothing,
}

/// A folder's own file.
const INDEX: &str = "index.html";

/// Looks for what `below` names.
///
/// # Errors
/// Those of the disk or the process; not that there is nothing, or nothing that may be seen.
pub(super) fn find(folder: &Folder, below: &Below) -> io::Result<Found> {
    let mut root = folder.root.canonicalize()?;
    loop {
        let found = find_in(folder, &root, below)?;
        let now = folder.root.canonicalize()?;
        // What was looked for by way of a link that changed meanwhile may have seemed to be outside.
        if !matches!(found, Found::Nothing) || now == root {
            return Ok(found);
        }
        root = now;
    }
}

/// A large file opened again, and the first of its bytes; `None` where it is another one by now.
///
/// # Errors
/// As [`find`].
pub(super) fn reopen(
    root: &Path,
    path: &Path,
    stamp: &Stamp,
    at: u64,
    length: usize,
) -> io::Result<Option<(File, Vec<u8>)>> {
    let Some((file, metadata)) = open(root, path)? else { return Ok(None) };
    if Stamp::of(&metadata) != *stamp {
        return Ok(None);
    }
    let bytes = if length == 0 { Vec::new() } else { pieces::read(&file, pieces::buffer(length), at, length)? };
    Ok(Some((file, bytes)))
}

fn find_in(folder: &Folder, root: &Path, below: &Below) -> io::Result<Found> {
    // By the folder's name as it was given: when that is a link, what it leads to may change.
    let mut path = folder.root.clone();
    path.extend(below.path());
    let mut named = below.named();
    let is_folder = match fs::metadata(&path) {
        Ok(metadata) => metadata.is_dir(),
        Err(error) => return absent(error).map(|()| Found::Nothing),
    };
    if is_folder {
        path.push(INDEX);
        named.push_str(INDEX);
    } else if below.folder {
        return Ok(Found::Nothing);
    }
    let Some(opened) = open(root, &path)? else { return Ok(Found::Nothing) };
    if is_folder && !below.folder {
        return Ok(Found::Folder);
    }
    entry(folder, root, &path, &[&below.named(), &named], opened).map(|entry| Found::File(Box::new(entry)))
}

/// Reads what there is of the file and of those beside it.
fn entry(
    folder: &Folder,
    root: &Path,
    path: &Path,
    named: &[&str],
    (file, metadata): (File, Metadata),
) -> io::Result<Entry> {
    let read = SystemTime::now();
    let type_ = type_of(path);
    let is_spa = folder.spa.as_ref().is_some_and(|spa| path == folder.root.join(spa));
    let cache = folder.cache_control(named).cloned().or(is_spa.then(|| HeaderValue::from_static("no-cache")));
    let text = compress::is_text(&type_);
    let mut beside = Vec::with_capacity(Coding::ALL.len());
    for coding in Coding::ALL {
        let mut name = path.as_os_str().to_owned();
        name.push(coding.extension());
        let name = PathBuf::from(name);
        beside.push((coding, open(root, &name)?, name));
    }
    let varies = folder.compress && text || beside.iter().any(|(_, opened, _)| opened.is_some());
    let described = |metadata: &Metadata| {
        // RFC 9110, section 8.8.2.1: never in the future.
        let modified = metadata.modified().ok().filter(|modified| *modified <= SystemTime::now());
        Described { type_: type_.clone(), cache: cache.clone(), varies, modified }
    };
    let mut watched = vec![(path.to_owned(), Some(Stamp::of(&metadata)))];
    let plain = variant(&described(&metadata), None, path, &file, &metadata)?;
    let mut entry = Entry::new(plain, described(&metadata), Arc::new(root.to_owned()), read);
    for (coding, opened, name) in beside {
        let stamp = match &opened {
            Some((file, metadata)) => {
                let variant = variant(&described(metadata), Some(coding), &name, file, metadata)?;
                entry.stored[coding.index()] = Some(variant);
                Some(Stamp::of(metadata))
            }
            // It may be there and not be ours to give.
            None => Stamp::at(&name),
        };
        watched.push((name, stamp));
    }
    let kept = matches!(entry.plain.content, Content::Kept(_));
    let fixed = entry.described.cache.as_ref().is_some_and(compress::forbidden_by);
    entry.makes = folder.compress && text && kept && !fixed && entry.plain.length >= limits::COMPRESS_MIN;
    entry.watched = watched.into();
    Ok(entry)
}

fn variant(
    described: &Described,
    coding: Option<Coding>,
    path: &Path,
    mut file: &File,
    metadata: &Metadata,
) -> io::Result<Variant> {
    let stamp = Stamp::of(metadata);
    if stamp.size <= limits::FILE_KEPT {
        let mut bytes = Vec::with_capacity(usize::try_from(stamp.size).unwrap_or(0));
        file.by_ref().take(limits::FILE_KEPT + 1).read_to_end(&mut bytes)?;
        let length = bytes.len() as u64;
        if length <= limits::FILE_KEPT {
            let etag = tag_of_bytes(&bytes, coding);
            return Ok(Variant::new(described, coding, &etag, length, true, Content::Kept(bytes.into())));
        }
        // It grew meanwhile.
    }
    let (etag, size) = (tag_of_stamp(&stamp, coding), stamp.size);
    Ok(Variant::new(described, coding, &etag, size, true, Content::OnDisk { path: path.to_owned(), stamp }))
}

/// A regular file inside `root`, or `None`.
fn open(root: &Path, path: &Path) -> io::Result<Option<(File, Metadata)>> {
    // Without waiting for the other end of a pipe, or taking a terminal.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(error) => return absent(error.into()).map(|()| None),
    };
    let metadata = file.metadata()?;
    let inside = metadata.is_file() && whereabouts(&file, path)?.starts_with(root);
    Ok(inside.then_some((file, metadata)))
}

/// Where the opened file is, without links. Without `/proc`, where its path leads now.
fn whereabouts(file: &File, path: &Path) -> io::Result<PathBuf> {
    match fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.canonicalize(),
        whereabouts => whereabouts,
    }
}

/// Nothing where the error says that nothing is there, or nothing for us.
fn absent(error: io::Error) -> io::Result<()> {
    const ABSENT: [Errno; 9] = [
        Errno::NOENT,
        Errno::ACCESS,
        Errno::PERM,
        Errno::NOTDIR,
        Errno::NAMETOOLONG,
        Errno::LOOP,
        Errno::NXIO,
        Errno::NODEV,
        Errno::INVAL,
    ];
    match Errno::from_io_error(&error) {
        Some(errno) if ABSENT.contains(&errno) => Ok(()),
        Some(_) | None => Err(error),
    }
}

/// By the name's extension; no charset is made up.
fn type_of(path: &Path) -> HeaderValue {
    let type_ = mime_guess::from_path(path).first_raw().unwrap_or("application/octet-stream");
    HeaderValue::from_static(type_)
}
