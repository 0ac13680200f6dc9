//! Canonical JSON (OLPC form): the bytes that a TUF signature covers.
//!
//! ```text
//! {"a":1,"b":["x","y\"z"]}     members sorted by name, no spaces, integers only,
//!                              strings raw except for \" and \\
//! ```
//!
//! Implementations disagree outside a small core: floats, integers beyond 2^53, text that Unicode
//! normalisation would change. This encoder refuses everything outside that core instead of
//! choosing a side.

use serde_json::Value;

/// Largest integer that every JSON reader keeps exact: 2^53 − 1.
pub const MAX_INTEGER: u64 = (1 << 53) - 1;

/// Deepest nesting that is encoded; TUF metadata needs five levels.
const MAX_DEPTH: usize = 16;

/// Why a value has no canonical form that all clients agree on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CanonicalError {
    /// A number that is negative, not an integer, or too large.
    #[error("the number {0} is not an integer from 0 to 2^53-1")]
    Number(String),
    /// A string with something else than printable ASCII and line feeds.
    #[error("the text {0:?} is not printable ASCII")]
    Text(String),
    /// `null`, which some clients drop before they check the signature.
    #[error("null is not allowed: leave the member out")]
    Null,
    /// Nested too deeply.
    #[error("nested more than {MAX_DEPTH} levels deep")]
    Depth,
}

/// The canonical form of `value`.
pub fn encode(value: &Value) -> Result<Vec<u8>, CanonicalError> {
    let mut out = Vec::new();
    write(value, MAX_DEPTH, &mut out)?;
    Ok(out)
}

fn write(value: &Value, depth: usize, out: &mut Vec<u8>) -> Result<(), CanonicalError> {
    let depth = depth.checked_sub(1).ok_or(CanonicalError::Depth)?;
    match value {
        Value::Null => return Err(CanonicalError::Null),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => match number.as_u64() {
            Some(integer) if integer <= MAX_INTEGER => {
                out.extend_from_slice(integer.to_string().as_bytes())
            }
            _ => return Err(CanonicalError::Number(number.to_string())),
        },
        Value::String(text) => write_string(text, out)?,
        Value::Array(items) => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write(item, depth, out)?;
            }
            out.push(b']');
        }
        Value::Object(members) => {
            // The map may keep insertion order, depending on features of the build.
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            out.push(b'{');
            for (i, (name, member)) in members.into_iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_string(name, out)?;
                out.push(b':');
                write(member, depth, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

fn write_string(text: &str, out: &mut Vec<u8>) -> Result<(), CanonicalError> {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            // A line feed stays raw: keys are PEM texts.
            b' '..=b'~' | b'\n' => out.push(byte),
            _ => return Err(CanonicalError::Text(text.to_owned())),
        }
    }
    out.push(b'"');
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn text(value: &Value) -> String {
        String::from_utf8(encode(value).unwrap()).unwrap()
    }

    #[test]
    fn members_are_sorted_and_only_quotes_and_backslashes_are_escaped() {
        let value = json!({"b": [1, true, "x\ny"], "a": {"\"": "\\"}, "B": {}});
        assert_eq!(
            text(&value),
            "{\"B\":{},\"a\":{\"\\\"\":\"\\\\\"},\"b\":[1,true,\"x\ny\"]}"
        );
    }

    #[test]
    fn values_that_clients_disagree_about_are_refused() {
        for (value, says) in [
            (json!(1.0), "integer"),
            (json!(-1), "integer"),
            (json!(MAX_INTEGER + 1), "integer"),
            (json!({"a": null}), "null"),
            (json!("e\u{301}"), "ASCII"),
            (json!("tab\t"), "ASCII"),
        ] {
            let error = encode(&value).unwrap_err().to_string();
            assert!(error.contains(says), "{value}: {error}");
        }
        assert_eq!(text(&json!(MAX_INTEGER)), "9007199254740991");
    }

    #[test]
    fn depth_is_bounded() {
        let nested = (0..MAX_DEPTH).fold(json!(1), |inner, _| json!([inner]));
        assert_eq!(encode(&nested), Err(CanonicalError::Depth));
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            (0..=MAX_INTEGER).prop_map(Value::from),
            "[ -~]{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 48, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map("[ -~]{0,6}", inner, 0..6)
                    .prop_map(|members| members.into_iter().collect::<Value>()),
            ]
        })
    }

    proptest! {
        /// Without line feeds the canonical form is itself JSON, so a JSON reader is the oracle.
        #[test]
        fn canonical_form_reads_back_as_the_same_value(value in values()) {
            let bytes = encode(&value).unwrap();
            prop_assert_eq!(&serde_json::from_slice::<Value>(&bytes).unwrap(), &value);
        }

        #[test]
        fn different_values_have_different_forms(a in values(), b in values()) {
            prop_assert_eq!(a == b, encode(&a).unwrap() == encode(&b).unwrap());
        }

        #[test]
        fn anything_beyond_ascii_is_refused(text in "[ -~]{0,4}[^ -~\n][ -~]{0,4}") {
            prop_assert!(encode(&Value::from(text)).is_err());
        }
    }
}
