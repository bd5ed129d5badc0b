//! Watching over a WebSocket: TCP, TLS, the handshake, then messages until it ends.
//!
//! Owns: the socket. A server that has gone silent is found out by a ping.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use http::{Request, header};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::handshake::client::{Response, generate_key};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Error};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::failure::Failure;
use super::link::{Outlet, Request as Asked};
use super::message::{Body, Message, clip};
use super::target::Target;
use crate::cli::client::{self, Trust};
use crate::limits;

trait Wired: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Wired for T {}

/// TCP, or TLS over it.
type Wire = Box<dyn Wired>;

/// How long silence is borne.
#[derive(Debug, Clone, Copy)]
struct Patience {
    /// Before the server is asked, by a ping, whether it is there.
    ping: Duration,
    /// Before it is taken for dead, having been asked.
    pong: Duration,
}

const PATIENCE: Patience = Patience { ping: limits::PING, pong: limits::PONG_TIMEOUT };

/// Dials once and hands messages to `outlet` until the connection ends, or nobody wants them any more.
pub async fn watch(asked: &Asked, outlet: &mut Outlet<'_>) -> Failure {
    // One deadline over everything up to the answer's head.
    let by = Instant::now() + limits::WATCH_CONNECT;
    let mut wire = match timeout_at(by, dial(&asked.target, asked.trust)).await {
        Ok(Ok(wire)) => wire,
        Ok(Err(failure)) => return failure,
        Err(_) => return Failure::ConnectTimeout,
    };
    let request = match upgrade_request(asked) {
        Ok(request) => request,
        Err(error) => return Failure::setup(&error),
    };
    let socket = match timeout_at(by, client_async_with_config(request, &mut wire, Some(config()))).await {
        Ok(Ok((socket, _))) => socket,
        Ok(Err(Error::Http(response))) => return refusal(*response, &mut wire).await,
        Ok(Err(error)) => return error.into(),
        Err(_) => return Failure::ConnectTimeout,
    };
    outlet.opened().await;
    follow(socket, outlet, PATIENCE).await
}

async fn dial(target: &Target, trust: Trust) -> Result<Wire, Failure> {
    let cannot = |error: std::io::Error| Failure::broken_while("cannot connect", &error);
    let tcp = TcpStream::connect((target.host(), target.port())).await.map_err(cannot)?;
    tcp.set_nodelay(true).map_err(cannot)?;
    if !target.tls {
        return Ok(Box::new(tcp));
    }
    let config = client::tls_client_config(trust).map_err(|error| Failure::setup(&error))?;
    // A WebSocket speaks HTTP/1.1, whatever else the configuration offers.
    let mut config = rustls::ClientConfig::clone(&config);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let name = ServerName::try_from(target.host().to_owned()).map_err(|error| Failure::setup(&error))?;
    let tls = TlsConnector::from(std::sync::Arc::new(config)).connect(name, tcp).await.map_err(cannot)?;
    Ok(Box::new(tls))
}

fn upgrade_request(asked: &Asked) -> Result<Request<()>, http::Error> {
    let mut request = Request::get(&asked.target.uri)
        .header(header::HOST, asked.target.authority())
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, generate_key())
        .body(())?;
    asked.add_headers(request.headers_mut());
    Ok(request)
}

fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(limits::WATCH_READ_SIZE)
        .write_buffer_size(0)
        .max_write_buffer_size(limits::WATCH_WRITE_BUFFER)
        .max_message_size(Some(limits::WATCH_MESSAGE))
        .max_frame_size(Some(limits::WATCH_MESSAGE))
}

/// The refusal with its body, the rest of which is read from `wire`: it may come after the head.
async fn refusal(response: Response, wire: &mut Wire) -> Failure {
    let (head, body) = response.into_parts();
    let mut body = body.unwrap_or_default();
    let length = head.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let wanted = length.unwrap_or(0_usize).min(limits::WATCH_PROBLEM);
    let missing = u64::try_from(wanted.saturating_sub(body.len())).unwrap_or(0);
    // What does not come is not told; the status is.
    let _ = timeout(limits::WATCH_PROBLEM_TIMEOUT, wire.take(missing).read_to_end(&mut body)).await;
    Failure::refused(head.status, &head.headers, &body)
}

