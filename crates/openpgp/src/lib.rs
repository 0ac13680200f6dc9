//! OpenPGP (RFC 9580, and RFC 4880 before it) as far as a transparency log needs it: keys that can
//! be printed in one canonical form, and signatures that are verified as of the time when they
//! were made.
//!
//! ```text
//! key ring     = certificate …                        binary, or armoured in one block or several
//! certificate  = primary key, revocation …, (user id, certification …) …, (subkey, binding …) …
//! signature    = signature packet …                   binary or armoured
//! cleartext    = text with dashes escaped, armoured signature            RFC 9580 section 7
//! ```
//!
//! Packets are read and signatures verified by the crate `pgp`. What counts as a usable key, and
//! what of it is printed, follows Rekor's rules to the byte, because the digest of the canonical
//! form is what entries are found by and part of every leaf.
//!
//! Everything comes from outside, so everything has a bound: bytes, blocks of armour, packets,
//! certificates, user ids, subkeys, and signatures that are verified. Nothing is ever decompressed.

mod armor;
mod certificate;
mod cleartext;
mod error;
mod keyring;
mod packet;
mod signature;

pub use cleartext::Cleartext;
pub use error::Error;
pub use keyring::Keyring;
pub use signature::{DetachedSignature, SignaturePacket};

use pgp::crypto::hash::HashAlgorithm;

/// The digest of `parts` under a hash algorithm's OpenPGP number (RFC 9580 section 9.5); `None` for
/// numbers without an algorithm. RPM packages use the same numbers, MD5 and SHA-1 among them, so
/// this says nothing about strength.
#[must_use]
pub fn digest(algorithm: u8, parts: &[&[u8]]) -> Option<Vec<u8>> {
    let mut hasher = HashAlgorithm::from(algorithm).new_hasher().ok()?;
    parts.iter().for_each(|part| hasher.update(part));
    Some(hasher.finalize().into_vec())
}

#[cfg(test)]
mod tests;
