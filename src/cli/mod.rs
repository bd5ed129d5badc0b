//! The command line: what can be asked, and which file answers it.
//!
//! Owns: the arguments and their help, exit codes (0 done, 1 problems, 2 usage, as clap gives it), writing to stdout.
//! Never: does a subcommand's work; each has a file of its own.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueHint};
use tokio::runtime::{LocalOptions, LocalRuntime};

pub mod cert;
pub mod check;
pub mod client;
pub mod completions;
pub mod explain;
pub mod health;
pub mod import;
mod keys;
pub mod record;
pub mod run;
pub mod schema;
pub mod token;
pub mod watch;

const EXAMPLES: &str = "\
Examples:
  steadfeed                                  serve the default feed on ports 8080 and 8443
  steadfeed --config site.toml               serve what site.toml says
  steadfeed check --config site.toml         show every problem in it
  steadfeed watch wss://localhost:8443/ws --insecure
                                             a live table of that feed

Without --config the config is $STEADFEED_CONFIG, else ./steadfeed.toml, else /etc/steadfeed/steadfeed.toml, \
else the built-in one.";

const RUN_EXAMPLES: &str = "\
Signals:
  SIGTERM, SIGINT   drain: sockets are closed over a few seconds; a second one exits at once
  SIGHUP            reload: the config is read again and used, whole or not at all; sockets stay where their route does

Examples:
  steadfeed run --config site.toml
  STEADFEED_CONFIG=site.toml steadfeed";

const CHECK_EXAMPLES: &str = "\
Exits with 1 where there are problems, with 0 where there are none; warnings are shown and change nothing.

Examples:
  steadfeed check --config site.toml
  steadfeed check && systemctl restart steadfeed";

const HEALTH_EXAMPLES: &str = "\
Examples:
  steadfeed health                                  the config's admin listener
  steadfeed health http://127.0.0.1:8080/health     any URL that answers 2xx when well
  HEALTHCHECK CMD [\"steadfeed\", \"health\"]           in a Dockerfile";

const CERT_EXAMPLES: &str = "\
Examples:
  steadfeed cert                                    for localhost, in ./certs
  steadfeed cert --name dash.test --name 10.0.0.5 --out /etc/steadfeed/certs

Development only: whoever holds the CA's key can speak for any name to whoever trusts it.";

const SCHEMA_EXAMPLES: &str = "\
Examples:
  steadfeed schema > steadfeed.schema.json
  then, as the first line of a config, for editors:  #:schema ./steadfeed.schema.json";

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  steadfeed completions bash > /etc/bash_completion.d/steadfeed
  steadfeed completions zsh  > ~/.zfunc/_steadfeed
  steadfeed completions fish > ~/.config/fish/completions/steadfeed.fish";

/// A reverse-proxy sidecar that keeps dashboards' WebSockets connected.
///
/// Put it in front of a dashboard, unchanged, and its sockets stay connected; with no config and no backend it serves
/// the statistics of its own host.
#[derive(Debug, Parser)]
#[command(name = "steadfeed", version, after_help = EXAMPLES)]
pub struct Cli {
    #[command(flatten)]
    config: ConfigArg,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What can be asked.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve (what `steadfeed` alone does)
    #[command(after_help = RUN_EXAMPLES)]
    Run(ConfigArg),
    /// Show every problem in the config, or the routes it makes
    #[command(after_help = CHECK_EXAMPLES)]
    Check(ConfigArg),
    /// Exit with 0 when the server is ready: a container's HEALTHCHECK
    #[command(after_help = HEALTH_EXAMPLES)]
    Health(health::HealthArgs),
    /// Make a development CA and a certificate signed by it
    #[command(after_help = CERT_EXAMPLES)]
    Cert(cert::CertArgs),
    /// Sign a token that an [auth.NAME] of the config finds good
    #[command(after_help = token::EXAMPLES)]
    Token(token::TokenArgs),
    /// Watch a feed in the terminal
    #[command(after_help = watch::EXAMPLES)]
    Watch(watch::Args),
    /// Keep a source's raw messages, with their times
    #[command(after_help = record::EXAMPLES)]
    Record(record::Args),
    /// Show what viewers of a feed would get of such messages, and why
    #[command(after_help = explain::EXAMPLES)]
    Explain(explain::Args),
    /// Write the config that does what nginx's does
    #[command(after_help = import::EXAMPLES)]
    Import(import::ImportArgs),
    /// Print the JSON Schema of the config
    #[command(after_help = SCHEMA_EXAMPLES)]
    Schema,
    /// Print completions for a shell
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions(CompletionsArgs),
}

/// Which config file; where it is absent, `config` looks in its usual places.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct ConfigArg {
    /// The config to read
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
}

