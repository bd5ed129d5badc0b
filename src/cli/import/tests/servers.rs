//! Servers, their addresses and hosts, and the bounds that they share.

use super::{check, imported};

#[test]
fn a_listener_whose_clients_need_certificates_asks_for_them() {
    let text = "server { listen 80; listen 443 ssl; ssl_certificate c; ssl_certificate_key k; ssl_verify_client on;
        ssl_client_certificate ca; root /srv; }";
    let imported = imported(text);
    assert!(imported.config.contains("client_ca = \"ca\""), "{}", imported.config);
    assert!(!imported.list.contains("ssl_verify_client"), "{}", imported.list);
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
fn bounds_of_the_process_and_of_routes_are_told_apart() {
    let text = "client_max_body_size 2m; keepalive_timeout 65; large_client_header_buffers 4 16k; server { listen 80;
        location /a/ { proxy_pass http://a; client_max_body_size 0; proxy_read_timeout 5m; }
        location /b/ { proxy_pass http://a; proxy_read_timeout 10m; } }";
    let config = "body_size = \"2MiB\"\nkeepalive_timeout = \"65s\"\nheader_size = \"64KiB\"\nbody_size = \"1024GiB\"
        response_timeout = \"10m\"";
    check(text, config, "the longest is taken");
    check("server { listen 80; keepalive_timeout 0; root /srv; }", "", "can't be switched off");
    let body = "server { listen 80; location / { proxy_pass http://a; client_body_timeout 0; } }";
    check(body, "proxy = \"a\"", "`client_body_timeout 0`: this can't be switched off");
    check("server { listen 80; client_max_body_size 3m; root /srv; }", "body_size = \"3MiB\"", "everything");
}

#[test]
fn a_server_that_no_config_would_take_is_listed_and_the_others_are_asked() {
    let proxy = "server { listen 80; location / { proxy_pass http://p; } }";
    let pool = |servers: &str| format!("upstream p {{ {servers} }} {proxy}");
    let one = pool("server app\\:8000; server b:1;");
    check(&one, "servers = [\"http://b:1\"]", "`server app\\:8000`: this is no host or address");
    let closed = "respond = { status = 503 }";
    check(&pool("server app\\:8000;"), closed, "none of the servers that it leads to can be asked");
    check(&pool(""), closed, "none of the servers that it leads to can be asked");
    let tls = pool("server unix:/run/a.sock;").replace("http://p", "https://p");
    check(&tls, closed, "unix sockets are asked over plain HTTP");
    check(&pool("").replace("http://p", "http://app\\:8000"), closed, "where it leads depends on the request");
}

#[test]
fn what_names_no_file_is_listed() {
    let listen = |tls: &str| format!("server {{ listen 443 ssl; {tls} root /srv; }}");
    check(&listen("ssl_certificate ''; ssl_certificate_key k;"), "self_signed", "no file is named");
    let client = listen("ssl_verify_client on; ssl_client_certificate '';");
    check(&client, "self_signed", "a client certificate is required or not asked for");
    assert!(!imported(&client).config.contains("client_ca"));
}
