//! What a real browser makes of it: the live page, and other people's pages.
//!
//! Ignored by default, since they need Debian's chromium; `tests/run` runs them all.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::support::browser::Browser;
use crate::support::{Proxy, RawHttp};

const DEFAULT: &str = include_str!("../../config/default.toml");

/// The default config, on ports of its own.
fn default_config() -> String {
    let text = DEFAULT.replace("127.0.0.1:8080", "127.0.0.1:0").replacen("127.0.0.1:8443", "127.0.0.1:0", 1);
    format!("{text}\n[admin]\nlisten = \"127.0.0.1:0\"\n[log]\naccess = false\n")
}

/// Everything on one plain listener at `address`: the live page of published messages, and alerts over them.
fn published(address: &str) -> String {
    format!(
        r#"
[drain]
spread = "100ms"
[[listener]]
address = "{address}"
[feed.web]
source = {{ publish = {{}} }}
[feed.alerts]
snapshot = "none"
source = {{ alerts = {{ of = "web", rules = [{{ at = "/data/cpu/usage", above = 90, level = "critical" }}] }} }}
[[route]]
path = "/"
page = "web"
[[route]]
path = "/ws"
feed = "web"
[[route]]
path = "/alerts"
feed = "alerts"
"#
    )
}

/// The figures of a card, once they are there.
fn figure(card: &str) -> String {
    format!("document.querySelector('#{card} .value').textContent.match(/^[0-9.]+$/)?.[0]")
}

/// Waits until the live page shows the host's figures, and then others.
async fn lives(browser: &mut Browser) {
    browser.says("status", "Connected").await;
    for card in ["cpu", "memory", "disk", "rx", "tx"] {
        browser.until(&figure(card)).await;
        browser.until(&format!("document.querySelector('#{card} .spark .dot').getAttribute('d')")).await;
    }
    let sampled = browser.eval("document.getElementById('sampled').textContent").await;
    browser.until(&format!("document.getElementById('sampled').textContent !== {sampled}")).await;
    // A line now joins the points of a sparkline.
    browser.until("document.querySelector('#cpu .spark .line').getAttribute('d').includes('L')").await;
}

#[tokio::test]
#[ignore = "needs chromium: run by tests/run"]
async fn the_live_page_shows_moving_figures_over_a_plain_listener() {
    let proxy = Proxy::start_whole(&default_config());
    let mut browser = Browser::start().await;
    browser.open(&format!("http://{}/", proxy.listener(0))).await;
    lives(&mut browser).await;
    browser.says("transport", "WebSocket").await;
    assert_eq!(browser.complaints(), [""; 0]);
}

#[tokio::test]
#[ignore = "needs chromium: run by tests/run"]
async fn the_live_page_shows_moving_figures_over_tls_and_opens_its_socket_over_http_1() {
    let proxy = Proxy::start_whole(&default_config());
    let mut browser = Browser::start().await;
    browser.open(&format!("https://localhost:{}/", proxy.listener(1).port())).await;
    lives(&mut browser).await;
    let document = browser.event("Network.responseReceived", |said| said["type"] == "Document").await;
    assert_eq!(document["response"]["protocol"], "h2");
    let opened = browser.event("Network.webSocketHandshakeResponseReceived", |_| true).await;
    assert_eq!(opened["response"]["status"], 101);
    assert_eq!(browser.complaints(), [""; 0]);
}

