//! The parts of another config: who is let in by it, where it is listened, who may ask for it, and what refuses it whole.

use std::net::SocketAddr;
use std::sync::Arc;

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::support::proxy::BASE;
use crate::support::{Identity, Instance, KeepAlive, Proxy, RawHttp, WsClient, get, post_json, request, until};

const LISTENER: &str = "[[listener]]\naddress = \"127.0.0.1:0\"\n";
const FEED: &str = "[feed.f]\nsource = { publish = {} }\n[[route]]\npath = \"/f\"\nfeed = \"f\"\n";
const AT_ONCE: &str = "[drain]\nspread = \"0s\"\n";

fn says(path: &str, body: &str) -> String {
    format!("[[route]]\npath = \"{path}\"\nrespond = {{ body = \"{body}\" }}\n")
}

/// A token that the secret finds good.
fn token(secret: &str) -> String {
    let claims = json!({ "sub": "ann", "exp": jiff::Timestamp::now().as_second() + 600 });
    let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).expect("a token")
}

async fn check_restarted(socket: &mut WsClient) {
    assert_eq!(socket.closed().await.map(|close| u16::from(close.code)), Some(1012));
}

/// The address of what was added as `listener ADDRESS`.
fn added_listener(answer: &Value) -> SocketAddr {
    let added = answer["added"].as_array().into_iter().flatten().filter_map(Value::as_str);
    added.filter_map(|name| name.strip_prefix("listener ")).next().expect("a listener").parse().expect("an address")
}

#[tokio::test]
async fn a_bad_config_changes_nothing_and_all_that_is_wrong_with_it_is_told() {
    let proxy = Proxy::start(&format!("{LISTENER}{FEED}{}", says("/old", "old")));
    let mut viewer = WsClient::connect(proxy.address(), "/f").await;
    let before = get(proxy.admin(), "/api/config", &[]).await.text();
    let reply =
        proxy.reload(&format!("{LISTENER}hisstory = 3\n{}[drain]\nspread = \"soon\"\n", says("/new", "new"))).await;
    assert_eq!((reply.status, reply.header("content-type")), (422, Some("application/problem+json")));
    let problem = reply.json();
    assert_eq!(
        (&problem["status"], &problem["detail"]),
        (&json!(422), &json!("nothing has changed: the new config has 2 problems"))
    );
    let problems = problem["problems"].as_array().expect("problems");
    assert_eq!(problems[0]["place"], "test.toml:8:1", "{problem}");
    assert!(problems[0]["what"].as_str().is_some_and(|what| what.contains("hisstory")), "{problem}");
    assert!(problems[1]["what"].as_str().is_some_and(|what| what.contains("soon")), "{problem}");
    assert!(problems.iter().all(|problem| problem["instead"].is_string()), "{problem}");
    assert_eq!(get(proxy.admin(), "/api/config", &[]).await.text(), before);
    assert_eq!(get(proxy.address(), "/old", &[]).await.text(), "old");
    proxy.publish("f", "1").await;
    assert_eq!(viewer.data().await["data"], 1);
    assert_eq!(proxy.metric("steadfeed_config_reloads_total{result=\"refused\"}").await, 1.0);
    proxy.turn_to(&format!("{LISTENER}{FEED}{}", says("/new", "new"))).await;
    let after = get(proxy.admin(), "/api/config", &[]).await.text();
    assert!(after.contains("/new") && !after.contains("/old"), "{after}");
    assert_eq!(get(proxy.address(), "/new", &[]).await.text(), "new");
    assert_eq!(get(proxy.address(), "/old", &[]).await.status, 404);
}

#[tokio::test]
async fn a_certificate_or_key_that_cannot_be_had_refuses_the_whole() {
    let proxy = Proxy::start(&format!("{LISTENER}{FEED}"));
    let tls =
        format!("{LISTENER}[listener.tls]\ncertificates = [{{ cert = \"/nowhere.pem\", key = \"/nowhere.key\" }}]\n");
    let auth = "[auth.a]\npublic_key_file = \"/nowhere.pub\"\n[[route]]\npath = \"/a\"\nfeed = \"f\"\nauth = \"a\"\n";
    let reply = proxy.reload(&format!("{tls}{FEED}{auth}")).await;
    assert_eq!(reply.status, 422);
    let problems = reply.json()["problems"].as_array().expect("problems").clone();
    let all: Vec<&str> = problems.iter().filter_map(|problem| problem["what"].as_str()).collect();
    assert!(all.iter().any(|what| what.contains("/nowhere.pem")), "{all:?}");
    assert!(all.iter().any(|what| what.contains("/nowhere.pub")), "{all:?}");
    assert_eq!(get(proxy.address(), "/f", &[]).await.status, 204);
}

