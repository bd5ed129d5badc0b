//! The config: from a TOML text to [`Config`], or to every problem in it at once.
//!
//! The way: a [`Text`] is parsed (`parse`: syntax, `expand`: variables, `known`: which keys there are) into a mirror of
//! what was typed (`file`), which `resolve` judges and turns into a [`Config`].
//!
//! Owns: the file's mirror, its values, the checks. Never: opens a socket or starts anything; keeps a problem to itself.

mod carriers;
mod choice;
mod dials;
mod either;
mod expand;
mod field;
mod file;
mod form;
mod known;
mod later;
mod nearest;
mod origins;
mod parse;
pub mod place;
pub mod problem;
mod problems;
mod rates;
mod resolve;
mod summary;
pub mod surroundings;
mod texts;
mod urls;
mod values;
mod visit;

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use expand::Lookup;
pub use file::schema;
pub use form::Form;
pub use nearest::write_one_of;
pub use place::{Places, TlsPart};
pub use problem::{Problem, Severity, Text, Wrong};
pub use summary::Summary;
pub use surroundings::Surroundings;
pub use values::in_units;

use ipnet::IpNet;
use values::FromText as _;

use crate::{admin, bounded, feed, guard, limits, net, route, shutdown, source, telemetry, upstream};

/// Where a config is looked for when none is named.
const USUAL_PLACES: [&str; 2] = ["steadfeed.toml", "/etc/steadfeed/steadfeed.toml"];
/// What is served when there is none.
const BUILT_IN: &str = include_str!("../../config/default.toml");

/// A checked config. Every part is the `Options` of the module that uses it, and can be compared with what it was.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub workers: NonZeroUsize,
    pub log: telemetry::LogOptions,
    /// `None` is `listen = "off"`.
    pub admin: Option<admin::Options>,
    pub drain: shutdown::DrainOptions,
    pub limits: net::Limits,
    /// Whose `X-Forwarded-*`, `Forwarded` and PROXY headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    pub listeners: Vec<net::ListenerOptions>,
    pub upstreams: Vec<upstream::Options>,
    pub auths: Vec<guard::AuthOptions>,
    pub limit: Vec<guard::LimitOptions>,
    pub feeds: Vec<FeedConfig>,
    pub routes: Vec<route::Options>,
}

/// A feed and what fills it.
#[derive(Debug, Clone, PartialEq)]
pub struct FeedConfig {
    pub feed: feed::Options,
    pub sources: Vec<source::Options>,
    pub fallback: Option<source::Fallback>,
    /// Each viewer's own token goes with its upstream socket; only where subjects share none.
    pub forward_token: Option<guard::ForwardToken>,
}

/// Which config is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chosen {
    File(PathBuf),
    BuiltIn,
}

/// A config that can be served.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub config: Config,
    /// Where things stand that may fail later; see [`Loaded::render`].
    pub places: Places,
    pub warnings: Vec<Problem>,
    pub text: Text,
}

/// A config that can not be served; [`fmt::Display`] shows every problem, with its place and remedy.
#[derive(Debug, Clone)]
pub struct Refused {
    pub problems: Vec<Problem>,
    pub text: Text,
}

impl Config {
    /// The addresses served, in the file's order.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.listeners.iter().map(|listener| listener.address)
    }
}

impl Chosen {
    /// The first of: `flag` (`--config`), `$STEADFEED_CONFIG`, `./steadfeed.toml`, `/etc/steadfeed/steadfeed.toml`, the
    /// built-in one. What is named need not exist: that is for [`load`] to tell.
    #[must_use]
    pub fn choose(flag: Option<&Path>, variable: Lookup<'_>) -> Chosen {
        if let Some(path) = flag {
            return Chosen::File(path.to_owned());
        }
        if let Some(path) = variable("STEADFEED_CONFIG").filter(|path| !path.is_empty()) {
            return Chosen::File(path.into());
        }
        // One that can't be looked at is chosen too: passing over it would serve something else unawares.
        let usual = USUAL_PLACES.iter().map(Path::new).find(|path| path.try_exists().unwrap_or(true));
        usual.map_or(Chosen::BuiltIn, |path| Chosen::File(path.to_owned()))
    }

    /// As it is named in messages.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Chosen::File(path) => path.display().to_string(),
            Chosen::BuiltIn => "default.toml (built in)".to_owned(),
        }
    }
}

/// A duration as the config writes it, for the command line.
///
/// # Errors
/// What is wrong with the text, and what to write.
pub fn duration(text: &str) -> Result<Duration, String> {
    Duration::from_text(text).map_err(|wrong| format!("{}; {}", wrong.what, wrong.instead))
}

/// Reads and checks the config that was chosen.
///
/// # Errors
/// Every problem at once. A file that can't be read is one, at its first line.
pub fn load(chosen: &Chosen, surroundings: &Surroundings<'_>) -> Result<Loaded, Refused> {
    let name = chosen.name();
    let content = match chosen {
        Chosen::BuiltIn => Ok(BUILT_IN.to_owned()),
        Chosen::File(path) => bounded::read_text(path, limits::CONFIG_SIZE),
    };
    match content {
        Ok(content) => check(name, content, surroundings),
        Err(error) => {
            let wrong =
                Wrong::new(format!("this file can not be read: {error}"), "name a TOML file that this user can read");
            let text = Text { name, ..Text::default() };
            Err(Refused { problems: vec![Problem::error(0..0, wrong)], text })
        }
    }
}

/// Checks a config's text; `name` is what problems call it.
///
/// # Errors
/// Every problem at once.
pub fn check(name: String, content: String, surroundings: &Surroundings<'_>) -> Result<Loaded, Refused> {
    let mut text = Text { name, content, secrets: Vec::new() };
    let mut problems = problems::Problems::default();
    let file = parse::parse(&mut text, surroundings.variable, &mut problems);
    let (config, places) = resolve::resolve(file, &text, surroundings, &mut problems);
    if problems.have_errors() {
        return Err(Refused { problems: problems.into_sorted(), text });
    }
    Ok(Loaded { config, places, warnings: problems.into_sorted(), text })
}

impl Loaded {
    /// `problems` at their places in this config's text, as `check` shows them.
    #[must_use]
    pub fn render(&self, problems: &[Problem], colour: bool) -> String {
        self.text.render(problems, colour)
    }
}

impl Refused {
    /// Every problem, as `check` shows them.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        self.text.render(&self.problems, colour)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Refused {}

#[cfg(test)]
mod tests;
