//! The rows of auths and limits. Never: shows a secret.

use crate::config::choice::word;
use crate::config::values::Shown;
use crate::feed::options::Share;
use crate::guard::{AuthOptions, KeyOptions, LimitOptions};
use crate::route::Options;
use crate::source::Fallback;

/// Algorithms are named where they are no more than this.
const ALGORITHMS: usize = 3;

pub(super) fn auth(options: &AuthOptions) -> (String, String) {
    let key = match &options.key {
        KeyOptions::Secret(_) => "a secret".to_owned(),
        KeyOptions::PublicKeyFile(path) => path.display().to_string(),
        KeyOptions::JwksUrl(jwks) => jwks.url.clone(),
        KeyOptions::JwksFile(path) => path.display().to_string(),
        KeyOptions::Absent { variable } => return (options.name.clone(), format!("no secret: set {variable}")),
    };
    let mut parts = vec![key];
    if options.algorithms.len() <= ALGORITHMS {
        parts.push(options.algorithms.iter().map(|algorithm| word(*algorithm)).collect::<Vec<_>>().join(", "));
    }
    parts.extend(options.issuer.as_ref().map(|issuer| format!("issued by {issuer}")));
    parts.extend(options.audience.as_ref().map(|audience| format!("for {audience}")));
    parts.extend(options.require.iter().map(|(name, value)| format!("{name} = {value}")));
    (options.name.clone(), parts.join("; "))
}

pub(super) fn limit(options: &LimitOptions) -> (String, String) {
    let rates = [("upgrades", options.upgrades), ("requests", options.requests), ("messages", options.messages)];
    let mut parts: Vec<String> =
        rates.into_iter().filter_map(|(name, rate)| Some(format!("{name} {}", rate?))).collect();
    let counts = [
        ("a client", options.connections_per_client),
        ("a subject", options.connections_per_subject),
        ("a route", options.connections),
    ];
    parts.extend(counts.into_iter().filter_map(|(whose, count)| Some(format!("{} connections {whose}", count?))));
    parts.push(format!("messages of {} bytes", options.message_size));
    (options.name.clone(), parts.join(", "))
}

/// Who is let in, and what they bring.
pub(super) fn admission(route: &Options) -> Vec<String> {
    let mut parts = Vec::new();
    if !route.allow.is_empty() {
        parts.push(format!("for {}", networks(&route.allow)));
    }
    if !route.deny.is_empty() {
        parts.push(format!("not for {}", networks(&route.deny)));
    }
    parts.extend(route.limit.as_ref().map(|limit| format!("limit {limit}")));
    parts.extend(route.auth.as_ref().map(|auth| format!("auth {auth}")));
    if route.forward_token.is_some() {
        parts.push("token passed on".to_owned());
    }
    parts
}

/// How many networks are named.
const NETWORKS: usize = 3;

fn networks(networks: &[ipnet::IpNet]) -> String {
    let named: Vec<String> = networks.iter().take(NETWORKS).map(ToString::to_string).collect();
    match networks.len().saturating_sub(NETWORKS) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// How a feed is split, and what serves in its sources' place.
pub(super) fn sharing(share: Share, fallback: Option<(&Fallback, String)>) -> String {
    let words: Vec<&str> = [(share.path, "path"), (share.query, "query"), (share.subject, "subject")]
        .into_iter()
        .filter_map(|(is_set, word)| is_set.then_some(word))
        .collect();
    let mut shown = String::new();
    if let Some((fallback, source)) = fallback {
        shown.push_str(&format!("; else {source} after {}", Shown(fallback.after)));
    }
    if !words.is_empty() {
        shown.push_str(&format!("; split by {}", words.join(", ")));
    }
    shown
}
