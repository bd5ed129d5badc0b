//! What admission itself costs, within this process: a token found, verified, judged and taken out again.
//!
//! A request is one as a browser sends it, with its token in the query, where finding and cutting it costs most.

use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::Request;
use http::request::Parts;
use jiff::Timestamp;
use steadfeed::guard::Auths;
use steadfeed::secret::Secret;
use steadfeed::telemetry::Metrics;

use super::keys::{ALGORITHMS, Side};
use super::{Outcome, TARGET};

/// How long each is measured.
const FOR: Duration = Duration::from_secs(1);

/// Microseconds of this thread's CPU a request.
pub fn run() -> Outcome<()> {
    println!("{:<10} {:>12} {:>12} {:>12}", "us of CPU", "admit", "wrong key", "no token");
    for (name, algorithm) in ALGORITHMS {
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
        if name == "HS256" && admitted > TARGET {
            println!("HS256 costs more than the {TARGET} us that it may");
        }
    }
    Ok(())
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
