//! What upstreams, routes and listeners become, with their defaults.

use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode};

use super::{first_lines, served};
use crate::config::Config;
use crate::guard::OriginRule;
use crate::limits;
use crate::net::HttpsTarget;
use crate::route::{Action, Files, HeaderRules, Options, PathPattern, Redirect};
use crate::upstream::{Balance, Health, Scheme, Server};

/// A listener, an upstream `app`, and a route to it; before them `top`, and in the route `keys`.
fn proxying(top: &str, keys: &str) -> String {
    format!(
        "{top}\n[[listener]]\naddress = \"127.0.0.1:0\"\n[upstream.app]\nservers = [\"http://app:8000\"]\n\
         [[route]]\npath = \"/api/*\"\nproxy = \"app\"\n{keys}\n"
    )
}

/// The only route of a config.
#[track_caller]
fn route(text: &str) -> Options {
    let loaded = served(text);
    assert_eq!(loaded.warnings, []);
    let [route] = loaded.config.routes.as_slice() else { panic!("{:?}", loaded.config.routes) };
    route.clone()
}

#[track_caller]
fn files(keys: &str) -> (Options, Files) {
    let route = route(&format!(
        "[[listener]]\naddress = \"127.0.0.1:0\"\n[[route]]\npath = \"/*\"\nfiles = \"/srv\"\n{keys}\n"
    ));
    let Action::Files(files) = route.action.clone() else { panic!("{route:?}") };
    (route, files)
}

fn tcp(scheme: Scheme, host: &str, port: u16) -> Server {
    Server::Tcp { scheme, host: host.to_owned(), port }
}

#[test]
fn an_upstream_has_every_default() {
    let config = served(&proxying("", "")).config;
    let [app] = config.upstreams.as_slice() else { panic!("{:?}", config.upstreams) };
    assert_eq!((app.name.as_str(), app.servers.as_slice()), ("app", [tcp(Scheme::Http, "app", 8000)].as_slice()));
    assert_eq!((app.balance, &app.health, &app.authorities), (Balance::LeastConn, &None, &None));
    assert_eq!((app.resolve.as_secs(), app.connect_timeout.as_secs()), (10, 2));
    assert_eq!((app.response_timeout.as_secs(), app.idle_timeout.as_secs()), (60, 60));
}

#[test]
fn an_upstream_is_what_it_says() {
    let text = "[[listener]]\naddress = \"127.0.0.1:0\"\n[[route]]\npath = \"/*\"\nproxy = \"app\"\n\
                [upstream.app]\nservers = [\"https://a\", \"h2c://b\", \"unix:/run/c.sock\"]\nresolve = \"1s\"\n\
                balance = \"client_ip\"\nhealth = { path = \"/up?x\" }\nconnect_timeout = \"3s\"\n\
                response_timeout = \"4s\"\nidle_timeout = \"5s\"\n";
    let config = served(text).config;
    let app = &config.upstreams[0];
    let servers = [tcp(Scheme::Https, "a", 443), tcp(Scheme::H2c, "b", 80), Server::Unix("/run/c.sock".into())];
    assert_eq!(app.servers, servers);
    assert_eq!(app.balance, Balance::ClientIp);
    let times = [app.resolve, app.connect_timeout, app.response_timeout, app.idle_timeout];
    assert_eq!(times.map(|time| time.as_secs()), [1, 3, 4, 5]);
    let (every, timeout) = (Duration::from_secs(5), Duration::from_secs(2));
    assert_eq!(app.health, Some(Health { path: "/up?x".to_owned(), every, timeout, fall: 3, rise: 2 }));
    let text = text.replace("/up?x\"", "/up\", every = \"1s\", timeout = \"1ms\", fall = 1, rise = 1000");
    let (every, timeout) = (Duration::from_secs(1), Duration::from_millis(1));
    let health = served(&text).config.upstreams[0].health.clone();
    assert_eq!(health, Some(Health { path: "/up".to_owned(), every, timeout, fall: 1, rise: 1000 }));
}

