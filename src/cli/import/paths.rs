//! The paths of a `location`: which of our patterns stand for it.

use crate::message::percent;

/// What a `location` is written with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form<'a> {
    Exact(&'a str),
    Prefix(&'a str),
    Regex(&'a str),
    /// `@name`
    Named(&'a str),
}

/// A pattern of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pattern {
    Exact(String),
    /// With or without a slash at its end, as nginx has it.
    Prefix(String),
}

impl Pattern {
    /// What was written in nginx.
    pub(super) fn path(&self) -> &str {
        match self {
            Pattern::Exact(path) | Pattern::Prefix(path) => path,
        }
    }

    /// Whether every path it stands for is `prefix`, or below it.
    pub(super) fn is_below(&self, prefix: &str) -> bool {
        self.path().strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    pub(super) fn is_exact(&self) -> bool {
        matches!(self, Pattern::Exact(_))
    }

    /// Our patterns: `/api/` is `/api/*`; `/api` is both `/api` and `/api/*`.
    pub(super) fn written(&self) -> Vec<String> {
        match self {
            Pattern::Exact(path) => vec![path.clone()],
            Pattern::Prefix(path) if path.ends_with('/') => vec![format!("{path}*")],
            Pattern::Prefix(path) => vec![path.clone(), format!("{path}/*")],
        }
    }
}

/// The form of a location's arguments; a modifier may stand right before the path.
pub(super) fn form(args: &[String]) -> Option<Form<'_>> {
    let (modifier, path) = match args {
        [modifier, path] => (modifier.as_str(), path.as_str()),
        [path] => {
            let modifier = ["^~", "~*", "~", "="].into_iter().find(|modifier| path.starts_with(modifier)).unwrap_or("");
            (modifier, path.get(modifier.len()..)?)
        }
        _ => return None,
    };
    match modifier {
        "=" => Some(Form::Exact(path)),
        "~" | "~*" => Some(Form::Regex(path)),
        "^~" => Some(Form::Prefix(path)),
        "" if path.starts_with('@') => Some(Form::Named(path)),
        "" => Some(Form::Prefix(path)),
        _ => None,
    }
}

/// A literal path as a pattern, percent-encoded; `None` where no request has such a path.
pub(super) fn literal(path: &str, exact: bool) -> Option<Pattern> {
    let has_odd_parts = path.contains("//") || path.split('/').any(|part| matches!(part, "." | ".."));
    if !path.starts_with('/') || has_odd_parts || path.contains('*') {
        return None;
    }
    let encoded = percent::encode(path, percent::PATH);
    // A variable of the environment would be filled in.
    (!encoded.contains("${")).then_some(if exact { Pattern::Exact(encoded) } else { Pattern::Prefix(encoded) })
}

/// The patterns of a regex that is only a prefix, a path, or several of them: `^/api/`, `^/health$`, `^/(a|b)/`.
pub(super) fn trivial(regex: &str) -> Option<Vec<Pattern>> {
    let rest = regex.strip_prefix('^')?;
    let (rest, exact) = match ["(/|$)", "/.*$", "/(.*)$", "/.*", "/(.*)"].iter().find_map(|end| rest.strip_suffix(end))
    {
        Some(rest) if regex.ends_with("(/|$)") => (rest.to_owned(), false),
        Some(rest) => (format!("{rest}/"), false),
        None => match rest.strip_suffix('$') {
            Some(rest) => (rest.to_owned(), true),
            None => (rest.to_owned(), false),
        },
    };
    let paths: Vec<String> = match (rest.split_once('('), rest.split_once(')')) {
        (None, None) => vec![rest],
        (Some((before, inside)), Some((_, after))) => {
            let (choices, _) = inside.split_once(')')?;
            let choices = choices.strip_prefix("?:").unwrap_or(choices);
            choices.split('|').map(|choice| format!("{before}{choice}{after}")).collect()
        }
        _ => return None,
    };
    let plain = |path: &String| {
        let path = path.replace("\\.", ".").replace("\\-", "-").replace("\\/", "/");
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_/".contains(c);
        // A bare dot stands for any character.
        let is_literal = path.chars().all(|c| is_plain(c) || c == '.') && !has_bare_dot(regex);
        is_literal.then(|| literal(&path, exact)).flatten()
    };
    paths.iter().map(plain).collect()
}

fn has_bare_dot(regex: &str) -> bool {
    let without = regex.replace("\\.", "").replace("(.*)", "").replace(".*", "");
    without.contains('.')
}

/// Whether a regex is about files whose name begins with a dot, which are never served.
pub(super) fn is_about_dot_files(regex: &str) -> bool {
    regex.starts_with("/\\.")
        || regex.starts_with("^/\\.")
        || regex.starts_with("(^|/)\\.")
        || regex.starts_with("^(.*/)?\\.")
}

/// Whether a regex is about the ends of paths: `\.(js|css)$`.
pub(super) fn is_about_extensions(regex: &str) -> bool {
    regex.starts_with("\\.") || regex.starts_with(".*\\.") || regex.starts_with("^.+\\.") || regex.starts_with("^.*\\.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn modifiers_stand_alone_or_before_the_path() {
        assert_eq!(form(&args("= /a")), Some(Form::Exact("/a")));
        assert_eq!(form(&args("=/a")), Some(Form::Exact("/a")));
        assert_eq!(form(&args("/a")), Some(Form::Prefix("/a")));
        assert_eq!(form(&args("^~ /a")), Some(Form::Prefix("/a")));
        assert_eq!(form(&args("~*\\.js$")), Some(Form::Regex("\\.js$")));
        assert_eq!(form(&args("@app")), Some(Form::Named("@app")));
        assert_eq!(form(&args("! /a")), None);
        assert_eq!(form(&[]), None);
    }

    #[track_caller]
    fn check(regex: &str, expected: &str) {
        let shown = trivial(regex).map_or("-".to_owned(), |patterns| {
            patterns.iter().flat_map(Pattern::written).collect::<Vec<_>>().join(" ")
        });
        assert_eq!(shown, expected, "{regex}");
    }

    #[test]
    fn trivial_regexes_are_paths() {
        check("^/api/", "/api/*");
        check("^/api", "/api /api/*");
        check("^/api(/|$)", "/api /api/*");
        check("^/api/(.*)$", "/api/*");
        check("^/api/.*", "/api/*");
        check("^/health$", "/health");
        check("^/(a|b)/", "/a/* /b/*");
        check("^/(?:a|b)$", "/a /b");
        check("^/robots\\.txt$", "/robots.txt");
        for regex in ["^/a.b$", "\\.php$", "^/[a-z]+/", "^/(a|b)/(c|d)", "^/api/v\\d", "^(a", "^a)b", "^", "^/a|/b"] {
            check(regex, "-");
        }
    }

    #[test]
    fn literal_paths_are_encoded() {
        assert_eq!(literal("/a b", true), Some(Pattern::Exact("/a%20b".to_owned())));
        for path in ["", "a", "/a//b", "/../a", "/a*", "/${A}"] {
            assert_eq!(literal(path, false).filter(|pattern| pattern.path() == path), None, "{path}");
        }
    }
}
