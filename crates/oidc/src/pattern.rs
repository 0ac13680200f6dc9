//! Patterns over texts: `*` stands for any run of characters without a slash, `**` for any run,
//! everything else for itself.
//!
//! `*` stops at slashes so that `corp/*` allows the repositories of `corp` and not
//! `corp/../other`, and `refs/heads/*` no branch that pretends to be deeper.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};

/// Longest text that can match, in characters.
const MAX_TEXT: usize = 4096;
/// Longest pattern, in bytes.
const MAX_PATTERN: usize = 1024;

/// Patterns, one of which must match. In the file: a string or a list of strings; numbers and
/// booleans stand for their text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patterns(Vec<String>);

#[derive(Clone, Copy)]
enum Step {
    Exactly(char),
    Segment,
    Anything,
}

impl Patterns {
    /// Whether a pattern matches the whole of `text`.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.0.iter().any(|pattern| matches(pattern, text))
    }

    /// Checks that there is a pattern, and none that is too long.
    pub fn check(&self) -> Result<(), String> {
        if self.0.is_empty() {
            return Err("no pattern, so no token could match".to_owned());
        }
        match self.0.iter().find(|pattern| pattern.len() > MAX_PATTERN) {
            Some(_) => Err(format!("a pattern is longer than {MAX_PATTERN} bytes")),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Patterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 4;
        for (index, pattern) in self.0.iter().take(SHOWN).enumerate() {
            let separator = if index == 0 { "" } else { " or " };
            write!(f, "{separator}{pattern:?}")?;
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, " or {more} others"),
        }
    }
}

/// Every position in the pattern that the text so far can have reached; never more work than the
/// product of the lengths.
fn matches(pattern: &str, text: &str) -> bool {
    let steps = steps(pattern);
    let mut at = vec![false; steps.len() + 1];
    if let Some(start) = at.first_mut() {
        *start = true;
    }
    skip(&steps, &mut at);
    for (count, character) in text.chars().enumerate() {
        if count == MAX_TEXT {
            return false;
        }
        let mut next = vec![false; at.len()];
        for (position, step) in steps.iter().enumerate() {
            if !at.get(position).is_some_and(|reached| *reached) {
                continue;
            }
            let to = match step {
                Step::Exactly(wanted) if *wanted == character => position + 1,
                Step::Segment if character != '/' => position,
                Step::Anything => position,
                _ => continue,
            };
            if let Some(reached) = next.get_mut(to) {
                *reached = true;
            }
        }
        skip(&steps, &mut next);
        at = next;
    }
    at.last().is_some_and(|reached| *reached)
}

/// Wildcards may stand for nothing.
fn skip(steps: &[Step], at: &mut [bool]) {
    for (position, step) in steps.iter().enumerate() {
        let reached = at.get(position).is_some_and(|reached| *reached);
        if reached
            && !matches!(step, Step::Exactly(_))
            && let Some(next) = at.get_mut(position + 1)
        {
            *next = true;
        }
    }
}

fn steps(pattern: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut characters = pattern.chars().peekable();
    while let Some(character) = characters.next() {
        steps.push(match character {
            '*' if characters.next_if_eq(&'*').is_some() => Step::Anything,
            '*' => Step::Segment,
            other => Step::Exactly(other),
        });
    }
    steps
}

impl<'de> Deserialize<'de> for Patterns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;

        impl<'de> Visitor<'de> for OneOrMany {
            type Value = Patterns;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a pattern or a list of patterns")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Patterns, E> {
                Ok(Patterns(vec![text.to_owned()]))
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Patterns, E> {
                Ok(Patterns(vec![value.to_string()]))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Patterns, E> {
                Ok(Patterns(vec![value.to_string()]))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Patterns, E> {
                Ok(Patterns(vec![value.to_string()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Patterns, A::Error> {
                let mut patterns = Vec::new();
                while let Some(Patterns(one)) = items.next_element()? {
                    patterns.extend(one);
                }
                Ok(Patterns(patterns))
            }
        }

        deserializer.deserialize_any(OneOrMany)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_star_stays_within_a_segment_and_two_do_not() {
        for (pattern, good, bad) in [
            ("corp/*", "corp/app", "corp/a/b"),
            ("corp/*", "corp/", "corporate/app"),
            ("corp/**", "corp/a/b", "other/corp/a"),
            ("refs/tags/v*.*", "refs/tags/v1.2", "refs/tags/1.2"),
            (
                "**/release.yml@*",
                "o/r/release.yml@main",
                "o/r/release.yml",
            ),
            ("", "", "x"),
            ("a", "a", "A"),
            ("***", "a/b", "\u{0}".repeat(MAX_TEXT + 1).as_str()),
        ] {
            assert!(matches(pattern, good), "{pattern} {good}");
            assert!(!matches(pattern, bad), "{pattern} {bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn patterns_match_what_the_regular_expression_matches(
            pattern in "[ab*/.]{0,8}",
            text in "[ab/.]{0,10}",
        ) {
            let expression = regex::escape(&pattern)
                .replace(r"\*\*", "(?s:.*)")
                .replace(r"\*", "[^/]*");
            let expression = regex::Regex::new(&format!("^(?:{expression})$")).unwrap();
            proptest::prop_assert_eq!(matches(&pattern, &text), expression.is_match(&text));
        }
    }
}
