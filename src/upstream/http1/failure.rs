//! Why an exchange on a connection gave no answer, or an answer no end.

use std::io;

use crate::message::framing::Rule;

/// What went wrong between a server and us; shown, words for the log.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("it closed the connection before its answer")]
    Closed,
    #[error("it closed the connection in the middle of its answer")]
    Cut,
    /// Words of the parser.
    #[error("what it says is no HTTP/1.1: {0}")]
    NoHttp(String),
    #[error("the head of its answer is larger than {0} bytes")]
    Head(usize),
    #[error("before its answer it gave more than {0} informational ones")]
    Interim(usize),
    #[error("its answer has {0}")]
    Ambiguous(Rule),
    #[error("a chunk of its answer is {0}")]
    Chunk(&'static str),
    #[error("its trailers are larger than {0} bytes")]
    Trailers(usize),
    /// What went out is shorter or longer than the head said it would be.
    #[error("the request's body is not as long as its head says")]
    Length,
    #[error(transparent)]
    Http2(#[from] hyper::Error),
}

impl Broken {
    /// It was an answer, only none that can be understood: the same again would get the same.
    #[must_use]
    pub fn is_answer(&self) -> bool {
        match self {
            Broken::NoHttp(_)
            | Broken::Head(_)
            | Broken::Interim(_)
            | Broken::Ambiguous(_)
            | Broken::Chunk(_)
            | Broken::Trailers(_) => true,
            Broken::Http2(error) => error.is_parse(),
            Broken::Io(_) | Broken::Closed | Broken::Cut | Broken::Length => false,
        }
    }
}
