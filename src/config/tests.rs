//! Whole configs, from their text: the built-in one, the one that explains every key, and bad ones.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::feed::{Shape, Snapshot};
use crate::guard::{OriginHost, OriginPort, OriginRule};
use crate::route::{Action, PathPattern};

/// The smallest config there is.
const SMALLEST: &str = "[[listener]]\naddress = \"127.0.0.1:0\"\n[[route]]\npath = \"/\"\nrespond = {}\n";

fn surroundings() -> Surroundings<'static> {
    let variable = |name: &str| match name {
        "PORT" => Some("8080".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    };
    Surroundings { variable: Box::leak(Box::new(variable)), cpus: NonZeroUsize::new(2).unwrap(), descriptors: 1024 }
}

fn outcome(text: &str) -> Result<Loaded, Refused> {
    super::check("steadfeed.toml".to_owned(), text.to_owned(), &surroundings())
}

#[track_caller]
fn served(text: &str) -> Loaded {
    outcome(text).unwrap_or_else(|refused| panic!("{refused}"))
}

/// The first lines of all problems, errors or warnings.
fn first_lines(text: &str) -> Vec<String> {
    let (text, problems) = match outcome(text) {
        Ok(loaded) => (loaded.text, loaded.warnings),
        Err(refused) => (refused.text, refused.problems),
    };
    let lines = problems.iter().map(|problem| text.render(std::slice::from_ref(problem), false));
    lines.map(|shown| shown.lines().next().unwrap().to_owned()).collect()
}

fn full() -> String {
    std::fs::read_to_string("config/full.toml").unwrap()
}

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

#[test]
fn the_full_config_is_right() {
    assert_eq!(served(&full()).warnings, []);
}

/// Every key of the schema, as a path of names; `*` is a name of the user's own, and lists add nothing.
fn keys_of(schema: &Value, path: &str, out: &mut Vec<String>) {
    if let Some(items) = schema.get("items") {
        keys_of(items, path, out);
    }
    if let Some(values) = schema.get("additionalProperties").filter(|values| values.is_object()) {
        keys_of(values, &format!("{path}.*"), out);
    }
    for (key, value) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let path = format!("{path}.{key}");
        out.push(path.clone());
        keys_of(value, &path, out);
    }
}

/// Every key that a config sets, in the same form.
fn keys_in(value: &toml::Value, schema: &Value, path: &str, out: &mut Vec<String>) {
    match value {
        toml::Value::Array(items) => {
            for item in items {
                keys_in(item, schema.get("items").unwrap_or(&Value::Null), path, out);
            }
        }
        toml::Value::Table(table) => {
            for (key, value) in table {
                if let Some(schema) = schema.get("properties").and_then(|keys| keys.get(key)) {
                    let path = format!("{path}.{key}");
                    out.push(path.clone());
                    keys_in(value, schema, &path, out);
                } else if let Some(schema) = schema.get("additionalProperties").filter(|values| values.is_object()) {
                    keys_in(value, schema, &format!("{path}.*"), out);
                }
            }
        }
        toml::Value::String(_)
        | toml::Value::Integer(_)
        | toml::Value::Float(_)
        | toml::Value::Boolean(_)
        | toml::Value::Datetime(_) => {}
    }
}

fn all_keys() -> Vec<String> {
    let mut keys = Vec::new();
    keys_of(&schema(), "", &mut keys);
    keys
}

#[test]
fn the_full_config_has_every_key_there_is() {
    // Those that exclude another one stand there as comments.
    let (mut set, schema) = (Vec::new(), schema());
    let value = toml::from_str(&full().replace("#= ", "")).unwrap();
    keys_in(&toml::Value::Table(value), &schema, "", &mut set);
    // A source is the same thing in either of two places, and is explained once.
    let set: Vec<String> = set.iter().map(|key| key.replace(".sources.", ".source.")).collect();
    let missing: Vec<String> =
        all_keys().into_iter().filter(|key| !set.contains(&key.replace(".sources.", ".source."))).collect();
    assert_eq!(missing, [""; 0], "config/full.toml does not explain these keys");
}

