//! Whole configurations of nginx, beside what they come to.

use std::num::NonZeroUsize;

use proptest::prelude::*;

use super::*;
use crate::config::Surroundings;
use crate::limits;

fn surroundings() -> Surroundings<'static> {
    let variable: &dyn Fn(&str) -> Option<String> = &|name| match name {
        "PORT" => Some("8080".to_owned()),
        "APP_HOST" => Some("app".to_owned()),
        _ => None,
    };
    Surroundings { variable, cpus: NonZeroUsize::MIN, descriptors: 1024 }
}

fn imported(text: &str) -> Imported {
    import_text(text).unwrap_or_else(|| panic!("not nginx's language: {text}"))
}

/// The text comes to a config that can be served, which says `config` and whose list says `list`, each line of them.
#[track_caller]
fn check(text: &str, config: &str, list: &str) {
    let imported = imported(text);
    if let Err(refused) = config::check("steadfeed.toml".to_owned(), imported.config.clone(), &surroundings()) {
        panic!("{refused}\n{}", imported.config);
    }
    for (wanted, all) in [(config, &imported.config), (list, &imported.list)] {
        for line in wanted.lines().map(str::trim).filter(|line| !line.is_empty()) {
            assert!(
                all.lines().any(|whole| whole.trim().ends_with(line) || whole.contains(line)),
                "no {line:?} in:\n{all}\n{}",
                imported.list
            );
        }
    }
}

/// The same, within one server.
#[track_caller]
fn within(text: &str, config: &str, list: &str) {
    check(&format!("server {{ listen 80; {text} }}"), config, list);
}

fn fault(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nginx.conf");
    std::fs::write(&path, text).unwrap();
    let fault = import(&path, &Disk, &config::is_later).expect_err("a fault").to_string();
    fault.replace(&folder.path().display().to_string(), "")
}

#[test]
fn every_fixture_comes_to_the_config_and_the_list_beside_it() {
    for name in ["container", "includes", "pools", "tls"] {
        let path = format!("tests/fixtures/nginx/{name}");
        let imported = import(Path::new(&format!("{path}.conf")), &Disk, &config::is_later).unwrap();
        let beside = |kind: &str| std::fs::read_to_string(format!("{path}.{kind}")).unwrap_or_default();
        assert_eq!(imported.config, beside("toml"), "{name}");
        assert_eq!(imported.list.replace("tests/fixtures/nginx/", ""), beside("txt"), "{name}");
        if let Err(refused) = config::check(format!("{name}.toml"), imported.config, &surroundings()) {
            panic!("{refused}");
        }
    }
}

#[test]
fn the_page_about_nginx_shows_what_import_writes() {
    let page = std::fs::read_to_string("config/nginx.md").unwrap();
    let block = |language: &str| {
        let (_, rest) = page.split_once(&format!("```{language}\n")).unwrap();
        rest.split_once("```").unwrap().0.to_owned()
    };
    let keys = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
    };
    assert_eq!(keys(&imported(&block("nginx")).config), keys(&block("toml")));
}

#[test]
fn a_location_becomes_a_route() {
    within(
        "location /a/ { proxy_pass http://app; }",
        "path = \"/a/*\"\nproxy = \"app\"\nservers = [\"http://app\"]",
        "",
    );
    within(
        "location = /a { proxy_pass https://10.0.0.1:8443; }",
        "path = \"/a\"\nservers = [\"https://10.0.0.1:8443\"]",
        "checked",
    );
    within("location /a/ { proxy_pass http://app/; }", "strip_prefix = \"/a\"", "");
    within("location / { root /srv; try_files $uri /index.html; }", "files = \"/srv\"\nspa = \"index.html\"", "");
    within("root /srv; index index.html;", "path = \"/*\"\nfiles = \"/srv\"", "everything is translated");
    within("location / { return 200 ok; }", "respond = { status = 200, body = \"ok\" }", "");
    within("location / { grpc_pass grpc://app:1; }", "servers = [\"h2c://app:1\"]", "");
    within("location ~ ^/(a|b)/ { proxy_pass http://app; }", "path = \"/a/*\"\npath = \"/b/*\"", "everything");
    within("root /a; location /x/ { location /x/y/ { root /b; } }", "path = \"/x/y/*\"\nfiles = \"/b\"", "");
    within(
        "location /s { proxy_pass https://api.example.com; }",
        "headers = { request = { Host = \"api.example.com\" } }",
        "",
    );
}

