//! The one thing that a route does, and which of its keys go with it.

use std::mem::take;
use std::path::PathBuf;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};

use super::auth::{Auth, known_auth};
use super::feed::Feed;
use super::limit::Limit;
use super::normal::{flag, interval};
use super::upstream::{Upstream, known_upstream};
use super::{cut, no_such_feed, session, whole};
use crate::config::field::{Field, Named, Table};
use crate::config::file::{RespondFile, RouteFile};
use crate::config::problem::{Span, Wrong, quoted};
use crate::config::problems::Problems;
use crate::config::texts::HeaderText;
use crate::config::urls::Location;
use crate::config::values::{FromText as _, Parsed};
use crate::feed::Delivery;
use crate::guard::Carrier;
use crate::limits;
use crate::net::Limits;
use crate::route::{Action, Files, PathPattern, Redirect, Respond};

/// What a route may name, and the process's own limits.
pub(super) struct Known<'a> {
    pub(super) feeds: &'a [Feed],
    pub(super) upstreams: &'a [Upstream],
    pub(super) auths: &'a [Auth],
    pub(super) named_limits: &'a [Limit],
    pub(super) limits: &'a Limits,
}

/// The key that says what a route does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Feed,
    Proxy,
    Files,
    Page,
    Redirect,
    Respond,
    Ticket,
}

/// All but `redirect`, which is done before anything is asked.
const SERVED: &[Kind] = &[Kind::Feed, Kind::Proxy, Kind::Files, Kind::Page, Kind::Respond, Kind::Ticket];
/// Those that may ask for a token; a ticket's is its own.
const GUARDED: &[Kind] = &[Kind::Feed, Kind::Proxy, Kind::Files, Kind::Page, Kind::Respond];
/// Those whose answers may be read by pages of other origins.
const READ: &[Kind] = &[Kind::Feed, Kind::Proxy, Kind::Files, Kind::Respond, Kind::Ticket];
const FORWARDED_OR_FOUND: &[Kind] = &[Kind::Proxy, Kind::Files];
/// Those that can become a socket or an event stream.
const LASTING: &[Kind] = &[Kind::Feed, Kind::Proxy];

impl Kind {
    const ALL: [Kind; 7] =
        [Kind::Feed, Kind::Proxy, Kind::Files, Kind::Page, Kind::Redirect, Kind::Respond, Kind::Ticket];

    fn key(self) -> &'static str {
        match self {
            Kind::Feed => "feed",
            Kind::Proxy => "proxy",
            Kind::Files => "files",
            Kind::Page => "page",
            Kind::Redirect => "redirect",
            Kind::Respond => "respond",
            Kind::Ticket => "ticket",
        }
    }

    fn place(self, file: &RouteFile) -> Option<Span> {
        match self {
            Kind::Feed => file.feed.span(),
            Kind::Proxy => file.proxy.span(),
            Kind::Files => file.files.span(),
            Kind::Page => file.page.span(),
            Kind::Redirect => file.redirect.span(),
            Kind::Respond => file.respond.span(),
            Kind::Ticket => file.ticket.span(),
        }
    }

    /// Their keys, as in "`a`, `b` or `c`".
    pub(super) fn list(kinds: &[Kind], last: &str) -> String {
        let keys: Vec<String> = kinds.iter().map(|kind| quoted(kind.key())).collect();
        match keys.as_slice() {
            [] => String::new(),
            [only] => only.clone(),
            [first @ .., end] => format!("{} {last} {end}", first.join(", ")),
        }
    }

    pub(super) fn every() -> String {
        Kind::list(&Kind::ALL, "and")
    }
}

/// What this route does; `None` where that is nothing, or several things at once, which is reported.
pub(super) fn kind(header: &Span, file: &RouteFile, problems: &mut Problems) -> Option<Kind> {
    let mut given: Vec<(Kind, Span)> =
        Kind::ALL.into_iter().filter_map(|kind| Some((kind, kind.place(file)?))).collect();
    given.sort_by_key(|(_, span)| span.start);
    match given.as_slice() {
        [(kind, _)] => Some(*kind),
        [] => {
            let instead = format!("add exactly one of {}", Kind::every());
            problems.absent(header.clone(), Wrong::new("this route does nothing", instead));
            None
        }
        [(first, _), others @ ..] => {
            for (other, span) in others {
                let (other, first) = (other.key(), first.key());
                let what = format!("`{other}` stands beside `{first}`, and a route does one thing");
                problems.error(span.clone(), Wrong::new(what, "keep one of them"));
            }
            None
        }
    }
}

