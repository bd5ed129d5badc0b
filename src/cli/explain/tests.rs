//! Recordings of each kind of message, and what is told of them.

use super::*;

const CONFIG: &str = r#"
[admin]
listen = "off"
[[listener]]
address = "127.0.0.1:0"
[feed.dashboard]
source = { publish = {} }
type = "dashboard_stats"
skip = [{ at = "/loading", equals = true }, { type = "debug" }]
naive_time = "+09:00"
rename = { old = "new" }
[feed.paced]
source = { publish = {} }
min_interval = "1s"
key = "/host"
[[route]]
path = "/dashboard"
feed = "dashboard"
[[route]]
path = "/old/dashboard"
feed = "dashboard"
shape = "mirrored"
[[route]]
path = "/paced"
feed = "paced"
shape = "raw"
"#;

fn config() -> Config {
    let surroundings = Surroundings { variable: &|_| None, cpus: std::num::NonZeroUsize::MIN, descriptors: 1024 };
    config::check("a.toml".to_owned(), CONFIG.to_owned(), &surroundings).unwrap().config
}

/// One line at 12:00:00 and so many milliseconds.
fn at(millis: u32, text: &str) -> String {
    let quoted = serde_json::Value::from(text);
    format!("{{\"time\":\"2026-01-31T12:00:{:02}.{:03}Z\",\"text\":{quoted}}}\n", millis / 1000, millis % 1000)
}

/// What is told of `recording`, on stdout and stderr, and the exit code.
fn told(feed: &str, max_message: Option<usize>, recording: &str, manner: Manner) -> (String, String, ExitCode) {
    let config = config();
    let mut feed = find(&config, feed, "a.toml").unwrap().feed.clone();
    feed.max_message = max_message.unwrap_or(feed.max_message);
    let mut judge = Judge::new(&feed, &config.routes).unwrap();
    let (mut out, mut complaints) = (Vec::new(), Vec::new());
    let code = explain(&mut judge, recording.as_bytes(), &mut out, &mut complaints, manner);
    (String::from_utf8(out).unwrap(), String::from_utf8(complaints).unwrap(), code)
}

/// The JSON told of one text, from `outcome` on.
#[track_caller]
fn check(text: &str, expected: &str) {
    let (out, complaints, code) = told("dashboard", None, &at(0, text), Manner::Json);
    assert_eq!(out, format!("{{\"line\":1,\"time\":\"2026-01-31T12:00:00.000Z\",\"outcome\":{expected}}}\n"));
    assert_eq!((complaints.as_str(), code), ("", ExitCode::SUCCESS));
}

