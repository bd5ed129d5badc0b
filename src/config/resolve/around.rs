//! What is done around a route's action: header rules, `cors`, `auth_request`, `origins`, `strip_prefix`.

use http::{HeaderName, HeaderValue, header};

use super::action::Kind;
use super::cut;
use super::normal::flag;
use super::upstream::plain;
use crate::config::either::TextOr;
use crate::config::field::{Field, List, Named, Table};
use crate::config::file::{AuthRequestFile, CorsFile, HeadersFile};
use crate::config::problem::{Span, Wrong, quoted};
use crate::config::problems::Problems;
use crate::config::texts::HeaderText;
use crate::config::urls::AuthUrl;
use crate::config::values::{FromText as _, Parsed};
use crate::guard::OriginRule;
use crate::limits;
use crate::message::rules::is_ours;
use crate::route::{AuthRequest, Cors, HeaderRules, PathPattern};

/// Which messages a rule is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Request,
    Response,
}

/// `headers`. Those of requests are for routes that forward.
pub(super) fn headers(file: Field<Table<HeadersFile>>, kind: Option<Kind>, problems: &mut Problems) -> HeaderRules {
    let file = file.keys(problems);
    if let Some(span) = file.request.span()
        && kind.is_some_and(|kind| kind != Kind::Proxy)
    {
        let what = "`headers.request` is for routes with `proxy`";
        problems.error(span, Wrong::new(what, "remove it, or write `response`"));
    }
    HeaderRules {
        request: rules(file.request, Side::Request, problems),
        response: rules(file.response, Side::Response, problems),
    }
}

fn rules(
    file: Field<Named<Parsed<HeaderText>>>,
    side: Side,
    problems: &mut Problems,
) -> Vec<(HeaderName, Option<HeaderValue>)> {
    let mut entries = file.entries(problems);
    cut(&mut entries, limits::HEADER_RULES, "headers", |(name, _)| name.span(), problems);
    let mut rules: Vec<(HeaderName, Option<HeaderValue>)> = Vec::new();
    for (written, value) in entries {
        let value = value.value(problems).map(|Parsed(HeaderText(value))| value);
        let wrong = match HeaderName::from_text(written.get_ref()) {
            Err(wrong) => Some(wrong),
            Ok(name) if is_ours(&name) => Some(not_theirs(written.get_ref())),
            Ok(name) if rules.iter().any(|(known, _)| *known == name) => Some(stands_twice(written.get_ref())),
            Ok(header::HOST) if side == Side::Response => {
                Some(Wrong::new("a response has no `Host`", "remove it, or write it into `request`"))
            }
            Ok(header::HOST) if value.as_ref().is_some_and(HeaderValue::is_empty) => {
                Some(Wrong::new("a request is never without a `Host`", "write one, or remove this"))
            }
            Ok(name) => {
                // One whose value is wrong is kept too: a second one of its name is then still told.
                rules.push((name, value.filter(|value| !value.is_empty())));
                None
            }
        };
        if let Some(wrong) = wrong {
            problems.error(written.span(), wrong);
        }
    }
    rules
}

pub(super) fn stands_twice(name: &str) -> Wrong {
    let what = format!("{} stands here twice: upper and lower case are one", quoted(name));
    Wrong::new(what, "keep one")
}

pub(super) fn not_theirs(name: &str) -> Wrong {
    let what = format!("{} is written by us, as each connection needs it", quoted(name));
    Wrong::new(what, "remove it")
}

pub(super) fn cors(file: Field<Table<CorsFile>>, problems: &mut Problems) -> Option<Cors> {
    let (header, Table(file)) = file.read(problems)?;
    let example = "[\"https://dash.example.com\"]";
    if file.origins.is_absent() {
        let what = "this names no origin";
        problems.absent(header, Wrong::new(what, format!("add origins = {example}")));
    }
    let credentials_place = file.credentials.span();
    let credentials = flag(file.credentials, false, problems);
    let (list, List(items)) = file.origins.read(problems)?;
    if items.is_empty() {
        problems.error(list.clone(), Wrong::new("this list is empty", format!("write {example}")));
    }
    let origins = origin_rules(list.clone(), items, problems);
    if origins.contains(&OriginRule::Any) && credentials {
        let what = "with \"*\" every page there is could act as whoever looks at it";
        let instead = "name the origins, or remove `credentials`";
        problems.error(credentials_place.unwrap_or(list), Wrong::new(what, instead));
    }
    Some(Cors { origins, credentials })
}

