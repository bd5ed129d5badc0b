//! `return`, and the forms of `rewrite` and `if` that lead to another URL or to https.
//!
//! Owns: nginx's variables as the placeholders of `redirect`.

use super::model::{Action, Redirected};
use super::scope::Scope;
use super::syntax::Directive;
use super::values::{Part, constant, parts, settled};

/// What a server is that a redirect stands in.
#[derive(Debug, Clone, Default)]
pub(super) struct Around {
    /// The first of its names.
    pub name: Option<String>,
    /// What it is asked with; `None` where it may be either.
    pub scheme: Option<&'static str>,
}

/// Where to, as `redirect` writes it; `None` where a variable has no counterpart.
fn location(parts: &[Part], around: &Around) -> Option<String> {
    let mut to = String::new();
    let mut rest = parts;
    while let [part, after @ ..] = rest {
        rest = after;
        match part {
            Part::Text(text) => to.push_str(text),
            Part::Variable(name) => match name.as_str() {
                "host" | "http_host" => to.push_str("{host}"),
                "server_name" => to.push_str(around.name.as_deref().unwrap_or("{host}")),
                "request_uri" => to.push_str("{uri}"),
                "uri" | "document_uri" => to.push_str("{path}"),
                "scheme" => to.push_str(around.scheme?),
                "is_args" => {
                    rest = match rest {
                        [Part::Variable(args), after @ ..] if matches!(args.as_str(), "args" | "query_string") => after,
                        _ => return None,
                    };
                    to.push_str("{query}");
                }
                // `?` is part of our `{query}`.
                "args" | "query_string" if to.ends_with('?') => {
                    to.pop();
                    to.push_str("{query}");
                }
                _ => return None,
            },
        }
    }
    let to = to.replace("{path}{query}", "{uri}");
    leads(&to).then_some(to)
}

/// Whether `redirect` takes it: a path or a URL, with no braces but its own and those of the environment.
fn leads(to: &str) -> bool {
    let bare = parts(to).into_iter().try_fold(String::new(), |whole, part| match part {
        Part::Text(text) => Some(whole + &text),
        Part::Variable(_) => None,
    });
    let Some(mut bare) = bare else { return false };
    for name in ["{host}", "{path}", "{query}", "{uri}"] {
        bare = bare.replace(name, "x");
    }
    while let Some((before, after)) = bare.split_once("${") {
        bare = format!("{before}{}", after.split_once('}').map_or("", |(_, after)| after));
    }
    let starts = match to.split_once("://") {
        Some((scheme, rest)) => {
            matches!(scheme, "http" | "https")
                && !rest.is_empty()
                && !rest.starts_with(['/', '?', '#'])
                && !rest.starts_with("{uri}")
                && !rest.starts_with("{path}")
        }
        None => {
            let inside = to.strip_prefix('/').is_some_and(|rest| {
                !rest.starts_with(['/', '\\']) && !rest.starts_with("{uri}") && !rest.starts_with("{path}")
            });
            inside || to.starts_with("{uri}") || to.starts_with("{path}")
        }
    };
    starts && !bare.contains(['{', '}']) && bare.chars().all(|c| c.is_ascii_graphic())
}

/// What `return` comes to; `None` where it has no counterpart.
pub(super) fn returned(directive: &Directive, scope: &Scope<'_>, around: &Around) -> Option<Action> {
    let (code, text) = match directive.args.as_slice() {
        [url] if url.parse::<u16>().is_err() => ("302", Some(url)),
        [code] => (code.as_str(), None),
        [code, text] => (code.as_str(), Some(text)),
        _ => return None,
    };
    match (code.parse().ok()?, text) {
        (status @ (301 | 302 | 303 | 307 | 308), Some(text)) => {
            Some(Action::Redirect { to: location(&settled(text, scope), around)?, status })
        }
        // It closes the connection unanswered; we answer what no route takes with 404.
        (444, None) => Some(Action::Respond { status: 404, body: String::new(), type_: None }),
        (status @ 200..=599, text) => {
            let body = text.map_or(Some(String::new()), |text| constant(text, scope))?;
            let has_body = !matches!(status, 204 | 205 | 304);
            let type_ = content_type(scope).filter(|_| has_body && !body.is_empty());
            Some(Action::Respond { status, body: if has_body { body } else { String::new() }, type_ })
        }
        _ => None,
    }
}

