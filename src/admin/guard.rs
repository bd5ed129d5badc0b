//! Who may use the admin listener.
//!
//! Owns: the defences of a listener that any program on the host can reach, a browser above all: pages elsewhere must
//! not use it (cross-site requests), nor names that an attacker points at loopback (DNS rebinding). Never: lets a write
//! through that a plain form could send.

use std::net::IpAddr;

use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};

use crate::message::{Body, headers, respond};
use crate::secret::Secret;

/// # Errors
/// The answer to a request that is refused.
pub fn check<B>(request: &Request<B>, token: Option<&Secret>) -> Result<(), Box<Response<Body>>> {
    match token {
        Some(token) => check_token(request, token)?,
        None => check_local(request)?,
    }
    if *request.method() == Method::POST && !is_json(request.headers()) {
        let detail = "send it with Content-Type: application/json";
        return Err(Box::new(respond::problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)));
    }
    Ok(())
}

fn check_token<B>(request: &Request<B>, token: &Secret) -> Result<(), Box<Response<Body>>> {
    if matches!(request.uri().path(), "/healthz" | "/readyz") {
        return Ok(());
    }
    let given = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer =
        given.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    if bearer.is_some_and(|(_, candidate)| token.matches(candidate.trim())) {
        return Ok(());
    }
    let mut response = respond::problem(StatusCode::UNAUTHORIZED, "the admin token is needed as Bearer");
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    Err(Box::new(response))
}

fn check_local<B>(request: &Request<B>) -> Result<(), Box<Response<Body>>> {
    let refuse = |detail: &str| Err(Box::new(respond::problem(StatusCode::FORBIDDEN, detail)));
    let fields = request.headers();
    let host = request.uri().authority().map(|authority| authority.as_str()).or_else(|| only(fields, HOST));
    let Some(host) = host.filter(|host| is_loopback(headers::without_port(host))) else {
        return refuse("without a token the admin listener answers only to loopback names; set admin.token for others");
    };
    let foreign_origin =
        fields.contains_key(ORIGIN) && !only(fields, ORIGIN).is_some_and(|origin| is_own(origin, host));
    if foreign_origin || only(fields, "sec-fetch-site") == Some("cross-site") {
        return refuse("pages of other origins may not use the admin listener");
    }
    Ok(())
}

/// The one value of a header, where it is text.
fn only(fields: &HeaderMap, name: impl http::header::AsHeaderName) -> Option<&str> {
    headers::only(fields, name)?.to_str().ok()
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

/// The listener is plain HTTP: its own pages' origin is its host after `http://`.
fn is_own(origin: &str, host: &str) -> bool {
    origin.strip_prefix("http://").is_some_and(|own| own.eq_ignore_ascii_case(host))
}

fn is_json(headers: &HeaderMap) -> bool {
    only(headers, CONTENT_TYPE)
        .and_then(|value| value.split(';').next())
        .is_some_and(|type_| type_.trim().eq_ignore_ascii_case("application/json"))
}

#[cfg(test)]
mod tests {
    use http::{Request, StatusCode};

    use super::check;
    use crate::secret::Secret;

    #[track_caller]
    fn status(token: Option<&str>, method: &str, path: &str, fields: &[(&str, &str)]) -> u16 {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let token = token.map(|token| Secret::new(token.to_owned()));
        let outcome = check(&request.body(()).unwrap(), token.as_ref());
        outcome.map_or_else(|refusal| refusal.status(), |()| StatusCode::OK).as_u16()
    }

    #[test]
    fn without_a_token_only_loopback_names_are_answered() {
        for host in ["localhost:9090", "LOCALHOST", "127.0.0.1:9090", "127.8.8.8", "[::1]:9090", "[::ffff:127.0.0.1]"] {
            assert_eq!(status(None, "GET", "/metrics", &[("host", host)]), 200, "{host}");
        }
        for host in ["evil.example:9090", "localhost.evil.example", "10.0.0.1:9090", ""] {
            assert_eq!(status(None, "GET", "/healthz", &[("host", host)]), 403, "{host}");
        }
        assert_eq!(status(None, "GET", "/healthz", &[]), 403);
        assert_eq!(status(None, "GET", "/healthz", &[("host", "localhost"), ("host", "evil.example")]), 403);
    }

    #[test]
    fn pages_elsewhere_are_refused() {
        let host = ("host", "127.0.0.1:9090");
        assert_eq!(status(None, "GET", "/", &[host, ("origin", "http://127.0.0.1:9090")]), 200);
        assert_eq!(status(None, "GET", "/", &[host, ("origin", "http://127.0.0.1:8080")]), 403);
        assert_eq!(status(None, "GET", "/", &[host, ("origin", "null")]), 403);
        assert_eq!(status(None, "GET", "/", &[host, ("sec-fetch-site", "cross-site")]), 403);
        assert_eq!(status(None, "GET", "/", &[host, ("sec-fetch-site", "same-origin")]), 200);
    }

    #[test]
    fn a_post_that_a_form_could_send_is_refused() {
        let host = ("host", "localhost");
        assert_eq!(status(None, "POST", "/api/feeds/x", &[host]), 415);
        assert_eq!(status(None, "POST", "/api/feeds/x", &[host, ("content-type", "text/plain")]), 415);
        assert_eq!(
            status(None, "POST", "/api/feeds/x", &[host, ("content-type", "application/json; charset=utf-8")]),
            200
        );
    }

    #[test]
    fn with_a_token_every_path_but_the_probes_needs_it() {
        let host = ("host", "steadfeed.example");
        assert_eq!(status(Some("t"), "GET", "/healthz", &[host]), 200);
        assert_eq!(status(Some("t"), "GET", "/readyz", &[host]), 200);
        assert_eq!(status(Some("t"), "GET", "/metrics", &[host]), 401);
        assert_eq!(status(Some("t"), "GET", "/metrics", &[host, ("authorization", "Bearer x")]), 401);
        assert_eq!(status(Some("t"), "GET", "/metrics", &[host, ("authorization", "bearer t")]), 200);
    }
}
