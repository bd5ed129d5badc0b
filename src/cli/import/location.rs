//! `location`: one place of a server, as routes.
//!
//! Owns: which directive decides what a place does. Never: serves what can't be translated; such a path is closed.

use super::access;
use super::files::{self, Fallback, Folder};
use super::headers::{self, Headers};
use super::model::{Action, Route};
use super::pass;
use super::paths::{self, Form, Pattern};
use super::redirect::{Around, returned, rewritten, to_https};
use super::scope::Scope;
use super::syntax::Directive;
use super::translate::Translation;

/// What answers by a protocol or a script that is not spoken here.
pub(super) const FOREIGN: [&str; 6] =
    ["fastcgi_pass", "uwsgi_pass", "scgi_pass", "memcached_pass", "stub_status", "js_content"];

/// The routes of one server, as they are found.
#[derive(Debug)]
pub(super) struct Places<'s, 'a> {
    pub translation: &'s mut Translation,
    pub server: Scope<'a>,
    pub around: Around,
    /// A listener sends everything that `/` takes to https.
    pub sends_to_https: bool,
    pub routes: Vec<Route>,
    /// `/` was spoken of.
    pub has_root: bool,
    /// Why what `/` serves is closed: places among it that nginx treated otherwise, and that no path can name.
    pub closed: Option<String>,
    /// The same, for folders alone: what a program answered is no file to give away.
    pub closed_files: Option<String>,
    /// For whoever gives files a life in caches.
    pub hints: Vec<String>,
}

