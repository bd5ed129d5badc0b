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
use super::message::{Body, Message};
use super::target::Target;
use crate::cli::client::{self, Trust};
use crate::limits;

trait Wired: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Wired for T {}

/// TCP, or TLS over it.
type Wire = Box<dyn Wired>;

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
        Err(error) => return Failure::broken("this URL cannot be asked for", &error),
    };
    let socket = match timeout_at(by, client_async_with_config(request, &mut wire, Some(config()))).await {
        Ok(Ok((socket, _))) => socket,
        Ok(Err(Error::Http(response))) => return refusal(*response, &mut wire).await,
        Ok(Err(error)) => return error.into(),
        Err(_) => return Failure::ConnectTimeout,
    };
    outlet.opened().await;
    follow(socket, outlet).await
}

async fn dial(target: &Target, trust: Trust) -> Result<Wire, Failure> {
    let cannot = |error: std::io::Error| Failure::broken("cannot connect", &error);
    let tcp = TcpStream::connect((target.host(), target.port())).await.map_err(cannot)?;
    tcp.set_nodelay(true).map_err(cannot)?;
    if !target.tls {
        return Ok(Box::new(tcp));
    }
    let config = client::tls_client_config(trust).map_err(|error| Failure::broken("TLS is not to be had", &error))?;
    // A WebSocket speaks HTTP/1.1, whatever else the configuration offers.
    let mut config = rustls::ClientConfig::clone(&config);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let name = ServerName::try_from(target.host().to_owned())
        .map_err(|error| Failure::broken("no certificate can be for this host", &error))?;
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

async fn follow(mut socket: WebSocketStream<&mut Wire>, outlet: &mut Outlet<'_>) -> Failure {
    let mut heard = Instant::now();
    let mut pinged = false;
    loop {
        let patience = limits::PING + if pinged { limits::PONG_TIMEOUT } else { Duration::ZERO };
        let next = tokio::select! {
            biased;
            () = outlet.closed() => {
                return farewell(socket).await;
            }
            next = timeout_at(heard + patience, socket.next()) => next,
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
        heard = Instant::now();
        pinged = false;
        let body = match next {
            Some(Ok(tungstenite::Message::Text(text))) => Body::Text(text.as_str().to_owned()),
            Some(Ok(tungstenite::Message::Binary(bytes))) => Body::Binary(bytes),
            Some(Ok(tungstenite::Message::Close(frame))) => {
                // Answers the server's close; it need not hear it.
                let _ = timeout(limits::WATCH_GOODBYE, socket.close(None)).await;
                return frame.map_or(Failure::Ended, |frame| Failure::Closed {
                    code: frame.code.into(),
                    reason: super::message::clip(frame.reason.as_str(), limits::WATCH_LINE),
                });
            }
            Some(Ok(
                tungstenite::Message::Ping(_) | tungstenite::Message::Pong(_) | tungstenite::Message::Frame(_),
            )) => continue,
            Some(Err(error)) => return error.into(),
            None => return Failure::Ended,
        };
        outlet.message(Message { body, event: String::new() }).await;
    }
}

/// Tells the server that we leave, and waits a moment for its answer.
async fn farewell(mut socket: WebSocketStream<&mut Wire>) -> Failure {
    let leave = async {
        socket.close(None).await?;
        while let Some(Ok(_)) = socket.next().await {}
        Ok::<(), Error>(())
    };
    // The process ends next: nothing is left to do about an error.
    let _ = timeout(limits::WATCH_GOODBYE, leave).await;
    Failure::Ended
}
