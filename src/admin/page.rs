//! The admin listener's live page: connections, feeds, upstreams and rates.
//!
//! Owns: its files and their content policy. Never: holds a figure or a secret: the page asks for those with the
//! operator's token, which is typed into it and kept in its memory alone.

use http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY};
use http::{HeaderValue, Response, StatusCode};

use crate::message::{Body, respond};

/// Nothing from elsewhere, nothing inline, no frames.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The path, the type and the text of each file.
const FILES: [(&str, &str, &str); 3] = [
    ("/", "text/html; charset=utf-8", include_str!("page/index.html")),
    ("/.steadfeed/admin.css", "text/css; charset=utf-8", include_str!("page/admin.css")),
    ("/.steadfeed/admin.js", "text/javascript; charset=utf-8", include_str!("page/admin.js")),
];

/// Whether this path is the page's, or of a file that it loads.
#[must_use]
pub(super) fn has(path: &str) -> bool {
    FILES.iter().any(|(known, ..)| *known == path)
}

/// The file at `path`.
pub(super) fn answer(path: &str) -> Option<Response<Body>> {
    let (_, type_, text) = FILES.iter().find(|(known, ..)| *known == path)?;
    let mut response = respond::whole(StatusCode::OK, HeaderValue::from_static(type_), *text);
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response.headers_mut().insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Some(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_loads_what_there_is_and_nothing_inline() {
        let (_, _, html) = FILES[0];
        for link in ["href=\".steadfeed/admin.css\"", "src=\".steadfeed/admin.js\""] {
            assert!(html.contains(link), "{link}");
        }
        assert!(!html.contains("<style") && !html.contains("style=") && !html.contains("onclick"));
        assert!(answer("/").is_some() && answer("/.steadfeed/other.js").is_none());
    }
}