impl<'a> Places<'_, 'a> {
    /// All locations of the server, then what it serves where none fits.
    pub(super) fn all(&mut self) {
        let server = self.server.clone();
        for directive in server.own_named("location") {
            self.location(directive, &server);
        }
        let serves_files = server.last("root").is_some() || server.own_named("try_files").next().is_some();
        if !self.has_root && !self.sends_to_https && serves_files {
            let root = Pattern::Prefix("/".to_owned());
            let holder = server.own_named("try_files").last().or_else(|| server.last("root"));
            let Some(holder) = holder else { return };
            if let Some(route) = self.files(holder, &server, &root) {
                self.add(holder, &root, route);
            }
        }
    }

    fn location(&mut self, directive: &'a Directive, outer: &Scope<'a>) {
        self.translation.report.see(directive);
        let scope = outer.with(directive.inside());
        for inner in scope.own_named("location") {
            self.location(inner, &scope);
        }
        let patterns = match paths::form(&directive.args) {
            Some(Form::Exact(path)) => paths::literal(path, true).map(|pattern| vec![pattern]),
            Some(Form::Prefix(path)) => paths::literal(path, false).map(|pattern| vec![pattern]),
            Some(Form::Regex(regex)) => match paths::trivial(regex) {
                Some(patterns) => Some(patterns),
                None => return self.regex(directive, regex, &scope),
            },
            Some(Form::Named(_)) => return self.named(directive),
            None => None,
        };
        let Some(patterns) = patterns else {
            self.translation.report.see_all(directive);
            let why = "no request has such a path";
            return self.translation.report.left(directive, why, "write a path, as in \"/api/*\"");
        };
        self.has_root |= patterns.iter().any(|pattern| *pattern == Pattern::Prefix("/".to_owned()));
        if self.is_error_page(&patterns, &scope) {
            return self.translation.report.see_all(directive);
        }
        if scope.own_named("internal").next().is_some() {
            return self.internal(directive, &patterns);
        }
        if matches!(paths::form(&directive.args), Some(Form::Regex(_))) && directive.arg(0).starts_with("~*") {
            let why = "paths are told apart by case";
            self.translation.report.note_once(directive, why, "write a route for each spelling that is in use");
        }
        for pattern in &patterns {
            if let Some(route) = self.route(directive, &scope, pattern) {
                self.add(directive, pattern, route);
            }
        }
    }

    /// What only the server itself asks for: to clients it is not there.
    fn internal(&mut self, directive: &'a Directive, patterns: &[Pattern]) {
        self.translation.report.see_all(directive);
        let asks = |block: &[Directive], path: &str| block.iter().any(|d| d.name == "auth_request" && d.arg(0) == path);
        for pattern in patterns {
            let path = pattern.path();
            let mut places = self.server.own_named("location");
            if asks(self.server.own(), path) || places.any(|place| asks(place.inside(), path)) {
                continue;
            }
            let absent = Action::Respond { status: 404, body: String::new(), type_: None };
            self.add(directive, pattern, Route::new(String::new(), absent));
            let why = "the app can't hand a request back (X-Accel-Redirect)";
            self.translation.report.note(
                directive,
                why,
                "let the app send the file; until then the path is answered 404",
            );
        }
    }

    /// `try_files` leads to it, and speaks of it.
    fn named(&mut self, directive: &'a Directive) {
        let report = &mut self.translation.report;
        report.see_all(directive);
        let name = directive.arg(0);
        let leads =
            |block: &[Directive]| block.iter().any(|d| d.name == "try_files" && d.args.iter().any(|arg| arg == name));
        let places = self.server.own_named("location").map(Directive::inside);
        if !leads(self.server.own()) && !places.into_iter().any(leads) {
            report.left(directive, "no path leads to a named location", "write a route for the paths it is meant for");
        }
    }

    /// Whether only `error_page` leads here.
    fn is_error_page(&self, patterns: &[Pattern], scope: &Scope<'_>) -> bool {
        let acts = scope.own().iter().any(|d| matches!(d.name.as_str(), "proxy_pass" | "return" | "fastcgi_pass"));
        let is_page = |pattern: &Pattern| {
            pattern.is_exact()
                && pattern.path() != "/index.html"
                && scope.all("error_page").any(|d| d.args.last().is_some_and(|uri| uri == pattern.path()))
        };
        !acts && patterns.iter().all(is_page)
    }

    /// What a location does; `None` where that is nothing of its own.
    fn route(&mut self, directive: &'a Directive, scope: &Scope<'a>, pattern: &Pattern) -> Option<Route> {
        let mut strip_prefix = None;
        for rule in scope.own().iter().filter(|d| matches!(d.name.as_str(), "return" | "rewrite")) {
            self.translation.report.see(rule);
            let action = match rule.name.as_str() {
                "return" => returned(rule, scope, &self.around),
                _ => rewritten(rule, scope, &self.around),
            };
            match action {
                Some(action) if self.sends_to_https && pattern.path() == "/" && to_https(&action).is_some() => {
                    return None;
                }
                Some(action) => return Some(self.answer(action, rule, scope)),
                None if rule.name == "return" => {
                    let why = "it depends on the request in a way that has no counterpart";
                    self.translation.report.left(rule, why, "write `redirect` or `respond`");
                    return Some(self.unknown(rule));
                }
                None => match pass::cut_by_rewrite(rule).filter(|prefix| pattern.is_below(prefix)) {
                    Some(prefix) => strip_prefix = Some(prefix),
                    None => {
                        let instead = "use `strip_prefix`, or a route with `redirect`";
                        self.translation.report.left(rule, "paths are not rewritten, only prefixes cut off", instead);
                    }
                },
            }
        }
        if access::admits_nobody(scope, &mut self.translation.report) {
            directive.inside().iter().filter(|d| d.name != "location").for_each(|d| self.translation.report.see_all(d));
            let forbidden = Action::Respond { status: 403, body: String::new(), type_: None };
            return Some(Route::new(String::new(), forbidden));
        }
        if let Some(pass) = scope.own().iter().find(|d| matches!(d.name.as_str(), "proxy_pass" | "grpc_pass")) {
            return Some(self.proxy(pass, scope, pattern, strip_prefix));
        }
        if let Some(foreign) =
            scope.own().iter().find(|d| FOREIGN.contains(&d.name.as_str()) || d.name.contains("_by_lua"))
        {
            return Some(self.unknown(foreign));
        }
        self.files(directive, scope, pattern)
    }

    /// A redirect or a fixed answer, which nginx gives before it asks who may pass.
    fn answer(&mut self, action: Action, rule: &Directive, scope: &Scope<'_>) -> Route {
        if rule.arg(0) == "444" {
            let why = "a connection is not closed unanswered: 404 is given";
            self.translation.report.note(rule, why, "leave it out where no route takes the path");
        }
        if scope.own_named("default_type").next().is_some() {
            scope.own_named("default_type").for_each(|d| self.translation.report.see(d));
        }
        let mut route = Route::new(String::new(), action);
        let Headers { response, cache, .. } = headers::headers(scope, false, &mut self.translation.report);
        route.response_headers = response;
        route.response_headers.extend(cache.map(|value| ("Cache-Control".to_owned(), value)));
        route
    }

    fn files(&mut self, directive: &'a Directive, scope: &Scope<'a>, pattern: &Pattern) -> Option<Route> {
        let report = &mut self.translation.report;
        let folder = files::folder(pattern.path(), pattern.is_exact(), scope, report);
        let tried = scope.own_named("try_files").last().or_else(|| scope.last("try_files"));
        let fallback = tried.map(|tried| files::fallback(tried, folder.as_ref(), report));
        if let (Some(Some(Fallback::Named(name))), Some(tried)) = (&fallback, tried) {
            return self.named_fallback(name, tried, pattern);
        }
        let (Some(Folder { root, strip_prefix }), false) = (folder, matches!(fallback, Some(None))) else {
            if !pattern.is_exact() || tried.is_some() || scope.last("root").is_some() {
                report.left(directive, "no folder is told that could be served", "write `files`");
                return Some(self.unknown(directive));
            }
            report.see_all(directive);
            return None;
        };
        files::index(scope, report);
        let spa = match fallback {
            Some(Some(Fallback::Spa(page))) => Some(page),
            _ => files::error_page(scope, report),
        };
        let mut route = Route::new(String::new(), Action::Files { root, spa });
        route.strip_prefix = strip_prefix;
        self.fill(&mut route, scope, pattern);
        Some(route)
    }

    /// What holds for every proxy and folder.
    pub(super) fn fill(&mut self, route: &mut Route, scope: &Scope<'a>, pattern: &Pattern) {
        let translation = &mut *self.translation;
        let is_proxy = matches!(route.action, Action::Proxy(_));
        let rates = &mut translation.site.rates;
        access::guards(scope, route, rates, &mut translation.report);
        let headers = headers::headers(scope, is_proxy, &mut translation.report);
        translation.site.drops_usual_headers |= headers.usual;
        route.request_headers = headers.request;
        route.auth_copy = headers.copied;
        route.response_headers = headers.response;
        match headers.cache {
            Some(value) if is_proxy => route.response_headers.push(("Cache-Control".to_owned(), value)),
            Some(value) => route.cache = pattern.written().into_iter().map(|path| (path, value.clone())).collect(),
            None => {}
        }
        for name in ["gzip", "brotli", "zstd"] {
            // A tunnel's bytes pass untouched.
            route.compress |= scope.is_on(name) && !(is_proxy && headers::tunnels(scope));
            scope.nearest(name).into_iter().for_each(|d| translation.report.see(d));
        }
        if is_proxy {
            translation.bodies(route, scope);
        }
    }

    /// A path that nginx served in a way that has no counterpart.
    pub(super) fn unknown(&mut self, directive: &Directive) -> Route {
        let mut route = Route::new(String::new(), Action::Respond { status: 503, body: String::new(), type_: None });
        let shown = super::report::shown(directive);
        route.comments.push(format!(
            "{}: {shown} is not translated: write here what serves it.",
            self.translation.report.place(directive)
        ));
        route
    }

    fn add(&mut self, directive: &Directive, pattern: &Pattern, route: Route) {
        let mut written = pattern.written();
        let refuses = matches!(route.action, Action::Respond { status: 400..=499, .. });
        let is_guarded = refuses || route.closed.is_some() || route.auth_request.is_some() || !route.allow.is_empty();
        if is_guarded && written.len() > 1 {
            let path = pattern.path();
            let why = format!("it kept {path}... too, as in {path}.old; here it is {path} and what is below it");
            self.translation.report.left(directive, &why, "look for such paths, and write a route for each");
        }
        let has_extension = pattern.path().rsplit('/').next().is_some_and(|name| name.contains('.'));
        let is_one = match route.action {
            // One file, or one answer: nothing below it.
            Action::Files { .. } => has_extension,
            Action::Respond { status, .. } => (200..300).contains(&status),
            Action::Proxy(_) | Action::Redirect { .. } => false,
        };
        if is_one && written.len() > 1 {
            written.truncate(1);
        }
        for (index, path) in written.into_iter().enumerate() {
            let mut route = Route { path, ..route.clone() };
            if index > 0 {
                route.comments.clear();
            }
            route.cache.retain(|(cached, _)| *cached == route.path);
            self.routes.push(route);
        }
    }
}