#[test]
fn what_is_dropped_names_the_option() {
    check(r#"{"loading":true}"#, r#""dropped","by":"skip[0] by what stands at its pointer""#);
    check(r#"{"type":"debug"}"#, r#""dropped","by":"skip[1] by type""#);
    check(r#"{"type":"keepalive"}"#, r#""dropped","by":"skip_system""#);
}

#[test]
fn what_is_sent_names_the_rule_and_shows_each_shape_of_a_route() {
    check(
        r#"{"pending":1.50,"timestamp":"2026-01-31T21:00:00.25"}"#,
        concat!(
            r#""sent","by":"rule 3: an object without type; data is all of it","type":"dashboard_stats","#,
            r#""envelope":{"type":"dashboard_stats","data":{"pending":1.50,"timestamp":"2026-01-31T21:00:00.25"},"#,
            r#""timestamp":"2026-01-31T12:00:00.250Z"},"#,
            r#""mirrored":{"type":"dashboard_stats","data":{"pending":1.50,"timestamp":"2026-01-31T21:00:00.25"},"#,
            r#""timestamp":"2026-01-31T12:00:00.250Z","pending":1.50}"#
        ),
    );
    check(
        "{\"type\":\"old\",\n\"data\":[\r\n1]}",
        concat!(
            r#""sent","by":"rule 1: an object with type and data","type":"new","#,
            r#""envelope":{"type":"new","data":[  1],"timestamp":"2026-01-31T12:00:00.000Z"},"#,
            r#""mirrored":{"type":"new","data":[  1],"timestamp":"2026-01-31T12:00:00.000Z"}"#
        ),
    );
}

#[test]
fn binary_is_shown_as_it_came() {
    let recording = "{\"time\":\"2026-01-31T12:00:00Z\",\"binary\":\"AP8K\"}\n";
    let (out, _, _) = told("dashboard", None, recording, Manner::Json);
    assert!(out.ends_with(",\"type\":\"dashboard_stats\",\"binary\":\"AP8K\"}\n"), "{out}");
    let (out, _, _) = told("dashboard", None, recording, Manner::Words);
    assert!(out.ends_with("\n      binary    3 bytes\n"), "{out}");
}

#[test]
fn min_interval_holds_the_newest_of_each_type_and_key() {
    let web = |host: &str| format!("{{\"host\":\"{host}\"}}");
    let recording = [at(0, &web("a")), at(100, &web("a")), at(200, &web("b")), at(300, &web("a"))].concat();
    let (out, _, _) = told("paced", None, &recording, Manner::Json);
    let lines: Vec<&str> = out.lines().collect();
    let raw = r#""raw":"{\"host\":\"a\"}"}"#;
    assert!(lines[0].contains("\"sent\"") && lines[0].contains("\"key\":\"a\"") && lines[0].ends_with(raw), "{out}");
    assert!(
        lines[1].contains("\"held\"") && lines[1].contains("\"until\":\"2026-01-31T12:00:01.000Z\",\"type\""),
        "{out}"
    );
    assert!(lines[2].contains("\"sent\""), "{out}");
    assert!(lines[3].contains("\"until\":\"2026-01-31T12:00:01.000Z\",\"instead_of\":2,"), "{out}");
}

#[test]
fn a_message_over_max_message_is_dropped_by_its_bytes() {
    let (out, _, _) = told("dashboard", Some(4), &[at(0, "1234"), at(0, "12345")].concat(), Manner::Json);
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[0].contains("\"sent\""), "{out}");
    assert!(lines[1].ends_with("\"dropped\",\"by\":\"max_message: 5 bytes, and 4 are taken\"}"), "{out}");
}

#[test]
fn a_terminal_is_told_in_words() {
    let recording = [at(0, "{\"loading\":true}"), at(1, "{\"type\":\"a\u{7f}\"}")].concat();
    let (out, _, code) = told("dashboard", None, &recording, Manner::Words);
    let expected = "   1  2026-01-31T12:00:00.000Z  dropped by skip[0] by what stands at its pointer
   2  2026-01-31T12:00:00.001Z  a\\u{7f}, by rule 2: an object with type; data is the rest of it
      envelope  {\"type\":\"a\\u{7f}\",\"data\":null,\"timestamp\":\"2026-01-31T12:00:00.001Z\"}
      mirrored  {\"type\":\"a\\u{7f}\",\"data\":null,\"timestamp\":\"2026-01-31T12:00:00.001Z\"}
";
    assert_eq!((out.as_str(), code), (expected, ExitCode::SUCCESS));
    let recording = [at(0, "1"), at(1, "2"), at(2, "3")].concat();
    let (out, _, _) = told("paced", None, &recording, Manner::Words);
    let held = "by rule 4: other JSON; held by min_interval until 2026-01-31T12:00:01.000Z unless a newer one comes";
    assert!(out.contains(&format!("{held}\n")) && out.contains(&format!("{held}, in place of line 2\n")), "{out}");
}

#[test]
fn a_bad_line_is_told_and_passed_over() {
    let recording = [at(0, "1"), "nonsense\n".to_owned(), at(1, "2")].concat();
    let (out, complaints, code) = told("dashboard", None, &recording, Manner::Json);
    assert_eq!((out.lines().count(), code), (2, ExitCode::FAILURE));
    assert!(out.contains("{\"line\":3,"), "{out}");
    assert!(complaints.starts_with("steadfeed: line 2: this is no recorded message ("), "{complaints}");
    assert_eq!(complaints.lines().count(), 1);
}

#[test]
fn an_unknown_feed_is_told_with_the_nearest() {
    let config = config();
    assert_eq!(find(&config, "dashbord", "a.toml").unwrap_err(), "`dashbord` is no feed of a.toml; write `dashboard`");
    let none = Config { feeds: Vec::new(), ..config };
    assert_eq!(find(&none, "x", "a.toml").unwrap_err(), "a.toml has no feeds; write a [feed.x]");
}
