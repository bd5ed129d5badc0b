//! What dialled sources, split feeds and sessions become, with their defaults.

use std::time::Duration;

use http::HeaderName;

use super::{SMALLEST, first_lines, outcome, served};
use crate::config::FeedConfig;
use crate::feed::options::Share;
use crate::feed::{NormalizeOptions, Shape, Skip};
use crate::guard::ForwardToken;
use crate::handler::{Held, SessionOptions};
use crate::limits;
use crate::route::{Action, Options};
use crate::source;
use crate::upstream::{Scheme, Server};

/// The feed `a`, made of these keys.
#[track_caller]
fn feed(keys: &str) -> FeedConfig {
    let loaded = served(&format!("{SMALLEST}[feed.a]\n{keys}\n"));
    assert_eq!(loaded.warnings, []);
    loaded.config.feeds.into_iter().next().unwrap()
}

fn tcp(scheme: Scheme, host: &str, port: u16) -> Server {
    Server::Tcp { scheme, host: host.to_owned(), port }
}

#[test]
fn a_feed_has_every_default() {
    let FeedConfig { feed, sources, fallback, forward_token } = feed("source = { websocket = \"ws://app:8000\" }");
    assert_eq!((feed.max_message, feed.share, feed.linger), (1024 * 1024, Share::default(), Duration::from_secs(30)));
    assert!(feed.delivery.notices && fallback.is_none() && forward_token.is_none());
    let [source::Options::Websocket(dial)] = sources.as_slice() else { panic!("{sources:?}") };
    assert_eq!((dial.path.as_str(), dial.authority.as_str(), dial.headers.len()), ("/", "app:8000", 0));
}

#[test]
fn a_source_dials_what_its_url_says() {
    let config = feed(
        "sources = [\n\
         { websocket = \"wss://app.example.com/ws?token=hunter2\", headers = { Authorization = \"Bearer hunter2\", X-Empty = \"\" } },\n\
         { poll = \"http://[::1]:8000/stats?a=b\" },\n\
         { poll = \"https://app/\", every = \"250ms\", headers = { X-Key = \"${PORT}\" } },\n\
         { sse = \"http://app:80/events\" },\n\
         ]",
    );
    let [
        source::Options::Websocket(websocket),
        source::Options::Poll(poll),
        source::Options::Poll(often),
        source::Options::Sse(sse),
    ] = config.sources.as_slice()
    else {
        panic!("{:?}", config.sources)
    };
    assert_eq!(websocket.url, "wss://app.example.com/ws");
    assert_eq!((websocket.path.as_str(), websocket.authority.as_str()), ("/ws?token=hunter2", "app.example.com"));
    assert_eq!(websocket.upstream.name, "wss://app.example.com/ws");
    assert_eq!(websocket.upstream.servers, [tcp(Scheme::Https, "app.example.com", 443)]);
    assert_eq!(websocket.upstream.connect_timeout, limits::CONNECT_TIMEOUT);
    let [(name, value)] = websocket.headers.as_slice() else { panic!("{:?}", websocket.headers) };
    assert_eq!((name, value.to_str().unwrap()), (&HeaderName::from_static("authorization"), "Bearer hunter2"));
    assert!(!format!("{:?}", websocket.headers).contains("hunter2"));
    assert_eq!((poll.every.as_secs(), often.every.as_millis()), (5, 250));
    assert_eq!((poll.dial.path.as_str(), poll.dial.authority.as_str()), ("/stats?a=b", "[::1]:8000"));
    assert_eq!(often.dial.headers[0].1, "8080");
    assert_eq!(
        (sse.authority.as_str(), sse.upstream.servers.as_slice()),
        ("app", [tcp(Scheme::Http, "app", 80)].as_slice())
    );
}

#[test]
fn a_fallback_serves_after_a_while() {
    let own = "source = { websocket = \"ws://a\" }\n";
    let fallback = feed(&format!("{own}fallback = {{ stats = {{ every = \"1s\" }} }}")).fallback.unwrap();
    assert_eq!(fallback.after, Duration::from_secs(10));
    assert!(matches!(fallback.source, source::Options::Stats(stats) if stats.every.as_secs() == 1));
    let fallback = feed(&format!("{own}fallback = {{ poll = \"http://b\", every = \"1s\", after = \"0s\" }}")).fallback;
    let fallback = fallback.unwrap();
    assert_eq!(fallback.after, Duration::ZERO);
    assert!(matches!(fallback.source, source::Options::Poll(poll) if poll.every.as_secs() == 1));
    // A feed that is split has one for each part.
    assert!(feed(&format!("{own}share = [\"query\"]\nfallback = {{ stats = {{}} }}")).fallback.is_some());
}

#[test]
fn a_feed_is_split_by_what_it_says() {
    let own = "source = { websocket = \"ws://a\" }\nnotices = false\nmax_message = \"2MiB\"\n";
    let config = feed(&format!("{own}share = [\"path\", \"query\", \"path\"]\nlinger = \"0s\""));
    assert_eq!(config.feed.share, Share { path: true, query: true, subject: false });
    assert_eq!((config.feed.linger, config.feed.max_message), (Duration::ZERO, 2 << 20));
    assert!(!config.feed.delivery.notices);
    assert_eq!(feed(&format!("{own}share = []")).feed.share, Share::default());
    let config = feed(&format!("{own}share = [\"subject\"]\nforward_token = \"query:jwt\""));
    assert_eq!(config.forward_token, Some(ForwardToken::Query("jwt".to_owned())));
    assert_eq!(config.feed.share, Share { subject: true, ..Share::default() });
}