/// The arguments of `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell to complete in
    #[arg(value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

/// Parses the process's arguments, does what they ask, and gives the exit code. Ends the process itself, through clap,
/// for `--help`, `--version` and wrong usage.
pub fn main() -> ExitCode {
    match settle(Cli::parse()) {
        Ok(command) => dispatch(command),
        Err(usage) => usage.exit(),
    }
}

/// The command asked for, the `--config` before it taken in.
///
/// # Errors
/// When `--config` stands on both sides of the subcommand, or before one that reads no config.
fn settle(cli: Cli) -> Result<Command, clap::Error> {
    let Some(command) = cli.command else { return Ok(Command::Run(cli.config)) };
    let Some(before) = cli.config.config else { return Ok(command) };
    let refused = |why: &str| Err(Cli::command().error(ErrorKind::ArgumentConflict, why));
    match command {
        Command::Run(ConfigArg { config: Some(_) })
        | Command::Check(ConfigArg { config: Some(_) })
        | Command::Health(health::HealthArgs { config: ConfigArg { config: Some(_) }, .. })
        | Command::Token(token::TokenArgs { config: ConfigArg { config: Some(_) }, .. })
        | Command::Explain(explain::Args { config: ConfigArg { config: Some(_) }, .. }) => {
            refused("--config is given twice; keep one of them")
        }
        Command::Run(ConfigArg { config: None }) => Ok(Command::Run(ConfigArg { config: Some(before) })),
        Command::Check(ConfigArg { config: None }) => Ok(Command::Check(ConfigArg { config: Some(before) })),
        Command::Health(args) => {
            Ok(Command::Health(health::HealthArgs { config: ConfigArg { config: Some(before) }, ..args }))
        }
        Command::Token(args) => {
            Ok(Command::Token(token::TokenArgs { config: ConfigArg { config: Some(before) }, ..args }))
        }
        Command::Explain(args) => {
            Ok(Command::Explain(explain::Args { config: ConfigArg { config: Some(before) }, ..args }))
        }
        Command::Cert(_)
        | Command::Watch(_)
        | Command::Record(_)
        | Command::Import(_)
        | Command::Schema
        | Command::Completions(_) => {
            refused("--config is for `run`, `check`, `health`, `explain` and `token`; this subcommand reads no config")
        }
    }
}

fn dispatch(command: Command) -> ExitCode {
    match command {
        Command::Run(args) => run::run(args.config.as_deref()),
        Command::Check(args) => check::run(args.config.as_deref()),
        Command::Health(args) => match runtime().map(|runtime| runtime.block_on(health::run(&args))) {
            Ok(Ok(())) => ExitCode::SUCCESS,
            Ok(Err(unwell)) => failed(&unwell),
            Err(error) => failed(&error),
        },
        Command::Cert(args) => match cert::run(&args) {
            Ok(report) => print(&report),
            Err(error) => failed(&error),
        },
        Command::Token(args) => token::run(&args),
        Command::Watch(args) => watch::run(args),
        Command::Record(args) => record::run(args),
        Command::Explain(args) => explain::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Schema => schema::run(),
        Command::Completions(args) => completions::run(args.shell),
    }
}

/// The runtime of a subcommand that is no server: this thread alone.
///
/// # Errors
/// When the process is out of file descriptors.
pub fn runtime() -> io::Result<LocalRuntime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build_local(LocalOptions::default())
}

fn failed(error: &dyn std::error::Error) -> ExitCode {
    complain(&error.to_string());
    ExitCode::FAILURE
}

/// Writes `text` to stdout and gives the exit code: 0 as well when the reader has gone (`steadfeed schema | head -1`),
/// 1 when it cannot be written.
#[must_use]
pub fn print(text: &str) -> ExitCode {
    match emit(&mut io::stdout().lock(), text) {
        ControlFlow::Continue(()) => ExitCode::SUCCESS,
        ControlFlow::Break(code) => code,
    }
}

/// Writes `text` to `out` and flushes it; breaks with the exit code when there is no use in writing more.
pub fn emit(out: &mut impl Write, text: &str) -> ControlFlow<ExitCode> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ControlFlow::Break(ExitCode::SUCCESS),
        Err(error) => {
            complain(&format!("stdout cannot be written: {error}"));
            ControlFlow::Break(ExitCode::FAILURE)
        }
    }
}