#[test]
fn what_nginx_kept_closed_stays_closed() {
    let closed = "respond = { status = 403 }";
    within("location / { proxy_pass http://a; auth_basic x; }", closed, "auth_basic x`: it has no counterpart");
    within(
        "location / { proxy_pass http://a; allow 10.0.0.0/8; deny all; }",
        "allow = [\"10.0.0.0/8\"]",
        "everything is translated",
    );
    within("location / { proxy_pass http://a; deny all; }", closed, "");
    within("deny all; location / { root /srv; }", closed, "everything is translated");
    within("location / { proxy_pass http://a; auth_request /x; }", closed, "where it asks can't be told");
    within("location / { proxy_pass http://a; limit_except GET { deny all; } }", closed, "takes every method");
    within("location / { proxy_pass http://a; if ($x) { return 403; } }", closed, "no conditions");
    within("root /srv; location ~ \\.php$ { fastcgi_pass a:9; }", closed, "location ~ \\.php$`: a path is exact");
    within("root /srv; location ~ \\.bak$ { deny all; }", closed, "location ~ \\.bak$`: a path is exact");
    within(
        "root /srv; location /files/ { internal; }",
        "path = \"/files/*\"\nrespond = { status = 404 }",
        "X-Accel-Redirect",
    );
    within("root /srv; location /conf { deny all; }", "path = \"/conf/*\"", "it kept /conf... too, as in /conf.old");
    within("location / { proxy_pass http://$x; }", "respond = { status = 503 }", "depends on the request");
    within("location /a/ { proxy_pass http://a/b/; }", "respond = { status = 503 }", "can be cut off");
    // Only some addresses are kept out: the others may still come.
    within(
        "location / { proxy_pass http://a; deny 10.0.0.1; }",
        "deny = [\"10.0.0.1/32\"]",
        "everything is translated",
    );
}

#[test]
fn a_listener_whose_clients_need_certificates_is_not_opened_without() {
    let text = "server { listen 80; listen 443 ssl; ssl_certificate c; ssl_certificate_key k; ssl_verify_client on;
        ssl_client_certificate ca; root /srv; }";
    check(text, "# [[listener]]\n# address = \"0.0.0.0:443\"\n# client_ca = \"ca\"", "`client_ca` is not served yet");
}

#[test]
fn servers_are_told_apart_by_host() {
    let two = "server { listen 80; server_name a.example; root /a; } server { listen 80; server_name b.example *.b.example; root /b; }";
    check(two, "files = \"/a\"\nhost = \"b.example\"\nhost = \"*.b.example\"\nfiles = \"/b\"", "");
    assert!(!imported(two).config.contains("\"a.example\""), "the first takes all hosts that no other names");
    let chosen = "server { listen 80; server_name a.example; root /a; } server { listen 80 default_server; server_name _; root /b; }";
    check(chosen, "host = \"a.example\"", "");
    let refused =
        "server { listen 80 default_server; return 444; } server { listen 80; server_name a.example; root /a; }";
    check(refused, "host = \"a.example\"", "a host that no route names is answered 404");
    let inside = "server { listen 80; root /a; } server { listen 127.0.0.1:81; root /b; }";
    check(inside, "files = \"/a\"", "a route would hold on every listener");
    assert!(!imported(inside).config.contains("/b"));
    let ports = "server { listen 80; root /a; } server { listen 81; root /b; }";
    check(ports, "files = \"/a\"", "another server takes every host");
    assert!(!imported(ports).config.contains(":81"));
    let regex = "server { listen 80; server_name ~^a; root /a; }";
    check(regex, "files = \"/a\"", "hosts are not matched by regexes");
}

