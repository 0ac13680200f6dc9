//! Whose signature an entry holds, for rules about who may be logged.

use super::Verifier;

/// A signer: a key, and the certificates that came with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    key: [u8; 32],
    chain: Vec<Vec<u8>>,
}

impl Signer {
    pub(super) fn of(verifier: &Verifier) -> Self {
        Self {
            key: crypto::sha256(verifier.key().spki_der()),
            chain: verifier.chain().to_vec(),
        }
    }

    /// A key in a form that has no certificates.
    pub(super) fn bare(key: [u8; 32]) -> Self {
        Self {
            key,
            chain: Vec::new(),
        }
    }

    /// SHA-256 of the key: of its DER SPKI, or of its canonical form where it has none (SSH,
    /// minisign).
    #[must_use]
    pub fn key(&self) -> &[u8; 32] {
        &self.key
    }

    /// The certificates, DER, leaf first; none if there is a bare key.
    #[must_use]
    pub fn chain(&self) -> &[Vec<u8>] {
        &self.chain
    }
}
