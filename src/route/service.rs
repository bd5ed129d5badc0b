//! A request's way: peer -> route -> guards -> handler -> access log.
//!
//! Never: knows what a handler does, or how a refusal reads.

use std::cell::RefCell;
use std::future::Future;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, CONNECTION, UPGRADE};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, Version};

use super::failure::Failure;
use super::finish::Finish;
use super::leaving::{Begun, Waiting};
use super::table::{Route, Table};
use crate::admission::Admission;
use crate::guard::{self, Denied, Visit};
use crate::handler::{self, Call, Kind, Rosters, Tunnels, redirect};
use crate::message::compress::{self, Wanted};
use crate::message::{Body, Incoming, framing, headers, respond};
use crate::net::connection::{Answer, Asked, Unread};
use crate::shutdown::Tasks;
use crate::telemetry::{AccessLog, Metrics, RouteMeters};
use crate::upstream::Upstreams;

/// What all workers answer requests with.
#[derive(Debug)]
pub struct Shared {
    pub access: AccessLog,
    /// Counts the requests that no route took.
    pub unrouted: Arc<RouteMeters>,
}

/// What one config makes on one worker: what a request is served with from its begin to its end.
#[derive(Debug)]
pub struct Means {
    pub table: Arc<Table>,
    pub rosters: Rosters,
    pub upstreams: Upstreams,
}

/// One worker's service.
#[derive(Debug)]
pub struct Service {
    shared: Arc<Shared>,
    means: RefCell<Rc<Means>>,
    tunnels: Rc<Tunnels>,
    tasks: Tasks,
    /// Of requests that no guard needs to know more of.
    everyone: Rc<Admission>,
}

impl Shared {
    #[must_use]
    pub fn new(access: AccessLog, metrics: &Metrics) -> Shared {
        Shared { access, unrouted: Arc::new(metrics.route("none")) }
    }
}

impl Service {
    #[must_use]
    pub fn new(shared: Arc<Shared>, means: Means, tasks: Tasks) -> Service {
        let means = RefCell::new(Rc::new(means));
        Service { shared, means, tunnels: Tunnels::new(), tasks, everyone: Rc::default() }
    }

    /// What requests that come now are served with.
    #[must_use]
    pub fn means(&self) -> Rc<Means> {
        Rc::clone(&self.means.borrow())
    }

    /// Requests that come from now on are served with these, on whichever connection; those under way with what they began with.
    pub fn turn_to(&self, means: Means) {
        // The old ones are dropped once nobody looks at them.
        let _before = self.means.replace(Rc::new(means));
    }

    /// Ends the tunnels, which have no roster, in random order over `spread`.
    pub fn drain(&self, spread: Duration) -> impl Future<Output = ()> + use<> {
        Rc::clone(&self.tunnels).drain(spread)
    }

    /// `parts` and `body` are where they are kept: each function that had them by value would store them once more.
    async fn route(&self, asked: &Asked<'_>, parts: &mut Parts, body: &mut Incoming, begun: &Begun) -> Answered {
        // A reference to what hyper holds anyway; what prefers which form is found out where it matters.
        let accept = parts.headers.get(ACCEPT).cloned();
        let accept = accept.as_ref();
        let (unrouted, client) = (&self.shared.unrouted, asked.peer.client);
        if asked.peer.over_cap {
            return refuse(client, unrouted, Denied::OverCap, accept);
        }
        let framed = asked.ambiguous.map_or(Ok(()), Err).and_then(|()| framing::request(parts));
        let authority = match framed.and_then(|()| framing::authority(parts)) {
            Ok(authority) => authority,
            Err(rule) => return fail(&Failure::Ambiguous(unrouted, rule), unrouted, accept),
        };
        if let Some(to) = asked.redirect {
            return Answered::own(redirect::permanent(to, &authority, &parts.uri), unrouted);
        }
        let host = headers::without_port(&authority);
        if asked.sni.is_some_and(|sni| sni.misdirects(host)) {
            return refuse(client, unrouted, Denied::Misdirected, accept);
        }
        let means = self.means();
        let route = match means.table.route(host, parts.uri.path()) {
            Ok(route) => route,
            Err(rule) => return fail(&Failure::Ambiguous(unrouted, rule), unrouted, accept),
        };
        let Some(route) = route else { return fail(&Failure::NoRoute, unrouted, accept) };
        let lasting = handler::is_lasting(&route.handler, parts);
        let visit = self.visit(asked, &authority, lasting, parts);
        let finish = Finish::new(route, &visit);
        if let Some(response) = finish.preflight(&visit) {
            return Answered { finish, ..Answered::own(response, &route.meters) };
        }
        let waiting = Waiting::new(begun, &route.meters, &self.shared.access, self.tasks.stages());
        let way = Way { means: &means, route, authority: &authority };
        let answered = match self.admit(asked, way, lasting, parts).await {
            Ok(admission) => self.handle(asked, way, parts, body, &admission, accept).await,
            Err(denied) => refuse(client, &route.meters, denied, accept).ending(lasting, parts),
        };
        waiting.end();
        Answered { finish, ..answered }
    }

