//! What a dialled source asks: a GET with the config's headers and, where one is forwarded, a viewer's token.
//!
//! Owns: where the token goes. Never: shows it: the header is marked sensitive, the URI is written to the wire alone.

use http::header::{AUTHORIZATION, Entry, HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri};

use super::DialOptions;
use super::failure::Failure;
use crate::feed::inlet::Bearer;
use crate::message::{Body, headers, percent};

/// A request for `target`, path and query, on a connection to the source's server. Its own headers have what the config
/// says first.
///
/// # Errors
/// [`Failure::BadTarget`], or [`Failure::NoToken`] where there should be one.
pub(super) fn request(options: &DialOptions, target: String, bearer: &Bearer) -> Result<Request<Body>, Failure> {
    let mut target = target;
    let mut headers = HeaderMap::with_capacity(options.headers.len() + 8);
    for (name, value) in &options.headers {
        headers.append(name.clone(), value.clone());
    }
    let host = HeaderValue::from_str(&options.authority).map_err(|_| Failure::BadTarget)?;
    headers.entry(HOST).or_insert(host);
    default(&mut headers, USER_AGENT, headers::AGENT);
    match bearer {
        Bearer::Nothing => {}
        Bearer::Missing => return Err(Failure::NoToken),
        Bearer::Header(token) => {
            headers.insert(AUTHORIZATION, headers::bearer(token.reveal()).ok_or(Failure::NoToken)?);
        }
        Bearer::Query(name, token) => {
            target.push(if target.contains('?') { '&' } else { '?' });
            percent::push(&mut target, name, "");
            target.push('=');
            percent::push(&mut target, token.reveal(), "");
        }
    }
    let mut request = Request::new(Body::Empty);
    *request.uri_mut() = target.parse::<Uri>().map_err(|_| Failure::BadTarget)?;
    *request.headers_mut() = headers;
    Ok(request)
}

/// Says `value`, unless the config says something else.
pub(super) fn default(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    if let Entry::Vacant(entry) = headers.entry(name) {
        entry.insert(HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::secret::Secret;
    use crate::source::testing;

    fn secret(text: &str) -> Arc<Secret> {
        Arc::new(Secret::new(text.to_owned()))
    }

    fn asked(target: &str, bearer: &Bearer) -> Request<Body> {
        let authorization = (AUTHORIZATION, HeaderValue::from_static("Bearer ours"));
        let options = DialOptions { headers: vec![authorization], ..testing::dial("ws", 8000) };
        request(&options, target.to_owned(), bearer).unwrap()
    }

    #[track_caller]
    fn check(target: &str, bearer: &Bearer, uri: &str, authorization: &str) {
        let request = asked(target, bearer);
        assert_eq!(
            (request.uri().to_string().as_str(), request.headers()[AUTHORIZATION].to_str().unwrap()),
            (uri, authorization)
        );
        assert_eq!(request.headers()[HOST], "127.0.0.1:8000");
    }

    #[test]
    fn a_viewers_token_goes_where_the_config_says() {
        check("/ws?a=b", &Bearer::Nothing, "/ws?a=b", "Bearer ours");
        check("/ws", &Bearer::Header(secret("theirs")), "/ws", "Bearer theirs");
        check("/ws", &Bearer::Query("token".to_owned(), secret("a.b-c_d")), "/ws?token=a.b-c_d", "Bearer ours");
        check(
            "/ws?a=b",
            &Bearer::Query("t k".to_owned(), secret("&=\u{e9}")),
            "/ws?a=b&t%20k=%26%3D%C3%A9",
            "Bearer ours",
        );
    }

    #[test]
    fn a_token_in_a_header_is_not_shown() {
        let shown = format!("{:?}", asked("/", &Bearer::Header(secret("hunter2"))));
        assert!(shown.contains("Sensitive") && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn without_a_token_that_should_be_there_nothing_is_asked() {
        let options = testing::dial("ws", 8000);
        for bearer in [Bearer::Missing, Bearer::Header(secret("a\nb"))] {
            let failure = request(&options, "/".to_owned(), &bearer).unwrap_err();
            assert!(matches!(failure, Failure::NoToken), "{failure}");
        }
        let bad = request(&options, "/a b".to_owned(), &Bearer::Nothing).unwrap_err();
        assert!(matches!(bad, Failure::BadTarget), "{bad}");
    }
}