#[test]
fn a_server_that_only_leads_to_https_is_a_flag_of_its_listener() {
    let https = "listen 443 ssl; server_name a.example; ssl_certificate c.pem; ssl_certificate_key k.pem; root /srv;";
    for plain in [
        "return 301 https://$host$request_uri;",
        "rewrite ^ https://$host$request_uri? permanent;",
        "location / { return 301 https://$host$request_uri; }",
        "if ($host = a.example) { return 301 https://$host$request_uri; } return 404;",
        "return 301 https://a.example$request_uri;",
    ] {
        let text = format!("server {{ listen 80; server_name a.example; {plain} }} server {{ {https} }}");
        check(
            &text,
            "redirect_to_https = true\ncertificates = [{ cert = \"c.pem\", key = \"k.pem\" }]",
            "everything is translated",
        );
    }
    let both =
        format!("server {{ listen 80; if ($scheme = http) {{ return 301 https://$host$request_uri; }} {https} }}");
    check(&both, "redirect_to_https = true", "everything is translated");
    let other = format!("server {{ listen 80; return 301 https://b.example$request_uri; }} server {{ {https} }}");
    check(&other, "redirect_to_https = \"https://b.example\"", "");
    let mapped = format!(
        "server {{ listen 80; return 301 https://$host$request_uri; }} server {{ {} }}",
        https.replace("443", "8443")
    );
    check(&mapped, "redirect_to_https = \"https://{host}\"", "");
    let mixed = format!(
        "server {{ listen 80; root /a; }} server {{ listen 80; server_name a.example; return 301 https://$host$request_uri; }} server {{ {https} }}"
    );
    check(&mixed, "files = \"/a\"", "a listener sends all hosts to https or none");
    let alone = "server { listen 80; return 301 https://$host$request_uri; }";
    check(alone, "redirect = \"https://{host}{uri}\"\nstatus = 301", "");
}

#[test]
fn addresses_that_one_socket_takes_are_one_listener() {
    let text = "server { listen 80; listen [::]:80 ipv6only=on; listen 127.0.0.1:81; listen *:81; root /srv; }";
    check(text, "address = \"[::]:80\"\naddress = \"0.0.0.0:81\"", "");
    let config = imported(text).config;
    assert_eq!(config.matches("[[listener]]").count(), 2, "{config}");
    check("server { listen 9090; root /srv; }", "listen = \"127.0.0.1:9091\"", "");
    check("server { listen unix:/run/a.sock; listen 80; root /srv; }", "", "only TCP is listened on");
    check(
        "server { listen 80 proxy_protocol; root /srv; }",
        "proxy_protocol = true\n\"10.0.0.0/8\"",
        "believed of trusted proxies only",
    );
}

#[test]
fn headers_are_set_and_removed() {
    within(
        "location / { proxy_pass http://a; proxy_set_header X-A b; proxy_set_header X-B \"\"; add_header X-C d; }",
        "headers = { request = { X-A = \"b\", X-B = \"\" }, response = { X-C = \"d\" } }",
        "everything is translated",
    );
    within("location / { proxy_pass http://a; proxy_set_header X-A $x; }", "proxy = \"a\"", "set to constants only");
    within("location / { proxy_pass http://a; proxy_set_header X-Y $http_x_y; }", "proxy = \"a\"", "everything");
    within("location / { proxy_pass http://a; add_header Connection close; }", "proxy = \"a\"", "of one connection");
    within(
        "location / { proxy_pass http://a; add_header \"a b\" c; }",
        "proxy = \"a\"",
        "no message has such a header",
    );
    within("location / { proxy_pass http://a; add_header X-a 1; add_header x-A 2; }", "response = { x-A = \"2\" }", "");
    within("location / { proxy_pass http://a; expires 1h; }", "Cache-Control = \"max-age=3600\"", "");
    within("location / { root /srv; expires -1; }", "cache = { \"/*\" = \"no-cache\" }", "");
    within(
        "location /v { internal; proxy_pass http://auth/check; } location / { proxy_pass http://a; auth_request /v;
            auth_request_set $user $upstream_http_x_user; proxy_set_header X-User $user; }",
        "auth_request = { url = \"http://auth/check\", copy = [\"x-user\"] }",
        "everything is translated",
    );
}

