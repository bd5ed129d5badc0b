//! Asking another server whether a request may pass (`auth_request`): a GET without a body, with the request's own head;
//! 2xx lets it pass.
//!
//! Owns: what is asked, what each answer means, and the headers of a good one that the request is given. Never: lets a
//! client's own copy of such a header through, under any spelling, or keep one from going on by naming it in `Connection`.

use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use http::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    IF_RANGE, IF_UNMODIFIED_SINCE, RANGE, TE, TRAILER, WWW_AUTHENTICATE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use http_body::Body as _;
use tokio::time::timeout;

use super::Denied;
use crate::limits;
use crate::message::body::Bounds;
use crate::message::hop::{self, Hop};
use crate::message::{Body, headers, rules, trace};
use crate::upstream::{Sent, Upstream};

/// Whom to ask, and what.
#[derive(Debug)]
pub struct Check {
    upstream: String,
    uri: Uri,
    copy: Vec<HeaderName>,
}

/// What a request that may pass is given: of each header its values, which are none where there are none. It is called what
/// it was called in the question, so that both are found under one name.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Grant(Vec<(HeaderName, Vec<HeaderValue>)>);

/// What is about a body, or makes an answer depend on what the client has.
const LEFT_OUT: [HeaderName; 11] = [
    CONTENT_LENGTH,
    CONTENT_TYPE,
    CONTENT_ENCODING,
    EXPECT,
    TRAILER,
    IF_MATCH,
    IF_NONE_MATCH,
    IF_MODIFIED_SINCE,
    IF_UNMODIFIED_SINCE,
    IF_RANGE,
    RANGE,
];

impl Check {
    /// `path` with its query; `copy` names the headers that are given on.
    #[must_use]
    pub fn new(upstream: String, path: &str, copy: Vec<HeaderName>) -> Check {
        // The config knows it for a path.
        Check { upstream, uri: path.parse().unwrap_or_default(), copy }
    }

    /// The name of the upstream that is asked.
    #[must_use]
    pub fn upstream(&self) -> &str {
        &self.upstream
    }

    /// Asks whether the request may pass, as often as it comes: nothing is remembered.
    ///
    /// # Errors
    /// If it may not, or that cannot be told.
    pub async fn ask(
        &self,
        upstream: Option<&Rc<Upstream>>,
        request: &Parts,
        hop: &Hop<'_>,
        client: IpAddr,
    ) -> Result<Grant, Denied> {
        let upstream = upstream.ok_or_else(|| Denied::Unasked { reason: "there is no such upstream".to_owned() })?;
        let question = self.question(request, hop);
        let names = Grant::of(&trace::FIELDS, question.headers());
        let sent = upstream.send(client, question).await;
        let Sent { response, permit, server, .. } =
            sent.map_err(|failure| Denied::Unasked { reason: failure.to_string() })?;
        let (head, body) = response.into_parts();
        let bounds = Bounds { size: limits::CHECK_BODY as u64, pause: limits::CHECK_BODY_TIMEOUT };
        drain(Body::passing(body, bounds, permit), limits::CHECK_BODY_TIMEOUT).await;
        match head.status {
            status if status.is_success() => Ok(names.and(self.grant(&head.headers))),
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                let challenges = head.headers.get_all(WWW_AUTHENTICATE).iter().cloned().collect();
                Err(Denied::Refused { status, challenges })
            }
            status => Err(Denied::Unclear { server, status }),
        }
    }

    fn question(&self, request: &Parts, hop: &Hop<'_>) -> Request<Body> {
        let mut question = Request::new(Body::Empty).into_parts().0;
        question.uri = self.uri.clone();
        question.version = request.version;
        question.headers = request.headers.clone();
        LEFT_OUT.iter().for_each(|name| drop(question.headers.remove(name)));
        hop::request(&mut question, hop).set(&mut question.headers);
        [CONNECTION, TE].iter().for_each(|name| drop(question.headers.remove(name)));
        // A WebSocket over HTTP/2 is asked for by CONNECT, and is a GET to its server.
        let method = if request.method == Method::CONNECT { "GET" } else { request.method.as_str() };
        let uri = request.uri.path_and_query().map_or("/", |whole| whole.as_str());
        for (method_name, uri_name) in
            [("x-original-method", "x-original-uri"), ("x-forwarded-method", "x-forwarded-uri")]
        {
            for (name, value) in [(method_name, method), (uri_name, uri)] {
                let name = HeaderName::from_static(name);
                rules::remove(&mut question.headers, &name);
                headers::set(&mut question.headers, name, value);
            }
        }
        Request::from_parts(question, Body::Empty)
    }

    fn grant(&self, answer: &HeaderMap) -> Grant {
        Grant::of(&self.copy, answer)
    }
}

impl Grant {
    /// What `headers` say under these names, or that they say nothing.
    fn of(names: &[HeaderName], headers: &HeaderMap) -> Grant {
        let values = |name: &HeaderName| headers.get_all(name).iter().cloned().collect();
        Grant(names.iter().map(|name| (name.clone(), values(name))).collect())
    }

    /// Both; of what both speak of, `other` has the last word.
    fn and(mut self, other: Grant) -> Grant {
        self.0.extend(other.0);
        self
    }

    /// Gives the headers to the request, in place of what the client said under their names.
    pub fn apply(&self, request: &mut HeaderMap) {
        for (name, values) in &self.0 {
            rules::remove(request, name);
            headers::replace(request, name, values);
        }
        self.unlist(request);
    }

