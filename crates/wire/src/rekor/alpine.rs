//! `alpine` 0.0.1: a signed package of Alpine Linux, of which the log keeps hash and description.

use std::collections::BTreeMap;

use serde::Serialize;

use super::package::Key;
pub use super::package::Proposed;
use super::{Body, Digest, encode_base64};

/// The kind's name.
pub const KIND: &str = "alpine";
/// The version that this module writes.
pub const VERSION: &str = "0.0.1";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Spec<'a> {
    package: Package<'a>,
    public_key: Key,
}

#[derive(Serialize)]
struct Package<'a> {
    hash: Digest<'a>,
    pkginfo: &'a BTreeMap<String, String>,
}

/// Prints the canonical body; `None` never happens for maps of strings. `public_key` is the
/// canonical PEM.
///
/// The names in `pkginfo` are the packager's own, and RFC 8785 sorts by UTF-16, so this body goes
/// through a canonicalizer.
#[must_use]
pub fn body(
    hash: Digest<'_>,
    pkginfo: &BTreeMap<String, String>,
    public_key: &str,
) -> Option<Vec<u8>> {
    serde_json_canonicalizer::to_vec(&Body {
        api_version: VERSION,
        kind: KIND,
        spec: Spec {
            package: Package { hash, pkginfo },
            public_key: Key {
                content: encode_base64(public_key.as_bytes()),
            },
        },
    })
    .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_as_utf_16() {
        let digest = Digest {
            algorithm: "sha256",
            value: "ab",
        };
        let names = ["\u{10000}", "\u{ffff}", "b", "a"];
        let pkginfo = names.map(|name| (name.to_owned(), "v<".to_owned())).into();
        let text = String::from_utf8(body(digest, &pkginfo, "pem").unwrap()).unwrap();
        assert!(text.contains("{\"a\":\"v<\",\"b\":\"v<\",\"\u{10000}\":\"v<\",\"\u{ffff}\""));
    }
}
