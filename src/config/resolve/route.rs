//! `[[route]]`: host and path to one action.

use std::collections::HashMap;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};

use super::feed::{Feed, flag, interval};
use super::{cut, no_such_feed, tables, whole};
use crate::config::field::{Field, List, Table};
use crate::config::file::{RespondFile, RouteFile};
use crate::config::problem::{Span, Text, Wrong};
use crate::config::problems::Problems;
use crate::config::values::Parsed;
use crate::feed::Delivery;
use crate::guard::OriginRule;
use crate::limits;
use crate::route::{Action, HostPattern, Options, PathPattern, Respond};

pub(super) fn routes(
    file: Field<List<Table<RouteFile>>>,
    feeds: &[Feed],
    text: &Text,
    problems: &mut Problems,
) -> Vec<Options> {
    let is_absent = file.is_absent();
    let mut files = tables("route", file, problems).map(|(_, files)| files).unwrap_or_default();
    cut(&mut files, limits::ROUTES, "routes", |file| file.span().unwrap_or_default(), problems);
    if is_absent {
        let instead = "add one: [[route]] with a `path` and one of `feed`, `page` and `respond`";
        problems.absent(0..0, Wrong::new("no path is served", instead));
    }
    let mut seen = HashMap::new();
    let mut routes = Vec::new();
    for file in files {
        let Some((header, Table(file))) = file.read(problems) else { continue };
        let path_place = file.path.span();
        let Some(route) = route(&header, file, feeds, problems) else { continue };
        let span = path_place.unwrap_or(header);
        match seen.get(&(route.host.clone(), route.path.clone())) {
            Some(first) => {
                let (line, _) = text.position(*first);
                let what = format!("the route at line {line} has this host and path already");
                problems.error(span, Wrong::new(what, "remove one of them, or change its `path` or `host`"));
            }
            None => {
                seen.insert((route.host.clone(), route.path.clone()), span.start);
                routes.push(route);
            }
        }
    }
    routes
}

fn route(header: &Span, file: RouteFile, feeds: &[Feed], problems: &mut Problems) -> Option<Options> {
    if file.path.is_absent() {
        problems.absent(header.clone(), Wrong::new("this route has no path", "add one: path = \"/ws\""));
    }
    let host_is_right = matches!(file.host, Field::Absent | Field::Given(..));
    let host = file.host.value(problems).map_or(HostPattern::Any, |Parsed(host)| host);
    let path = file.path.value(problems).map(|Parsed(path)| path);

    let mut actions = [("feed", file.feed.span()), ("page", file.page.span()), ("respond", file.respond.span())]
        .into_iter()
        .filter_map(|(name, span)| Some((name, span?)))
        .collect::<Vec<_>>();
    actions.sort_by_key(|(_, span)| span.start);
    match actions.as_slice() {
        [_] => {}
        [] => {
            let instead = "add exactly one of `feed`, `page` and `respond`";
            problems.absent(header.clone(), Wrong::new("this route does nothing", instead));
        }
        [(first, _), others @ ..] => {
            for (name, span) in others {
                let what = format!("`{name}` stands beside `{first}`, and a route does one thing");
                problems.error(span.clone(), Wrong::new(what, "keep one of them"));
            }
        }
    }

    let overrides = [("shape", file.shape.span()), ("greet", file.greet.span()), ("keepalive", file.keepalive.span())];
    let serves_feed = !file.feed.is_absent();
    if let [_] = actions.as_slice()
        && !serves_feed
    {
        for (name, span) in overrides {
            let Some(span) = span else { continue };
            problems.error(span, Wrong::new(format!("`{name}` is for routes with a `feed`"), "remove it"));
        }
        if let Some(span) = file.origins.span() {
            let what = "`origins` changes nothing here: it is for routes with a `feed`";
            problems.warning(span, Wrong::new(what, "remove it"));
        }
    }
    let shape = file.shape.value(problems).map(|word| word.0);
    let greet = (!file.greet.is_absent()).then(|| flag(file.greet, true, problems));
    let keepalive = interval(file.keepalive, problems);
    let origins = origins(file.origins, problems);

    let feed = known_feed(file.feed, feeds, problems);
    let page = known_feed(file.page, feeds, problems);
    let respond = file.respond.read(problems).map(|(_, Table(file))| respond(file, problems));
    let action = match (feed, page, respond) {
        (Some(feed), _, _) => {
            let of_feed = &feed.config.feed.delivery;
            let delivery = Delivery {
                shape: shape.unwrap_or(of_feed.shape),
                greet: greet.unwrap_or(of_feed.greet),
                keepalive: keepalive.unwrap_or(of_feed.keepalive),
                ..of_feed.clone()
            };
            Some(Action::Feed { feed: feed.name().to_owned(), delivery })
        }
        (None, Some(feed), _) => Some(Action::Page { feed: feed.name().to_owned() }),
        (None, None, Some(respond)) => Some(Action::Respond(respond)),
        (None, None, None) => None,
    };
    // Where the action is wrong an empty answer stands in, so that a second route of this path is still seen.
    let stand_in = || Action::Respond(Respond { status: StatusCode::OK, body: Bytes::new(), type_: plain_text() });
    let path: PathPattern = path.filter(|_| host_is_right)?;
    let mut options = Options::new(host, path, action.unwrap_or_else(stand_in));
    options.origins = origins;
    Some(options)
}

/// The feed that a route names.
fn known_feed<'a>(field: Field<Parsed<String>>, feeds: &'a [Feed], problems: &mut Problems) -> Option<&'a Feed> {
    let (span, Parsed(name)) = field.read(problems)?;
    let found = feeds.iter().find(|feed| feed.name() == name);
    if found.is_none() {
        no_such_feed(&name, span, feeds.iter().map(Feed::name), problems);
    }
    found
}

fn origins(file: Field<List<Parsed<OriginRule>>>, problems: &mut Problems) -> Vec<OriginRule> {
    let Some((span, List(items))) = file.read(problems) else { return vec![OriginRule::Same] };
    if items.is_empty() {
        let what = "no page may open this route: its `origins` are none";
        problems.warning(span.clone(), Wrong::new(what, "write [\"same\"], or leave it empty if no browser comes"));
    }
    let rules: Vec<OriginRule> =
        items.into_iter().filter_map(|item| item.value(problems)).map(|Parsed(rule)| rule).collect();
    if rules.contains(&OriginRule::Any) && rules.len() > 1 {
        problems.warning(span, Wrong::new("\"*\" admits every origin, the others too", "write [\"*\"] alone"));
    }
    rules
}

fn plain_text() -> HeaderValue {
    HeaderValue::from_static("text/plain; charset=utf-8")
}

fn respond(file: RespondFile, problems: &mut Problems) -> Respond {
    let status = whole(file.status, 200..=599, 200, problems);
    let status = u16::try_from(status).ok().and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or_default();
    let type_ = file.type_.value(problems).map_or_else(plain_text, |Parsed(type_)| type_);
    let body = file.body.read(problems);
    if let Some((span, Parsed(body))) = &body
        && matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED)
        && !body.is_empty()
    {
        let what = format!("an answer with status {} has no body", status.as_u16());
        problems.error(span.clone(), Wrong::new(what, "remove `body`, or change `status`"));
    }
    Respond { status, body: body.map(|(_, Parsed(body))| Bytes::from(body)).unwrap_or_default(), type_ }
}