    /// Takes the names out of `Connection`, which would have them left behind on the way.
    fn unlist(&self, request: &mut HeaderMap) {
        let is_ours = |one: &[u8]| self.0.iter().any(|(name, _)| one.eq_ignore_ascii_case(name.as_str().as_bytes()));
        let listed =
            |line: &HeaderValue| line.as_bytes().split(|byte| *byte == b',').any(|one| is_ours(one.trim_ascii()));
        if !request.get_all(CONNECTION).iter().any(listed) {
            return;
        }
        let others: Vec<&[u8]> = request
            .get_all(CONNECTION)
            .iter()
            .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|one| !is_ours(one))
            .collect();
        let rest = HeaderValue::from_bytes(&others.join(b", ".as_slice()));
        request.remove(CONNECTION);
        if let Some(rest) = rest.ok().filter(|rest| !rest.is_empty()) {
            request.insert(CONNECTION, rest);
        }
    }
}

/// Reads a body to its end, within its bounds and `limit`, and drops it.
async fn drain(mut body: Body, limit: Duration) {
    if body.is_end_stream() {
        return;
    }
    let whole =
        async { while let Some(Ok(_)) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {} };
    // What does not end in time is dropped with its connection.
    let _ = timeout(limit, whole).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check() -> Check {
        let copy = vec![HeaderName::from_static("x-user"), HeaderName::from_static("x-groups")];
        Check::new("auth".to_owned(), "/auth?full=1", copy)
    }

    fn headers(of: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in of {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        map
    }

    /// `name: value` of each, sorted.
    fn shown(headers: &HeaderMap) -> Vec<String> {
        let line = |(name, value): (&HeaderName, &HeaderValue)| format!("{name}: {}", value.to_str().unwrap());
        let mut lines: Vec<_> = headers.iter().map(line).collect();
        lines.sort();
        lines
    }

    fn question(method: Method, of: &[(&'static str, &'static str)]) -> Request<Body> {
        let mut request = Request::builder().method(method).uri("/api/x?token=1").body(()).unwrap().into_parts().0;
        request.headers = headers(of);
        let hop = Hop {
            peer: IpAddr::from([192, 0, 2, 1]),
            client: IpAddr::from([192, 0, 2, 1]),
            trusted: false,
            chained: false,
            scheme: "https",
            authority: "dash.example.com",
            host: "dash.example.com",
            request_id: limits::REQUEST_ID,
        };
        check().question(&request, &hop)
    }

    #[test]
    fn the_question_is_a_get_with_the_requests_own_head_and_no_body() {
        let asked = question(
            Method::POST,
            &[
                ("host", "dash.example.com"),
                ("cookie", "session=1"),
                ("authorization", "Bearer x"),
                ("content-length", "5"),
                ("content-type", "text/plain"),
                ("transfer-encoding", "chunked"),
                ("expect", "100-continue"),
                ("if-none-match", "\"a\""),
                ("range", "bytes=0-1"),
                ("te", "trailers"),
                ("connection", "te, upgrade"),
                ("upgrade", "websocket"),
                ("x-original-uri", "/evil"),
                ("x_original_uri", "/evil"),
                ("x-forwarded-for", "6.6.6.6"),
            ],
        );
        assert_eq!((asked.method(), asked.uri().to_string().as_str()), (&Method::GET, "/auth?full=1"));
        assert!(asked.body().is_end_stream());
        let random = |line: &String| line.starts_with("traceparent: ") || line.starts_with("x-request-id: ");
        let shown: Vec<_> = shown(asked.headers()).into_iter().filter(|line| !random(line)).collect();
        let expected = [
            "authorization: Bearer x",
            "cookie: session=1",
            "forwarded: for=192.0.2.1;host=\"dash.example.com\";proto=https",
            "host: dash.example.com",
            "x-forwarded-for: 192.0.2.1",
            "x-forwarded-host: dash.example.com",
            "x-forwarded-method: POST",
            "x-forwarded-port: 443",
            "x-forwarded-proto: https",
            "x-forwarded-uri: /api/x?token=1",
            "x-original-method: POST",
            "x-original-uri: /api/x?token=1",
        ];
        assert_eq!(shown, expected);
        assert_eq!(question(Method::CONNECT, &[]).headers()["x-original-method"], "GET");
    }

    #[test]
    fn what_the_answer_says_of_the_client_is_all_that_goes_on_under_its_name() {
        let grant =
            check().grant(&headers(&[("x-user", "ann"), ("x-groups", "a"), ("x-groups", "b"), ("x-other", "c")]));
        let mut request = headers(&[("x-user", "admin"), ("x_user", "admin"), ("x-groups", "root"), ("x-mine", "1")]);
        grant.apply(&mut request);
        assert_eq!(shown(&request), ["x-groups: a", "x-groups: b", "x-mine: 1", "x-user: ann"]);
        check().grant(&HeaderMap::new()).apply(&mut request);
        assert_eq!(shown(&request), ["x-mine: 1"]);
    }

    #[test]
    fn connection_cannot_take_it_away_again() {
        let grant = check().grant(&headers(&[("x-user", "ann")]));
        let mut request = headers(&[("connection", "Upgrade, X-User,te"), ("connection", "x-groups")]);
        grant.apply(&mut request);
        assert_eq!(shown(&request), ["connection: Upgrade, te", "x-user: ann"]);
        let mut request = headers(&[("connection", "x-user")]);
        grant.apply(&mut request);
        assert_eq!(shown(&request), ["x-user: ann"]);
        let mut request = headers(&[("connection", "keep-alive"), ("connection", "te")]);
        grant.apply(&mut request);
        assert_eq!(shown(&request), ["connection: keep-alive", "connection: te", "x-user: ann"]);
    }
}
