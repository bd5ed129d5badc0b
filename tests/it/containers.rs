//! The container image and `compose.yaml`, without Docker: their configs agree with what they say, and their parts run by
//! hand, as processes.
//!
//! Those with the app need uvicorn and chromium, and are run by `tests/run`.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use serde_json::json;

use crate::support::browser::Browser;
use crate::support::instance::{Instance, binary};
use crate::support::{get, until};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn text(path: &str) -> String {
    std::fs::read_to_string(Path::new(ROOT).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Without comments and empty lines.
fn bare(toml: &str) -> String {
    let lines = toml.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_images_config_is_the_default_one_open_to_the_world() {
    let default = bare(&text("config/default.toml"));
    let open = default.replacen("address = \"127.0.0.1:8080\"", "address = \"0.0.0.0:8080\"", 1).replacen(
        "address = \"127.0.0.1:8443\"",
        "address = \"0.0.0.0:8443\"",
        1,
    );
    assert_ne!(open, default);
    assert_eq!(bare(&text("config/docker.toml")), open);
}

#[test]
fn the_image_exposes_what_its_config_listens_on_and_asks_after_its_health() {
    let (dockerfile, config) = (text("Dockerfile"), text("config/docker.toml"));
    let exposed = dockerfile.lines().find_map(|line| line.strip_prefix("EXPOSE ")).expect("ports");
    for port in exposed.split(' ') {
        assert!(config.contains(&format!("address = \"0.0.0.0:{port}\"")), "{port}");
    }
    for line in ["FROM scratch", "USER 65532:65532", "COPY config/docker.toml /etc/steadfeed/steadfeed.toml"] {
        assert!(dockerfile.contains(line), "{line}");
    }
    // What it copies from the build context is let into it.
    let let_in = text(".dockerignore");
    for part in ["Cargo.toml", "Cargo.lock", "src", "config", "benches"] {
        assert!(let_in.contains(&format!("!{part}\n")), "{part}");
    }
}

/// The lines of the image's last stage that begin so, less that.
fn last_stage(instruction: &str) -> Vec<String> {
    let dockerfile = text("Dockerfile").replace("\\\n", " ");
    let (_, last) = dockerfile.rsplit_once("\nFROM ").expect("stages");
    last.lines().filter_map(|line| line.strip_prefix(instruction)).map(|rest| rest.trim().to_owned()).collect()
}

#[test]
fn what_is_built_into_the_binary_is_let_into_the_images_build() {
    let let_in = text(".dockerignore");
    let mut found = 0;
    let mut folders = vec![Path::new(ROOT).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let source = std::fs::read_to_string(&path).expect("text");
            for part in source.split("include_str!(\"").chain(source.split("include_bytes!(\"")).skip(1) {
                let Some((name, _)) = part.split_once("\")") else { continue };
                let Ok(file) = path.with_file_name(name).canonicalize() else { continue };
                let inside = file.strip_prefix(ROOT).expect("inside the project");
                let top = inside.components().next().expect("a part").as_os_str().to_string_lossy().into_owned();
                assert!(let_in.contains(&format!("!{top}\n")), "{}: {}", path.display(), inside.display());
                found += 1;
            }
        }
    }
    assert!(found > 10, "{found} files are built in");
}

#[test]
fn the_image_holds_what_its_user_needs_where_it_is_looked_for() {
    let copies = last_stage("COPY");
    let copied = |to: &str| copies.iter().find(|copy| copy.ends_with(to)).unwrap_or_else(|| panic!("{to}: {copies:?}"));
    // Where authorities are looked for on Debian, and configs by us.
    copied(" /etc/ssl/certs/ca-certificates.crt");
    copied(" /etc/steadfeed/steadfeed.toml");
    let folders = last_stage("WORKDIR");
    let [folder] = folders.as_slice() else { panic!("{folders:?}") };
    let users = last_stage("USER");
    let [user] = users.as_slice() else { panic!("{users:?}") };
    assert!(user.split(':').all(|id| id.parse::<u32>().is_ok_and(|id| id > 0)), "{user}: no /etc/passwd names it");
    // It may write there: the certificate of our own making is kept below.
    assert!(copied(&format!(" {folder}")).contains(&format!("--chown={user} ")), "{copies:?}");
    assert!(text("config/docker.toml").contains("self_signed = "));
    assert!(text("Dockerfile").contains("mkdir -p /out/home/certs"), "a volume there is its user's");
    let entries = last_stage("ENTRYPOINT");
    let binary = entries.first().and_then(|entry| entry.strip_prefix("[\"")?.strip_suffix("\"]")).expect("a binary");
    copied(&format!(" {binary}"));
    let checks = last_stage("HEALTHCHECK");
    assert!(checks.len() == 1 && checks[0].ends_with(&format!("CMD [\"{binary}\", \"health\"]")), "{checks:?}");
}

#[test]
fn compose_mounts_and_publishes_what_the_image_has() {
    let compose = text("compose.yaml");
    let exposed = last_stage("EXPOSE");
    for port in exposed.iter().flat_map(|ports| ports.split(' ')) {
        assert!(compose.contains(&format!("- \"{port}:{port}\"\n")), "{port}");
        assert!(text("config/compose.toml").contains(&format!(":-0.0.0.0:{port}}}")), "{port}");
    }
    let folder = last_stage("WORKDIR").remove(0);
    for mount in [
        "./config/compose.toml:/etc/steadfeed/steadfeed.toml:ro".to_owned(),
        "./examples/dashboard/site:/usr/share/nginx/html:ro".to_owned(),
        format!("certs:{folder}/certs"),
    ] {
        assert!(compose.contains(&format!("- {mount}\n")), "{mount}");
        let source = mount.split(':').next().expect("a source").trim_start_matches("./");
        assert!(source == "certs" || Path::new(ROOT).join(source).exists(), "{source}");
    }
}

/// The example's backend under uvicorn, ended on drop.
struct App {
    process: Child,
    address: SocketAddr,
}

impl App {
    async fn start(port: u16) -> App {
        let uvicorn = PathBuf::from(ROOT).join("target/venv/bin/uvicorn");
        let process = Command::new(&uvicorn)
            .args(["main:app", "--app-dir", "examples/dashboard/app", "--log-level", "warning"])
            .args(["--port", &port.to_string()])
            .current_dir(ROOT)
            .stdin(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}; tests/run installs it", uvicorn.display()));
        let app = App { process, address: ([127, 0, 0, 1], port).into() };
        until("the app to listen", || async { tokio::net::TcpStream::connect(app.address).await.ok() }).await;
        app
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A port that nothing listens on now.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

/// `config/compose.toml` as it is, told where things are by the variables it has for that.
async fn composed(app_port: u16) -> Instance {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    let mut command = binary();
    command
        .args(["run", "--config"])
        .arg(Path::new(ROOT).join("config/compose.toml"))
        .env("HTTP", "127.0.0.1:0")
        .env("HTTPS", "127.0.0.1:0")
        .env("ADMIN", "127.0.0.1:0")
        .env("APP", format!("http://127.0.0.1:{app_port}"))
        .env("SITE", Path::new(ROOT).join("examples/dashboard/site"))
        .current_dir(folder.path());
    Instance::spawn(folder, &mut command).await
}

fn shown(id: &str) -> String {
    format!("document.getElementById('{id}').textContent")
}

#[tokio::test]
#[ignore = "needs chromium and uvicorn: run by tests/run"]
async fn the_compose_examples_page_lives_over_http_and_https() {
    let app = App::start(free_port()).await;
    let steadfeed = composed(app.address.port()).await;
    let mut browser = Browser::start().await;
    for (scheme, listener) in [("http", 0), ("https", 1)] {
        browser.open(&format!("{scheme}://{}/", steadfeed.listener(listener))).await;
        browser.until(&format!("{} === 'open'", shown("socket"))).await;
        browser.until(&format!("{} > 1", shown("count"))).await;
        // A deep link is the front end's own to show.
        browser.open(&format!("{scheme}://{}/deep/link", steadfeed.listener(listener))).await;
        browser.until(&format!("{} === '/deep/link'", shown("page"))).await;
        let before = browser.until(&format!("{} !== '?' && {}", shown("notes"), shown("notes"))).await;
        browser
            .eval("document.querySelector('input').value = 'x'; document.querySelector('form').requestSubmit()")
            .await;
        browser.until(&format!("{} > {before}", shown("notes"))).await;
    }
    assert_eq!(browser.complaints(), [""; 0]);
}

#[tokio::test]
#[ignore = "needs uvicorn: run by tests/run"]
async fn an_app_that_comes_later_or_again_is_found() {
    let port = free_port();
    let steadfeed = composed(port).await;
    let figures = || async { get(steadfeed.address(), "/api/figures", &[]).await };
    assert_eq!(figures().await.status, 502);
    for _ in 0..2 {
        let _app = App::start(port).await;
        until("the app to be found", || async { (figures().await.status == 200).then_some(()) }).await;
    }
    until("the app to be missed", || async { (figures().await.status != 200).then_some(()) }).await;
}

#[tokio::test]
#[ignore = "needs uvicorn: run by tests/run"]
async fn the_app_is_told_who_asks_and_for_which_host() {
    let app = App::start(free_port()).await;
    let steadfeed = composed(app.address.port()).await;
    let reply = get(steadfeed.address(), "/api/figures", &[]).await;
    let told: serde_json::Value = serde_json::from_slice(&reply.body).expect("JSON");
    assert_eq!(told["client"], json!("127.0.0.1"));
    assert_eq!(told["host"], json!(steadfeed.address().to_string()));
}
