//! A request's way: peer -> route -> guards -> handler -> access log.
//!
//! Never: knows what a handler does, or how a refusal reads.

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::header::HOST;
use http::uri::Authority;
use http::{Method, Request, Response, Version};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::failure::Failure;
use super::finish::Finish;
use super::table::{Route, Table};
use crate::guard::{self, Denied, Visit};
use crate::handler::{self, Call, Rosters, redirect};
use crate::message::{Body, headers, respond};
use crate::net::connection::{Answer, Asked};
use crate::shutdown::Tasks;
use crate::telemetry::access::{Entry, Outcome};
use crate::telemetry::{AccessLog, Metrics, RouteMeters};

/// What all workers answer requests with.
#[derive(Debug)]
pub struct Shared {
    pub table: ArcSwap<Table>,
    pub access: AccessLog,
    /// Counts the requests that no route took.
    pub unrouted: Arc<RouteMeters>,
}

/// One worker's service.
#[derive(Debug)]
pub struct Service {
    shared: Arc<Shared>,
    rosters: Rosters,
    tasks: Tasks,
}

impl Shared {
    #[must_use]
    pub fn new(table: Table, access: AccessLog, metrics: &Metrics) -> Shared {
        Shared { table: ArcSwap::from_pointee(table), access, unrouted: Arc::new(metrics.route("none")) }
    }
}

impl Service {
    #[must_use]
    pub fn new(shared: Arc<Shared>, rosters: Rosters, tasks: Tasks) -> Service {
        Service { shared, rosters, tasks }
    }

    async fn route(&self, asked: &Asked<'_>, request: Request<Incoming>) -> Answered {
        if asked.peer.over_cap {
            return self.fail(&Failure::Denied(&self.shared.unrouted, Denied::OverCap));
        }
        let Some(authority) = one_host(&request) else { return self.fail(&Failure::NoHost) };
        if let Some(to) = asked.redirect {
            let response = redirect::permanent(to, &authority, request.uri());
            return Answered::plain(response, &self.shared.unrouted);
        }
        let host = headers::without_port(&authority);
        if asked.sni.is_some_and(|sni| sni.misdirects(host)) {
            return self.fail(&Failure::Denied(&self.shared.unrouted, Denied::Misdirected));
        }
        let route = self.shared.table.load().find(host, request.uri().path()).cloned();
        let Some(route) = route else { return self.fail(&Failure::NoRoute) };
        let (parts, body) = request.into_parts();
        let lasting = handler::is_lasting(&route.handler, &parts);
        let draining = self.tasks.stages().is_draining();
        let (asked_for, https) = (asked.forwarded.host().unwrap_or(&authority), asked.forwarded.is_https());
        let visit = Visit { request: &parts, authority: asked_for, https, lasting, draining };
        let finish = Finish::new(&route, &visit);
        if let Some(response) = finish.preflight(&visit) {
            return Answered { finish, ..Answered::plain(response, &route.meters) };
        }
        if let Err(denied) = guard::admit(&visit, &route.origins) {
            let response = Failure::Denied(&route.meters, denied).answer();
            return Answered { finish, ..Answered::plain(response, &route.meters) };
        }
        let answered = self.handle(asked, &authority, Request::from_parts(parts, body), &route).await;
        Answered { finish, ..answered }
    }

    async fn handle(&self, asked: &Asked<'_>, authority: &str, request: Request<Incoming>, route: &Route) -> Answered {
        let call = Call {
            asked,
            authority,
            rosters: &self.rosters,
            tasks: &self.tasks,
            access: &self.shared.access,
            meters: &route.meters,
        };
        let (response, upgraded) = route.handler.handle(&call, request).await;
        Answered { upgraded, ..Answered::plain(response, &route.meters) }
    }

    fn fail(&self, failure: &Failure<'_>) -> Answered {
        Answered::plain(failure.answer(), &self.shared.unrouted)
    }
}

impl Answer for Service {
    type Body = Body;

    async fn answer(&self, asked: &Asked<'_>, request: Request<Incoming>) -> Response<Body> {
        let began = Instant::now();
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let mut answered = self.route(asked, request).await;
        answered.finish.apply(answered.response.headers_mut());
        let (status, took) = (answered.response.status().as_u16(), began.elapsed());
        if answered.upgraded {
            answered.meters.upgraded(status);
            return answered.response;
        }
        if method == Method::HEAD {
            answered.response = respond::head_only(answered.response);
        }
        answered.meters.answered(status, took.as_secs_f64());
        self.shared.access.write(&Entry {
            client: asked.peer.client,
            method: method.as_str(),
            path: &path,
            route: answered.meters.route(),
            outcome: Outcome::Response { status },
            took,
        });
        answered.response
    }
}

/// A response, and what is to be said of it.
struct Answered {
    response: Response<Body>,
    meters: Arc<RouteMeters>,
    /// It became a socket, which is logged when it ends.
    upgraded: bool,
    finish: Finish,
}

impl Answered {
    fn plain(response: Response<Body>, meters: &Arc<RouteMeters>) -> Answered {
        Answered { response, meters: Arc::clone(meters), upgraded: false, finish: Finish::default() }
    }
}

/// The host that the request names, if it names exactly one and well (RFC 9112, section 3.2); before HTTP/1.1 it may
/// name none.
fn one_host(request: &Request<Incoming>) -> Option<String> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return None;
    }
    let authority = match (request.uri().authority(), host) {
        (Some(authority), _) => authority.clone(),
        (None, Some(host)) => Authority::try_from(host.as_bytes()).ok()?,
        (None, None) if request.version() < Version::HTTP_11 => return Some(String::new()),
        (None, None) => return None,
    };
    // What stands before an `@` is no part of a host, and has no place in a request.
    (!authority.as_str().contains('@')).then(|| authority.as_str().to_owned())
}
