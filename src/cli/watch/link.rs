//! The connection that is kept: dials, tells what comes, and dials again with back-off, until nobody listens.
//!
//! Owns: the back-off and the last event id. Never: shows anything; whoever holds the other end of the channel does.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep};

use super::failure::Failure;
use super::message::Message;
use super::target::{Target, Way};
use super::{events, socket};
use crate::cli::client::Trust;
use crate::limits;
use crate::message::headers::AGENT;
use crate::shutdown::random_unit;
use crate::source::backoff::Backoff;

/// What is asked of the server, each time.
#[derive(Debug)]
pub struct Request {
    pub target: Target,
    pub trust: Trust,
    /// `Authorization`, marked sensitive.
    pub authorization: Option<HeaderValue>,
}

/// What happens, in order.
#[derive(Debug)]
pub enum Event {
    Dialling,
    Connected,
    Message(Message),
    /// The connection was not to be had, or is lost; the next dial is after `again`.
    Lost {
        failure: Failure,
        again: Duration,
    },
}

/// Where one connection puts what comes; knows when it was opened.
#[derive(Debug)]
pub struct Outlet<'a> {
    events: &'a mpsc::Sender<Event>,
    opened: Option<Instant>,
}

impl Request {
    /// Adds the headers that every way of asking sends.
    pub fn add_headers(&self, headers: &mut HeaderMap) {
        headers.insert(header::USER_AGENT, HeaderValue::from_static(AGENT));
        if let Some(authorization) = &self.authorization {
            headers.insert(header::AUTHORIZATION, authorization.clone());
        }
    }
}

