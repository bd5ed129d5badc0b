//! What a hostile or broken client gets, and that nobody else notices.
//!
//! Each runs the real binary: what it logs is part of the answer, and a panic anywhere fails the test.
//!
//! Owns: the process and its bystander; each of the submodules has one kind of bad input.

mod deadlines;
mod floods;
mod frames;
mod requests;

use std::net::SocketAddr;

use crate::support::config::{events, plain, tls};
use crate::support::raw_ws::RawWs;
use crate::support::{Instance, RawHttp, WsClient, post_json};

/// A plain listener, one over TLS, and a feed.
const SERVED: &str = concat!(plain!(), tls!(), events!("keepalive = false\n"));

/// A process that serves, and a viewer who must not notice anything.
struct Scene {
    instance: Instance,
    bystander: WsClient,
    said: u64,
}

impl Scene {
    async fn start() -> Scene {
        Scene::with("").await
    }

    async fn with(keys: &str) -> Scene {
        let instance = Instance::start(&format!("{keys}{SERVED}")).await;
        let mut bystander = WsClient::connect(instance.address(), "/events").await;
        assert_eq!(bystander.json().await["type"], "connected");
        let mut scene = Scene { instance, bystander, said: 0 };
        scene.undisturbed().await;
        scene
    }

    fn address(&self) -> SocketAddr {
        self.instance.address()
    }

    fn tls(&self) -> SocketAddr {
        self.instance.listener(1)
    }

    /// The bystander gets the next message, and nothing but it.
    async fn undisturbed(&mut self) {
        self.said += 1;
        let message = format!(r#"{{"type":"n","data":{}}}"#, self.said);
        let reply = post_json(self.instance.admin(), "/api/feeds/events", &message).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(self.bystander.json().await["data"], self.said);
    }

    /// These bytes, said to the plain listener at once, are answered with `status`, and the connection ends.
    #[track_caller]
    fn answered<'a>(&'a self, bytes: &'a [u8], status: u16) -> impl Future<Output = ()> + 'a {
        let place = std::panic::Location::caller();
        async move {
            let mut raw = RawHttp::connect(self.address()).await;
            raw.send(bytes).await;
            let answer = String::from_utf8_lossy(&raw.rest().await).into_owned();
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{place}: {answer:?}");
        }
    }

    /// As [`answered`](Scene::answered), though the client goes on talking.
    #[track_caller]
    fn cut_short<'a>(&'a self, bytes: &'a [u8], status: u16) -> impl Future<Output = ()> + 'a {
        let place = std::panic::Location::caller();
        async move {
            let mut raw = RawHttp::connect(self.address()).await;
            raw.send(bytes).await;
            let answer = String::from_utf8_lossy(&raw.closed().await).into_owned();
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{place}: {answer:?}");
            let problem =
                answer.contains("application/problem+json") && answer.contains(&format!("\"status\":{status},"));
            assert!(problem, "{place}: {answer:?}");
        }
    }

    /// A socket that says these bytes is closed with `code`.
    #[track_caller]
    fn closed<'a>(&'a self, bytes: &'a [u8], code: u16) -> impl Future<Output = ()> + 'a {
        let place = std::panic::Location::caller();
        async move {
            let mut socket = RawWs::connect(self.address(), "/events", &[]).await;
            socket.send(bytes).await;
            assert_eq!(socket.closed().await.0, code, "{place}");
            socket.raw.closed().await;
        }
    }
}