/// Reports the keys that are of no use to a route that does `kind`.
pub(super) fn check_fit(kind: Kind, file: &RouteFile, problems: &mut Problems) {
    let keys: [(&str, Option<Span>, &[Kind]); 16] = [
        ("shape", file.shape.span(), &[Kind::Feed]),
        ("greet", file.greet.span(), &[Kind::Feed]),
        ("keepalive", file.keepalive.span(), &[Kind::Feed]),
        ("notices", file.notices.span(), &[Kind::Feed]),
        ("session", file.session.span(), &[Kind::Proxy]),
        ("forward_token", file.forward_token.span(), &[Kind::Proxy]),
        ("auth", file.auth.span(), GUARDED),
        ("spa", file.spa.span(), &[Kind::Files]),
        ("cache", file.cache.span(), &[Kind::Files]),
        ("status", file.status.span(), &[Kind::Redirect]),
        ("strip_prefix", file.strip_prefix.span(), FORWARDED_OR_FOUND),
        ("compress", file.compress.span(), FORWARDED_OR_FOUND),
        ("auth_request", file.auth_request.span(), SERVED),
        ("cors", file.cors.span(), READ),
        ("body_size", file.body_size.span(), &[Kind::Proxy]),
        ("body_timeout", file.body_timeout.span(), &[Kind::Proxy]),
    ];
    for (name, span, kinds) in keys {
        if let Some(span) = span.filter(|_| !kinds.contains(&kind)) {
            let what = format!("`{name}` is for routes with {}", Kind::list(kinds, "or"));
            let instead = match (name, kind) {
                ("status", Kind::Respond) => "write it into `respond`: { status = 200 }",
                ("auth", Kind::Ticket) => "remove it: `ticket` names the auth itself",
                ("shape" | "keepalive" | "notices", Kind::Proxy) => "write it into [route.session], or remove it",
                ("forward_token", Kind::Feed) => "write it into the feed, with share = [\"subject\"]",
                _ => "remove it",
            };
            problems.error(span, Wrong::new(what, instead));
        }
    }
    if let Some(span) = file.origins.span().filter(|_| !LASTING.contains(&kind)) {
        let what = format!("`origins` changes nothing here: it is for routes with {}", Kind::list(LASTING, "or"));
        problems.warning(span, Wrong::new(what, "remove it"));
    }
}

/// The action, read out of `file`, with all that belongs to it. `None` where it is wrong.
pub(super) fn action(file: &mut RouteFile, known: &Known<'_>, problems: &mut Problems) -> Option<Action> {
    let actions = [
        feed(file, known.feeds, problems),
        proxy(file, known.upstreams, problems),
        files(file, problems),
        known_feed(take(&mut file.page), known.feeds, problems)
            .map(|feed| Action::Page { feed: feed.name().to_owned() }),
        redirect(file, problems),
        take(&mut file.respond).read(problems).map(|(_, table)| Action::Respond(respond(table.0, problems))),
        ticket(take(&mut file.ticket), known.auths, problems),
    ];
    actions.into_iter().flatten().next()
}

fn ticket(field: Field<Parsed<String>>, auths: &[Auth], problems: &mut Problems) -> Option<Action> {
    let place = field.span().unwrap_or_default();
    let auth = known_auth(field, auths, problems)?;
    let name = auth.options.name.clone();
    if !auth.options.from.contains(&Carrier::Ticket) {
        let what = format!("nobody takes these tickets: the `from` of {} has no \"ticket\"", quoted(&name));
        problems.warning(place, Wrong::new(what, "add it there, or remove this route"));
    }
    Some(Action::Ticket { auth: name })
}

fn proxy(file: &mut RouteFile, upstreams: &[Upstream], problems: &mut Problems) -> Option<Action> {
    let session = take(&mut file.session).read(problems).map(|(_, Table(file))| session::session(file, problems));
    let upstream = known_upstream(take(&mut file.proxy), upstreams, problems)?.options.name.clone();
    Some(match session {
        Some(session) => Action::Session { upstream, session },
        None => Action::Proxy { upstream },
    })
}

