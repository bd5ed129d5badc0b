//! `steadfeed import nginx.conf`: the config that does what nginx's does.
//!
//! The way: `words` -> `syntax` (with `include`) -> `translate` (one file a subject) -> `write`.
//!
//! Owns: the arguments, and what goes to stdout (the config) and stderr (what is not translated). Never: loses a
//! directive in silence, or opens what nginx kept closed.

mod access;
mod files;
mod fold;
mod forward;
mod headers;
mod include;
mod known;
mod listen;
mod listeners;
mod location;
mod model;
mod pass;
mod paths;
mod redirect;
mod regex;
mod report;
mod scope;
mod servers;
mod syntax;
mod tls;
mod translate;
mod values;
mod words;
mod write;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueHint;

use self::include::{Disk, Source};
use self::syntax::Fault;
use super::{complain, print};

pub(super) const EXAMPLES: &str = "\
The config goes to stdout. What has no counterpart goes to stderr, each as `file:line: directive: why; what to do \
instead`, and never becomes an open door: a path whose guard can't be translated answers 403 until you have looked.
Exits with 1 where the file can't be read, and with 0 otherwise; with --strict also with 1 where something is left.

Examples:
  steadfeed import /etc/nginx/nginx.conf > steadfeed.toml
  steadfeed import conf.d/default.conf --strict > steadfeed.toml && steadfeed check";

/// The arguments of `import`.
#[derive(Debug, clap::Args)]
pub struct ImportArgs {
    /// nginx's main file, or one with its servers alone
    #[arg(value_name = "NGINX.CONF", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// Exit with 1 where a directive is not translated
    #[arg(long)]
    pub strict: bool,
}

/// What a configuration of nginx comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The config's text.
    pub config: String,
    /// What is said of the rest, for a person.
    pub list: String,
    /// How many directives are not translated.
    pub left: usize,
}

/// Imports the file that `args` names.
#[must_use]
pub fn run(args: &ImportArgs) -> ExitCode {
    let imported = match import(&args.file, &Disk) {
        Ok(imported) => imported,
        Err(fault) => {
            complain(&fault.to_string());
            return ExitCode::FAILURE;
        }
    };
    let code = print(&imported.config);
    // Where stderr is gone there is nobody left to tell.
    let _ = io::stderr().write_all(imported.list.as_bytes());
    if args.strict && imported.left > 0 { ExitCode::FAILURE } else { code }
}

/// Imports a text alone, with nothing to include: for whoever feeds it hostile ones.
#[must_use]
pub fn import_text(text: &str) -> Option<Imported> {
    struct One<'a>(&'a str);
    impl Source for One<'_> {
        fn read(&self, _: &Path) -> io::Result<String> {
            Ok(self.0.to_owned())
        }
        fn exists(&self, _: &Path) -> bool {
            false
        }
        fn names(&self, _: &Path) -> Vec<String> {
            Vec::new()
        }
    }
    import(Path::new("nginx.conf"), &One(text)).ok()
}

fn import(path: &Path, source: &dyn Source) -> Result<Imported, Fault> {
    let tree = syntax::read(path, source)?;
    let (site, report) = translate::translate(&tree);
    Ok(Imported { config: write::write(&site), list: report.render(), left: report.left_count() })
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