#[test]
fn a_subjects_feed_is_for_routes_that_ask_for_a_token() {
    let config = |keys: &str| {
        format!(
            "{SMALLEST}[feed.a]\nsource = {{ websocket = \"ws://a\" }}\nshare = [\"subject\"]\n\
             [auth.viewers]\nsecret = \"{}\"\n[[route]]\npath = \"/t\"\nticket = \"viewers\"\n\
             [[route]]\npath = \"/a\"\nfeed = \"a\"\n{keys}\n",
            "x".repeat(32)
        )
    };
    assert_eq!(first_lines(&config("auth = \"viewers\"")), [""; 0]);
    let lines = first_lines(&config(""));
    assert!(lines.len() == 1 && lines[0].contains("the route `/a` asks for no token; add auth"), "{lines:?}");
    // One that is wrong is told of as such alone.
    for wrong in ["auth = \"viewer\"", "auth = 1", "auht = \"viewers\""] {
        let lines = first_lines(&config(wrong));
        assert!(lines.len() == 1 && !lines[0].contains("asks for no token"), "{lines:?}");
    }
}

/// The only proxy route, with these keys.
#[track_caller]
fn proxy(keys: &str) -> Options {
    let text = format!(
        "{SMALLEST}[upstream.app]\nservers = [\"http://app\"]\n[auth.viewers]\nsecret = \"{}\"\n\
         [[route]]\npath = \"/a\"\nproxy = \"app\"\nauth = \"viewers\"\n{keys}\n",
        "x".repeat(32)
    );
    let loaded = served(&text);
    assert_eq!(loaded.warnings, []);
    loaded.config.routes.into_iter().next_back().unwrap()
}

#[track_caller]
fn session(keys: &str) -> SessionOptions {
    let action = proxy(&format!("[route.session]\n{keys}")).action;
    let Action::Session { upstream, session } = action else { panic!("{action:?}") };
    assert_eq!(upstream, "app");
    session
}

#[test]
fn a_session_has_every_default() {
    let plain = session("");
    assert_eq!((plain.hold.as_secs(), plain.resend, plain.held), (60, 0, Held::Queue));
    assert_eq!((plain.normalize, plain.max_message), (NormalizeOptions::default(), limits::MAX_MESSAGE));
    assert_eq!(plain.delivery, crate::feed::Delivery::default());
    assert_eq!(proxy("").action, Action::Proxy { upstream: "app".to_owned() });
}

#[test]
fn a_session_is_what_it_says() {
    let full = session(
        "hold = \"2s\"\nresend = 2\nheld = \"refuse\"\ntype = \"chat\"\nshape = \"mirrored\"\nskip = [{ type = \"debug\" }]\n\
         skip_system = false\nrename = { a = \"b\" }\nkeepalive = false\nping = \"1s\"\npong_timeout = \"2s\"\n\
         notices = false\nnaive_time = \"+09:00\"\nmax_message = \"64KiB\"",
    );
    assert_eq!(
        (full.hold, full.resend, full.held, full.max_message),
        (Duration::from_secs(2), 2, Held::Refuse, 64 * 1024)
    );
    let normalize = NormalizeOptions {
        type_: "chat".to_owned(),
        skip: vec![Skip::Type("debug".to_owned())],
        skip_system: false,
        rename: vec![("a".to_owned(), "b".to_owned())],
        key: None,
        naive_offset: 9 * 3600,
    };
    assert_eq!(full.normalize, normalize);
    let delivery = full.delivery;
    assert_eq!((delivery.shape, delivery.keepalive, delivery.notices), (Shape::Mirrored, None, false));
    assert_eq!((delivery.ping, delivery.pong_timeout.as_secs()), (Some(Duration::from_secs(1)), 2));
}

#[test]
fn a_token_is_passed_on_by_the_route_or_its_session() {
    assert_eq!(proxy("").forward_token, None);
    assert_eq!(proxy("forward_token = \"header\"").forward_token, Some(ForwardToken::Header));
    let query = Some(ForwardToken::Query("t".to_owned()));
    assert_eq!(proxy("[route.session]\nforward_token = \"query:t\"").forward_token, query);
    assert_eq!(proxy("forward_token = \"query:t\"\n[route.session]\nhold = \"1s\"").forward_token, query);
}

#[test]
fn a_secret_in_a_url_or_a_header_is_not_shown() {
    for source in [
        "{ websocket = \"ws://me:hunter2@app/ws\" }",
        "{ websocket = \"http://app/ws?token=hunter2\" }",
        "{ websocket = \"app?hunter2\" }",
        "{ poll = \"http://app/ws?token=hunter2 \" }",
        "{ sse = \"http://app/\", headers = { Authorization = \"hunter2 \" } }",
        "{ sse = \"http://app/\", headers = \"Authorization: hunter2\" }",
        "{ sse = \"http://app/\", headers = { Authorization = [\"hunter2\"] } }",
        "{ sse = \"http://app/\", headers = { Authorization = { a = \"hunter2\" } } }",
    ] {
        let refused = outcome(&format!("{SMALLEST}[feed.a]\nsource = {source}\n")).unwrap_err().to_string();
        assert!(!refused.contains("hunter2"), "{refused}");
    }
}
