//! What a provenance file says: the chart's own description, and digests of files.
//!
//! ```text
//! apiVersion: v2
//! name: chart …
//!
//! ...
//! files:
//!   chart-1.0.0.tgz: sha256:<64 hexadecimal digits>
//! ```

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

/// Ends the first document. (Two documents would be divided by dashes, which a cleartext message
/// escapes.)
const DIVISION: &str = "\n...\n";

/// Why a provenance was refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProvenanceError {
    /// Not text.
    #[error("provenance file is not UTF-8")]
    Encoding,
    /// There is no second document.
    #[error("message block must have at least two parts")]
    Parts,
    /// The second document is not what it must be.
    #[error("error occurred parsing SumCollection: {0}")]
    Yaml(String),
    /// No file is named.
    #[error("no checksums found")]
    NoFiles,
    /// The digest is not one of SHA-256.
    #[error("invalid hash found in Provenance file: it must be sha256: and 64 hexadecimal digits")]
    Hash,
}

/// The SHA-256 digest of the first file: the chart.
pub(super) fn chart_hash(text: &[u8]) -> Result<String, ProvenanceError> {
    let text = std::str::from_utf8(text).map_err(|_| ProvenanceError::Encoding)?;
    let sums = text.split(DIVISION).nth(1).ok_or(ProvenanceError::Parts)?;
    // The parser's default budget bounds depth, nodes and aliases.
    let sums: Sums =
        serde_saphyr::from_str(sums).map_err(|error| ProvenanceError::Yaml(error.to_string()))?;
    let hash = sums.files.0.ok_or(ProvenanceError::NoFiles)?;
    let digits = hash.strip_prefix("sha256:").ok_or(ProvenanceError::Hash)?;
    match digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        true => Ok(digits.to_owned()),
        false => Err(ProvenanceError::Hash),
    }
}

#[derive(Deserialize)]
struct Sums {
    #[serde(default)]
    files: FirstValue,
}

/// The value of a map's first member.
#[derive(Default)]
struct FirstValue(Option<String>);

impl<'de> Deserialize<'de> for FirstValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Files;

        impl<'de> Visitor<'de> for Files {
            type Value = FirstValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("file names with digests")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<FirstValue, A::Error> {
                let first = map.next_entry::<IgnoredAny, String>()?;
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(FirstValue(first.map(|(_, value)| value)))
            }
        }

        deserializer.deserialize_map(Files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        chart_hash(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn the_first_file_is_the_chart() {
        let digits = "aB".repeat(32);
        let other = "cd".repeat(32);
        let text = format!(
            "name: x\n...\nfiles:\n  z.tgz: sha256:{digits}\n  a.tgz: sha256:{other}\nimages:\n  i: x\n"
        );
        assert_eq!(chart_hash(text.as_bytes()).unwrap(), digits);
    }

    #[test]
    fn what_names_no_digest_is_refused() {
        assert!(refusal("files: {}").contains("two parts"));
        assert!(refusal("x\n...\nimages: {}\n").contains("no checksums"));
        assert!(refusal("x\n...\nfiles: {}\n").contains("no checksums"));
        assert!(refusal("x\n...\nfiles: [a]\n").contains("SumCollection"));
        assert!(refusal("x\n...\nfiles:\n  a: sha256:ab\n").contains("invalid hash"));
        let sha512 = format!("x\n...\nfiles:\n  a: sha512:{}\n", "ab".repeat(64));
        assert!(refusal(&sha512).contains("invalid hash"));
    }

    #[test]
    fn aliases_and_depth_are_bounded() {
        let mut laughs = String::from("x\n...\na0: &a0 [x, x, x, x, x, x, x, x, x]\n");
        for level in 1..20 {
            let below = vec![format!("*a{}", level - 1); 9].join(", ");
            laughs += &format!("a{level}: &a{level} [{below}]\n");
        }
        laughs += "files: *a19\n";
        assert!(refusal(&laughs).contains("SumCollection"));
        let deep = format!(
            "x\n...\nfiles: {}{}\n",
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        assert!(refusal(&deep).contains("SumCollection"));
    }
}
