//! What becomes of each directive of nginx by its name alone, where nothing else was said of it.

/// What is to be said of a directive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nothing here needs it, and nothing is lost with it.
    Needless,
    /// Why it is not translated, and what to do instead.
    Left(&'static str, &'static str),
    /// It is translated where something uses it.
    Used,
    /// It only holds others.
    Block,
    Unknown,
}

/// What is tuned by itself here, or has no meaning.
const NEEDLESS: &str = "
    user pid daemon master_process worker_rlimit_nofile worker_rlimit_core worker_cpu_affinity worker_priority
    worker_shutdown_timeout timer_resolution pcre_jit thread_pool lock_file debug_points worker_connections multi_accept
    use accept_mutex accept_mutex_delay worker_aio_requests include types types_hash_max_size types_hash_bucket_size
    default_type charset charset_types override_charset sendfile sendfile_max_chunk tcp_nopush tcp_nodelay aio
    aio_write directio directio_alignment output_buffers postpone_output read_ahead open_file_cache
    open_file_cache_errors open_file_cache_min_uses open_file_cache_valid log_not_found log_subrequest server_tokens
    server_names_hash_max_size server_names_hash_bucket_size server_name_in_redirect port_in_redirect
    absolute_redirect variables_hash_max_size variables_hash_bucket_size map_hash_max_size map_hash_bucket_size
    reset_timedout_connection lingering_close lingering_time lingering_timeout client_header_buffer_size
    client_body_buffer_size client_body_temp_path client_body_in_file_only client_body_in_single_buffer
    connection_pool_size request_pool_size ignore_invalid_headers merge_slashes msie_padding msie_refresh etag
    if_modified_since max_ranges keepalive_requests keepalive_time keepalive_disable http2 http2_push
    http2_push_preload http2_max_concurrent_streams http2_recv_buffer_size http2_body_preread_size http2_chunk_size
    http2_idle_timeout http2_max_field_size http2_max_header_size http2_max_requests http2_recv_timeout
    gzip_types gzip_vary gzip_min_length gzip_comp_level gzip_proxied gzip_buffers gzip_http_version gzip_disable
    gzip_static gunzip brotli_comp_level brotli_types brotli_static brotli_min_length brotli_window brotli_buffers
    zstd_comp_level zstd_types zstd_static zstd_min_length resolver resolver_timeout
    ssl ssl_ciphers ssl_conf_command ssl_prefer_server_ciphers ssl_session_cache ssl_session_timeout
    ssl_session_tickets ssl_session_ticket_key ssl_dhparam ssl_ecdh_curve ssl_buffer_size ssl_stapling
    ssl_stapling_verify ssl_stapling_file ssl_stapling_responder ssl_trusted_certificate ssl_early_data
    ssl_verify_depth ssl_certificate_cache proxy_http_version proxy_buffering proxy_request_buffering
    proxy_buffers proxy_buffer_size proxy_busy_buffers_size proxy_max_temp_file_size proxy_temp_path
    proxy_temp_file_write_size proxy_headers_hash_max_size proxy_headers_hash_bucket_size proxy_socket_keepalive
    proxy_send_timeout proxy_send_lowat proxy_force_ranges proxy_ignore_client_abort proxy_intercept_errors
    proxy_pass_header proxy_pass_request_body proxy_pass_request_headers proxy_next_upstream
    proxy_next_upstream_timeout proxy_next_upstream_tries proxy_ssl_server_name proxy_ssl_session_reuse
    proxy_ssl_protocols proxy_ssl_ciphers proxy_ssl_verify_depth proxy_cache_bypass proxy_no_cache
    grpc_set_header grpc_buffer_size grpc_next_upstream grpc_socket_keepalive grpc_ssl_server_name
    real_ip_recursive limit_req_log_level limit_conn_log_level limit_req_dry_run limit_conn_dry_run log_format
    open_log_file_cache rewrite_log uninitialized_variable_warn subrequest_output_buffer_size internal
    fastcgi_param fastcgi_index fastcgi_split_path_info fastcgi_buffers fastcgi_buffer_size fastcgi_read_timeout
    fastcgi_hide_header fastcgi_intercept_errors fastcgi_connect_timeout fastcgi_send_timeout
    uwsgi_param uwsgi_read_timeout uwsgi_send_timeout scgi_param
    auth_basic_user_file set error_log proxy_cache_path proxy_cache_key proxy_cache_valid proxy_cache_lock proxy_cache_use_stale
    proxy_cache_background_update proxy_cache_revalidate proxy_cache_min_uses proxy_cache_methods
    proxy_cache_lock_timeout proxy_cache_lock_age";

/// What is translated where something uses it.
const USED: &str = "
    worker_processes listen server_name ssl_certificate ssl_certificate_key ssl_protocols proxy_set_header
    proxy_hide_header proxy_connect_timeout proxy_read_timeout grpc_read_timeout grpc_connect_timeout root alias index
    try_files gzip brotli zstd return add_header expires client_max_body_size client_body_timeout
    client_header_timeout keepalive_timeout send_timeout large_client_header_buffers limit_req limit_req_zone
    limit_req_status limit_conn limit_conn_zone limit_conn_status allow deny auth_request set_real_ip_from
    real_ip_header access_log upstream";

