//! Whether a Sigstore bundle verifies under a trusted root.
//!
//! The question is not who signed, but whether the trust root still vouches for the signature: the
//! certificate chains to an authority that issued then, a Certificate Transparency log saw it, the
//! entry is in a log that is trusted for its time, every timestamp is by a trusted authority, and
//! all of them are about this signature.
//!
//! Clients differ. This verifier is as strict as the strictest of those in `conformance/`: what a
//! bundle carries must all verify, even where some client looks at one proof only. So a bundle that
//! passes here passes everywhere, and one that fails fails somewhere.
//!
//! [`Evidence`] is what is to be verified, taken from a bundle or from an entry of a log;
//! [`Anchors`] is a trusted root made ready; [`verify`] compares them. Pure: no I/O, no clock.

mod anchors;
mod body;
mod certificate;
mod entry;
mod evidence;
mod refusal;
mod timestamp;

pub use anchors::Anchors;
pub use evidence::{Content, Entry, Evidence, EvidenceError, Proof, Signer};
pub use refusal::Refusal;

use wire::trust::Timestamp;

/// Verifies `evidence`; returns the times that are vouched for, at least one.
pub fn verify(evidence: &Evidence, anchors: &Anchors) -> Result<Vec<Timestamp>, Refusal> {
    if evidence.entries.is_empty() && anchors.has_logs() {
        return Err(Refusal::NoEntry);
    }
    let mut times = Vec::new();
    let stamped = timestamp::verify(evidence, anchors)?;
    for one in &evidence.entries {
        times.extend(entry::verify(one, &stamped, anchors)?);
        body::check(one, evidence)?;
    }
    times.extend(stamped);
    if times.is_empty() {
        return Err(Refusal::NoTime);
    }
    if let Signer::Certificate(der) = &evidence.signer {
        certificate::verify(der, &times, anchors)?;
        evidence.check_signature(der)?;
    }
    Ok(times)
}

#[cfg(test)]
mod tests;
