//! Configurations that nobody would write.

use proptest::prelude::*;

use super::{imported, surroundings};
use crate::cli::import::import_text;
use crate::config;

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