#[test]
fn the_schema_explains_every_key_and_names_its_draft() {
    fn undescribed(schema: &Value, out: &mut Vec<String>) {
        for (key, value) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            if value.get("description").is_none() && key != "equals" {
                out.push(key.clone());
            }
            undescribed(value, out);
        }
        for inner in ["items", "additionalProperties"] {
            if let Some(schema) = schema.get(inner) {
                undescribed(schema, out);
            }
        }
    }
    let (schema, mut missing) = (schema(), Vec::new());
    undescribed(&schema, &mut missing);
    assert_eq!(missing, [""; 0]);
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["properties"]["log"]["properties"]["format"]["enum"], serde_json::json!(["text", "json"]));
    assert_eq!(schema["additionalProperties"], false);
}

/// A config in which only the key at `path` is set, to `value`.
fn config_with(path: &str, value: &str) -> String {
    let (mut text, mut closing, mut schema) = (String::new(), String::new(), &schema());
    for part in path.trim_start_matches('.').split('.') {
        if part == "*" {
            schema = &schema["additionalProperties"];
            text.push_str("name");
        } else {
            schema = &schema["properties"][part];
            text.push_str(part);
        }
        text.push_str(" = ");
        let is_list = schema.get("items").is_some();
        schema = schema.get("items").unwrap_or(schema);
        text.push_str(if is_list { "[{ " } else { "{ " });
        closing.insert_str(0, if is_list { " }]" } else { " }" });
    }
    // The last pair of brackets was for a table, and there is a value in its place.
    let text = text.trim_end_matches(['[', '{', ' ']);
    let closing = closing.strip_prefix(" }]").or(closing.strip_prefix(" }")).unwrap();
    format!("{text} {value}{closing}")
}

#[test]
fn a_wrong_type_is_told_of_every_key_at_its_place() {
    for key in all_keys() {
        // What fits nowhere, but where anything does.
        let wrong = if key.ends_with(".equals") { "nan" } else { "-1.5" };
        if key.ends_with(".above") {
            continue;
        }
        let text = config_with(&key, wrong);
        let refused = outcome(&text).expect_err(&text);
        let at = text.find(wrong).unwrap();
        let found: Vec<&Problem> =
            refused.problems.iter().filter(|problem| problem.span == (at..at + wrong.len())).collect();
        assert_eq!(found.len(), 1, "{text}\n{refused}");
    }
}

#[test]
fn an_unset_variable_is_told_once_of_every_key() {
    for key in all_keys() {
        let text = config_with(&key, "\"${NONE}\"");
        let refused = outcome(&text).expect_err(&text);
        let at = text.find("${").unwrap();
        let found = refused.problems.iter().filter(|problem| problem.span.start.abs_diff(at) < 2).count();
        assert_eq!(found, 1, "{text}\n{refused}");
    }
}

#[test]
fn a_key_that_is_not_served_yet_is_refused_by_name() {
    for (table, key) in later::all() {
        let path = if table.is_empty() { format!(".{key}") } else { format!(".{table}.{key}") };
        // The key itself is not in the schema, so its parents alone are walked, and it is put in last.
        let text = match path.rsplit_once('.') {
            Some(("", key)) => format!("{key} = {{}}"),
            Some((parent, key)) => {
                let list = matches!(parent, ".listener" | ".route" | ".feed.*.sources");
                let inner = format!("{{ {key} = {{}} }}");
                config_with(parent, &if list { format!("[{inner}]") } else { inner })
            }
            None => unreachable!(),
        };
        let refused = outcome(&text).expect_err(&text);
        let at = text.find(&format!("{key} = {{}}")).unwrap();
        let expected = Problem::error(
            at..at + key.len(),
            Wrong::new(format!("`{key}` is not served by this version yet"), "remove it"),
        );
        assert!(refused.problems.contains(&expected), "{text}\n{refused}");
    }
}

#[test]
fn a_refused_key_is_not_also_called_absent() {
    let text = format!("{SMALLEST}[[route]]\npath = \"/api/*\"\nticket = \"app\"\n");
    assert_eq!(first_lines(&text), ["steadfeed.toml:8:1: `ticket` is not served by this version yet; remove it"]);
}

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

#[test]
fn the_config_named_first_is_chosen() {
    let none = |_: &str| None;
    let set = |_: &str| Some("set.toml".to_owned());
    let empty = |_: &str| Some(String::new());
    let flag = Path::new("flag.toml");
    assert_eq!(Chosen::choose(Some(flag), &set), Chosen::File(flag.to_owned()));
    assert_eq!(Chosen::choose(None, &set), Chosen::File("set.toml".into()));
    // Neither the tests' folder nor this machine has a config.
    assert_eq!(Chosen::choose(None, &none), Chosen::BuiltIn);
    assert_eq!(Chosen::choose(None, &empty), Chosen::BuiltIn);
}

