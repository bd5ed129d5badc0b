//! A steadfeed in this process, on a thread of its own, stopped on drop.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use steadfeed::app::App;
use steadfeed::cli::run::reader;
use steadfeed::config::{self, Config, Loaded, Refused, Surroundings};
use steadfeed::shutdown::Stages;

use super::config::{PLAIN, PLAIN_H2};
use super::{KeepAlive, Reply, get, post_json, until};

/// What every test config starts with: an admin listener, and two workers.
pub const BASE: &str = "workers = 2\n[log]\naccess = false\n[admin]\nlisten = \"127.0.0.1:0\"\n";

pub struct Proxy {
    addresses: Vec<SocketAddr>,
    admin: Option<SocketAddr>,
    stages: Stages,
    thread: Option<JoinHandle<()>>,
    /// The id of what was [said](Proxy::say) last.
    said: RefCell<String>,
    /// What is read at a reload.
    text: Arc<Mutex<String>>,
}

/// A feed `f` that is published to, with these options, at `/f` of a plain listener; keys of its route may follow.
pub fn feed(options: &str) -> String {
    feed_of(PLAIN, options)
}

/// The same, where viewers may come over HTTP/2 too.
pub fn feed_over_h2(options: &str) -> String {
    feed_of(PLAIN_H2, options)
}

fn feed_of(listener: &str, options: &str) -> String {
    format!(
        "{listener}[feed.f]\nsource = {{ publish = {{}} }}\n{options}\n\
         [[route]]\npath = \"/f\"\nfeed = \"f\"\n"
    )
}

fn read(toml: &str) -> Result<Loaded, Refused> {
    let surroundings = Surroundings { variable: &|_| None, cpus: NonZeroUsize::MIN, descriptors: 20_000 };
    config::check("test.toml".to_owned(), toml.to_owned(), &surroundings)
}

impl Proxy {
    /// Serves one [`feed`].
    pub fn of_feed(options: &str) -> Proxy {
        Proxy::start(&feed(options))
    }

    /// Starts from a config that has a `[log]` and an `[admin]` of ours before it.
    pub fn start(toml: &str) -> Proxy {
        Proxy::start_whole(&format!("{BASE}{toml}"))
    }

    /// The same, of a config that is changed once it is read.
    pub fn start_edited(toml: &str, edit: impl FnOnce(&mut Config)) -> Proxy {
        Proxy::start_with(&format!("{BASE}{toml}"), edit)
    }

    /// Starts from exactly this config.
    pub fn start_whole(toml: &str) -> Proxy {
        Proxy::start_with(toml, |_| {})
    }

    /// Starts from a config of which `change` makes what no text does.
    pub fn start_with(toml: &str, change: impl FnOnce(&mut Config)) -> Proxy {
        let mut loaded = read(toml).unwrap_or_else(|refused| panic!("{refused}"));
        change(&mut loaded.config);
        let text = Arc::new(Mutex::new(toml.to_owned()));
        let again = Arc::clone(&text);
        let reader = reader(move || read(&again.lock().expect("no panic")));
        let app = App::bind(loaded.config).unwrap_or_else(|error| panic!("{error}")).with_reader(reader);
        let addresses = app.addresses().iter().map(|at| at.address).collect();
        let (admin, stages) = (app.admin_address(), app.stages());
        let thread = std::thread::spawn(move || app.run(std::future::pending).expect("threads can be had"));
        Proxy { addresses, admin, stages, thread: Some(thread), said: RefCell::default(), text }
    }

    /// Has it read this config, with a `[log]` and an `[admin]` of ours before it; the answer.
    pub async fn reload(&self, toml: &str) -> Reply {
        self.reload_whole(&format!("{BASE}{toml}")).await
    }

    /// Has it read exactly this config; the answer.
    pub async fn reload_whole(&self, toml: &str) -> Reply {
        toml.clone_into(&mut self.text.lock().expect("no panic"));
        post_json(self.admin(), "/api/reload", "{}").await
    }

    /// Has it use this config; the answer.
    pub async fn turn_to(&self, toml: &str) -> serde_json::Value {
        let reply = self.reload(toml).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()
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

    /// Publishes to the feed `f`; the id, or nothing where the message was held or skipped.
    pub async fn say(&self, message: &str) -> Option<String> {
        let id = self.publish("f", message).await.json()["id"].as_str().map(str::to_owned);
        self.said.replace(id.clone().unwrap_or_default());
        id
    }

    /// Publishes each to the feed `f`, and waits until every worker has them.
    pub async fn say_all(&self, messages: &[&str]) {
        for message in messages {
            self.say(message).await;
        }
        self.settle().await;
    }

    /// Waits until both workers have told their viewers what was said last. New connections are spread over the
    /// workers, so that of two one is on each.
    pub async fn settle(&self) {
        let mut both = [KeepAlive::connect(self.address()).await, KeepAlive::connect(self.address()).await];
        let wanted = format!("\"{}-", self.said.borrow());
        for worker in &mut both {
            loop {
                let reply = worker.get("/f").await;
                if reply.header("etag").is_some_and(|etag| etag.starts_with(&wanted)) {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
    }

    /// Waits until a metric has a value.
    pub async fn until_metric(&self, name: &str, wanted: f64) {
        until(&format!("{name} to be {wanted}"), || async { (self.metric(name).await == wanted).then_some(()) }).await;
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
