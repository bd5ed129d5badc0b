//! The commands, run as a user runs them.

use std::num::NonZeroUsize;
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::Arc;

use rustix::process::Signal;
use serde_json::Value;
use steadfeed::config::{self, Surroundings};
use tokio::time::Instant;

use crate::support::instance::{binary, run};
use crate::support::raw_ws::RawSocket;
use crate::support::{Instance, SseClient, WsClient, get, post_json, request, until, within};

const SMALL: &str = r#"
[[listener]]
address = "127.0.0.1:0"

[[listener]]
address = "127.0.0.1:0"
tls.self_signed = ["localhost"]

[feed.events]
source = { publish = {} }

[[route]]
path = "/events"
feed = "events"

[[route]]
path = "/hello"
respond = { body = "hello" }
"#;

/// A config of the repository, on ports that are free.
fn on_free_ports(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name);
    let text = std::fs::read_to_string(path).expect("the config is there");
    let ports = ["8080", "8443", "8444", "9090"].map(|port| format!("127.0.0.1:{port}\""));
    let text = ports.iter().fold(text, |text, port| text.replace(port.as_str(), "127.0.0.1:0\""));
    // One that the system may have given to a connection.
    text.replace("127.0.0.1:54112}", "127.0.0.1:0}")
}

/// The default config as it is served, but for its ports.
async fn default() -> Instance {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    Instance::start_in(folder, &format!("{}\n[admin]\nlisten = \"127.0.0.1:0\"\n", on_free_ports("default.toml"))).await
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[tokio::test]
async fn start_up_prints_a_line_for_each_listener_feed_and_page_and_then_nothing() {
    let start = Instant::now();
    let instance = default().await;
    let ready = start.elapsed();
    assert_eq!(get(instance.address(), "/health", &[]).await.status, 200);
    // Shown, not held to anything: other tests run at the same time.
    println!("ready after {ready:?}, its certificate made");
    let (http, https) = (instance.listener(0).port(), instance.listener(1).port());
    let expected = [
        format!("steadfeed {}", env!("CARGO_PKG_VERSION")),
        format!("  listening  http://localhost:{http}"),
        format!("  listening  https://localhost:{https}"),
        format!("  admin      http://{}", instance.admin()),
        format!("  page       system at https://localhost:{https}/"),
        format!("  feed       system at wss://localhost:{https}/ws"),
        format!("  feed       alerts at wss://localhost:{https}/ws/alerts"),
        format!("  feed       system at wss://localhost:{https}/api/system/ws"),
    ];
    let printed = instance.printed();
    let shown: Vec<_> = printed.iter().filter(|line| !line.contains(" INFO ") && !line.contains(" access ")).collect();
    assert_eq!(shown, expected.iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn the_default_config_answers_health_and_refuses_what_needs_a_token() {
    let instance = default().await;
    let address = instance.address();
    let health = get(address, "/health", &[]).await;
    assert_eq!(health.text(), r#"{"status":"healthy","service":"steadfeed"}"#);
    assert_eq!((health.status, health.header("content-type")), (200, Some("application/json")));
    let closed = get(address, "/api/system/ws", &[]).await;
    assert_eq!((closed.status, closed.header("content-type")), (503, Some("application/problem+json")));
    let (status, problem) = WsClient::refused(address, "/api/system/ws", &[]).await;
    assert_eq!((status, problem), (503, closed.json()));
    assert!(closed.json()["detail"].as_str().is_some_and(|detail| detail.contains("JWT_SECRET")));
}

#[tokio::test]
async fn the_default_feed_is_mirrored_and_open_to_pages_of_this_machine() {
    let instance = default().await;
    let mut plain = WsClient::connect(instance.address(), "/ws").await;
    assert_eq!(plain.json().await["type"], "connected");
    let message = plain.data().await;
    assert_eq!(message["type"], "system_stats");
    for member in ["cpu", "memory", "disk", "network", "host", "uptime_s"] {
        assert!(!message[member].is_null(), "{member}: {message}");
        assert_eq!(message[member], message["data"][member]);
    }
    let mut secure = WsClient::connect_tls(instance.listener(1), "/ws").await;
    assert_eq!(secure.data().await["type"], "system_stats");
    for origin in ["http://localhost:5173", "https://127.0.0.1:1", "http://[::1]", "http://LOCALHOST:3000"] {
        let mut viewer = WsClient::try_connect(instance.address(), "/ws", &[("Origin", origin)]).await.expect(origin);
        assert_eq!(viewer.data().await["type"], "system_stats");
        WsClient::try_connect(instance.address(), "/ws/alerts", &[("Origin", origin)]).await.expect(origin);
    }
    for origin in ["https://evil.example", "http://localhost.evil.example:5173", "ftp://localhost", "null"] {
        assert_eq!(WsClient::refused(instance.address(), "/ws", &[("Origin", origin)]).await.0, 403, "{origin}");
        let stream = [("Origin", origin), ("Accept", "text/event-stream")];
        assert_eq!(get(instance.address(), "/ws", &stream).await.status, 403, "{origin}");
    }
    let newest = get(instance.address(), "/ws", &[]).await;
    assert_eq!((newest.status, &newest.json()["type"]), (200, &"system_stats".into()));
    let mut stream = SseClient::connect(instance.address(), "/ws", &[]).await;
    assert_eq!(stream.event().await.event.as_deref(), Some("connected"));
    assert_eq!(stream.event().await.event.as_deref(), Some("system_stats"));
    let mut alerts = WsClient::connect(instance.address(), "/ws/alerts").await;
    assert_eq!(alerts.json().await["type"], "connected");
    alerts.send(r#"{"type":"ping"}"#).await;
    assert_eq!(alerts.data().await["type"], "pong", "no alert of the past is said again");
}

#[tokio::test]
async fn the_live_page_loads_its_parts_and_nothing_from_elsewhere() {
    let instance = default().await;
    let page = get(instance.address(), "/", &[]).await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    let html = page.text();
    let quoted = |attribute: &str| {
        let opening = format!("{attribute}=\"");
        let parts = html.split(opening.as_str()).skip(1).filter_map(|rest| rest.split('"').next());
        parts.map(str::to_owned).collect::<Vec<_>>()
    };
    let parts: Vec<_> = [quoted("src"), quoted("href")].concat();
    let parts: Vec<_> = parts.iter().filter(|part| !part.starts_with(['#']) && !part.starts_with("data:")).collect();
    assert!(parts.len() >= 2, "{html}");
    for part in parts {
        assert!(!part.contains("//"), "{part} is elsewhere");
        let path = format!("/{}", part.trim_start_matches("./").trim_start_matches('/'));
        let asset = get(instance.address(), &path, &[]).await;
        assert_eq!(asset.status, 200, "{path}");
        assert!(!asset.body.is_empty());
        let etag = asset.header("etag").expect("an ETag");
        let again = get(instance.address(), &path, &[("If-None-Match", etag)]).await;
        assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, Some(etag)), "{path}");
    }
    let etag = page.header("etag").expect("an ETag");
    assert_eq!(get(instance.address(), "/", &[("If-None-Match", etag)]).await.status, 304);
    assert_eq!(get(instance.address(), "/", &[("If-None-Match", "\"other\"")]).await.status, 200);
}

#[tokio::test]
async fn check_passes_every_config_of_the_repository() {
    let folder = tempfile::tempdir().expect("a folder");
    let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let mut seen = 0;
    for entry in std::fs::read_dir(configs).expect("a folder").map(|entry| entry.expect("an entry")) {
        let name = entry.file_name().into_string().expect("text");
        if !name.ends_with(".toml") {
            continue;
        }
        std::fs::write(folder.path().join(&name), on_free_ports(&name)).expect("it can be written");
        let output = run(folder.path(), &["check", "--config", &name]);
        let said = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(said.contains(&format!("{name} can be served\n")) && said.contains("/ws"), "{said}");
        assert!(output.stderr.is_empty());
        seen += 1;
    }
    assert!(seen >= 4);
}

/// Every block of TOML in the README is a config that can be served, and those that the text calls whole are.
#[test]
fn what_the_readme_shows_can_be_served() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("a README");
    let blocks: Vec<&str> = readme.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 6, "{}", blocks.len());
    let variable = |name: &str| (name == "JWT_SECRET").then(|| "0123456789abcdef0123456789abcdef".to_owned());
    let surroundings = Surroundings { variable: &variable, cpus: NonZeroUsize::MIN, descriptors: 20_000 };
    for block in blocks {
        if let Err(refused) = config::check("readme.toml".to_owned(), block.to_owned(), &surroundings) {
            panic!("{refused}\n{block}");
        }
    }
}

#[tokio::test]
async fn check_knows_the_instance_that_runs_and_finds_problems_before_it_is_replaced() {
    let instance = Instance::start(SMALL).await;
    let folder = tempfile::tempdir().expect("a folder");
    let config = SMALL.replacen("127.0.0.1:0", &instance.address().to_string(), 1);
    let config = format!("admin.listen = \"{}\"\n{config}", instance.admin());
    std::fs::write(folder.path().join("steadfeed.toml"), &config).expect("it can be written");
    let output = run(folder.path(), &["check"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    assert!(text(&output.stdout).contains("is held by the steadfeed that runs"), "{}", text(&output.stdout));
    let broken = config.replace("[[route]]\npath = \"/hello\"", "[[rout]]\npath = \"/hello\"");
    std::fs::write(folder.path().join("steadfeed.toml"), broken).expect("it can be written");
    for command in ["check", "run"] {
        let output = run(folder.path(), &[command]);
        assert_eq!(output.status.code(), Some(1));
        let said = text(&[output.stdout, output.stderr].concat());
        assert!(said.contains("steadfeed.toml:17:3: `rout` is not a key of the top level; write `route`"), "{said}");
    }
    assert_eq!(get(instance.address(), "/hello", &[]).await.status, 200);
}

#[test]
fn the_config_is_looked_for_where_it_is_said_to_be() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("env.toml"), "nonsense = 1\n").expect("it can be written");
    let output = binary().arg("check").current_dir(&folder).env("STEADFEED_CONFIG", "env.toml").output();
    assert!(text(&output.expect("it runs").stdout).contains("env.toml:1:1: "));
    let output = run(folder.path(), &["check", "--config", "missing.toml"]);
    let said = text(&[output.stdout, output.stderr].concat());
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("missing.toml"), "{said}");
}

