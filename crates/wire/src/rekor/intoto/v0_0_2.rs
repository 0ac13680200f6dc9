//! `intoto` 0.0.2: an envelope with its signatures, each with its key; of the payload only the
//! hash. Payload and signatures are base64 twice over.

use serde::{Deserialize, Serialize};

use super::KIND;
use crate::rekor::{Base64, Digest, ProposedDigest, Text, canonical, encode_base64};

/// The version that this module writes.
pub const VERSION: &str = "0.0.2";

/// The `spec` as submitted.
#[derive(Debug, Deserialize)]
pub struct Proposed<'a> {
    /// All there is.
    #[serde(borrow)]
    pub content: Option<ProposedContent<'a>>,
}

/// `spec.content`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProposedContent<'a> {
    /// The envelope.
    #[serde(borrow)]
    pub envelope: Option<ProposedEnvelope<'a>>,
    /// Hash of an envelope; whatever the client says.
    #[serde(borrow)]
    pub hash: Option<ProposedDigest<'a>>,
    /// Hash of the payload; looked at only where there is no payload.
    #[serde(borrow)]
    pub payload_hash: Option<ProposedDigest<'a>>,
}

/// `spec.content.envelope`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProposedEnvelope<'a> {
    /// Media type of the payload.
    #[serde(borrow)]
    pub payload_type: Option<Text<'a>>,
    /// The DSSE payload's base64.
    pub payload: Option<Base64>,
    /// Signatures.
    #[serde(borrow)]
    pub signatures: Option<Vec<Option<ProposedSignature<'a>>>>,
}

/// One of `spec.content.envelope.signatures`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProposedSignature<'a> {
    /// Kept, never looked at.
    #[serde(borrow)]
    pub keyid: Option<Text<'a>>,
    /// The DSSE signature's base64.
    pub sig: Option<Base64>,
    /// PEM key or certificate.
    pub public_key: Option<Base64>,
}

/// A signature for [`body`].
#[derive(Clone, Debug)]
pub struct Signature<'a> {
    /// Left out if empty.
    pub keyid: &'a str,
    /// The DSSE signature's base64.
    pub sig: &'a [u8],
    /// The key exactly as submitted.
    pub public_key: &'a [u8],
}

#[derive(Serialize)]
struct Spec<'a> {
    content: Content<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Content<'a> {
    envelope: Envelope<'a>,
    hash: Digest<'a>,
    payload_hash: Digest<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    payload_type: &'a str,
    signatures: Vec<SpecSignature<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SpecSignature<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    keyid: &'a str,
    public_key: String,
    sig: String,
}

/// Prints the canonical body; signatures stay in the order given.
#[must_use]
pub fn body(
    payload_type: &str,
    signatures: &[Signature<'_>],
    hash: Digest<'_>,
    payload_hash: Digest<'_>,
) -> Vec<u8> {
    let signatures = signatures
        .iter()
        .map(|signature| SpecSignature {
            keyid: signature.keyid,
            public_key: encode_base64(signature.public_key),
            sig: encode_base64(signature.sig),
        })
        .collect();
    canonical(
        KIND,
        VERSION,
        Spec {
            content: Content {
                envelope: Envelope {
                    payload_type,
                    signatures,
                },
                hash,
                payload_hash,
            },
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn body_is_canonical_for_any_text() {
        let digest = Digest {
            algorithm: "sha256",
            value: "x\u{7f}\u{1}\"\\/é\u{2028}",
        };
        let signatures = [
            Signature {
                keyid: "",
                sig: b"s",
                public_key: b"p",
            },
            Signature {
                keyid: "k",
                sig: b"s",
                public_key: b"p",
            },
        ];
        let body = body("application/<x>&", &signatures, digest.clone(), digest);
        let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body, serde_json_canonicalizer::to_vec(&value).unwrap());
        assert!(
            value["spec"]["content"]["envelope"]["signatures"][0]
                .get("keyid")
                .is_none()
        );
    }
}
