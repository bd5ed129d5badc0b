//! The project's own Rust files, read as tokens: enough to know what each names, and nothing of what it means.
//!
//! Owns: which code is for tests only, and which module a path leads to. Never: comments and texts; they name nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// One file.
#[derive(Debug)]
pub struct Source {
    /// From the repository's root, as in `src/net/peer.rs`.
    pub name: String,
    pub text: String,
    /// As in `net::peer`; the bare name of the file outside of `src`.
    pub module: String,
    /// What is compiled into the program: without comments, texts and tests.
    pub code: Vec<Token>,
    /// All of it, tests too.
    pub tokens: Vec<Token>,
    /// The lines before the tests at the end.
    pub lines: usize,
}

/// A word, `::`, or any other single character; a text or number is one token without content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub text: String,
    pub line: usize,
}

/// A path in the code, from the root of the crate it belongs to: `net::peer::Peer`, `tokio::spawn`.
#[derive(Debug, Clone)]
pub struct Named {
    pub path: String,
    /// Whether it leads into this crate.
    pub ours: bool,
    pub line: usize,
}

/// The files below `folder`, without those that are only compiled for tests.
pub fn program(folder: &str) -> Vec<Source> {
    let mut sources = all(folder);
    let tests: BTreeSet<String> = sources.iter().flat_map(Source::test_modules).collect();
    sources.retain(|source| !tests.iter().any(|test| within(&source.module, test)));
    sources
}

