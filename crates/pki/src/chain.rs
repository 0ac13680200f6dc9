//! Certificate chains, and what a service checks of its own at start.

use std::time::SystemTime;

/// A chain, issuer (or timestamping leaf) first, root last; at least one certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    certificates: Vec<Vec<u8>>,
}

/// Why a chain was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// Not a PEM certificate chain.
    #[error("not a PEM certificate chain: {0}")]
    Malformed(String),
    /// A rule is broken.
    #[error("certificate {position} of the chain: {reason}")]
    Refused {
        /// 0 for the first.
        position: usize,
        /// What is wrong.
        reason: String,
    },
}

impl Chain {
    /// Parses PEM certificates: 1 to 10, each at most 64 KiB.
    pub fn from_pem(_pem: &str) -> Result<Self, ChainError> {
        unimplemented!()
    }

    /// A chain of DER certificates, first to root.
    pub fn from_der(_certificates: Vec<Vec<u8>>) -> Result<Self, ChainError> {
        unimplemented!()
    }

    /// The DER certificates, in order.
    pub fn certificates(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.certificates.iter().map(Vec::as_slice)
    }

    /// DER of the first certificate: the issuer, or the timestamping leaf.
    #[must_use]
    pub fn first(&self) -> &[u8] {
        unimplemented!()
    }

    /// DER of the root.
    #[must_use]
    pub fn root(&self) -> &[u8] {
        unimplemented!()
    }

    /// Key of the first certificate.
    #[must_use]
    pub fn public_key(&self) -> &crypto::PublicKey {
        unimplemented!()
    }

    /// Validity that all certificates of the chain share: latest start, earliest end (inclusive).
    #[must_use]
    pub fn validity(&self) -> (SystemTime, SystemTime) {
        unimplemented!()
    }

    /// Each certificate as PEM, with a final newline.
    #[must_use]
    pub fn to_pem(&self) -> Vec<String> {
        unimplemented!()
    }

    /// The start-up checks of a certificate authority: a valid path to the last certificate at
    /// `now`, for code signing; the first certificate is a CA whose key is `signer`.
    pub fn check_certificate_authority(&self, _signer: &crypto::PublicKey, _now: SystemTime) -> Result<(), ChainError> {
        unimplemented!()
    }

    /// The start-up checks of a timestamp authority: at least two certificates; a valid path at
    /// `now`; the first is not a CA, has exactly one extended key usage, timeStamping, critical,
    /// and its key is `signer`; every intermediate lists timeStamping if `intermediate_eku`.
    pub fn check_timestamp_authority(
        &self,
        _signer: &crypto::PublicKey,
        _now: SystemTime,
        _intermediate_eku: bool,
    ) -> Result<(), ChainError> {
        unimplemented!()
    }
}
