//! Certificates, and requests for them, between building and signing.

use crypto::{KeyKind, PublicKey};

use crate::{oid, tlv};

/// A certificate, or a request for one, that lacks only its signature.
#[derive(Clone, Debug)]
pub struct Unsigned {
    tbs: Vec<u8>,
    algorithm: SignatureAlgorithm,
}

/// The signature does not have the form of one by the issuer's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a DER ECDSA signature")]
pub struct SignatureForm;

impl Unsigned {
    pub(crate) const fn new(tbs: Vec<u8>, algorithm: SignatureAlgorithm) -> Self {
        Self { tbs, algorithm }
    }

    /// The DER TBSCertificate (or CertificationRequestInfo): what the issuer's key signs (P-256 with SHA-256, P-384 with
    /// SHA-384).
    #[must_use]
    pub fn tbs(&self) -> &[u8] {
        &self.tbs
    }

    /// Puts the signature (DER ECDSA) on; returns the DER certificate, or request.
    ///
    /// Only the signature's form is checked: a signer verifies what it signed.
    pub fn finish(self, signature: &[u8]) -> Result<Vec<u8>, SignatureForm> {
        if !tlv::is_ecdsa_signature(signature) {
            return Err(SignatureForm);
        }
        let signature = tlv::encode(tlv::BIT_STRING, &[&[0], signature]);
        Ok(tlv::encode(
            tlv::SEQUENCE,
            &[&self.tbs, &self.algorithm.identifier(), &signature],
        ))
    }
}

/// The algorithms that a certificate authority of ours signs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignatureAlgorithm {
    EcdsaSha256,
    EcdsaSha384,
}

impl SignatureAlgorithm {
    /// The algorithm that goes with an issuer's key. Clients of Sigstore verify no others reliably.
    pub(crate) fn of(issuer: &PublicKey) -> Option<Self> {
        match issuer.kind() {
            KeyKind::EcdsaP256 => Some(Self::EcdsaSha256),
            KeyKind::EcdsaP384 => Some(Self::EcdsaSha384),
            KeyKind::EcdsaP521 | KeyKind::Ed25519 | KeyKind::Rsa { .. } => None,
        }
    }

    /// DER AlgorithmIdentifier, without parameters (RFC 5758 section 3.2).
    pub(crate) fn identifier(self) -> Vec<u8> {
        let oid = match self {
            Self::EcdsaSha256 => oid::ECDSA_WITH_SHA256,
            Self::EcdsaSha384 => oid::ECDSA_WITH_SHA384,
        };
        tlv::encode(tlv::SEQUENCE, &[&tlv::encode(tlv::OID, &[oid])])
    }
}
