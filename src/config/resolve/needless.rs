//! Keys that are right by themselves and change nothing where they stand.
//!
//! Owns: what of a `[limit.NAME]` or `[auth.NAME]` the routes that name it have a use for. A key that its own table makes
//! needless is told of where that table is read.

use super::action::Known;
use super::limit::{Limit, Of};
use crate::config::problem::{Wrong, quoted};
use crate::config::problems::Problems;
use crate::route::{Action, Options};

/// How many routes are named.
const SHOWN: usize = 5;

/// Reports them, where everything else is right.
pub(super) fn check(known: &Known<'_>, routes: &[Options], problems: &mut Problems) {
    if problems.have_errors() {
        return;
    }
    for limit in known.named_limits {
        let named = |route: &&Options| route.limit.as_ref() == Some(&limit.options.name);
        let routes: Vec<&Options> = routes.iter().filter(named).collect();
        // That no route names it is told already.
        if !routes.is_empty() {
            check_limit(limit, &routes, problems);
        }
    }
    for auth in known.auths {
        let name = &auth.options.name;
        let gives = |route: &Options| matches!(&route.action, Action::Ticket { auth } if auth == name);
        let is_named = routes.iter().any(|route| route.auth.as_ref() == Some(name));
        if let Some(place) = auth.ticket_place.clone().filter(|_| is_named && !routes.iter().any(gives)) {
            let what = format!("\"ticket\" changes nothing: no route gives tickets of {}", quoted(name));
            let instead = format!("add a route with ticket = \"{name}\", or take it out of `from`");
            problems.warning(place, Wrong::new(what, instead));
        }
    }
}

fn check_limit(limit: &Limit, routes: &[&Options], problems: &mut Problems) {
    let name = quoted(&limit.options.name);
    let tunnels: Vec<String> = routes.iter().filter(|route| tunnels(route)).map(|route| shown(route)).collect();
    for (key, of, place) in &limit.keys {
        let wrong = match of {
            Of::Messages if !tunnels.is_empty() => Wrong::new(
                format!("`{key}` changes nothing for {}: a tunnel's bytes pass untouched", list(&tunnels)),
                "add [route.session], which reads messages, or name a limit without it there",
            ),
            Of::Messages if !routes.iter().any(|route| opens_sockets(route)) => Wrong::new(
                format!("`{key}` changes nothing: no route with limit {name} hears messages"),
                "remove it, or name the limit in a route with `feed` or a session",
            ),
            Of::Sockets if !routes.iter().any(|route| opens_sockets(route)) => Wrong::new(
                format!("`{key}` changes nothing: no route with limit {name} opens sockets"),
                "remove it, or bound requests: requests = \"100/s\"",
            ),
            Of::Subjects if !routes.iter().any(|route| opens_sockets(route) && route.auth.is_some()) => Wrong::new(
                format!("`{key}` changes nothing: no route with limit {name} opens sockets for tokens"),
                "remove it, or add auth = \"...\", the name of an [auth.NAME], to such a route",
            ),
            Of::Messages | Of::Sockets | Of::Subjects => continue,
        };
        problems.warning(place.clone(), wrong);
    }
}

/// Whether what it opens is not understood.
fn tunnels(route: &Options) -> bool {
    matches!(route.action, Action::Proxy { .. })
}

fn opens_sockets(route: &Options) -> bool {
    match route.action {
        Action::Feed { .. } | Action::Session { .. } | Action::Proxy { .. } => true,
        Action::Page { .. } | Action::Respond(_) | Action::Ticket { .. } | Action::Files(_) | Action::Redirect(_) => {
            false
        }
    }
}

/// The first of them, and how many there are beside.
pub(super) fn list(names: &[String]) -> String {
    let (listed, more) = names.split_at(names.len().min(SHOWN));
    let mut list = listed.join(", ");
    if !more.is_empty() {
        list.push_str(&format!(" and {} more", more.len()));
    }
    list
}

/// A route as messages name it.
pub(super) fn shown(route: &Options) -> String {
    quoted(&format!("{}{}", route.host, route.path))
}
