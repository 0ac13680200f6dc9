//! `dsse` 0.0.1: an envelope with its signatures; of payload and envelope only the hashes.

use serde::{Deserialize, Serialize};

use super::{Base64, Digest, ProposedDigest, Text, canonical, encode_base64};

/// The kind's name.
pub const KIND: &str = "dsse";
/// The version that this module writes.
pub const VERSION: &str = "0.0.1";

/// The `spec` as submitted: `proposedContent` to insert, or the canonical members to look up.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Proposed<'a> {
    /// What is to be verified.
    #[serde(borrow)]
    pub proposed_content: Option<ProposedContent<'a>>,
    /// Canonical form only.
    #[serde(borrow)]
    pub signatures: Option<Vec<Option<CanonicalSignature<'a>>>>,
    /// Canonical form only.
    #[serde(borrow)]
    pub envelope_hash: Option<ProposedDigest<'a>>,
    /// Canonical form only.
    #[serde(borrow)]
    pub payload_hash: Option<ProposedDigest<'a>>,
}

/// `spec.proposedContent`.
#[derive(Debug, Deserialize)]
pub struct ProposedContent<'a> {
    /// The envelope's JSON, as a string.
    #[serde(borrow)]
    pub envelope: Option<Text<'a>>,
    /// PEM keys or certificates.
    pub verifiers: Option<Vec<Option<Base64>>>,
}

/// One of `spec.signatures`, as submitted.
#[derive(Debug, Deserialize)]
pub struct CanonicalSignature<'a> {
    /// The signature's base64, as in the envelope.
    #[serde(borrow)]
    pub signature: Option<Text<'a>>,
    /// PEM key or certificate.
    pub verifier: Option<Base64>,
}

/// A DSSE envelope.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope<'a> {
    /// Base64, standard or URL-safe.
    #[serde(borrow)]
    pub payload: Option<Text<'a>>,
    /// Media type of the payload.
    #[serde(borrow)]
    pub payload_type: Option<Text<'a>>,
    /// Signatures.
    #[serde(borrow)]
    pub signatures: Option<Vec<EnvelopeSignature<'a>>>,
}

/// A signature of an [`Envelope`]; key ids are not looked at.
#[derive(Debug, Deserialize)]
pub struct EnvelopeSignature<'a> {
    /// Base64, standard or URL-safe.
    #[serde(borrow)]
    pub sig: Option<Text<'a>>,
}

/// A signature with the key that verified it, for [`body`].
#[derive(Clone, Debug)]
pub struct Signature<'a> {
    /// The signature's base64, verbatim.
    pub signature: &'a str,
    /// Canonical PEM.
    pub verifier: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Spec<'a> {
    envelope_hash: Digest<'a>,
    payload_hash: Digest<'a>,
    signatures: Vec<SpecSignature<'a>>,
}

#[derive(Serialize)]
struct SpecSignature<'a> {
    signature: &'a str,
    verifier: String,
}

/// Prints the canonical body; signatures are sorted by their text.
#[must_use]
pub fn body(
    envelope_hash: Digest<'_>,
    payload_hash: Digest<'_>,
    signatures: &[Signature<'_>],
) -> Vec<u8> {
    let mut signatures: Vec<_> = signatures
        .iter()
        .map(|signature| SpecSignature {
            signature: signature.signature,
            verifier: encode_base64(signature.verifier.as_bytes()),
        })
        .collect();
    signatures.sort_by_key(|signature| signature.signature);
    canonical(
        KIND,
        VERSION,
        Spec {
            envelope_hash,
            payload_hash,
            signatures,
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_sorted_and_the_body_is_canonical() {
        let digest = Digest {
            algorithm: "sha256",
            value: "ab",
        };
        let body = body(
            digest.clone(),
            digest,
            &[
                Signature {
                    signature: "b<\n",
                    verifier: "p",
                },
                Signature {
                    signature: "a",
                    verifier: "q",
                },
            ],
        );
        let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(value["spec"]["signatures"][0]["signature"], "a");
        assert_eq!(body, serde_json_canonicalizer::to_vec(&value).unwrap());
    }
}