#[test]
fn what_is_asked_of_the_command_itself_is_printed() {
    let folder = tempfile::tempdir().expect("a folder");
    let said = |arguments: &[&str]| {
        let Output { status, stdout, stderr } = run(folder.path(), arguments);
        assert!(status.success() && stderr.is_empty(), "{arguments:?}: {}", text(&stderr));
        text(&stdout)
    };
    assert_eq!(said(&["--version"]), format!("steadfeed {}\n", env!("CARGO_PKG_VERSION")));
    for command in ["run", "check", "health", "cert", "watch", "record", "explain", "import", "schema", "completions"] {
        assert!(said(&["--help"]).contains(&format!("\n  {command} ")), "{command}");
        assert!(said(&[command, "--help"]).contains("Examples:"), "{command}");
    }
    let schema: Value = serde_json::from_str(&said(&["schema"])).expect("JSON");
    for key in ["workers", "log", "admin", "drain", "limits", "listener", "feed", "route"] {
        assert!(schema["properties"][key].is_object(), "{key}");
    }
    assert!(schema["$schema"].as_str().is_some_and(|schema| schema.contains("json-schema.org")));
    for shell in ["bash", "zsh", "fish"] {
        assert!(said(&["completions", shell]).contains("steadfeed"), "{shell}");
    }
    let usage = run(folder.path(), &["--nonsense"]);
    assert_eq!(usage.status.code(), Some(2));
    assert_eq!(std::fs::read_dir(&folder).expect("a folder").count(), 0, "nothing was left behind");
}

