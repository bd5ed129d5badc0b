//! The two field reports, as they would go with steadfeed in front: their backends under uvicorn, faults and all, killed
//! and started anew; their browser hooks in Chromium, and other people's clients.
//!
//! Ignored by default, since they need what `tests/run` installs.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::browser::Browser;
use crate::support::config::PLAIN;
use crate::support::instance::{Instance, binary};
use crate::support::legacy::{Client, Legacy, in_2_s};
use crate::support::{Proxy, WsClient, get, post_json, until};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const DASHBOARD: &str = "/api/v1/dispatches/ws/dashboard";
const ALERTS: &str = "/api/v1/dispatches/ws/alerts";
const SECRET: &str = "a secret of the tests, of more than 32 bytes";

/// A config of the repository, edited, in front of `app`, told where things are by the variables it has for that.
async fn front(name: &str, edit: impl Fn(&str) -> String, app: &Legacy, secret: &str) -> Instance {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    let text = std::fs::read_to_string(Path::new(ROOT).join("config").join(name)).expect(name);
    std::fs::write(folder.path().join(name), edit(&text)).expect("it can be written");
    let mut command = binary();
    command
        .args(["run", "--config", name])
        .envs([("HTTP", "127.0.0.1:0"), ("HTTPS", "127.0.0.1:0"), ("ADMIN", "127.0.0.1:0"), ("JWT_SECRET", secret)])
        .env("APP", app.address().to_string())
        .env("SITE", Path::new(ROOT).join("tests/legacy/hooks"))
        .current_dir(folder.path());
    Instance::spawn(folder, &mut command).await
}

/// The dispatch board: quick figures, and the app's own long keepalive.
async fn uvis() -> (Legacy, Instance) {
    let app = Legacy::start("uvis", &[("UVIS_STATS", "0.3")]).await;
    let steadfeed = front("uvis.toml", str::to_owned, &app, "").await;
    (app, steadfeed)
}

/// The control centre, its fallback taking over after a second.
async fn ziggie() -> (Legacy, Instance) {
    let app = Legacy::start("ziggie", &[("ZIGGIE_EVERY", "0.3"), ("JWT_SECRET", SECRET)]).await;
    let quick = |text: &str| {
        let edited =
            text.replace("after = \"10s\"", "after = \"1s\"").replace("stats = {}", "stats = { every = \"300ms\" }");
        assert_ne!(edited, text);
        edited
    };
    let steadfeed = front("ziggie.toml", quick, &app, SECRET).await;
    (app, steadfeed)
}

/// The state of a hook's page: nothing closed, and every state it was ever set to was of figures.
async fn assert_undisturbed(page: &mut Browser, figure: &str) {
    let seen = page.eval("window.seen").await;
    assert_eq!((&seen["opens"], &seen["errors"], &seen["closes"]), (&json!(1), &json!(0), &json!([])));
    let states = seen["states"].as_array().expect("states");
    assert!(!states.is_empty());
    for state in states {
        assert!(!state.pointer(figure).unwrap_or(&Value::Null).is_null() && state["loading"] != true, "{state}");
    }
}