#[tokio::test]
async fn listeners_come_and_go_and_what_came_by_one_that_went_stays() {
    let identity = Identity::new();
    let proxy = Proxy::start(&format!("{LISTENER}{FEED}"));
    let old = proxy.address();
    let mut viewer = WsClient::connect(old, "/f").await;
    let answer = proxy.turn_to(&format!("{LISTENER}{}{FEED}", identity.listener(""))).await;
    let new = added_listener(&answer);
    let mut secure = WsClient::connect_tls(new, "/f").await;
    let plain = WsClient::connect(old, "/f").await;
    drop(plain);
    // The first address is named no more; the other, by its own number, is another entry.
    let fixed = identity.listener("").replace("127.0.0.1:0", "127.0.0.2:0");
    let answer = proxy.turn_to(&format!("{fixed}{FEED}")).await;
    assert_eq!(answer["removed"], json!([format!("listener {old}"), format!("listener {new}")]));
    let newest = added_listener(&answer);
    for gone in [old, new] {
        assert!(TcpStream::connect(gone).await.is_err(), "{gone} is closed");
    }
    proxy.publish("f", "1").await;
    assert_eq!(viewer.data().await["data"], 1);
    assert_eq!(secure.data().await["data"], 1);
    assert_eq!(WsClient::connect_tls(newest, "/f").await.data().await["data"], 1);
}

#[tokio::test]
async fn a_port_that_is_taken_refuses_the_whole() {
    let proxy = Proxy::start(&format!("{LISTENER}{}", says("/old", "old")));
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = taken.local_addr().expect("an address");
    let app = "[upstream.app]\nservers = [\"http://127.0.0.1:9\"]\n[[route]]\npath = \"/app\"\nproxy = \"app\"\n";
    let config =
        format!("{LISTENER}{LISTENER}[[listener]]\naddress = \"{address}\"\n{app}{FEED}{}", says("/new", "new"));
    let reply = proxy.reload(&config).await;
    assert_eq!(reply.status, 422);
    let problem = &reply.json()["problems"][0];
    assert_eq!(problem["what"], format!("{address} is in use"), "{problem}");
    assert_eq!(get(proxy.address(), "/new", &[]).await.status, 404);
    assert_eq!(get(proxy.address(), "/old", &[]).await.text(), "old");
    let metrics = get(proxy.admin(), "/metrics", &[]).await.text();
    assert!(!metrics.contains("upstream=\"app\"") && !metrics.contains("feed=\"f\""), "{metrics}");
    drop(taken);
    assert_eq!(proxy.reload(&config).await.status, 200);
    assert_eq!(get(address, "/new", &[]).await.text(), "new");
    // Every address in place of one of them cannot be had while that one is.
    let wider = format!("[[listener]]\naddress = \"0.0.0.0:{}\"\n{}", address.port(), says("/new", "new"));
    let problem = proxy.reload(&wider).await.json()["problems"][0].clone();
    assert!(problem["what"].as_str().is_some_and(|what| what.contains(&format!("while {address} is"))), "{problem}");
}

