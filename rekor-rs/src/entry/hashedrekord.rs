//! `hashedrekord`: a signature over the digest of an artifact that the log never sees.

use crypto::{Digest, HashAlgorithm, KeyKind, PublicKey};
use wire::rekor::hashedrekord::{KIND, Proposed, body};

use super::{EntryError, Limits, Purpose, Terms, Verified, Verifier, from_spec};

const ALGORITHMS: &[&str] = &["sha256", "sha384", "sha512"];

/// Verifies a `spec` of version 0.0.1. Its canonical form is a proposal, too, so the purpose makes
/// no difference.
pub(super) fn verify(
    spec: &str,
    _purpose: Purpose,
    _limits: &Limits,
) -> Result<Verified, EntryError> {
    let proposed: Proposed<'_> = from_spec(spec)?;
    let data = proposed
        .data
        .ok_or_else(|| EntryError::missing_member("data"))?;
    let hash = data
        .hash
        .ok_or_else(|| EntryError::invalid("missing hash"))?;
    let algorithm = hash
        .algorithm
        .ok_or_else(|| EntryError::missing_member("data.hash.algorithm"))?;
    let value = hash
        .value
        .ok_or_else(|| EntryError::missing_member("data.hash.value"))?;
    let hash_algorithm = match &*algorithm {
        "sha256" => HashAlgorithm::Sha256,
        "sha384" => HashAlgorithm::Sha384,
        "sha512" => HashAlgorithm::Sha512,
        _ => return Err(EntryError::not_listed("data.hash.algorithm", ALGORITHMS)),
    };
    let signature = proposed
        .signature
        .ok_or_else(|| EntryError::missing_member("signature"))?;
    let key = signature
        .public_key
        .ok_or_else(|| EntryError::invalid("missing public key"))?;
    let verifier = Verifier::parse(&key.content.unwrap_or_default().0)?;
    let digest = hex::decode(&*value)
        .ok()
        .and_then(|digest| Digest::new(hash_algorithm, digest))
        .ok_or_else(|| EntryError::invalid("invalid value for hash"))?;
    let signature = signature.content.unwrap_or_default().0;
    if signature.is_empty() {
        return Err(EntryError::invalid(
            "verifying signature: X509 signature has not been initialized",
        ));
    }
    verify_signature(&verifier, &digest, &signature)
        .map_err(|reason| EntryError::Invalid(format!("verifying signature: {reason}")))?;
    if !is_permitted(verifier.key(), hash_algorithm) {
        return Err(EntryError::invalid("entry algorithms are not allowed"));
    }

    let mut terms = Terms::default();
    terms.add_verifier(&verifier);
    terms.add_digest(&algorithm, &value);
    let hash = wire::rekor::Digest {
        algorithm: &algorithm,
        value: &value,
    };
    Ok(Verified::new(
        KIND,
        body(hash, &signature, verifier.canonical()),
        Vec::new(),
        terms,
    ))
}

fn verify_signature(verifier: &Verifier, digest: &Digest, signature: &[u8]) -> Result<(), String> {
    verifier.verify_chain().map_err(|error| error.to_string())?;
    let key = verifier.key();
    if key.kind() == KeyKind::Ed25519 && digest.algorithm() != HashAlgorithm::Sha512 {
        let name = match digest.algorithm() {
            HashAlgorithm::Sha256 => "SHA-256",
            HashAlgorithm::Sha384 => "SHA-384",
            HashAlgorithm::Sha512 => "SHA-512",
        };
        return Err(format!(
            "unsupported hash algorithm: \"{name}\" not in [SHA-512]"
        ));
    }
    key.verify_digest(digest, signature)
        .map_err(|error| match key.kind() {
            KeyKind::Ed25519 => "ed25519: invalid signature".to_owned(),
            KeyKind::Rsa { .. } => "crypto/rsa: verification error".to_owned(),
            _ => error.to_string(),
        })
}

/// Which keys may go with which hashes: the default of the reference implementation.
fn is_permitted(key: &PublicKey, hash: HashAlgorithm) -> bool {
    match key.kind() {
        KeyKind::Rsa { bits } => {
            matches!(bits, 2048 | 3072 | 4096) && hash == HashAlgorithm::Sha256
        }
        KeyKind::EcdsaP256 => hash == HashAlgorithm::Sha256,
        KeyKind::EcdsaP384 => hash == HashAlgorithm::Sha384,
        KeyKind::EcdsaP521 | KeyKind::Ed25519 => hash == HashAlgorithm::Sha512,
    }
}