#[test]
fn a_file_that_can_not_be_read_is_a_problem() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.toml");
    let problem = |path: &Path| load(&Chosen::File(path.to_owned()), &surroundings()).unwrap_err().to_string();
    assert!(problem(&path).starts_with(&format!("{}:1:1: this file can not be read: No such file", path.display())));
    std::fs::write(&path, b"a = \"\xff\"").unwrap();
    assert!(problem(&path).contains("UTF-8"), "{}", problem(&path));
    std::fs::write(&path, format!("{SMALLEST}#{}", " ".repeat(limits::CONFIG_SIZE - SMALLEST.len() - 1))).unwrap();
    load(&Chosen::File(path.clone()), &surroundings()).unwrap();
    std::fs::write(&path, " ".repeat(limits::CONFIG_SIZE + 1)).unwrap();
    assert!(problem(&path).contains("larger than 1048576 bytes"), "{}", problem(&path));
    assert!(problem(folder.path()).contains("can not be read"));
}

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
        ("feed.b.source.stats.every", ["\"100ms\"", "\"1h\""], ["\"99ms\"", "\"0s\""]),
    ] {
        let config = |value: &str| {
            let b = if key.starts_with("feed.b") { "" } else { "feed.b.source.stats = {}\n" };
            format!("{key} = {value}\nfeed.a.source.stats = {{}}\n{b}{SMALLEST}")
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

/// Each bad config beside the exact text that is told of it; `UPDATE_FIXTURES=1` writes those texts anew.
#[test]
fn bad_configs_are_told_everything_at_once() {
    let folder = Path::new("tests/fixtures/bad");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    assert!(paths.len() >= 25, "{} bad configs", paths.len());
    let update = std::env::var_os("UPDATE_FIXTURES").is_some();
    let mut differing = String::new();
    for path in paths {
        let content = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let shown = match super::check(name, content, &surroundings()) {
            Ok(loaded) => loaded.render(&loaded.warnings, false),
            Err(refused) => refused.to_string(),
        };
        assert_ne!(shown, "", "{} has no problem", path.display());
        let expected = path.with_extension("txt");
        if update {
            std::fs::write(&expected, &shown).unwrap();
        }
        if std::fs::read_to_string(&expected).ok().as_deref() != Some(&shown) {
            let _infallible = write!(differing, "{}\n{shown}\n", expected.display());
        }
    }
    assert!(differing.is_empty(), "these are told something else:\n{differing}");
}

/// A right config with pieces of configs put in and cut out.
fn mangled() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        "=",
        "\"",
        "'''",
        "\n",
        ".",
        ",",
        "#",
        "1",
        "-",
        "nan",
        "true",
        "${",
        "}",
        "\\u",
        "é",
        "\u{0}",
        "feed",
        "[feed.a]",
        "[[route]]",
        "[[listener]]",
        "path = \"/\"\n",
        "feed.a = 1\n",
        "1979-05-27",
        "\r",
    ]);
    let edits = prop::collection::vec((any::<prop::sample::Index>(), 0usize..40, pieces), 1..6);
    (prop::sample::select(vec![BUILT_IN.to_owned(), full()]), edits).prop_map(|(mut text, edits)| {
        for (at, cut, piece) in edits {
            let floor = |mut at: usize| {
                while !text.is_char_boundary(at) {
                    at -= 1;
                }
                at
            };
            let start = floor(at.index(text.len() + 1));
            let end = floor((start + cut).min(text.len()));
            text.replace_range(start..end.max(start), piece);
        }
        text
    })
}

/// Whatever is said is said at a place within the text.
fn holds(text: &str) {
    match outcome(text) {
        Ok(loaded) => drop(loaded.render(&loaded.warnings, true)),
        Err(refused) => {
            assert!(!refused.problems.is_empty());
            for problem in &refused.problems {
                assert!(problem.span.start <= problem.span.end && problem.span.end <= text.len(), "{problem:?}");
            }
            drop(refused.render(true));
        }
    }
}

proptest! {
    #[test]
    fn no_text_is_too_odd(text in any::<String>()) {
        holds(&text);
    }

    #[test]
    fn no_mangled_config_is_too_odd(text in mangled()) {
        holds(&text);
    }
}
