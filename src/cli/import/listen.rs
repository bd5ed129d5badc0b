//! `listen`: an address, and what is spoken there.

use super::report::Report;
use super::syntax::Directive;

/// One `listen` that can be translated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listen {
    /// As our config writes it.
    pub address: String,
    pub tls: bool,
    /// It takes the hosts that no server names.
    pub default: bool,
    pub proxy_protocol: bool,
}

impl Listen {
    /// What nginx listens on where it is not told.
    pub(super) fn usual() -> Listen {
        Listen { address: "0.0.0.0:80".to_owned(), tls: false, default: false, proxy_protocol: false }
    }

    /// Whether only this machine reaches it.
    pub(super) fn is_loopback(&self) -> bool {
        self.address.starts_with("127.") || self.address.starts_with("[::1]")
    }

    /// The address without its port, and the port.
    pub(super) fn parts(&self) -> (&str, &str) {
        match self.address.rsplit_once("]:") {
            Some((host, port)) => (host, port),
            None => self.address.split_once(':').unwrap_or((&self.address, "")),
        }
    }
}

/// What a `listen` says; `None` where it is listed.
pub(super) fn listen(directive: &Directive, report: &mut Report) -> Option<Listen> {
    report.see(directive);
    let text = directive.arg(0);
    if text.starts_with("unix:") {
        report.left(directive, "only TCP is listened on", "write a [[listener]] with an address and a port");
        return None;
    }
    let Some(address) = address(text) else {
        let instead = "write a [[listener]] with an address and a port, as in \"0.0.0.0:8080\"";
        report.left(directive, "this is not an address and a port", instead);
        return None;
    };
    let mut listen = Listen { address, ..Listen::usual() };
    for option in directive.args.iter().skip(1) {
        match option.split('=').next().unwrap_or_default() {
            "ssl" => listen.tls = true,
            "default_server" | "default" => listen.default = true,
            "proxy_protocol" => listen.proxy_protocol = true,
            "quic" => {
                report.left(
                    directive,
                    "HTTP/3 is not spoken",
                    "leave it out: HTTP/2 and HTTP/1.1 are offered over TLS",
                );
                return None;
            }
            "http2" | "reuseport" | "deferred" | "bind" | "ipv6only" | "so_keepalive" | "backlog" | "fastopen"
            | "rcvbuf" | "sndbuf" | "setfib" | "accept_filter" | "multipath" | "spdy" => {}
            _ => report.note(directive, "an option of it is not known here", "see config/full.toml, [[listener]]"),
        }
    }
    Some(listen)
}

/// The address of a `listen` with its port.
fn address(text: &str) -> Option<String> {
    let is_number = |port: &str| port.parse::<u16>().is_ok() && port.bytes().all(|b| b.is_ascii_digit());
    let is_port = |port: &str| is_number(port) || is_variable(port);
    if let Some(inside) = text.strip_prefix('[') {
        let (ip, rest) = inside.split_once(']')?;
        let ip: std::net::Ipv6Addr = ip.parse().ok()?;
        let port = if rest.is_empty() { "80" } else { rest.strip_prefix(':')? };
        return is_port(port).then(|| format!("[{ip}]:{port}"));
    }
    if is_port(text) {
        return Some(format!("0.0.0.0:{text}"));
    }
    // A variable in braces may have a colon of its own.
    let (host, port) = match text.split_once(':') {
        Some((host, port)) if !host.contains('{') => (host, port),
        Some(_) => return None,
        None => (text, "80"),
    };
    let host = match host {
        "*" => "0.0.0.0",
        "localhost" => "127.0.0.1",
        host => host.parse::<std::net::Ipv4Addr>().is_ok().then_some(host)?,
    };
    is_port(port).then(|| format!("{host}:{port}"))
}

/// Whether the whole text is a variable of the environment.
fn is_variable(text: &str) -> bool {
    let name = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    name.is_some_and(|name| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_out() {
        for (text, expected) in [
            ("80", Some("0.0.0.0:80")),
            ("*:8080", Some("0.0.0.0:8080")),
            ("127.0.0.1", Some("127.0.0.1:80")),
            ("localhost:81", Some("127.0.0.1:81")),
            ("[::]:443", Some("[::]:443")),
            ("[::1]", Some("[::1]:80")),
            ("${PORT}", Some("0.0.0.0:${PORT}")),
            ("example.com:80", None),
            ("99999", None),
            ("+80", None),
            ("[::", None),
            ("[::]x", None),
            ("", None),
        ] {
            assert_eq!(address(text).as_deref(), expected, "{text}");
        }
    }
}