#[tokio::test]
async fn a_listener_that_stays_is_served_as_the_new_config_says() {
    let identity = Identity::new();
    let proxy = Proxy::start(&format!("{LISTENER}{}", says("/a", "a")));
    let mut kept = KeepAlive::connect(proxy.address()).await;
    assert_eq!(kept.get("/a").await.text(), "a");
    proxy.turn_to(&format!("{}{}", identity.listener(""), says("/a", "b"))).await;
    assert_eq!(get(proxy.address(), "/a", &[]).await.status, 400, "it speaks TLS now");
    let mut secure = RawHttp::over(crate::support::ws::tls(proxy.address(), &["http/1.1"]).await);
    secure.send(b"GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(secure.head().await.starts_with("HTTP/1.1 200"));
    assert_eq!(kept.get("/a").await.text(), "b", "a connection that was open speaks on as it did");
}

#[tokio::test]
async fn a_changed_auth_closes_whom_it_let_in_and_no_others() {
    let (one, other) = ("a secret of at least thirty-two bytes", "another secret of at least 32 bytes");
    let config = |secret: &str, more: &str| {
        let auths = format!("[auth.a]\nsecret = \"{secret}\"\n[auth.b]\nsecret = \"{one}\"\n");
        let route = |name: &str| format!("[[route]]\npath = \"/{name}\"\nfeed = \"f\"\nauth = \"{name}\"\n");
        let ticket = "[[route]]\npath = \"/ticket\"\nticket = \"a\"\n";
        format!("{AT_ONCE}{LISTENER}{auths}{FEED}{}{}{ticket}{more}", route("a"), route("b"))
    };
    let proxy = Proxy::start(&config(one, ""));
    let connect = async |path: &str, token: &str| {
        let bearer = format!("Bearer {token}");
        WsClient::try_connect(proxy.address(), path, &[("Authorization", &bearer)]).await
    };
    let mut open = WsClient::connect(proxy.address(), "/f").await;
    let mut a = connect("/a", &token(one)).await.expect("let in");
    let mut b = connect("/b", &token(one)).await.expect("let in");
    let bearer = format!("Bearer {}", token(one));
    let ticket = request(proxy.address(), "POST", "/ticket", &[("Authorization", &bearer)], "").await.json();
    let answer = proxy.turn_to(&config(one, &says("/x", "x"))).await;
    assert_eq!(answer["changed"], json!([]));
    let answer = proxy.turn_to(&config(other, "")).await;
    assert_eq!((&answer["changed"], &answer["removed"]), (&json!(["auth a"]), &json!(["route /x"])));
    check_restarted(&mut a).await;
    proxy.publish("f", "1").await;
    assert_eq!((open.data().await["data"].clone(), b.data().await["data"].clone()), (json!(1), json!(1)));
    assert!(connect("/a", &token(one)).await.is_err());
    assert!(connect("/a", &token(other)).await.is_ok());
    let path = format!("/a?ticket={}", ticket["ticket"].as_str().expect("a ticket"));
    assert_eq!(WsClient::refused(proxy.address(), &path, &[]).await.0, 401, "it was had by the old secret");
}

#[tokio::test]
async fn a_key_file_with_another_key_is_another_auth() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("key.pub");
    let write = || {
        let pair = rcgen::KeyPair::generate().expect("a key");
        std::fs::write(&path, pair.public_key_pem()).expect("written");
    };
    write();
    let config = format!("{LISTENER}[auth.a]\npublic_key_file = \"{}\"\n{FEED}auth = \"a\"\n", path.display());
    let proxy = Proxy::start(&config);
    assert_eq!(proxy.turn_to(&config).await["changed"], json!([]));
    write();
    assert_eq!(proxy.turn_to(&config).await["changed"], json!(["auth a"]));
    assert_eq!(proxy.turn_to(&config).await["changed"], json!([]));
}

#[tokio::test]
async fn clients_that_may_not_ask_any_more_are_closed() {
    let proxy = Proxy::start(&format!("{AT_ONCE}{LISTENER}{FEED}"));
    let mut viewer = WsClient::connect(proxy.address(), "/f").await;
    proxy.turn_to(&format!("{AT_ONCE}{LISTENER}{FEED}deny = [\"10.0.0.0/8\"]\n")).await;
    proxy.publish("f", "1").await;
    assert_eq!(viewer.data().await["data"], 1);
    proxy.turn_to(&format!("{AT_ONCE}{LISTENER}{FEED}deny = [\"127.0.0.0/8\"]\n")).await;
    check_restarted(&mut viewer).await;
    assert_eq!(get(proxy.address(), "/f", &[]).await.status, 403);
}

#[tokio::test]
async fn what_was_spent_of_a_limit_stays_spent_and_what_is_open_stays_counted() {
    let config = |limit: &str| {
        let routes = FEED.to_owned() + "limit = \"l\"\n" + &says("/a", "a") + "limit = \"l\"\n";
        format!("{LISTENER}[limit.l]\n{limit}\n{routes}")
    };
    let proxy = Proxy::start(&config("requests = \"3/h\"\nconnections_per_client = 2\nconnections = 2"));
    let _open = WsClient::connect(proxy.address(), "/f").await;
    let ask = async || get(proxy.address(), "/a", &[]).await.status;
    assert_eq!([ask().await, ask().await, ask().await], [200, 200, 429]);
    proxy
        .turn_to(&format!(
            "{}{}",
            config("requests = \"3/h\"\nconnections_per_client = 2\nconnections = 2"),
            says("/x", "x")
        ))
        .await;
    assert_eq!(ask().await, 429);
    proxy.turn_to(&config("requests = \"3/h\"\nconnections_per_client = 2\nconnections = 1")).await;
    assert_eq!(ask().await, 429, "this rate is what it was");
    proxy.turn_to(&config("requests = \"300/h\"\nconnections_per_client = 2\nconnections = 1")).await;
    assert_eq!(ask().await, 200);
    let (status, problem) = WsClient::refused(proxy.address(), "/f", &[]).await;
    assert_eq!(status, 503, "one is open: {problem}");
    proxy.turn_to(&config("connections_per_client = 1")).await;
    assert_eq!(WsClient::refused(proxy.address(), "/f", &[]).await.0, 429);
}

