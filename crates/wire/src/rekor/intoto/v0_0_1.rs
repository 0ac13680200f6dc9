//! `intoto` 0.0.1: one key, and the hashes of an envelope that the log does not keep.

use serde::{Deserialize, Serialize};

use super::KIND;
use crate::rekor::{Base64, Digest, ProposedDigest, Text, canonical, encode_base64};

/// The version that this module writes.
pub const VERSION: &str = "0.0.1";

/// The `spec` as submitted.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Proposed<'a> {
    /// The envelope, or its hashes.
    #[serde(borrow)]
    pub content: Option<ProposedContent<'a>>,
    /// PEM key or certificate.
    pub public_key: Option<Base64>,
}

/// `spec.content`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProposedContent<'a> {
    /// The DSSE envelope's JSON, as a string.
    #[serde(borrow)]
    pub envelope: Option<Text<'a>>,
    /// Hash of the envelope; looked at only where there is no envelope.
    #[serde(borrow)]
    pub hash: Option<ProposedDigest<'a>>,
    /// Hash of the payload; looked at only where there is no envelope. Old entries have none.
    #[serde(borrow)]
    pub payload_hash: Option<ProposedDigest<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Spec<'a> {
    content: Content<'a>,
    public_key: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Content<'a> {
    hash: Digest<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_hash: Option<Digest<'a>>,
}

/// Prints the canonical body. `public_key` is the canonical PEM.
#[must_use]
pub fn body(hash: Digest<'_>, payload_hash: Option<Digest<'_>>, public_key: &str) -> Vec<u8> {
    canonical(
        KIND,
        VERSION,
        Spec {
            content: Content { hash, payload_hash },
            public_key: encode_base64(public_key.as_bytes()),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn body_is_canonical_with_and_without_payload_hash() {
        let digest = Digest {
            algorithm: "sha256",
            value: "ab",
        };
        for payload_hash in [None, Some(digest.clone())] {
            let present = payload_hash.is_some();
            let body = body(digest.clone(), payload_hash, "pem");
            let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body, serde_json_canonicalizer::to_vec(&value).unwrap());
            assert_eq!(
                value["spec"]["content"].get("payloadHash").is_some(),
                present
            );
        }
    }
}
