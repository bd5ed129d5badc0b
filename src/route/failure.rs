//! From what went wrong to a response: one match.
//!
//! Owns: which status each failure has, and which half of it the client reads and which the log.

use std::net::IpAddr;

use http::header::{CONNECTION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use crate::guard::{Cap, Denied};
use crate::handler;
use crate::limits;
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
    Denied {
        meters: &'a RouteMeters,
        client: IpAddr,
        denied: Denied,
    },
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
        self.remedy(status, response.headers_mut());
        response
    }

    /// What the client is told.
    fn public(&self) -> (StatusCode, String) {
        match self {
            Failure::Ambiguous(_, rule) => {
                (StatusCode::BAD_REQUEST, format!("the request has {rule}: it could be read in more than one way"))
            }
            Failure::NoRoute => (StatusCode::NOT_FOUND, "nothing is served at this path".to_owned()),
            Failure::Denied { denied, .. } => (denied.status(), denied.to_string()),
            Failure::Unanswered(_, failure) => unanswered(failure),
        }
    }

    /// The headers that say what to do about it.
    fn remedy(&self, status: StatusCode, out: &mut HeaderMap) {
        match (self, status) {
            (Failure::Denied { denied: Denied::Refused { challenges, .. }, .. }, _) => {
                headers::replace(out, &WWW_AUTHENTICATE, challenges);
                if status == StatusCode::UNAUTHORIZED && challenges.is_empty() {
                    out.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
                }
            }
            (Failure::Denied { denied: Denied::TooOften { excess, .. }, .. }, _) => {
                out.insert(RETRY_AFTER, excess.seconds().into());
                for (name, value) in [(RATE_LIMIT_POLICY, excess.policy()), (RATE_LIMIT, excess.state())] {
                    // Digits and a key's letters are a header's value.
                    out.extend(HeaderValue::try_from(value).ok().map(|value| (name, value)));
                }
            }
            (
                Failure::Denied { denied: Denied::Token(fault), .. },
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN,
            ) => {
                out.extend(fault.challenge().map(|challenge| (WWW_AUTHENTICATE, challenge)));
            }
            (_, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) => {
                out.insert(RETRY_AFTER, limits::RETRY_LATER.as_secs().into());
            }
            // What else came on this connection is not to be trusted, or not to be waited for.
            (Failure::Ambiguous(..), _) | (_, StatusCode::REQUEST_TIMEOUT | StatusCode::PAYLOAD_TOO_LARGE) => {
                out.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            (_, _) => {}
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
            Failure::Denied { meters, client, denied } => {
                meters.denied(denied.reason());
                explain(meters.route(), *client, denied);
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

/// One line that helps whoever must find out why: who, where, why, and what to change.
fn explain(route: &str, client: IpAddr, denied: &Denied) {
    let Some(unsaid) = client_warning() else { return };
    match denied {
        Denied::Origin { origin, authority } => {
            let remedy = "if the page is yours, add its origin to the route's `origins`";
            tracing::warn!(%client, route, origin, host = authority, unsaid, remedy, "foreign origin refused");
        }
        Denied::Address { denied } => {
            let (reason, remedy) = if *denied {
                ("the route's `deny` names it", "if it is a proxy of yours, name it in `trusted_proxies`")
            } else {
                (
                    "the route's `allow` does not name it",
                    "add it to `allow`, or, if it is a proxy of yours, to `trusted_proxies`",
                )
            };
            tracing::warn!(%client, route, reason, unsaid, remedy, "address refused");
        }
        Denied::TooOften { limit, excess } => {
            let (key, rate) = (excess.policy.key, excess.policy.rate);
            tracing::warn!(%client, route, %limit, key, %rate, unsaid, remedy = SHARED, "client asks too often");
        }
        Denied::TooMany { limit, cap, most } => {
            let remedy = match cap {
                Cap::Client => SHARED,
                Cap::Subject => "raise it, if one user may have more tabs and screens open",
                Cap::Route => "raise it, if there is memory for more, or start another instance",
            };
            tracing::warn!(%client, route, %limit, key = cap.key(), most, unsaid, remedy, "too many sockets open");
        }
        Denied::Unclear { server, status } => {
            let remedy = "it must answer 2xx, 401 or 403";
            tracing::warn!(%client, route, %server, %status, unsaid, remedy, "`auth_request` is not understood");
        }
        Denied::Unasked { reason } => {
            tracing::warn!(%client, route, reason, unsaid, "`auth_request` cannot be asked");
        }
        Denied::Token(fault) => {
            let (auth, why) = (fault.auth(), fault.why());
            tracing::warn!(%client, route, auth, why, unsaid, "token refused");
        }
        Denied::NotSetUp { variable } => {
            let remedy = "set it to the secret that tokens are signed with, and restart";
            tracing::warn!(%client, route, %variable, unsaid, remedy, "no token can be good: the variable is not set");
        }
        Denied::Draining | Denied::OverCap | Denied::Misdirected | Denied::Refused { .. } => {
            tracing::warn!(%client, route, reason = denied.reason(), unsaid, "request refused");
        }
    }
}

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// What to do about a client over its limit that is no nuisance.
const SHARED: &str =
    "if many stand behind this address, raise the limit, or, if it is a proxy of yours, name it in `trusted_proxies`";
