//! The certificate authority: a chain and the key of its first certificate, checked at start.

use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keys::SharedSigner;
use pki::chain::{Chain, ChainError};

/// A certificate authority. What every certificate needs of it is prepared once.
#[derive(Debug)]
pub struct Authority {
    chain: Chain,
    signer: SharedSigner,
    /// SHA-256 of the issuing key's SPKI.
    key_hash: [u8; 32],
    /// The chain as PEM, each with a final newline.
    pem: Vec<String>,
    /// The chain as it is submitted to a log, without the leaf: base64 of each DER.
    base64: Vec<String>,
}

impl Authority {
    /// Checks the chain at `now` and that `signer` is its issuing key.
    pub fn new(chain: Chain, signer: SharedSigner, now: SystemTime) -> Result<Self, ChainError> {
        chain.check_certificate_authority(signer.public_key(), now)?;
        Ok(Self {
            key_hash: signer.public_key().key_id(),
            pem: chain.to_pem(),
            base64: chain
                .certificates()
                .map(|der| STANDARD.encode(der))
                .collect(),
            chain,
            signer,
        })
    }

    /// The certificates, issuer first, root last.
    #[must_use]
    pub const fn chain(&self) -> &Chain {
        &self.chain
    }

    /// The certificates as PEM, each with a final newline.
    #[must_use]
    pub fn pem(&self) -> &[String] {
        &self.pem
    }

    /// The issuing key.
    #[must_use]
    pub const fn signer(&self) -> &SharedSigner {
        &self.signer
    }

    /// SHA-256 of the issuing key (SPKI).
    pub(crate) const fn key_hash(&self) -> [u8; 32] {
        self.key_hash
    }

    pub(super) fn base64(&self) -> &[String] {
        &self.base64
    }
}