/// Opens the dispatch board with one form of its hook on a host; goes through a restart of its app.
async fn board_over_a_restart(form: &str, host: &str) -> (Vec<Value>, Legacy, Instance) {
    let (mut app, steadfeed) = uvis().await;
    let mut page = Browser::start().await;
    let port = steadfeed.address().port();
    page.open(&format!("http://{host}:{port}/uvis.html?form={form}&path={DASHBOARD}")).await;
    page.says("vehicles", "46").await;
    app.tell("/debug/pending", r#"{"pending":9}"#).await;
    page.says("pending", "9").await;
    app.kill();
    // The app has forgotten the figure, by which the new one's are told.
    let back = app.again().await;
    in_2_s("figures of the app that is back", back, page.says("pending", "3")).await;
    assert_undisturbed(&mut page, "/available_vehicles").await;
    assert_eq!((app.sockets("open", "dashboard").await, app.sockets("opened", "dashboard").await), (1, 1));
    let messages = page.eval("window.seen.messages").await;
    assert_eq!(page.complaints(), [""; 0]);
    (messages.as_array().expect("messages").clone(), app, steadfeed)
}

/// What the keepalives among `messages` said of the upstream, in order.
fn notices(messages: &[Value]) -> Vec<&str> {
    let keepalives = messages.iter().filter(|message| message["type"] == "keepalive");
    keepalives.filter_map(|message| message["upstream"].as_str()).collect()
}

#[tokio::test]
#[ignore = "needs chromium and uvicorn: run by tests/run"]
async fn the_boards_fixed_hook_sees_a_restart_as_stale_then_live() {
    let (messages, _app, _steadfeed) = board_over_a_restart("fixed", "127.0.0.1").await;
    assert_eq!(messages[0]["type"], "connected");
    assert_eq!(notices(&messages), ["stale", "live"]);
    for message in &messages {
        let type_ = message["type"].as_str().expect("a type");
        assert!(["connected", "keepalive", "dashboard_stats"].contains(&type_), "{message}");
        assert_eq!(message["data"].is_null(), type_ != "dashboard_stats", "{message}");
        assert!(message["timestamp"].as_str().is_some_and(|time| time.len() == 24 && time.ends_with('Z')), "{message}");
    }
}

#[tokio::test]
#[ignore = "needs chromium and uvicorn: run by tests/run"]
async fn the_boards_old_hook_is_told_figures_and_nothing_else() {
    let (messages, _app, _steadfeed) = board_over_a_restart("old", "old.localhost").await;
    for message in &messages {
        assert_eq!(message["type"], "dashboard_stats", "{message}");
        assert_eq!(message["data"]["available_vehicles"], 46);
    }
}

#[tokio::test]
#[ignore = "needs uvicorn: run by tests/run"]
async fn a_page_gets_the_last_figures_at_once_and_never_the_placeholder() {
    // So slow that nothing is there at once but what steadfeed keeps.
    let app = Legacy::start("uvis", &[("UVIS_STATS", "600"), ("UVIS_SLOW", "0.5")]).await;
    let steadfeed = front("uvis.toml", str::to_owned, &app, "").await;
    let mut early = WsClient::connect(steadfeed.address(), DASHBOARD).await;
    assert_eq!(early.json().await["type"], "connected");
    assert_eq!(early.data().await["data"]["loading"], false);
    for _ in 0..3 {
        let mut late = WsClient::connect(steadfeed.address(), DASHBOARD).await;
        assert_eq!(late.json().await["type"], "connected");
        let first = late.json().await;
        assert_eq!((&first["type"], &first["data"]["loading"]), (&json!("dashboard_stats"), &json!(false)));
    }
    // The rest of the app, and the front end's files, are there too.
    let health = get(steadfeed.address(), "/api/v1/health", &[]).await;
    assert_eq!((health.status, health.json()["service"].clone()), (200, json!("uvis-backend")));
    let page = get(steadfeed.address(), "/uvis.html", &[]).await;
    assert_eq!(page.status, 200);
}

/// Reads on until each viewer has been told of so many pending orders.
async fn all_see(viewers: &mut [WsClient], pending: u64) {
    for viewer in viewers {
        while viewer.data().await["data"]["pending_orders"] != pending {}
    }
}

#[tokio::test]
#[ignore = "needs uvicorn: run by tests/run"]
async fn twenty_viewers_cost_the_app_one_socket_and_one_more_after_its_restart() {
    let (mut app, steadfeed) = uvis().await;
    let mut viewers = Vec::new();
    for _ in 0..20 {
        viewers.push(WsClient::connect(steadfeed.address(), DASHBOARD).await);
    }
    for viewer in &mut viewers {
        viewer.data().await;
    }
    assert_eq!((app.sockets("open", "dashboard").await, app.sockets("opened", "dashboard").await), (1, 1));
    app.tell("/debug/pending", r#"{"pending":9}"#).await;
    all_see(&mut viewers, 9).await;
    app.kill();
    let back = app.again().await;
    in_2_s("fresh figures for all", back, all_see(&mut viewers, 3)).await;
    assert_eq!((app.sockets("open", "dashboard").await, app.sockets("opened", "dashboard").await), (1, 1));
}

#[tokio::test]
#[ignore = "needs chromium and uvicorn: run by tests/run"]
async fn alerts_reach_the_boards_hook_and_nothing_else_does() {
    let (mut app, steadfeed) = uvis().await;
    let mut page = Browser::start().await;
    let url = format!("http://127.0.0.1:{}/uvis.html?form=fixed&path={ALERTS}", steadfeed.address().port());
    page.open(&url).await;
    page.says("socket", "open").await;
    for turn in 0..2 {
        until("the app's socket", || async { (app.sockets("open", "alerts").await == 1).then_some(()) }).await;
        app.tell("/debug/alerts", &json!({ "message": format!("alert {turn}") }).to_string()).await;
        page.until(&format!("window.seen.states.some((state) => state?.message === 'alert {turn}')")).await;
        app.kill();
        app.again().await;
    }
    // In silence there are keepalives, with `data`.
    page.until("window.seen.messages.some((said) => said.type === 'keepalive' && !('upstream' in said))").await;
    let messages = page.eval("window.seen.messages").await;
    for message in messages.as_array().expect("messages") {
        let type_ = message["type"].as_str().expect("a type");
        assert!(["connected", "keepalive", "alert"].contains(&type_), "{message}");
        assert!(message.get("data").is_some_and(|data| data.is_null() == (type_ != "alert")), "{message}");
    }
    let states = page.eval("window.seen.states").await;
    let said: Vec<_> = states.as_array().expect("states").iter().map(|state| state["message"].clone()).collect();
    assert_eq!(said, ["alert 0", "alert 1"], "each once, and nothing else");
    assert_eq!(page.eval("window.seen.closes").await, json!([]));
}

#[tokio::test]
#[ignore = "needs uvicorn and node: run by tests/run"]
async fn other_peoples_clients_stay_over_a_restart() {
    let (mut app, steadfeed) = uvis().await;
    let url = format!("ws://{}{DASHBOARD}", steadfeed.address());
    let clients = [Client::python(&url), Client::node(&url)];
    let pending = |number: u64| move |message: &Value| message["data"]["pending_orders"] == number;
    for client in &clients {
        client.message("the first figures", pending(3)).await;
    }
    app.tell("/debug/pending", r#"{"pending":9}"#).await;
    for client in &clients {
        client.message("other figures", pending(9)).await;
    }
    app.kill();
    for client in &clients {
        client.message("the notice", |message| message["upstream"] == "stale").await;
    }
    let back = app.again().await;
    let fresh = async {
        for client in &clients {
            client.message("the notice", |message| message["upstream"] == "live").await;
            until("fresh figures", || async { client.messages().last().is_some_and(pending(3)).then_some(()) }).await;
        }
    };
    in_2_s("fresh figures", back, fresh).await;
    for client in clients {
        assert_eq!(notices(&client.messages()), ["stale", "live"]);
        client.leave().await;
    }
}

/// The control centre's front end as it is developed: pages of another origin.
fn front_end() -> Proxy {
    let hooks = Path::new(ROOT).join("tests/legacy/hooks");
    Proxy::start(&format!("{PLAIN}[[route]]\npath = \"/*\"\nfiles = \"{}\"\n", hooks.display()))
}

#[tokio::test]
#[ignore = "needs chromium and uvicorn: run by tests/run"]
async fn the_control_centre_goes_on_with_own_figures_while_its_app_is_gone_and_steps_back() {
    let (mut app, steadfeed) = ziggie().await;
    let pages = front_end();
    let mut page = Browser::start().await;
    let url = format!("http://localhost:{}/ziggie.html?at={}", pages.address().port(), steadfeed.address());
    page.open(&url).await;
    page.says("status", "Connected").await;
    page.until("Number(document.getElementById('points').textContent) >= 3").await;
    // The app's figures name no host; our own do.
    let own = "window.seen.messages.findLast((said) => said.type === 'system_stats').host !== undefined";
    assert_eq!(page.eval(own).await, json!(false));
    app.kill();
    page.until(own).await;
    let points = page.eval("window.seen.states.length").await;
    page.until(&format!("window.seen.states.length >= {points} + 2")).await;
    let back = app.again().await;
    in_2_s("the app's figures", back, page.until(&format!("!({own})"))).await;
    let points = page.eval("window.seen.states.length").await;
    page.until(&format!("window.seen.states.length >= {points} + 3")).await;
    let messages = page.eval("window.seen.messages").await;
    let messages = messages.as_array().expect("messages");
    let figures: Vec<_> = messages.iter().filter(|message| message["type"] == "system_stats").collect();
    let hosts: Vec<bool> = figures.iter().map(|message| message["host"].is_string()).collect();
    let changes = hosts.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert_eq!((hosts[0], changes, hosts[hosts.len() - 1]), (false, 2, false), "to its own figures and back, once");
    for figure in figures {
        assert_eq!(figure["cpu"]["usage"], figure["data"]["cpu"]["usage"], "mirrored");
    }
    assert_eq!(notices(messages), ["stale", "fallback", "live"]);
    assert_undisturbed(&mut page, "/cpu/usage").await;
    assert_eq!(page.eval("window.seen.states.some((state) => state.cpu.usage === 'missing')").await, json!(false));
    page.until("document.getElementById('points').textContent === '30'").await;
    assert_eq!(page.complaints(), [""; 0]);
}

#[tokio::test]
#[ignore = "needs chromium and uvicorn: run by tests/run"]
async fn a_token_opens_the_control_centres_other_endpoint() {
    let (app, steadfeed) = ziggie().await;
    let login = post_json(steadfeed.address(), "/api/auth/login", "{}").await;
    assert_eq!(login.status, 200, "the app's own paths are forwarded");
    let token = login.json()["token"].as_str().expect("a token").to_owned();
    let pages = front_end();
    let mut page = Browser::start().await;
    let url = format!("http://localhost:{}/ziggie.html?at={}", pages.address().port(), steadfeed.address());
    page.open(&format!("http://localhost:{}/state.js", pages.address().port())).await;
    page.eval(&format!("localStorage.setItem('auth_token', '{token}')")).await;
    page.open(&url).await;
    page.says("status", "Connected").await;
    page.until("Number(document.getElementById('points').textContent) >= 2").await;
    let dialled = page.eval("window.seen.dialled[0]").await;
    assert_eq!(dialled, format!("ws://{}/api/system/ws?token={token}", steadfeed.address()));
    assert_undisturbed(&mut page, "/cpu/usage").await;
    assert_eq!((app.sockets("open", "public").await, app.sockets("opened", "private").await), (1, 0), "one for all");
    for bad in ["/api/system/ws", "/api/system/ws?token=nonsense", &format!("/api/system/ws?token={token}x")] {
        assert_eq!(WsClient::refused(steadfeed.address(), bad, &[]).await.0, 401, "{bad}");
    }
    assert!(!steadfeed.printed().iter().any(|line| line.contains(&token)), "a token is not logged");
}

#[tokio::test]
#[ignore = "needs uvicorn: run by tests/run"]
async fn without_its_secret_the_control_centre_lets_nobody_in_and_says_why() {
    let app = Legacy::start("ziggie", &[("ZIGGIE_EVERY", "0.3")]).await;
    let steadfeed = front("ziggie.toml", str::to_owned, &app, "").await;
    let (status, problem) = WsClient::refused(steadfeed.address(), "/api/system/ws?token=x", &[]).await;
    assert_eq!(status, 503, "{problem}");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("JWT_SECRET")), "{problem}");
    WsClient::connect(steadfeed.address(), "/ws").await.data().await;
}
