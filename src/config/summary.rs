//! What a config makes, for `check` to show: addresses, upstreams, auths, limits, feeds, routes.

mod guards;

use std::fmt::{self, Write as _};

use super::{Config, FeedConfig};
use crate::feed::Shape;
use crate::net::tls::Identity;
use crate::net::{HttpsTarget, ListenerOptions};
use crate::route::{Action, HostPattern, Options, PathPattern};
use crate::source;
use crate::upstream::{self, Balance};

/// The listeners, upstreams, auths, limits, feeds and routes of a config, each in two columns.
#[derive(Debug, Clone, Copy)]
pub struct Summary<'a>(pub &'a Config);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary(config) = self;
        let admin = config.admin.iter().map(|admin| {
            let token = if admin.token.is_some() { "admin, with a token" } else { "admin" };
            (format!("http://{}", admin.listen), token.to_owned())
        });
        section(f, "listeners", config.listeners.iter().map(listener).chain(admin).collect())?;
        section(f, "upstreams", config.upstreams.iter().map(upstream).collect())?;
        section(f, "auths", config.auths.iter().map(guards::auth).collect())?;
        section(f, "limits", config.limit.iter().map(guards::limit).collect())?;
        section(f, "feeds", config.feeds.iter().map(feed).collect())?;
        section(f, "routes", config.routes.iter().map(|route| (place(route), does(route))).collect())
    }
}

/// A heading, and its rows in two columns.
fn section(f: &mut fmt::Formatter<'_>, heading: &str, rows: Vec<(String, String)>) -> fmt::Result {
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(f, "\n{heading}")?;
    let width = rows.iter().map(|(left, _)| left.chars().count()).max().unwrap_or_default();
    for (left, right) in rows {
        writeln!(f, "{}", format!("  {left:width$}  {right}").trim_end())?;
    }
    Ok(())
}

fn listener(options: &ListenerOptions) -> (String, String) {
    let address = options.address;
    let (scheme, identity) = match options.tls.as_ref().map(|tls| &tls.identity) {
        None => ("http", None),
        Some(Identity::SelfSigned { names, .. }) => ("https", Some(format!("self-signed for {}", names.join(", ")))),
        Some(Identity::Files(pairs)) => {
            let files: Vec<String> = pairs.iter().map(|pair| pair.cert.display().to_string()).collect();
            ("https", Some(files.join(", ")))
        }
    };
    let redirect = options.redirect_to_https.as_ref().map(|target| match target {
        HttpsTarget::Listener(_) => "redirects to https".to_owned(),
        HttpsTarget::At { host, port } => {
            format!("redirects to https://{}:{port}", host.as_deref().unwrap_or("{host}"))
        }
    });
    let proxy = options.proxy_protocol.then(|| "behind PROXY".to_owned());
    let parts: Vec<String> = [identity, redirect, proxy].into_iter().flatten().collect();
    (format!("{scheme}://{address}"), parts.join("; "))
}

fn upstream(options: &upstream::Options) -> (String, String) {
    let servers: Vec<String> = options.servers.iter().map(ToString::to_string).collect();
    let mut shown = servers.join(", ");
    if servers.len() > 1 {
        shown.push_str(match options.balance {
            Balance::LeastConn => "; least_conn",
            Balance::RoundRobin => "; round_robin",
            Balance::ClientIp => "; client_ip",
        });
    }
    if let Some(health) = &options.health {
        let _infallible = write!(shown, "; asked for {}", health.path);
    }
    (options.name.clone(), shown)
}

fn feed(config: &FeedConfig) -> (String, String) {
    let fallback = config.fallback.as_ref().map(|fallback| (fallback, source(&fallback.source)));
    let sources: Vec<String> = config.sources.iter().map(source).collect();
    (config.feed.name.clone(), sources.join(", ") + &guards::sharing(config.feed.share, fallback))
}

fn source(source: &source::Options) -> String {
    match source {
        source::Options::Stats(_) => "stats".to_owned(),
        source::Options::Alerts(alerts) => format!("alerts of {}", alerts.of),
        source::Options::Websocket(dial) | source::Options::Sse(dial) => dial.url.clone(),
        source::Options::Poll(poll) => poll.dial.url.clone(),
        source::Options::Publish => "publish".to_owned(),
    }
}

/// Host and path of a route, as the config writes them.
fn place(route: &Options) -> String {
    let mut place = match &route.host {
        HostPattern::Any => String::new(),
        HostPattern::Exact(host) => host.clone(),
        HostPattern::Suffix(suffix) => format!("*{suffix}"),
    };
    match &route.path {
        PathPattern::Exact(path) => place.push_str(path),
        PathPattern::Prefix(path) => {
            let _infallible = write!(place, "{path}*");
        }
    }
    place
}

/// The action, and what is done around it.
fn does(route: &Options) -> String {
    let mut parts = vec![action(&route.action)];
    parts.extend(route.strip_prefix.as_ref().map(|prefix| format!("without {prefix}")));
    parts.extend(guards::admission(route));
    parts.extend(route.auth_request.as_ref().map(|auth| format!("if {}{} lets", auth.upstream.name, auth.path)));
    parts.join(", ")
}

