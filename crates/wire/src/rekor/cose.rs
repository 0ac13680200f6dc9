//! `cose` 0.0.1: a `COSE_Sign1` message, of which the log keeps the hashes.

use serde::{Deserialize, Serialize};

use super::{Base64, Digest, canonical, encode_base64};

/// The kind's name.
pub const KIND: &str = "cose";
/// The version that this module writes.
pub const VERSION: &str = "0.0.1";

/// The `spec` as submitted.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Proposed {
    /// The tagged `COSE_Sign1`.
    pub message: Option<Base64>,
    /// PEM key or certificate.
    pub public_key: Option<Base64>,
    /// What else the signature covers. Required, even if it is empty.
    pub data: Option<ProposedData>,
}

/// `spec.data`.
#[derive(Debug, Deserialize)]
pub struct ProposedData {
    /// Externally supplied authenticated data (RFC 9052 section 4.3).
    pub aad: Option<Base64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Spec<'a> {
    data: Data<'a>,
    public_key: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    envelope_hash: Digest<'a>,
    payload_hash: Digest<'a>,
}

/// Prints the canonical body. `public_key` is the canonical PEM.
#[must_use]
pub fn body(envelope_hash: Digest<'_>, payload_hash: Digest<'_>, public_key: &str) -> Vec<u8> {
    canonical(
        KIND,
        VERSION,
        Spec {
            data: Data {
                envelope_hash,
                payload_hash,
            },
            public_key: encode_base64(public_key.as_bytes()),
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
        let body = body(digest.clone(), digest, "pem");
        let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body, serde_json_canonicalizer::to_vec(&value).unwrap());
        assert_eq!(value["spec"]["publicKey"], "cGVt");
    }
}
