//! What admission costs an upgrade: a token found, verified, judged and taken out again.
//!
//! `cargo bench --bench admission`. HS256 is to add at most 15 us; RS256 and ES256, whose signatures are dearer, stand
//! beside it, and what it costs to refuse. Keys are made on the spot; a request is one as a browser sends it.

use std::future::Future;
use std::hint::black_box;
use std::io::Write as _;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::Request;
use http::request::Parts;
use jiff::Timestamp;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::json;
use steadfeed::guard::{Algorithm, AuthOptions, Auths, Carrier, KeyOptions, Signer};
use steadfeed::secret::Secret;
use steadfeed::telemetry::Metrics;
use tempfile::NamedTempFile;

/// How long each is measured.
const FOR: Duration = Duration::from_secs(1);
/// What HS256 may add to an upgrade.
const TARGET: f64 = 15.0;

fn main() {
    println!("{:<10} {:>12} {:>12} {:>12}", "us of CPU", "admit", "wrong key", "no token");
    for (name, algorithm) in [
        ("HS256", Algorithm::Hs256),
        ("RS256", Algorithm::Rs256),
        ("ES256", Algorithm::Es256),
        ("EdDSA", Algorithm::EdDsa),
    ] {
        let (ours, theirs) = (Side::new(algorithm), Side::new(algorithm));
        let auths = Auths::try_new(std::slice::from_ref(&ours.options), &Metrics::new()).expect("the key fits");
        let auth = auths.get("viewers").expect("it is there");
        let admit = |request: &Parts| {
            let mut request = request.clone();
            let found = auth.find(&request).ok()?;
            let credential = now_or_never(auth.verify(&found, Timestamp::now())).ok()?;
            found.cut(&mut request);
            Some((request, credential))
        };
        let (good, bad, none) = (request(Some(&ours.token())), request(Some(&theirs.token())), request(None));
        assert!(admit(&good).is_some() && admit(&bad).is_none() && admit(&none).is_none());
        let clone = time(|| drop(black_box(good.clone())));
        let cost = |request: &Parts| time(|| drop(black_box(admit(black_box(request))))) - clone;
        let (admitted, refused, missing) = (cost(&good), cost(&bad), cost(&none));
        println!("{name:<10} {admitted:>12.2} {refused:>12.2} {missing:>12.2}");
        if algorithm == Algorithm::Hs256 && admitted > TARGET {
            println!("HS256 costs more than the {TARGET} us that it may");
        }
    }
}

/// Who signs, and what verifies it.
struct Side {
    options: AuthOptions,
    signer: Signer,
    _file: NamedTempFile,
}

impl Side {
    fn new(algorithm: Algorithm) -> Side {
        let pair = if algorithm == Algorithm::Rs256 {
            KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)
        } else if algorithm == Algorithm::EdDsa {
            KeyPair::generate_for(&PKCS_ED25519)
        } else {
            KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
        }
        .expect("a key");
        let (public, private) = (file(&pair.public_key_pem()), file(&pair.serialize_pem()));
        let is_secret = algorithm == Algorithm::Hs256;
        let key = if is_secret {
            KeyOptions::Secret(Secret::new(pair.serialize_pem()))
        } else {
            KeyOptions::PublicKeyFile(public.path().to_owned())
        };
        let options = AuthOptions {
            name: "viewers".to_owned(),
            key,
            algorithms: vec![algorithm],
            issuer: Some("https://id.test".to_owned()),
            audience: Some("dashboard".to_owned()),
            leeway: Duration::from_secs(30),
            require: vec![("role".to_owned(), json!("operator"))],
            from: vec![Carrier::Header, Carrier::Subprotocol, Carrier::Query("token".to_owned()), Carrier::Ticket],
        };
        let signer =
            if is_secret { Signer::configured(&options) } else { Signer::with_key_file(&options, private.path()) };
        Side { options, signer: signer.expect("a key that signs"), _file: public }
    }

    fn token(&self) -> Secret {
        let claims = [("role".to_owned(), json!(["viewer", "operator"])), ("name".to_owned(), json!("Ann"))];
        let hour = Duration::from_secs(3600);
        let token = self.signer.token(&self.options, "0f1c2d3e-user", hour, &claims, Timestamp::now());
        token.expect("it is signed")
    }
}

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a file");
    file.write_all(text.as_bytes()).expect("a disk");
    file
}

/// An upgrade with its token in the query, where finding and cutting it costs most.
fn request(token: Option<&Secret>) -> Parts {
    let token = token.map(|token| format!("&token={}", token.reveal())).unwrap_or_default();
    let builder = Request::get(format!("/api/system/ws?fields=cpu,memory{token}"))
        .header("host", "dash.example.com")
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("origin", "https://dash.example.com")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36")
        .header("cookie", "theme=dark; lang=en");
    builder.body(()).expect("a request").into_parts().0
}

/// With a key that is known nothing is waited for.
fn now_or_never<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

/// Microseconds of this thread's CPU a call.
fn time(mut call: impl FnMut()) -> f64 {
    let (start, mut calls) = (cpu(), 0u32);
    while cpu() - start < FOR.as_secs_f64() {
        for _ in 0..64 {
            call();
        }
        calls += 64;
    }
    (cpu() - start) * 1e6 / f64::from(calls)
}

/// Seconds of CPU that this thread has used.
fn cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let nanos: f64 = text.split(' ').next().and_then(|first| first.parse().ok()).expect("a number");
    nanos / 1e9
}
