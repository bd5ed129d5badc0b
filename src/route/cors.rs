//! Cross-origin resource sharing (`cors`; Fetch, section 3.2): which pages of other origins may read a route's answers.
//!
//! Owns: the answer to a preflight, and the headers of the others; those of the upstream give way, but for what it
//! exposes. Never: refuses a request that is no preflight: without our headers the browser keeps the answer from the page.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use super::options::Cors;
use crate::guard::origin::{self, Named};
use crate::guard::{OriginRule, Visit};
use crate::limits;
use crate::message::{Body, headers, respond};

/// Exposed where `*` does not hold: what is not safe by itself (Fetch, section 2.2.2) and pages ask for.
const EXPOSED: &str = "etag, location, link, retry-after, content-disposition, content-range, accept-ranges, x-request-id, www-authenticate";

/// What the answer to one request says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// `Access-Control-Allow-Origin`; `None` for a page that may not read it, and for who is no page.
    origin: Option<HeaderValue>,
    credentials: bool,
    /// The answer differs from origin to origin.
    varies: bool,
}

/// Judges a request by its `Origin`.
#[must_use]
pub fn judge(cors: &Cors, visit: &Visit<'_>) -> Verdict {
    let open = cors.origins.contains(&OriginRule::Any) && !cors.credentials;
    let origin = match origin::named(&cors.origins, visit) {
        Named::Admitted(_) if open => Some(HeaderValue::from_static("*")),
        Named::Admitted(origin) => Some(origin.clone()),
        Named::Nobody | Named::Foreign(_) => None,
    };
    Verdict { origin, credentials: cors.credentials, varies: !open }
}

impl Verdict {
    /// The answer to a browser that asks whether it may send a request, if it does: 204, or 403 to a foreign page.
    #[must_use]
    pub fn preflight(&self, visit: &Visit<'_>) -> Option<Response<Body>> {
        let asked = &visit.request.headers;
        let method = asked.get(ACCESS_CONTROL_REQUEST_METHOD)?;
        if visit.request.method != Method::OPTIONS || !asked.contains_key(ORIGIN) {
            return None;
        }
        let mut response = match &self.origin {
            Some(_) => respond::empty(StatusCode::NO_CONTENT),
            None => respond::problem(
                StatusCode::FORBIDDEN,
                "pages of this origin may not ask; the route's `cors` must name it",
            ),
        };
        let out = response.headers_mut();
        headers::vary(out, ACCESS_CONTROL_REQUEST_METHOD);
        headers::vary(out, ACCESS_CONTROL_REQUEST_HEADERS);
        if self.origin.is_some() {
            if Method::from_bytes(method.as_bytes()).is_ok() {
                out.insert(ACCESS_CONTROL_ALLOW_METHODS, method.clone());
            }
            if let Some(names) = one_list(asked) {
                out.insert(ACCESS_CONTROL_ALLOW_HEADERS, names);
            }
            out.insert(ACCESS_CONTROL_MAX_AGE, limits::CORS_MAX_AGE.as_secs().into());
        }
        Some(response)
    }

    /// Puts into an answer what the browser is to know, in place of what the upstream says of it.
    pub fn apply(&self, out: &mut HeaderMap) {
        let exposed = out.remove(ACCESS_CONTROL_EXPOSE_HEADERS);
        out.remove(ACCESS_CONTROL_ALLOW_ORIGIN);
        out.remove(ACCESS_CONTROL_ALLOW_CREDENTIALS);
        if self.varies {
            headers::vary(out, ORIGIN);
        }
        let Some(origin) = &self.origin else { return };
        out.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        if self.credentials {
            out.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        // With credentials `*` is a name like any other.
        let ours = HeaderValue::from_static(if self.credentials { EXPOSED } else { "*" });
        if out.get(ACCESS_CONTROL_ALLOW_METHODS).is_none() {
            out.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed.unwrap_or(ours));
        }
    }
}

/// The headers that the page wants to send, said back if they are names in one list of a bearable length.
fn one_list(asked: &HeaderMap) -> Option<HeaderValue> {
    let mut lines = asked.get_all(ACCESS_CONTROL_REQUEST_HEADERS).iter();
    let names = lines.next().filter(|names| names.len() <= limits::CORS_HEADERS)?;
    let text = names.to_str().ok()?;
    let good = text.split(',').all(|name| http::HeaderName::from_bytes(name.trim().as_bytes()).is_ok());
    (good && lines.next().is_none()).then(|| names.clone())
}

#[cfg(test)]
mod tests {
    use http::header::VARY;
    use http::request::Parts;
    use http::{HeaderName, Request};

    use super::*;
    use crate::guard::{OriginHost, OriginPort};

    const PAGE: &str = "https://dash.example.com";

    fn one(credentials: bool) -> Cors {
        let host = OriginHost::Exact("dash.example.com".to_owned());
        let rule = OriginRule::Pattern { scheme: "https".to_owned(), host, port: OriginPort::Default };
        Cors { origins: vec![rule], credentials }
    }

    fn any(credentials: bool) -> Cors {
        Cors { origins: vec![OriginRule::Any], credentials }
    }

    fn parts(method: Method, headers: &[(HeaderName, &str)]) -> Parts {
        let mut request = Request::builder().method(method);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn visit(request: &Parts) -> Visit<'_> {
        let client = std::net::Ipv4Addr::LOCALHOST.into();
        Visit { request, client, authority: "api.example.com", https: Some(true), lasting: false, draining: false }
    }

