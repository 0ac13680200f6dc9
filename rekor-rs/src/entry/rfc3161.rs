//! `rfc3161`: a timestamp response, whose token must carry the certificate that signed it.

use wire::rekor::rfc3161::{KIND, Proposed, body};

use super::{EntryError, Limits, Purpose, Terms, Verified, from_spec};

/// Longest response, in bytes: room for a chain of certificates, no more.
const MAX_RESPONSE: usize = 10 * 1024;

/// Verifies a `spec` of version 0.0.1. Its canonical form is a proposal, too.
pub(super) fn verify(
    spec: &str,
    _purpose: Purpose,
    _limits: &Limits,
) -> Result<Verified, EntryError> {
    let proposed: Proposed = from_spec(spec)?;
    let response = proposed
        .tsr
        .ok_or_else(|| EntryError::missing_member("tsr"))?
        .content
        .map(|content| content.0)
        .filter(|content| !content.is_empty())
        .ok_or_else(|| EntryError::missing_member("tsr.content"))?;
    if response.len() > MAX_RESPONSE {
        return Err(EntryError::invalid(
            "tsr exceeds maximum allowed size (10kB)",
        ));
    }
    pki::rfc3161::verify_response(&response)
        .map_err(|error| EntryError::Invalid(error.to_string()))?;
    let mut terms = Terms::default();
    terms.add_digest("sha256", &hex::encode(crypto::sha256(&response)));
    Ok(Verified::new(KIND, body(&response), Vec::new(), terms))
}
