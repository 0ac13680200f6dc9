//! `intoto`: an in-toto attestation. The log keeps its signatures and the hash of its payload, and
//! the payload itself beside the entry.

pub(super) mod v0_0_1;
pub(super) mod v0_0_2;

use super::Limits;

/// The attestation to keep: the payload, unless the room that its base64 text needs (at most two
/// bytes more) is over the bound. Longer ones are left out; the entry is taken all the same.
fn attestation(encoded: usize, payload: Vec<u8>, limits: &Limits) -> Vec<u8> {
    match encoded / 4 * 3 <= limits.attestation {
        true => payload,
        false => Vec::new(),
    }
}
