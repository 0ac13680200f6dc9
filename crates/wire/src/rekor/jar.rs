//! `jar` 0.0.1: a signed Java archive, of which the log keeps hash and signature.

use serde::{Deserialize, Serialize};

use super::{Base64, Digest, ProposedDigest, canonical, encode_base64};

/// The kind's name.
pub const KIND: &str = "jar";
/// The version that this module writes.
pub const VERSION: &str = "0.0.1";

/// The `spec` as submitted.
#[derive(Debug, Deserialize)]
pub struct Proposed<'a> {
    /// The archive, which holds its signature.
    #[serde(borrow)]
    pub archive: Option<ProposedArchive<'a>>,
}

/// `spec.archive`.
#[derive(Debug, Deserialize)]
pub struct ProposedArchive<'a> {
    /// The file.
    pub content: Option<Base64>,
    /// Its SHA-256 digest.
    #[serde(borrow)]
    pub hash: Option<ProposedDigest<'a>>,
}

#[derive(Serialize)]
struct Spec<'a> {
    archive: Archive<'a>,
    signature: Signature,
}

#[derive(Serialize)]
struct Archive<'a> {
    hash: Digest<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Signature {
    content: String,
    public_key: Key,
}

#[derive(Serialize)]
struct Key {
    content: String,
}

/// Prints the canonical body: the signature as PEM `PKCS7`, its first certificate as PEM.
#[must_use]
pub fn body(hash: Digest<'_>, signature: &str, certificate: &str) -> Vec<u8> {
    canonical(
        KIND,
        VERSION,
        Spec {
            archive: Archive { hash },
            signature: Signature {
                content: encode_base64(signature.as_bytes()),
                public_key: Key {
                    content: encode_base64(certificate.as_bytes()),
                },
            },
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn body_is_canonical() {
        let digest = Digest {
            algorithm: "sha256",
            value: "ab",
        };
        let body = body(digest, "s", "c");
        let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body, serde_json_canonicalizer::to_vec(&value).unwrap());
        assert_eq!(value["spec"]["signature"]["publicKey"]["content"], "Yw==");
    }
}
