//! `[[route]]`: host and path to one action.

use std::collections::HashMap;
use std::path::PathBuf;

use super::action::{self, Kind, Known};
use super::auth::known_auth;
use super::limit::known_limit;
use super::normal::flag;
use super::{POSITIVE, admit, around, cut, duration, share, size, tables};
use crate::config::field::{Field, List, Table};
use crate::config::file::RouteFile;
use crate::config::problem::{Span, Text, Wrong};
use crate::config::problems::Problems;
use crate::config::values::Parsed;
use crate::limits;
use crate::route::{Action, HostPattern, Options, PathPattern};

/// The routes, and where the folders stand that they serve.
#[derive(Default)]
pub(super) struct Routes {
    pub(super) options: Vec<Options>,
    pub(super) folders: Vec<(PathBuf, Span)>,
}

pub(super) fn routes(
    file: Field<List<Table<RouteFile>>>,
    known: &Known<'_>,
    text: &Text,
    problems: &mut Problems,
) -> Routes {
    let is_absent = file.is_absent();
    let mut files = tables("route", file, problems).map(|(_, files)| files).unwrap_or_default();
    cut(&mut files, limits::ROUTES, "routes", |file| file.span().unwrap_or_default(), problems);
    if is_absent {
        let instead = format!("add one: [[route]] with a `path` and one of {}", Kind::every());
        problems.absent(0..0, Wrong::new("no path is served", instead));
    }
    let (mut seen, mut roots) = (HashMap::new(), Vec::new());
    let mut routes = Routes::default();
    for file in files {
        let Some((header, Table(file))) = file.read(problems) else { continue };
        let (path_place, folder_place) = (file.path.span(), file.files.span());
        let Some(route) = route(&header, file, known, problems) else { continue };
        let span = path_place.unwrap_or(header);
        if let (Action::Files(files), Some(span)) = (&route.action, folder_place) {
            routes.folders.push((files.root.clone(), span));
        }
        match seen.get(&(route.host.clone(), route.path.clone())) {
            Some(first) => {
                let (line, _) = text.position(*first);
                let what = format!("the route at line {line} has this host and path already");
                problems.error(span, Wrong::new(what, "remove one of them, or change its `path` or `host`"));
            }
            None => {
                seen.insert((route.host.clone(), route.path.clone()), span.start);
                if route.path == PathPattern::Exact("/".to_owned())
                    && matches!(route.action, Action::Proxy { .. } | Action::Files(_))
                {
                    roots.push((route.host.clone(), span));
                }
                routes.options.push(route);
            }
        }
    }
    for (host, span) in roots {
        check_root(&host, span, &routes.options, problems);
    }
    routes
}

/// In other servers "/" is all paths; here it is one. Where a host has no other pattern, that was meant.
fn check_root(host: &HostPattern, span: Span, routes: &[Options], problems: &mut Problems) {
    let has_patterns = routes.iter().any(|route| route.host == *host && matches!(route.path, PathPattern::Prefix(_)));
    if !has_patterns {
        let what = "this is the path \"/\" alone, and nothing below it";
        problems.warning(span, Wrong::new(what, "write \"/*\" for all paths"));
    }
}

fn route(header: &Span, mut file: RouteFile, known: &Known<'_>, problems: &mut Problems) -> Option<Options> {
    if file.path.is_absent() {
        problems.absent(header.clone(), Wrong::new("this route has no path", "add one: path = \"/ws\""));
    }
    let kind = action::kind(header, &file, problems);
    if let Some(kind) = kind {
        action::check_fit(kind, &file, problems);
    }
    let auth_is_absent = file.auth.is_absent();
    let origins_place = file.origins.span();
    let feed_place = file.feed.span();
    let forward_token = admit::forward_token(&mut file, problems);
    let action = action::action(&mut file, known, problems);
    let host_is_right = matches!(file.host, Field::Absent | Field::Given(..));
    let host = file.host.value(problems).map_or(HostPattern::Any, |Parsed(host)| host);
    let path = file.path.value(problems).map(|Parsed(path)| path);
    let strip_prefix = around::strip_prefix(file.strip_prefix, path.as_ref(), problems);
    let headers = around::headers(file.headers, kind, problems);
    let cors = around::cors(file.cors, problems);
    let auth_request = around::auth_request(file.auth_request, kind, problems);
    let compress = flag(file.compress, false, problems);
    let body_size = size(file.body_size, 0..=usize::MAX, known.limits.body_size, problems);
    let body_timeout = duration(file.body_timeout, POSITIVE, known.limits.body_timeout, problems);
    let origins = around::origins(file.origins, problems);
    let auth = known_auth(file.auth, known.auths, problems);
    let theirs = auth_is_absent && (kind == Some(Kind::Proxy) || auth_request.is_some());
    admit::check_origins(&origins, origins_place, auth, theirs, problems);
    let (allow, deny) = admit::networks(file.allow, file.deny, problems);
    let limit = known_limit(file.limit, known.named_limits, problems);
    let path = path.filter(|_| host_is_right)?;
    if let (Some(Action::Feed { feed, .. }), Some(place)) = (&action, feed_place)
        && let Some(feed) = known.feeds.iter().find(|known| known.name() == feed)
    {
        share::check_route(feed, header, place, &path, !auth_is_absent, problems);
    }
    Some(Options {
        host,
        path,
        action: action.unwrap_or_else(action::stand_in),
        origins,
        strip_prefix,
        headers,
        cors,
        auth: auth.map(|auth| auth.options.name.clone()),
        limit,
        allow,
        deny,
        forward_token,
        auth_request,
        compress,
        body_size,
        body_timeout,
    })
}
