//! `root`, `alias`, `try_files` and `index`: which folder is served, and what stands in for a missing file.

use super::report::Report;
use super::scope::Scope;
use super::syntax::Directive;
use super::values::constant;

/// A folder, and what is cut off the path before it is looked up there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Folder {
    pub root: String,
    pub strip_prefix: Option<String>,
}

/// What stands in for a missing file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fallback {
    None,
    /// A file of the folder.
    Spa(String),
    /// A named location, as in `@app`.
    Named(String),
}

/// The folder that serves a location of this path. `None` where there is none, or it is listed.
pub(super) fn folder(path: &str, exact: bool, scope: &Scope<'_>, report: &mut Report) -> Option<Folder> {
    let alias = scope.own_named("alias").last();
    let directive = alias.or_else(|| scope.last("root"))?;
    report.see(directive);
    let Some(folder) = constant(directive.arg(0), scope).filter(|folder| !folder.is_empty()) else {
        let instead = "write a route for each `host`, with `files` of its own";
        report.left(directive, "the folder depends on the request", instead);
        return None;
    };
    if !folder.starts_with(['/', '$']) {
        let why = "here a folder is looked for from where steadfeed is started";
        report.note_once(directive, why, "write its whole path");
    }
    let trimmed = |folder: &str| match folder.trim_end_matches('/') {
        "" => "/".to_owned(),
        folder => folder.to_owned(),
    };
    if alias.is_none() {
        return Some(Folder { root: trimmed(&folder), strip_prefix: None });
    }
    if !exact {
        let prefix = path.trim_end_matches('/');
        return Some(Folder { root: trimmed(&folder), strip_prefix: (!prefix.is_empty()).then(|| prefix.to_owned()) });
    }
    // One file: its folder is served, at this one path.
    let (above, name) = path.rsplit_once('/')?;
    match folder.rsplit_once('/') {
        Some((root, file)) if file == name => {
            Some(Folder { root: trimmed(root), strip_prefix: (!above.is_empty()).then(|| above.to_owned()) })
        }
        _ => {
            report.left(directive, "the file has another name than the path", "give the file the path's name");
            None
        }
    }
}

/// What `try_files` says; `None` where it is listed.
pub(super) fn fallback(directive: &Directive, folder: Option<&Folder>, report: &mut Report) -> Option<Fallback> {
    report.see(directive);
    let Some((last, tried)) = directive.args.split_last() else { return Some(Fallback::None) };
    for tried in tried {
        if !matches!(tried.as_str(), "$uri" | "$uri/" | "$uri/index.html" | "/index.html" | "index.html") {
            let instead = "a file is looked up by its whole path, a folder by its index.html: name the files so";
            report.left(directive, "only $uri and $uri/ are looked up", instead);
            break;
        }
    }
    if let Some(code) = last.strip_prefix('=') {
        if tried.iter().any(|tried| tried.trim_start_matches('/') == "index.html") {
            return Some(Fallback::Spa("index.html".to_owned()));
        }
        if code != "404" {
            report.note(directive, "a missing file is answered 404", "leave the code out");
        }
        return Some(Fallback::None);
    }
    if last.starts_with('@') {
        return Some(Fallback::Named(last.clone()));
    }
    if matches!(last.as_str(), "$uri" | "$uri/") {
        return Some(Fallback::None);
    }
    let page = last.split('?').next().unwrap_or_default();
    let inside = match folder.and_then(|folder| folder.strip_prefix.as_deref()) {
        None => page.strip_prefix('/').or(Some(page)),
        Some(prefix) => page.strip_prefix(prefix).and_then(|page| page.strip_prefix('/')),
    };
    match inside {
        Some(page)
            if !page.contains('$')
                && page.split('/').all(|part| !part.is_empty() && !part.starts_with('.'))
                && (page.ends_with(".html") || page.ends_with(".htm")) =>
        {
            Some(Fallback::Spa(page.to_owned()))
        }
        _ => {
            let instead = "use `spa` with a page of that folder, or a route to the app";
            report.left(directive, "what it falls back to is not a page of its own folder", instead);
            None
        }
    }
}