#[tokio::test]
async fn what_only_a_restart_changes_is_said_and_the_rest_is_used() {
    let proxy = Proxy::start(&format!("{LISTENER}{}", says("/a", "a")));
    let whole = format!(
        "workers = 3\n[log]\naccess = false\nformat = \"json\"\n[admin]\nlisten = \"127.0.0.2:0\"\n{LISTENER}{}",
        says("/a", "a")
    );
    for _ in 0..2 {
        let reply = proxy.reload_whole(&whole).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(reply.json()["needs_restart"], json!(["workers", "admin.listen", "log.format"]));
        assert_eq!(get(proxy.address(), "/a", &[]).await.text(), "a");
    }
}

#[tokio::test]
async fn a_reload_is_for_who_has_the_token_and_sends_json() {
    let listener = LISTENER.to_owned() + &says("/a", "a");
    let config =
        |token: &str| format!("workers = 2\n[admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"{token}\"\n{listener}");
    let proxy = Proxy::start_whole(&config("one"));
    let json_type = ("Content-Type", "application/json");
    let ask = async |method: &str, fields: &[(&str, &str)]| {
        request(proxy.admin(), method, "/api/reload", fields, "").await.status
    };
    assert_eq!(ask("POST", &[json_type]).await, 401);
    assert_eq!(ask("POST", &[json_type, ("Authorization", "Bearer two")]).await, 401);
    assert_eq!(ask("POST", &[("Authorization", "Bearer one")]).await, 415);
    assert_eq!(ask("GET", &[("Authorization", "Bearer one")]).await, 405);
    assert_eq!(ask("POST", &[json_type, ("Authorization", "Bearer one")]).await, 200);
    // The token is one of what a reload changes; this one is asked for with the old.
    assert_eq!(proxy.reload_whole(&config("two")).await.status, 401);
    assert_eq!(ask("POST", &[json_type, ("Authorization", "Bearer one")]).await, 200);
    assert_eq!(ask("POST", &[json_type, ("Authorization", "Bearer one")]).await, 401);
    assert_eq!(ask("POST", &[json_type, ("Authorization", "Bearer two")]).await, 200);
    let plain = Proxy::start(&format!("{LISTENER}{}", says("/a", "a")));
    let foreign = [json_type, ("Origin", "http://evil.example")];
    assert_eq!(request(plain.admin(), "POST", "/api/reload", &foreign, "").await.status, 403);
}

#[tokio::test]
async fn while_it_drains_a_config_is_not_read_again() {
    let proxy = Proxy::start(&format!("[drain]\nspread = \"20s\"\ntimeout = \"20s\"\n{LISTENER}{FEED}"));
    let _viewer = WsClient::connect(proxy.address(), "/f").await;
    proxy.stages().drain();
    let reply = until("the drain to begin", || async {
        let reply = post_json(proxy.admin(), "/api/reload", "{}").await;
        (reply.status == 503).then_some(reply)
    })
    .await;
    assert_eq!(reply.json()["detail"], "draining: the config is not read again");
}

#[tokio::test]
async fn many_who_ask_at_once_are_served_in_turn_or_told_to_ask_again() {
    let proxy = Proxy::start(&format!("{LISTENER}{}", says("/a", "a")));
    let all = futures_util::future::join_all((0..20).map(|_| post_json(proxy.admin(), "/api/reload", "{}"))).await;
    let served = all.iter().filter(|reply| reply.status == 200).count();
    assert!(served > 0 && all.iter().all(|reply| [200, 503].contains(&reply.status)));
    assert_eq!(proxy.metric("steadfeed_config_reloads_total{result=\"ok\"}").await, served as f64);
}

