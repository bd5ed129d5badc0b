//! `steadfeed health`: is this process ready? For a container's HEALTHCHECK, so that the image needs no curl.
//!
//! Never: prints anything when all is well.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use clap::Args;
use http::{HeaderMap, StatusCode, Uri};
use tokio::time::timeout;

use super::ConfigArg;
use super::client::{self, ClientError, Trust};
use crate::config::{self, Chosen, Surroundings};
use crate::limits;

/// What is asked where neither a URL nor a config says otherwise: a config that is wrong just now may still be served as it
/// was.
pub const DEFAULT_URL: &str = "http://127.0.0.1:9090/readyz";

/// The arguments of `health`.
#[derive(Debug, Clone, Args)]
pub struct HealthArgs {
    /// What to ask; 2xx within two seconds is healthy [default: /readyz of the config's admin listener]
    #[arg(value_name = "URL")]
    pub url: Option<String>,
    #[command(flatten)]
    pub config: ConfigArg,
    /// Accept any certificate of an https URL, such as a self-signed one
    #[arg(long)]
    pub insecure: bool,
}

/// Why a process does not count as healthy.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    #[error("{0} is no URL; write http://HOST:PORT/PATH or https://...")]
    Url(String),
    #[error("the config's admin listener is off; write the URL of a route to ask, as in http://127.0.0.1:8080/health")]
    Off,
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("{url} answered {status}")]
    Status { url: Uri, status: StatusCode },
    #[error("{url} did not answer within {} seconds", limits::HEALTH_TIMEOUT.as_secs())]
    Timeout { url: Uri },
}

/// Asks the URL of `args`, else that of the config's admin listener, else [`DEFAULT_URL`].
///
/// # Errors
///
/// When the answer is not 2xx, or there is none in time; the text is for the operator.
pub async fn run(args: &HealthArgs) -> Result<(), HealthError> {
    let text = match &args.url {
        Some(url) => url.clone(),
        None => of_config(args.config.config.as_deref())?,
    };
    ask(text, args.insecure).await
}

/// Where the config that `run` would choose is asked.
fn of_config(named: Option<&Path>) -> Result<String, HealthError> {
    let surroundings = Surroundings::real();
    match config::load(&Chosen::choose(named, surroundings.variable), &surroundings) {
        Ok(loaded) => loaded.config.admin.map(|admin| ready_url(admin.listen)).ok_or(HealthError::Off),
        Err(_) => Ok(DEFAULT_URL.to_owned()),
    }
}

async fn ask(text: String, insecure: bool) -> Result<(), HealthError> {
    let url: Uri = text.parse().map_err(|_| HealthError::Url(text))?;
    let trust = Trust::new(insecure);
    match timeout(limits::HEALTH_TIMEOUT, client::get(&url, &HeaderMap::new(), trust)).await {
        Ok(Ok(answer)) if answer.status().is_success() => Ok(()),
        Ok(Ok(answer)) => Err(HealthError::Status { url, status: answer.status() }),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(HealthError::Timeout { url }),
    }
}

