//! `alpine`: a package of Alpine Linux with the RSA signature over its control member.

mod apk;
mod pkginfo;

use wire::rekor::Digest;
use wire::rekor::alpine::{KIND, Proposed, body};

use super::{EntryError, Limits, Purpose, Terms, Verified, Verifier, from_spec, sha256_of};
use apk::Package;

/// Verifies a `spec` of version 0.0.1.
pub(super) fn verify(
    spec: &str,
    _purpose: Purpose,
    limits: &Limits,
) -> Result<Verified, EntryError> {
    let proposed: Proposed<'_> = from_spec(spec)?;
    let key = proposed
        .public_key
        .ok_or_else(|| EntryError::missing_member("publicKey"))?
        .content
        .filter(|content| !content.0.is_empty())
        .ok_or_else(|| EntryError::invalid("'content' must be specified for publicKey"))?;
    let package = proposed
        .package
        .ok_or_else(|| EntryError::missing_member("package"))?;
    let content = package.content.unwrap_or_default().0;
    if content.is_empty() {
        return Err(EntryError::NotInsertable("missing package content"));
    }
    let verifier = Verifier::parse(&key.0)?;
    let hash = sha256_of(&content, "package.hash", package.hash.as_ref())?;
    let package = Package::parse(&content, limits.package_metadata)
        .map_err(|error| EntryError::Invalid(error.to_string()))?;
    verifier
        .verify_chain()
        .map_err(|error| EntryError::Invalid(error.to_string()))?;
    verifier
        .key()
        .verify_sha1_for_legacy_use_only(package.control, &package.signature)
        .map_err(|_| EntryError::invalid("crypto/rsa: verification error"))?;

    let mut terms = Terms::default();
    terms.add_verifier(&verifier);
    terms.add_digest("sha256", &hash);
    let hash = Digest {
        algorithm: "sha256",
        value: &hash,
    };
    let body = body(hash, &package.pkginfo, verifier.canonical())
        .ok_or_else(|| EntryError::invalid("package description cannot be printed"))?;
    Ok(Verified::new(KIND, body, Vec::new(), terms))
}
