//! `steadfeed import`, run as a user runs it.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use crate::support::instance::run;
use crate::support::{Instance, get};

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

fn write(folder: &Path, name: &str, content: &str) {
    fs::write(folder.join(name), content).expect("the folder is writable");
}

/// The config that `conf` comes to, but for the admin listener's port, which tests would share.
fn imported(folder: &Path, conf: &str) -> String {
    write(folder, "nginx.conf", conf);
    let output = run(folder, &["import", "nginx.conf", "--strict"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    format!("{}\n[admin]\nlisten = \"127.0.0.1:0\"\n", text(&output.stdout))
}

#[test]
fn an_imported_site_with_certificates_passes_check() {
    let folder = tempfile::tempdir().expect("a folder");
    assert!(run(folder.path(), &["cert", "--name", "a.example"]).status.success());
    let names: Vec<String> = fs::read_dir(folder.path().join("certs"))
        .expect("certificates")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
        .collect();
    let of_leaf =
        |end: &str| names.iter().find(|name| name.ends_with(end) && !name.starts_with("ca.")).expect("a leaf");
    let conf = format!(
        "server {{ listen 127.0.0.1:0; return 301 https://$host$request_uri; }}
         server {{
             listen 127.0.0.2:0 ssl;
             ssl_certificate certs/{};
             ssl_certificate_key certs/{};
             root {};
             location / {{ try_files $uri /index.html; }}
             location /api/ {{ proxy_pass http://127.0.0.1:9/; }}
         }}",
        of_leaf(".pem"),
        of_leaf(".key"),
        folder.path().display(),
    );
    let config = imported(folder.path(), &conf);
    write(folder.path(), "steadfeed.toml", &config);
    let check = run(folder.path(), &["check"]);
    assert!(check.status.success(), "{}\n{config}", text(&check.stdout));
    assert!(text(&check.stdout).contains("can be served"), "{}", text(&check.stdout));
}

#[tokio::test]
async fn an_imported_site_is_served() {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    let conf = "server { listen 127.0.0.1:0; location = /health { return 200 \"well\\n\"; } location / { deny all; } }";
    let config = imported(folder.path(), conf);
    let instance = Instance::start_in(folder, &config).await;
    let health = get(instance.address(), "/health", &[]).await;
    assert_eq!((health.status, text(&health.body)), (200, "well\n".to_owned()));
    assert_eq!(get(instance.address(), "/else", &[]).await.status, 403);
}

#[test]
fn what_is_left_is_listed_and_fails_only_where_it_must_not_be() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "nginx.conf", "server {\n listen 80;\n root /srv;\n autoindex on;\n}\n");
    let output = run(folder.path(), &["import", "nginx.conf"]);
    assert!(output.status.success());
    assert!(text(&output.stdout).contains("files = \"/srv\""));
    let expected = "nginx.conf:4: `autoindex on`: folders are not listed; link to the files from an index.html\n\
                    1 directive is not translated\n";
    assert_eq!(text(&output.stderr), expected);
    let strict = run(folder.path(), &["import", "--strict", "nginx.conf"]);
    assert_eq!(strict.status.code(), Some(1));
    assert_eq!((strict.stdout, strict.stderr), (output.stdout, output.stderr));
}

#[test]
fn what_can_not_be_read_is_told_and_fails() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "nginx.conf", "server {\n listen 80\n}\n");
    for (name, expected) in [
        ("nginx.conf", "steadfeed: nginx.conf:2: `listen` is not ended; end it with `;`\n"),
        (
            "absent",
            "steadfeed: absent:1: this file can not be read: No such file or directory (os error 2); \
                    name a file that this user can read\n",
        ),
    ] {
        let output = run(folder.path(), &["import", name]);
        assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(1), expected));
        assert!(output.stdout.is_empty());
    }
}
