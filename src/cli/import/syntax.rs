//! nginx's configuration as a tree of directives, each with the file and line it stands on.
//!
//! Owns: blocks, `include`, the bounds on both. Never: knows a directive other than `include`.

use std::path::{Path, PathBuf};

use super::include::{Source, matching};
use super::words::{Flaw, Token, Words};
use crate::config::problem::quoted;
use crate::limits;

/// A line of one of the files that were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(super) struct Place {
    /// Which of [`Tree::files`].
    pub file: usize,
    pub line: usize,
}

/// One directive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Directive {
    /// Its number, in the order of reading: no other has it.
    pub id: usize,
    pub name: String,
    pub args: Vec<String>,
    pub place: Place,
    /// What stands in its braces.
    pub block: Option<Vec<Directive>>,
}

/// Everything that was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tree {
    /// The names of the files, the main one first.
    pub files: Vec<String>,
    pub directives: Vec<Directive>,
    /// Includes that found nothing: where, and what is wrong.
    pub missing: Vec<(Place, String)>,
}

/// Why nothing can be made of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{}: {}; {}", flaw.line, flaw.what, flaw.instead)]
pub(super) struct Fault {
    pub file: String,
    pub flaw: Flaw,
}

impl Directive {
    /// The argument at `index`, or nothing.
    pub(super) fn arg(&self, index: usize) -> &str {
        self.args.get(index).map_or("", String::as_str)
    }

    /// What stands in its braces, if it has any.
    pub(super) fn inside(&self) -> &[Directive] {
        self.block.as_deref().unwrap_or_default()
    }
}

/// Files that come with nginx, of which nothing here asks: tables of media types, and parameters of other protocols.
const NEEDLESS: [&str; 5] = ["mime.types", "fastcgi_params", "fastcgi.conf", "uwsgi_params", "scgi_params"];

/// Reads the configuration whose main file is `path`, and all that it includes.
///
/// # Errors
/// Where a file can't be read, or the text is not nginx's language.
pub(super) fn read(path: &Path, source: &dyn Source) -> Result<Tree, Fault> {
    let folder = path.parent().map(Path::to_owned).unwrap_or_default();
    let mut reader = Reader { source, folder, tree: Tree::default(), bytes: 0, directives: 0 };
    reader.tree.directives = reader.file(path, 0)?;
    Ok(reader.tree)
}

struct Reader<'a> {
    source: &'a dyn Source,
    /// Includes are relative to the main file's.
    folder: PathBuf,
    tree: Tree,
    /// Read so far, of all files.
    bytes: usize,
    directives: usize,
}

