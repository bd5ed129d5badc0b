//! The built-in config.

use serde_json::Value;

use super::surroundings;
use crate::config::{Chosen, load};
use crate::feed::{Shape, Snapshot};
use crate::guard::{OriginHost, OriginPort, OriginRule};
use crate::route::{Action, PathPattern};

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
fn the_built_in_answers_are_json() {
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
    let [(503, problem), (200, health)] = bodies.as_slice() else { panic!("{bodies:?}") };
    let problem: Value = serde_json::from_str(problem).unwrap();
    assert_eq!((&problem["status"], &problem["title"]), (&Value::from(503), &Value::from("Service Unavailable")));
    assert!(problem["detail"].as_str().unwrap().contains("/ws"));
    assert_eq!(health, r#"{"status":"healthy","service":"steadfeed"}"#);
}
