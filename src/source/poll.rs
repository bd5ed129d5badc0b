//! An HTTP resource as a source: asked for again and again, each answer a message.
//!
//! Owns: what is asked (an `ETag` is sent back, so that what has not changed is not sent again) and what counts as an
//! answer. 304 and 204 say that the source lives and nothing more. Never: holds more than one answer, within the feed's
//! `max_message`.

use std::convert::Infallible;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_ENCODING, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::BodyExt as _;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::PollOptions;
use super::failure::{Failure, content_type};
use super::line::Line;
use super::request::{default, request};
use crate::feed::normalize::Incoming;
use crate::message::Body;
use crate::message::body::{self, Bounds};
use crate::upstream::{Incoming as Answer, LoadPermit, Sent, Upstream};

/// Asks until there is no answer.
pub(super) async fn follow(options: &PollOptions, upstream: &Upstream, line: &Line<'_>) -> Result<Infallible, Failure> {
    let mut ticks = interval(options.every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    // Of an answer before a failure nothing is kept: a fallback's values may have taken the place of those.
    let mut etag = None;
    loop {
        ticks.tick().await;
        ask(options, upstream, line, &mut etag).await?;
    }
}

async fn ask(
    options: &PollOptions,
    upstream: &Upstream,
    line: &Line<'_>,
    etag: &mut Option<HeaderValue>,
) -> Result<(), Failure> {
    let inlet = line.record.inlet;
    let mut asked = request(&options.dial, inlet.target(&options.dial.path), &inlet.bearer())?;
    let headers = asked.headers_mut();
    default(headers, ACCEPT, "application/json");
    if let Some(etag) = &etag {
        headers.insert(IF_NONE_MATCH, etag.clone());
    }
    let Sent { response, permit, .. } = upstream.send(super::NOBODY, asked).await?;
    let (status, unchanged) = (response.status(), etag.is_some());
    let nothing_new = status == StatusCode::NO_CONTENT || (status == StatusCode::NOT_MODIFIED && unchanged);
    if !nothing_new {
        check(status, response.headers())?;
    }
    line.open();
    if nothing_new {
        line.stand();
        return Ok(());
    }
    *etag = response.headers().get(ETAG).cloned();
    match read(response, permit, line.record.max_message(), upstream).await? {
        Some(text) if !text.is_empty() => line.take(Incoming::Text(utf8(&text)?)).await,
        Some(_) => line.stand(),
        None => {
            line.record.too_large(line.record.max_message() as u64 + 1);
            line.stand();
        }
    }
    Ok(())
}

fn check(status: StatusCode, headers: &HeaderMap) -> Result<(), Failure> {
    if let Some(failure) = Failure::of_head(status, headers) {
        return Err(failure);
    }
    // What a single-page application says to any path, or a log-in page.
    if let Some(html) = content_type(headers).filter(|kind| kind.eq_ignore_ascii_case("text/html")) {
        return Err(Failure::NoData(html.to_ascii_lowercase()));
    }
    match headers.get(CONTENT_ENCODING) {
        Some(coding) if !coding.as_bytes().eq_ignore_ascii_case(b"identity") => {
            Err(Failure::NoData("it is compressed, which was not asked for".to_owned()))
        }
        Some(_) | None => Ok(()),
    }
}

/// The whole body; `None` if it is larger than `max`.
async fn read(
    response: Response<Answer>,
    permit: LoadPermit,
    max: usize,
    upstream: &Upstream,
) -> Result<Option<Bytes>, Failure> {
    let pause = upstream.idle_timeout();
    let body = Body::passing(response.into_body(), Bounds { size: max as u64, pause }, permit);
    // As a whole it may take as long as between two reads: what is polled is not large.
    match timeout(pause, body.collect()).await {
        Err(_) => Err(body::Error::Stalled.into()),
        Ok(Err(body::Error::TooLarge)) => Ok(None),
        Ok(Err(error)) => Err(error.into()),
        Ok(Ok(whole)) => Ok(Some(whole.to_bytes())),
    }
}

fn utf8(text: &[u8]) -> Result<&str, Failure> {
    std::str::from_utf8(text).map_err(|_| Failure::NoData("it is not UTF-8".to_owned()))
}

#[cfg(test)]
mod tests {
    use http::header::{CONTENT_TYPE, LOCATION};

    use super::*;

    #[track_caller]
    fn checked(status: u16, headers: &[(http::HeaderName, &str)], expected: Result<(), &str>) {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        let checked = check(StatusCode::from_u16(status).unwrap(), &headers).map_err(|failure| failure.to_string());
        assert_eq!(checked.as_ref().map_err(String::as_str).copied(), expected);
    }

    #[test]
    fn only_data_is_taken() {
        checked(200, &[(CONTENT_TYPE, "application/json")], Ok(()));
        checked(200, &[], Ok(()));
        checked(200, &[(CONTENT_ENCODING, "identity")], Ok(()));
        checked(200, &[(CONTENT_TYPE, "Text/HTML; charset=utf-8")], Err("what it answers is no data: text/html"));
        let compressed = "what it answers is no data: it is compressed, which was not asked for";
        checked(200, &[(CONTENT_ENCODING, "gzip")], Err(compressed));
        checked(500, &[], Err("it answers 500 Internal Server Error"));
        let moved = "it answers 301 Moved Permanently and redirects to /x/: write the URL that is meant";
        checked(301, &[(LOCATION, "/x/")], Err(moved));
    }
}
