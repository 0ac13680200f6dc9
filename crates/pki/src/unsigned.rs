//! Certificates between building and signing.

/// A certificate that lacks only its signature.
#[derive(Clone, Debug)]
pub struct Unsigned {
    tbs: Vec<u8>,
}

/// The signature does not have the form of one by the issuer's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a DER ECDSA signature of the issuer's key")]
pub struct SignatureForm;

impl Unsigned {
    /// The DER TBSCertificate: what the issuer's key signs.
    #[must_use]
    pub fn tbs(&self) -> &[u8] {
        &self.tbs
    }

    /// Puts the signature (DER ECDSA) on; returns the DER certificate.
    pub fn finish(self, _signature: &[u8]) -> Result<Vec<u8>, SignatureForm> {
        unimplemented!()
    }
}
