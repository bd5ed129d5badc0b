//! The life of a source that dials: dial, read, fall, wait, and again, for ever.
//!
//! Owns: when it is dialled. Never: reads a byte; [`super::websocket`], [`super::poll`] and [`super::sse`] do.

use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::backoff::Backoff;
use super::failure::Failure;
use super::line::{Line, Record};
use super::sse::Resume;
use super::{Dial, DialOptions, poll, sse, websocket};
use crate::feed::inlet::{Bearer, Inlet};
use crate::limits;
use crate::shutdown::random_unit;
use crate::telemetry::SourceMeters;
use crate::upstream::{Upstream, Upstreams};

impl Dial {
    pub(super) fn options(&self) -> &DialOptions {
        match self {
            Dial::Websocket(options) | Dial::Sse(options) => options,
            Dial::Poll(options) => &options.dial,
        }
    }

    /// How long a server that answers, though not with what was asked for, is left alone: one that is polled is not asked
    /// more often than it would be.
    fn polite(&self) -> Duration {
        match self {
            Dial::Websocket(_) | Dial::Sse(_) => Duration::ZERO,
            Dial::Poll(options) => options.every,
        }
    }
}

/// Keeps the connection; never ends.
pub(super) async fn run(dial: &Dial, inlet: &Inlet, meters: &SourceMeters, upstreams: &Upstreams) {
    let options = dial.options();
    let upstream = upstreams.get(&options.upstream.name);
    let record = Record::new(inlet, meters, &options.url);
    let (mut backoff, mut resume) = (Backoff::of_source(), Resume::default());
    if inlet.bearer() == Bearer::Missing {
        // Begun for a viewer whose token is known as soon as it is seated.
        let _ = timeout(limits::SOURCE_FIRST_TOKEN, inlet.changed()).await;
    }
    loop {
        let line = Line::new(&record);
        let Err(failure) = tokio::select! {
            ended = follow(dial, upstream, &line, &mut resume) => ended,
            never = line.hold() => Ok(never),
        };
        record.fell(&failure);
        if matches!(failure, Failure::NoToken) {
            record.tell(&failure, None);
            inlet.changed().await;
            // What changed may not be the tokens.
            sleep(limits::SOURCE_BACKOFF_LEAST).await;
            continue;
        }
        let at_least = failure.at_least(dial.polite()).max(resume.retry());
        let wait = backoff.after(line.held(), Instant::now(), random_unit()).max(at_least);
        record.tell(&failure, Some(wait));
        sleep(wait).await;
    }
}

async fn follow(
    dial: &Dial,
    upstream: Option<&Rc<Upstream>>,
    line: &Line<'_>,
    resume: &mut Resume,
) -> Result<Infallible, Failure> {
    let upstream = upstream.ok_or(Failure::NoUpstream)?;
    match dial {
        Dial::Websocket(options) => websocket::follow(options, upstream, line).await,
        Dial::Poll(options) => poll::follow(options, upstream, line).await,
        Dial::Sse(options) => sse::follow(options, upstream, line, resume).await,
    }
}