#[test]
fn a_proxy_route_has_every_default() {
    let route = route(&proxying("limits = { body_size = \"1KiB\", body_timeout = \"7s\" }", ""));
    assert_eq!(route.action, Action::Proxy { upstream: "app".to_owned() });
    assert_eq!((route.body_size, route.body_timeout), (1024, Duration::from_secs(7)));
    let expected = Options {
        body_size: 1024,
        body_timeout: Duration::from_secs(7),
        ..Options::new(route.host.clone(), route.path.clone(), route.action.clone())
    };
    assert_eq!(route, expected);
}

#[test]
fn a_proxy_route_is_what_it_says() {
    let route = route(&proxying(
        "",
        "strip_prefix = \"/api\"\ncompress = true\nbody_size = \"1GiB\"\nbody_timeout = \"1s\"\norigins = [\"null\"]\n\
         headers.request = { X-Tenant = \"a\", Host = \"app\", Cookie = \"\" }\nheaders.response = { Server = \"\" }\n\
         cors = { origins = [\"same\", \"null\"], credentials = true }\n\
         auth_request = { url = \"https://auth/check?a\", copy = [\"X-User\", \"x-user\", \"X-Groups\"] }",
    ));
    assert_eq!((route.strip_prefix.as_deref(), route.compress), (Some("/api"), true));
    assert_eq!((route.body_size, route.body_timeout.as_secs()), (1 << 30, 1));
    assert_eq!(route.origins, [OriginRule::Null]);
    let set = |name: &'static str, value| (HeaderName::from_static(name), Some(HeaderValue::from_static(value)));
    let removed = |name| (HeaderName::from_static(name), None);
    let request = vec![set("x-tenant", "a"), set("host", "app"), removed("cookie")];
    assert_eq!(route.headers, HeaderRules { request, response: vec![removed("server")] });
    let cors = route.cors.unwrap();
    assert_eq!((cors.origins, cors.credentials), (vec![OriginRule::Same, OriginRule::Null], true));
    let auth = route.auth_request.unwrap();
    assert_eq!((auth.upstream.name.as_str(), auth.path.as_str()), ("https://auth:443", "/check?a"));
    assert_eq!(auth.upstream.servers, [tcp(Scheme::Https, "auth", 443)]);
    assert_eq!(auth.upstream.response_timeout, limits::RESPONSE_TIMEOUT);
    assert_eq!(auth.copy, ["x-user", "x-groups"]);
}

#[test]
fn a_question_may_be_a_url_alone() {
    let auth = route(&proxying("", "auth_request = \"http://auth:81\"")).auth_request.unwrap();
    assert_eq!(auth.upstream.servers, [tcp(Scheme::Http, "auth", 81)]);
    assert_eq!((auth.path.as_str(), auth.copy.len()), ("/", 0));
}

#[test]
fn a_folder_is_served() {
    let (route, plain) = files("");
    assert_eq!(plain, Files { root: "/srv".into(), spa: None, cache: Vec::new() });
    assert_eq!((route.strip_prefix, route.compress, route.body_size), (None, false, limits::BODY_SIZE));
    let (_, full) = files("spa = \"app/index.html\"\ncache = { \"/assets/*\" = \"public\", \"/\" = \"no-store\" }");
    let rule = |pattern, value| (pattern, HeaderValue::from_static(value));
    let cache = vec![
        rule(PathPattern::Prefix("/assets/".to_owned()), "public"),
        rule(PathPattern::Exact("/".to_owned()), "no-store"),
    ];
    assert_eq!(full, Files { root: "/srv".into(), spa: Some("app/index.html".to_owned()), cache });
}

#[test]
fn the_place_of_a_folder_is_known() {
    let text = "[[listener]]\naddress = \"127.0.0.1:0\"\n[[route]]\npath = \"/*\"\nfiles = \"/srv\"\n";
    let loaded = served(text);
    let [(root, span)] = loaded.places.folders.as_slice() else { panic!("{:?}", loaded.places) };
    assert_eq!((root.to_str(), text.get(span.clone())), (Some("/srv"), Some("\"/srv\"")));
}

