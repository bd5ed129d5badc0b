//! `record` and `explain`, run as a user runs them: what a source says is kept, and then told under a feed's rules.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};

use futures_util::{SinkExt, StreamExt};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async};

use crate::support::instance::{binary, run};
use crate::support::{Backend, within};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A feed with one rule of each kind.
const CONFIG: &str = r#"
[admin]
listen = "off"
[[listener]]
address = "127.0.0.1:0"
[feed.board]
source = { publish = {} }
type = "figures"
skip = [{ at = "/loading", equals = true }]
[[route]]
path = "/board"
feed = "board"
"#;

/// `steadfeed record` with these arguments, its stdout and stderr piped.
fn record(arguments: &[&str]) -> Child {
    let mut command = binary();
    command.arg("record").args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("the binary runs")
}

async fn output(child: Child) -> Output {
    let output = tokio::task::spawn_blocking(|| child.wait_with_output());
    within("the command to end", output).await.expect("no panic").expect("it runs")
}

/// `steadfeed explain` with these arguments, in `folder`.
async fn explain(folder: &Path, arguments: &[&str], recording: &[u8]) -> Output {
    let mut command = binary();
    command.arg("explain").args(arguments).current_dir(folder);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let recording = recording.to_vec();
    // It may end without having read all of it.
    let fed = std::thread::spawn(move || drop(stdin.write_all(&recording)));
    let output = output(child).await;
    fed.join().expect("no panic");
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

fn lines(bytes: &[u8]) -> Vec<Value> {
    text(bytes)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("ws://{}/ws", listener.local_addr().expect("an address"));
    (listener, url)
}

async fn accept(listener: &TcpListener) -> WebSocketStream<TcpStream> {
    let (stream, _) = within("a connection", listener.accept()).await.expect("a connection");
    within("a handshake", accept_async(stream)).await.expect("a handshake")
}

#[tokio::test]
async fn what_a_source_says_is_recorded_exactly_over_a_restart_and_then_explained() {
    let (listener, url) = listen().await;
    let child = record(&[&url, "--count", "4"]);
    let odd = "{\"pending\": 1.50,\n\t\"note\":\"\\u00e9 é \u{2028}\u{1f600}\"}\r\n";
    let mut first = accept(&listener).await;
    first.send(r#"{"loading":true}"#.into()).await.expect("sent");
    first.send(odd.into()).await.expect("sent");
    // A restart: the socket is gone without a word.
    drop(first);
    let mut second = accept(&listener).await;
    second.send(Message::Binary(vec![0, 255].into())).await.expect("sent");
    second.send("".into()).await.expect("sent");
    let recorded = output(child).await;
    assert_eq!(recorded.status.code(), Some(0), "{}", text(&recorded.stderr));
    assert!(matches!(second.next().await, Some(Ok(Message::Close(_)))), "it says goodbye");

    let said = lines(&recorded.stdout);
    let bodies: Vec<_> = said.iter().map(|line| (line["text"].clone(), line["binary"].clone())).collect();
    let texts = [json!(r#"{"loading":true}"#), json!(odd), Value::Null, json!("")];
    let binaries = [Value::Null, Value::Null, json!("AP8="), Value::Null];
    assert_eq!(bodies, texts.into_iter().zip(binaries).collect::<Vec<_>>());
    let times: Vec<&str> = said.iter().map(|line| line["time"].as_str().expect("a time")).collect();
    assert!(times.is_sorted() && times.iter().all(|time| time.len() == 24 && time.ends_with('Z')), "{times:?}");
    let complaints = text(&recorded.stderr);
    assert!(complaints.contains("; reconnecting in ") && complaints.contains("connected again"), "{complaints}");

    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a.toml"), CONFIG).expect("a file");
    let explained = explain(folder.path(), &["--feed", "board", "--config", "a.toml"], &recorded.stdout).await;
    assert_eq!((explained.status.code(), text(&explained.stderr)), (Some(0), String::new()));
    let outcomes: Vec<_> =
        lines(&explained.stdout).iter().map(|line| format!("{} by {}", line["outcome"], line["by"])).collect();
    assert_eq!(
        outcomes,
        [
            r#""dropped" by "skip[0] by what stands at its pointer""#,
            r#""sent" by "rule 3: an object without type; data is all of it""#,
            r#""sent" by "rule 4: binary, as it came""#,
            r#""sent" by "rule 4: text that is no JSON""#,
        ]
    );
}

#[tokio::test]
async fn a_signal_ends_a_recording_with_0_and_each_line_is_there_by_then() {
    for signal in [Signal::INT, Signal::TERM] {
        let (listener, url) = listen().await;
        let mut child = record(&[&url]);
        let mut socket = accept(&listener).await;
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        for number in 0..3 {
            socket.send(number.to_string().into()).await.expect("sent");
            let (line, back) = within(
                "a line",
                tokio::task::spawn_blocking(move || {
                    let mut line = String::new();
                    stdout.read_line(&mut line).expect("readable");
                    (line, stdout)
                }),
            )
            .await
            .expect("no panic");
            stdout = back;
            let line: Value = serde_json::from_str(&line).expect("JSON");
            assert_eq!(line["text"], number.to_string(), "a line is there before the next message is said");
        }
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, signal).expect("it runs");
        assert_eq!(output(child).await.status.code(), Some(0), "{signal:?}");
    }
}

#[tokio::test]
async fn an_event_streams_data_are_recorded_with_the_token_shown() {
    let backend = Backend::bind().await;
    let url = format!("{}/events", backend.server());
    let child = record(&[&url, "--count", "1", "--token", "secret"]);
    let (head, mut raw) = backend.request().await;
    assert!(head.to_ascii_lowercase().contains("\r\nauthorization: bearer secret\r\n"), "{head}");
    raw.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nevent: x\ndata: {\ndata: }\n\n").await;
    let recorded = output(child).await;
    assert_eq!(recorded.status.code(), Some(0));
    assert_eq!(lines(&recorded.stdout)[0]["text"], "{\n}");
    assert!(!text(&recorded.stderr).contains("secret"));
}

#[tokio::test]
async fn a_refusal_before_the_first_message_ends_a_recording_with_1() {
    let backend = Backend::bind().await;
    let url = format!("ws://{}/ws", backend.address());
    let child = record(&[&url]);
    let (_, mut raw) = backend.request().await;
    raw.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").await;
    let refused = output(child).await;
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(1), 0));
    assert!(text(&refused.stderr).contains("403 Forbidden"), "{}", text(&refused.stderr));
}

#[tokio::test]
async fn explain_names_what_it_cannot_use() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("steadfeed.toml"), CONFIG).expect("a file");
    let recording = b"{\"time\":\"2026-01-31T12:00:00Z\",\"text\":\"1\"}\nnonsense\n";
    let explained = explain(folder.path(), &["--feed", "board"], recording).await;
    assert_eq!((explained.status.code(), lines(&explained.stdout).len()), (Some(1), 1));
    assert!(text(&explained.stderr).starts_with("steadfeed: line 2: "), "{}", text(&explained.stderr));

    let unknown = explain(folder.path(), &["--feed", "bord"], b"").await;
    assert_eq!(unknown.status.code(), Some(1));
    assert_eq!(text(&unknown.stderr), "steadfeed: `bord` is no feed of steadfeed.toml; write `board`\n");

    std::fs::write(folder.path().join("bad.toml"), CONFIG.replace("skip =", "skp =")).expect("a file");
    let bad = run(folder.path(), &["--config", "bad.toml", "explain", "--feed", "board"]);
    assert_eq!((bad.status.code(), bad.stdout.len()), (Some(1), 0));
    assert!(text(&bad.stderr).contains("`skp` is not a key"), "{}", text(&bad.stderr));
}

/// What is told of the recordings of the two field reports, under the configs that answer them: as it was when a person
/// last read it. `UPDATE=1` writes it anew.
#[tokio::test]
async fn the_field_reports_recordings_are_explained_as_they_were() {
    let folder = PathBuf::from(ROOT).join("tests/fixtures/recordings");
    for (config, feed) in [("uvis", "dashboard"), ("uvis", "alerts"), ("ziggie", "system")] {
        let name = format!("{config}-{feed}");
        let recording = std::fs::read(folder.join(format!("{name}.jsonl"))).expect(&name);
        let path = format!("config/{config}.toml");
        let told = explain(Path::new(ROOT), &["--feed", feed, "--config", &path], &recording).await;
        assert_eq!((told.status.code(), text(&told.stderr)), (Some(0), String::new()), "{name}");
        let expected = folder.join(format!("{name}.out"));
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&expected, &told.stdout).expect("it can be written");
        }
        assert_eq!(text(&told.stdout), std::fs::read_to_string(&expected).expect(&name), "{name}");
    }
}
