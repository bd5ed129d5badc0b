//! Content codings, and which of them a request accepts (RFC 9110, section 12.5.3).
//!
//! Never: compresses; see [`compress`](super::compress).

use http::header::ACCEPT_ENCODING;
use http::{HeaderMap, HeaderValue};

/// A coding that we can give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    Brotli,
    Zstd,
    Gzip,
}

/// What a request's `Accept-Encoding` says of each coding: its weight in thousandths, 0 where it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    weights: [u16; Coding::ALL.len()],
    /// Of no coding at all; `None` where it is not named: then it comes after all that are.
    identity: Option<u16>,
}

impl Coding {
    /// In the order of [`index`](Coding::index).
    pub const ALL: [Coding; 3] = [Coding::Brotli, Coding::Zstd, Coding::Gzip];

    /// Its place in [`ALL`](Coding::ALL).
    #[must_use]
    pub fn index(self) -> usize {
        match self {
            Coding::Brotli => 0,
            Coding::Zstd => 1,
            Coding::Gzip => 2,
        }
    }

    /// As `Content-Encoding` says it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Coding::Brotli => "br",
            Coding::Zstd => "zstd",
            Coding::Gzip => "gzip",
        }
    }

    /// The same, ready to be sent.
    #[must_use]
    pub fn value(self) -> HeaderValue {
        HeaderValue::from_static(self.name())
    }

    /// What a file's name has at its end when it holds another one so coded.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Coding::Brotli => ".br",
            Coding::Zstd => ".zst",
            Coding::Gzip => ".gz",
        }
    }
}

impl Accepted {
    /// No coding at all.
    pub const NONE: Accepted = Accepted { weights: [0; Coding::ALL.len()], identity: None };

    /// What these request headers say. Without `Accept-Encoding` nothing is coded: whoever leaves it out seldom decodes.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Accepted {
        let mut said: [Option<u16>; Coding::ALL.len()] = [None; Coding::ALL.len()];
        let (mut identity, mut any) = (None, None);
        let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        for item in values.flat_map(|value| value.split(',')) {
            let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
            let (name, weight) = (name.trim(), weight(parameters));
            let coding = Coding::ALL.into_iter().zip(&mut said).find(|(coding, _)| names(*coding, name));
            if let Some((_, said)) = coding {
                *said = Some(weight);
            } else if name.eq_ignore_ascii_case("identity") {
                identity = Some(weight);
            } else if name == "*" {
                any = Some(weight);
            }
        }
        // `*` speaks for what is not named; refused, it refuses the answer as it is, too.
        let identity = identity.or(any.filter(|weight| *weight == 0));
        Accepted { weights: said.map(|said| said.or(any).unwrap_or(0)), identity }
    }

    /// The best of the codings that are `available`, in order of our preference; `None` for the answer as it is, also
    /// where nothing that is wanted can be had: better that than no answer.
    #[must_use]
    pub fn best(&self, order: &[Coding], available: impl Fn(Coding) -> bool) -> Option<Coding> {
        let mut best: Option<(Coding, u16)> = None;
        for coding in order.iter().copied() {
            let weight = self.weights[coding.index()];
            let better = weight > best.map_or(0, |(_, weight)| weight);
            if better && available(coding) {
                best = Some((coding, weight));
            }
        }
        best.filter(|(_, weight)| self.identity.is_none_or(|identity| *weight >= identity)).map(|(coding, _)| coding)
    }
}

fn names(coding: Coding, name: &str) -> bool {
    name.eq_ignore_ascii_case(coding.name()) || (coding == Coding::Gzip && name.eq_ignore_ascii_case("x-gzip"))
}

/// The `q` among the parameters, in thousandths: 1000 where there is none, 0 where it is no weight.
fn weight(parameters: &str) -> u16 {
    let q = parameters.split(';').filter_map(|parameter| parameter.split_once('='));
    let Some((_, q)) = q.into_iter().find(|(name, _)| name.trim().eq_ignore_ascii_case("q")) else { return 1000 };
    let q = q.trim();
    let (whole, thousandths) = q.split_once('.').unwrap_or((q, ""));
    if thousandths.len() > 3 || !thousandths.bytes().all(|digit| digit.is_ascii_digit()) {
        return 0;
    }
    let part =
        thousandths.bytes().fold((0, 100), |(sum, place), digit| (sum + u16::from(digit - b'0') * place, place / 10));
    match whole {
        "0" => part.0,
        "1" => 1000,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: Option<&'static str>, expected: Option<Coding>) {
        let mut headers = HeaderMap::new();
        if let Some(value) = value {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(value));
        }
        assert_eq!(Accepted::of(&headers).best(&Coding::ALL, |_| true), expected, "{value:?}");
    }

    #[test]
    fn the_coding_with_the_greatest_weight_is_chosen_and_ours_among_equals() {
        check(None, None);
        check(Some(""), None);
        check(Some("gzip, deflate, br, zstd"), Some(Coding::Brotli));
        check(Some("gzip, deflate"), Some(Coding::Gzip));
        check(Some("X-GZIP"), Some(Coding::Gzip));
        check(Some("deflate"), None);
        check(Some("br;q=0.5, zstd;q=0.9, gzip"), Some(Coding::Gzip));
        check(Some("br;q=0, zstd ; Q=0.001, gzip;q=0.000"), Some(Coding::Zstd));
        check(Some("*"), Some(Coding::Brotli));
        check(Some("br;q=0, *;q=0.2"), Some(Coding::Zstd));
        check(Some("gzip;q=2"), None);
        check(Some("gzip;q=0.5555"), None);
        check(Some("gzip;q=-1"), None);
        check(Some("gzip;q="), None);
    }

    #[test]
    fn no_coding_has_a_weight_too() {
        check(Some("identity"), None);
        check(Some("identity, gzip"), Some(Coding::Gzip));
        check(Some("identity;q=1, gzip;q=0.5"), None);
        check(Some("identity;q=0, gzip;q=0.001"), Some(Coding::Gzip));
        check(Some("identity;q=0.5, *;q=0"), None);
        check(Some("*;q=0"), None);
        check(Some("identity;q=0"), None);
    }

    #[test]
    fn only_what_there_is_can_be_chosen() {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("br, gzip;q=0.1"));
        let accepted = Accepted::of(&headers);
        assert_eq!(accepted.best(&Coding::ALL, |coding| coding == Coding::Gzip), Some(Coding::Gzip));
        assert_eq!(accepted.best(&Coding::ALL, |_| false), None);
        assert_eq!(accepted.best(&[Coding::Zstd], |_| true), None);
    }
}
