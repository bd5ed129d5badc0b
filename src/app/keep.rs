//! What stays when one config follows another.
//!
//! Owns: when a feed is still the same, with its sequence, log and viewers, and when what was opened by a route may stay: where
//! its admission would hold still, and it would be told the same. Never: closes anything.

use crate::config::FeedConfig;
use crate::route::{self, Action};
use crate::source;

/// Whether the feed stays as it is, whatever becomes of its sources. Each branch of a split feed keeps the sources that it
/// began with, so that it stays only with those. How it is told to viewers is each route's own.
pub(super) fn feed_stays(before: &FeedConfig, now: &FeedConfig) -> bool {
    let mut alike = before.feed.clone();
    alike.delivery.clone_from(&now.feed.delivery);
    alike == now.feed
        && publishes(before) == publishes(now)
        && before.forward_token == now.forward_token
        && (!now.feed.share.splits() || is_filled_alike(before, now))
}

/// Whether a feed that stays is filled by what fills it already; `stays` says which feeds do.
pub(super) fn filling_stays(before: &FeedConfig, now: &FeedConfig, stays: impl Fn(&str) -> bool) -> bool {
    is_filled_alike(before, now) && sources(now).filter_map(watched).all(stays)
}

/// Whether what was opened by `before` may stay with `now`, a route of the same host and path. `same_feed` and `same_auth` say
/// what of those names is what it was.
pub(super) fn sockets_stay(
    before: &route::Options,
    now: &route::Options,
    same_feed: impl Fn(&str) -> bool,
    same_auth: impl Fn(&str) -> bool,
) -> bool {
    let same_action = match (&before.action, &now.action) {
        (Action::Feed { feed, .. }, Action::Feed { feed: other, .. }) => feed == other && same_feed(feed),
        (Action::Proxy { upstream }, Action::Proxy { upstream: other })
        | (Action::Session { upstream, .. }, Action::Session { upstream: other, .. }) => upstream == other,
        (one, other) => !opens_sockets(one) && !opens_sockets(other),
    };
    same_action
        && before.auth == now.auth
        && now.auth.as_deref().is_none_or(same_auth)
        && before.forward_token == now.forward_token
        && before.auth_request == now.auth_request
}

/// The feeds that alerts of `feed` watch.
fn watched(source: &source::Options) -> Option<&str> {
    match source {
        source::Options::Alerts(alerts) => Some(&alerts.of),
        source::Options::Stats(_)
        | source::Options::Websocket(_)
        | source::Options::Poll(_)
        | source::Options::Sse(_)
        | source::Options::Publish => None,
    }
}

fn sources(feed: &FeedConfig) -> impl Iterator<Item = &source::Options> {
    feed.sources.iter().chain(feed.fallback.iter().map(|fallback| &fallback.source))
}

fn is_filled_alike(before: &FeedConfig, now: &FeedConfig) -> bool {
    before.sources == now.sources && before.fallback == now.fallback
}

/// Whether the admin listener may publish to it.
pub(super) fn publishes(feed: &FeedConfig) -> bool {
    feed.sources.iter().any(|source| matches!(source, source::Options::Publish))
}