const BLOCKS: &str = "events http server location";

/// What has no counterpart: its name, why, and what to do instead.
const LEFT: &[(&str, &str, &str)] = &[
    ("stream", "TCP and UDP are not proxied, only HTTP and its upgrades", "keep nginx or HAProxy for these ports"),
    ("mail", "mail is not proxied", "keep nginx for it"),
    ("if", "there are no conditions on requests", "write a route for each case that differs by host or path"),
    ("map", "there are no variables", "write a route for each case that differs by host or path"),
    ("geo", "there are no variables", "use `allow` and `deny` with the client's networks"),
    ("split_clients", "there are no variables", "let the app split its clients"),
    ("limit_except", "a route takes every method", "let the app refuse them"),
    ("rewrite", "paths are not rewritten, only prefixes cut off", "use `strip_prefix`, or a route with `redirect`"),
    ("error_page", "errors are answered by steadfeed or the app itself", "use `spa` where it led to an index page"),
    ("auth_basic", "there are no password files", "use `auth_request`, or let the app ask"),
    ("satisfy", "all checks of a route must pass", "write two routes, or let the app decide"),
    ("auth_request_set", "variables are not set", "let the auth service's answer carry what the app needs"),
    ("autoindex", "folders are not listed", "link to the files from an index.html"),
    ("proxy_cache", "answers are not cached", "put a cache beside it, or let the app send Cache-Control"),
    ("proxy_redirect", "Location headers pass as the app writes them", "let the app write public URLs"),
    ("proxy_cookie_path", "cookies pass as the app sets them", "let the app set the public path"),
    ("proxy_cookie_domain", "cookies pass as the app sets them", "let the app set the public domain"),
    ("proxy_cookie_flags", "cookies pass as the app sets them", "let the app set the flags"),
    ("proxy_method", "methods pass as they are", "let the app take them"),
    ("proxy_set_body", "bodies pass as they are", "let the app take them"),
    ("proxy_bind", "the source address is the system's choice", "use a route of the system"),
    ("proxy_store", "answers are not stored", "let the app store them"),
    ("proxy_ssl_certificate", "no client certificate is shown to upstreams", "reach the app over a private network"),
    ("proxy_ssl_name", "the name asked for is the server's in the URL", "write that name in `servers`"),
    ("sub_filter", "bodies pass as they are", "let the app write what it means"),
    ("mirror", "requests are not mirrored", "keep nginx for it"),
    ("limit_rate", "bandwidth is not limited", "limit requests with `limit`, or shape traffic in the system"),
    ("limit_rate_after", "bandwidth is not limited", "limit requests with `limit`"),
    ("valid_referers", "Referer is not checked", "use `origins` for sockets, or let the app check"),
    ("secure_link", "links are not signed", "let the app check them"),
    ("fastcgi_pass", "FastCGI is not spoken", "serve the app over HTTP and name it in an [upstream]"),
    ("uwsgi_pass", "uwsgi is not spoken", "let uWSGI serve HTTP (--http-socket) and name it in an [upstream]"),
    ("scgi_pass", "SCGI is not spoken", "serve the app over HTTP and name it in an [upstream]"),
    ("memcached_pass", "memcached is not spoken", "serve it over HTTP"),
    ("stub_status", "figures have a listener of their own", "scrape /metrics of [admin]"),
    ("dav_methods", "files are only read", "let an app take uploads"),
    ("ssl_password_file", "keys with a passphrase are not read", "decrypt the key: openssl pkey -in KEY -out PLAIN"),
    ("ssl_crl", "revocation lists are not read", "end the trust in the client CA instead"),
    ("ssl_reject_handshake", "a name without a certificate is shown the first one", "leave that server out"),
    ("load_module", "modules of nginx are not loaded", "leave it out"),
    ("env", "nothing is set for other modules", "use \"${VAR}\" in any text of the config"),
    ("rtmp", "RTMP is not spoken", "keep nginx for it"),
];

/// What becomes of the directive of this name.
pub(super) fn fate(name: &str) -> Fate {
    if let Some((_, why, instead)) = LEFT.iter().find(|(known, ..)| *known == name) {
        return Fate::Left(why, instead);
    }
    let among = |names: &str| names.split_ascii_whitespace().any(|known| known == name);
    if among(BLOCKS) {
        Fate::Block
    } else if among(USED) {
        Fate::Used
    } else if among(NEEDLESS) {
        Fate::Needless
    } else if name.contains("_by_lua") || name.starts_with("lua_") || name.starts_with("js_") {
        Fate::Left("scripts are not run", "let the app do it")
    } else {
        Fate::Unknown
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_name_has_one_fate() {
        let mut seen = HashSet::new();
        let left = LEFT.iter().map(|(name, ..)| *name);
        for name in [NEEDLESS, USED, BLOCKS].into_iter().flat_map(str::split_ascii_whitespace).chain(left) {
            assert!(seen.insert(name), "{name} stands twice");
        }
        assert_eq!(fate("sendfile"), Fate::Needless);
        assert_eq!(fate("proxy_set_header"), Fate::Used);
        assert_eq!(fate("proxy_pass"), Fate::Unknown);
        assert!(matches!(fate("content_by_lua_block"), Fate::Left(..)));
    }
}
