//! Bytes in base64 and the names of key types.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto::{KeyKind, PublicKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes, in standard padded base64 (RFC 4648 §4; not the URL-safe alphabet).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Base64(pub Vec<u8>);

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        STANDARD
            .decode(text.as_bytes())
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}

/// `PublicKeyDetails`: the type of a log's key and how it signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(non_camel_case_types, reason = "the names of the protobuf enumeration")]
pub enum KeyDetails {
    /// ECDSA P-256 with SHA-256.
    PKIX_ECDSA_P256_SHA_256,
    /// ECDSA P-384 with SHA-384.
    PKIX_ECDSA_P384_SHA_384,
    /// ECDSA P-521 with SHA-512.
    PKIX_ECDSA_P521_SHA_512,
    /// RSA 2048, PKCS#1 v1.5, SHA-256.
    PKIX_RSA_PKCS1V15_2048_SHA256,
    /// RSA 3072, PKCS#1 v1.5, SHA-256.
    PKIX_RSA_PKCS1V15_3072_SHA256,
    /// RSA 4096, PKCS#1 v1.5, SHA-256.
    PKIX_RSA_PKCS1V15_4096_SHA256,
    /// Pure Ed25519.
    PKIX_ED25519,
}

impl KeyDetails {
    /// The name for this key; `None` if no client can use such a key for a log.
    #[must_use]
    pub fn of(key: &PublicKey) -> Option<Self> {
        match key.kind() {
            KeyKind::EcdsaP256 => Some(Self::PKIX_ECDSA_P256_SHA_256),
            KeyKind::EcdsaP384 => Some(Self::PKIX_ECDSA_P384_SHA_384),
            KeyKind::EcdsaP521 => Some(Self::PKIX_ECDSA_P521_SHA_512),
            KeyKind::Ed25519 => Some(Self::PKIX_ED25519),
            KeyKind::Rsa { bits: 2048 } => Some(Self::PKIX_RSA_PKCS1V15_2048_SHA256),
            KeyKind::Rsa { bits: 3072 } => Some(Self::PKIX_RSA_PKCS1V15_3072_SHA256),
            KeyKind::Rsa { bits: 4096 } => Some(Self::PKIX_RSA_PKCS1V15_4096_SHA256),
            KeyKind::Rsa { .. } => None,
        }
    }
}