    /// `name: value` of all that CORS has to do with, sorted.
    fn shown(headers: &HeaderMap) -> Vec<String> {
        let ours = |name: &HeaderName| name.as_str().starts_with("access-control-") || *name == VARY;
        let line = |(name, value): (&HeaderName, &HeaderValue)| format!("{name}: {}", value.to_str().unwrap());
        let mut lines: Vec<_> = headers.iter().filter(|(name, _)| ours(name)).map(line).collect();
        lines.sort();
        lines
    }

    #[track_caller]
    fn check(cors: &Cors, origin: Option<&str>, expected: &[&str]) {
        let origin: Vec<_> = origin.into_iter().map(|origin| (ORIGIN, origin)).collect();
        let request = parts(Method::GET, &origin);
        let verdict = judge(cors, &visit(&request));
        assert!(verdict.preflight(&visit(&request)).is_none());
        let mut out = HeaderMap::new();
        for name in [ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_ALLOW_CREDENTIALS] {
            out.insert(&name, HeaderValue::from_static("the upstream's"));
            out.append(&name, HeaderValue::from_static("and again"));
        }
        verdict.apply(&mut out);
        assert_eq!(shown(&out), expected, "{origin:?}");
    }

    #[test]
    fn an_answer_names_the_page_that_may_read_it_and_no_other() {
        let exposed = format!("access-control-expose-headers: {EXPOSED}");
        let all = "access-control-expose-headers: *";
        let itself = "access-control-allow-origin: https://dash.example.com";
        let (credentials, varies) = ("access-control-allow-credentials: true", "vary: origin");
        check(&one(false), Some(PAGE), &[itself, all, varies]);
        check(&one(true), Some(PAGE), &[credentials, itself, &exposed, varies]);
        for foreign in [Some("https://evil.example"), Some("null"), Some("http://dash.example.com"), None] {
            check(&one(true), foreign, &[varies]);
        }
        check(&any(false), Some("https://evil.example"), &["access-control-allow-origin: *", all]);
        check(&any(false), None, &[]);
        check(&any(true), Some(PAGE), &[credentials, itself, &exposed, varies]);
    }

    #[test]
    fn what_the_upstream_exposes_stays_exposed() {
        let request = parts(Method::GET, &[(ORIGIN, PAGE)]);
        let mut out = HeaderMap::new();
        out.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("x-total"));
        judge(&one(true), &visit(&request)).apply(&mut out);
        assert_eq!(out[ACCESS_CONTROL_EXPOSE_HEADERS], "x-total");
        let request = parts(Method::GET, &[(ORIGIN, "https://evil.example")]);
        judge(&one(true), &visit(&request)).apply(&mut out);
        assert_eq!(shown(&out), ["vary: origin", "vary: origin"]);
    }

    fn preflight(origin: &str, method: &str, names: &[&str]) -> Option<Response<Body>> {
        let mut headers = vec![(ORIGIN, origin), (ACCESS_CONTROL_REQUEST_METHOD, method)];
        headers.extend(names.iter().map(|names| (ACCESS_CONTROL_REQUEST_HEADERS, *names)));
        let request = parts(Method::OPTIONS, &headers);
        let verdict = judge(&one(false), &visit(&request));
        let mut response = verdict.preflight(&visit(&request))?;
        verdict.apply(response.headers_mut());
        Some(response)
    }

    #[test]
    fn a_preflight_is_told_that_it_may() {
        let response = preflight(PAGE, "PATCH", &["content-type,x-tenant"]).unwrap();
        assert_eq!(response.status(), 204);
        let expected = [
            "access-control-allow-headers: content-type,x-tenant",
            "access-control-allow-methods: PATCH",
            "access-control-allow-origin: https://dash.example.com",
            "access-control-max-age: 7200",
            "vary: access-control-request-headers",
            "vary: access-control-request-method",
            "vary: origin",
        ];
        assert_eq!(shown(response.headers()), expected);
        let foreign = preflight("https://evil.example", "PATCH", &["x-tenant"]).unwrap();
        assert_eq!(foreign.status(), 403);
        assert_eq!(shown(foreign.headers()), expected[4..]);
    }

    #[test]
    fn a_preflight_echoes_nothing_but_names() {
        let echoed = |method: &str, names: &[&str]| {
            let response = preflight(PAGE, method, names).unwrap();
            let has = |name| response.headers().contains_key(name);
            (has(ACCESS_CONTROL_ALLOW_METHODS), has(ACCESS_CONTROL_ALLOW_HEADERS))
        };
        assert_eq!(echoed("PUT", &["x-a, x-b"]), (true, true));
        assert_eq!(echoed("P T", &["x-a x-b"]), (false, false));
        assert_eq!(echoed("", &[""]), (false, false));
        assert_eq!(echoed("PUT", &["x-a", "x-b"]), (true, false));
        let names = |length: usize| "x".repeat(length - 2) + ",y";
        assert_eq!(echoed("PUT", &[&names(limits::CORS_HEADERS)]), (true, true));
        assert_eq!(echoed("PUT", &[&names(limits::CORS_HEADERS + 1)]), (true, false));
    }

    #[test]
    fn options_without_the_question_is_for_the_route() {
        for headers in [&[(ORIGIN, PAGE)][..], &[(ACCESS_CONTROL_REQUEST_METHOD, "PUT")]] {
            let request = parts(Method::OPTIONS, headers);
            assert!(judge(&one(false), &visit(&request)).preflight(&visit(&request)).is_none());
        }
    }
}
