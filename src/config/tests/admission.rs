//! What auths, limits and the guards of routes become, with their defaults.

use std::time::Duration;

use serde_json::json;

use super::{SMALLEST, first_lines, outcome, served};
use crate::config::{Problem, Wrong};
use crate::guard::{Algorithm, AuthOptions, Carrier, KeyOptions, LimitOptions};
use crate::limits;
use crate::rate::{Per, Rate};
use crate::route::Action;
use crate::secret::Secret;

/// A secret that is long enough.
const SECRET: &str = "01234567890123456789012345678901";

/// The auth `a`, made of these keys.
#[track_caller]
fn auth(keys: &str) -> AuthOptions {
    let loaded = served(&format!("{SMALLEST}auth = \"a\"\n[auth.a]\n{keys}\n"));
    assert_eq!(loaded.warnings, []);
    assert_eq!(loaded.config.routes[0].auth.as_deref(), Some("a"));
    loaded.config.auths.into_iter().next().unwrap()
}

/// The limit `a`, made of these keys.
#[track_caller]
fn limit(keys: &str) -> LimitOptions {
    let route =
        "[[route]]\npath = \"/f\"\nfeed = \"f\"\nauth = \"a\"\nlimit = \"a\"\n[feed.f]\nsource = { stats = {} }\n";
    let loaded = served(&format!("{SMALLEST}{route}[auth.a]\nsecret = \"{SECRET}\"\n[limit.a]\n{keys}\n"));
    assert_eq!(loaded.warnings, []);
    assert_eq!(loaded.config.routes[1].limit.as_deref(), Some("a"));
    loaded.config.limit.into_iter().next().unwrap()
}

#[test]
fn an_auth_has_every_default() {
    let expected = AuthOptions {
        name: "a".to_owned(),
        key: KeyOptions::Secret(Secret::new(SECRET.to_owned())),
        algorithms: vec![Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512],
        issuer: None,
        audience: None,
        leeway: Duration::from_secs(30),
        require: Vec::new(),
        from: vec![Carrier::Header, Carrier::Subprotocol, Carrier::Query("token".to_owned()), Carrier::Ticket],
    };
    assert_eq!(auth(&format!("secret = \"{SECRET}\"")), expected);
}

#[test]
fn an_auth_is_what_it_says() {
    let full = auth(
        "jwks_url = \"https://id.example.com:8443/jwks.json?tenant=a\"\nalgorithms = [\"ES256\", \"EdDSA\", \"ES256\"]\n\
         issuer = \"id\"\naudience = \"dash\"\nleeway = \"0s\"\nrequire = { role = \"operator\", level = 3, staff = true }\n\
         from = [\"cookie:session\", \"query:jwt\", \"cookie:session\"]",
    );
    let KeyOptions::JwksUrl(jwks) = full.key else { panic!("{:?}", full.key) };
    assert_eq!(
        (jwks.url.as_str(), jwks.path.as_str()),
        ("https://id.example.com:8443/jwks.json", "/jwks.json?tenant=a")
    );
    assert_eq!(jwks.upstream.servers[0].to_string(), "https://id.example.com:8443");
    assert_eq!(full.algorithms, [Algorithm::Es256, Algorithm::EdDsa]);
    assert_eq!(
        (full.issuer.as_deref(), full.audience.as_deref(), full.leeway),
        (Some("id"), Some("dash"), Duration::ZERO)
    );
    let claim = |name: &str, value| (name.to_owned(), value);
    // In the order of the file.
    assert_eq!(full.require, [claim("role", json!("operator")), claim("level", json!(3)), claim("staff", json!(true))]);
    assert_eq!(full.from, [Carrier::Cookie("session".to_owned()), Carrier::Query("jwt".to_owned())]);
}

#[test]
fn a_key_has_the_algorithms_of_its_family() {
    for keys in ["public_key_file = \"a.pem\"", "jwks_file = \"a.json\"", "jwks_url = \"https://a/\""] {
        let auth = auth(keys);
        assert_eq!(auth.algorithms.len(), 9, "{keys}");
        assert!(!auth.algorithms.contains(&Algorithm::Hs256), "{keys}");
    }
    let hmac = format!("{SMALLEST}auth = \"a\"\n[auth.a]\nsecret = \"{SECRET}\"\nalgorithms = [\"ES384\"]\n");
    assert!(first_lines(&hmac)[0].contains("`ES384` is checked with a public key, and this has `secret`"));
    let pair = hmac.replace("secret =", "public_key_file =").replace("ES384", "HS384");
    assert!(first_lines(&pair)[0].contains("`HS384` is checked with a secret, and this has `public_key_file`"));
}

