//! A real Chromium with one page, told what to do over its DevTools protocol.
//!
//! Owns: the browser's process and profile, which end with it; what the page complained of. Never: a sleep; it asks the
//! page to say when something is so.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine;
use futures_util::{SinkExt, StreamExt};
use rustix::process::{Pid, Signal};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::{until, within};

pub struct Browser {
    devtools: WebSocketStream<MaybeTlsStream<TcpStream>>,
    session: String,
    sent: u64,
    events: Vec<Value>,
    _process: Process,
}

/// Ended and waited for on drop, and then its profile goes.
struct Process {
    child: Child,
    profile: TempDir,
}

impl Drop for Process {
    fn drop(&mut self) {
        // Told to, it ends its own children too; where it does not, it is killed. It may have ended by itself.
        let _ = rustix::process::kill_process(Pid::from_child(&self.child), Signal::TERM);
        for _ in 0..200 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Browser {
    /// An empty page, 1440 by 900.
    pub async fn start() -> Browser {
        let profile = tempfile::tempdir().expect("a folder for the profile");
        let child = Command::new("chromium")
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--disable-quic",
                "--disable-breakpad",
            ])
            .args(["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .args(["--ignore-certificate-errors", "--hide-scrollbars", "--remote-debugging-port=0"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("chromium cannot be run: {error}; tests/run installs it"));
        let process = Process { child, profile };
        let url = until("chromium to listen", || async {
            let said = std::fs::read_to_string(process.profile.path().join("DevToolsActivePort")).ok()?;
            let (port, path) = said.split_once('\n')?;
            Some(format!("ws://127.0.0.1:{port}{path}"))
        })
        .await;
        let (devtools, _) = tokio_tungstenite::connect_async(url).await.expect("chromium takes orders");
        let mut browser = Browser { devtools, session: String::new(), sent: 0, events: Vec::new(), _process: process };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" })).await;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.call("Target.attachToTarget", attach).await;
        session["sessionId"].as_str().expect("a session").clone_into(&mut browser.session);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({})).await;
        }
        browser.size(1440, 900).await;
        browser
    }

    /// Goes to `url` and waits until it is loaded.
    pub async fn open(&mut self, url: &str) {
        self.events.clear();
        let went = self.call("Page.navigate", json!({ "url": url })).await;
        assert_eq!(went["errorText"], Value::Null, "{url}");
        self.event("Page.loadEventFired", |_| true).await;
    }

    /// The value of an expression in the page; of a promise what it comes to.
    pub async fn eval(&mut self, expression: &str) -> Value {
        let asked = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let outcome = self.call("Runtime.evaluate", asked).await;
        assert_eq!(outcome["exceptionDetails"], Value::Null, "{expression}");
        outcome["result"]["value"].clone()
    }

    /// Waits until an expression is truthy in the page; its value then.
    pub async fn until(&mut self, expression: &str) -> Value {
        let waits = format!(
            "new Promise((done, failed) => {{
                const end = Date.now() + 15000;
                const look = () => {{
                    const found = ({expression});
                    if (found) done(found);
                    else if (Date.now() > end) done(null);
                    else setTimeout(look, 10);
                }};
                look();
            }})"
        );
        let found = self.eval(&waits).await;
        if found.is_null() {
            let text = self.eval("document.body.innerText").await;
            panic!(
                "waited in vain for {expression}; {:?}; the page:\n{}",
                self.complaints(),
                text.as_str().unwrap_or("")
            );
        }
        found
    }

    /// Waits until the element of this id says so.
    pub async fn says(&mut self, id: &str, text: &str) {
        self.until(&format!("document.getElementById({id:?}).textContent === {text:?}")).await;
    }

    /// What the console and the browser complained of since [`open`](Browser::open): errors, exceptions, policy.
    pub fn complaints(&self) -> Vec<String> {
        let complaint = |event: &Value| {
            let said = &event["params"];
            match event["method"].as_str()? {
                "Runtime.exceptionThrown" => Some(said["exceptionDetails"].to_string()),
                "Runtime.consoleAPICalled" if said["type"] == "error" || said["type"] == "warning" => {
                    Some(said["args"].to_string())
                }
                "Log.entryAdded" if said["entry"]["level"] == "error" => Some(said["entry"].to_string()),
                _ => None,
            }
        };
        self.events.iter().filter_map(complaint).collect()
    }

    /// The parameters of the first event that fits, past or to come.
    pub async fn event(&mut self, method: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let wanted = |event: &Value| event["method"] == method && fits(&event["params"]);
        if let Some(event) = self.events.iter().find(|event| wanted(event)) {
            return event["params"].clone();
        }
        loop {
            let event = within(method, self.next()).await;
            let found = wanted(&event).then(|| event["params"].clone());
            self.events.push(event);
            if let Some(found) = found {
                return found;
            }
        }
    }

    pub async fn offline(&mut self, offline: bool) {
        let network = json!({ "offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1 });
        self.call("Network.emulateNetworkConditions", network).await;
    }

    pub async fn size(&mut self, width: u32, height: u32) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    pub async fn scheme(&mut self, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.call("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    /// What is in view, as PNG.
    pub async fn screenshot(&mut self, file: &Path) {
        let shot = self.call("Page.captureScreenshot", json!({})).await;
        let png = base64::engine::general_purpose::STANDARD.decode(shot["data"].as_str().expect("a picture"));
        std::fs::write(file, png.expect("base64")).expect("written");
    }

    /// One command; what it gives. Events that come meanwhile are kept.
    pub async fn call(&mut self, method: &str, params: Value) -> Value {
        self.sent += 1;
        let mut command = json!({ "id": self.sent, "method": method, "params": params });
        if !self.session.is_empty() {
            command["sessionId"] = self.session.clone().into();
        }
        self.devtools.send(Message::text(command.to_string())).await.expect("the browser is there");
        loop {
            let said = within(method, self.next()).await;
            if said["id"] == self.sent {
                assert_eq!(said["error"], Value::Null, "{method}");
                return said["result"].clone();
            }
            if said["method"].is_string() {
                self.events.push(said);
            }
        }
    }

    async fn next(&mut self) -> Value {
        loop {
            match self.devtools.next().await {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).expect("JSON"),
                Some(Ok(_)) => {}
                gone => panic!("the browser is gone: {gone:?}"),
            }
        }
    }
}
