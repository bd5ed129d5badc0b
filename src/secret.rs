//! A secret from the config: a token or a key's password.
//!
//! Never: printed. `Debug` gives `***`; there is no `Display` and no `Serialize`, so a log line or an API cannot
//! show one by accident.

use std::fmt;

/// Text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    #[must_use]
    pub fn new(text: String) -> Secret {
        Secret(text)
    }

    /// The text itself, for the one place that needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Compares without telling by its timing how much of `candidate` was right.
    #[must_use]
    pub fn matches(&self, candidate: &str) -> bool {
        let (ours, theirs) = (self.0.as_bytes(), candidate.as_bytes());
        let differing = ours.iter().zip(theirs).fold(0u8, |sum, (a, b)| sum | (a ^ b));
        ours.len() == theirs.len() && std::hint::black_box(differing) == 0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn debug_never_shows_the_text() {
        assert_eq!(format!("{:?}", Secret::new("hunter2".to_owned())), "***");
    }

    #[test]
    fn matches_only_the_whole_text() {
        let secret = Secret::new("abc".to_owned());
        assert!(secret.matches("abc"));
        for wrong in ["", "ab", "abcd", "abd"] {
            assert!(!secret.matches(wrong), "{wrong}");
        }
    }
}
