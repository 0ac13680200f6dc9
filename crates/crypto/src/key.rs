//! Public keys.

/// What kind of key a [`PublicKey`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// ECDSA on NIST P-256.
    EcdsaP256,
    /// ECDSA on NIST P-384.
    EcdsaP384,
    /// ECDSA on NIST P-521.
    EcdsaP521,
    /// Ed25519.
    Ed25519,
    /// RSA with a modulus of this many bits.
    Rsa {
        /// Length of the modulus, in bits.
        bits: usize,
    },
}

/// A public key, parsed and kept with its DER `SubjectPublicKeyInfo`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PublicKey {
    pub(crate) kind: KeyKind,
    pub(crate) spki_der: Vec<u8>,
    /// What aws-lc-rs verifies with: the uncompressed point, the 32 bytes, or the PKCS#1 key.
    pub(crate) raw: Vec<u8>,
}

/// Why a public key was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not the expected encoding.
    #[error("not a public key: {0}")]
    Malformed(String),
    /// Understood, but of a kind that nothing here can verify with.
    #[error("unsupported public key algorithm: {0}")]
    Unsupported(String),
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PublicKey({:?}, {})", self.kind, hex::encode(self.key_id()))
    }
}

impl PublicKey {
    /// Parses a DER `SubjectPublicKeyInfo` (no trailing bytes; the point must be on its curve).
    pub fn from_spki_der(_der: &[u8]) -> Result<Self, KeyError> {
        unimplemented!()
    }

    /// Parses the first PEM block: `PUBLIC KEY` (SPKI) or `RSA PUBLIC KEY` (PKCS#1).
    pub fn from_pem(_pem: &str) -> Result<Self, KeyError> {
        unimplemented!()
    }

    /// The key that a DER certificate certifies. Nothing else of the certificate is checked.
    pub fn from_certificate_der(_der: &[u8]) -> Result<Self, KeyError> {
        unimplemented!()
    }

    /// The kind of key.
    #[must_use]
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The DER `SubjectPublicKeyInfo`.
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    /// PEM `PUBLIC KEY`, 64 columns, one final newline.
    #[must_use]
    pub fn to_pem(&self) -> String {
        unimplemented!()
    }

    /// SHA-256 of the DER SPKI: the log id of RFC 6962 and Rekor v1.
    #[must_use]
    pub fn key_id(&self) -> [u8; 32] {
        crate::sha256(&self.spki_der)
    }
}
