//! `/api/connections`: the open sockets and event streams, page by page, and an end to any of them.
//!
//! Never: shows a query string or a token; whom a token speaks for is shown.

use std::net::IpAddr;

use http::header::LINK;
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;

use crate::limits;
use crate::message::{Body, respond};
use crate::telemetry::Sockets;
use crate::telemetry::sockets::{self, Busy, Shown};

/// One of them.
#[derive(Debug, Serialize)]
struct Row {
    id: String,
    client: IpAddr,
    route: String,
    mode: &'static str,
    path: String,
    subject: Option<String>,
    /// RFC 3339, with milliseconds.
    since: String,
}

/// Which of them are asked for.
#[derive(Debug, PartialEq, Eq)]
struct Page {
    after: u64,
    limit: usize,
}

/// `GET /api/connections?limit=&after=`: an array, the oldest first; where there are more, `Link` names the next page.
pub(super) async fn list(sockets: &Sockets, query: &str) -> Response<Body> {
    let page = match Page::parse(query) {
        Ok(page) => page,
        Err(detail) => return respond::problem(StatusCode::BAD_REQUEST, &detail),
    };
    // One more, to know whether there is one.
    let mut shown = match sockets.list(page.after, page.limit + 1).await {
        Ok(shown) => shown,
        Err(busy) => return unanswered(busy),
    };
    let more = shown.len() > page.limit;
    shown.truncate(page.limit);
    let next = shown.last().filter(|_| more).map(|last| sockets::id(last.number));
    let rows: Vec<Row> = shown.into_iter().map(Row::of).collect();
    let mut response = super::json(&rows);
    let link = next.map(|id| format!("</api/connections?limit={}&after={id}>; rel=\"next\"", page.limit));
    if let Some(link) = link.and_then(|link| HeaderValue::try_from(link).ok()) {
        response.headers_mut().insert(LINK, link);
    }
    response
}

/// `DELETE /api/connections/ID`: 204 once it was told; it closes with 1008, a tunnel or an event stream just ends.
pub(super) async fn close(sockets: &Sockets, id: &str) -> Response<Body> {
    let found = match sockets::number(id) {
        Some(number) => sockets.close(number).await,
        None => Ok(false),
    };
    match found {
        Ok(true) => {
            tracing::info!(id, "connection closed by an operator");
            respond::empty(StatusCode::NO_CONTENT)
        }
        Ok(false) => respond::problem(StatusCode::NOT_FOUND, "no connection of this id is open"),
        Err(busy) => unanswered(busy),
    }
}

fn unanswered(busy: Busy) -> Response<Body> {
    respond::problem(StatusCode::SERVICE_UNAVAILABLE, &busy.to_string())
}

impl Page {
    fn parse(query: &str) -> Result<Page, String> {
        let mut page = Page { after: 0, limit: limits::SOCKETS_PAGE };
        // Neither numbers nor ids have anything to decode.
        for (name, value) in
            query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        {
            match name {
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| (1..=limits::SOCKETS_PAGE_MAX).contains(limit));
                    page.limit = limit.ok_or_else(|| format!("limit is 1 to {}", limits::SOCKETS_PAGE_MAX))?;
                }
                "after" => {
                    let after = sockets::number(value);
                    page.after = after.ok_or("after is an id that this process gave")?;
                }
                _other => return Err("only limit and after can be asked for".to_owned()),
            }
        }
        Ok(page)
    }
}

impl Row {
    fn of(shown: Shown) -> Row {
        Row {
            id: sockets::id(shown.number),
            client: shown.client,
            route: shown.route,
            mode: shown.mode,
            path: shown.path,
            subject: shown.subject.map(|subject| String::from(&*subject)),
            since: format!("{:.3}", shown.since),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(query: &str, expected: Result<(u64, usize), &str>) {
        let parsed = Page::parse(query);
        match expected {
            Ok((after, limit)) => assert_eq!(parsed, Ok(Page { after, limit }), "{query}"),
            Err(part) => assert!(parsed.as_ref().is_err_and(|detail| detail.contains(part)), "{query}: {parsed:?}"),
        }
    }

    #[test]
    fn a_page_is_bounded() {
        check("", Ok((0, limits::SOCKETS_PAGE)));
        check("limit=1", Ok((0, 1)));
        check(&format!("limit=7&after={}", sockets::id(9)), Ok((9, 7)));
        check(&format!("limit={}", limits::SOCKETS_PAGE_MAX), Ok((0, limits::SOCKETS_PAGE_MAX)));
        for query in ["limit=0", "limit=-1", "limit=5001", "limit=x", "limit="] {
            check(query, Err("limit is 1 to 5000"));
        }
        check("after=9", Err("an id that this process gave"));
        check("subject=ann", Err("only limit and after"));
    }
}
