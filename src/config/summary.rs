//! What a config makes, for `check` to show: addresses, feeds, routes.

use std::fmt::{self, Write as _};

use super::Config;
use crate::feed::Shape;
use crate::net::ListenerOptions;
use crate::net::tls::Identity;
use crate::route::{Action, HostPattern, Options, PathPattern};
use crate::source;

/// The listeners, feeds and routes of a config, each in two columns.
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
        section(
            f,
            "feeds",
            config.feeds.iter().map(|feed| (feed.feed.name.clone(), sources(&feed.sources))).collect(),
        )?;
        section(f, "routes", config.routes.iter().map(|route| (place(route), action(&route.action))).collect())
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
    match options.tls.as_ref().map(|tls| &tls.identity) {
        None => (format!("http://{address}"), String::new()),
        Some(Identity::SelfSigned { names, .. }) => {
            (format!("https://{address}"), format!("self-signed for {}", names.join(", ")))
        }
        Some(Identity::Files(pairs)) => {
            let files: Vec<String> = pairs.iter().map(|pair| pair.cert.display().to_string()).collect();
            (format!("https://{address}"), files.join(", "))
        }
    }
}

fn sources(sources: &[source::Options]) -> String {
    let each: Vec<String> = sources
        .iter()
        .map(|source| match source {
            source::Options::Stats(_) => "stats".to_owned(),
            source::Options::Alerts(alerts) => format!("alerts of {}", alerts.of),
            source::Options::Publish => "publish".to_owned(),
        })
        .collect();
    each.join(", ")
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
        Action::Files(files) => format!("files {}", files.root.display()),
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
[admin]
token = \"x\"
[[listener]]
address = \"127.0.0.1:8080\"
[[listener]]
address = \"127.0.0.1:8443\"
tls.self_signed = [\"localhost\", \"::1\"]
[feed.a]
sources = [{ stats = {} }, { publish = {} }]
[feed.longer]
source = { alerts = { of = \"a\", rules = [{ at = \"/a\", above = 1 }] } }
[[route]]
path = \"/ws/*\"
host = \"*.example.com\"
feed = \"a\"
shape = \"mirrored\"
[[route]]
path = \"/live\"
page = \"a\"";
        let text = format!("{text}\n[[route]]\npath = \"/\"\nrespond = {{}}\n");
        let surroundings = Surroundings { variable: &|_| None, cpus: NonZeroUsize::MIN, descriptors: 1024 };
        let loaded =
            config::check("a.toml".to_owned(), text, &surroundings).unwrap_or_else(|refused| panic!("{refused}"));
        let shown = Summary(&loaded.config).to_string();
        let expected = "
listeners
  http://127.0.0.1:8080
  https://127.0.0.1:8443  self-signed for localhost, ::1
  http://127.0.0.1:9090   admin, with a token

feeds
  a       stats, publish
  longer  alerts of a

routes
  *.example.com/ws/*  feed a, mirrored
  /live               page of a
  /                   respond 200
";
        assert_eq!(shown, expected);
    }
}
