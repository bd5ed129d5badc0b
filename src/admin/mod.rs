//! The admin listener: readiness, metrics, publishing to a feed, reloads.
//!
//! Owns: its own guard, since what it serves is for the host's operators alone: a token where one is set, else only
//! requests for a loopback name, from no foreign page. Never: serves on a worker; it answers while they are busy.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use tokio::time::timeout;

use crate::feed::hub::{FeedHub, Published, Stem};
use crate::feed::normalize;
use crate::limits;
use crate::message::{Body, Incoming, headers, respond};
use crate::net::Limits;
use crate::net::connection::{Answer, Asked};
use crate::secret::Secret;
use crate::shutdown::Stages;
use crate::telemetry::{Metrics, Sockets, exposition};
use crate::upstream;

mod connections;
pub mod guard;
mod inventory;
mod page;
mod reload;

pub use reload::{Ask, Changes, NotBegun, Outcome, Reloads, Trouble};

/// `[admin]`, where it is not off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    pub listen: SocketAddr,
    /// Required as `Bearer` on every path but `/healthz` and `/readyz`.
    pub token: Option<Secret>,
}

/// Answers the admin listener's requests.
#[derive(Debug)]
pub struct Admin {
    pub metrics: Arc<Metrics>,
    pub sockets: Sockets,
    pub stages: Stages,
    pub reloads: Reloads,
    /// Another with each config.
    pub view: RefCell<Rc<View>>,
}

/// What one config gives the admin listener.
#[derive(Debug)]
pub struct View {
    pub token: Option<Secret>,
    pub hub: Arc<FeedHub>,
    pub upstreams: Arc<upstream::Shared>,
    /// What the config makes, in words that hold no secret.
    pub summary: String,
    pub limits: Arc<Limits>,
}

impl Admin {
    /// What requests are answered from that come now.
    #[must_use]
    pub fn view(&self) -> Rc<View> {
        Rc::clone(&self.view.borrow())
    }