impl Reader<'_> {
    fn file(&mut self, path: &Path, depth: usize) -> Result<Vec<Directive>, Fault> {
        let file = self.tree.files.len();
        self.tree.files.push(path.display().to_string());
        if file >= limits::IMPORT_FILES {
            let what = format!("there are more than {} files", limits::IMPORT_FILES);
            return Err(self.fault(file, Flaw::new(1, what, "import one site at a time")));
        }
        let text = self.source.read(path).map_err(|error| {
            let what = format!("this file can not be read: {error}");
            self.fault(file, Flaw::new(1, what, "name a file that this user can read"))
        })?;
        self.bytes = self.bytes.saturating_add(text.len());
        if self.bytes > limits::IMPORT_SIZE {
            let what = format!("the files come to more than {} bytes", limits::IMPORT_SIZE);
            return Err(self.fault(file, Flaw::new(1, what, "import one site at a time")));
        }
        self.block(&mut Words::new(&text), file, None, depth)
    }

    /// Directives up to the brace that closes the block opened on line `opened`, or up to the end of the file.
    fn block(
        &mut self,
        words: &mut Words<'_>,
        file: usize,
        opened: Option<usize>,
        depth: usize,
    ) -> Result<Vec<Directive>, Fault> {
        let mut directives = Vec::new();
        loop {
            let token = words.token().map_err(|flaw| self.fault(file, flaw))?;
            let flaw = match (token, opened) {
                (None, None) => return Ok(directives),
                (Some((Token::Close, _)), Some(_)) => return Ok(directives),
                (Some((Token::Word(name), line)), _) => {
                    self.directive(words, Place { file, line }, name, depth, &mut directives)?;
                    continue;
                }
                (None, Some(line)) => Flaw::new(line, "the block opened here is never closed", "add a `}`"),
                (Some((Token::Close, line)), None) => Flaw::new(line, "this `}` closes nothing", "remove it"),
                (Some((Token::Open, line)), _) => {
                    Flaw::new(line, "this block has no name", "write one before the `{`, or remove it")
                }
                (Some((Token::End, line)), _) => Flaw::new(line, "this `;` ends nothing", "remove it"),
            };
            return Err(self.fault(file, flaw));
        }
    }

    /// The rest of a directive, put into `out` with all that it includes.
    fn directive(
        &mut self,
        words: &mut Words<'_>,
        place: Place,
        name: String,
        depth: usize,
        out: &mut Vec<Directive>,
    ) -> Result<(), Fault> {
        let fault = |reader: &Self, what: String, instead: &str| {
            Err(reader.fault(place.file, Flaw::new(place.line, what, instead)))
        };
        self.directives += 1;
        if self.directives > limits::IMPORT_DIRECTIVES {
            let what = format!("there are more than {} directives", limits::IMPORT_DIRECTIVES);
            return fault(self, what, "import one site at a time");
        }
        let mut args = Vec::new();
        let opens = loop {
            match words.token().map_err(|flaw| self.fault(place.file, flaw))? {
                Some((Token::Word(word), _)) => args.push(word),
                Some((Token::End, _)) => break false,
                Some((Token::Open, _)) => break true,
                Some((Token::Close, _)) | None => {
                    return fault(self, format!("{} is not ended", quoted(&name)), "end it with `;`");
                }
            }
        };
        let mut directive = Directive { id: self.directives, name, args, place, block: None };
        if !opens && directive.name == "include" {
            return self.include(directive, depth, out);
        }
        if opens {
            if depth >= limits::IMPORT_DEPTH {
                let what = format!("blocks and includes are nested more than {} deep", limits::IMPORT_DEPTH);
                return fault(self, what, "write them side by side");
            }
            directive.block = Some(if directive.name.ends_with("_by_lua_block") {
                if !words.skip_block() {
                    return fault(self, "the block opened here is never closed".to_owned(), "add a `}`");
                }
                Vec::new()
            } else {
                self.block(words, place.file, Some(place.line), depth + 1)?
            });
        }
        out.push(directive);
        Ok(())
    }

    fn include(&mut self, directive: Directive, depth: usize, out: &mut Vec<Directive>) -> Result<(), Fault> {
        let place = directive.place;
        let pattern = directive.arg(0).to_owned();
        if depth >= limits::IMPORT_DEPTH {
            let what = format!("blocks and includes are nested more than {} deep", limits::IMPORT_DEPTH);
            return Err(self.fault(place.file, Flaw::new(place.line, what, "look for a file that includes itself")));
        }
        let name = Path::new(&pattern).file_name().and_then(|name| name.to_str());
        if name.is_some_and(|name| NEEDLESS.contains(&name)) {
            out.push(directive);
            return Ok(());
        }
        let is_glob = pattern.contains(['*', '?', '[']);
        let mut found = Vec::new();
        for path in self.candidates(&pattern) {
            found = if is_glob { matching(self.source, &path) } else { vec![path] };
            found.retain(|path| is_glob || self.source.exists(path));
            if !found.is_empty() {
                break;
            }
        }
        if found.is_empty() {
            let what = if is_glob { "no file matches it" } else { "there is no such file" };
            self.tree.missing.push((place, format!("include {}: {what}", quoted(&pattern))));
        }
        for path in found {
            out.extend(self.file(&path, depth + 1)?);
        }
        Ok(())
    }

    /// Where an include may be: where it says, and beside the main file if that was copied out of nginx's own folder.
    fn candidates(&self, pattern: &str) -> Vec<PathBuf> {
        let copied = pattern.strip_prefix("/etc/nginx/").map(|rest| self.folder.join(rest));
        [self.folder.join(pattern)].into_iter().chain(copied).collect()
    }

    fn fault(&self, file: usize, flaw: Flaw) -> Fault {
        Fault { file: self.tree.files.get(file).cloned().unwrap_or_default(), flaw }
    }
}