async fn follow<S>(mut socket: WebSocketStream<S>, outlet: &mut Outlet<'_>, patience: Patience) -> Failure
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut heard = Instant::now();
    let mut pinged = false;
    loop {
        let by = heard + patience.ping + if pinged { patience.pong } else { Duration::ZERO };
        let next = tokio::select! {
            biased;
            () = outlet.closed() => return farewell(socket).await,
            next = timeout_at(by, socket.next()) => next,
        };
        let Ok(next) = next else {
            if pinged {
                return Failure::Silent;
            }
            pinged = true;
            if let Err(error) = socket.send(tungstenite::Message::Ping(tungstenite::Bytes::new())).await {
                return error.into();
            }
            continue;
        };
        (heard, pinged) = (Instant::now(), false);
        match next {
            None => return Failure::Ended,
            Some(Err(error)) => return error.into(),
            Some(Ok(tungstenite::Message::Text(text))) => {
                outlet.message(Message::text(text.as_str())).await;
            }
            Some(Ok(tungstenite::Message::Binary(bytes))) => {
                outlet.message(Message { body: Body::Binary(bytes), event: String::new() }).await;
            }
            Some(Ok(tungstenite::Message::Close(frame))) => {
                // Answers the server's close; it need not hear it.
                let _ = timeout(limits::WATCH_GOODBYE, socket.close(None)).await;
                return frame.map_or(Failure::Ended, |frame| Failure::Closed {
                    code: frame.code.into(),
                    reason: clip(frame.reason.as_str(), limits::WATCH_LINE),
                });
            }
            Some(Ok(
                tungstenite::Message::Ping(_) | tungstenite::Message::Pong(_) | tungstenite::Message::Frame(_),
            )) => {}
        }
    }
}

/// Tells the server that we leave, and waits a moment for its answer.
async fn farewell<S>(mut socket: WebSocketStream<S>) -> Failure
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let leave = async {
        socket.close(None).await?;
        while let Some(Ok(_)) = socket.next().await {}
        Ok::<(), Error>(())
    };
    // The process ends next: nothing is left to do about an error.
    let _ = timeout(limits::WATCH_GOODBYE, leave).await;
    Failure::Ended
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;
    use tokio_tungstenite::tungstenite::protocol::Role;

    use super::super::link::Event;
    use super::*;

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    /// Follows a server of which `serve` is the whole behaviour; gives why that ended.
    fn follow_while<F: Future>(serve: impl FnOnce(WebSocketStream<tokio::io::DuplexStream>) -> F) -> Failure {
        block_on(async {
            let (near, far) = tokio::io::duplex(1024);
            let far = WebSocketStream::from_raw_socket(far, Role::Server, None).await;
            let near = WebSocketStream::from_raw_socket(near, Role::Client, Some(config())).await;
            let (sender, mut events) = mpsc::channel(1);
            let mut outlet = Outlet::new(&sender);
            let impatient = Patience { ping: Duration::from_millis(1), pong: Duration::from_millis(50) };
            let follow = async {
                let failure = follow(near, &mut outlet, impatient).await;
                events.close();
                failure
            };
            tokio::join!(follow, serve(far)).0
        })
    }

    #[test]
    fn a_server_that_answers_no_ping_is_given_up() {
        // Held open until the other side is done, and never read.
        let failure = follow_while(|far| async move { far });
        assert!(matches!(failure, Failure::Silent), "{failure}");
    }

    #[test]
    fn pongs_keep_a_silent_server() {
        let failure = follow_while(|mut far| async move {
            for _ in 0..5 {
                assert!(matches!(far.next().await, Some(Ok(tungstenite::Message::Ping(_)))));
                far.flush().await.unwrap();
            }
            far.close(None).await.unwrap();
            assert!(matches!(far.next().await, None | Some(Ok(_) | Err(_))));
        });
        assert!(matches!(failure, Failure::Ended), "{failure}");
    }

    #[test]
    fn whoever_stops_listening_says_goodbye() {
        block_on(async {
            let (near, far) = tokio::io::duplex(1024);
            let mut far = WebSocketStream::from_raw_socket(far, Role::Server, None).await;
            let near = WebSocketStream::from_raw_socket(near, Role::Client, Some(config())).await;
            let (sender, events) = mpsc::channel::<Event>(1);
            drop(events);
            let mut outlet = Outlet::new(&sender);
            let (_, told) = tokio::join!(follow(near, &mut outlet, PATIENCE), far.next());
            assert!(matches!(told, Some(Ok(tungstenite::Message::Close(_)))), "{told:?}");
        });
    }
}
