//! Opening an upstream socket: the first, and each that takes its place.
//!
//! Owns: the request that is said each time, small enough to keep, and what its answer must be. Never: keeps a piece of
//! the client's own request head, or a token that was renewed since.

use std::fmt;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    AUTHORIZATION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Uri};
use tokio::time::timeout;

use crate::handler::forward::Failure;
use crate::handler::tunnel::end::End;
use crate::message::{Body, framing, headers, hop, percent, trace};
use crate::secret::Secret;
use crate::upstream::{self, LoadPermit, Sent, Switched, Upstream};
use crate::ws::handshake;

/// How a client's own token is passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forwarding {
    /// `Authorization: Bearer`.
    Header,
    /// In the query, by this name.
    Query(Box<str>),
}

/// What dials for one session.
pub(super) struct Dialler {
    upstream: Rc<Upstream>,
    client: IpAddr,
    /// Path and query.
    target: Box<str>,
    /// In memory of their own.
    fields: Vec<(HeaderName, HeaderValue)>,
    forwarding: Option<Forwarding>,
}

/// An upgrade that was answered with 101, as it must be.
pub(super) struct Dialled {
    pub(super) switched: Switched,
    pub(super) load: LoadPermit,
    /// Its answer's, less those of this connection and of the handshake.
    pub(super) headers: HeaderMap,
    /// The subprotocol that the upstream picked.
    pub(super) protocol: Option<HeaderValue>,
    pub(super) server: Arc<str>,
}

/// An upstream socket.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) end: End,
    /// Said already.
    pub(super) early: Bytes,
    pub(super) load: LoadPermit,
    pub(super) server: Arc<str>,
}

/// Why there is none.
#[derive(Debug)]
pub(super) enum NotDialled {
    Unanswered(upstream::Failure),
    /// Its answer was another; it may be passed on.
    Declined(Box<Sent>),
    Bad(Failure),
}

impl Dialler {
    /// Says `request` again and again, which is a WebSocket's but for its key.
    #[must_use]
    pub(super) fn new(
        upstream: &Rc<Upstream>,
        client: IpAddr,
        request: &Request<Body>,
        forwarding: Option<Forwarding>,
    ) -> Dialler {
        let own = [SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_EXTENSIONS];
        let fields = request.headers().iter().filter(|(name, _)| !own.contains(name));
        let fields = packed(&fields.collect::<Vec<_>>());
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str()).into();
        Dialler { upstream: Rc::clone(upstream), client, target, fields, forwarding }
    }

    /// One attempt, with this token where it is passed on.
    ///
    /// # Errors
    /// If there is no answer, or one that opens nothing.
    pub(super) async fn dial(&self, token: Option<Arc<Secret>>) -> Result<Dialled, NotDialled> {
        let (key, accept) = handshake::key_and_accept([trace::random(), trace::random()]);
        let request = self.request(key, token.as_deref());
        let offered = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL).iter().cloned().collect::<Vec<_>>();
        // Another config may have given it other servers since.
        let mut sent = self.upstream.newest().upgrade(self.client, request).await.map_err(NotDialled::Unanswered)?;
        if sent.response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(NotDialled::Declined(Box::new(sent)));
        }
        let protocol = check(&sent, &accept, &offered).map_err(NotDialled::Bad)?;
        let Some(switched) = sent.switched.take() else { return Err(not_one(&sent.server)) };
        let (head, _body) = sent.response.into_parts();
        let mut headers = head.headers;
        hop::response(&mut headers);
        headers.remove(SEC_WEBSOCKET_ACCEPT);
        headers.remove(SEC_WEBSOCKET_PROTOCOL);
        Ok(Dialled { switched, load: sent.permit, headers, protocol, server: sent.server })
    }

    /// Another socket in place of one that was lost, which speaks the same subprotocol.
    ///
    /// # Errors
    /// If there is none within `patience`: why, for the log.
    pub(super) async fn again(
        self: Rc<Self>,
        token: Option<Arc<Secret>>,
        protocol: Option<HeaderValue>,
        patience: Duration,
    ) -> Result<Wire, String> {
        let dialling = async {
            let dialled = self.dial(token).await?;
            if dialled.protocol != protocol {
                return Err(not_one(&dialled.server));
            }
            dialled.open().await
        };
        let dialled = timeout(patience, dialling).await;
        dialled.map_err(|_late| format!("no handshake within {patience:?}"))?.map_err(|failed| failed.to_string())
    }

    fn request(&self, key: HeaderValue, token: Option<&Secret>) -> Request<Body> {
        let mut request = Request::new(Body::Empty);
        for (name, value) in &self.fields {
            request.headers_mut().append(name, value.clone());
        }
        let mut target = Uri::try_from(&*self.target).unwrap_or_default();
        match (&self.forwarding, token) {
            (Some(Forwarding::Header), Some(token)) => {
                if let Some(value) = headers::bearer(token.reveal()) {
                    request.headers_mut().insert(AUTHORIZATION, value);
                }
            }
            (Some(Forwarding::Query(name)), Some(token)) => {
                target = Uri::try_from(with_token(&self.target, name, token)).unwrap_or(target);
            }
            (Some(_), None) | (None, _) => {}
        }
        *request.uri_mut() = target;
        hop::upgrade(request.headers_mut(), HeaderValue::from_static("websocket"));
        request.headers_mut().insert(SEC_WEBSOCKET_KEY, key);
        request
    }
}

