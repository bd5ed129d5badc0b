//! Watching over server-sent events: one request, then events until the answer ends.
//!
//! Owns: the request's head. The connection itself is [`crate::cli::client`]'s.

use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use tokio::time::timeout;

use super::failure::Failure;
use super::link::{Outlet, Request};
use super::message::{Body, Message};
use crate::cli::client;
use crate::limits;
use crate::message::event_stream::{Item, Parser};

/// Asks once and hands messages to `outlet` until the answer ends, or nobody wants them any more. `last_id` is sent as
/// `Last-Event-ID`, and kept up to date for the next time.
pub async fn watch(asked: &Request, last_id: &mut String, outlet: &mut Outlet<'_>) -> Failure {
    let headers = headers(asked, last_id);
    let answer = timeout(limits::WATCH_CONNECT, client::get(&asked.target.uri, &headers, asked.trust)).await;
    let response = match answer {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => return Failure::broken(&error),
        Err(_) => return Failure::ConnectTimeout,
    };
    if response.status() != StatusCode::OK {
        return refusal(response).await;
    }
    let content_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or("no content type").to_owned();
    if !content_type.to_ascii_lowercase().starts_with("text/event-stream") {
        return Failure::NoEventStream(super::message::clip(&content_type, limits::WATCH_LINE));
    }
    outlet.opened().await;
    follow(response.into_body(), last_id, outlet).await
}

fn headers(asked: &Request, last_id: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // An id that no header can carry is as good as none.
    if let Some(id) = HeaderValue::from_str(last_id).ok().filter(|id| !id.is_empty()) {
        headers.insert("last-event-id", id);
    }
    asked.add_headers(&mut headers);
    headers
}

async fn refusal(response: Response<Incoming>) -> Failure {
    let (head, body) = response.into_parts();
    let body = timeout(limits::WATCH_PROBLEM_TIMEOUT, Limited::new(body, limits::WATCH_PROBLEM).collect()).await;
    // A body that is too long, or late, is not told; the status is.
    let body = body.ok().and_then(Result::ok).map(|body| body.to_bytes()).unwrap_or_default();
    Failure::refused(head.status, &head.headers, &body)
}

async fn follow(mut body: Incoming, last_id: &mut String, outlet: &mut Outlet<'_>) -> Failure {
    let mut parser = Parser::new(limits::WATCH_MESSAGE, last_id.clone());
    let mut items = Vec::new();
    loop {
        let frame = tokio::select! {
            biased;
            () = outlet.closed() => return Failure::Ended,
            frame = body.frame() => frame,
        };
        match frame {
            None => return Failure::Ended,
            Some(Err(error)) => return Failure::broken_while("the connection broke", &error),
            Some(Ok(frame)) => frame.data_ref().into_iter().for_each(|bytes| parser.push(bytes, &mut items)),
        }
        for item in items.drain(..) {
            match item {
                Item::Event(event) => {
                    last_id.clone_from(&event.id);
                    outlet.message(Message { body: Body::Text(event.data), event: event.name }).await;
                }
                Item::Retry(_) => {}
                Item::TooLarge => return Failure::TooLarge,
            }
        }
    }
}