#[test]
fn a_secret_may_be_in_a_file_that_need_not_fit_a_header() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    let text = format!("a secret with spaces, and é {SECRET}");
    std::fs::write(&path, format!("{text}\n")).unwrap();
    let auth = auth(&format!("secret_file = {path:?}"));
    assert_eq!(auth.key, KeyOptions::Secret(Secret::new(text)));
}

#[test]
fn a_secret_may_be_unset_where_its_text_says_so() {
    let absent = |variable: &str| KeyOptions::Absent { variable: variable.to_owned() };
    assert_eq!(auth("secret = \"${NONE:-}\"").key, absent("NONE"));
    assert_eq!(auth("secret = \"${EMPTY:-}\"").key, absent("EMPTY"));
    assert_eq!(auth("secret = \"${NONE:-}\"").algorithms.len(), 3);
    for (secret, expected) in [
        ("${EMPTY}", "this secret is empty"),
        ("", "this secret is empty"),
        ("${NONE:-}${EMPTY:-}", "this secret is empty"),
        ("${NONE}", "the environment has no `NONE`"),
    ] {
        let lines = first_lines(&format!("{SMALLEST}auth = \"a\"\n[auth.a]\nsecret = \"{secret}\"\n"));
        assert!(lines.len() == 1 && lines[0].contains(expected), "{lines:?}");
    }
}

#[test]
fn a_secret_of_an_auth_is_never_shown() {
    for keys in [
        "secret = \"hunter2\"\nsecret_file = \"x\"",
        "secret = [\"hunter2\"]",
        "secrets = \"hunter2\"",
        "secret = \"hunter2",
        "jwks_url = \"https://me:hunter2@id/\"",
        "jwks_url = \"https://id/?key=hunter2#a\"",
        "secret = \"hunter2\"\nalgorithms = [\"RS256\"]",
    ] {
        let refused = outcome(&format!("{SMALLEST}[auth.a]\n{keys}\n")).unwrap_err();
        assert!(!refused.to_string().contains("hunter2"), "{refused}");
    }
    let loaded = served(&format!("{SMALLEST}auth = \"a\"\n[auth.a]\nsecret = \"hunter2\"\n"));
    assert!(!loaded.render(&loaded.warnings, false).contains("hunter2"));
    assert!(!format!("{:?}", loaded.config).contains("hunter2"));
}

#[test]
fn the_place_of_a_key_is_known() {
    let text = format!(
        "{SMALLEST}auth = \"a\"\n[[route]]\npath = \"/b\"\nrespond = {{}}\nauth = \"b\"\n\
         [auth.a]\nissuer = \"i\"\njwks_file = \"a.json\"\n[auth.b]\npublic_key_file = \"b.pem\"\n"
    );
    let loaded = served(&text);
    let at = |problem: Problem| text.get(problem.span).unwrap().to_owned();
    assert_eq!(at(loaded.places.at_key(0, Wrong::new("a", "b"))), "\"a.json\"");
    assert_eq!(at(loaded.places.at_key(1, Wrong::new("a", "b"))), "\"b.pem\"");
    assert_eq!(at(loaded.places.at_key(2, Wrong::new("a", "b"))), "");
}

#[test]
fn a_limit_bounds_what_it_names() {
    let none = LimitOptions {
        name: "a".to_owned(),
        upgrades: None,
        burst: None,
        requests: None,
        connections_per_client: None,
        connections_per_subject: None,
        connections: None,
        messages: None,
        message_size: limits::MESSAGE_SIZE,
    };
    assert_eq!(limit(""), none);
    let rate = |count: u32, per| Some(Rate { count: count.try_into().unwrap(), per });
    let count = |count: u32| Some(count.try_into().unwrap());
    let full = LimitOptions {
        upgrades: rate(30, Per::Minute),
        burst: count(10),
        requests: rate(100, Per::Second),
        connections_per_client: count(50),
        connections_per_subject: count(20),
        connections: count(10_000),
        messages: rate(1000, Per::Hour),
        message_size: 1024,
        ..none
    };
    let keys = "upgrades = \"30/min\"\nburst = 10\nrequests = \"100/s\"\nconnections_per_client = 50\n\
                connections_per_subject = 20\nconnections = 10000\nmessages = \"1000/h\"\nmessage_size = \"1KiB\"";
    assert_eq!(limit(keys), full);
}

