//! What a rule asks of a token's claims.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::{ClaimPath, Claims, Patterns, scalar, shown};

/// Patterns by claim: a claim's name, or a path to one inside of others (`$.a.b`). One of the
/// patterns must match the claim, or one element of it if it is a list; and so for every claim.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Conditions(BTreeMap<String, Patterns>);

impl Conditions {
    /// Whether nothing is asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks that paths and patterns can match anything.
    pub fn check(&self) -> Result<(), String> {
        for (claim, patterns) in &self.0 {
            if claim.starts_with('$') {
                ClaimPath::parse(claim)?;
            }
            patterns
                .check()
                .map_err(|reason| format!("claim {claim:?}: {reason}"))?;
        }
        Ok(())
    }

    /// Whether the claims are as asked for; if not, what is missing, for the token's bearer.
    pub fn hold(&self, claims: &Claims) -> Result<(), String> {
        for (name, patterns) in &self.0 {
            let value = if name.starts_with('$') {
                ClaimPath::parse(name)?.value(claims)
            } else {
                claims.get(name)
            };
            let value = value.ok_or_else(|| format!("requires the claim {name:?}"))?;
            let holds = match value {
                Value::Array(items) => items
                    .iter()
                    .filter_map(scalar)
                    .any(|item| patterns.matches(&item)),
                value => scalar(value).is_some_and(|value| patterns.matches(&value)),
            };
            if !holds {
                return Err(format!(
                    "requires claim {name:?} to match {patterns}, and it is {}",
                    shown(value)
                ));
            }
        }
        Ok(())
    }
}