/// Speaks of pages for errors of the server's own.
pub(super) fn error_pages(scope: &Scope<'_>, report: &mut Report) {
    for directive in scope.own_named("error_page") {
        let codes = directive.args.split_last().map(|(_, codes)| codes).unwrap_or_default();
        if codes.iter().all(|code| code.starts_with('5') || code.starts_with('=')) {
            report.note(directive, "errors have short pages of their own", "leave it out");
        }
    }
}

/// The page that `error_page 404 /index.html` gives to paths that are not there.
pub(super) fn error_page(scope: &Scope<'_>, report: &mut Report) -> Option<String> {
    let page =
        |d: &&Directive| d.args.iter().any(|arg| arg == "404") && d.args.last().is_some_and(|uri| uri == "/index.html");
    let directive = scope.nearest("error_page").into_iter().find(page)?;
    if directive.args.iter().any(|arg| arg.starts_with('=')) {
        report.see(directive);
    } else {
        report.note(directive, "the page is given with status 200", "let the page itself say that a path is not there");
    }
    Some("index.html".to_owned())
}

/// Speaks of an `index` other than index.html.
pub(super) fn index(scope: &Scope<'_>, report: &mut Report) {
    if let Some(directive) = scope.last("index") {
        if directive.args.iter().any(|name| name == "index.html") {
            report.see(directive);
        } else {
            report.left(directive, "a folder's page is its index.html", "give the page that name");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::syntax::Tree;
    use super::*;
    use crate::cli::import::testing::directive;

    #[track_caller]
    fn check_folder(name: &str, folder: &str, path: &str, exact: bool, expected: Option<(&str, Option<&str>)>) {
        let block = [directive(name, &[folder])];
        let found = super::folder(path, exact, &Scope::default().with(&block), &mut Report::new(&Tree::default()));
        let found = found.map(|found| (found.root, found.strip_prefix));
        let expected = expected.map(|(root, prefix)| (root.to_owned(), prefix.map(str::to_owned)));
        assert_eq!(found, expected, "{name} {folder} {path}");
    }

    #[track_caller]
    fn check_fallback(args: &[&str], strip_prefix: Option<&str>, expected: Option<Fallback>) {
        let folder = Folder { root: "/srv".to_owned(), strip_prefix: strip_prefix.map(str::to_owned) };
        let found = fallback(&directive("try_files", args), Some(&folder), &mut Report::new(&Tree::default()));
        assert_eq!(found, expected, "{args:?}");
    }

    #[test]
    fn a_root_is_looked_up_whole_and_an_alias_without_the_prefix() {
        check_folder("root", "/srv/", "/static/", false, Some(("/srv", None)));
        check_folder("alias", "/srv/static/", "/static/", false, Some(("/srv/static", Some("/static"))));
        check_folder("alias", "/srv", "/", false, Some(("/srv", None)));
        check_folder("alias", "/srv/img/a.ico", "/a.ico", true, Some(("/srv/img", None)));
        check_folder("alias", "/srv/img/a.ico", "/x/a.ico", true, Some(("/srv/img", Some("/x"))));
        check_folder("alias", "/srv/img/b.ico", "/a.ico", true, None);
        check_folder("root", "/srv/$host", "/", false, None);
        check_folder("root", "/", "/", false, Some(("/", None)));
    }

    #[test]
    fn a_fallback_is_a_page_a_name_or_nothing() {
        let spa = |page: &str| Some(Fallback::Spa(page.to_owned()));
        check_fallback(&["$uri", "$uri/", "/index.html"], None, spa("index.html"));
        check_fallback(&["$uri", "/app/index.html?$args"], None, spa("app/index.html"));
        check_fallback(&["$uri", "/app/index.html"], Some("/app"), spa("index.html"));
        check_fallback(&["$uri", "/index.html"], Some("/app"), None);
        check_fallback(&["$uri", "/index.html", "=404"], None, spa("index.html"));
        check_fallback(&["$uri", "$uri/", "=404"], None, Some(Fallback::None));
        check_fallback(&["$uri", "@app"], None, Some(Fallback::Named("@app".to_owned())));
        check_fallback(&["$uri", "/index.php?$query_string"], None, None);
        check_fallback(&[], None, Some(Fallback::None));
    }
}
