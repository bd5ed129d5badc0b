//! What a right config becomes.

use super::{SMALLEST, outcome, served};
use crate::config::{Problem, TlsPart, Wrong};
use crate::feed::Shape;
use crate::guard::OriginRule;
use crate::route::Action;
use crate::{admin, limits};

#[test]
fn the_smallest_config_has_every_default() {
    let loaded = served(SMALLEST);
    assert_eq!(loaded.warnings, []);
    let config = loaded.config;
    assert_eq!((config.workers.get(), config.limits.connections), (2, 768));
    assert_eq!((config.drain.spread, config.drain.timeout), (limits::DRAIN_SPREAD, limits::DRAIN_TIMEOUT));
    assert_eq!(config.limits.header_timeout, limits::HEADER_TIMEOUT);
    assert_eq!((config.limits.header_size, config.limits.body_size), (limits::HEADER_SIZE, limits::BODY_SIZE));
    assert!(config.log.access && config.log.level == tracing::Level::INFO);
    assert!(matches!(config.admin, Some(admin::Options { token: None, .. })));
    assert_eq!(config.routes[0].origins, [OriginRule::Same]);
}

#[test]
fn variables_reach_every_kind_of_value() {
    let text = SMALLEST.replace("127.0.0.1:0", "${ADDRESS:-127.0.0.1}:${PORT}");
    let text = format!("log = {{ level = \"${{LEVEL:-debug}}\" }}\ndrain.spread = \"${{SPREAD:-1}}s\"\n{text}");
    let config = served(&text).config;
    assert_eq!(config.listeners[0].address.to_string(), "127.0.0.1:8080");
    assert_eq!(config.log.level, tracing::Level::DEBUG);
    assert_eq!(config.drain.spread.as_secs(), 1);
}

#[test]
fn a_token_may_be_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "s3cret\n").unwrap();
    let text =
        format!("admin = {{ listen = \"0.0.0.0:9090\", token_file = {:?} }}\n{SMALLEST}", path.to_str().unwrap());
    let token = served(&text).config.admin.unwrap().token.unwrap();
    assert_eq!(token.reveal(), "s3cret");
}

#[test]
fn a_secret_is_never_shown() {
    let text = format!("admin = {{ listen = \"nowhere\", token = \"hunter2\", token_file = \"x\" }}\n{SMALLEST}");
    let refused = outcome(&text).unwrap_err();
    assert!(!refused.to_string().contains("hunter2"), "{refused}");
    assert!(refused.to_string().contains("token = *********"), "{refused}");
    for torn in
        ["[admin]\ntoken = \"hunter2\n", "admin = { token = hunter2 }", "[admin\ntoken = \"hunter2\"\nlisten = a"]
    {
        let refused = outcome(torn).unwrap_err();
        assert!(!refused.to_string().contains("hunter2"), "{refused}");
    }
}

#[test]
fn a_route_overrides_its_feed() {
    let text = format!(
        "[feed.a]\nsource = {{ stats = {{}} }}\nkeepalive = \"1s\"\nping = false\n{SMALLEST}\
         [[route]]\npath = \"/a\"\nfeed = \"a\"\n\
         [[route]]\npath = \"/b\"\nfeed = \"a\"\nshape = \"raw\"\ngreet = false\nkeepalive = false\n"
    );
    let config = served(&text).config;
    let deliveries: Vec<&crate::feed::Delivery> = config
        .routes
        .iter()
        .filter_map(|route| match &route.action {
            Action::Feed { delivery, .. } => Some(delivery),
            Action::Page { .. }
            | Action::Respond(_)
            | Action::Proxy { .. }
            | Action::Session { .. }
            | Action::Ticket { .. }
            | Action::Files(_)
            | Action::Redirect(_) => None,
        })
        .collect();
    let [a, b] = deliveries.as_slice() else { panic!("{deliveries:?}") };
    assert_eq!(**a, config.feeds[0].feed.delivery);
    assert_eq!(
        (a.shape, a.greet, a.keepalive.map(|every| every.as_secs()), a.ping),
        (Shape::Envelope, true, Some(1), None)
    );
    assert_eq!((b.shape, b.greet, b.keepalive, b.ping), (Shape::Raw, false, None, None));
}

#[test]
fn places_are_those_of_the_values() {
    let text = "admin.listen = \"127.0.0.1:1\"\n[[listener]]\naddress = \"127.0.0.1:2\"\n\
                tls.certificates = [{ cert = \"a.pem\", key = \"a.key\" }, { cert = \"b.pem\", key = \"b.key\" }]\n\
                [[listener]]\naddress = \"127.0.0.1:3\"\ntls.self_signed = [\"a\"]\n[[route]]\npath = \"/\"\nrespond = {}\n";
    let loaded = served(text);
    let at = |problem: Problem| text.get(problem.span).unwrap();
    let wrong = || Wrong::new("a", "b");
    let places = &loaded.places;
    assert_eq!(at(places.at_admin(wrong())), "\"127.0.0.1:1\"");
    assert_eq!(at(places.at_address(0, wrong())), "\"127.0.0.1:2\"");
    assert_eq!(at(places.at_address(1, wrong())), "\"127.0.0.1:3\"");
    assert_eq!(at(places.at_tls(0, TlsPart::Cert(1), wrong())), "\"b.pem\"");
    assert_eq!(at(places.at_tls(0, TlsPart::Key(0), wrong())), "\"a.key\"");
    assert_eq!(at(places.at_tls(0, TlsPart::Whole, wrong())), "\"a.pem\"");
    assert_eq!(at(places.at_tls(0, TlsPart::Key(7), wrong())), "\"127.0.0.1:2\"");
    assert_eq!(at(places.at_tls(1, TlsPart::Whole, wrong())), "[\"a\"]");
}
