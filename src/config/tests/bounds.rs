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