/// The media type that the site, rather than the whole process, gives to texts.
fn content_type(scope: &Scope<'_>) -> Option<String> {
    let header = scope.nearest("add_header").into_iter().find(|d| d.arg(0).eq_ignore_ascii_case("content-type"));
    let default = || scope.own_named("default_type").last();
    header
        .map(|d| d.arg(1))
        .or_else(|| default().map(|d| d.arg(0)))
        .filter(|type_| is_media_type(type_))
        .map(str::to_owned)
}

fn is_media_type(text: &str) -> bool {
    let is_word =
        |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-._".contains(&b));
    let (kind, rest) = text.split_once(';').unwrap_or((text, ""));
    kind.split_once('/').is_some_and(|(kind, sub)| is_word(kind) && is_word(sub))
        && rest.bytes().all(|b| (0x20..0x7f).contains(&b) && b != b'$')
}

/// What a `rewrite` that leads elsewhere comes to: `rewrite ^ https://$host$request_uri? permanent` and its like.
pub(super) fn rewritten(directive: &Directive, scope: &Scope<'_>, around: &Around) -> Option<Action> {
    let [regex, to, flags @ ..] = directive.args.as_slice() else { return None };
    let status = match flags {
        [flag] if flag == "permanent" => 301,
        [flag] if flag == "redirect" => 302,
        [] if to.starts_with("http") || to.starts_with("$scheme") => 302,
        _ => return None,
    };
    let whole = ["^", "^(.*)$", "^(.*)", "^/(.*)$", "^/(.*)", "^.*$", ".*", "^/", "(.*)"];
    if !whole.contains(&regex.as_str()) {
        return None;
    }
    let (to, keeps_query) = match to.strip_suffix('?') {
        Some(to) => (to, false),
        None => (to.as_str(), true),
    };
    let captured = if regex.starts_with("^/(") { "/$1" } else { "$1" };
    let to = match to.strip_suffix(captured) {
        Some(to) if keeps_query => format!("{to}$request_uri"),
        Some(to) => format!("{to}$uri"),
        None => to.to_owned(),
    };
    Some(Action::Redirect { to: location(&settled(&to, scope), around)?, status })
}

/// Whether an action sends to the same path over https, and where.
pub(super) fn to_https(action: &Action) -> Option<Redirected> {
    let Action::Redirect { to, .. } = action else { return None };
    let host = to.strip_prefix("https://")?.strip_suffix("{uri}")?;
    let host = host.strip_suffix(":443").unwrap_or(host);
    match host {
        "{host}" => Some(Redirected::SameHost),
        host if host.contains(['/', '{']) || host.is_empty() => None,
        host => Some(Redirected::To(format!("https://{host}"))),
    }
}

/// What an `if` asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Condition {
    /// Whether the request came without TLS.
    Plain,
    /// Whether it is for this host.
    Host(String),
    Other,
}

pub(super) fn condition(directive: &Directive) -> Condition {
    let text = directive.args.join(" ");
    let Some(inside) = text.trim().strip_prefix('(').and_then(|text| text.strip_suffix(')')) else {
        return Condition::Other;
    };
    let words: Vec<&str> = inside.split_whitespace().collect();
    match words.as_slice() {
        ["$scheme", "=", "http"] | ["$scheme", "!=", "https"] | ["$https", "=", ""] | ["$https", "!=", "on"] => {
            Condition::Plain
        }
        ["$https", "="] => Condition::Plain,
        ["$server_port", "=", "80"] | ["$server_port", "!=", "443"] => Condition::Plain,
        ["$host" | "$http_host", "=", host] => Condition::Host((*host).to_owned()),
        _ => Condition::Other,
    }
}

