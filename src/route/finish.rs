//! What is added to every answer of a route on its way out, whatever it is: a body, an error, a 304, a 101.
//!
//! Owns: the order: what CORS has to say, then who answers, then the route's own rules, which have the last word.

use std::sync::Arc;

use http::{HeaderMap, Response};

use super::cors::{self, Verdict};
use super::table::Route;
use crate::guard::Visit;
use crate::handler::Kind;
use crate::message::{Body, headers, rules};

/// What the answer to one request is given; by default only what every answer is.
#[derive(Debug, Clone, Default)]
pub struct Finish(Option<(Arc<Route>, Option<Verdict>)>);

impl Finish {
    /// For the answer that `route` gives to `visit`.
    #[must_use]
    pub fn new(route: &Arc<Route>, visit: &Visit<'_>) -> Finish {
        let verdict = route.cors.as_ref().map(|cors| cors::judge(cors, visit));
        let is_due = verdict.is_some() || !route.headers.response.is_empty();
        Finish(is_due.then(|| (Arc::clone(route), verdict)))
    }

    /// The answer to a preflight, which no guard and no handler sees.
    #[must_use]
    pub fn preflight(&self, visit: &Visit<'_>) -> Option<Response<Body>> {
        let (_, verdict) = self.0.as_ref()?;
        verdict.as_ref()?.preflight(visit)
    }

    /// Edits the answer's headers; `kind` says whose it is: a server has said of itself what it wants said.
    pub fn apply(&self, kind: Kind, out: &mut HeaderMap) {
        if let Some((_, Some(verdict))) = &self.0 {
            verdict.apply(out);
        }
        if kind != Kind::Forwarded {
            headers::finish(out);
        }
        if let Some((route, _)) = &self.0 {
            rules::apply(out, &route.headers.response);
        }
    }
}