#[test]
fn a_redirect_is_for_good_unless_it_says_otherwise() {
    for (status, expected) in [("", 308), ("status = 301", 301), ("status = 302", 302), ("status = 307", 307)] {
        let text = format!(
            "[[listener]]\naddress = \"127.0.0.1:0\"\n[[route]]\npath = \"/*\"\nredirect = \"https://b{{uri}}\"\n{status}\n"
        );
        let status = StatusCode::from_u16(expected).unwrap();
        assert_eq!(route(&text).action, Action::Redirect(Redirect { to: "https://b{uri}".to_owned(), status }));
    }
}

fn redirecting(first: &str) -> Config {
    let text = format!(
        "trusted_proxies = [\"10.0.0.0/8\", \"::1\"]\n[[listener]]\naddress = \"127.0.0.1:0\"\n{first}\n\
         [[listener]]\naddress = \"127.0.0.1:0\"\n[[listener]]\naddress = \"127.0.0.1:0\"\ntls.self_signed = [\"a\"]\n\
         [[listener]]\naddress = \"127.0.0.1:0\"\ntls.self_signed = [\"b\"]\n[[route]]\npath = \"/\"\nrespond = {{}}\n"
    );
    let loaded = served(&text);
    assert_eq!(loaded.warnings, []);
    loaded.config
}

#[test]
fn a_listener_leads_to_the_first_that_serves_https_or_to_a_named_one() {
    let target =
        |value: &str| redirecting(&format!("redirect_to_https = {value}")).listeners[0].redirect_to_https.clone();
    assert_eq!(target("true"), Some(HttpsTarget::Listener(2)));
    assert_eq!(target("false"), None);
    assert_eq!(target("\"https://a:8443\""), Some(HttpsTarget::At { host: Some("a".to_owned()), port: 8443 }));
    assert_eq!(target("\"https://{host}\""), Some(HttpsTarget::At { host: None, port: 443 }));
    assert_eq!(redirecting("").listeners[0].redirect_to_https, None);
}

#[test]
fn a_proxy_header_is_taken_from_those_who_are_trusted() {
    let config = redirecting("proxy_protocol = true");
    assert_eq!(
        config.listeners.iter().map(|listener| listener.proxy_protocol).collect::<Vec<_>>(),
        [true, false, false, false]
    );
    let nets: Vec<String> = config.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(nets, ["10.0.0.0/8", "::1/128"]);
}

#[test]
fn where_nobody_is_trusted_no_proxy_header_is_taken() {
    let text =
        proxying("trusted_proxies = []", "").replacen("\"127.0.0.1:0\"", "\"127.0.0.1:0\"\nproxy_protocol = true", 1);
    let lines = first_lines(&text);
    assert!(lines.len() == 1 && lines[0].starts_with("steadfeed.toml:4:18: nobody may connect"), "{lines:?}");
}

#[test]
fn the_root_alone_is_right_where_a_host_has_patterns_too() {
    let root = "[[route]]\npath = \"/\"\nproxy = \"app\"";
    assert_eq!(first_lines(&proxying("", root)), [""; 0]);
    let lines = first_lines(&proxying("", &root.replace("path", "host = \"a\"\npath")));
    assert!(lines.len() == 1 && lines[0].contains("write \"/*\" for all paths"), "{lines:?}");
}

#[test]
fn a_header_that_is_refused_is_not_shown() {
    let text = proxying("", "headers.request = { Authorization = \"Bearer hunter2 \" }");
    let refused = super::outcome(&text).unwrap_err().to_string();
    assert!(refused.contains("can't be sent") && !refused.contains("hunter2"), "{refused}");
}

#[test]
fn a_config_that_did_not_change_equals_what_it_was() {
    let text = super::full();
    let config = served(&text).config;
    assert_eq!(config, served(&text).config);
    for (from, to) in [
        ("status = 308", "status = 307"),
        ("\"X-User\"", "\"X-Name\""),
        ("credentials = true", "credentials = false"),
        ("rise = 2", "rise = 1"),
        ("above = 90", "above = 91"),
        ("\"localhost\", \"127.0.0.1\"", "\"localhost\", \"127.0.0.2\""),
        ("192.0.2.1", "192.0.2.2"),
        ("change-me", "changed"),
    ] {
        assert!(text.contains(from), "{from}");
        assert_ne!(config, served(&text.replacen(from, to, 1)).config, "{from}");
    }
}
