//! `tuf` 0.0.1: metadata of The Update Framework with the root that its keys come from.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{canonical, encode_base64};

/// The kind's name.
pub const KIND: &str = "tuf";
/// The version that this module writes.
pub const VERSION: &str = "0.0.1";

/// The `spec` as submitted.
#[derive(Debug, Deserialize)]
pub struct Proposed<'a> {
    /// The metadata.
    #[serde(borrow)]
    pub metadata: Option<Document<'a>>,
    /// The root.
    #[serde(borrow)]
    pub root: Option<Document<'a>>,
}

/// `spec.metadata` and `spec.root`.
#[derive(Debug, Deserialize)]
pub struct Document<'a> {
    /// The document: an object, or the base64 of its text.
    #[serde(borrow)]
    pub content: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Spec<'a> {
    metadata: Content,
    root: Content,
    #[serde(skip_serializing_if = "str::is_empty")]
    spec_version: &'a str,
}

#[derive(Serialize)]
struct Content {
    content: String,
}

/// Prints the canonical body of two documents in RFC 8785 form.
#[must_use]
pub fn body(metadata: &[u8], root: &[u8], spec_version: &str) -> Vec<u8> {
    let content = |document| Content {
        content: encode_base64(document),
    };
    canonical(
        KIND,
        VERSION,
        Spec {
            metadata: content(metadata),
            root: content(root),
            spec_version,
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn body_is_canonical_for_any_version_text() {
        let body = body(b"{}", b"[]", "1.0\u{1}<é\u{2028}");
        let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body, serde_json_canonicalizer::to_vec(&value).unwrap());
        assert_eq!(value["spec"]["metadata"]["content"], "e30=");
        let without = super::body(b"{}", b"[]", "");
        assert!(!String::from_utf8(without).unwrap().contains("spec_version"));
    }
}