impl<'a> Outlet<'a> {
    /// For a connection that is not open yet.
    #[must_use]
    pub fn new(events: &'a mpsc::Sender<Event>) -> Outlet<'a> {
        Outlet { events, opened: None }
    }

    /// Tells that messages will come now.
    pub async fn opened(&mut self) {
        self.opened = Some(Instant::now());
        self.tell(Event::Connected).await;
    }

    /// Hands a message on, and waits while the one who shows them is busy.
    pub async fn message(&self, message: Message) {
        self.tell(Event::Message(message)).await;
    }

    /// Done when nobody listens any more.
    pub async fn closed(&self) {
        self.events.closed().await;
    }

    async fn tell(&self, event: Event) {
        // A listener that has gone is seen by `closed`, which every loop looks at first.
        let _ = self.events.send(event).await;
    }
}

/// Keeps the connection until the other end of `events` is dropped. `redial` drops what there is, or cuts the waiting
/// short, and dials at once.
pub async fn keep(request: &Request, events: mpsc::Sender<Event>, redial: &Notify) {
    let mut backoff = Backoff::of_watcher();
    let mut last_id = String::new();
    while !events.is_closed() {
        let mut outlet = Outlet::new(&events);
        outlet.tell(Event::Dialling).await;
        let failure = tokio::select! {
            failure = once(request, &mut last_id, &mut outlet) => failure,
            () = redial.notified() => Failure::Asked,
        };
        if matches!(failure, Failure::Asked) {
            backoff = Backoff::of_watcher();
            continue;
        }
        let held = outlet.opened.map_or(Duration::ZERO, |opened| opened.elapsed());
        let again = backoff.after(held, Instant::now(), random_unit()).max(asked_for(failure.retry_after()));
        outlet.tell(Event::Lost { failure, again }).await;
        tokio::select! {
            biased;
            () = events.closed() => return,
            () = redial.notified() => {}
            () = sleep(again) => {}
        }
    }
}

/// What the server asked to be waited for, within reason.
fn asked_for(retry_after: Option<Duration>) -> Duration {
    retry_after.unwrap_or_default().min(limits::WATCH_RETRY_AFTER)
}

async fn once(request: &Request, last_id: &mut String, outlet: &mut Outlet<'_>) -> Failure {
    match request.target.way {
        Way::WebSocket => socket::watch(request, outlet).await,
        Way::Sse => events::watch(request, last_id, outlet).await,
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{SinkExt, StreamExt};
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};
    use tokio_tungstenite::tungstenite;
    use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

    use super::*;
    use crate::testing::{self, head, run};

    #[test]
    fn what_the_server_asked_for_is_waited_within_reason() {
        assert_eq!(asked_for(None), Duration::ZERO);
        assert_eq!(asked_for(Some(Duration::from_secs(7))), Duration::from_secs(7));
        assert_eq!(asked_for(Some(Duration::from_secs(86_400))), limits::WATCH_RETRY_AFTER);
    }

    /// What a watcher of `scheme` is told, as text, until it has been told what begins with `last`; it dials again at once.
    async fn told(scheme: &str, trust: Trust, address: &str, last: &str) -> Vec<String> {
        let target = format!("{scheme}://{address}/ws?x=1").parse().unwrap();
        let request = Request { target, trust, authorization: Some(HeaderValue::from_static("Bearer t")) };
        let (sender, mut events) = mpsc::channel(limits::WATCH_QUEUE);
        let redial = Notify::new();
        let listen = async {
            let mut told = Vec::new();
            while told.last().is_none_or(|text: &String| !text.starts_with(last)) {
                told.push(match events.recv().await.unwrap() {
                    Event::Dialling => "dialling".to_owned(),
                    Event::Connected => "connected".to_owned(),
                    Event::Message(message) => format!("{}: {}", message.event, message.line(false)),
                    Event::Lost { failure, .. } => failure.to_string(),
                });
                if matches!(told.last().map(String::as_str), Some(text) if text.contains("the ") && !text.starts_with(last))
                {
                    redial.notify_one();
                }
            }
            events.close();
            told
        };
        tokio::join!(keep(&request, sender, &redial), listen).1
    }

    /// A connection, and the head of the request that came over it.
    async fn accept(listener: &TcpListener) -> (TcpStream, String) {
        let (mut stream, _) = listener.accept().await.unwrap();
        let head = head(&mut stream).await.unwrap();
        (stream, head.to_ascii_lowercase())
    }

    async fn listen() -> (TcpListener, String) {
        let (listener, address) = testing::listen().await;
        (listener, address.to_string())
    }

    #[test]
    fn a_websocket_is_followed_and_dialled_again_when_it_ends() {
        run(async {
            let (listener, address) = listen().await;
            let serve = async {
                let (stream, _) = listener.accept().await.unwrap();
                let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
                socket.send("one".into()).await.unwrap();
                socket.send(tungstenite::Message::Binary(vec![0, 1].into())).await.unwrap();
                let close = tungstenite::protocol::CloseFrame { code: CloseCode::Restart, reason: "bye".into() };
                socket.close(Some(close)).await.unwrap();
                while let Some(Ok(_)) = socket.next().await {}
                let (stream, _) = listener.accept().await.unwrap();
                let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
                socket.send("two".into()).await.unwrap();
                socket.next().await
            };
            let (told, end) = tokio::join!(told("ws", Trust::System, &address, ": two"), serve);
            let lost = "the server closed with 1012: bye";
            let expected = ["dialling", "connected", ": one", ": AAE=", lost, "dialling", "connected", ": two"];
            assert_eq!(told, expected);
            assert!(matches!(end, Some(Ok(tungstenite::Message::Close(_)))), "{end:?}");
        });
    }

    #[test]
    fn a_refused_upgrade_tells_its_problem_even_when_the_body_comes_late() {
        run(async {
            let (listener, address) = listen().await;
            let serve = async {
                let (mut stream, head) = accept(&listener).await;
                let body = r#"{"title":"Unauthorized","detail":"no token"}"#;
                let answer = format!(
                    "HTTP/1.1 401 Unauthorized\r\nContent-Type: application/problem+json\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
                stream.flush().await.unwrap();
                tokio::task::yield_now().await;
                stream.write_all(body.as_bytes()).await.unwrap();
                (head, stream)
            };
            let last = "the server answered 401 Unauthorized: no token";
            let (told, (head, _stream)) = tokio::join!(told("ws", Trust::System, &address, last), serve);
            assert_eq!(told, ["dialling", last]);
            assert!(head.starts_with("get /ws?x=1 http/1.1\r\n"), "{head}");
            assert!(head.contains(&format!("\r\nhost: {address}\r\n")), "{head}");
            assert!(head.contains("\r\nauthorization: bearer t\r\n"), "{head}");
        });
    }

    #[test]
    fn a_message_over_the_bound_ends_the_connection() {
        run(async {
            let (listener, address) = listen().await;
            let serve = async {
                let (stream, _) = listener.accept().await.unwrap();
                let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
                socket.send("x".repeat(limits::WATCH_MESSAGE).into()).await.unwrap();
                // The client leaves in the middle of it.
                let _ = socket.send("x".repeat(limits::WATCH_MESSAGE + 1).into()).await;
            };
            let last = "a message is larger than 4194304 bytes";
            let (told, ()) = tokio::join!(told("ws", Trust::System, &address, last), serve);
            assert_eq!(told[2].len(), limits::WATCH_MESSAGE + 2);
            assert_eq!(told[3], last);
        });
    }

    #[test]
    fn an_event_stream_is_followed_and_resumed_after_its_last_id() {
        run(async {
            let (listener, address) = listen().await;
            let serve = async {
                let answer = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
                let (mut stream, first) = accept(&listener).await;
                let events = "id: b-7\nevent: stats\ndata: {\ndata: }\n\ndata: cut";
                stream.write_all(format!("{answer}{events}").as_bytes()).await.unwrap();
                drop(stream);
                let (mut stream, second) = accept(&listener).await;
                stream.write_all(format!("{answer}data: two\n\n").as_bytes()).await.unwrap();
                (first, second, stream)
            };
            let (told, (first, second, _stream)) = tokio::join!(told("http", Trust::System, &address, ": two"), serve);
            let lost = "the connection ended";
            assert_eq!(told, ["dialling", "connected", "stats: {}", lost, "dialling", "connected", ": two"]);
            assert!(first.contains("\r\naccept: text/event-stream\r\n") && !first.contains("last-event-id"), "{first}");
            assert!(first.contains("\r\nauthorization: bearer t\r\n"), "{first}");
            assert!(second.contains("\r\nlast-event-id: b-7\r\n"), "{second}");
        });
    }

    #[test]
    fn what_is_no_event_stream_is_not_followed() {
        run(async {
            let (listener, address) = listen().await;
            let serve = async {
                let (mut stream, _) = accept(&listener).await;
                let answer = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n";
                stream.write_all(answer.as_bytes()).await.unwrap();
                stream
            };
            let last = Failure::NoEventStream("text/html".to_owned()).to_string();
            let (told, _stream) = tokio::join!(told("http", Trust::System, &address, &last), serve);
            assert_eq!(told, ["dialling", &last]);
        });
    }

    #[test]
    fn over_tls_only_insecure_trusts_a_certificate_of_nobody() {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let key = rustls_pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
        run(async {
            let (listener, address) = listen().await;
            let insecure = async {
                let (stream, _) = listener.accept().await.unwrap();
                let stream = acceptor.accept(stream).await.unwrap();
                let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
                socket.send("hello".into()).await.unwrap();
                while let Some(Ok(_)) = socket.next().await {}
            };
            let (told_insecure, ()) = tokio::join!(told("wss", Trust::Anything, &address, ": hello"), insecure);
            assert_eq!(told_insecure, ["dialling", "connected", ": hello"]);
            let refused = async {
                let (stream, _) = listener.accept().await.unwrap();
                assert!(acceptor.accept(stream).await.is_err());
            };
            let last = "the certificate is not trusted (";
            let (told_system, ()) = tokio::join!(told("wss", Trust::System, &address, last), refused);
            assert_eq!(told_system.len(), 2, "{told_system:?}");
        });
    }
}
