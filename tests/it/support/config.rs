//! Parts of configs that many tests begin with. Macros, as only literals can be joined to a `const` text.
//!
//! Each part begins with a blank line and ends with its last key, so that keys of the same table may follow it.

/// A plain listener, with these keys.
macro_rules! plain {
    ($($keys:literal)?) => {
        concat!("\n[[listener]]\naddress = \"127.0.0.1:0\"\n" $(, $keys)?)
    };
}

/// A listener over TLS, with a certificate that the process makes.
macro_rules! tls {
    () => {
        crate::support::config::plain!("tls.self_signed = [\"localhost\"]\n")
    };
}

/// A feed `f` that is published to, and a route to it at this path.
macro_rules! feed {
    ($path:literal) => {
        concat!("\n[feed.f]\nsource = { publish = {} }\n\n[[route]]\npath = \"", $path, "\"\nfeed = \"f\"\n")
    };
}

/// A feed `events` that is published to, with these keys, at `/events`, and a fixed answer at `/hello`.
macro_rules! events {
    ($($keys:literal)?) => {
        concat!(
            "\n[feed.events]\nsource = { publish = {} }\n" $(, $keys)?,
            "\n[[route]]\npath = \"/events\"\nfeed = \"events\"\n",
            "\n[[route]]\npath = \"/hello\"\nrespond = { body = \"hello\" }\n"
        )
    };
}

pub(crate) use {events, feed, plain, tls};

/// A plain listener.
pub const PLAIN: &str = plain!();
/// One that takes WebSockets over HTTP/2 too.
pub const PLAIN_H2: &str = plain!("websocket_h2 = true\n");