#[test]
fn networks_are_those_that_are_named() {
    let config = served(&format!("{SMALLEST}allow = [\"10.0.0.0/8\", \"::1\"]\ndeny = [\"10.0.0.1\"]\n")).config;
    let shown = |networks: &[ipnet::IpNet]| networks.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(shown(&config.routes[0].allow), ["10.0.0.0/8", "::1/128"]);
    assert_eq!(shown(&config.routes[0].deny), ["10.0.0.1/32"]);
    let config = served(&format!("{SMALLEST}deny = []\n")).config;
    assert!(config.routes[0].allow.is_empty() && config.routes[0].deny.is_empty());
}

#[test]
fn a_ticket_is_of_an_auth() {
    let text = format!("{SMALLEST}[auth.a]\nsecret = \"{SECRET}\"\n[[route]]\npath = \"/t\"\nticket = \"a\"\n");
    let loaded = served(&text);
    assert_eq!(loaded.warnings, []);
    assert_eq!(loaded.config.routes[1].action, Action::Ticket { auth: "a".to_owned() });
    let lines = first_lines(&text.replace("[[route]]\npath = \"/t\"", "from = [\"header\"]\n[[route]]\npath = \"/t\""));
    assert!(lines.len() == 1 && lines[0].contains("warning: nobody takes these tickets"), "{lines:?}");
}

/// What is said of a feed's route with these keys, where this is listened on.
fn told(address: &str, keys: &str) -> Vec<String> {
    first_lines(&format!(
        "[[listener]]\naddress = \"{address}\"\n[feed.f]\nsource = {{ stats = {{}} }}\n[auth.a]\nsecret = \"{SECRET}\"\n\
         from = [\"cookie:a\"]\n[limit.l]\nconnections = 1\n[upstream.u]\nservers = [\"http://u\"]\n\
         [[route]]\npath = \"/u/*\"\nproxy = \"u\"\nauth = \"a\"\nlimit = \"l\"\n\
         [[route]]\npath = \"/f\"\nfeed = \"f\"\n{keys}\n"
    ))
}

#[test]
fn an_open_feed_is_told_of_where_strangers_reach_it() {
    let open = "steadfeed.toml:2:11: warning: whoever reaches 0.0.0.0:0 may open as many sockets as they like on `/f`; \
                give those routes a `limit`, `auth` or `allow`";
    assert_eq!(told("0.0.0.0:0", ""), [open]);
    assert_eq!(told("0.0.0.0:0", "deny = [\"192.0.2.1\"]"), [open]);
    for address in ["127.0.0.1:0", "10.0.0.1:0", "[::1]:0"] {
        assert_eq!(told(address, ""), [""; 0], "{address}");
    }
    for keys in ["auth = \"a\"", "limit = \"l\"", "allow = [\"10.0.0.0/8\"]", "auth_request = \"http://u\""] {
        assert_eq!(told("0.0.0.0:0", keys), [""; 0], "{keys}");
    }
}

#[test]
fn many_open_routes_are_one_warning() {
    let more: String = (0..7).map(|index| format!("[[route]]\npath = \"/{index}\"\nfeed = \"f\"\n")).collect();
    let lines = told("0.0.0.0:0", &more);
    assert!(lines.len() == 1 && lines[0].contains("`/f`, `/0`, `/1`, `/2`, `/3` and 3 more; give"), "{lines:?}");
}

#[test]
fn cookies_and_all_origins_do_not_go_together() {
    let lines = told("127.0.0.1:0", "auth = \"a\"\norigins = [\"*\"]");
    assert!(lines.len() == 1 && lines[0].contains("warning: with \"*\" every page"), "{lines:?}");
    assert_eq!(told("127.0.0.1:0", "auth = \"a\"\norigins = [\"same\"]"), [""; 0]);
    assert_eq!(told("127.0.0.1:0", "origins = [\"*\"]"), [""; 0]);
}
