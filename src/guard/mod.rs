//! The checks on a request, in order; each gives `Result<_, Denied>`.

/// One entry of a route's `origins`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OriginRule {
    /// The request's own origin.
    Same,
    /// `*`.
    Any,
    /// The literal `null`, which sandboxed frames and files send.
    Null,
    /// `https://dash.example.com`, `http://localhost:*`, `https://*.example.com`.
    Pattern { scheme: String, host: OriginHost, port: OriginPort },
}

/// Lower-case; an IPv6 address in brackets, as in an `Origin` header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OriginHost {
    Exact(String),
    /// `*.example.com`, kept as `.example.com`.
    Suffix(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OriginPort {
    /// None was named: the default one of the scheme.
    Default,
    Exact(u16),
    Any,
}