#[test]
fn cert_makes_what_a_config_can_name() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let output = run(folder.path(), &["cert", "--name", "dash.test", "--name", "10.0.0.5", "--out", "made"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    for (name, mode) in [("ca.pem", 0o644), ("ca.key", 0o600), ("dash.test.pem", 0o644), ("dash.test.key", 0o600)] {
        let metadata = std::fs::metadata(folder.path().join("made").join(name)).expect(name);
        assert_eq!(metadata.permissions().mode() & 0o777, mode, "{name}");
    }
    let said = text(&output.stdout);
    let config = said.split_once("In the config:\n").expect("lines to paste").1;
    let config =
        format!("{}[[route]]\npath = \"/\"\nrespond = {{}}\n", config.replace("127.0.0.1:8443", "127.0.0.1:0"));
    std::fs::write(folder.path().join("steadfeed.toml"), format!("admin.listen = \"off\"\n{config}")).expect("a file");
    assert!(run(folder.path(), &["check"]).status.success());
    let refused = run(folder.path(), &["cert", "--name", "not a name"]);
    assert_eq!(refused.status.code(), Some(1));
}

#[tokio::test]
async fn health_exits_with_0_only_when_all_is_well() {
    let instance = Instance::start(&format!("[drain]\nspread = \"60s\"\ntimeout = \"60s\"\n{SMALL}")).await;
    let folder = Arc::clone(&instance.folder);
    let health = |arguments: &[String]| {
        let arguments: Vec<_> = ["health"].into_iter().chain(arguments.iter().map(String::as_str)).collect();
        let output = run(folder.path(), &arguments);
        assert!(output.stdout.is_empty());
        (output.status.code(), text(&output.stderr))
    };
    let ready = format!("http://{}/readyz", instance.admin());
    let secure = format!("https://localhost:{}/hello", instance.listener(1).port());
    assert_eq!(health(std::slice::from_ref(&ready)), (Some(0), String::new()));
    assert_eq!(health(&[format!("http://{}/hello", instance.address())]).0, Some(0));
    assert_eq!(health(&[secure.clone(), "--insecure".to_owned()]).0, Some(0));
    assert_eq!(health(&[secure]).0, Some(1), "its certificate is nobody's");
    // Without a URL, it is the config's admin listener, wherever that is.
    let config = |name: &str, admin: &str| {
        let (path, rest) = (folder.path().join(name), SMALL);
        std::fs::write(&path, format!("[admin]\nlisten = \"{admin}\"\n{rest}")).expect("written");
        ["--config".to_owned(), path.display().to_string()]
    };
    assert_eq!(health(&config("here.toml", &instance.admin().to_string())), (Some(0), String::new()));
    let (code, said) = health(&config("off.toml", "off"));
    assert!(code == Some(1) && said.contains("is off"), "{said}");
    let (code, said) = health(&[format!("http://{}/nothing", instance.address())]);
    assert!(code == Some(1) && said.contains("404"), "{said}");
    assert_eq!(health(&["nonsense".to_owned()]).0, Some(1));
    let _viewers = [
        RawSocket::connect(instance.address(), "/events", &[]).await,
        RawSocket::connect(instance.address(), "/events", &[]).await,
        RawSocket::connect(instance.address(), "/events", &[]).await,
    ];
    instance.signal(Signal::TERM);
    until("unreadiness", || async { (get(instance.admin(), "/readyz", &[]).await.status == 503).then_some(()) }).await;
    let (code, said) = health(std::slice::from_ref(&ready));
    assert!(code == Some(1) && said.contains("503"), "{said}");
    instance.signal(Signal::TERM);
    instance.ended().await;
    assert_eq!(health(&[ready]).0, Some(1));
}

#[tokio::test]
async fn watch_prints_a_message_a_line_from_every_door() {
    let instance = default().await;
    let (plain, secure) = (instance.address(), instance.listener(1).port());
    for arguments in [
        vec![format!("ws://{plain}/ws")],
        vec![format!("wss://localhost:{secure}/ws"), "--insecure".to_owned()],
        vec![format!("https://localhost:{secure}/ws"), "--insecure".to_owned()],
        vec![format!("http://{plain}/ws")],
    ] {
        let child = binary()
            .args(["watch", "--count", "2", "--raw"])
            .args(&arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        let output = tokio::task::spawn_blocking(|| child.wait_with_output());
        let output = within("two messages", output).await.expect("no panic").expect("it runs");
        let said = text(&output.stdout);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(lines.len(), 2, "{said}");
        assert_eq!((&lines[0]["type"], &lines[1]["type"]), (&"connected".into(), &"system_stats".into()));
    }
}

#[tokio::test]
async fn a_signal_right_after_the_start_up_lines_is_heard() {
    for signal in [Signal::TERM, Signal::INT] {
        let instance = Instance::start(SMALL).await;
        instance.signal(signal);
        assert_eq!(instance.ended().await.0.code(), Some(0), "{signal:?}");
    }
}

#[tokio::test]
async fn a_hangup_changes_nothing_and_is_told() {
    let instance = Instance::start(SMALL).await;
    let mut viewer = WsClient::connect(instance.address(), "/events").await;
    instance.signal(Signal::HUP);
    instance.line("SIGHUP").await;
    assert_eq!(post_json(instance.admin(), "/api/feeds/events", "1").await.status, 200);
    assert_eq!(viewer.data().await["data"], 1);
}

#[tokio::test]
async fn it_goes_on_when_nobody_reads_what_it_prints() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("steadfeed.toml"), format!("admin.listen = \"off\"\n{SMALL}")).expect("a file");
    let mut child = binary()
        .current_dir(&folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().expect("it is piped")));
    let line = lines.find_map(|line| line.ok().filter(|line| line.contains("  listening "))).expect("a listener");
    drop(lines);
    let port = line.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok()).expect("a port");
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    for _ in 0..20 {
        assert_eq!(get(address, "/hello", &[]).await.text(), "hello");
        let bad = [("Sec-WebSocket-Key", "short"), ("Connection", "Upgrade"), ("Upgrade", "websocket")];
        assert_eq!(request(address, "GET", "/events", &bad, "").await.status, 426);
    }
    child.kill().expect("it still runs");
    let errors = text(&child.wait_with_output().expect("it ends").stderr);
    assert!(!errors.contains("panicked"), "{errors}");
    assert!(errors.len() < 1000, "{errors}");
}

#[tokio::test]
async fn its_log_can_be_json() {
    let instance = Instance::start(&format!("[log]\nformat = \"json\"\n{SMALL}")).await;
    assert_eq!(get(instance.address(), "/hello?token=secret", &[]).await.status, 200);
    let line = instance.line("\"/hello\"").await;
    let entry: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!((&entry["status"], &entry["method"], &entry["route"]), (&200.into(), &"GET".into(), &"/hello".into()));
    let mut raw = crate::support::RawHttp::connect(instance.address()).await;
    raw.send(b"nonsense\r\n\r\n").await;
    raw.rest().await;
    drop(raw);
    let warning: Value = serde_json::from_str(&instance.line("connection ended").await).expect("JSON");
    assert_eq!(warning["level"], "WARN");
    assert!(!instance.printed().iter().any(|line| line.contains("secret")), "{:?}", instance.printed());
}
