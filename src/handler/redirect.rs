//! A redirect (`redirect`).

use http::header::LOCATION;
use http::{Response, StatusCode, Uri};

use crate::message::{Body, headers, respond};

/// What `redirect` says.
#[derive(Debug, Clone)]
pub struct Redirect {
    /// `Location`, in which `{host}`, `{path}`, `{query}` (with its `?`) and `{uri}` stand for the request's own.
    pub to: String,
    pub status: StatusCode,
}

impl Redirect {
    /// The answer to any method. `authority` is the request's host; its port is left out of `{host}`.
    #[must_use]
    pub fn answer(&self, authority: &str, uri: &Uri) -> Response<Body> {
        let mut response = respond::empty(self.status);
        headers::set(response.headers_mut(), LOCATION, &self.location(authority, uri));
        response
    }

    /// One pass, so that what a request holds is never taken for a placeholder.
    fn location(&self, authority: &str, uri: &Uri) -> String {
        let mut location = String::with_capacity(self.to.len() + uri.path().len());
        let mut rest = self.to.as_str();
        while let Some(at) = rest.find('{') {
            location.push_str(&rest[..at]);
            rest = &rest[at..];
            let known = ["{host}", "{path}", "{query}", "{uri}"].into_iter().find(|name| rest.starts_with(name));
            let Some(name) = known else {
                location.push('{');
                rest = &rest[1..];
                continue;
            };
            rest = &rest[name.len()..];
            if name == "{host}" {
                location.push_str(headers::without_port(authority));
            }
            if matches!(name, "{path}" | "{uri}") {
                location.push_str(uri.path());
            }
            if let Some(query) = uri.query().filter(|_| matches!(name, "{query}" | "{uri}")) {
                location.push('?');
                location.push_str(query);
            }
        }
        location.push_str(rest);
        location
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(to: &str, uri: &'static str, expected: &str) {
        let redirect = Redirect { to: to.to_owned(), status: StatusCode::MOVED_PERMANENTLY };
        let response = redirect.answer("a.example:8080", &Uri::from_static(uri));
        assert_eq!(response.status(), 301);
        assert_eq!(response.headers()[LOCATION], expected, "{to} {uri}");
    }

    #[test]
    fn a_location_takes_its_parts_from_the_request() {
        check("https://b.example/", "/x?y=1", "https://b.example/");
        check("https://{host}{uri}", "/x?y=1", "https://a.example/x?y=1");
        check("https://{host}{path}", "/x?y=1", "https://a.example/x");
        check("/new{path}{query}", "/x", "/new/x");
        check("/{{path}", "/{uri}", "/{/{uri}");
        check("/{other}", "/", "/{other}");
    }
}
