//! How much there may be of what.

use super::{SMALLEST, first_lines, served};
use crate::limits;

#[test]
fn bounds_are_where_they_are_said_to_be() {
    for (key, right, wrong) in [
        ("workers", ["1", "1024"], ["0", "1025"]),
        ("limits.header_size", ["\"8KiB\"", "\"1MiB\""], ["8191", "1048577"]),
        ("limits.connections", ["0", "768"], ["-1", "1048577"]),
        ("limits.header_timeout", ["\"1ms\"", "\"8784h\""], ["\"0s\"", "\"8785h\""]),
        ("feed.a.keys", ["1", "1000000"], ["0", "1000001"]),
        ("feed.a.history", ["0", "100000"], ["-1", "100001"]),
        ("feed.a.keepalive", ["\"100ms\"", "false"], ["\"99ms\"", "true"]),
        ("feed.a.ping", ["\"100ms\"", "false"], ["\"0s\"", "\"1ms\""]),
        ("upstream.a.resolve", ["\"100ms\"", "\"1h\""], ["\"99ms\"", "\"0s\""]),
        ("upstream.a.connect_timeout", ["\"1ms\"", "\"1h\""], ["\"0s\"", "\"8785h\""]),
        ("upstream.a.health.fall", ["1", "1000"], ["0", "1001"]),
        ("upstream.a.health.every", ["\"100ms\"", "\"1h\""], ["\"99ms\"", "\"0s\""]),
        ("feed.a.max_message", ["1", "\"16MiB\""], ["0", "16777217"]),
        ("feed.b.source.stats.every", ["\"100ms\"", "\"1h\""], ["\"99ms\"", "\"0s\""]),
    ] {
        let config = |value: &str| {
            let b = if key.starts_with("feed.b") { "" } else { "feed.b.source.stats = {}\n" };
            let a = if !key.starts_with("upstream") {
                ""
            } else if key.contains("health") {
                "upstream.a.servers = [\"http://a\"]\nupstream.a.health.path = \"/\"\n"
            } else {
                "upstream.a.servers = [\"http://a\"]\n"
            };
            let route = if a.is_empty() { "" } else { "[[route]]\npath = \"/a\"\nproxy = \"a\"\n" };
            format!("{key} = {value}\n{a}feed.a.source.stats = {{}}\n{b}{SMALLEST}{route}")
        };
        for value in right {
            assert_eq!(first_lines(&config(value)), [""; 0], "{key} = {value}");
        }
        for value in wrong {
            let lines = first_lines(&config(value));
            assert!(lines.len() == 1 && lines[0].starts_with("steadfeed.toml:1:"), "{key} = {value}: {lines:?}");
        }
    }
}

#[test]
fn alert_rules_are_bounded() {
    let config = |rules: usize| {
        let rules = "{ at = \"/a\", above = 1 }, ".repeat(rules);
        format!(
            "[feed.a]\nsource = {{ stats = {{}} }}\n[feed.b]\nsource = {{ alerts = {{ of = \"a\", rules = [{rules}] }} }}\n{SMALLEST}"
        )
    };
    served(&config(limits::ALERT_RULES));
    assert!(first_lines(&config(limits::ALERT_RULES + 1))[0].contains("these are 257 rules, and 256 are allowed"));
}

#[test]
fn listeners_feeds_and_routes_are_bounded() {
    let of = |most: usize, each: &dyn Fn(usize) -> String| -> String { (0..most).map(each).collect() };
    let base = "[[listener]]\naddress = \"127.0.0.1:0\"\n";
    for (most, what, each) in [
        (limits::LISTENERS - 1, "listeners", &(|_| base.to_owned()) as &dyn Fn(usize) -> String),
        (limits::FEEDS, "feeds", &|index| format!("[feed.f{index}]\nsource = {{ publish = {{}} }}\n")),
        (limits::ROUTES - 1, "routes", &|index| format!("[[route]]\npath = \"/{index}\"\nrespond = {{}}\n")),
    ] {
        assert_eq!(first_lines(&(SMALLEST.to_owned() + &of(most, each))), [""; 0]);
        let lines = first_lines(&(SMALLEST.to_owned() + &of(most + 1, each)));
        assert!(lines.len() == 1 && lines[0].contains(&format!(" {what}, and ")), "{lines:?}");
    }
}