pub(super) fn auth_request(
    file: Field<TextOr<AuthUrl, AuthRequestFile>>,
    kind: Option<Kind>,
    problems: &mut Problems,
) -> Option<AuthRequest> {
    let (header, value) = file.read(problems)?;
    let (url, copy) = match value {
        TextOr::Text(url) => (Some(url), Vec::new()),
        TextOr::Table(file) => {
            if file.url.is_absent() {
                let instead = "add url = \"http://app:8000/auth\"";
                problems.absent(header, Wrong::new("this says nothing to ask", instead));
            }
            if let Some(span) = file.copy.right(problems).filter(|_| kind.is_some_and(|kind| kind != Kind::Proxy)) {
                let what = "`copy` changes nothing here: only routes with `proxy` give headers on";
                problems.warning(span, Wrong::new(what, "remove it"));
            }
            (file.url.value(problems).map(|Parsed(url)| url), copied(file.copy, problems))
        }
    };
    let AuthUrl { server, target } = url?;
    // No `[upstream.NAME]` has a name like this.
    Some(AuthRequest { upstream: plain(server.to_string(), vec![server]), path: target.0, copy })
}

fn copied(file: Field<List<Parsed<HeaderName>>>, problems: &mut Problems) -> Vec<HeaderName> {
    let mut items = file.items(problems);
    cut(&mut items, limits::HEADER_RULES, "headers", |item| item.span().unwrap_or_default(), problems);
    let mut names = Vec::new();
    for item in items {
        let Some((span, Parsed(name))) = item.read(problems) else { continue };
        if is_ours(&name) || name == header::HOST {
            problems.error(span, not_theirs(name.as_str()));
        } else if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// `origins`: which pages may open a socket or an event stream.
pub(super) fn origins(file: Field<List<Parsed<OriginRule>>>, problems: &mut Problems) -> Vec<OriginRule> {
    let Some((span, List(items))) = file.read(problems) else { return vec![OriginRule::Same] };
    if items.is_empty() {
        let what = "no page may open this route: its `origins` are none";
        problems.warning(span.clone(), Wrong::new(what, "write [\"same\"], or leave it empty if no browser comes"));
    }
    origin_rules(span, items, problems)
}

fn origin_rules(span: Span, items: Vec<Field<Parsed<OriginRule>>>, problems: &mut Problems) -> Vec<OriginRule> {
    let rules: Vec<OriginRule> =
        items.into_iter().filter_map(|item| item.value(problems)).map(|Parsed(rule)| rule).collect();
    if rules.contains(&OriginRule::Any) && rules.len() > 1 {
        problems.warning(span, Wrong::new("\"*\" admits every origin, the others too", "write [\"*\"] alone"));
    }
    rules
}

/// `strip_prefix`, without a slash at its end: at the start of every path of the route.
pub(super) fn strip_prefix(
    field: Field<Parsed<PathPattern>>,
    path: Option<&PathPattern>,
    problems: &mut Problems,
) -> Option<String> {
    let (span, Parsed(pattern)) = field.read(problems)?;
    let prefix = match &pattern {
        PathPattern::Exact(prefix) | PathPattern::Prefix(prefix) => prefix.trim_end_matches('/'),
    };
    if prefix.is_empty() {
        problems.error(span, Wrong::new("there is nothing here to cut off", "remove it"));
        return None;
    }
    if pattern != PathPattern::Exact(prefix.to_owned()) {
        let what = format!("{} ends with more than what is cut off", quoted(&pattern.to_string()));
        problems.error(span, Wrong::new(what, format!("write \"{prefix}\"")));
        return None;
    }
    let is_below = |path: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    match path {
        Some(PathPattern::Exact(path) | PathPattern::Prefix(path)) if !is_below(path) => {
            let what = format!("no path of this route starts with {}", quoted(prefix));
            let instead = match path.trim_end_matches('/') {
                "" => "remove it, or change `path`".to_owned(),
                path => format!("write what its path starts with, as in \"{path}\""),
            };
            problems.error(span, Wrong::new(what, instead));
        }
        Some(_) | None => {}
    }
    Some(prefix.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(prefix: &str, path: &str, expected: bool) {
        let mut problems = Problems::default();
        let pattern = |text: &str| Parsed(PathPattern::from_text(text).unwrap());
        strip_prefix(Field::Given(0..1, pattern(prefix)), Some(&pattern(path).0), &mut problems);
        assert_eq!(!problems.have_errors(), expected, "{prefix} {path}");
    }

    #[test]
    fn a_prefix_is_cut_off_between_two_parts_of_a_path() {
        check("/api", "/api/*", true);
        check("/api", "/api/v1/*", true);
        check("/api", "/api", true);
        check("/api/v1", "/api/v1/x", true);
        check("/ap", "/api/*", false);
        check("/api/v1", "/api/*", false);
        check("/api", "/*", false);
        check("/api/", "/api/*", false);
        check("/api/*", "/api/*", false);
        check("/", "/api/*", false);
    }
}
