//! Configurations with one odd value: what comes of it passes `check`, or is listed.

use proptest::prelude::*;

use super::surroundings;
use crate::cli::import::import_text;
use crate::config;

/// Each with a place for a value.
const LINES: &str = "upstream p { server @; server b:1; } server { listen 80; location / { proxy_pass http://p; } }|\
     upstream p { server @; } server { listen 80; location /a/ { grpc_pass grpc://p; } location / { proxy_pass https://p; } }|\
     upstream @ { server a; } server { listen 80; location / { proxy_pass http://@; } }|\
     proxy_pass @;|proxy_pass http://@;|proxy_pass https://@/;|proxy_pass http://a:@;|proxy_pass http://unix:@;|\
     proxy_pass http://a@;|set $x @; proxy_pass http://$x:80;|grpc_pass @;|\
     proxy_pass http://a; proxy_connect_timeout @;|proxy_pass http://a; proxy_read_timeout @;|\
     proxy_pass http://a; client_max_body_size @;|proxy_pass http://a; client_body_timeout @;|\
     proxy_pass http://a; proxy_set_header X-A @;|proxy_pass http://a; proxy_set_header @ b;|\
     proxy_pass http://a; proxy_set_header Host @;|proxy_pass http://a; proxy_hide_header @;|\
     proxy_pass http://a; add_header X-A @;|proxy_pass http://a; add_header @ b;|proxy_pass http://a; add_header Cache-Control @;|\
     root /srv; add_header Cache-Control @;|root /srv; expires @;|root @;|alias @;|root /srv; try_files $uri @;|\
     root /srv; error_page 404 @;|root /srv; index @;|return 301 @;|return @;|return 301 https://@$request_uri;|return 200 @;|\
     return 200 x; default_type @;|return 200 x; add_header Content-Type @;|return 200 x; add_header X-A @;|return @ x;|\
     rewrite ^ @ permanent;|rewrite ^@/(.*)$ /$1 break; proxy_pass http://a;|rewrite ^(.*)$ https://@$1 permanent;|\
     proxy_pass http://a; allow @; deny all;|proxy_pass http://a; deny @;|proxy_pass http://a; auth_request @;|\
     proxy_pass http://a; limit_req zone=z burst=@;|limit_req_zone $remote_addr zone=y:1m rate=@r/s; limit_req zone=y; root /srv;|\
     proxy_pass http://a; limit_req zone=@;|proxy_pass http://a; limit_conn z @;|\
     proxy_pass http://a; auth_request /v; auth_request_set $u $upstream_http_x_@; proxy_set_header X-@ $u;";

/// The same, for a server.
const SERVERS: &str = "listen @;|listen 127.0.0.1:@;|listen @ ssl;|server_name @;|server_name .@ *.@;|\
     listen 80 ssl; ssl_certificate @; ssl_certificate_key k;|\
     listen 80 ssl; ssl_protocols @;|\
     keepalive_timeout @;|client_header_timeout @;|client_body_timeout @;|send_timeout @;|client_max_body_size @;|\
     large_client_header_buffers 4 @;|large_client_header_buffers @ 8k;|set_real_ip_from @;|real_ip_header @;|\
     location @ { root /srv; }|location = @ { return 204; }|location ~ @ { return 403; }|location ~ ^@/ { proxy_pass http://a; }|\
     location @ { proxy_pass http://a/; }|location @ { alias /srv/; expires 1h; }|location ~ ^/(a|@)/ { deny all; }|\
     location = /v { proxy_pass http://@; } location / { proxy_pass http://a; auth_request /v; }|\
     location = /v { proxy_pass http://a@; } location / { proxy_pass http://a; auth_request /v; }|\
     if ($host = @) { return 301 https://$host$request_uri; } listen 443 ssl;|return 301 https://@$request_uri;|\
     rewrite ^ https://@$request_uri? permanent;|return 301 @;|listen 443 ssl; server_name @; return 301 https://@$request_uri;";

/// Values that are nearly right, in quotes.
fn value() -> impl Strategy<Value = String> {
    let part = prop::sample::select(
        "app|a.example|xn--a|10.0.0.1|[::1]|::1|[|]|:|:8000|:0|:65536|:a|\\|\\:|/|//|/a|/a/|/..|/.a|.|..|-|_|,|;|{|}|{host}|$|$1|$a|\
         $uri|@|*|*.|?|#|%|%2f|%zz|=|~|^|+|(|)|||<|>|'|\"|0|1|30|99999999999|5m|1k|10.0.0.0/8|300|unix:|http://|https://|h2c://|\
         /run/a.sock| |\t|\n|\u{7}|\u{0}|\u{7f}|é|字|X-A|text/plain|max-age=1|zone|index.html|.html|localhost|TLSv1.3|all|off"
            .split('|')
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>(),
    );
    let parts = prop::collection::vec(
        prop_oneof![8 => part.prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from)],
        0..5,
    );
    prop_oneof![
        12 => parts.prop_map(|parts| parts.concat()),
        1 => (1_usize..300).prop_map(|count| "a".repeat(count)),
    ]
}

/// A configuration with one odd value.
fn odd() -> impl Strategy<Value = String> {
    let lines = LINES.split('|').map(|line| match line.starts_with("upstream") {
        true => line.to_owned(),
        false => format!("server {{ listen 80; server_name a.example; location / {{ {line} }} }}"),
    });
    let servers = SERVERS.split('|').map(|line| format!("server {{ {line} root /srv; }}"));
    let templates: Vec<String> = lines.chain(servers).collect();
    (prop::sample::select(templates), value()).prop_map(|(template, value)| {
        let quoted: String =
            value.chars().flat_map(|c| matches!(c, '"' | '\\').then_some('\\').into_iter().chain([c])).collect();
        let zones =
            "limit_req_zone $binary_remote_addr zone=z:1m rate=5r/s; limit_conn_zone $binary_remote_addr zone=z:1m;";
        // The whole word is quoted that holds it.
        let words = template.split(' ').map(|word| match word.split_once('@') {
            Some((before, after)) => {
                let (after, end) = after.strip_suffix(';').map_or((after, ""), |after| (after, ";"));
                format!("\"{before}{quoted}{}\"{end}", after.replace('@', &quoted))
            }
            None => word.to_owned(),
        });
        format!("{zones} {}", words.collect::<Vec<_>>().join(" "))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]
    #[test]
    fn a_value_of_any_shape_comes_to_a_config_that_can_be_served_or_is_listed(text in odd()) {
        let Some(imported) = import_text(&text) else { return Ok(()) };
        let has = |table: &str| imported.config.lines().any(|line| line == table);
        let checked = config::check("a".to_owned(), imported.config.clone(), &surroundings());
        if let Err(refused) = checked {
            let is_empty = !has("[[listener]]") || !has("[[route]]");
            prop_assert!(is_empty && imported.left > 0, "{refused}\n{text}\n{}\n{}", imported.config, imported.list);
        }
    }
}
