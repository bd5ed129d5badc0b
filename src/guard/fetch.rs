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
use crate::message::headers::AGENT;
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
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
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
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    use super::*;
    use crate::shutdown::{Stages, Tasks};
    use crate::telemetry::Metrics;
    use crate::testing::{head, run};
    use crate::upstream::{self, Balance, Scheme, Server, Shared, Upstreams};

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

    /// Fetches from a server that says `answer` to the first request, and gives what was asked too.
    async fn fetched(answer: Vec<u8>) -> (Result<Fetched, String>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let head = head(&mut stream).await.unwrap();
            // Who reads no further is gone before the end.
            let _ = stream.write_all(&answer).await;
            head
        };
        futures_util::future::join(from_port(port), serve).await
    }

    async fn from_port(port: u16) -> Result<Fetched, String> {
        let second = Duration::from_secs(5);
        let options = upstream::Options {
            name: "keys".to_owned(),
            servers: vec![Server::Tcp { scheme: Scheme::Http, host: "127.0.0.1".to_owned(), port }],
            resolve: second,
            balance: Balance::LeastConn,
            health: None,
            authorities: None,
            connect_timeout: second,
            response_timeout: second,
            idle_timeout: second,
        };
        let shared = Shared::new([&options], &Metrics::new()).unwrap();
        let upstreams = Upstreams::new(shared, Tasks::new(Stages::default()));
        let url = format!("http://127.0.0.1:{port}/keys?all");
        let url = JwksUrl { upstream: Box::new(options), path: "/keys?all".to_owned(), url };
        from_url(upstreams.get("keys").unwrap(), &url).await
    }

    fn answer(head: &str, body: &[u8]) -> Vec<u8> {
        let head = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n", body.len());
        [head.as_bytes(), body].concat()
    }

    #[test]
    fn a_set_is_asked_for_by_its_url_and_comes_with_how_long_it_is_fresh() {
        run(async {
            let (outcome, head) = fetched(answer("200 OK\r\nCache-Control: max-age=90", b"{}")).await;
            let fetched = outcome.unwrap();
            assert_eq!((fetched.text.as_slice(), fetched.fresh), (b"{}".as_slice(), Some(Duration::from_secs(90))));
            assert!(head.starts_with("GET /keys?all HTTP/1.1\r\n"), "{head}");
            let head = head.to_lowercase();
            assert!(
                head.contains("\r\nhost: 127.0.0.1:") && head.contains("\r\naccept: application/json\r\n"),
                "{head}"
            );
        });
    }

    #[test]
    fn a_set_of_10_mib_is_not_read_to_its_end() {
        run(async {
            let (outcome, _) = fetched(answer("200 OK", &vec![b' '; 10 * 1024 * 1024])).await;
            assert_eq!(outcome.unwrap_err(), "it is larger than 256 KiB");
            let (outcome, _) = fetched(answer("200 OK", &vec![b' '; limits::JWKS_SIZE])).await;
            assert_eq!(outcome.unwrap().text.len(), limits::JWKS_SIZE);
        });
    }

    #[test]
    fn what_is_no_good_answer_says_why() {
        run(async {
            let (outcome, _) = fetched(answer("302 Found\r\nLocation: /other", b"")).await;
            assert_eq!(outcome.unwrap_err(), "it answers 302 Found");
            let (outcome, _) = fetched(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{".to_vec()).await;
            assert!(outcome.unwrap_err().starts_with("its answer broke off: "));
        });
    }

    #[test]
    fn a_provider_that_is_down_is_said_to_be() {
        run(async {
            let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
            let reason = from_port(port).await.unwrap_err();
            assert!(reason.contains("refused"), "{reason}");
        });
    }

    #[test]
    fn a_file_is_read_up_to_its_bound() {
        run(async {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), "{}").unwrap();
            assert_eq!(from_file(file.path().to_owned()).await.unwrap().text, b"{}");
            std::fs::write(file.path(), vec![b' '; limits::JWKS_SIZE + 1]).unwrap();
            assert_eq!(from_file(file.path().to_owned()).await.unwrap_err(), "it is larger than 256 KiB");
        });
    }
}