    /// What the guards of `route` found out; their order is told where they are. Edits the request: its token is for us
    /// alone, and who `auth_request` says it is is for whoever it is passed on to.
    async fn admit(
        &self,
        asked: &Asked<'_>,
        Way { means, route, authority }: Way<'_>,
        lasting: bool,
        parts: &mut Parts,
    ) -> Result<Rc<Admission>, Denied> {
        let admitted = route.guards.admit(&self.visit(asked, authority, lasting, parts)).await?;
        admitted.cut_token(parts);
        let admission = admitted.admission.map_or_else(|| Rc::clone(&self.everyone), Rc::new);
        if let Some(check) = &route.check {
            // A client that closes its side has left: then nobody waits for this either.
            asked.in_flight.streams();
            let (upstream, hop) = (means.upstreams.get(check.upstream()), asked.forwarded.hop(authority));
            // Boxed: what it takes to ask is no part of what each connection keeps.
            let grant = Box::pin(check.ask(upstream, parts, &hop, asked.peer.client)).await?;
            grant.apply(&mut parts.headers);
        }
        if let (Some(how), Some(credential)) = (&route.forward_token, &admission.credential) {
            guard::forward(&credential.token, how, parts);
        }
        Ok(admission)
    }

    fn visit<'a>(&self, asked: &'a Asked<'_>, authority: &'a str, lasting: bool, request: &'a Parts) -> Visit<'a> {
        Visit {
            request,
            client: asked.peer.client,
            authority: asked.forwarded.host().unwrap_or(authority),
            https: asked.forwarded.is_https(),
            lasting,
            draining: self.tasks.stages().is_draining(),
        }
    }

    async fn handle(
        &self,
        asked: &Asked<'_>,
        Way { means, route, authority }: Way<'_>,
        parts: &mut Parts,
        body: &mut Incoming,
        admission: &Rc<Admission>,
        accept: Option<&HeaderValue>,
    ) -> Answered {
        let call = Call {
            asked,
            authority,
            rosters: &means.rosters,
            upstreams: &means.upstreams,
            tunnels: &self.tunnels,
            tasks: &self.tasks,
            access: &self.shared.access,
            meters: &route.meters,
            admission,
        };
        let wanted = route.compress.then(|| Wanted::of(&parts.method, &parts.headers));
        let request = Request::from_parts(std::mem::replace(parts, nothing()), std::mem::take(body));
        match route.handler.handle(&call, request).await {
            Ok((response, kind)) => {
                let response = match wanted.filter(|_| kind != Kind::Socket) {
                    Some(wanted) => compress::answer(&wanted, response, &handler::COMPRESSION),
                    None => response,
                };
                Answered { kind, ..Answered::own(response, &route.meters) }
            }
            Err(failure) => fail(&Failure::Unanswered(&route.meters, failure), &route.meters, accept),
        }
    }
}

impl Answer for Service {
    fn answer(&self, asked: &Asked<'_>, request: Request<Incoming>) -> impl Future<Output = Response<Body>> {
        let begun = Begun::new(asked.peer.client, &request, &self.shared.access);
        let (mut parts, mut body) = request.into_parts();
        async move {
            let mut answered = self.route(asked, &mut parts, &mut body, &begun).await;
            answered.finish.apply(answered.kind, answered.response.headers_mut());
            let status = answered.response.status().as_u16();
            if answered.kind == Kind::Socket {
                answered.meters.count(status);
                return answered.response;
            }
            if begun.method == Method::HEAD {
                answered.response = respond::head_only(answered.response);
            }
            let took = begun.at.elapsed();
            answered.meters.answered(status, took.as_secs_f64());
            begun.write(&self.shared.access, answered.meters.route(), status, took);
            answered.response
        }
    }

    fn unread(&self, unread: Unread) {
        self.shared.unrouted.denied(match unread {
            Unread::TooLarge => "header_size",
            Unread::Malformed => "malformed",
        });
    }
}

/// Where a request goes.
#[derive(Clone, Copy)]
struct Way<'a> {
    means: &'a Means,
    route: &'a Route,
    authority: &'a str,
}

/// A response, and what is to be said of it.
struct Answered {
    response: Response<Body>,
    meters: Arc<RouteMeters>,
    kind: Kind,
    finish: Finish,
}

impl Answered {
    fn own(response: Response<Body>, meters: &Arc<RouteMeters>) -> Answered {
        Answered { response, meters: Arc::clone(meters), kind: Kind::Own, finish: Finish::default() }
    }

    /// Whoever was refused an upgrade asks for nothing else on its connection: to wait until it leaves would cost more than
    /// the refusal, and in a flood more than to let it in.
    fn ending(mut self, lasting: bool, refused: &Parts) -> Answered {
        if lasting && refused.version == Version::HTTP_11 && refused.headers.contains_key(UPGRADE) {
            self.response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        self
    }
}

fn fail(failure: &Failure<'_>, meters: &Arc<RouteMeters>, accept: Option<&HeaderValue>) -> Answered {
    Answered::own(failure.answer(accept), meters)
}

fn refuse(client: IpAddr, meters: &Arc<RouteMeters>, denied: Denied, accept: Option<&HeaderValue>) -> Answered {
    fail(&Failure::Denied { meters, client, denied }, meters, accept)
}

/// In place of what was handed on.
fn nothing() -> Parts {
    Request::new(()).into_parts().0
}