/// As `bounds_are_where_they_are_said_to_be`, of a key in the middle of `config`, written as `KEY`.
#[track_caller]
fn bounded_key(config: &str, right: [&str; 2], wrong: [&str; 2]) {
    let config = |value: &str| format!("{SMALLEST}{}", config.replace("KEY", value));
    for value in right {
        assert_eq!(first_lines(&config(value)), [""; 0], "{value}");
    }
    for value in wrong {
        let lines = first_lines(&config(value));
        let [line] = lines.as_slice() else { panic!("{value}: {lines:?}") };
        assert!(line.contains("out of range") || line.contains("longer than 366 days"), "{value}: {line}");
    }
}

#[test]
fn what_is_asked_of_sources_and_sessions_is_bounded() {
    let split = "[feed.a]\nsource = { websocket = \"ws://a\" }\nshare = [\"query\"]\nlinger = KEY\n";
    bounded_key(split, ["\"0s\"", "\"1h\""], ["\"8785h\"", "\"8786h\""]);
    let poll = "[feed.a]\nsource = { poll = \"http://a\", every = KEY }\n";
    bounded_key(poll, ["\"100ms\"", "\"1h\""], ["\"99ms\"", "\"0s\""]);
    let fallback = "[feed.a]\nsource = { sse = \"http://a\" }\nfallback = { stats = {}, after = KEY }\n";
    bounded_key(fallback, ["\"0s\"", "\"1h\""], ["\"8785h\"", "\"8786h\""]);
    let session = |key: &str| {
        format!(
            "[upstream.a]\nservers = [\"http://a\"]\n[[route]]\npath = \"/a\"\nproxy = \"a\"\nsession = {{ {key} = KEY }}\n"
        )
    };
    bounded_key(&session("hold"), ["\"0s\"", "\"1h\""], ["\"8785h\"", "\"8786h\""]);
    bounded_key(&session("resend"), ["0", "64"], ["65", "1000"]);
    bounded_key(&session("max_message"), ["1", "\"16MiB\""], ["0", "16777217"]);
}

#[test]
fn what_is_asked_of_admission_is_bounded() {
    let route = "[[route]]\npath = \"/a\"\nrespond = {}\n";
    let auth = format!("[auth.a]\nsecret = \"{}\"\nleeway = KEY\n{route}auth = \"a\"\n", "x".repeat(32));
    bounded_key(&auth, ["\"0s\"", "\"10m\""], ["\"601s\"", "\"1h\""]);
    let secret = "x".repeat(32);
    let feed = format!(
        "[feed.f]\nsource = {{ stats = {{}} }}\n[auth.a]\nsecret = \"{secret}\"\n\
         [[route]]\npath = \"/a\"\nfeed = \"f\"\nauth = \"a\"\n"
    );
    let limit = |key: &str| format!("[limit.a]\nrequests = \"1/s\"\n{key} = KEY\n{feed}limit = \"a\"\n");
    for key in ["connections", "connections_per_client", "connections_per_subject"] {
        bounded_key(&limit(key), ["1", "1048576"], ["0", "1048577"]);
    }
    bounded_key(&limit("burst"), ["1", "1000000"], ["0", "1000001"]);
    bounded_key(&limit("message_size"), ["1", "\"16MiB\""], ["0", "16777217"]);
    bounded_key(&limit("messages"), ["\"1/h\"", "\"1000000/s\""], ["\"1000001/s\"", "\"99999999999/h\""]);
}

#[test]
fn a_secret_is_long_or_told_of() {
    let config = |length: usize| format!("{SMALLEST}auth = \"a\"\n[auth.a]\nsecret = \"{}\"\n", "x".repeat(length));
    assert_eq!(first_lines(&config(limits::SECRET_SHORT)), [""; 0]);
    let lines = first_lines(&config(limits::SECRET_SHORT - 1));
    assert!(lines.len() == 1 && lines[0].contains("warning: this secret is shorter than 32 bytes"), "{lines:?}");
}