/// Writes one line to stderr, as `steadfeed: text`; `eprintln!` would panic when nobody reads it.
pub fn complain(text: &str) {
    // Where stderr is gone there is nobody left to tell.
    let _ = writeln!(io::stderr(), "steadfeed: {text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parses and settles; the shape of what came out, or the first line of what clap said.
    #[track_caller]
    fn check(line: &str, expected: &str) {
        let said = match Cli::try_parse_from(line.split_whitespace()).and_then(settle) {
            Ok(command) => format!("{command:?}"),
            Err(error) => error.to_string().lines().next().unwrap_or_default().to_owned(),
        };
        assert!(said.contains(expected), "{line}: {said}");
    }

    struct Failing(io::ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_subcommand_is_run() {
        check("steadfeed", "Run(ConfigArg { config: None })");
        check("steadfeed --config a.toml", "Run(ConfigArg { config: Some(\"a.toml\") })");
    }

    #[test]
    fn config_stands_on_either_side_of_run_and_check() {
        check("steadfeed run --config a.toml", "Run(ConfigArg { config: Some(\"a.toml\") })");
        check("steadfeed --config a.toml run", "Run(ConfigArg { config: Some(\"a.toml\") })");
        check("steadfeed check --config a.toml", "Check(ConfigArg { config: Some(\"a.toml\") })");
        check("steadfeed --config=a.toml check", "Check(ConfigArg { config: Some(\"a.toml\") })");
        check("steadfeed --config=a.toml explain --feed f", "config: Some(\"a.toml\")");
        check("steadfeed --config a.toml explain --feed f --config b.toml", "given twice");
        check("steadfeed check", "Check(ConfigArg { config: None })");
    }

    #[test]
    fn config_twice_or_for_nothing_is_wrong_usage() {
        check("steadfeed --config a.toml run --config b.toml", "given twice");
        check("steadfeed --config a.toml check --config b.toml", "given twice");
        check("steadfeed --config a.toml schema", "reads no config");
        check("steadfeed watch ws://h/ --config a.toml", "unexpected argument '--config'");
    }

    #[test]
    fn every_subcommand_takes_its_arguments() {
        check("steadfeed health", "url: None");
        check("steadfeed health http://h/readyz", "url: Some(\"http://h/readyz\")");
        check("steadfeed cert", "names: [\"localhost\"], out: \"certs\"");
        check("steadfeed cert --name a --name b --out x", "names: [\"a\", \"b\"], out: \"x\"");
        check("steadfeed record ws://h/ --count 3", "count: Some(3)");
        check("steadfeed record ws://h/ --token secret", "token: Some(Sensitive)");
        check("steadfeed explain --feed a", "feed: \"a\", config: ConfigArg { config: None }");
        check("steadfeed explain", "required arguments");
        check("steadfeed import nginx.conf", "file: \"nginx.conf\", strict: false");
        check("steadfeed import", "required arguments");
        check("steadfeed schema", "Schema");
        check("steadfeed completions fish", "shell: Fish");
        check("steadfeed completions", "required arguments");
        check("steadfeed watch", "required arguments");
        check("steadfeed token --auth viewers", "required arguments");
        check("steadfeed token --auth a --sub b --ttl 5", "add a unit");
        check("steadfeed token --auth a --sub b --claim role", "write NAME=VALUE");
        check("steadfeed token --auth a --sub b --secret-file x --key-file y", "cannot be used with");
        check(
            "steadfeed --config c.toml token --auth a --sub b --claim n=1 --claim s=x",
            r#"claims: [("n", Number(1)), ("s", String("x"))], secret_file: None, key_file: None, config: ConfigArg { config: Some("c.toml") }"#,
        );
    }

    #[test]
    fn wrong_usage_exits_with_2_and_help_with_0() {
        let code = |line: &str| Cli::try_parse_from(line.split_whitespace()).and_then(settle).unwrap_err().exit_code();
        assert_eq!(code("steadfeed --nonsense"), 2);
        assert_eq!(code("steadfeed --config a --config b"), 2);
        assert_eq!(code("steadfeed --config a schema"), 2);
        assert_eq!(code("steadfeed watch localhost:8443/ws"), 2);
        assert_eq!(code("steadfeed --help"), 0);
        assert_eq!(code("steadfeed --version"), 0);
    }

    #[test]
    fn every_help_text_has_examples() {
        for subcommand in Cli::command().get_subcommands() {
            let help = subcommand.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Examples:"), "{}", subcommand.get_name());
        }
    }

    #[test]
    fn a_reader_that_has_gone_is_a_quiet_end_and_a_full_disk_is_not() {
        let mut kept = Vec::new();
        assert_eq!(emit(&mut kept, "text"), ControlFlow::Continue(()));
        assert_eq!(kept, b"text");
        assert_eq!(emit(&mut Failing(io::ErrorKind::BrokenPipe), "text"), ControlFlow::Break(ExitCode::SUCCESS));
        assert_eq!(emit(&mut Failing(io::ErrorKind::StorageFull), "text"), ControlFlow::Break(ExitCode::FAILURE));
    }
}
