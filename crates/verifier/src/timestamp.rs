//! RFC 3161 timestamps over the signature.

use pki::certificate::Certificate;
use pki::rfc3161;
use wire::trust::Timestamp;

use crate::anchors::{Anchors, Authority};
use crate::evidence::Evidence;
use crate::refusal::Refusal;

/// Verifies all timestamps; returns their times.
pub(crate) fn verify(evidence: &Evidence, anchors: &Anchors) -> Result<Vec<Timestamp>, Refusal> {
    let stamps = evidence.timestamps.iter();
    stamps.map(|der| one(der, evidence, anchors)).collect()
}

fn one(der: &[u8], evidence: &Evidence, anchors: &Anchors) -> Result<Timestamp, Refusal> {
    let fail = |reason: String| Refusal::Timestamp(reason);
    let stamp =
        rfc3161::Timestamp::from_response(der).map_err(|e| fail(format!("cannot be read: {e}")))?;
    let at = Timestamp::try_from(stamp.time()).map_err(|e| fail(e.to_string()))?;
    let mut refused = Refusal::UnknownTimestampAuthority(at);
    for authority in &anchors.timestamp_authorities {
        let Ok(signer) = Certificate::from_der(authority.chain.first()) else {
            continue;
        };
        match stamp.verify(&evidence.signature, &signer) {
            Ok(()) => {}
            Err(rfc3161::ResponseError::Imprint) => {
                return Err(fail("is over other data".to_owned()));
            }
            Err(_) => continue,
        }
        match valid_at(authority, at) {
            Ok(()) => return Ok(at),
            Err(refusal) => refused = refusal,
        }
    }
    Err(refused)
}

fn valid_at(authority: &Authority, at: Timestamp) -> Result<(), Refusal> {
    // One client takes the end as exclusive.
    let (chain, range) = (&authority.chain, authority.range);
    if !range.contains(at) || range.end == Some(at) {
        return Err(Refusal::TimestampPeriod { range, at });
    }
    chain
        .check_timestamp_authority(chain.public_key(), at.into(), false)
        .map_err(|e| Refusal::Timestamp(format!("of {at} has no valid chain: {e}")))
}
