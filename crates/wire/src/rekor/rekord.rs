//! `rekord` 0.0.1: a detached signature over an artifact that the log has seen once.

use serde::{Deserialize, Serialize};

use super::{Base64, Digest, ProposedDigest, Text, canonical, encode_base64};

/// The kind's name.
pub const KIND: &str = "rekord";
/// The version that this module writes.
pub const VERSION: &str = "0.0.1";

/// The `spec` as submitted.
#[derive(Debug, Deserialize)]
pub struct Proposed<'a> {
    /// The signature and who made it.
    #[serde(borrow)]
    pub signature: Option<ProposedSignature<'a>>,
    /// What was signed.
    #[serde(borrow)]
    pub data: Option<ProposedData<'a>>,
}

/// `spec.signature`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProposedSignature<'a> {
    /// `pgp`, `minisign`, `x509` or `ssh`.
    #[serde(borrow)]
    pub format: Option<Text<'a>>,
    /// The signature.
    pub content: Option<Base64>,
    /// Who made it.
    pub public_key: Option<ProposedKey>,
}

/// `spec.signature.publicKey`.
#[derive(Debug, Deserialize)]
pub struct ProposedKey {
    /// The key, in the format of the signature.
    pub content: Option<Base64>,
}

/// `spec.data`.
#[derive(Debug, Deserialize)]
pub struct ProposedData<'a> {
    /// The artifact.
    pub content: Option<Base64>,
    /// Its SHA-256 digest.
    #[serde(borrow)]
    pub hash: Option<ProposedDigest<'a>>,
}

#[derive(Serialize)]
struct Spec<'a> {
    data: Data<'a>,
    signature: Signature<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    hash: Digest<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Signature<'a> {
    content: String,
    format: &'a str,
    public_key: Key,
}

#[derive(Serialize)]
struct Key {
    content: String,
}

/// Prints the canonical body; signature and key are in the canonical form of their format.
#[must_use]
pub fn body(hash: Digest<'_>, format: &str, signature: &[u8], public_key: &[u8]) -> Vec<u8> {
    canonical(
        KIND,
        VERSION,
        Spec {
            data: Data { hash },
            signature: Signature {
                content: encode_base64(signature),
                format,
                public_key: Key {
                    content: encode_base64(public_key),
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
            value: "x<\u{2028}",
        };
        let body = body(digest, "ssh", b"s", b"k");
        let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body, serde_json_canonicalizer::to_vec(&value).unwrap());
        assert_eq!(value["spec"]["signature"]["format"], "ssh");
    }
}