/// What an `if` does, where it does one thing.
pub(super) fn only_action(directive: &Directive, scope: &Scope<'_>, around: &Around) -> Option<Action> {
    let inside = scope.with(directive.inside());
    match directive.inside() {
        [only] if only.name == "return" => returned(only, &inside, around),
        [only] if only.name == "rewrite" => rewritten(only, &inside, around),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::import::testing::directive;

    fn shown(action: Option<Action>) -> String {
        match action {
            Some(Action::Redirect { to, status }) => format!("{status} {to}"),
            Some(Action::Respond { status, body, .. }) => format!("{status} {body:?}"),
            Some(Action::Proxy(_) | Action::Files { .. }) => panic!("no return does this"),
            None => "-".to_owned(),
        }
    }

    #[track_caller]
    fn check_return(args: &[&str], expected: &str) {
        let around = Around { name: Some("a.example".to_owned()), scheme: Some("https") };
        assert_eq!(shown(returned(&directive("return", args), &Scope::default(), &around)), expected, "{args:?}");
    }

    #[track_caller]
    fn check_rewrite(args: &[&str], expected: &str) {
        let action = rewritten(&directive("rewrite", args), &Scope::default(), &Around::default());
        assert_eq!(shown(action), expected, "{args:?}");
    }

    #[test]
    fn returns_become_redirects_and_answers() {
        check_return(&["301", "https://$host$request_uri"], "301 https://{host}{uri}");
        check_return(&["301", "https://$server_name$uri$is_args$args"], "301 https://a.example{uri}");
        check_return(&["308", "$scheme://b.example/x?$args"], "308 https://b.example/x{query}");
        check_return(&["https://b.example/"], "302 https://b.example/");
        check_return(&["200", "ok\n"], "200 \"ok\\n\"");
        check_return(&["204", "x"], "204 \"\"");
        check_return(&["404"], "404 \"\"");
        check_return(&["444"], "404 \"\"");
        check_return(&["200", "$remote_addr"], "-");
        check_return(&["301", "https://$1.example"], "-");
        check_return(&["100"], "-");
        check_return(&[], "-");
    }

    #[test]
    fn rewrites_of_every_path_become_redirects() {
        check_rewrite(&["^", "https://$host$request_uri?", "permanent"], "301 https://{host}{uri}");
        check_rewrite(&["^(.*)$", "https://$host$1", "permanent"], "301 https://{host}{uri}");
        check_rewrite(&["^/(.*)$", "https://b.example/$1", "redirect"], "302 https://b.example{uri}");
        check_rewrite(&["^/old$", "/new", "permanent"], "-");
        check_rewrite(&["^/api/(.*)$", "/$1", "break"], "-");
        check_rewrite(&[], "-");
    }

    #[test]
    fn conditions_on_tls_and_host_are_known() {
        let of = |args: &[&str]| condition(&directive("if", args));
        assert_eq!(of(&["($scheme", "=", "http)"]), Condition::Plain);
        assert_eq!(of(&["($scheme", "!=", "https", ")"]), Condition::Plain);
        assert_eq!(of(&["($host", "=", "a.example)"]), Condition::Host("a.example".to_owned()));
        assert_eq!(of(&["($bad)"]), Condition::Other);
        assert_eq!(of(&[]), Condition::Other);
    }

    #[test]
    fn https_to_the_same_path_is_seen() {
        let to = |to: &str| to_https(&Action::Redirect { to: to.to_owned(), status: 301 });
        assert_eq!(to("https://{host}{uri}"), Some(Redirected::SameHost));
        assert_eq!(to("https://a.example{uri}"), Some(Redirected::To("https://a.example".to_owned())));
        assert_eq!(to("https://a.example:8443{uri}"), Some(Redirected::To("https://a.example:8443".to_owned())));
        assert_eq!(to("https://a.example/x{uri}"), None);
        assert_eq!(to("http://a.example{uri}"), None);
        assert_eq!(to("https://{uri}"), None);
    }
}
