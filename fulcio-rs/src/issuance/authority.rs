//! The certificate authority: a chain and the key of its first certificate, checked at start.

use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keys::SharedSigner;
use pki::chain::{Chain, ChainError};

/// A certificate authority with one key. What every certificate needs of it is prepared once.
#[derive(Debug)]
pub struct Authority {
    chain: Chain,
    signer: SharedSigner,
    /// SHA-256 of the issuing key's SPKI.
    key_hash: [u8; 32],
    /// The chain as PEM, each with a final newline; then the chains that are prepared to succeed it.
    bundle: Vec<Vec<String>>,
    /// The chain as it is submitted to a log, without the leaf: base64 of each DER.
    base64: Vec<String>,
}

impl Authority {
    /// Checks the chain at `now` and that `signer` is its issuing key.
    pub fn new(chain: Chain, signer: SharedSigner, now: SystemTime) -> Result<Self, ChainError> {
        chain.check_certificate_authority(signer.public_key(), now)?;
        Ok(Self {
            key_hash: signer.public_key().key_id(),
            bundle: vec![chain.to_pem()],
            base64: chain
                .certificates()
                .map(|der| STANDARD.encode(der))
                .collect(),
            chain,
            signer,
        })
    }

    /// Publishes `successors` beside this chain: clients have to know them before they are used.
    #[must_use]
    pub fn with_successors(mut self, successors: &[Chain]) -> Self {
        self.bundle.extend(successors.iter().map(Chain::to_pem));
        self
    }

    /// The certificates, issuer first, root last.
    #[must_use]
    pub const fn chain(&self) -> &Chain {
        &self.chain
    }

    /// The certificates as PEM, each with a final newline.
    #[must_use]
    pub fn pem(&self) -> &[String] {
        self.bundle.first().map_or(&[], Vec::as_slice)
    }

    /// What clients have to trust, as [`Self::pem`]: this chain first, then those that are prepared
    /// to succeed it.
    #[must_use]
    pub fn bundle(&self) -> &[Vec<String>] {
        &self.bundle
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
