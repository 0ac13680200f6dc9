//! Wildcard issuers: `*` stands for one or more of `[-_a-zA-Z0-9]`, so never for a dot, a slash
//! or anything else that could move the host.

use std::collections::HashSet;

/// A pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Exactly(char),
    /// One of the class.
    One,
    /// Any number of the class.
    Any,
}

fn in_class(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_')
}

impl Step {
    fn accepts(self, character: char) -> bool {
        match self {
            Self::Exactly(exact) => exact == character,
            Self::One | Self::Any => in_class(character),
        }
    }

    fn shares_a_character_with(self, other: Self) -> bool {
        match (self, other) {
            (Self::Exactly(character), step) | (step, Self::Exactly(character)) => {
                step.accepts(character)
            }
            _ => true,
        }
    }
}

impl Pattern {
    pub(crate) fn new(text: &str) -> Self {
        let mut steps = Vec::new();
        for character in text.chars() {
            match character {
                '*' => steps.extend([Step::One, Step::Any]),
                _ => steps.push(Step::Exactly(character)),
            }
        }
        Self { steps }
    }

    /// Whether the whole of `text` matches. Time is the product of the lengths at most.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let mut at: HashSet<usize> = self.closure(0).collect();
        for character in text.chars() {
            let mut next = HashSet::new();
            for position in at {
                match self.steps.get(position) {
                    Some(step) if step.accepts(character) => {
                        let after = if *step == Step::Any {
                            position
                        } else {
                            position + 1
                        };
                        next.extend(self.closure(after));
                    }
                    _ => {}
                }
            }
            if next.is_empty() {
                return false;
            }
            at = next;
        }
        at.contains(&self.steps.len())
    }

    /// `position`, and those after it that are reached without a character.
    fn closure(&self, position: usize) -> impl Iterator<Item = usize> {
        let skipped = self
            .steps
            .iter()
            .skip(position)
            .take_while(|step| **step == Step::Any)
            .count();
        position..=position + skipped
    }

    /// Whether some text matches both patterns.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let mut seen = HashSet::new();
        let mut open = vec![(0, 0)];
        while let Some((left, right)) = open.pop() {
            if !seen.insert((left, right)) {
                continue;
            }
            let (l, r) = (
                self.steps.get(left).copied(),
                other.steps.get(right).copied(),
            );
            if l.is_none() && r.is_none() {
                return true;
            }
            if l == Some(Step::Any) {
                open.push((left + 1, right));
            }
            if r == Some(Step::Any) {
                open.push((left, right + 1));
            }
            if let (Some(l), Some(r)) = (l, r)
                && l.shares_a_character_with(r)
            {
                let next = |step, position| {
                    if step == Step::Any {
                        position
                    } else {
                        position + 1
                    }
                };
                open.push((next(l, left), next(r, right)));
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_a_name_and_nothing_else() {
        let pattern = Pattern::new("https://oidc.eks.*.example/id/*");
        assert!(pattern.matches("https://oidc.eks.eu-west_1.example/id/ABC0"));
        for bad in [
            "https://oidc.eks..example/id/A",
            "https://oidc.eks.a.b.example/id/A",
            "https://oidc.eks.a.example/id/A/b",
            "https://oidc.eks.a.example/id/",
            "https://oidc.eks.a.example/id/A\n",
            "http://evil?x=https://oidc.eks.a.example/id/A",
            "https://oidc.eks.a.example/id/A?x",
            "https://oidcXeks.a.example/id/A",
            "",
        ] {
            assert!(!pattern.matches(bad), "{bad}");
        }
    }

    #[test]
    fn overlap_is_found_exactly() {
        let overlap = |a, b| Pattern::new(a).overlaps(&Pattern::new(b));
        assert!(overlap("https://a.*.x", "https://*.b.x"));
        assert!(overlap("https://*.x", "https://*.x"));
        assert!(overlap("https://a*.x", "https://*b.x"));
        assert!(!overlap("https://a.*.x", "https://b.*.x"));
        assert!(!overlap("https://*.x", "https://*.*.x"));
        assert!(!overlap("https://*.x/", "https://*.x"));
    }

    proptest::proptest! {
        #[test]
        fn patterns_match_what_the_regular_expression_matches(
            pattern in "[ab.*/]{0,8}",
            text in "[abc./\n]{0,8}",
        ) {
            let expression = regex::escape(&pattern).replace(r"\*", "[-_a-zA-Z0-9]+");
            let expression = regex::Regex::new(&format!("^(?:{expression})$")).unwrap();
            proptest::prop_assert_eq!(Pattern::new(&pattern).matches(&text), expression.is_match(&text));
        }

        #[test]
        fn patterns_that_match_one_text_overlap(
            left in "[ab*]{1,6}",
            right in "[ab*]{1,6}",
            text in "[ab]{1,6}",
        ) {
            let (left, right) = (Pattern::new(&left), Pattern::new(&right));
            if left.matches(&text) && right.matches(&text) {
                proptest::prop_assert!(left.overlaps(&right) && right.overlaps(&left));
            }
        }
    }
}
