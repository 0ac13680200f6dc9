//! `dsse`: an envelope; the log keeps its signatures and the hashes of envelope and payload.

use wire::rekor::Digest;
use wire::rekor::dsse::{Envelope, KIND, Proposed, ProposedContent, Signature, body};

use super::envelope::{self, Signed};
use super::{
    EntryError, Limits, Purpose, Terms, Verified, Verifier, from_spec, sha256_digest, statement,
};

/// Verifies a `spec` of version 0.0.1.
pub(super) fn verify(
    spec: &str,
    purpose: Purpose,
    _limits: &Limits,
) -> Result<Verified, EntryError> {
    let proposed: Proposed<'_> = from_spec(spec)?;
    let has_canonical_member = proposed.envelope_hash.is_some()
        || proposed.payload_hash.is_some()
        || proposed
            .signatures
            .as_ref()
            .is_some_and(|signatures| !signatures.is_empty());
    match &proposed.proposed_content {
        None if purpose == Purpose::Insert && has_canonical_member => {
            canonical(&proposed)?;
            Err(EntryError::NotInsertable("missing proposed content"))
        }
        None => canonical(&proposed),
        Some(_) if has_canonical_member => Err(EntryError::invalid(
            "either proposedContent or envelopeHash, payloadHash, and signatures must be present but not both",
        )),
        Some(content) => verify_content(content),
    }
}

fn verify_content(content: &ProposedContent<'_>) -> Result<Verified, EntryError> {
    let text = content
        .envelope
        .as_ref()
        .ok_or_else(|| EntryError::missing_member("proposedContent.envelope"))?;
    let verifiers = content
        .verifiers
        .as_ref()
        .ok_or_else(|| EntryError::missing_member("proposedContent.verifiers"))?;
    // Empty strings stand for absent keys.
    let keys: Vec<Vec<u8>> = verifiers
        .iter()
        .flatten()
        .map(|key| key.0.clone())
        .filter(|key| !key.is_empty())
        .collect();
    let envelope: Envelope<'_> = serde_json::from_str(text)
        .map_err(|error| EntryError::Invalid(format!("DSSE envelope: {error}")))?;
    let signatures = envelope.signatures.unwrap_or_default();
    if signatures.is_empty() {
        return Err(EntryError::invalid(
            "DSSE envelope must contain 1 or more signatures",
        ));
    }
    let payload_type = envelope.payload_type.as_deref().unwrap_or_default();
    let signed = Signed {
        payload: envelope.payload.as_deref().unwrap_or_default(),
        payload_type,
        signatures: signatures
            .iter()
            .map(|signature| signature.sig.as_deref().unwrap_or_default())
            .collect(),
    };
    let verified = envelope::verify(&signed, &keys)?;

    let payload_hash = hex::encode(crypto::sha256(&verified.payload));
    let envelope_hash = hex::encode(crypto::sha256(text.as_bytes()));
    let mut terms = Terms::default();
    verified
        .matched
        .iter()
        .for_each(|matched| terms.add_verifier(&matched.verifier));
    terms.add_digest("sha256", &payload_hash);
    terms.add_digest("sha256", &envelope_hash);
    if payload_type == statement::PAYLOAD_TYPE {
        statement::add_digests(&verified.payload, &mut terms);
    }
    let signatures: Vec<_> = verified
        .matched
        .iter()
        .map(|matched| Signature {
            signature: matched.signature,
            verifier: matched.verifier.canonical(),
        })
        .collect();
    let sha256 = |value| Digest {
        algorithm: "sha256",
        value,
    };
    Ok(Verified::new(
        KIND,
        body(sha256(&envelope_hash), sha256(&payload_hash), &signatures),
        Vec::new(),
        terms,
    ))
}

/// The canonical form: enough to name an entry, with nothing left to verify.
fn canonical(proposed: &Proposed<'_>) -> Result<Verified, EntryError> {
    let incomplete = || {
        EntryError::invalid(
            "either proposedContent or envelopeHash, payloadHash, and signatures must be present",
        )
    };
    let envelope_hash = sha256_digest(
        "envelopeHash",
        proposed.envelope_hash.as_ref().ok_or_else(incomplete)?,
    )?;
    let payload_hash = sha256_digest(
        "payloadHash",
        proposed.payload_hash.as_ref().ok_or_else(incomplete)?,
    )?;
    let submitted = proposed
        .signatures
        .as_ref()
        .filter(|list| !list.is_empty())
        .ok_or_else(incomplete)?;
    envelope::check_count(submitted.len())?;
    let mut verifiers = Vec::with_capacity(submitted.len());
    for signature in submitted {
        let signature = signature.as_ref().ok_or_else(incomplete)?;
        let text = signature
            .signature
            .as_deref()
            .ok_or_else(|| EntryError::missing_member("signatures.signature"))?;
        let key = signature
            .verifier
            .as_ref()
            .ok_or_else(|| EntryError::missing_member("signatures.verifier"))?;
        verifiers.push((text, Verifier::parse(&key.0)?));
    }
    let signatures: Vec<_> = verifiers
        .iter()
        .map(|(signature, verifier)| Signature {
            signature,
            verifier: verifier.canonical(),
        })
        .collect();
    Ok(Verified::new(
        KIND,
        body(envelope_hash, payload_hash, &signatures),
        Vec::new(),
        Terms::default(),
    ))
}
