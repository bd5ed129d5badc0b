//! The commands beside `run` and `check`, and what is asked of the command itself.

use std::process::{Output, Stdio};
use std::sync::Arc;

use rustix::process::Signal;
use serde_json::Value;

use super::{SMALL, default, text};
use crate::support::instance::{binary, run};
use crate::support::raw_ws::RawWs;
use crate::support::{Instance, get, until, within};

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
        RawWs::connect(instance.address(), "/events", &[]).await,
        RawWs::connect(instance.address(), "/events", &[]).await,
        RawWs::connect(instance.address(), "/events", &[]).await,
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
