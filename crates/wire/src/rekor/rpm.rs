//! `rpm` 0.0.1: a signed RPM package, of which the log keeps hash, name and version.

use serde::Serialize;

use super::package::Key;
pub use super::package::Proposed;
use super::{Digest, canonical, encode_base64};

/// The kind's name.
pub const KIND: &str = "rpm";
/// The version that this module writes.
pub const VERSION: &str = "0.0.1";

/// `package.headers` of the body.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Headers<'a> {
    /// Machine that the package is for.
    pub architecture: &'a str,
    /// Decimal; `0` if the package states none.
    pub epoch: &'a str,
    /// The package's name.
    pub name: &'a str,
    /// MD5 of header and payload in hexadecimal digits, if the package states it.
    #[serde(rename = "RPMSIGTAG_MD5", skip_serializing_if = "Option::is_none")]
    pub md5: Option<&'a str>,
    /// The packager's count of releases of one version.
    pub release: &'a str,
    /// Version of what is packaged.
    pub version: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Spec<'a> {
    package: Package<'a>,
    public_key: Key,
}

#[derive(Serialize)]
struct Package<'a> {
    hash: Digest<'a>,
    headers: Headers<'a>,
}

/// Prints the canonical body; `public_key` is canonical armour.
#[must_use]
pub fn body(hash: Digest<'_>, headers: Headers<'_>, public_key: &[u8]) -> Vec<u8> {
    canonical(
        KIND,
        VERSION,
        Spec {
            package: Package { hash, headers },
            public_key: Key {
                content: encode_base64(public_key),
            },
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn body_is_canonical() {
        let headers = Headers {
            architecture: "noarch",
            epoch: "0",
            name: "a<\u{2028}\u{7}",
            md5: Some("ab"),
            release: "1",
            version: "2",
        };
        for md5 in [None, Some("ab")] {
            let digest = Digest {
                algorithm: "sha256",
                value: "x",
            };
            let body = body(digest, Headers { md5, ..headers }, b"k");
            let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body, serde_json_canonicalizer::to_vec(&value).unwrap());
            assert_eq!(value["spec"]["package"]["headers"]["Name"], headers.name);
        }
    }
}
