//! The configurations of the three, as alike as they can be: one worker, no access log, TLS 1.3 with the same certificate,
//! HTTP/2 on offer, connections to the backend kept, and the headers that tell the backend of the client.
//!
//! A peer is given what its manual says helps here, and its defaults otherwise: nginx kept connections to the backend, no
//! end of requests a connection, a cache of open files and no temporary files; HAProxy the most liberal reuse.

use std::path::Path;

use super::server::Ports;

pub fn nginx(folder: &Path, ports: Ports, backend: u16) -> String {
    let Ports { plain, tls } = ports;
    let folder = folder.display();
    format!(
        "user root;
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log warn;
events {{ worker_connections 16384; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000000;
    open_file_cache max=1000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
    upstream app {{
        server 127.0.0.1:{backend};
        keepalive 64;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{plain};
        listen 127.0.0.1:{tls} ssl http2;
        ssl_certificate {folder}/cert.pem;
        ssl_certificate_key {folder}/key.pem;
        ssl_protocols TLSv1.3;
        location / {{
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_max_temp_file_size 0;
            proxy_read_timeout 1h;
        }}
        location /files/ {{ root {folder}; }}
    }}
}}
"
    )
}

pub fn haproxy(folder: &Path, ports: Ports, backend: u16) -> String {
    let Ports { plain, tls } = ports;
    let folder = folder.display();
    format!(
        "global
    nbthread 1
    maxconn 8192
    ssl-default-bind-options ssl-min-ver TLSv1.3
defaults
    mode http
    timeout connect 5s
    timeout client 75s
    timeout server 60s
    timeout tunnel 1h
    http-reuse always
    option forwardfor
frontend doors
    bind 127.0.0.1:{plain}
    bind 127.0.0.1:{tls} ssl crt {folder}/both.pem alpn h2,http/1.1
    http-request set-header X-Forwarded-Proto https if {{ ssl_fc }}
    http-request set-header X-Forwarded-Proto http if !{{ ssl_fc }}
    default_backend app
backend app
    server app 127.0.0.1:{backend}
"
    )
}

pub fn steadfeed(folder: &Path, ports: Ports, backend: u16) -> String {
    let Ports { plain, tls } = ports;
    let folder = folder.display();
    format!(
        "workers = 1
[log]
access = false
[admin]
listen = \"off\"
[[listener]]
address = \"127.0.0.1:{plain}\"
[[listener]]
address = \"127.0.0.1:{tls}\"
[listener.tls]
certificates = [{{ cert = \"{folder}/cert.pem\", key = \"{folder}/key.pem\" }}]
min_version = \"1.3\"
[upstream.app]
servers = [\"http://127.0.0.1:{backend}\"]
[[route]]
path = \"/*\"
proxy = \"app\"
[[route]]
path = \"/files/*\"
files = \"{folder}\"
"
    )
}