#[test]
fn sources_auths_and_limits_are_bounded() {
    bounded(limits::SOURCES, "sources", |count| {
        format!("{SMALLEST}[feed.a]\nsources = [{}]\n", list(count, |_| "{ websocket = \"ws://a\" }".to_owned()))
    });
    bounded(limits::HEADER_RULES, "headers", |count| {
        let headers = list(count, |index| format!("X-{index} = \"a\""));
        format!("{SMALLEST}[feed.a]\nsource = {{ websocket = \"ws://a\", headers = {{ {headers} }} }}\n")
    });
    let tables = |count: usize, table: &str, key: &str| {
        let each = |index| {
            format!(
                "[{table}.t{index}]\n{key}\n[[route]]\npath = \"/{index}\"\nrespond = {{}}\n{table} = \"t{index}\"\n"
            )
        };
        SMALLEST.to_owned() + &(0..count).map(each).collect::<String>()
    };
    let secret = format!("secret = \"{}\"", "x".repeat(32));
    bounded(limits::AUTHS, "auths", |count| tables(count, "auth", &secret));
    bounded(limits::LIMITS, "limits", |count| tables(count, "limit", "requests = \"1/s\""));
}

#[test]
fn what_one_auth_or_route_lists_is_bounded() {
    let auth = |keys: String| format!("{SMALLEST}auth = \"a\"\n[auth.a]\nsecret = \"{}\"\n{keys}\n", "x".repeat(32));
    bounded(limits::REQUIRED_CLAIMS, "claims", |count| {
        auth(format!("require = {{ {} }}", list(count, |index| format!("c{index} = 1"))))
    });
    bounded(limits::CARRIERS, "places for a token", |count| {
        auth(format!("from = [{}]", list(count, |index| format!("\"query:t{index}\""))))
    });
    for key in ["allow", "deny"] {
        bounded(limits::ROUTE_NETWORKS, "networks", |count| {
            let networks = list(count, |index| format!("\"10.0.{}.{}\"", index / 256, index % 256));
            format!("{SMALLEST}{key} = [{networks}]\n")
        });
    }
}

/// `most` of something are right, and one more is told where it stands.
#[track_caller]
fn bounded(most: usize, what: &str, config: impl Fn(usize) -> String) {
    assert_eq!(first_lines(&config(most)), [""; 0], "{what}");
    let lines = first_lines(&config(most + 1));
    let expected = format!("these are {} {what}, and {most} are served; remove some", most + 1);
    assert!(lines.len() == 1 && lines[0].ends_with(&expected), "{lines:?}");
}

fn list(count: usize, each: impl Fn(usize) -> String) -> String {
    (0..count).map(each).collect::<Vec<_>>().join(", ")
}

#[test]
fn upstreams_and_what_they_have_are_bounded() {
    bounded(limits::UPSTREAMS, "upstreams", |count| {
        let each = |index| {
            format!(
                "[upstream.u{index}]\nservers = [\"http://a\"]\n[[route]]\npath = \"/{index}\"\nproxy = \"u{index}\"\n"
            )
        };
        SMALLEST.to_owned() + &(0..count).map(each).collect::<String>()
    });
    bounded(limits::SERVERS, "servers", |count| {
        let servers = list(count, |index| format!("\"http://a{index}\""));
        format!("{SMALLEST}[[route]]\npath = \"/a\"\nproxy = \"a\"\n[upstream.a]\nservers = [{servers}]\n")
    });
}

#[test]
fn what_is_gone_through_for_each_request_is_bounded() {
    bounded(limits::TRUSTED_PROXIES, "networks", |count| {
        format!(
            "trusted_proxies = [{}]\n{SMALLEST}",
            list(count, |index| format!("\"10.0.{}.{}\"", index / 256, index % 256))
        )
    });
    let headers = |count| list(count, |index| format!("X-{index} = \"a\""));
    let proxying = |keys: String| {
        format!("{SMALLEST}[upstream.a]\nservers = [\"http://a\"]\n[[route]]\npath = \"/a\"\nproxy = \"a\"\n{keys}\n")
    };
    bounded(limits::HEADER_RULES, "headers", |count| proxying(format!("headers.request = {{ {} }}", headers(count))));
    bounded(limits::HEADER_RULES, "headers", |count| proxying(format!("headers.response = {{ {} }}", headers(count))));
    bounded(limits::HEADER_RULES, "headers", |count| {
        let names = list(count, |index| format!("\"X-{index}\""));
        proxying(format!("auth_request = {{ url = \"http://a\", copy = [{names}] }}"))
    });
    bounded(limits::CACHE_RULES, "cache rules", |count| {
        let rules = list(count, |index| format!("\"/{index}\" = \"no-store\""));
        format!("{SMALLEST}[[route]]\npath = \"/a/*\"\nfiles = \"/srv\"\ncache = {{ {rules} }}\n")
    });
}