fn opens_sockets(action: &Action) -> bool {
    match action {
        Action::Feed { .. } | Action::Proxy { .. } | Action::Session { .. } => true,
        Action::Page { .. } | Action::Respond(_) | Action::Ticket { .. } | Action::Files(_) | Action::Redirect(_) => {
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{feed_stays, filling_stays, sockets_stay};
    use crate::config::{Config, Surroundings, check as read};

    const BASE: &str = "[[listener]]\naddress = \"127.0.0.1:0\"\n[upstream.app]\nservers = [\"http://a\"]\n\
        [upstream.other]\nservers = [\"http://b\"]\n[auth.one]\nsecret = \"a secret of thirty-two bytes or so\"\n\
        [feed.g]\nsource = { publish = {} }\n";

    fn config(text: &str) -> Config {
        let surroundings = Surroundings { variable: &|_| None, cpus: std::num::NonZeroUsize::MIN, descriptors: 20_000 };
        let loaded = read("a.toml".to_owned(), format!("{BASE}{text}"), &surroundings);
        loaded.unwrap_or_else(|refused| panic!("{refused}")).config
    }

    #[track_caller]
    fn check_route(before: &str, now: &str, expected: bool) {
        let route = |text: &str| config(&format!("[[route]]\npath = \"/a\"\n{text}\n")).routes.remove(0);
        assert_eq!(sockets_stay(&route(before), &route(now), |_| true, |_| true), expected, "{before} -> {now}");
    }

    #[test]
    fn a_socket_stays_where_its_admission_holds_still() {
        check_route("proxy = \"app\"", "proxy = \"app\"\ncompress = true\norigins = [\"*\"]", true);
        check_route("proxy = \"app\"", "proxy = \"other\"", false);
        check_route("proxy = \"app\"", "proxy = \"app\"\n[route.session]", false);
        check_route("proxy = \"app\"\n[route.session]", "proxy = \"app\"\n[route.session]\nhold = \"1s\"", true);
        check_route("feed = \"g\"", "feed = \"g\"\nshape = \"raw\"", true);
        check_route("feed = \"g\"", "feed = \"g\"\nauth = \"one\"", false);
        check_route("feed = \"g\"\nauth = \"one\"", "feed = \"g\"", false);
        check_route("feed = \"g\"", "page = \"g\"", false);
        check_route("page = \"g\"", "respond = { body = \"x\" }", true);
        check_route("proxy = \"app\"", "proxy = \"app\"\nauth_request = \"http://c/auth\"", false);
        let route = || config("[[route]]\npath = \"/a\"\nfeed = \"g\"\nauth = \"one\"\n").routes.remove(0);
        assert!(!sockets_stay(&route(), &route(), |_| true, |_| false), "its auth is another");
        assert!(!sockets_stay(&route(), &route(), |_| false, |_| true), "its feed is another");
    }

    #[track_caller]
    fn check_feed(before: &str, now: &str, stays: bool, filled: bool) {
        let feed = |text: &str| {
            let mut feeds = config(&format!("[feed.f]\n{text}\n[[route]]\npath = \"/f\"\nfeed = \"f\"\n")).feeds;
            let place = feeds.iter().position(|feed| feed.feed.name == "f").unwrap();
            feeds.swap_remove(place)
        };
        let (before, now) = (feed(before), feed(now));
        assert_eq!(feed_stays(&before, &now), stays, "{before:?} -> {now:?}");
        assert_eq!(filling_stays(&before, &now, |feed| feed != "g"), filled, "{before:?} -> {now:?}");
    }

    #[test]
    fn a_feed_stays_whatever_fills_it_and_however_it_is_told() {
        let (poll, other) = ("source = { poll = \"http://a/x\" }", "source = { poll = \"http://b/x\" }");
        check_feed(poll, poll, true, true);
        check_feed(poll, other, true, false);
        check_feed(poll, &format!("{poll}\nfallback = {{ stats = {{}}, after = \"1s\" }}"), true, false);
        check_feed(poll, &format!("{poll}\nkeepalive = \"1s\"\nping = false\ngreet = false"), true, true);
        check_feed(poll, &format!("{poll}\nhistory = 7"), false, true);
        check_feed(poll, "source = { publish = {} }", false, false);
        let split = "share = [\"query\"]";
        check_feed(&format!("{poll}\n{split}"), &format!("{poll}\n{split}"), true, true);
        check_feed(&format!("{poll}\n{split}"), &format!("{other}\n{split}"), false, false);
        let alerts = "source = { alerts = { of = \"g\", rules = [{ at = \"/data/x\", above = 1 }] } }";
        check_feed(alerts, alerts, true, false);
    }
}
