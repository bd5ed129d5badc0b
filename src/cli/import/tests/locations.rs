//! What becomes of one server's locations and directives.

use super::{check, within};

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
        "location / { proxy_pass http://a; proxy_hide_header \"a b\"; }",
        "proxy = \"a\"",
        "no message has such a header",
    );
    within("location / { proxy_pass http://a; proxy_hide_header Host; }", "proxy = \"a\"", "a response has no `Host`");
    within("location / { root /srv; add_header HOST b; }", "files = \"/srv\"", "a response has no `Host`");
    within("location / { root /srv; add_header Cache-Control \"\"; }", "files = \"/srv\"", "everything is translated");
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
