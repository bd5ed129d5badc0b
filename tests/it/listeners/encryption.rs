//! TLS: versions, certificates by name, ALPN, resumption, and certificates that change.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::{ClientConfig, HandshakeKind, ProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{publish, with};
use crate::support::{H2Client, Instance, WsClient, tls, within};

/// A config with these certificates of `folder`.
fn certificates(names: &[&str], folder: &std::path::Path) -> String {
    let pair = |name: &&str| {
        let (cert, key) = tls::make(folder, name);
        format!("{{ cert = \"{}\", key = \"{}\" }}", cert.display(), key.display())
    };
    let pairs: Vec<_> = names.iter().map(pair).collect();
    with(&format!("[[listener]]\naddress = \"127.0.0.1:0\"\ntls.certificates = [{}]", pairs.join(", ")))
}

fn offering(mut config: ClientConfig, protocol: &str) -> Arc<ClientConfig> {
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    Arc::new(config)
}

#[tokio::test]
async fn tls_1_2_and_1_3_are_spoken_with_the_certificate_of_the_name_asked_for() {
    let certs = tempfile::tempdir().expect("a folder");
    let instance = Instance::start(&certificates(&["a.test", "b.test"], certs.path())).await;
    for (versions, spoken) in
        [(&[&rustls::version::TLS12], ProtocolVersion::TLSv1_2), (&[&rustls::version::TLS13], ProtocolVersion::TLSv1_3)]
    {
        let config = Arc::new(tls::client(certs.path(), versions));
        for name in ["a.test", "b.test"] {
            let mut stream = tls::connect(&config, instance.address(), name).await.expect("TLS");
            assert_eq!(stream.get_ref().1.protocol_version(), Some(spoken));
            assert_eq!(tls::shown(&stream), tls::first(&certs.path().join(format!("{name}.pem"))));
            assert!(ask(&mut stream).await.ends_with("hello"));
        }
    }
    let stranger = tls::connect(&Arc::new(tls::client(certs.path(), tls::BOTH)), instance.address(), "c.test").await;
    assert!(stranger.is_err(), "the first certificate is not c.test's");
}

/// Asks for `/hello` over HTTP/1.1; the connection stays.
async fn ask(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin)) -> String {
    stream.write_all(b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("it is taken");
    let mut answer = Vec::new();
    within("an answer", async {
        while !answer.ends_with(b"hello") {
            assert!(stream.read_buf(&mut answer).await.expect("an answer") > 0);
        }
    })
    .await;
    String::from_utf8(answer).expect("text")
}

#[tokio::test]
async fn http2_is_chosen_by_alpn_and_by_its_preface() {
    let certs = tempfile::tempdir().expect("a folder");
    let instance = Instance::start(&certificates(&["a.test"], certs.path())).await;
    let stream =
        tls::connect(&offering(tls::client(certs.path(), tls::BOTH), "h2"), instance.address(), "a.test").await;
    let client = H2Client::over(stream.expect("TLS"), "a.test").await;
    assert_eq!(client.answer("/hello", &[]).await, (200, "hello".to_owned()));
    let plain = H2Client::connect(instance.listener(1)).await;
    assert_eq!(plain.answer("/hello", &[]).await, (200, "hello".to_owned()));
    let config = offering(tls::client(certs.path(), tls::BOTH), "http/1.1");
    let stream = tls::connect(&config, instance.address(), "a.test");
    assert!(ask(&mut stream.await.expect("TLS")).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn new_certificates_are_served_without_cutting_a_viewer_and_bad_ones_are_not() {
    let certs = tempfile::tempdir().expect("a folder");
    let instance = Instance::start(&certificates(&["localhost"], certs.path())).await;
    let mut viewer = WsClient::connect_tls(instance.address(), "/events").await;
    let (cert, key) = (certs.path().join("localhost.pem"), certs.path().join("localhost.key"));
    let shown = async || {
        let config = Arc::new(tls::client(certs.path(), tls::BOTH));
        tls::shown(&tls::connect(&config, instance.address(), "localhost").await.expect("TLS"))
    };
    let old = tls::first(&cert);
    assert_eq!(shown().await, old);
    tls::make(certs.path(), "localhost");
    let new = tls::first(&cert);
    assert_ne!(new, old);
    instance.line("certificates replaced").await;
    assert_eq!(shown().await, new);
    publish(&instance, 1).await;
    assert_eq!(viewer.data().await["data"], 1);
    let (_, stranger) = tls::make(certs.path(), "stranger");
    std::fs::copy(stranger, &key).expect("the key can be replaced");
    let complaint = instance.line("certificates not replaced").await;
    assert!(complaint.contains("ERROR") && complaint.contains("does not match"), "{complaint}");
    assert_eq!(shown().await, new);
    std::fs::remove_file(&cert).expect("the certificate can be removed");
    instance.lines("certificates not replaced", 2).await;
    assert_eq!(shown().await, new);
    publish(&instance, 2).await;
    assert_eq!(viewer.data().await["data"], 2);
}

#[tokio::test]
async fn a_session_is_resumed_on_whichever_worker() {
    let certs = tempfile::tempdir().expect("a folder");
    let instance = Instance::start(&certificates(&["a.test"], certs.path())).await;
    for version in tls::BOTH {
        let mut config = tls::client(certs.path(), &[version]);
        config.resumption = Resumption::in_memory_sessions(8);
        let config = Arc::new(config);
        // Each stays open, so that the workers take turns.
        let mut open = Vec::new();
        for turn in 0..6 {
            let mut stream = tls::connect(&config, instance.address(), "a.test").await.expect("TLS");
            let resumed = stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
            assert_eq!(resumed, turn > 0, "{version:?}, connection {turn}");
            ask(&mut stream).await;
            open.push(stream);
        }
    }
}

#[tokio::test]
async fn a_self_signed_certificate_is_made_once_and_kept_in_certs() {
    use std::os::unix::fs::PermissionsExt;
    let config = with("[[listener]]\naddress = \"127.0.0.1:0\"\ntls.self_signed = [\"localhost\", \"127.0.0.1\"]");
    let config = format!("admin.listen = \"off\"\n{config}");
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    let file = |name: &str| {
        let path = folder.path().join("certs").join(name);
        let metadata = std::fs::metadata(&path).expect("it is kept");
        (std::fs::read(path).expect("it can be read"), metadata.modified().expect("a time"), metadata.permissions())
    };
    let first = Instance::start_in(Arc::clone(&folder), &config).await;
    first.line("made a self-signed certificate for localhost, 127.0.0.1").await;
    let (cert, key) = (file("self-signed.pem"), file("self-signed.key"));
    assert_eq!(key.2.mode() & 0o777, 0o600);
    drop(first);
    let second = Instance::start_in(Arc::clone(&folder), &config).await;
    let client = steadfeed::cli::client::tls_client_config(steadfeed::cli::client::Trust::Anything).expect("TLS");
    let stream = tls::connect(&client, second.address(), "localhost").await.expect("TLS");
    assert_eq!(tls::shown(&stream), tls::first(&folder.path().join("certs/self-signed.pem")));
    assert_eq!((cert, key), (file("self-signed.pem"), file("self-signed.key")));
    assert!(!second.printed().iter().any(|line| line.contains("made a self-signed")), "{:?}", second.printed());
}
