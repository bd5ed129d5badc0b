//! Active health checks: a GET now and then, on a connection of its own.
//!
//! Owns: the counts of `fall` and `rise`. Never: takes a server's word for another's.

use std::rc::Rc;
use std::time::Duration;

use http::header::{HOST, HeaderValue, USER_AGENT};
use http::{Request, Uri};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::connect::{self, Wanted};
use super::http1::{self, NoAnswer};
use super::link::Link;
use super::member::{Group, Member};
use super::options::{Health, Scheme, Server};
use super::outgoing::Outgoing;
use crate::message::Body;
use crate::shutdown::Tasks;

/// What the checks of one server add up to.
#[derive(Debug)]
struct Verdict {
    fall: u32,
    rise: u32,
    healthy: bool,
    /// Checks in a row that say otherwise.
    against: u32,
}

/// Checks one server again and again; never ends.
pub(super) async fn keep(group: &Group, member: &Member, health: &Health, tasks: Rc<Tasks>) {
    let mut verdict = Verdict::new(health, member.standing.is_healthy());
    let mut ticks = interval(health.every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let outcome = timeout(health.timeout, check(group, member, health, &tasks)).await;
        let outcome = outcome.unwrap_or_else(|_| Err(format!("no answer within {:?}", health.timeout)));
        if let Some(healthy) = verdict.count(outcome.is_ok()) {
            member.standing.found(healthy, outcome.as_ref().err().map_or("", String::as_str));
        }
        if outcome.is_ok() {
            member.standing.answered();
        }
    }
}

/// Whether it answers with 2xx or 3xx, or what it does instead.
async fn check(group: &Group, member: &Member, health: &Health, tasks: &Tasks) -> Result<(), String> {
    let allowance: Duration = group.options.connect_timeout.min(health.timeout);
    let connected = connect::connect(member, Wanted::Any, allowance).await.map_err(|failure| failure.to_string())?;
    let request = request(member, health)?;
    let status = match Link::new(connected, tasks).await.map_err(|error| error.to_string())? {
        Link::Http1(conn) => match http1::exchange(conn, &mut request.into(), health.timeout, None, None).await {
            Ok(response) => response.status(),
            Err(NoAnswer::Late) => return Err(format!("no answer within {:?}", health.timeout)),
            Err(NoAnswer::Broken { broken, .. }) => return Err(broken.to_string()),
            Err(NoAnswer::Body(error)) => return Err(error.to_string()),
        },
        Link::Http2(mut link) => {
            let (head, body) = request.into_parts();
            let answer = link.send(Request::from_parts(head, Outgoing::new(body).0)).await;
            answer.map_err(|unanswered| unanswered.0.to_string())?.status()
        }
    };
    if status.is_success() || status.is_redirection() { Ok(()) } else { Err(format!("it answers {status}")) }
}

fn request(member: &Member, health: &Health) -> Result<Request<Body>, String> {
    let mut request = Request::new(Body::Empty);
    *request.uri_mut() = health.path.parse::<Uri>().map_err(|error| error.to_string())?;
    let host = HeaderValue::from_str(&host(&member.server)).map_err(|error| error.to_string())?;
    request.headers_mut().insert(HOST, host);
    let agent = HeaderValue::from_static(concat!("steadfeed/", env!("CARGO_PKG_VERSION"), " health"));
    request.headers_mut().insert(USER_AGENT, agent);
    Ok(request)
}

/// The server by its own name.
fn host(server: &Server) -> String {
    match server {
        Server::Unix(_) => "localhost".to_owned(),
        Server::Tcp { scheme, host, port } => {
            let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
            let usual = match scheme {
                Scheme::Http | Scheme::H2c => 80,
                Scheme::Https => 443,
            };
            if *port == usual { host } else { format!("{host}:{port}") }
        }
    }
}

impl Verdict {
    /// As it was found before, until found otherwise.
    fn new(health: &Health, healthy: bool) -> Verdict {
        Verdict { fall: health.fall, rise: health.rise, healthy, against: 0 }
    }

    /// Counts a check; gives the verdict where it turns.
    fn count(&mut self, passed: bool) -> Option<bool> {
        if passed == self.healthy {
            self.against = 0;
            return None;
        }
        self.against += 1;
        if self.against < if self.healthy { self.fall } else { self.rise } {
            return None;
        }
        self.healthy = passed;
        self.against = 0;
        Some(passed)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Health, Scheme, Server, Verdict, host};

    #[track_caller]
    fn check(checks: &str, expected: &str) {
        let every = Duration::from_secs(1);
        let health = Health { path: "/".to_owned(), every, timeout: every, fall: 3, rise: 2 };
        let mut verdict = Verdict::new(&health, true);
        let turns: String = checks
            .chars()
            .map(|check| match verdict.count(check == '+') {
                Some(true) => 'U',
                Some(false) => 'D',
                None => '.',
            })
            .collect();
        assert_eq!(turns, expected, "{checks}");
    }

    #[test]
    fn a_verdict_turns_after_as_many_checks_in_a_row_as_it_is_told() {
        check("+++", "...");
        check("---", "..D");
        check("--+--+", "......");
        check("---+-++", "..D...U");
        check("-----+++---", "..D...U...D");
    }

    #[track_caller]
    fn check_host(server: Server, expected: &str) {
        assert_eq!(host(&server), expected);
    }

    #[test]
    fn a_server_is_asked_by_its_own_name() {
        let tcp = |scheme, host: &str, port| Server::Tcp { scheme, host: host.to_owned(), port };
        check_host(tcp(Scheme::Http, "app", 80), "app");
        check_host(tcp(Scheme::Http, "app", 8000), "app:8000");
        check_host(tcp(Scheme::Https, "app", 443), "app");
        check_host(tcp(Scheme::H2c, "::1", 8000), "[::1]:8000");
        check_host(Server::Unix("/run/app.sock".into()), "localhost");
    }
}
