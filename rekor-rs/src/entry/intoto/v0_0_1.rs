//! `intoto` 0.0.1: one key, which must have made one of the envelope's signatures.

use wire::rekor::Digest;
use wire::rekor::dsse::Envelope;
use wire::rekor::intoto::KIND;
use wire::rekor::intoto::v0_0_1::{Proposed, ProposedContent, body};

use super::attestation;
use crate::entry::envelope::{self, Signed};
use crate::entry::{
    EntryError, Limits, Purpose, Terms, Verified, Verifier, from_spec, sha256_digest, statement,
};

/// Verifies a `spec`.
pub(in crate::entry) fn verify(
    spec: &str,
    purpose: Purpose,
    limits: &Limits,
) -> Result<Verified, EntryError> {
    let proposed: Proposed<'_> = from_spec(spec)?;
    let content = proposed
        .content
        .ok_or_else(|| EntryError::missing_member("content"))?;
    let key = proposed
        .public_key
        .filter(|key| !key.0.is_empty())
        .ok_or_else(|| EntryError::missing_member("publicKey"))?;
    let verifier = Verifier::parse(&key.0)?;
    let text = content.envelope.as_deref().unwrap_or_default();
    match (text, purpose) {
        ("", Purpose::Insert) => {
            canonical(&content, &verifier)?;
            Err(EntryError::NotInsertable("missing envelope content"))
        }
        ("", Purpose::Find) => canonical(&content, &verifier),
        (text, _) => verify_envelope(text, &verifier, limits),
    }
}

fn verify_envelope(
    text: &str,
    verifier: &Verifier,
    limits: &Limits,
) -> Result<Verified, EntryError> {
    let envelope: Envelope<'_> = serde_json::from_str(text)
        .map_err(|error| EntryError::Invalid(format!("DSSE envelope: {error}")))?;
    let payload_type = envelope.payload_type.as_deref().unwrap_or_default();
    let encoded = envelope.payload.as_deref().unwrap_or_default();
    let signatures = envelope.signatures.unwrap_or_default();
    let signed = Signed {
        payload: encoded,
        payload_type,
        signatures: signatures
            .iter()
            .map(|signature| signature.sig.as_deref().unwrap_or_default())
            .collect(),
    };
    let payload = envelope::verify_one(&signed, verifier)?;
    // DSSE would take the URL-safe alphabet, too; the payload hash of this kind is defined for the
    // standard one only.
    wire::rekor::decode_base64(encoded).ok_or_else(|| {
        EntryError::invalid("could not decode envelope payload: illegal base64 data")
    })?;

    let hash = hex::encode(crypto::sha256(text.as_bytes()));
    let payload_hash = hex::encode(crypto::sha256(&payload));
    let mut terms = Terms::default();
    terms.add_verifier(verifier);
    terms.add_digest("sha256", &hash);
    terms.add_digest("sha256", &payload_hash);
    if payload_type == statement::PAYLOAD_TYPE {
        statement::add_digests(&payload, &mut terms);
    }
    let sha256 = |value| Digest {
        algorithm: "sha256",
        value,
    };
    let body = body(
        sha256(&hash),
        Some(sha256(&payload_hash)),
        verifier.canonical(),
    );
    let attestation = attestation(encoded.len(), payload, limits);
    Ok(Verified::new(KIND, body, attestation, terms))
}

/// The canonical form: enough to name an entry, with nothing left to verify.
fn canonical(content: &ProposedContent<'_>, verifier: &Verifier) -> Result<Verified, EntryError> {
    let hash = content
        .hash
        .as_ref()
        .ok_or_else(|| EntryError::invalid("missing hash value for envelope"))?;
    let hash = sha256_digest("content.hash", hash)?;
    let payload_hash = content
        .payload_hash
        .as_ref()
        .map(|hash| sha256_digest("content.payloadHash", hash))
        .transpose()?;
    let body = body(hash, payload_hash, verifier.canonical());
    Ok(Verified::new(KIND, body, Vec::new(), Terms::default()))
}
