//! YAML 1.2 of a JSON value, in one spelling.
//!
//! Block style; members in the order they were inserted in sorted maps; strings in double quotes
//! unless they are plain words; strings of several lines as literal blocks.

use serde_json::Value;

/// Prints one document.
pub(super) fn print(value: &Value) -> String {
    let mut out = String::new();
    node(value, 0, &mut out);
    out
}

fn node(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, member) in members {
                pad(indent, out);
                out.push_str(&scalar(name));
                out.push(':');
                child(member, indent, out);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                pad(indent, out);
                out.push('-');
                match item {
                    Value::Object(members) if !members.is_empty() => {
                        let mut inner = String::new();
                        node(item, indent + 2, &mut inner);
                        out.push(' ');
                        out.push_str(inner.trim_start());
                    }
                    other => child(other, indent, out),
                }
            }
        }
        other => {
            pad(indent, out);
            out.push_str(&leaf(other));
            out.push('\n');
        }
    }
}

fn child(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            out.push('\n');
            node(value, indent + 2, out);
        }
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            node(value, indent + 2, out);
        }
        Value::String(text) if is_block(text) => {
            out.push_str(" |\n");
            for line in text.lines() {
                if !line.is_empty() {
                    pad(indent + 2, out);
                    out.push_str(line);
                }
                out.push('\n');
            }
        }
        other => {
            out.push(' ');
            out.push_str(&leaf(other));
            out.push('\n');
        }
    }
}

fn pad(indent: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', indent));
}

/// Several lines of plain text that ends in one line feed.
fn is_block(text: &str) -> bool {
    let plain = |b: u8| b == b'\n' || (b' '..=b'~').contains(&b);
    text.trim_end_matches('\n').contains('\n')
        && text.ends_with('\n')
        && !text.ends_with("\n\n")
        && !text.starts_with([' ', '\n'])
        && text.bytes().all(plain)
}

fn leaf(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        // Empty collections, numbers, true, false and null are the same in both.
        other => other.to_string(),
    }
}

fn scalar(text: &str) -> String {
    let word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/');
    let keyword = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(word)
        && !keyword.contains(&text.to_ascii_lowercase().as_str());
    match plain {
        true => text.to_owned(),
        // JSON strings are YAML strings.
        false => Value::from(text).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn documents_look_as_people_write_them() {
        let value = json!({"kind": "Secret", "list": [{"a": "x: y", "b": ["1", 2]}, "true"], "pem": "A\n\nB\n", "empty": {}});
        let expected = "empty: {}\nkind: Secret\nlist:\n  - a: \"x: y\"\n    b:\n      - \"1\"\n      - 2\n  - \"true\"\npem: |\n  A\n\n  B\n";
        assert_eq!(print(&value), expected);
    }

    fn values() -> impl Strategy<Value = Value> {
        let text = prop_oneof![
            "[ -~\n]{0,12}",
            "[a-z]{1,4}",
            Just("-----BEGIN X-----\nAA==\n-----END X-----\n".to_owned()),
            Just("null".to_owned()),
        ];
        let leaf = prop_oneof![
            text.prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
            (-9_i64..99_999).prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[a-zA-Z0-9 ]{1,6}", inner, 0..4)
                    .prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_yaml_reader_reads_what_was_printed(value in values()) {
            let yaml = print(&json!({ "value": value }));
            let read: Value = serde_saphyr::from_str(&yaml).map_err(|e| TestCaseError::fail(format!("{e}: {yaml}")))?;
            prop_assert_eq!(read, json!({ "value": value }), "{}", yaml);
        }
    }
}
