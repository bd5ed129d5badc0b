//! A request's way: peer -> route -> guards -> handler -> access log.
//!
//! Never: knows what a handler does, or how a refusal reads.

use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::header::ACCEPT;
use http::{HeaderValue, Method, Request, Response};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::failure::Failure;
use super::table::{Route, Table};
use crate::guard::{self, Denied, Visit};
use crate::handler::{self, Call, Kind, Rosters, Tunnels};
use crate::message::{Body, framing, headers, respond};
use crate::net::connection::{Answer, Asked};
use crate::shutdown::Tasks;
use crate::telemetry::access::{Entry, Outcome};
use crate::telemetry::{AccessLog, Metrics, RouteMeters};
use crate::upstream::Upstreams;

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
    upstreams: Upstreams,
    tunnels: Rc<Tunnels>,
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
    pub fn new(shared: Arc<Shared>, rosters: Rosters, upstreams: Upstreams, tasks: Tasks) -> Service {
        Service { shared, rosters, upstreams, tunnels: Tunnels::new(), tasks }
    }

    /// Ends the tunnels, which have no roster, in random order over `spread`.
    pub fn drain(&self, spread: Duration) -> impl Future<Output = ()> + use<> {
        Rc::clone(&self.tunnels).drain(spread)
    }

    async fn route(&self, asked: &Asked<'_>, request: Request<Incoming>) -> Answered {
        let (parts, body) = request.into_parts();
        // A reference to what hyper holds anyway; what prefers which form is found out where it matters.
        let accept = parts.headers.get(ACCEPT).cloned();
        let accept = accept.as_ref();
        let unrouted = &self.shared.unrouted;
        if asked.peer.over_cap {
            return fail(&Failure::Denied(unrouted, Denied::OverCap), unrouted, accept);
        }
        let framed = asked.ambiguous.map_or(Ok(()), Err).and_then(|()| framing::request(&parts));
        let authority = match framed.and_then(|()| framing::authority(&parts)) {
            Ok(authority) => authority,
            Err(rule) => return fail(&Failure::Ambiguous(unrouted, rule), unrouted, accept),
        };
        let route = self.shared.table.load().find(headers::without_port(&authority), parts.uri.path()).cloned();
        let Some(route) = route else { return fail(&Failure::NoRoute, unrouted, accept) };
        let lasting = handler::is_lasting(&route.handler, &parts);
        let draining = self.tasks.stages().is_draining();
        let visit = Visit { request: &parts, authority: &authority, secure: asked.peer.secure, lasting, draining };
        if let Err(denied) = guard::admit(&visit, &route.origins) {
            return fail(&Failure::Denied(&route.meters, denied), &route.meters, accept);
        }
        self.handle(asked, &authority, Request::from_parts(parts, body), &route, accept).await
    }

    async fn handle(
        &self,
        asked: &Asked<'_>,
        authority: &str,
        request: Request<Incoming>,
        route: &Route,
        accept: Option<&HeaderValue>,
    ) -> Answered {
        let call = Call {
            asked,
            authority,
            rosters: &self.rosters,
            upstreams: &self.upstreams,
            tunnels: &self.tunnels,
            tasks: &self.tasks,
            access: &self.shared.access,
            meters: &route.meters,
        };
        match route.handler.handle(&call, request).await {
            Ok((response, kind)) => Answered { response, meters: Arc::clone(&route.meters), kind },
            Err(failure) => fail(&Failure::Unanswered(&route.meters, failure), &route.meters, accept),
        }
    }
}

impl Answer for Service {
    type Body = Body;

    async fn answer(&self, asked: &Asked<'_>, request: Request<Incoming>) -> Response<Body> {
        let began = Instant::now();
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let mut answered = self.route(asked, request).await;
        if answered.kind != Kind::Forwarded {
            headers::finish(answered.response.headers_mut());
        }
        let (status, took) = (answered.response.status().as_u16(), began.elapsed());
        if answered.kind == Kind::Socket {
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
    kind: Kind,
}

fn fail(failure: &Failure<'_>, meters: &Arc<RouteMeters>, accept: Option<&HeaderValue>) -> Answered {
    Answered { response: failure.answer(accept), meters: Arc::clone(meters), kind: Kind::Own }
}
