//! The keys that tokens are verified with, from wherever they come.

use std::sync::{Arc, Mutex};

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::KeyPair;
use serde_json::json;
use steadfeed::config::{self, Surroundings};

use super::{PLAIN, ROUTES, claims, open};
use crate::support::{Backend, Proxy, WsClient, get, until};

/// A provider of keys: serves what it is told, and counts how often it was asked.
struct Provider {
    url: String,
    state: Arc<Mutex<(String, u32)>>,
}

impl Provider {
    async fn start(first: &str) -> Provider {
        let backend = Backend::bind().await;
        let url = format!("{}/keys", backend.server());
        let state = Arc::new(Mutex::new((first.to_owned(), 0)));
        let served = Arc::clone(&state);
        tokio::spawn(async move {
            loop {
                let (_, mut stream) = backend.request().await;
                let answer = {
                    let mut state = served.lock().expect("no panic");
                    state.1 += 1;
                    state.0.clone()
                };
                stream.send(answer.as_bytes()).await;
            }
        });
        Provider { url, state }
    }

    fn serve(&self, answer: &str) {
        self.state.lock().expect("no panic").0 = answer.to_owned();
    }

    fn asked(&self) -> u32 {
        self.state.lock().expect("no panic").1
    }
}

/// An answer with these keys, by their `kid`.
fn key_set(keys: &[(&str, &EncodingKey)]) -> String {
    let key = |(kid, key): &(&str, &EncodingKey)| {
        let mut jwk = Jwk::from_encoding_key(key, Algorithm::ES256).expect("a key");
        jwk.common.key_id = Some((*kid).to_owned());
        jwk
    };
    let body = json!({ "keys": keys.iter().map(key).collect::<Vec<_>>() }).to_string();
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

fn es256(kid: &str, key: &EncodingKey) -> String {
    let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::ES256) };
    encode(&header, &claims(), key).expect("a token")
}

fn key() -> EncodingKey {
    let pair = KeyPair::generate().expect("a key");
    EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).expect("it is one")
}

fn with_provider(provider: &Provider) -> Proxy {
    Proxy::start(&format!("{PLAIN}[auth.viewers]\njwks_url = \"{}\"\n{ROUTES}", provider.url))
}

#[tokio::test]
async fn a_key_set_that_is_down_at_the_start_is_503_and_is_had_once_it_is_up() {
    let key = key();
    let provider = Provider::start("HTTP/1.1 500 Oh\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
    let proxy = with_provider(&provider);
    let bearer = format!("Bearer {}", es256("one", &key));
    let down = get(proxy.address(), "/private", &[("authorization", &bearer)]).await;
    assert_eq!((down.status, down.header("retry-after").is_some()), (503, true));
    assert_eq!(down.json()["detail"], "tokens cannot be checked at the moment; try again soon");
    provider.serve(&key_set(&[("one", &key)]));
    until("the keys", || async {
        WsClient::try_connect(proxy.address(), "/private", &[("authorization", &bearer)]).await.ok()
    })
    .await;
    assert_eq!(proxy.metric("steadfeed_jwks_keys{auth=\"viewers\"}").await, 1.0);
    assert!(proxy.metric("steadfeed_denied_total{route=\"/private\",reason=\"no_keys\"}").await >= 1.0);
}

#[tokio::test]
async fn a_key_that_nobody_has_is_refused_and_asked_for_once_however_many_bring_it() {
    let (key, other) = (key(), key());
    let provider = Provider::start(&key_set(&[("one", &key)])).await;
    let proxy = with_provider(&provider);
    open(proxy.address(), &format!("/private?token={}", es256("one", &key)), &[]).await;
    for kid in 0..20 {
        let path = format!("/private?token={}", es256(&format!("none-{kid}"), &other));
        assert_eq!(WsClient::refused(proxy.address(), &path, &[]).await.0, 401);
    }
    // The pause after the first fetch is not over.
    assert_eq!(provider.asked(), 1);
    // A key's name alone is not enough.
    let forged = format!("/private?token={}", es256("one", &other));
    assert_eq!(WsClient::refused(proxy.address(), &forged, &[]).await.0, 401);
}

#[tokio::test]
async fn a_key_file_that_is_rotated_is_read_again_for_the_first_who_brings_the_new_key() {
    let (old, new) = (key(), key());
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("keys.json");
    let body = |keys: &[(&str, &EncodingKey)]| key_set(keys).split_once("\r\n\r\n").expect("a body").1.to_owned();
    std::fs::write(&path, body(&[("old", &old)])).expect("a disk");
    let auth = format!("[auth.viewers]\njwks_file = \"{}\"\n", path.display());
    let proxy = Proxy::start(&format!("{PLAIN}{auth}{ROUTES}"));
    open(proxy.address(), &format!("/private?token={}", es256("old", &old)), &[]).await;
    std::fs::write(&path, body(&[("new", &new)])).expect("a disk");
    open(proxy.address(), &format!("/private?token={}", es256("new", &new)), &[]).await;
    let gone = format!("/private?token={}", es256("old", &old));
    assert_eq!(WsClient::refused(proxy.address(), &gone, &[]).await.0, 401);
}

#[test]
fn a_config_whose_key_cannot_be_had_is_told_at_the_start() {
    let surroundings = Surroundings { variable: &|_| None, cpus: std::num::NonZeroUsize::MIN, descriptors: 20_000 };
    let text = format!("{PLAIN}[auth.viewers]\npublic_key_file = \"Cargo.toml\"\n{ROUTES}");
    let loaded = config::check("a.toml".to_owned(), text, &surroundings).unwrap_or_else(|refused| panic!("{refused}"));
    let error = steadfeed::app::App::bind(loaded.config).expect_err("Cargo.toml is no key");
    assert!(error.to_string().contains("Cargo.toml: it holds no public key or certificate in PEM"), "{error}");
}