#[tokio::test]
#[ignore = "needs chromium: run by tests/run"]
async fn a_browser_opens_its_socket_over_http_2_where_the_listener_offers_it() {
    let tls = "[listener.tls]";
    let proxy = Proxy::start_whole(&default_config().replacen(tls, &format!("websocket_h2 = true\n{tls}"), 1));
    let mut browser = Browser::start().await;
    browser.open(&format!("https://localhost:{}/", proxy.listener(1).port())).await;
    lives(&mut browser).await;
    browser.says("transport", "WebSocket").await;
    let opened = browser.event("Network.webSocketHandshakeResponseReceived", |_| true).await;
    assert_eq!(opened["response"]["status"], 200, "{opened}");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[tokio::test]
#[ignore = "needs chromium: run by tests/run"]
async fn a_browser_negotiates_permessage_deflate_and_gets_its_messages() {
    let proxy = Proxy::start_whole(&default_config());
    let mut browser = Browser::start().await;
    browser.open(&format!("http://{}/", proxy.listener(0))).await;
    let opened = browser.event("Network.webSocketHandshakeResponseReceived", |_| true).await;
    let headers = opened["response"]["headers"].as_object().expect("headers");
    let extensions = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-extensions"));
    let extensions = extensions.expect("an extension").1.as_str().expect("text");
    assert!(extensions.starts_with("permessage-deflate"), "{extensions}");
    let is_stats = |said: &serde_json::Value| {
        said["response"]["payloadData"].as_str().is_some_and(|text| text.contains(r#""type":"system_stats""#))
    };
    browser.event("Network.webSocketFrameReceived", is_stats).await;
    lives(&mut browser).await;
}

#[tokio::test]
#[ignore = "needs chromium: run by tests/run"]
async fn the_page_comes_back_by_itself_when_the_proxy_restarts() {
    let first = Proxy::start(&published("127.0.0.1:0"));
    let address = first.address();
    first.publish("web", r#"{"type":"n","data":{"round":1}}"#).await;
    let mut browser = Browser::start().await;
    browser.open(&format!("http://{address}/")).await;
    browser.says("status", "Connected").await;
    browser.until("document.getElementById('generic').innerText.includes('round\t1')").await;
    first.stages().drain();
    first.join();
    browser.says("status", "Reconnecting").await;
    let second = Proxy::start(&published(&address.to_string()));
    browser.says("status", "Connected").await;
    second.publish("web", r#"{"type":"n","data":{"round":2}}"#).await;
    browser.until("document.getElementById('generic').innerText.includes('round\t2')").await;
}

#[tokio::test]
#[ignore = "needs chromium: run by tests/run"]
async fn without_a_network_the_page_is_disconnected_and_comes_back_with_it() {
    let first = Proxy::start(&published("127.0.0.1:0"));
    let address = first.address();
    let mut browser = Browser::start().await;
    browser.open(&format!("http://{address}/")).await;
    browser.says("status", "Connected").await;
    browser.offline(true).await;
    first.stages().drain();
    first.join();
    browser.says("status", "Disconnected").await;
    browser.until("!document.getElementById('reconnect').hidden").await;
    let _second = Proxy::start(&published(&address.to_string()));
    browser.offline(false).await;
    browser.says("status", "Connected").await;
}

#[tokio::test]
#[ignore = "needs chromium: run by tests/run"]
async fn the_page_streams_where_something_between_lets_no_socket_through() {
    let proxy = Proxy::start_whole(&default_config());
    let between = refuse_upgrades(proxy.listener(0)).await;
    let mut browser = Browser::start().await;
    browser.open(&format!("http://{between}/")).await;
    lives(&mut browser).await;
    browser.says("transport", "SSE").await;
}

#[tokio::test]
#[ignore = "needs chromium: run by tests/run"]
async fn an_alert_appears_is_counted_and_clears() {
    let proxy = Proxy::start(&published("127.0.0.1:0"));
    let mut browser = Browser::start().await;
    browser.open(&format!("http://{}/", proxy.address())).await;
    browser.says("status", "Connected").await;
    browser.says("alerts-state", "").await;
    let stats = |usage: u32| json!({ "type": "system_stats", "data": { "host": "web-1", "cpu": { "usage": usage } } });
    proxy.publish("web", &stats(97).to_string()).await;
    browser.says("active", "1 active alert").await;
    browser.until("document.querySelector('#alerts-list li').innerText.includes('97, above 90')").await;
    browser.until("document.title.startsWith('(1)')").await;
    assert_eq!(browser.eval("document.getElementById('active').dataset.level").await, "critical");
    proxy.publish("web", &stats(40).to_string()).await;
    browser.says("active", "").await;
    browser.until("document.querySelector('#alerts-list li').innerText.includes('back to 40')").await;
    assert_eq!(browser.complaints(), [""; 0]);
}

#[tokio::test]
#[ignore = "needs chromium: run by tests/run"]
async fn the_page_fits_a_desk_and_a_phone_by_day_and_by_night() {
    let proxy = Proxy::start_whole(&default_config());
    let mut browser = Browser::start().await;
    browser.open(&format!("http://{}/", proxy.listener(0))).await;
    lives(&mut browser).await;
    let mut grounds = Vec::new();
    for scheme in ["light", "dark"] {
        browser.scheme(scheme).await;
        for (width, height) in [(1440, 900), (390, 844), (320, 640)] {
            browser.size(width, height).await;
            browser.until(&format!("innerWidth === {width}")).await;
            let wide = browser.eval("document.documentElement.scrollWidth").await;
            assert!(wide.as_u64() <= Some(width.into()), "{scheme}, {width} wide: {wide}");
            let picture = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("page-{scheme}-{width}.png"));
            browser.screenshot(&picture).await;
        }
        grounds.push(browser.eval("getComputedStyle(document.documentElement).backgroundColor").await);
    }
    assert_ne!(grounds[0], grounds[1], "dark is dark");
}

#[tokio::test]
#[ignore = "needs chromium: run by tests/run"]
async fn the_pages_policy_lets_no_foreign_script_in_and_a_complaint_is_heard() {
    let proxy = Proxy::start_whole(&default_config());
    let mut browser = Browser::start().await;
    browser.open(&format!("http://{}/", proxy.listener(0))).await;
    let inject = "const one = document.createElement('script'); one.textContent = 'window.injected = 1'; document.body.append(one)";
    browser.eval(inject).await;
    assert!(browser.eval("window.injected").await.is_null());
    browser.event("Log.entryAdded", |said| said["entry"]["source"] == "security").await;
    assert!(browser.complaints().iter().any(|said| said.contains("Content Security Policy")));
}

/// A dashboard of before: a socket to `/ws`, figures at the top level, 30 points of history, back-off of its own.
const LEGACY: &str = r"<!doctype html><title>Control center</title><p id=state>Disconnected</p><pre id=data></pre><script>
const WS_BASE_URL = 'ws://127.0.0.1:PORT/ws';
const WS_AUTH_URL = 'ws://127.0.0.1:PORT/api/system/ws';
window.systemData = { cpu: { history: [] }, memory: { history: [] }, disk: { history: [] } };
let attempts = 0;
function connect() {
  const token = localStorage.getItem('auth_token');
  const ws = new WebSocket(token ? `${WS_AUTH_URL}?token=${token}` : WS_BASE_URL);
  ws.onopen = () => { attempts = 0; state.textContent = 'Connected'; };
  ws.onmessage = (event) => {
    const message = JSON.parse(event.data);
    if (message.type !== 'system_stats') return;
    const grow = (one, value) => [...one.history.slice(-29), { value }];
    const { cpu, memory, disk } = window.systemData;
    window.systemData = {
      cpu: { usage: message.cpu?.usage || 0, history: grow(cpu, message.cpu?.usage || 0) },
      memory: { percent: message.memory?.percent || 0, history: grow(memory, message.memory?.percent || 0) },
      disk: { percent: message.disk?.percent || 0, history: grow(disk, message.disk?.percent || 0) },
    };
    window.last = message;
  };
  ws.onclose = () => {
    state.textContent = 'Disconnected';
    if (attempts < 10) setTimeout(connect, Math.min(1000 * 2 ** attempts++, 30000));
  };
}
connect();
</script>";

#[tokio::test]
#[ignore = "needs chromium: run by tests/run"]
async fn a_dashboard_written_before_runs_unchanged_from_its_own_origin() {
    let proxy = Proxy::start_whole(&default_config());
    let page = LEGACY.replace("PORT", &proxy.listener(0).port().to_string());
    let own = serve(page).await;
    let mut browser = Browser::start().await;
    browser.open(&format!("http://localhost:{}/", own.port())).await;
    browser.says("state", "Connected").await;
    browser.until("systemData.cpu.history.length >= 2").await;
    let shown = browser.eval("systemData").await;
    for figure in ["/memory/percent", "/disk/percent"] {
        assert!(shown.pointer(figure).and_then(serde_json::Value::as_f64) > Some(0.0), "{figure}: {shown}");
    }
    let last = browser.eval("last").await;
    for member in ["/cpu/usage", "/memory/used_gb", "/memory/total_gb", "/disk/used_gb", "/disk/total_gb"] {
        assert!(last.pointer(member).is_some_and(serde_json::Value::is_number), "{member}: {last}");
    }
    assert!(browser.eval("Date.now() - new Date(last.timestamp) < 60000").await.as_bool().expect("a time"));
}

/// Serves one page to whoever asks.
async fn serve(page: String) -> SocketAddr {
    let listener = TcpListener::bind("localhost:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let page = page.clone();
            tokio::spawn(async move {
                let (mut stream, _) = head(stream).await;
                let length = page.len();
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
                );
                let _ = stream.write_all(format!("{head}{page}").as_bytes()).await;
            });
        }
    });
    address
}

/// A proxy of the old kind before `to`: it knows no upgrade.
async fn refuse_upgrades(to: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut stream, head) = head(stream).await;
                if head.to_ascii_lowercase().contains("\r\nupgrade: websocket") {
                    let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
                    return;
                }
                let mut server = RawHttp::connect(to).await;
                server.send(head.as_bytes()).await;
                let _ = copy_bidirectional(&mut stream, &mut server.stream).await;
            });
        }
    });
    address
}

/// A request head; a browser sends nothing after it before it is answered.
async fn head(mut stream: TcpStream) -> (TcpStream, String) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
            break;
        }
    }
    (stream, String::from_utf8_lossy(&head).into_owned())
}
