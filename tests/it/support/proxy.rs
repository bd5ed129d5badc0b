//! A steadfeed in this process, on a thread of its own, stopped on drop.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::thread::JoinHandle;

use steadfeed::app::App;
use steadfeed::config::{self, Surroundings};
use steadfeed::shutdown::Stages;

use super::{Reply, get, post_json};

/// What every test config starts with: an admin listener, and two workers.
const BASE: &str = "workers = 2\n[log]\naccess = false\n[admin]\nlisten = \"127.0.0.1:0\"\n";

pub struct Proxy {
    addresses: Vec<SocketAddr>,
    admin: Option<SocketAddr>,
    stages: Stages,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Starts from a config that has a `[log]` and an `[admin]` of ours before it.
    pub fn start(toml: &str) -> Proxy {
        Proxy::start_whole(&format!("{BASE}{toml}"))
    }

    /// Starts from exactly this config.
    pub fn start_whole(toml: &str) -> Proxy {
        let surroundings = Surroundings { variable: &|_| None, cpus: NonZeroUsize::MIN, descriptors: 20_000 };
        let loaded = config::check("test.toml".to_owned(), toml.to_owned(), &surroundings)
            .unwrap_or_else(|refused| panic!("{refused}"));
        let app = App::bind(loaded.config).unwrap_or_else(|error| panic!("{error}"));
        let addresses = app.addresses().iter().map(|at| at.address).collect();
        let (admin, stages) = (app.admin_address(), app.stages());
        let thread = std::thread::spawn(move || app.run(std::future::pending).expect("threads can be had"));
        Proxy { addresses, admin, stages, thread: Some(thread) }
    }

    /// The address of the first listener.
    pub fn address(&self) -> SocketAddr {
        self.listener(0)
    }

    pub fn listener(&self, index: usize) -> SocketAddr {
        self.addresses[index]
    }

    pub fn admin(&self) -> SocketAddr {
        self.admin.expect("the config has an admin listener")
    }

    pub fn stages(&self) -> &Stages {
        &self.stages
    }

    /// Publishes to a feed; the answer.
    pub async fn publish(&self, feed: &str, message: &str) -> Reply {
        let reply = post_json(self.admin(), &format!("/api/feeds/{feed}"), message).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply
    }

    /// The value of a metric, named with its labels as `/metrics` writes it; 0 where it is not there yet.
    pub async fn metric(&self, name: &str) -> f64 {
        let reply = get(self.admin(), "/metrics", &[]).await;
        let text = reply.text();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().expect("a metric's value is a number"))
    }

    /// Waits until it has ended by itself.
    pub fn join(mut self) {
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the control thread ends well");
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stages.end();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !std::thread::panicking() {
                ended.expect("the control thread ends well");
            }
        }
    }
}
