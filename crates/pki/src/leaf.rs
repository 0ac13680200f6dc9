//! The code-signing certificates that Fulcio issues.

use std::time::SystemTime;

use crate::sct::SignedCertificateTimestamp;
use crate::{Serial, Unsigned};

/// The one subject alternative name of a leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum San {
    /// `rfc822Name`; ASCII.
    Email(String),
    /// `uniformResourceIdentifier`; ASCII.
    Uri(String),
    /// `otherName` 1.3.6.1.4.1.57264.1.7: a UTF8String.
    OtherName(String),
}

/// An extension 1.3.6.1.4.1.57264.1.`number`.
///
/// Numbers 1 to 6 carry the text as it is, the later ones a DER UTF8String.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FulcioExtension {
    /// Last arc: 1 to 6, or 8 and above.
    pub number: u32,
    /// Value.
    pub value: String,
}

/// What to put into a leaf.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// The key that is certified; its SPKI is copied byte for byte.
    pub public_key: crypto::PublicKey,
    /// Identity.
    pub san: San,
    /// Sigstore extensions, in this order.
    pub extensions: Vec<FulcioExtension>,
    /// Start of validity; truncated to whole seconds.
    pub not_before: SystemTime,
    /// End of validity (inclusive); truncated to whole seconds.
    pub not_after: SystemTime,
    /// Serial number, the same in precertificate and certificate.
    pub serial: Serial,
}

/// Why a leaf was not built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    /// A value cannot be put into a certificate.
    #[error("{0}")]
    Content(&'static str),
}

/// Precertificate and certificate do not belong together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("certificate does not correspond to its precertificate: {0}")]
pub struct Mismatch(pub &'static str);

impl Leaf {
    /// The precertificate: the leaf with the critical poison extension last.
    pub fn precertificate(&self, _issuer_der: &[u8]) -> Result<Unsigned, LeafError> {
        unimplemented!()
    }

    /// The certificate: the leaf with the SCT list last, or without one if `scts` is empty.
    pub fn certificate(
        &self,
        _issuer_der: &[u8],
        _scts: &[SignedCertificateTimestamp],
    ) -> Result<Unsigned, LeafError> {
        unimplemented!()
    }
}

/// Checks that a certificate is its precertificate with the poison replaced by an SCT list:
/// nothing else may differ, by a byte.
pub fn correspond(_precert_der: &[u8], _final_der: &[u8]) -> Result<(), Mismatch> {
    unimplemented!()
}