    async fn route(&self, request: Request<Incoming>) -> Response<Body> {
        let path = request.uri().path().to_owned();
        if let Err(refusal) = guard::check(&request, self.view().token.as_ref()) {
            return *refusal;
        }
        let reading = matches!(*request.method(), Method::GET | Method::HEAD);
        match path.as_str() {
            "/healthz" | "/readyz" | "/metrics" if !reading => respond::method_not_allowed("GET, HEAD"),
            "/healthz" => respond::json(StatusCode::OK, r#"{"status":"alive"}"#),
            "/readyz" if self.stages.is_draining() => {
                respond::problem(StatusCode::SERVICE_UNAVAILABLE, "draining: no new work is taken")
            }
            "/readyz" => respond::json(StatusCode::OK, r#"{"status":"ready"}"#),
            "/metrics" => metrics(&self.metrics, request.headers()),
            other => match other.strip_prefix("/api/") {
                Some(api) => self.api(api, reading, request).await,
                None if page::has(other) && !reading => respond::method_not_allowed("GET, HEAD"),
                None => page::answer(other).unwrap_or_else(nothing),
            },
        }
    }

    /// What is below `/api/`.
    async fn api(&self, path: &str, reading: bool, request: Request<Incoming>) -> Response<Body> {
        match (path, path.split_once('/')) {
            ("connections" | "feeds" | "upstreams" | "config", _) if !reading => {
                respond::method_not_allowed("GET, HEAD")
            }
            ("connections", _) => connections::list(&self.sockets, request.uri().query().unwrap_or_default()).await,
            ("feeds", _) => inventory::feeds(&self.view().hub, &self.metrics),
            ("upstreams", _) => inventory::upstreams(&self.view().upstreams),
            ("config", _) => respond::whole(StatusCode::OK, TEXT, self.view().summary.clone()),
            ("reload", _) if *request.method() == Method::POST => reload::answer(&self.reloads).await,
            ("reload", _) => respond::method_not_allowed("POST"),
            (_, Some(("connections", id))) if *request.method() == Method::DELETE => {
                connections::close(&self.sockets, id).await
            }
            (_, Some(("connections", _))) => respond::method_not_allowed("DELETE"),
            (_, Some(("feeds", name))) if *request.method() == Method::POST => self.publish(name, request).await,
            (_, Some(("feeds", _))) => respond::method_not_allowed("POST"),
            _other => nothing(),
        }
    }

    /// `POST /api/feeds/NAME` with one message.
    async fn publish(&self, name: &str, request: Request<Incoming>) -> Response<Body> {
        let view = self.view();
        let feed = match view.hub.find(name) {
            Some(Stem::Whole(feed)) => feed,
            Some(Stem::Split(_)) => {
                let detail = "this feed is split by `share`: there is no one place in it to publish to";
                return respond::problem(StatusCode::CONFLICT, detail);
            }
            None => return respond::problem(StatusCode::NOT_FOUND, "no feed of this name is configured"),
        };
        if !feed.takes_publications() {
            let detail = "this feed has no `publish` source; add { publish = {} } to its sources";
            return respond::problem(StatusCode::CONFLICT, detail);
        }
        let body = Limited::new(request.into_body(), limits::MAX_MESSAGE).collect();
        let text = match timeout(view.limits.body_timeout, body).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
                return respond::problem(StatusCode::PAYLOAD_TOO_LARGE, "a message has at most 1 MiB");
            }
            Ok(Err(_)) => return respond::problem(StatusCode::BAD_REQUEST, "the body broke off"),
            Err(_elapsed) => return respond::problem(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time"),
        };
        let Ok(text) = std::str::from_utf8(&text) else {
            return respond::problem(StatusCode::BAD_REQUEST, "a message is UTF-8");
        };
        if let Err(error) = serde_json::from_str::<&serde_json::value::RawValue>(text) {
            return respond::problem(StatusCode::BAD_REQUEST, &format!("the body is not JSON: {error}"));
        }
        let said = match feed.publish(normalize::Incoming::Text(text), jiff::Timestamp::now()) {
            Published::At(seq) => serde_json::json!({ "id": feed.id(seq) }),
            Published::Held => serde_json::json!({ "held": "min_interval" }),
            Published::Skipped(rule) => serde_json::json!({ "skipped": rule.describe() }),
            Published::Late => serde_json::json!({ "skipped": "a source stands" }),
        };
        respond::json(StatusCode::OK, said.to_string())
    }
}

impl Answer for Admin {
    async fn answer(&self, _asked: &Asked<'_>, request: Request<Incoming>) -> Response<Body> {
        let head = *request.method() == Method::HEAD;
        let mut response = self.route(request).await;
        if head {
            response = respond::head_only(response);
        }
        let headers = response.headers_mut();
        headers::finish(headers);
        headers.insert(http::header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

fn nothing() -> Response<Body> {
    respond::problem(StatusCode::NOT_FOUND, "the admin listener serves nothing at this path")
}

/// `value` as JSON.
fn json(value: &impl serde::Serialize) -> Response<Body> {
    match serde_json::to_string(value) {
        Ok(text) => respond::json(StatusCode::OK, text),
        Err(error) => {
            tracing::error!(%error, "an answer of the admin listener cannot be written");
            respond::problem(StatusCode::INTERNAL_SERVER_ERROR, "the answer cannot be written")
        }
    }
}

/// Prometheus's text format, or OpenMetrics for who asks for it by name.
fn metrics(metrics: &Metrics, fields: &HeaderMap) -> Response<Body> {
    const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    const OPEN: HeaderValue = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    let mut response = if headers::accepts(fields, "application/openmetrics-text") {
        respond::whole(StatusCode::OK, OPEN, metrics.text())
    } else {
        respond::whole(StatusCode::OK, PLAIN, exposition::plain(&metrics.text()))
    };
    headers::vary(response.headers_mut(), http::header::ACCEPT);
    response
}
