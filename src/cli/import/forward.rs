//! A `location` that hands its requests on: to an upstream, or to a named location that does.

use super::headers;
use super::location::Places;
use super::model::{Action, Route};
use super::pass::{self, Pass};
use super::paths::Pattern;
use super::scope::Scope;
use super::syntax::Directive;
use super::translate::Translation;

impl<'a> Places<'_, 'a> {
    /// What `proxy_pass` or `grpc_pass` says.
    pub(super) fn proxy(
        &mut self,
        pass: &'a Directive,
        scope: &Scope<'a>,
        pattern: &Pattern,
        rewritten: Option<String>,
    ) -> Route {
        let translation = &mut *self.translation;
        translation.report.see(pass);
        let Some(target) = Pass::of(pass, scope) else {
            let why = "where it leads depends on the request, or is no http, https or unix: URL";
            translation.report.left(pass, why, "name the server in an [upstream], and write `proxy`");
            return self.unknown(pass);
        };
        let strip_prefix = match &target.uri {
            None => rewritten,
            Some(uri) => match pass::cut(pattern.path(), uri) {
                Some(prefix) => prefix,
                None => {
                    let why = "a prefix of the path can be cut off, but not put before it or exchanged";
                    translation.report.left(pass, why, "let the app answer to the path as it is, or to the rest of it");
                    return self.unknown(pass);
                }
            },
        };
        let Some(name) = translation.upstreams.name(&target, scope, &mut translation.report) else {
            let why = "none of the servers that it leads to can be asked";
            translation.report.left(pass, why, "name them in an [upstream], and write `proxy`");
            return self.unknown(pass);
        };
        translation.upstreams.timeouts(&name, scope, headers::tunnels(scope), &mut translation.report);
        notes_on_tls(&target, pass, scope, translation);
        let mut route = Route::new(String::new(), Action::Proxy(name));
        route.strip_prefix = strip_prefix;
        self.fill(&mut route, scope, pattern);
        route.request_headers.extend(host_of(&target, scope).map(|host| ("Host".to_owned(), host)));
        if let Some(directive) = scope.own_named("try_files").last() {
            let instead = "write a route with `files` for the folders that hold them, as in \"/static/*\"";
            self.translation.report.left(directive, "a route does not look for a file before it asks the app", instead);
        }
        route
    }

    /// `try_files $uri @app`: the app is asked for everything.
    pub(super) fn named_fallback(&mut self, name: &str, tried: &'a Directive, pattern: &Pattern) -> Option<Route> {
        let instead = "write a route with `files` for the folders that hold them, as in \"/static/*\"";
        self.translation.report.left(tried, "a route does not look for a file before it asks the app", instead);
        let server = self.server.clone();
        let named = server.own_named("location").find(|d| d.arg(0) == name);
        let pass =
            named.and_then(|d| d.inside().iter().find(|d| matches!(d.name.as_str(), "proxy_pass" | "grpc_pass")));
        match (named, pass) {
            (Some(named), Some(pass)) => Some(self.proxy(pass, &server.with(named.inside()), pattern, None)),
            _ => Some(self.unknown(tried)),
        }
    }
}

/// What differs for upstreams behind TLS.
fn notes_on_tls(target: &Pass, pass: &Directive, scope: &Scope<'_>, translation: &mut Translation) {
    if let Some(directive) = scope.last("proxy_ssl_verify") {
        translation.report.see(directive);
    }
    scope.all("proxy_ssl_trusted_certificate").for_each(|d| {
        let instead = format!("write ca = \"{}\" in the upstream", d.arg(0));
        translation.report.left(d, "it is not translated", &instead);
    });
    if target.scheme != "https" {
        return;
    }
    if !scope.is_on("proxy_ssl_verify") {
        let why = "nginx did not check this server's certificate, and here it is checked";
        translation.report.note_once(
            pass,
            why,
            "name its authority's file by `ca` in the upstream, or use http in a private network",
        );
    }
}

/// The Host that nginx sent to a server elsewhere, which may know no other; within a container's network any will do.
fn host_of(target: &Pass, scope: &Scope<'_>) -> Option<String> {
    let set = scope.nearest("proxy_set_header").into_iter().find(|d| d.arg(0).eq_ignore_ascii_case("host"));
    let keeps = set.is_some_and(|d| !matches!(d.arg(1), "$proxy_host" | "$proxy_host:$proxy_port"));
    let name = target.to.split(':').next().unwrap_or_default();
    let is_elsewhere = name.contains('.') && !name.contains('$') && name.parse::<std::net::IpAddr>().is_err();
    (!keeps && is_elsewhere && scope.all("upstream").all(|block| block.arg(0) != target.to)).then(|| target.to.clone())
}
