//! A plain HTTP/1.1 GET, with TLS where the URL says so: all that `health` and `watch` need of a client.
//!
//! Owns: which certificates the command line believes. Never: follows a redirect, keeps a connection for a second
//! request, or waits with a deadline of its own; callers have theirs.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{HOST, HeaderValue, USER_AGENT};
use http::{HeaderMap, Request, Response, Uri};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::message::headers::AGENT;
use crate::net::tls::{provider, system_roots};

/// Whose certificates a client believes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Trust {
    /// This machine's certificate authorities (`SSL_CERT_FILE` and `SSL_CERT_DIR` replace them).
    #[default]
    System,
    /// Anybody's: the line is encrypted, to whoever answers.
    Anything,
}

impl Trust {
    /// As `--insecure` says.
    #[must_use]
    pub fn new(insecure: bool) -> Trust {
        if insecure { Trust::Anything } else { Trust::System }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("{0} is no URL to ask; write http://HOST:PORT/PATH or https://...")]
    Url(String),
    #[error("cannot connect to {authority}: {source}")]
    Connect { authority: String, source: io::Error },
    #[error("no TLS with {authority}: {source}")]
    Tls { authority: String, source: io::Error },
    #[error(
        "this machine trusts no certificate authority; install ca-certificates, set SSL_CERT_FILE, or use --insecure"
    )]
    NoRoots,
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
    #[error("no HTTP answer from {authority}: {source}")]
    Http { authority: String, source: hyper::Error },
}

/// A URL taken apart.
#[derive(Debug)]
struct Target<'a> {
    host: &'a str,
    port: u16,
    tls: bool,
    /// As the `Host` field has it: without user and default port untouched.
    authority: HeaderValue,
    path: &'a str,
}

/// Asks for `url` with `headers`; gives the head of the answer, whose body streams. Runs on any tokio runtime; what
/// drives the connection ends with the body.
///
/// # Errors
///
/// When the URL is not http or https, or there is no answer. An answer of any status is an answer.
pub async fn get(url: &Uri, headers: &HeaderMap, trust: Trust) -> Result<Response<Incoming>, ClientError> {
    let target = Target::of(url)?;
    let connected = TcpStream::connect((target.host, target.port)).await;
    let tcp = connected.map_err(|source| ClientError::Connect { authority: target.name(), source })?;
    // One small request: nothing to gather, and nothing lost where it cannot be set.
    let _ = tcp.set_nodelay(true);
    if !target.tls {
        return exchange(tcp, &target, headers).await;
    }
    let name = ServerName::try_from(target.host.to_owned()).map_err(|_| ClientError::Url(url.to_string()))?;
    let connector = TlsConnector::from(tls_client_config(trust)?);
    let handshake = Box::pin(connector.connect(name, tcp)).await;
    let tls = handshake.map_err(|source| ClientError::Tls { authority: target.name(), source })?;
    exchange(tls, &target, headers).await
}

/// TLS 1.2 and 1.3, HTTP/1.1 by ALPN, sessions not kept.
///
/// # Errors
///
/// When nothing is trusted on this machine.
pub fn tls_client_config(trust: Trust) -> Result<Arc<ClientConfig>, ClientError> {
    let provider = provider();
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let mut config = match trust {
        Trust::System => {
            let roots = system_roots();
            if roots.is_empty() {
                return Err(ClientError::NoRoots);
            }
            builder.with_root_certificates(roots).with_no_client_auth()
        }
        Trust::Anything => {
            let verifier = Arc::new(Anyone(provider));
            builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

async fn exchange(
    io: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    target: &Target<'_>,
    headers: &HeaderMap,
) -> Result<Response<Incoming>, ClientError> {
    let failed = |source| ClientError::Http { authority: target.name(), source };
    let request = target.request(headers)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(io)).await.map_err(failed)?;
    drive(connection);
    sender.send_request(request).await.map_err(failed)
}

/// Moves the connection's bytes until its one answer is read or given up.
#[expect(clippy::disallowed_methods, reason = "the command line has no drain; this task ends with the response")]
fn drive<T: Read + Write + Unpin + Send + 'static>(connection: http1::Connection<T, Empty<Bytes>>) {
    tokio::spawn(async move {
        // Who reads the body is told of the error.
        let _ = connection.await;
    });
}

impl Target<'_> {
    fn of(url: &Uri) -> Result<Target<'_>, ClientError> {
        let no_url = || ClientError::Url(url.to_string());
        let tls = match url.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            Some(_) | None => return Err(no_url()),
        };
        let host = url.host().filter(|host| !host.is_empty()).ok_or_else(no_url)?;
        let authority = url.authority().map(http::uri::Authority::as_str).ok_or_else(no_url)?;
        if authority.contains('@') {
            // It would be sent in the clear, or not at all; either surprises.
            return Err(no_url());
        }
        Ok(Target {
            host: host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host),
            port: url.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            tls,
            authority: HeaderValue::from_str(authority).map_err(|_| no_url())?,
            path: url.path_and_query().map_or("/", http::uri::PathAndQuery::as_str),
        })
    }

    /// The authority, for people.
    fn name(&self) -> String {
        String::from_utf8_lossy(self.authority.as_bytes()).into_owned()
    }

    fn request(&self, headers: &HeaderMap) -> Result<Request<Empty<Bytes>>, ClientError> {
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = self.path.parse().map_err(|_| ClientError::Url(self.path.to_owned()))?;
        let fields = request.headers_mut();
        fields.insert(HOST, self.authority.clone());
        fields.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        // The caller's own take the place of ours, and may stand more than once.
        for name in headers.keys() {
            fields.remove(name);
        }
        for (name, value) in headers {
            fields.append(name, value.clone());
        }
        Ok(request)
    }
}

