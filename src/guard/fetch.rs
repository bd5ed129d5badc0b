//! Getting a key set's text: from its URL, through an upstream of its own, or from a file.
//!
//! Never: follows a redirect, or reads more than [`limits::JWKS_SIZE`].

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use http::header::{ACCEPT, CACHE_CONTROL, HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Limited};

use super::key;
use super::key_set::Fetched;
use super::options::JwksUrl;
use crate::message::Body;
use crate::upstream::{Sent, Upstream};
use crate::{limits, shutdown};

/// Asks the URL.
pub(super) async fn from_url(upstream: &Rc<Upstream>, url: &JwksUrl) -> Result<Fetched, String> {
    let nobody = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let sent = upstream.send(nobody, question(url)?).await.map_err(|failure| failure.to_string())?;
    let Sent { response, permit, .. } = sent;
    let (head, body) = response.into_parts();
    if head.status != StatusCode::OK {
        return Err(format!("it answers {}", head.status));
    }
    let whole = Limited::new(body, limits::JWKS_SIZE).collect().await;
    drop(permit);
    let text = whole.map_err(|error| match error.downcast::<http_body_util::LengthLimitError>() {
        Ok(_) => format!("it is larger than {} KiB", limits::JWKS_SIZE / 1024),
        Err(error) => format!("its answer broke off: {error}"),
    })?;
    Ok(Fetched { text: text.to_bytes().to_vec(), fresh: max_age(&head.headers) })
}

/// Reads the file, off this thread.
pub(super) async fn from_file(path: PathBuf) -> Result<Fetched, String> {
    let read = move || key::read(&path, limits::JWKS_SIZE);
    let text = shutdown::blocking(read).await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    Ok(Fetched { text, fresh: None })
}

fn question(url: &JwksUrl) -> Result<Request<Body>, String> {
    let wrong = |error: &dyn std::fmt::Display| format!("{} is no URL: {error}", url.url);
    let whole: Uri = url.url.parse().map_err(|error: http::uri::InvalidUri| wrong(&error))?;
    let authority = whole.authority().map_or("localhost", |authority| authority.as_str());
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let mut request = Request::new(Body::Empty);
    *request.uri_mut() = url.path.parse().map_err(|error: http::uri::InvalidUri| wrong(&error))?;
    let headers = request.headers_mut();
    headers.insert(HOST, HeaderValue::from_str(host).map_err(|error| wrong(&error))?);
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("steadfeed/", env!("CARGO_PKG_VERSION"))));
    Ok(request)
}

/// `max-age` of `Cache-Control` (RFC 9111, section 5.2.2.1); what must not be stored is fresh for no time.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let lines = headers.get_all(CACHE_CONTROL).iter().filter_map(|line| line.to_str().ok());
    let mut directives = lines.flat_map(|line| line.split(',')).map(str::trim);
    directives.find_map(|directive| {
        if directive.eq_ignore_ascii_case("no-store") || directive.eq_ignore_ascii_case("no-cache") {
            return Some(Duration::ZERO);
        }
        let (name, value) = directive.split_once('=')?;
        let seconds = name.eq_ignore_ascii_case("max-age").then(|| value.trim_matches('"').parse().ok())??;
        Some(Duration::from_secs(seconds))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &'static str, expected: Option<u64>) {
        let mut headers = HeaderMap::new();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(line));
        assert_eq!(max_age(&headers), expected.map(Duration::from_secs), "{line}");
    }

    #[test]
    fn how_long_an_answer_is_fresh_is_what_it_says() {
        check("public, max-age=21600, must-revalidate", Some(21600));
        check("Max-Age=\"15\"", Some(15));
        check("no-store, max-age=600", Some(0));
        check("public", None);
        check("max-age=soon", None);
        check("s-maxage=5", None);
    }
}
