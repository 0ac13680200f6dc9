//! Private keys in memory, on aws-lc-rs.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1,
    ECDSA_P384_SHA384_ASN1_SIGNING, ED25519, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair,
    KeyPair, ParsedPublicKey, Signature,
};
use pkcs8::{ObjectIdentifier, PrivateKeyInfoRef};
use zeroize::Zeroizing;

use crate::Algorithm;

const ID_EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const SECP256R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const SECP384R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const ID_ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// Why there is no key, or no signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PairError {
    #[error("its algorithm is not supported; use an ECDSA P-256, ECDSA P-384 or Ed25519 key")]
    Algorithm,
    #[error("it does not hold a valid private key")]
    Key,
}

/// A private key with its public half, of a kind that signs here.
pub(crate) enum Pair {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Pair {
    pub(crate) fn generate(algorithm: Algorithm) -> Result<Self, PairError> {
        match algorithm {
            Algorithm::EcdsaP256Sha256 => {
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map(Self::Ecdsa)
            }
            Algorithm::EcdsaP384Sha384 => {
                EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING).map(Self::Ecdsa)
            }
            Algorithm::Ed25519 => Ed25519KeyPair::generate().map(Self::Ed25519),
        }
        .map_err(|_| PairError::Key)
    }

    pub(crate) fn from_private_key_info(der: &[u8]) -> Result<Self, PairError> {
        let info = PrivateKeyInfoRef::try_from(der).map_err(|_| PairError::Key)?;
        if info.algorithm.oid == ID_ED25519 {
            // The check left out is of a public key beside the private one, which files need not have;
            // ours is always computed from the private key.
            return Ed25519KeyPair::from_pkcs8_maybe_unchecked(der)
                .map(Self::Ed25519)
                .map_err(|_| PairError::Key);
        }
        if info.algorithm.oid != ID_EC_PUBLIC_KEY {
            return Err(PairError::Algorithm);
        }
        let signing: &'static EcdsaSigningAlgorithm = match info.algorithm.parameters_oid() {
            Ok(SECP256R1) => &ECDSA_P256_SHA256_ASN1_SIGNING,
            Ok(SECP384R1) => &ECDSA_P384_SHA384_ASN1_SIGNING,
            Ok(_) | Err(_) => return Err(PairError::Algorithm),
        };
        EcdsaKeyPair::from_private_key_der(signing, der)
            .map(Self::Ecdsa)
            .map_err(|_| PairError::Key)
    }

    pub(crate) fn from_sec1(der: &[u8]) -> Result<Self, PairError> {
        [
            &ECDSA_P256_SHA256_ASN1_SIGNING,
            &ECDSA_P384_SHA384_ASN1_SIGNING,
        ]
        .into_iter()
        .find_map(|signing| EcdsaKeyPair::from_private_key_der(signing, der).ok())
        .map(Self::Ecdsa)
        .ok_or(PairError::Algorithm)
    }

    /// The DER `PrivateKeyInfo` (RFC 5208, version 1, which every tool reads).
    pub(crate) fn private_key_info(&self) -> Result<Zeroizing<Vec<u8>>, PairError> {
        let document = match self {
            Self::Ecdsa(pair) => pair.to_pkcs8v1(),
            Self::Ed25519(pair) => pair.to_pkcs8v1(),
        };
        document
            .map(|document| Zeroizing::new(document.as_ref().to_vec()))
            .map_err(|_| PairError::Key)
    }

    pub(crate) fn algorithm(&self) -> Algorithm {
        match self {
            Self::Ecdsa(pair) if pair.algorithm() == &ECDSA_P256_SHA256_ASN1_SIGNING => {
                Algorithm::EcdsaP256Sha256
            }
            Self::Ecdsa(_) => Algorithm::EcdsaP384Sha384,
            Self::Ed25519(_) => Algorithm::Ed25519,
        }
    }

    /// The public half, computed from the private one, as DER `SubjectPublicKeyInfo`.
    pub(crate) fn public_key(&self) -> Result<Vec<u8>, PairError> {
        let spki = match self {
            Self::Ecdsa(pair) => pair.public_key().as_der(),
            Self::Ed25519(pair) => pair.public_key().as_der(),
        };
        spki.map(|spki| spki.as_ref().to_vec())
            .map_err(|_| PairError::Key)
    }

    /// The public half as the library verifies with it.
    pub(crate) fn verifier(&self) -> Result<ParsedPublicKey, PairError> {
        match self {
            Self::Ecdsa(pair) => {
                let algorithm = match self.algorithm() {
                    Algorithm::EcdsaP256Sha256 => &ECDSA_P256_SHA256_ASN1,
                    _ => &ECDSA_P384_SHA384_ASN1,
                };
                ParsedPublicKey::new(algorithm, pair.public_key().as_ref())
            }
            Self::Ed25519(pair) => ParsedPublicKey::new(&ED25519, pair.public_key().as_ref()),
        }
        .map_err(|_| PairError::Key)
    }

    /// Signs `message`; nothing has checked the signature yet.
    pub(crate) fn sign_unchecked(&self, message: &[u8]) -> Result<Signature, PairError> {
        match self {
            Self::Ecdsa(pair) => pair.sign(&SystemRandom::new(), message),
            Self::Ed25519(pair) => pair.try_sign(message),
        }
        .map_err(|_| PairError::Key)
    }
}
