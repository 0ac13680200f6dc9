//! Signature verification on aws-lc-rs.

use crate::{Digest, HashAlgorithm, PublicKey};

/// A signature was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The signature does not verify under this key.
    #[error("invalid signature")]
    Invalid,
    /// This kind of key cannot be used with this hash.
    #[error("this key cannot verify a signature over this hash")]
    Unsupported,
}

impl PublicKey {
    /// Verifies `signature` over `message`.
    ///
    /// ECDSA: any curve with any hash, ASN.1 DER or raw `r‖s`. RSA: PKCS#1 v1.5.
    /// Ed25519: pure; `hash` is not used.
    pub fn verify(&self, _hash: HashAlgorithm, _message: &[u8], _signature: &[u8]) -> Result<(), VerifyError> {
        unimplemented!()
    }

    /// Verifies `signature` over a message of which only the digest is known.
    ///
    /// As [`Self::verify`], but Ed25519 means Ed25519ph (SHA-512 only, empty context).
    pub fn verify_digest(&self, _digest: &Digest, _signature: &[u8]) -> Result<(), VerifyError> {
        unimplemented!()
    }
}