/// Where an admin listener bound to `admin` is asked from its own host: all addresses are reached by loopback.
#[must_use]
pub fn ready_url(admin: SocketAddr) -> String {
    let address = match admin.ip() {
        IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        address @ (IpAddr::V4(_) | IpAddr::V6(_)) => address,
    };
    format!("http://{}/readyz", SocketAddr::new(address, admin.port()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::tls::testing::{load, write_pair};
    use crate::testing::{head, listen};
    use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
    use tokio_rustls::TlsAcceptor;

    /// Reads a request head, answers, and gives the head.
    async fn answer(mut io: impl AsyncRead + AsyncWrite + Unpin, answer: &str) -> String {
        let head = head(&mut io).await.unwrap();
        io.write_all(answer.as_bytes()).await.unwrap();
        io.flush().await.unwrap();
        head
    }

    /// An admin listener there.
    async fn ask_at(admin: SocketAddr) -> Result<(), HealthError> {
        ask(ready_url(admin), false).await
    }

    #[track_caller]
    fn check(found: &Result<(), HealthError>, expected: &str) {
        let said = found.as_ref().map_or_else(ToString::to_string, |()| "well".to_owned());
        assert!(said.contains(expected), "{said:?} has {expected:?}");
    }

    async fn asked(status: &str) -> (Result<(), HealthError>, String) {
        let (listener, address) = listen().await;
        let text = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        let serve = async { answer(listener.accept().await.unwrap().0, &text).await };
        tokio::join!(ask_at(address), serve)
    }

    #[tokio::test]
    async fn an_answer_of_2xx_is_well_and_any_other_is_told() {
        let (found, head) = asked("200 OK").await;
        check(&found, "well");
        assert!(head.starts_with("GET /readyz HTTP/1.1\r\nhost: 127.0.0.1:"), "{head}");
        check(&asked("204 No Content").await.0, "well");
        check(&asked("503 Service Unavailable").await.0, "/readyz answered 503 Service Unavailable");
        check(&asked("308 Permanent Redirect").await.0, "answered 308");
    }

    #[tokio::test]
    async fn nobody_there_is_told() {
        let (listener, address) = listen().await;
        drop(listener);
        check(&ask_at(address).await, "cannot connect to 127.0.0.1:");
    }

    #[tokio::test]
    async fn an_end_without_an_answer_is_told() {
        let (listener, address) = listen().await;
        let serve = async { drop(listener.accept().await.unwrap()) };
        let (found, ()) = tokio::join!(ask_at(address), serve);
        check(&found, "no HTTP answer from 127.0.0.1:");
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_after_two_seconds() {
        let (_listener, address) = listen().await;
        let start = tokio::time::Instant::now();
        check(&ask_at(address).await, "did not answer within 2 seconds");
        assert_eq!(start.elapsed().as_secs(), limits::HEALTH_TIMEOUT.as_secs());
    }

    #[tokio::test]
    async fn https_is_believed_only_where_it_should_be() {
        let folder = tempfile::tempdir().unwrap();
        let tls = TlsAcceptor::from(load(&[write_pair(folder.path(), "a", &["127.0.0.1"])]).server_config());
        let (listener, address) = listen().await;
        let url = format!("https://{address}/health?x=1");

        let well = async {
            let stream = tls.accept(listener.accept().await.unwrap().0).await.unwrap();
            answer(stream, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await
        };
        let (found, head) = tokio::join!(ask(url.clone(), true), well);
        check(&found, "well");
        assert!(head.starts_with("GET /health?x=1 HTTP/1.1\r\n"), "{head}");

        // A machine without authorities refuses as well, before it greets.
        let refused = async {
            let stream = listener.accept().await.unwrap().0;
            assert!(tls.accept(stream).await.is_err());
        };
        let (found, ()) = tokio::join!(ask(url, false), refused);
        assert!(matches!(found, Err(HealthError::Client(ClientError::Tls { .. } | ClientError::NoRoots))), "{found:?}");
    }

    #[tokio::test]
    async fn what_is_no_url_is_told() {
        for (url, said) in [
            ("a b", "a b is no URL"),
            ("localhost:9090/readyz", "is no URL"),
            ("localhost", "localhost is no URL to ask; write http://HOST:PORT/PATH"),
            ("ftp://localhost/", "is no URL to ask"),
            ("http://me:secret@localhost/", "is no URL to ask"),
            ("/readyz", "is no URL to ask"),
        ] {
            check(&ask(url.to_owned(), false).await, said);
        }
    }

    #[test]
    fn an_admin_on_all_addresses_is_asked_by_loopback() {
        for (admin, expected) in [
            ("127.0.0.1:9090", DEFAULT_URL),
            ("0.0.0.0:9090", DEFAULT_URL),
            ("[::]:9", "http://[::1]:9/readyz"),
            ("10.0.0.5:80", "http://10.0.0.5:80/readyz"),
        ] {
            assert_eq!(ready_url(admin.parse().unwrap()), expected);
        }
    }
}
