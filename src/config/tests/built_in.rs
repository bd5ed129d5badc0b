//! The built-in config.

use super::surroundings;
use crate::config::{Chosen, Surroundings, load};
use crate::feed::{Shape, Snapshot};
use crate::guard::{KeyOptions, OriginHost, OriginPort, OriginRule};
use crate::route::{Action, PathPattern};
use crate::secret::Secret;

#[test]
fn the_built_in_config_is_right() {
    let loaded = load(&Chosen::BuiltIn, &surroundings()).unwrap_or_else(|refused| panic!("{refused}"));
    assert_eq!(loaded.warnings, []);
    let config = loaded.config;
    let addresses: Vec<String> = config.addresses().map(|address| address.to_string()).collect();
    assert_eq!(addresses, ["127.0.0.1:8080", "127.0.0.1:8443"]);
    let tls: Vec<bool> = config.listeners.iter().map(|listener| listener.tls.is_some()).collect();
    assert_eq!(tls, [false, true]);
    let feeds: Vec<(&str, Snapshot)> =
        config.feeds.iter().map(|feed| (feed.feed.name.as_str(), feed.feed.snapshot)).collect();
    assert_eq!(feeds, [("system", Snapshot::Last), ("alerts", Snapshot::None)]);
    let paths: Vec<&PathPattern> = config.routes.iter().map(|route| &route.path).collect();
    let expected = ["/", "/ws", "/ws/alerts", "/api/system/ws", "/health"];
    assert_eq!(paths, expected.map(|path| PathPattern::Exact(path.to_owned())).iter().collect::<Vec<_>>());
    assert_eq!(config.admin.unwrap().listen.to_string(), "127.0.0.1:9090");
    assert_eq!(config.workers.get(), 2);
    assert_eq!(config.limits.connections, 768);
}

#[test]
fn the_built_in_config_admits_front_ends_under_development() {
    let config = load(&Chosen::BuiltIn, &surroundings()).unwrap().config;
    let ws = &config.routes[1];
    assert!(
        matches!(&ws.action, Action::Feed { feed, delivery } if feed == "system" && delivery.shape == Shape::Mirrored)
    );
    assert_eq!(ws.origins[0], OriginRule::Same);
    for host in ["localhost", "127.0.0.1", "[::1]"] {
        for scheme in ["http", "https"] {
            let host = OriginHost::Exact(host.to_owned());
            let rule = OriginRule::Pattern { scheme: scheme.to_owned(), host, port: OriginPort::Any };
            assert!(ws.origins.contains(&rule), "{rule:?}");
        }
    }
    assert_eq!(ws.origins, config.routes[2].origins);
}

#[test]
fn the_built_in_answer_is_json() {
    let config = load(&Chosen::BuiltIn, &surroundings()).unwrap().config;
    let bodies: Vec<(u16, String)> = config
        .routes
        .iter()
        .filter_map(|route| match &route.action {
            Action::Respond(answer) => Some((answer.status.as_u16(), String::from_utf8(answer.body.to_vec()).unwrap())),
            Action::Feed { .. }
            | Action::Page { .. }
            | Action::Proxy { .. }
            | Action::Session { .. }
            | Action::Ticket { .. }
            | Action::Files(_)
            | Action::Redirect(_) => None,
        })
        .collect();
    let [(200, health)] = bodies.as_slice() else { panic!("{bodies:?}") };
    assert_eq!(health, r#"{"status":"healthy","service":"steadfeed"}"#);
}

#[test]
fn the_built_in_config_takes_tokens_where_a_secret_is_set() {
    let auths = |variable: &dyn Fn(&str) -> Option<String>| {
        let loaded = load(&Chosen::BuiltIn, &Surroundings { variable, ..surroundings() }).unwrap();
        let [auth] = loaded.config.auths.as_slice() else { panic!("{:?}", loaded.config.auths) };
        let route = loaded.config.routes.iter().find(|route| route.auth.is_some()).unwrap();
        assert_eq!(route.path, PathPattern::Exact("/api/system/ws".to_owned()));
        (route.auth.clone().unwrap(), auth.key.clone(), loaded.warnings.len())
    };
    let absent = KeyOptions::Absent { variable: "JWT_SECRET".to_owned() };
    assert_eq!(auths(&|_| None), ("viewers".to_owned(), absent.clone(), 0));
    assert_eq!(auths(&|_| Some(String::new())), ("viewers".to_owned(), absent, 0));
    let long = "x".repeat(32);
    let set = auths(&|name| (name == "JWT_SECRET").then(|| long.clone()));
    assert_eq!(set, ("viewers".to_owned(), KeyOptions::Secret(Secret::new(long.clone())), 0));
    // One that can be found by trying is told of.
    assert_eq!(auths(&|name| (name == "JWT_SECRET").then(|| "x".repeat(31))).2, 1);
}