fn feed(file: &mut RouteFile, feeds: &[Feed], problems: &mut Problems) -> Option<Action> {
    let shape = take(&mut file.shape).value(problems).map(|word| word.0);
    let greet = take(&mut file.greet);
    let greet = (!greet.is_absent()).then(|| flag(greet, true, problems));
    let keepalive = interval(take(&mut file.keepalive), problems);
    let notices = take(&mut file.notices);
    let notices = (!notices.is_absent()).then(|| flag(notices, true, problems));
    let feed = known_feed(take(&mut file.feed), feeds, problems)?;
    let of_feed = &feed.config.feed.delivery;
    let delivery = Delivery {
        shape: shape.unwrap_or(of_feed.shape),
        greet: greet.unwrap_or(of_feed.greet),
        keepalive: keepalive.unwrap_or(of_feed.keepalive),
        notices: notices.unwrap_or(of_feed.notices),
        ..of_feed.clone()
    };
    Some(Action::Feed { feed: feed.name().to_owned(), delivery })
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

fn files(file: &mut RouteFile, problems: &mut Problems) -> Option<Action> {
    let spa = take(&mut file.spa).read(problems).map(|(span, Parsed(name))| {
        if let Some(instead) = spa_fault(&name) {
            problems.error(span, Wrong::new(format!("{} is no file of the folder", quoted(&name)), instead));
        }
        name
    });
    let cache = cache(take(&mut file.cache), problems);
    let (span, Parsed(root)) = take(&mut file.files).read(problems)?;
    if root.is_empty() {
        problems.error(span, Wrong::new("no folder is named", "write its path, as in \"/usr/share/nginx/html\""));
    }
    Some(Action::Files(Files { root: PathBuf::from(root), spa, cache }))
}

/// What to write where `spa` can't be served.
fn spa_fault(name: &str) -> Option<String> {
    if name.is_empty() || name.ends_with('/') {
        Some("name a file, as in \"index.html\"".to_owned())
    } else if name.starts_with('/') {
        Some(format!("write it as seen from there: \"{}\"", name.trim_start_matches('/')))
    } else if name.split('/').any(|part| part.is_empty() || part.starts_with('.')) {
        Some("write no empty part and none that starts with a dot: they are never served".to_owned())
    } else {
        None
    }
}

fn cache(file: Field<Named<Parsed<String>>>, problems: &mut Problems) -> Vec<(PathPattern, HeaderValue)> {
    let mut entries = file.entries(problems);
    cut(&mut entries, limits::CACHE_RULES, "cache rules", |(name, _)| name.span(), problems);
    let mut rules: Vec<(PathPattern, HeaderValue)> = Vec::new();
    for (name, value) in entries {
        let pattern = PathPattern::from_text(name.get_ref()).map_err(|wrong| problems.error(name.span(), wrong)).ok();
        let Some((span, Parsed(value))) = value.read(problems) else { continue };
        let value = match HeaderText::from_text(&value) {
            Ok(HeaderText(value)) if !value.is_empty() => Ok(value),
            Ok(_) => Err(Wrong::new("this says nothing", "write a Cache-Control, as in \"no-cache\"")),
            Err(wrong) => Err(wrong),
        };
        match (pattern, value) {
            (Some(pattern), Ok(value)) => rules.push((pattern, value)),
            (None, Ok(_)) => {}
            (_, Err(wrong)) => problems.error(span, wrong),
        }
    }
    rules
}

fn redirect(file: &mut RouteFile, problems: &mut Problems) -> Option<Action> {
    let status = match take(&mut file.status).read(problems) {
        None => StatusCode::PERMANENT_REDIRECT,
        Some((span, status)) => {
            let known = [301, 302, 303, 307, 308].into_iter().find(|&known| u64::from(known) == status.0);
            if known.is_none() && !file.redirect.is_absent() {
                let what = format!("{} is no status of a redirect", status.0);
                problems.error(span, Wrong::new(what, "write 301, 302, 303, 307 or 308"));
            }
            known.and_then(|known| StatusCode::from_u16(known).ok()).unwrap_or_default()
        }
    };
    let Parsed(Location(to)) = take(&mut file.redirect).value(problems)?;
    Some(Action::Redirect(Redirect { to, status }))
}

fn plain_text() -> HeaderValue {
    HeaderValue::from_static("text/plain; charset=utf-8")
}

/// What stands in for an action that is wrong, so that a second route of its path is still seen.
pub(super) fn stand_in() -> Action {
    Action::Respond(Respond { status: StatusCode::OK, body: Bytes::new(), type_: plain_text() })
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
