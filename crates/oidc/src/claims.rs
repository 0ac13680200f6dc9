//! Claims of a token.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::TokenError;

/// Longest text of a claim that is shown, in characters.
const MAX_SHOWN: usize = 200;

/// The claims of a token, verified or not: which one is known by where it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims(Map<String, Value>);

impl Claims {
    /// Claims from the JSON object of a token's payload.
    #[must_use]
    pub const fn new(claims: Map<String, Value>) -> Self {
        Self(claims)
    }

    /// A claim; `null` counts as absent.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// The same claims with one replaced, or removed.
    #[must_use]
    pub fn with(&self, name: &str, value: Option<Value>) -> Self {
        let mut claims = self.0.clone();
        match value {
            Some(value) => drop(claims.insert(name.to_owned(), value)),
            None => drop(claims.remove(name)),
        }
        Self(claims)
    }

    /// Claims by name, in the order of the token.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// A claim that is a string.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }

    /// The subject: a string that is not empty.
    pub fn subject(&self) -> Result<&str, TokenError> {
        self.required("sub")
    }

    /// A claim that must be a string that is not empty.
    pub fn required(&self, name: &'static str) -> Result<&str, TokenError> {
        self.text(name)
            .filter(|text| !text.is_empty())
            .ok_or(TokenError::Claim {
                name,
                reason: "is missing, empty or not a string".to_owned(),
            })
    }

    /// Every scalar claim as templates see it: whole numbers without exponent, booleans as words.
    ///
    /// Arrays, objects and `null` are left out, so that a template that wants one fails.
    pub fn scalars(&self) -> BTreeMap<String, String> {
        self.0
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), scalar(value)?)))
            .collect()
    }
}

/// Prints a scalar.
pub fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(number) => Some(match number.as_f64() {
            // Rust prints floats without an exponent, and whole ones without a point.
            Some(float) if !number.is_i64() && !number.is_u64() => format!("{float}"),
            _ => number.to_string(),
        }),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A claim's value for people: its JSON, cut where it is long.
#[must_use]
pub fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_are_printed_without_exponents_and_the_rest_is_left_out() {
        let claims = Claims::new(
            serde_json::from_str(
                r#"{"n":12345678901234,"f":1e15,"b":true,"s":"&<\"","z":null,"a":[1],"o":{}}"#,
            )
            .unwrap(),
        );
        let scalars = claims.scalars();
        assert_eq!(scalars["n"], "12345678901234");
        assert_eq!(scalars["f"], "1000000000000000");
        assert_eq!(scalars["b"], "true");
        assert_eq!(scalars["s"], "&<\"");
        assert_eq!(scalars.len(), 4);
    }
}