#[tokio::test]
async fn sighup_has_the_process_read_its_file_again() {
    let base = "workers = 2\n[admin]\nlisten = \"127.0.0.1:0\"\n";
    let config = |routes: &str| format!("{base}{LISTENER}{FEED}{routes}");
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    let instance = Instance::start_in(Arc::clone(&folder), &config("")).await;
    let mut viewer = WsClient::connect(instance.address(), "/f").await;
    let write = |text: &str| std::fs::write(folder.path().join("steadfeed.toml"), text).expect("written");
    write(&config(&says("/new", "new")));
    instance.signal(Signal::HUP);
    let line = instance.line("config reloaded").await;
    assert!(line.ends_with("config reloaded: added: route /new"), "{line}");
    assert_eq!(get(instance.address(), "/new", &[]).await.text(), "new");
    write(&config("[[route]]\npath = \"/new\"\n"));
    instance.signal(Signal::HUP);
    instance.line("config not reloaded").await;
    instance.line("steadfeed.toml:11:1: ").await;
    assert_eq!(get(instance.address(), "/new", &[]).await.text(), "new");
    post_json(instance.admin(), "/api/feeds/f", "1").await;
    assert_eq!(viewer.data().await["data"], 1);
    write(&format!("{}[log]\nlevel = \"error\"\n", config(&says("/new", "new"))));
    assert_eq!(post_json(instance.admin(), "/api/reload", "{}").await.status, 200);
    write(&config(&says("/newer", "new")));
    assert_eq!(post_json(instance.admin(), "/api/reload", "{}").await.status, 200);
    instance.lines("config reloaded", 2).await;
    assert_eq!(instance.lines("config reloaded", 2).await.len(), 2, "the third was below its level");
}

/// What the process holds: descriptors, threads, KiB of memory.
fn held(instance: &Instance) -> (usize, usize, usize) {
    let count = |name: &str| std::fs::read_dir(format!("/proc/{}/{name}", instance.pid())).expect("it runs").count();
    let status = std::fs::read_to_string(format!("/proc/{}/status", instance.pid())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    let memory = line.trim().trim_end_matches(" kB").parse().expect("a number");
    (count("fd"), count("task"), memory)
}

#[tokio::test]
async fn a_hundred_reloads_leave_nothing_behind() {
    let identity = Identity::new();
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    let base = BASE.replace("access = false", "level = \"warn\"\naccess = false");
    let config = |round: usize| {
        let odd = round % 2;
        let more = if odd == 1 { identity.listener("") } else { String::new() };
        let feeds = format!(
            "[feed.s]\nsource = {{ stats = {{ every = \"1s\" }} }}\nhistory = {}\n[feed.n{odd}]\n\
             source = {{ poll = \"http://127.0.0.1:9/{odd}\" }}\nfallback = {{ stats = {{}}, after = \"0s\" }}\n\
             [[route]]\npath = \"/s\"\nfeed = \"s\"\n[[route]]\npath = \"/n\"\nfeed = \"n{odd}\"\n",
            10 + odd
        );
        let app = format!(
            "[upstream.app]\nservers = [\"http://localhost:{}\", \"http://127.0.0.1:9\"]\nhealth = {{ path = \"/\", every = \"1s\" }}\n\
             [[route]]\npath = \"/app\"\nproxy = \"app\"\n[limit.l]\nrequests = \"{}/s\"\n",
            9 + odd,
            90 + odd
        );
        format!("{base}{LISTENER}{}{FEED}{feeds}{app}", identity.listener("") + &more)
    };
    let instance = Instance::start_in(Arc::clone(&folder), &config(0)).await;
    let mut viewer = WsClient::connect(instance.address(), "/f").await;
    let reload = async |round: usize| {
        std::fs::write(folder.path().join("steadfeed.toml"), config(round)).expect("written");
        let reply = post_json(instance.admin(), "/api/reload", "{}").await;
        assert_eq!(reply.status, 200, "{}", reply.text());
    };
    for round in 1..=20 {
        reload(round).await;
    }
    let (descriptors, threads, memory) = held(&instance);
    for round in 21..=120 {
        reload(round).await;
    }
    // A watcher's thread ends, and a look-up's rests for a while, a little after.
    until("what it held before", || async {
        let now = held(&instance);
        (now.0 <= descriptors && now.1 <= threads + 2).then_some(())
    })
    .await;
    let grown = held(&instance).2.saturating_sub(memory);
    assert!(grown < 6 * 1024, "{grown} KiB more");
    post_json(instance.admin(), "/api/feeds/f", "1").await;
    assert_eq!(viewer.data().await["data"], 1);
}
