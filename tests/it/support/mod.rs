//! What the tests share: a proxy, clients that speak the wire, and waiting.

pub mod backend;
pub mod browser;
pub mod cert;
pub mod config;
pub mod h2;
pub mod h2_stream;
pub mod http;
pub mod instance;
pub mod keep;
pub mod legacy;
pub mod proxy;
pub mod raw;
pub mod raw_ws;
pub mod server_ws;
pub mod servers;
pub mod sources;
pub mod sse;
pub mod tls;
pub mod ws;

pub use backend::Backend;
pub use cert::Identity;
pub use h2::H2Client;
pub use http::{Reply, get, post_json, request};
pub use instance::Instance;
pub use keep::KeepAlive;
pub use proxy::Proxy;
pub use raw::RawHttp;
pub use raw_ws::RawWs;
pub use server_ws::ServerWs;
pub use sse::{Event, SseClient};
pub use ws::WsClient;

use std::future::Future;
use std::time::Duration;

/// How long anything may take that is expected to happen.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// The outcome, or a failure that says what was waited for.
pub async fn within<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(output) => output,
        Err(_) => panic!("waited {DEADLINE:?} for {what}"),
    }
}

/// Asks `probe` again until it gives something.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut probe: impl FnMut() -> F) -> T {
    within(what, async {
        loop {
            if let Some(found) = probe().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
}
