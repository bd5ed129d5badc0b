//! One-time tickets, given to whoever shows a good token.
//!
//! Owns: the answer to a POST. Never: verifies the token; the guards did.

use http::header::CACHE_CONTROL;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use jiff::Timestamp;
use serde_json::json;

use super::Call;
use crate::admission::Admission;
use crate::limits;
use crate::message::{Body, respond};

/// Where tickets of one `[auth.NAME]` are given.
#[derive(Debug)]
pub struct Ticket {
    pub auth: String,
}

impl Ticket {
    #[must_use]
    pub fn answer<B>(&self, call: &Call<'_>, request: &Request<B>) -> Response<Body> {
        self.give(call.admission, request.method(), Timestamp::now())
    }

    fn give(&self, admission: &Admission, method: &Method, now: Timestamp) -> Response<Body> {
        if method != Method::POST {
            return respond::method_not_allowed("POST");
        }
        let (Some(credential), Some(renewal)) = (&admission.credential, &admission.renewal) else {
            // The guards of such a route ask for a token.
            tracing::error!(auth = self.auth, "a ticket was asked for, and nobody looked for a token");
            return respond::empty(StatusCode::INTERNAL_SERVER_ERROR);
        };
        let mut response = match renewal.ticket(credential, now) {
            Some(ticket) => {
                let life = limits::TICKET_LIFE.as_secs();
                respond::json(StatusCode::OK, json!({ "ticket": ticket.reveal(), "expires_in": life }).to_string())
            }
            None => {
                let detail = "too many tickets wait to be used; use those you have, or try again in a moment";
                let mut full = respond::problem(StatusCode::SERVICE_UNAVAILABLE, detail);
                full.headers_mut().insert(http::header::RETRY_AFTER, HeaderValue::from_static("5"));
                full
            }
        };
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::{Arc, Mutex};

    use http_body_util::BodyExt as _;

    use super::*;
    use crate::admission::{Credential, Renew};
    use crate::secret::Secret;

    /// Has so many tickets.
    #[derive(Debug)]
    struct Roll(Mutex<Cell<u32>>);

    impl Renew for Roll {
        fn renew(&self, _: &str, _: Timestamp) -> Result<Credential, String> {
            Err("not asked for".to_owned())
        }

        fn ticket(&self, credential: &Credential, _: Timestamp) -> Option<Secret> {
            let left = self.0.lock().unwrap();
            let next = left.get().checked_sub(1)?;
            left.set(next);
            Some(Secret::new(format!("{}-{next}", credential.subject)))
        }
    }

    fn admission(tickets: u32) -> Admission {
        let token = Arc::new(Secret::new("t".to_owned()));
        let credential = Credential { auth: "a".into(), subject: "ann".into(), token, expires: Timestamp::MAX };
        Admission {
            credential: Some(credential),
            renewal: Some(Arc::new(Roll(Mutex::new(Cell::new(tickets))))),
            ..Admission::default()
        }
    }

    fn give(admission: &Admission, method: &Method) -> Response<Body> {
        Ticket { auth: "a".to_owned() }.give(admission, method, Timestamp::UNIX_EPOCH)
    }

    #[tokio::test]
    async fn a_post_with_a_token_gets_a_ticket_that_nobody_keeps() {
        let response = give(&admission(1), &Method::POST);
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, r#"{"expires_in":30,"ticket":"ann-0"}"#);
    }

    #[test]
    fn only_a_post_gets_one() {
        for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE] {
            let response = give(&admission(1), &method);
            assert_eq!(
                (response.status().as_u16(), &response.headers()["allow"]),
                (405, &HeaderValue::from_static("POST"))
            );
        }
    }

    #[test]
    fn where_there_are_none_left_it_is_said_when_to_come_again() {
        let response = give(&admission(0), &Method::POST);
        assert_eq!(
            (response.status().as_u16(), &response.headers()["retry-after"]),
            (503, &HeaderValue::from_static("5"))
        );
    }

    #[test]
    fn without_a_credential_there_is_none() {
        assert_eq!(give(&Admission::default(), &Method::POST).status(), 500);
    }
}
