//! Paths to claims inside of claims.

use crate::{Claims, TokenError};

/// Where in a token a value is: a JSONPath of member names, `$.federated_claims.connector_id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimPath(Vec<String>);

impl ClaimPath {
    /// Parses a path.
    pub fn parse(text: &str) -> Result<Self, String> {
        let refused =
            || format!("{text:?}: only paths like `$.a.b` or `$['a']['b']` are supported");
        let mut rest = text.strip_prefix('$').ok_or_else(refused)?;
        let mut names = Vec::new();
        while !rest.is_empty() {
            let (name, next) = if let Some(quoted) = rest.strip_prefix("['") {
                quoted.split_once("']").ok_or_else(refused)?
            } else {
                let dotted = rest.strip_prefix('.').ok_or_else(refused)?;
                dotted.split_at(dotted.find(['.', '[']).unwrap_or(dotted.len()))
            };
            if name.is_empty() || name.contains(['*', '?', '\'', '@', '(']) {
                return Err(refused());
            }
            names.push(name.to_owned());
            rest = next;
        }
        if names.is_empty() {
            Err(refused())
        } else {
            Ok(Self(names))
        }
    }

    /// The value there.
    pub fn value<'a>(&self, claims: &'a Claims) -> Option<&'a serde_json::Value> {
        let (first, rest) = self.0.split_first()?;
        rest.iter()
            .try_fold(claims.get(first)?, |value, name| value.get(name))
    }

    /// The string there; it must not be empty.
    pub fn text<'a>(&self, claims: &'a Claims) -> Result<&'a str, TokenError> {
        self.value(claims)
            .and_then(serde_json::Value::as_str)
            .filter(|text| !text.is_empty())
            .ok_or_else(|| TokenError::Claim {
                name: "issuer-claim",
                reason: format!("is not a string at {}", self.0.join(".")),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_of_names_only() {
        let claims =
            Claims::new(serde_json::from_str(r#"{"a":{"b.c":"x"},"d":"y","e":""}"#).unwrap());
        assert_eq!(
            ClaimPath::parse("$.a['b.c']")
                .unwrap()
                .text(&claims)
                .unwrap(),
            "x"
        );
        assert_eq!(ClaimPath::parse("$.d").unwrap().text(&claims).unwrap(), "y");
        for missing in ["$.d.e", "$.gone", "$.a", "$.e"] {
            assert!(
                ClaimPath::parse(missing).unwrap().text(&claims).is_err(),
                "{missing}"
            );
        }
        for bad in ["", "$", "$.", "a", "$.a[*]", "$..a", "$.a[?(@.b)]", "$['a'"] {
            assert!(ClaimPath::parse(bad).is_err(), "{bad}");
        }
    }
}
