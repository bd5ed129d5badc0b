//! Whether a text would be taken for a value, for whoever writes a config rather than reads one.
//!
//! Owns: what is put in the place of variables, which are known only where the config is read.

use super::expand::expand_text;
use super::texts::HeaderText;
use super::urls::AuthUrl;
use super::values::FromText;
use crate::upstream::Server;

/// What a value is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One of an upstream's `servers`.
    Server,
    /// The URL of `auth_request`.
    AuthUrl,
    /// A header's value.
    HeaderText,
}

impl Form {
    /// Whether `text` would be taken, if what its variables stand for is right where they stand.
    #[must_use]
    pub fn takes(self, text: &str) -> bool {
        // A figure may stand in a host, a port and a path alike.
        let (filled, wrong) = expand_text(text, &|_| Some("1".to_owned()));
        let is_right = match self {
            Form::Server => Server::from_text(&filled).is_ok(),
            Form::AuthUrl => AuthUrl::from_text(&filled).is_ok(),
            Form::HeaderText => HeaderText::from_text(&filled).is_ok(),
        };
        wrong.is_empty() && is_right
    }
}

#[cfg(test)]
mod tests {
    use super::Form;

    #[track_caller]
    fn check(form: Form, text: &str, expected: bool) {
        assert_eq!(form.takes(text), expected, "{form:?} {text}");
    }

    #[test]
    fn a_text_is_taken_as_the_config_takes_it_whatever_its_variables_are() {
        check(Form::Server, "http://app:8000", true);
        check(Form::Server, "http://${HOST}:${PORT}", true);
        check(Form::Server, "http://${HOST:-app}", true);
        check(Form::Server, "http://app\\:8000", false);
        check(Form::Server, "http://${a b}", false);
        check(Form::Server, "http://${HOST", false);
        check(Form::Server, "http://$host", false);
        check(Form::AuthUrl, "http://app/auth?${QUERY}", true);
        check(Form::AuthUrl, "http://app/auth#a", false);
        check(Form::HeaderText, "no-store", true);
        check(Form::HeaderText, " no-store", false);
        check(Form::HeaderText, "a\u{7}", false);
    }
}