#[test]
fn bounds_of_the_process_and_of_routes_are_told_apart() {
    let text = "client_max_body_size 2m; keepalive_timeout 65; large_client_header_buffers 4 16k; server { listen 80;
        location /a/ { proxy_pass http://a; client_max_body_size 0; proxy_read_timeout 5m; }
        location /b/ { proxy_pass http://a; proxy_read_timeout 10m; } }";
    let config = "body_size = \"2MiB\"\nkeepalive_timeout = \"65s\"\nheader_size = \"64KiB\"\nbody_size = \"1024GiB\"
        response_timeout = \"10m\"";
    check(text, config, "the longest is taken");
    check("server { listen 80; keepalive_timeout 0; root /srv; }", "", "can't be switched off");
    check("server { listen 80; client_max_body_size 3m; root /srv; }", "body_size = \"3MiB\"", "everything");
}

#[test]
fn no_directive_is_lost_in_silence() {
    within("root /srv; frobnicate on;", "", "`frobnicate on`: this directive is not known here");
    within("root /srv; sendfile on;", "", "not needed here: sendfile");
    within(
        "root /srv; proxy_read_timeout 5s;",
        "",
        "note: `proxy_read_timeout 5s`: nothing that was translated asks for it",
    );
    check("stream { } server { listen 80; root /srv; }", "", "`stream`: TCP and UDP are not proxied");
    within("root /srv; content_by_lua_block { if a { } end } ", "", "scripts are not run");
}

#[test]
fn what_is_no_configuration_is_told_with_its_line() {
    for (text, expected) in [
        ("a;\nb {\n c;\n", "/nginx.conf:2: the block opened here is never closed; add a `}`"),
        ("a;\n}", "/nginx.conf:2: this `}` closes nothing; remove it"),
        ("a {\n b\n}", "/nginx.conf:2: `b` is not ended; end it with `;`"),
        ("{ }", "/nginx.conf:1: this block has no name; write one before the `{`, or remove it"),
        (";", "/nginx.conf:1: this `;` ends nothing; remove it"),
        ("a 'b", "/nginx.conf:1: the quote ' opened here is never closed; close it with another '"),
        ("a_by_lua_block { {", "/nginx.conf:1: the block opened here is never closed; add a `}`"),
        ("a \u{1b}[31m", "/nginx.conf:1: `a` is not ended; end it with `;`"),
    ] {
        assert_eq!(fault(text), expected, "{text}");
    }
}

#[test]
fn reading_is_bounded() {
    let deep = |depth: usize| format!("{}{}", "a {".repeat(depth), "}".repeat(depth));
    assert!(import_text(&deep(limits::IMPORT_DEPTH)).is_some());
    assert!(fault(&deep(limits::IMPORT_DEPTH + 1)).contains("nested more than 32 deep"));
    assert!(fault("include nginx.conf;").contains("nested more than 32 deep; look for a file that includes itself"));
    assert!(import_text(&"user a;".repeat(limits::IMPORT_DIRECTIVES)).is_some());
    assert!(fault(&"a;".repeat(limits::IMPORT_DIRECTIVES + 1)).contains("more than 50000 directives"));
    // Five includes of each other come to more files than may be read, long before they are nested too deep.
    assert!(fault(&"include nginx.conf;".repeat(5)).contains("nested more than"));
}

#[test]
fn files_and_their_bytes_are_counted_together() {
    let folder = tempfile::tempdir().unwrap();
    let main = folder.path().join("nginx.conf");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let fault = || import(&main, &Disk, &config::is_later).unwrap_err().to_string();
    write("empty", "");
    write("nginx.conf", &"include empty;".repeat(limits::IMPORT_FILES));
    assert!(fault().contains("there are more than 1024 files"), "{}", fault());
    write("half", &"#".repeat(limits::IMPORT_SIZE / 2));
    write("nginx.conf", "include half; include half; include empty;");
    assert!(fault().contains("come to more than"), "{}", fault());
    assert!(
        import(&folder.path().join("absent"), &Disk, &config::is_later)
            .unwrap_err()
            .to_string()
            .contains("can not be read")
    );
}

/// Directives as somebody might write them, in an order in which nobody would.
fn hostile() -> impl Strategy<Value = String> {
    let word = prop::sample::select(
        "server location http listen proxy_pass return rewrite if root alias try_files upstream server_name set include \
         add_header limit_req allow deny map error_page auth_request ssl_certificate { } ; ; \n ' \" \\ # 80 [::]:80 ssl / \
         /a /a/ = ~ ^/(a|b)/ @a $uri $a ${A} ${a http://a http://a/b https://$host$request_uri 301 200 all 10.0.0.0/8 \
         zone=a é \u{0} * .."
            .split(' ')
            .collect::<Vec<_>>(),
    );
    prop::collection::vec(prop_oneof![20 => word.prop_map(str::to_owned), 1 => any::<String>()], 0..60)
        .prop_map(|words| words.join(" "))
}

/// Servers of lines that each mean something, whatever they mean together.
fn servers() -> impl Strategy<Value = String> {
    let line = prop::sample::select(
        "listen 443 ssl;|listen [::]:80 default_server;|listen 127.0.0.1:81;|listen 8443 ssl proxy_protocol;|server_name _;|\
         server_name a.example *.a.example;|server_name .b.example;|ssl_certificate c;|ssl_certificate_key k;|\
         ssl_protocols TLSv1.3;|proxy_pass http://a;|proxy_pass http://a/;|proxy_pass https://a.b:8443/c/;|\
         proxy_pass http://$a;|proxy_pass http://unix:/run/a.sock;|grpc_pass grpc://a:1;|return 301 https://$host$request_uri;|\
         return 200 'x y';|return 302 /x;|return 444;|return 403;|rewrite ^/a/(.*)$ /$1 break;|rewrite ^ http://b$uri permanent;|\
         root /srv;|root html;|alias /srv/a/;|alias /srv/a;|try_files $uri /index.html;|try_files $uri @a;|try_files $uri =404;|\
         set $a b;|add_header X-A 'b c';|add_header Cache-Control no-store;|expires 1h;|allow 10.0.0.1;|deny 10.0.0.0/8;|deny all;|\
         auth_request /v;|auth_basic x;|limit_req zone=z burst=5;|limit_conn z 5;|proxy_set_header X-B '';|\
         proxy_set_header Host $host;|proxy_set_header Upgrade $http_upgrade;|proxy_read_timeout 0;|proxy_read_timeout 5m;|\
         proxy_connect_timeout 1y;|client_max_body_size 0;|client_max_body_size 5m;|client_body_timeout 5s;|\
         keepalive_timeout 5d;|large_client_header_buffers 1 1;|error_page 404 /index.html;|gzip on;|index x.html;|internal;|\
         access_log off;|ssl_verify_client on;|if ($scheme = http) { return 301 https://$host$request_uri; }|\
         if ($host = a.example) { return 301 https://$host$request_uri; }|if ($a) { return 403; }"
            .split('|')
            .collect::<Vec<_>>(),
    );
    let block = prop::sample::select(
        "location /|location /a|location /a/|location /a/b/|location = /a|location = /v|location = /a.txt|location ^~ /c/|\
         location ~ ^/(a|d)/|location ~ \\.x$|location ~* \\.(js|css)$|location ~ /\\.|location @a|location \"/e f/\"|\
         location /../|limit_except GET"
            .split('|')
            .collect::<Vec<_>>(),
    );
    let statement = line.prop_map(str::to_owned).prop_recursive(3, 24, 6, move |inner| {
        (block.clone(), prop::collection::vec(inner, 0..6))
            .prop_map(|(block, lines)| format!("{block} {{\n{}\n}}", lines.join("\n")))
    });
    let server = prop::collection::vec(statement, 1..10)
        .prop_map(|lines| format!("server {{\nlisten 80;\n{}\n}}\n", lines.join("\n")));
    let zones =
        "limit_req_zone $binary_remote_addr zone=z:1m rate=5r/s; limit_conn_zone $binary_remote_addr zone=z:1m;";
    prop::collection::vec(server, 1..4).prop_map(move |servers| format!("{zones}\n{}", servers.concat()))
}

proptest! {
    #[test]
    fn nothing_panics_and_what_is_read_comes_to_toml(text in hostile()) {
        if let Some(imported) = import_text(&text) {
            prop_assert!(imported.config.parse::<toml::Table>().is_ok(), "{}", imported.config);
        }
    }

    #[test]
    fn servers_of_any_shape_come_to_a_config_that_can_be_served(text in servers()) {
        let imported = imported(&text);
        let has = |table: &str| imported.config.lines().any(|line| line == table);
        let checked = config::check("a".to_owned(), imported.config.clone(), &surroundings());
        if has("[[listener]]") && has("[[route]]") && let Err(refused) = checked {
            return Err(TestCaseError::fail(format!("{refused}\n{text}")));
        }
    }
}
