//! Servers asked over TLS: the protocol, and whom a certificate is believed of.

use std::net::SocketAddr;
use std::time::Duration;

use super::states;
use crate::telemetry::Metrics;
use crate::upstream::standing::State;
use crate::upstream::testing::{Multiplexing, ask, certificate, get, options, post, respond, roots, run, trusting};
use crate::upstream::{Failure, Scheme, Server, SetupError, Shared, connect};

#[test]
fn tls_chooses_the_protocol_by_alpn_and_an_upgrade_asks_for_http1() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let (cert, config) = certificate(folder.path());
        let mut app = Multiplexing::start(None, Some(config)).await;
        let upstream = trusting(
            &options(&[app.server(Scheme::Https, "127.0.0.1"), app.server(Scheme::Https, "localhost")]),
            &cert,
        );
        // No address is in the certificate: the first server is passed over.
        upstream.group.members[1].addresses.set(&[SocketAddr::from(([127, 0, 0, 1], app.port))]);
        let script = async { respond(app.asked.recv().await.unwrap(), "h2 over TLS") };
        let (answer, ()) = tokio::join!(ask(&upstream, post()), script);
        assert_eq!(answer.unwrap(), "h2 over TLS");
        assert_eq!(states(&upstream), [State::Marked, State::Up]);
        let connected = connect::connect(&upstream.group.members[1], connect::Wanted::Http1, Duration::from_secs(20));
        assert_eq!(connected.await.unwrap().protocol, connect::Protocol::Http1);
    });
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_a_failure_to_connect() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let (_, config) = certificate(folder.path());
        let (other, _) = certificate(tempfile::tempdir().unwrap().keep().as_path());
        let app = Multiplexing::start(None, Some(config)).await;
        let upstream = trusting(&options(&[app.server(Scheme::Https, "localhost")]), &other);
        upstream.group.members[0].addresses.set(&[SocketAddr::from(([127, 0, 0, 1], app.port))]);
        let failure = ask(&upstream, get()).await.unwrap_err();
        assert!(matches!(&failure, Failure::Connect { .. }), "{failure}");
        assert!(failure.to_string().contains("certificate"), "{failure}");
    });
}

#[test]
fn an_https_server_without_a_name_for_its_certificate_or_a_machine_without_trust_is_no_upstream() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, _) = certificate(folder.path());
    let https = |host: &str| Server::Tcp { scheme: Scheme::Https, host: host.to_owned(), port: 443 };
    let set_up = |host, roots| Shared::with_roots([&options(&[https(host)])], &Metrics::new(), Some(roots));
    assert!(set_up("app", roots(&cert)).is_ok());
    assert!(matches!(set_up("a b", roots(&cert)), Err(SetupError::Name { .. })));
    assert!(matches!(set_up("app", rustls::RootCertStore::empty()), Err(SetupError::NoRoots { .. })));
}
