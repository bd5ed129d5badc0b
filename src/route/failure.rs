//! From what went wrong to a response: one match.
//!
//! Owns: which status each failure has, and which half of it the client reads and which the log.

use http::header::{CONNECTION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Response, StatusCode};

use crate::guard::Denied;
use crate::handler;
use crate::message::framing::Rule;
use crate::message::{Body, headers, respond};
use crate::telemetry::RouteMeters;
use crate::telemetry::log::client_warning;
use crate::upstream;

/// Why a request has no other answer.
#[derive(Debug)]
pub enum Failure<'a> {
    /// It can be read in two ways.
    Ambiguous(&'a RouteMeters, Rule),
    NoRoute,
    Denied(&'a RouteMeters, Denied),
    Unanswered(&'a RouteMeters, handler::Failure),
}

impl Failure<'_> {
    /// The answer, in the form that the request's `Accept` prefers; what helps to find out why goes to the log.
    #[must_use]
    pub fn answer(&self, accept: Option<&HeaderValue>) -> Response<Body> {
        self.record();
        let (status, detail) = self.public();
        let mut response = if accept.is_some_and(headers::prefers_html) {
            respond::page(status, &detail)
        } else {
            respond::problem(status, &detail)
        };
        if let Some((name, value)) = self.remedy(status) {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        if let Failure::Denied(_, Denied::Refused { challenges, .. }) = self {
            headers::replace(response.headers_mut(), &WWW_AUTHENTICATE, challenges);
        }
        if let Failure::Denied(_, Denied::Token(fault)) = self {
            fault.challenge().map(|challenge| response.headers_mut().insert(WWW_AUTHENTICATE, challenge));
        }
        response
    }

    /// What the client is told.
    fn public(&self) -> (StatusCode, String) {
        match self {
            Failure::Ambiguous(_, rule) => {
                (StatusCode::BAD_REQUEST, format!("the request has {rule}: it could be read in more than one way"))
            }
            Failure::NoRoute => (StatusCode::NOT_FOUND, "nothing is served at this path".to_owned()),
            Failure::Denied(_, denied) => (denied.status(), denied.to_string()),
            Failure::Unanswered(_, failure) => unanswered(failure),
        }
    }

    /// The header that says what to do about it.
    fn remedy(&self, status: StatusCode) -> Option<(HeaderName, &'static str)> {
        match (self, status) {
            (_, StatusCode::SERVICE_UNAVAILABLE) => Some((RETRY_AFTER, "5")),
            (Failure::Denied(..), StatusCode::UNAUTHORIZED) => Some((WWW_AUTHENTICATE, "Bearer")),
            // What else came on this connection is not to be trusted, or not to be waited for.
            (Failure::Ambiguous(..), _) | (_, StatusCode::REQUEST_TIMEOUT | StatusCode::PAYLOAD_TOO_LARGE) => {
                Some((CONNECTION, "close"))
            }
            (_, _) => None,
        }
    }

    fn record(&self) {
        match self {
            Failure::Ambiguous(meters, rule) => {
                meters.denied("framing");
                if let Some(unsaid) = client_warning() {
                    tracing::warn!(%rule, unsaid, "ambiguous request refused");
                }
            }
            Failure::NoRoute => {}
            Failure::Denied(meters, denied) => {
                meters.denied(denied.reason());
                explain(meters, denied);
            }
            Failure::Unanswered(meters, failure) => {
                if let Some(unsaid) = client_warning() {
                    let route = meters.route();
                    tracing::warn!(route, reason = %failure, unsaid, "request not answered by its upstream");
                }
            }
        }
    }
}

/// What is said of a request that was to be forwarded: never a server's name, or what went wrong there.
fn unanswered(failure: &handler::Failure) -> (StatusCode, String) {
    use handler::Failure::{BadAnswer, BrokeOff, NoHandshake, NoUpstream, Stalled, TooLarge, Upstream};
    use upstream::Failure::{Broken, Connect, ConnectTimeout, NoneHealthy, RequestBody, ResponseTimeout};
    let (status, detail) = match failure {
        TooLarge(size) => {
            let detail = format!("the body is larger than the {size} bytes that this path takes");
            return (StatusCode::PAYLOAD_TOO_LARGE, detail);
        }
        Stalled => (StatusCode::REQUEST_TIMEOUT, "the rest of the body did not come in time"),
        BrokeOff(_) | Upstream(RequestBody(_)) => (StatusCode::BAD_REQUEST, "the body broke off"),
        Upstream(NoneHealthy) => {
            (StatusCode::SERVICE_UNAVAILABLE, "the application is down at the moment; try again soon")
        }
        Upstream(Connect { .. }) => (StatusCode::BAD_GATEWAY, "the application cannot be reached"),
        Upstream(Broken { .. }) | BadAnswer { .. } | NoHandshake { .. } => {
            (StatusCode::BAD_GATEWAY, "the application gave no proper answer")
        }
        Upstream(ConnectTimeout { .. } | ResponseTimeout { .. }) => {
            (StatusCode::GATEWAY_TIMEOUT, "the application did not answer in time")
        }
        NoUpstream(_) => (StatusCode::INTERNAL_SERVER_ERROR, "this path leads nowhere"),
    };
    (status, detail.to_owned())
}

fn explain(meters: &RouteMeters, denied: &Denied) {
    let Some(unsaid) = client_warning() else { return };
    match denied {
        Denied::Origin { origin, authority } => {
            let remedy = "if the page is yours, add its origin to the route's `origins`";
            tracing::warn!(route = meters.route(), origin, host = authority, unsaid, remedy, "foreign origin refused");
        }
        Denied::Unclear { server, status } => {
            let remedy = "it must answer 2xx, 401 or 403";
            tracing::warn!(route = meters.route(), %server, %status, unsaid, remedy, "`auth_request` is not understood");
        }
        Denied::Unasked { reason } => {
            tracing::warn!(route = meters.route(), reason, unsaid, "`auth_request` cannot be asked");
        }
        Denied::Token(fault) => {
            let (auth, why) = (fault.auth(), fault.why());
            tracing::warn!(route = meters.route(), auth, why, unsaid, "token refused");
        }
        Denied::Draining | Denied::OverCap | Denied::Misdirected | Denied::Refused { .. } => {
            tracing::warn!(route = meters.route(), reason = denied.reason(), unsaid, "request refused");
        }
    }
}
