//! `helm`: the provenance file of a Helm chart, signed with OpenPGP.

mod provenance;

use wire::rekor::Digest;
use wire::rekor::helm::{KIND, Proposed, body};

use super::{EntryError, Limits, Purpose, Terms, Verified, from_spec, pgp};

/// Verifies a `spec` of version 0.0.1.
pub(super) fn verify(
    spec: &str,
    _purpose: Purpose,
    _limits: &Limits,
) -> Result<Verified, EntryError> {
    let proposed: Proposed = from_spec(spec)?;
    let keys = pgp::keyring(proposed.public_key)?;
    let provenance = proposed
        .chart
        .ok_or_else(|| EntryError::missing_member("chart"))?
        .provenance
        .ok_or_else(|| EntryError::missing_member("chart.provenance"))?
        .content
        .filter(|content| !content.0.is_empty())
        .ok_or(EntryError::NotInsertable("missing provenance content"))?;
    let message = openpgp::Cleartext::parse(&provenance.0)?;
    message.verify(&keys)?;
    let hash = provenance::chart_hash(message.text())
        .map_err(|error| EntryError::Invalid(error.to_string()))?;

    let mut terms = Terms::default();
    pgp::add_terms(&mut terms, &keys);
    terms.add_digest("sha256", &hash);
    let hash = Digest {
        algorithm: "sha256",
        value: &hash,
    };
    let body = body(hash, message.signature().canonical(), keys.canonical());
    Ok(Verified::new(KIND, body, Vec::new(), terms))
}
