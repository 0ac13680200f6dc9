//! Refusal of keys that are too weak to certify.

use crate::PublicKey;

/// Why a key is too weak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("weak key: {0}")]
pub struct WeakKey(pub &'static str);

/// Refuses RSA other than 2048, 3072 or 4096 bits with e = 65537, small factors, ROCA and
/// close primes (Fermat).
pub fn check_strength(_key: &PublicKey) -> Result<(), WeakKey> {
    unimplemented!()
}