/// Every file below `folder`.
pub fn all(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    collect(&root.join(folder), &mut files);
    files.sort();
    let name = |file: &PathBuf| file.strip_prefix(root).expect("below the root").to_string_lossy().into_owned();
    files.iter().map(|file| Source::new(name(file), std::fs::read_to_string(file).expect("readable"))).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Whether `module` is `room` or in it.
pub fn within(module: &str, room: &str) -> bool {
    module.strip_prefix(room).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

impl Source {
    pub fn new(name: String, text: String) -> Source {
        let tokens = tokens(&text);
        let (code, lines) = without_tests(&tokens);
        let lines = lines.unwrap_or_else(|| text.lines().count());
        Source { module: module(&name), lines, code, tokens, name, text }
    }

    /// The modules that it declares for tests alone.
    fn test_modules(&self) -> Vec<String> {
        let words: Vec<&str> = self.tokens.iter().map(|token| token.text.as_str()).collect();
        let starts = (0..words.len()).filter(|&at| words[at..].starts_with(&TEST));
        let declared = starts.filter_map(|at| {
            let rest = &words[at + TEST.len()..];
            let at = rest.iter().position(|word| *word == "mod")?;
            let public = rest[..at].iter().all(|word| ["pub", "(", "crate", "super", ")"].contains(word));
            (public && rest[at + 2] == ";").then(|| rest[at + 1])
        });
        declared.map(|name| format!("{}::{name}", self.module)).collect()
    }

    /// Every path in the code.
    pub fn names(&self) -> Vec<Named> {
        let mut paths = Vec::new();
        let mut at = 0;
        while let Some(token) = self.code.get(at) {
            // In `impl Trait + use<'a>` it names nothing.
            let names = self.code.get(at + 1).is_some_and(|next| is_word(&next.text) || next.text == "{");
            if token.text == "use" && names {
                at = tree(&self.code, at + 1, &[], &mut paths);
            } else if is_word(&token.text) {
                at = plain(&self.code, at, &mut paths);
            } else {
                at += 1;
            }
        }
        paths.into_iter().map(|(segments, line)| self.resolve(&segments, line)).collect()
    }

    fn resolve(&self, segments: &[String], line: usize) -> Named {
        let mut base: Vec<&str> = self.module.split("::").filter(|part| !part.is_empty()).collect();
        let mut rest = segments.iter().map(String::as_str).peekable();
        let ours = ["crate", "steadfeed", "self", "super"].contains(&segments[0].as_str());
        match rest.peek() {
            Some(&("crate" | "steadfeed")) => {
                rest.next();
                base.clear();
            }
            Some(&"self") => {
                rest.next();
            }
            Some(&"super") => {
                while rest.next_if_eq(&"super").is_some() {
                    base.pop();
                }
            }
            Some(_) | None => base.clear(),
        }
        base.extend(rest);
        Named { path: base.join("::"), ours, line }
    }
}

const TEST: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];

fn module(name: &str) -> String {
    let inner = name.strip_prefix("src/").unwrap_or(name).trim_end_matches(".rs");
    let inner = inner.strip_suffix("/mod").unwrap_or(inner);
    if inner == "lib" { String::new() } else { inner.replace('/', "::") }
}

fn is_word(text: &str) -> bool {
    text.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// A path outside of `use`; single words name nothing.
fn plain(code: &[Token], mut at: usize, paths: &mut Vec<(Vec<String>, usize)>) -> usize {
    let line = code[at].line;
    let mut segments = vec![code[at].text.clone()];
    at += 1;
    while code.get(at).is_some_and(|token| token.text == "::")
        && code.get(at + 1).is_some_and(|token| is_word(&token.text))
    {
        segments.push(code[at + 1].text.clone());
        at += 2;
    }
    if segments.len() > 1 {
        paths.push((segments, line));
    }
    at
}

/// One tree of a `use`, `before` being what stands before its braces; gives where it ends.
fn tree(code: &[Token], mut at: usize, before: &[String], paths: &mut Vec<(Vec<String>, usize)>) -> usize {
    let mut segments = before.to_vec();
    while let Some(token) = code.get(at) {
        match token.text.as_str() {
            "{" => {
                at += 1;
                while code.get(at).is_some_and(|token| token.text != "}") {
                    at = tree(code, at, &segments, paths);
                    at += usize::from(code.get(at).is_some_and(|token| token.text == ","));
                }
                return at + 1;
            }
            "," | "}" | ";" => break,
            "as" => at += 2,
            word if is_word(word) => {
                // `a::{self}` is `a`.
                if word != "self" || segments.is_empty() {
                    segments.push(word.to_owned());
                }
                at += 1;
            }
            _ => at += 1,
        }
    }
    if segments.len() > before.len() || !before.is_empty() {
        paths.push((segments, code[at.min(code.len() - 1)].line));
    }
    at
}

/// The tokens outside of test items, and the line before the first test module that has its body here.
fn without_tests(tokens: &[Token]) -> (Vec<Token>, Option<usize>) {
    let mut code = Vec::new();
    let mut lines = None;
    let mut at = 0;
    while at < tokens.len() {
        if !TEST.iter().zip(&tokens[at..]).all(|(word, token)| *word == token.text) {
            code.push(tokens[at].clone());
            at += 1;
            continue;
        }
        let item = at + TEST.len();
        let end = end_of_item(tokens, item);
        if tokens[item].text == "mod" && tokens[end - 1].text == "}" {
            lines.get_or_insert(tokens[at].line - 1);
        }
        at = end;
    }
    (code, lines)
}

/// Past the `;` or the closing brace that ends an item.
fn end_of_item(tokens: &[Token], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while let Some(token) = tokens.get(at) {
        at += 1;
        match token.text.as_str() {
            "{" | "(" | "[" => depth += 1,
            ")" | "]" => depth -= 1,
            "}" => {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
            ";" if depth == 0 => break,
            _ => {}
        }
    }
    at
}

/// Words and marks, without comments.
fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let (mut rest, mut line) = (text, 1);
    while let Some(first) = rest.chars().next() {
        let (length, kept) = token(rest, first);
        let (taken, after) = rest.split_at(length);
        if let Some(kept) = kept {
            tokens.push(Token { text: kept.to_owned(), line });
        }
        line += taken.matches('\n').count();
        rest = after;
    }
    tokens
}

/// The length of what stands at the start, and how it is kept.
fn token(rest: &str, first: char) -> (usize, Option<&str>) {
    let words = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    let after = &rest[words..];
    let prefix = ["r", "b", "br", "c", "cr"].contains(&&rest[..words]);
    if rest.starts_with("//") {
        (rest.find('\n').unwrap_or(rest.len()), None)
    } else if rest.starts_with("/*") {
        (rest.find("*/").map_or(rest.len(), |at| at + 2), None)
    } else if first == '"' {
        (quoted(rest, '"'), Some("\""))
    } else if prefix && rest[..words].contains('r') && after.starts_with(['"', '#']) {
        let hashes = after.len() - after.trim_start_matches('#').len();
        let end = format!("\"{}", "#".repeat(hashes));
        let body = &after[hashes + 1..];
        (words + hashes + 1 + body.find(&end).map_or(body.len(), |at| at + end.len()), Some("\""))
    } else if prefix && after.starts_with('"') {
        (words + quoted(after, '"'), Some("\""))
    } else if prefix && after.starts_with('\'') {
        (words + quoted(after, '\''), Some("\""))
    } else if first == '\'' {
        // A character, or a lifetime's mark.
        let mut chars = rest.chars().skip(1);
        let character = chars.next() == Some('\\') || chars.next() == Some('\'');
        if character { (quoted(rest, '\''), Some("\"")) } else { (1, Some("'")) }
    } else if words > 0 {
        (words, Some(&rest[..words]))
    } else if rest.starts_with("::") {
        (2, Some("::"))
    } else {
        let length = first.len_utf8();
        (length, (!first.is_whitespace()).then_some(&rest[..length]))
    }
}

/// The length of a text with its quotes.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}
