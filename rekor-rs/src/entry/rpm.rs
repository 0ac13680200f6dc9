//! `rpm`: an RPM package with the OpenPGP signatures in its signature header.

mod header;
mod package;

use wire::rekor::Digest;
use wire::rekor::rpm::{Headers, KIND, Proposed, body};

use super::{EntryError, Limits, Purpose, Terms, Verified, from_spec, pgp, sha256_of};
use package::Package;

/// Verifies a `spec` of version 0.0.1.
pub(super) fn verify(
    spec: &str,
    _purpose: Purpose,
    _limits: &Limits,
) -> Result<Verified, EntryError> {
    let proposed: Proposed<'_> = from_spec(spec)?;
    let keys = pgp::keyring(proposed.public_key)?;
    let package = proposed
        .package
        .ok_or_else(|| EntryError::missing_member("package"))?;
    let content = package.content.unwrap_or_default().0;
    if content.is_empty() && package.hash.is_none() {
        return Err(EntryError::invalid(
            "'content' must be specified for package",
        ));
    }
    if content.is_empty() {
        return Err(EntryError::NotInsertable("missing package content"));
    }
    let hash = sha256_of(&content, "package.hash", package.hash.as_ref())?;
    let invalid = |error: package::PackageError| EntryError::Invalid(error.to_string());
    let package = Package::parse(&content).map_err(invalid)?;
    package.verify(&keys).map_err(invalid)?;
    let name = package.name().map_err(invalid)?;

    let mut terms = Terms::default();
    pgp::add_terms(&mut terms, &keys);
    terms.add_digest("sha256", &hash);
    let hash = Digest {
        algorithm: "sha256",
        value: &hash,
    };
    let (epoch, md5) = (name.epoch.to_string(), package.md5().map(hex::encode));
    let headers = Headers {
        architecture: name.architecture,
        epoch: &epoch,
        name: name.name,
        md5: md5.as_deref(),
        release: name.release,
        version: name.version,
    };
    let body = body(hash, headers, keys.canonical());
    Ok(Verified::new(KIND, body, Vec::new(), terms))
}