impl Dialled {
    /// The socket itself.
    ///
    /// # Errors
    /// If it ended meanwhile.
    pub(super) async fn open(self) -> Result<Wire, NotDialled> {
        let Dialled { switched, load, server, .. } = self;
        let Ok((io, early)) = switched.taken().await else { return Err(not_one(&server)) };
        Ok(Wire { end: End::from_server(io), early, load, server })
    }
}

fn not_one(server: &Arc<str>) -> NotDialled {
    let status = StatusCode::SWITCHING_PROTOCOLS;
    NotDialled::Bad(Failure::NoHandshake { server: Arc::clone(server), status })
}

/// The subprotocol that a 101 picks, if it is one at all (RFC 6455, section 4.1).
fn check(sent: &Sent, accept: &HeaderValue, offered: &[HeaderValue]) -> Result<Option<HeaderValue>, Failure> {
    let (status, headers) = (sent.response.status(), sent.response.headers());
    let server = || Arc::clone(&sent.server);
    let websocket = HeaderValue::from_static("websocket");
    framing::response(status, headers, Some(&websocket))
        .map_err(|rule| Failure::BadAnswer { server: server(), rule })?;
    let mut picked = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let (protocol, more) = (picked.next(), picked.next());
    let was_offered = |protocol: &HeaderValue| {
        let all = offered.iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
        all.map(<[u8]>::trim_ascii).any(|one| one == protocol.as_bytes())
    };
    let good = headers.get(SEC_WEBSOCKET_ACCEPT) == Some(accept)
        && !headers.contains_key(SEC_WEBSOCKET_EXTENSIONS)
        && more.is_none()
        && protocol.is_none_or(was_offered);
    if good { Ok(protocol.cloned()) } else { Err(Failure::NoHandshake { server: server(), status }) }
}

/// The same fields in one piece of memory: what came in a head would keep the whole of it.
fn packed(fields: &[(&HeaderName, &HeaderValue)]) -> Vec<(HeaderName, HeaderValue)> {
    let all: Bytes = fields.iter().flat_map(|(_, value)| value.as_bytes()).copied().collect::<Vec<u8>>().into();
    let mut at = 0;
    let mut packed = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        let end = at + value.len();
        // What was a header's value is one.
        if let Ok(mut copy) = HeaderValue::from_maybe_shared(all.slice(at..end)) {
            copy.set_sensitive(value.is_sensitive());
            packed.push(((*name).clone(), copy));
        }
        at = end;
    }
    packed
}

/// `target` with this token in place of what its query says by this name.
fn with_token(target: &str, name: &str, token: &Secret) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let kept = query.split('&').filter(|pair| !pair.is_empty() && pair.split('=').next() != Some(name));
    let mut all = format!("{path}?");
    for pair in kept {
        all.push_str(pair);
        all.push('&');
    }
    all.push_str(name);
    all.push('=');
    percent::push(&mut all, token.reveal(), "");
    all
}

/// For the log; what the upstream said is left out.
impl fmt::Display for NotDialled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotDialled::Unanswered(failure) => failure.fmt(f),
            NotDialled::Declined(sent) => write!(f, "{} answered {}", sent.server, sent.response.status()),
            NotDialled::Bad(failure) => failure.fmt(f),
        }
    }
}

/// Without the fields, which may be secret.
impl fmt::Debug for Dialler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialler").field("client", &self.client).finish_non_exhaustive()
    }
}

/// Without the fields, which may be secret.
impl fmt::Debug for Dialled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialled").field("server", &self.server).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_token(target: &str, expected: &str) {
        assert_eq!(with_token(target, "token", &Secret::new("a.b+c".to_owned())), expected);
    }

    #[test]
    fn a_token_takes_the_place_of_the_one_before() {
        check_token("/ws", "/ws?token=a.b%2Bc");
        check_token("/ws?", "/ws?token=a.b%2Bc");
        check_token("/ws?a=1&token=old&b", "/ws?a=1&b&token=a.b%2Bc");
        check_token("/ws?tokens=1", "/ws?tokens=1&token=a.b%2Bc");
    }

    #[test]
    fn fields_keep_their_values_and_what_is_secret_stays_so() {
        let mut headers = HeaderMap::new();
        headers.append("x-a", HeaderValue::from_static("1"));
        headers.append("x-a", HeaderValue::from_static(""));
        headers.append("x-b", HeaderValue::from_static("two"));
        headers.get_mut("x-b").unwrap().set_sensitive(true);
        let fields = packed(&headers.iter().collect::<Vec<_>>());
        let told: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(told, [("x-a", "1"), ("x-a", ""), ("x-b", "two")]);
        assert!(fields[2].1.is_sensitive() && !fields[0].1.is_sensitive());
    }
}
