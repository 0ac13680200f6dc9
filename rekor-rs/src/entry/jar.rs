//! `jar`: a Java archive with one signer (JAR file specification, "Signed JAR File").

mod archive;
mod manifest;

use pki::cms::SignedData;
use wire::rekor::Digest;
use wire::rekor::jar::{KIND, Proposed, body};

use super::{EntryError, Limits, Purpose, Terms, Verified, Verifier, from_spec, sha256_of};
use crate::pem;
use archive::Archive;

/// Verifies a `spec` of version 0.0.1.
pub(super) fn verify(
    spec: &str,
    _purpose: Purpose,
    limits: &Limits,
) -> Result<Verified, EntryError> {
    let proposed: Proposed<'_> = from_spec(spec)?;
    let archive = proposed
        .archive
        .ok_or_else(|| EntryError::missing_member("archive"))?;
    let content = archive.content.unwrap_or_default().0;
    if content.is_empty() {
        return Err(EntryError::NotInsertable("missing archive content"));
    }
    let hash = sha256_of(&content, "archive.hash", archive.hash.as_ref())?;
    let invalid = |error: archive::JarError| EntryError::Invalid(error.to_string());
    let (mut archive, signature) =
        Archive::open(&content, limits.package_metadata).map_err(invalid)?;
    let signed = SignedData::from_der(&signature.block)
        .map_err(|error| EntryError::Invalid(error.to_string()))?;
    signed
        .verify(Some(&signature.file))
        .map_err(|error| EntryError::Invalid(error.to_string()))?;
    archive.verify_digests(&signature.file).map_err(invalid)?;
    let certificate = signed
        .certificates()
        .first()
        .map(|der| pem::print("CERTIFICATE", der))
        .ok_or_else(|| EntryError::invalid("no certificate in signature"))?;
    let block = pem::print("PKCS7", &signed.detached());
    let mut terms = Terms::default();
    terms.add_key(block.as_bytes(), &[]);
    match Verifier::parse(certificate.as_bytes()) {
        Ok(verifier) => terms.add_verifier(&verifier),
        // Of a sort that nothing else here verifies with.
        Err(_) => terms.add_signer(certificate.as_bytes(), &[]),
    }
    terms.add_digest("sha256", &hash);
    let hash = Digest {
        algorithm: "sha256",
        value: &hash,
    };
    let body = body(hash, &block, &certificate);
    Ok(Verified::new(KIND, body, Vec::new(), terms))
}