fn action(action: &Action) -> String {
    match action {
        Action::Feed { feed, delivery } => match delivery.shape {
            Shape::Envelope => format!("feed {feed}"),
            Shape::Mirrored => format!("feed {feed}, mirrored"),
            Shape::Raw => format!("feed {feed}, raw"),
        },
        Action::Page { feed } => format!("page of {feed}"),
        Action::Respond(respond) => format!("respond {}", respond.status.as_u16()),
        Action::Proxy { upstream } => format!("proxy {upstream}"),
        Action::Session { upstream, .. } => format!("sessions with {upstream}"),
        Action::Ticket { auth } => format!("tickets of {auth}"),
        Action::Files(files) => match &files.spa {
            None => format!("files {}", files.root.display()),
            Some(spa) => format!("files {}, else {spa}", files.root.display()),
        },
        Action::Redirect(redirect) => format!("redirect {} {}", redirect.status.as_u16(), redirect.to),
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;
    use crate::config::{self, Surroundings};

    #[test]
    fn a_right_config_is_shown_as_a_table() {
        let text = "\
trusted_proxies = [\"10.0.0.0/8\"]
[admin]
token = \"x\"
[[listener]]
address = \"127.0.0.1:8080\"
redirect_to_https = true
[[listener]]
address = \"127.0.0.1:8081\"
redirect_to_https = \"https://{host}\"
proxy_protocol = true
[[listener]]
address = \"127.0.0.1:8443\"
tls.self_signed = [\"localhost\", \"::1\"]
[upstream.app]
servers = [\"http://[::1]:8000\", \"unix:/run/app.sock\"]
health = { path = \"/health\" }
[upstream.one]
servers = [\"https://one\"]
[feed.a]
sources = [{ stats = {} }, { publish = {} }]
[auth.one]
secret = \"01234567890123456789012345678901\"
algorithms = [\"HS256\"]
require = { role = \"operator\" }
[auth.two]
jwks_url = \"https://id/jwks.json?a\"
issuer = \"id\"
audience = \"dash\"
[auth.unset]
secret = \"${JWT_SECRET:-}\"
[limit.few]
upgrades = \"30/min\"
connections = 10
[feed.far]
source = { websocket = \"ws://app/ws?token=hunter2\" }
fallback = { stats = {}, after = \"90s\" }
share = [\"query\", \"path\"]
[feed.longer]
source = { alerts = { of = \"a\", rules = [{ at = \"/a\", above = 1 }] } }
[[route]]
path = \"/ws/*\"
host = \"*.example.com\"
feed = \"a\"
shape = \"mirrored\"
[[route]]
path = \"/live\"
page = \"a\"
[[route]]
path = \"/api/*\"
proxy = \"app\"
strip_prefix = \"/api\"
auth_request = \"http://auth/a?b\"
[[route]]
path = \"/one\"
proxy = \"one\"
allow = [\"10.0.0.0/8\", \"::1\", \"10.1.0.0/16\", \"10.2.0.0/16\"]
deny = [\"10.0.0.1\"]
limit = \"few\"
auth = \"one\"
forward_token = \"header\"
[[route]]
path = \"/chat\"
proxy = \"one\"
session = {}
auth = \"unset\"
[[route]]
path = \"/ticket\"
ticket = \"two\"
[[route]]
path = \"/old\"
redirect = \"/new\"
[[route]]
path = \"/health\"
respond = {}
[[route]]
path = \"/*\"
files = \"/srv/www\"
spa = \"index.html\"
";
        let surroundings = Surroundings { variable: &|_| None, cpus: NonZeroUsize::MIN, descriptors: 1024 };
        let loaded = config::check("a.toml".to_owned(), text.to_owned(), &surroundings)
            .unwrap_or_else(|refused| panic!("{refused}"));
        assert_eq!(loaded.warnings, []);
        let shown = Summary(&loaded.config).to_string();
        let expected = "
listeners
  http://127.0.0.1:8080   redirects to https
  http://127.0.0.1:8081   redirects to https://{host}:443; behind PROXY
  https://127.0.0.1:8443  self-signed for localhost, ::1
  http://127.0.0.1:9090   admin, with a token

upstreams
  app  http://[::1]:8000, unix:/run/app.sock; least_conn; asked for /health
  one  https://one:443

auths
  one    a secret; HS256; role = \"operator\"
  two    https://id/jwks.json; issued by id; for dash
  unset  no secret: set JWT_SECRET

limits
  few  upgrades 30/min, 10 connections a route, messages of 65536 bytes

feeds
  a       stats, publish
  far     ws://app/ws; else stats after 90s; split by path, query
  longer  alerts of a

routes
  *.example.com/ws/*  feed a, mirrored
  /live               page of a
  /api/*              proxy app, without /api, if http://auth:80/a?b lets
  /one                proxy one, for 10.0.0.0/8, ::1/128, 10.1.0.0/16 and 1 more, not for 10.0.0.1/32, limit few, auth one, token passed on
  /chat               sessions with one, auth unset
  /ticket             tickets of two
  /old                redirect 308 /new
  /health             respond 200
  /*                  files /srv/www, else index.html
";
        assert_eq!(shown, expected);
    }
}
