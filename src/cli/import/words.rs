//! The words of nginx's configuration language: quotes, escapes, comments.
//!
//! Owns: where a word begins and ends, and the line it stands on. Never: knows what a word means.

use std::iter::Peekable;
use std::str::Chars;

/// What the language is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Word(String),
    /// `;`
    End,
    /// `{`
    Open,
    /// `}`
    Close,
}

/// What is wrong with a text, on which of its lines, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flaw {
    pub line: usize,
    pub what: String,
    pub instead: String,
}

/// A text that is read word by word.
#[derive(Debug)]
pub(super) struct Words<'a> {
    rest: Peekable<Chars<'a>>,
    line: usize,
}

impl Flaw {
    pub(super) fn new(line: usize, what: impl Into<String>, instead: impl Into<String>) -> Flaw {
        Flaw { line, what: what.into(), instead: instead.into() }
    }
}

impl<'a> Words<'a> {
    pub(super) fn new(text: &'a str) -> Words<'a> {
        // Editors of another system leave a mark before the first word.
        Words { rest: text.strip_prefix('\u{feff}').unwrap_or(text).chars().peekable(), line: 1 }
    }

    /// The next token, and the line it starts on; `None` at the end.
    ///
    /// # Errors
    /// Where a quote is never closed, or is followed by anything but a space.
    pub(super) fn token(&mut self) -> Result<Option<(Token, usize)>, Flaw> {
        loop {
            let line = self.line;
            let Some(c) = self.bump() else { return Ok(None) };
            let token = match c {
                c if c.is_ascii_whitespace() => continue,
                '#' => {
                    while self.rest.next_if(|&c| c != '\n').is_some() {}
                    continue;
                }
                ';' => Token::End,
                '{' => Token::Open,
                '}' => Token::Close,
                '"' | '\'' => Token::Word(self.quoted(c, line)?),
                c => Token::Word(self.plain(c)),
            };
            return Ok(Some((token, line)));
        }
    }

    /// Passes over a block of another language up to the brace that closes it; `false` where none does.
    pub(super) fn skip_block(&mut self) -> bool {
        let mut open = 1_usize;
        while let Some(c) = self.bump() {
            match c {
                '{' => open += 1,
                '}' if open == 1 => return true,
                '}' => open -= 1,
                _ => {}
            }
        }
        false
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.rest.next()?;
        self.line += usize::from(c == '\n');
        Some(c)
    }

    fn quoted(&mut self, quote: char, line: usize) -> Result<String, Flaw> {
        let mut word = String::new();
        loop {
            match self.bump() {
                None => {
                    let instead = format!("close it with another {quote}");
                    return Err(Flaw::new(line, format!("the quote {quote} opened here is never closed"), instead));
                }
                Some('\\') => self.escape(&mut word),
                Some(c) if c == quote => break,
                Some(c) => word.push(c),
            }
        }
        match self.rest.peek() {
            Some(&c) if !c.is_ascii_whitespace() && !matches!(c, ';' | '{' | ')') => {
                let what = format!("`{}` stands right behind a closing quote", c.escape_default());
                Err(Flaw::new(self.line, what, "put a space or `;` between them"))
            }
            _ => Ok(word),
        }
    }

    fn plain(&mut self, first: char) -> String {
        let mut word = String::new();
        let mut last = first;
        if first == '\\' {
            self.escape(&mut word)
        } else {
            word.push(first)
        }
        // In `${name}` the brace opens no block.
        while let Some(c) = self.rest.next_if(|&c| !(c.is_ascii_whitespace() || c == ';' || (c == '{' && last != '$')))
        {
            last = c;
            if c == '\\' { self.escape(&mut word) } else { word.push(c) }
        }
        word
    }

    /// What a backslash and the character behind it stand for: a regex keeps its own.
    fn escape(&mut self, word: &mut String) {
        match self.bump() {
            Some(c @ ('"' | '\'' | '\\')) => word.push(c),
            Some('t') => word.push('\t'),
            Some('r') => word.push('\r'),
            Some('n') => word.push('\n'),
            Some(c) => word.extend(['\\', c]),
            None => word.push('\\'),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All tokens; words between `<` and `>`.
    #[track_caller]
    fn check(text: &str, expected: &str) {
        let mut words = Words::new(text);
        let mut shown = Vec::new();
        loop {
            shown.push(match words.token() {
                Ok(Some((Token::Word(word), line))) => format!("{line}<{word}>"),
                Ok(Some((token, line))) => format!("{line}{token:?}"),
                Ok(None) => break,
                Err(flaw) => {
                    shown.push(format!("{}: {}; {}", flaw.line, flaw.what, flaw.instead));
                    break;
                }
            });
        }
        assert_eq!(shown.join(" "), expected, "{text}");
    }

    #[test]
    fn words_end_at_spaces_semicolons_and_braces() {
        check("listen 80;", "1<listen> 1<80> 1End");
        check("a{b;}", "1<a> 1Open 1<b> 1End 1Close");
        check("a\n\tb # c;\n;", "1<a> 2<b> 3End");
        check("a#b;", "1<a#b> 1End");
        check("\u{feff}a;", "1<a> 1End");
    }

    #[test]
    fn quotes_keep_what_they_hold() {
        check("a \"b ;{}# c\" 'd\"e' '';", "1<a> 1<b ;{}# c> 1<d\"e> 1<> 1End");
        check("a \"b\nc\" d", "1<a> 1<b\nc> 2<d>");
        check("if ($a = \"b\") {", "1<if> 1<($a> 1<=> 1<b> 1<)> 1Open");
        check("a b\"c;", "1<a> 1<b\"c> 1End");
    }

    #[test]
    fn escapes_are_those_of_nginx() {
        check(r#"a "b\"c" 'd\'e' f\\g \.php$;"#, r#"1<a> 1<b"c> 1<d'e> 1<f\g> 1<\.php$> 1End"#);
        check(r"a b\ c\;d;", r"1<a> 1<b\ c\;d> 1End");
        check("a \"b\\n\";", "1<a> 1<b\n> 1End");
        check("a\\", "1<a\\>");
    }

    #[test]
    fn a_variable_in_braces_opens_no_block() {
        check("a ${b}/c ${d};", "1<a> 1<${b}/c> 1<${d}> 1End");
        check("a b{", "1<a> 1<b> 1Open");
    }

    #[test]
    fn quotes_that_are_wrong_are_told() {
        check("\n'a", "2: the quote ' opened here is never closed; close it with another '");
        check("\"a\"b", "1: `b` stands right behind a closing quote; put a space or `;` between them");
    }

    #[test]
    fn a_foreign_block_is_passed_over() {
        let mut words = Words::new(" if a then { b = '}' } } end } c;");
        assert!(words.skip_block());
        assert!(!Words::new("{ }").skip_block());
    }
}