/// Believes any certificate, but still wants its holder to prove the key.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{head, listen};
    use http_body_util::BodyExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn a_body_streams_as_it_comes_and_ends_the_connection() {
        let (listener, address) = listen().await;
        let url: Uri = format!("http://{address}/feed?last=1").parse().unwrap();
        let headers = HeaderMap::from_iter([(http::header::ACCEPT, HeaderValue::from_static("text/event-stream"))]);
        let (answer, (head, mut stream)) = tokio::join!(get(&url, &headers, Trust::System), async {
            let mut stream = listener.accept().await.unwrap().0;
            let head = head(&mut stream).await.unwrap();
            let begin = b"HTTP/1.1 200 OK\r\nX-Test: yes\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n";
            stream.write_all(begin).await.unwrap();
            (head, stream)
        });
        assert!(head.starts_with("GET /feed?last=1 HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("accept: text/event-stream\r\n"), "{head}");
        let answer = answer.unwrap();
        assert_eq!(answer.headers()["x-test"], "yes");
        let mut body = answer.into_body();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "one");
        stream.write_all(b"3\r\ntwo\r\n").await.unwrap();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "two");
        drop(body);
        assert_eq!(stream.read(&mut [0; 16]).await.unwrap_or(0), 0, "giving up the body closes the connection");
    }

    #[tokio::test]
    async fn the_callers_headers_take_the_place_of_ours() {
        let (listener, address) = listen().await;
        let url: Uri = format!("http://{address}").parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("dash.test"));
        headers.append("x-a", HeaderValue::from_static("1"));
        headers.append("x-a", HeaderValue::from_static("2"));
        let (answer, head) = tokio::join!(get(&url, &headers, Trust::System), async {
            let mut stream = listener.accept().await.unwrap().0;
            let head = head(&mut stream).await.unwrap();
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
            head
        });
        assert_eq!(answer.unwrap().status(), 204);
        let mut lines: Vec<_> = head.trim_end().split("\r\n").collect();
        lines.sort_unstable();
        let agent = concat!("user-agent: steadfeed/", env!("CARGO_PKG_VERSION"));
        assert_eq!(lines, ["GET / HTTP/1.1", "host: dash.test", agent, "x-a: 1", "x-a: 2"]);
    }

    #[track_caller]
    fn check(url: &str, expected: (&str, u16, bool, &str)) {
        let url = url.parse().unwrap();
        let target = Target::of(&url).unwrap();
        assert_eq!((target.host, target.port, target.tls, target.path), expected);
    }

    #[test]
    fn a_url_is_taken_apart() {
        check("http://a.test", ("a.test", 80, false, "/"));
        check("https://a.test/x?y=1", ("a.test", 443, true, "/x?y=1"));
        check("https://[::1]:8443/", ("::1", 8443, true, "/"));
        check("http://127.0.0.1:9090/readyz", ("127.0.0.1", 9090, false, "/readyz"));
    }
}
