//! What the config says of an upstream, checked.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use rustls_pki_types::CertificateDer;

/// One `[upstream.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    pub name: String,
    /// At least one.
    pub servers: Vec<Server>,
    /// How often names are looked up again.
    pub resolve: Duration,
    pub balance: Balance,
    /// Active checks; passive marking is always on.
    pub health: Option<Health>,
    /// By whom https servers must be vouched for, each fit to be a root; else by this machine's authorities.
    pub authorities: Option<Vec<CertificateDer<'static>>>,
    pub connect_timeout: Duration,
    /// To the response head.
    pub response_timeout: Duration,
    /// Between two reads of a body; never applied to an upgraded socket.
    pub idle_timeout: Duration,
}

/// One of `servers`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Server {
    Tcp {
        scheme: Scheme,
        /// A name or an address; IPv6 without brackets.
        host: String,
        port: u16,
    },
    /// HTTP/1.1 over a unix socket.
    Unix(PathBuf),
}

/// How a server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    Http,
    /// HTTP/1.1 or HTTP/2 over TLS, by ALPN.
    Https,
    /// HTTP/2 with prior knowledge (RFC 9113, section 3.3).
    H2c,
}

/// Which server is next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Balance {
    /// The one with the fewest requests in flight and sockets open.
    #[default]
    LeastConn,
    RoundRobin,
    /// By a hash of the client's address.
    ClientIp,
}

/// `health = { ... }`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    pub path: String,
    pub every: Duration,
    pub timeout: Duration,
    /// Failures in a row until it counts as down.
    pub fall: u32,
    /// Successes in a row until it counts as up again.
    pub rise: u32,
}

/// As the config writes it.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Server::Tcp { scheme, host, port } if host.contains(':') => write!(f, "{scheme}://[{host}]:{port}"),
            Server::Tcp { scheme, host, port } => write!(f, "{scheme}://{host}:{port}"),
            Server::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
            Scheme::H2c => "h2c",
        })
    }
}
