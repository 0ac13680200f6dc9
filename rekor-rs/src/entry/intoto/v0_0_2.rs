//! `intoto` 0.0.2: an envelope whose signatures each carry their key.

use wire::rekor::Digest;
use wire::rekor::intoto::KIND;
use wire::rekor::intoto::v0_0_2::{Proposed, ProposedEnvelope, Signature, body};

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
    let envelope = content
        .envelope
        .ok_or_else(|| EntryError::missing_member("content.envelope"))?;
    let payload_type = envelope
        .payload_type
        .as_deref()
        .ok_or_else(|| EntryError::missing_member("content.envelope.payloadType"))?;
    let signatures = signatures(&envelope)?;
    let hash = content
        .hash
        .as_ref()
        .map(|hash| sha256_digest("content.hash", hash))
        .transpose()?;
    let hash = hash.ok_or_else(|| EntryError::invalid("missing envelope digest"))?;

    let payload = envelope
        .payload
        .as_ref()
        .map(|payload| payload.0.as_slice())
        .unwrap_or_default();
    if payload.is_empty() {
        if purpose == Purpose::Insert {
            return Err(EntryError::NotInsertable("missing envelope content"));
        }
        let payload_hash = content
            .payload_hash
            .as_ref()
            .map(|hash| sha256_digest("content.payloadHash", hash))
            .transpose()?;
        let payload_hash =
            payload_hash.ok_or_else(|| EntryError::invalid("missing payload digest"))?;
        let body = body(payload_type, &signatures, hash, payload_hash);
        return Ok(Verified::new(KIND, body, Vec::new(), Terms::default()));
    }
    if payload_type.is_empty() {
        return Err(EntryError::NotInsertable("missing payloadType content"));
    }
    let verified = verify_envelope(payload_type, payload, &signatures)?;

    let payload_hash = hex::encode(crypto::sha256(&verified.payload));
    let mut terms = Terms::default();
    verified
        .verifiers
        .iter()
        .for_each(|verifier| terms.add_verifier(verifier));
    terms.add_digest("sha256", &payload_hash);
    if payload_type == statement::PAYLOAD_TYPE {
        statement::add_digests(&verified.payload, &mut terms);
    }
    let body = body(
        payload_type,
        &signatures,
        hash,
        Digest {
            algorithm: "sha256",
            value: &payload_hash,
        },
    );
    let attestation = attestation(payload.len(), verified.payload, limits);
    Ok(Verified::new(KIND, body, attestation, terms))
}

struct VerifiedContent {
    payload: Vec<u8>,
    verifiers: Vec<Verifier>,
}

fn verify_envelope(
    payload_type: &str,
    payload: &[u8],
    signatures: &[Signature<'_>],
) -> Result<VerifiedContent, EntryError> {
    let undecodable =
        || EntryError::invalid("unable to base64 decode payload (is payload in the right format?)");
    let payload_text = std::str::from_utf8(payload).map_err(|_| undecodable())?;
    let texts = signatures
        .iter()
        .map(|signature| std::str::from_utf8(signature.sig).map_err(|_| undecodable()))
        .collect::<Result<Vec<_>, _>>()?;
    let keys: Vec<_> = signatures
        .iter()
        .map(|signature| signature.public_key.to_vec())
        .collect();
    let signed = Signed {
        payload: payload_text,
        payload_type,
        signatures: texts,
    };
    let verified = envelope::verify(&signed, &keys)?;
    // DSSE would take the URL-safe alphabet, too; the payload hash of this kind is defined for the
    // standard one only.
    wire::rekor::decode_base64(payload_text).ok_or_else(|| {
        EntryError::invalid("could not decode envelope payload: illegal base64 data")
    })?;
    let verifiers = verified
        .matched
        .into_iter()
        .map(|matched| matched.verifier)
        .collect();
    Ok(VerifiedContent {
        payload: verified.payload,
        verifiers,
    })
}

fn signatures<'a>(envelope: &'a ProposedEnvelope<'_>) -> Result<Vec<Signature<'a>>, EntryError> {
    let submitted = envelope
        .signatures
        .as_ref()
        .ok_or_else(|| EntryError::missing_member("content.envelope.signatures"))?;
    if submitted.is_empty() {
        return Err(EntryError::invalid("missing signatures"));
    }
    submitted
        .iter()
        .map(|signature| {
            let signature = signature
                .as_ref()
                .ok_or(EntryError::NotInsertable("missing signature entry"))?;
            let sig = signature
                .sig
                .as_ref()
                .map(|sig| sig.0.as_slice())
                .unwrap_or_default();
            let public_key = signature
                .public_key
                .as_ref()
                .map(|key| key.0.as_slice())
                .unwrap_or_default();
            if sig.is_empty() {
                return Err(EntryError::NotInsertable("missing signature content"));
            }
            if public_key.is_empty() {
                return Err(EntryError::NotInsertable("missing publicKey content"));
            }
            Ok(Signature {
                keyid: signature.keyid.as_deref().unwrap_or_default(),
                sig,
                public_key,
            })
        })
        .collect()
}
