//! What is said of the directives that did not become a line of the config.
//!
//! Owns: which directives were seen, so that none is lost in silence, and how the list reads.

use std::collections::{BTreeSet, HashSet};
use std::fmt::Write as _;

use super::known::{self, Fate};
use super::syntax::{Directive, Place, Tree};
use crate::config::problem::quoted;

/// How much is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// It is not translated.
    Left,
    /// It is, or need not be, with a difference that is worth knowing.
    Note,
}

/// One line of the list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    place: Place,
    kind: Kind,
    /// The directive as it was written, or what else is at that place.
    what: String,
    why: String,
    instead: String,
}

/// The list.
#[derive(Debug, Default)]
pub(super) struct Report {
    files: Vec<String>,
    entries: BTreeSet<Entry>,
    seen: HashSet<usize>,
    needless: BTreeSet<String>,
    /// What is said once for all.
    said: HashSet<String>,
}

impl Report {
    pub(super) fn new(tree: &Tree) -> Report {
        let mut report = Report { files: tree.files.clone(), ..Report::default() };
        for (place, what) in &tree.missing {
            let entry = Entry {
                place: *place,
                kind: if what.contains("no file matches") { Kind::Note } else { Kind::Left },
                what: what.clone(),
                why: "nothing is read for it".to_owned(),
                instead: "put the files where it says, relative to the main one".to_owned(),
            };
            report.entries.insert(entry);
        }
        report
    }

    /// It became part of the config, or was spoken of.
    pub(super) fn see(&mut self, directive: &Directive) {
        self.seen.insert(directive.id);
    }

    /// The same for it and all that stands in its braces.
    pub(super) fn see_all(&mut self, directive: &Directive) {
        self.see(directive);
        directive.inside().iter().for_each(|inside| self.see_all(inside));
    }

    /// It is not translated: `why`, and what to do instead.
    pub(super) fn left(&mut self, directive: &Directive, why: &str, instead: &str) {
        self.add(Kind::Left, directive, why, instead);
    }

    /// It is translated or not needed, but not to the letter.
    pub(super) fn note(&mut self, directive: &Directive, why: &str, instead: &str) {
        self.add(Kind::Note, directive, why, instead);
    }

    /// The same, where once for all is enough.
    pub(super) fn note_once(&mut self, directive: &Directive, why: &str, instead: &str) {
        self.see(directive);
        if self.said.insert(why.to_owned()) {
            self.note(directive, why, instead);
        }
    }

    /// Nothing here needs it.
    pub(super) fn needless(&mut self, directive: &Directive) {
        self.see(directive);
        self.needless.insert(directive.name.clone());
    }

    fn add(&mut self, kind: Kind, directive: &Directive, why: &str, instead: &str) {
        self.see(directive);
        let (place, what) = (directive.place, shown(directive));
        self.entries.insert(Entry { place, kind, what, why: why.to_owned(), instead: instead.to_owned() });
    }

    /// Speaks of each directive that nothing has seen.
    pub(super) fn finish(&mut self, directives: &[Directive]) {
        for directive in directives {
            if !self.seen.contains(&directive.id) {
                match known::fate(&directive.name) {
                    Fate::Needless => {
                        self.needless(directive);
                        self.see_all(directive);
                    }
                    Fate::Left(why, instead) => {
                        self.left(directive, why, instead);
                        self.see_all(directive);
                    }
                    Fate::Used => {
                        self.note(directive, "nothing that was translated asks for it", "leave it out");
                        self.see_all(directive);
                    }
                    Fate::Block => {}
                    Fate::Unknown => {
                        let why = "this directive is not known here";
                        self.left(directive, why, "look for what it does in config/full.toml");
                        self.see_all(directive);
                    }
                }
            }
            self.finish(directive.inside());
        }
    }

    /// Where a directive stands, for a comment: the file's own name, and the line.
    pub(super) fn place(&self, directive: &Directive) -> String {
        let file = self.files.get(directive.place.file).map_or("", String::as_str);
        format!("{}:{}", file.rsplit('/').next().unwrap_or(file), directive.place.line)
    }

    /// How many directives are not translated.
    pub(super) fn left_count(&self) -> usize {
        self.entries.iter().filter(|entry| entry.kind == Kind::Left).count()
    }

    /// The list: by place, then what is not needed, then the count.
    pub(super) fn render(&self) -> String {
        let mut out = String::new();
        for entry in &self.entries {
            let file = self.files.get(entry.place.file).map_or("", String::as_str);
            let note = if entry.kind == Kind::Note { "note: " } else { "" };
            let _infallible =
                writeln!(out, "{file}:{}: {note}{}: {}; {}", entry.place.line, entry.what, entry.why, entry.instead);
        }
        if !self.needless.is_empty() {
            let names: Vec<&str> = self.needless.iter().map(String::as_str).collect();
            let _infallible = writeln!(out, "not needed here: {}", names.join(", "));
        }
        let (left, notes) = (self.left_count(), self.entries.len() - self.left_count());
        let counted = |count: usize, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
        let left = match left {
            0 => "everything is translated".to_owned(),
            left => counted(left, "directive is not translated", "directives are not translated"),
        };
        let notes = if notes == 0 { String::new() } else { format!(", {}", counted(notes, "note", "notes")) };
        let _infallible = writeln!(out, "{left}{notes}");
        out
    }
}

/// A directive as a message shows it.
pub(super) fn shown(directive: &Directive) -> String {
    let words: Vec<&str> =
        [directive.name.as_str()].into_iter().chain(directive.args.iter().map(String::as_str)).collect();
    quoted(&words.join(" "))
}
