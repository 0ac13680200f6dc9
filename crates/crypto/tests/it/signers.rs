//! Fresh keys of every kind that sign, from implementations other than the verifier's where
//! one exists.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair, RsaEncoding};
use crypto::{HashAlgorithm, PublicKey};
use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::pkcs8::EncodePublicKey;

pub(crate) const HASHES: [HashAlgorithm; 3] = [
    HashAlgorithm::Sha256,
    HashAlgorithm::Sha384,
    HashAlgorithm::Sha512,
];

/// An ECDSA key that gives a signature in both forms.
pub(crate) enum EcdsaSigner {
    P256(p256::ecdsa::SigningKey),
    P384(p384::ecdsa::SigningKey),
    P521(Vec<u8>),
}

/// The two forms of one signature.
pub(crate) struct EcdsaSignature {
    pub(crate) asn1: Vec<u8>,
    pub(crate) raw: Vec<u8>,
}

impl EcdsaSigner {
    /// One of each curve.
    pub(crate) fn all() -> [Self; 3] {
        let p521 = EcdsaKeyPair::generate(&signature::ECDSA_P521_SHA512_ASN1_SIGNING).unwrap();
        [
            Self::P256(p256::ecdsa::SigningKey::from_slice(&random::<32>()).unwrap()),
            Self::P384(p384::ecdsa::SigningKey::from_slice(&random::<48>()).unwrap()),
            Self::P521(p521.to_pkcs8v1().unwrap().as_ref().to_vec()),
        ]
    }

    pub(crate) fn public_key(&self) -> PublicKey {
        let spki = match self {
            Self::P256(key) => key.verifying_key().to_public_key_der().unwrap().into_vec(),
            Self::P384(key) => key.verifying_key().to_public_key_der().unwrap().into_vec(),
            Self::P521(pkcs8) => {
                let key = pair(&signature::ECDSA_P521_SHA512_ASN1_SIGNING, pkcs8);
                let der: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
                der.as_ref().to_vec()
            }
        };
        PublicKey::from_spki_der(&spki).unwrap()
    }

    pub(crate) fn sign(&self, hash: HashAlgorithm, message: &[u8]) -> EcdsaSignature {
        let digest = hash.digest(message);
        match self {
            Self::P256(key) => {
                let signature: p256::ecdsa::Signature =
                    key.sign_prehash(digest.as_bytes()).unwrap();
                EcdsaSignature {
                    asn1: signature.to_der().as_bytes().to_vec(),
                    raw: signature.to_bytes().to_vec(),
                }
            }
            Self::P384(key) => {
                let signature: p384::ecdsa::Signature =
                    key.sign_prehash(digest.as_bytes()).unwrap();
                EcdsaSignature {
                    asn1: signature.to_der().as_bytes().to_vec(),
                    raw: signature.to_bytes().to_vec(),
                }
            }
            Self::P521(pkcs8) => {
                let (asn1, fixed) = match hash {
                    HashAlgorithm::Sha256 => (
                        &signature::ECDSA_P521_SHA256_ASN1_SIGNING,
                        &signature::ECDSA_P521_SHA256_FIXED_SIGNING,
                    ),
                    HashAlgorithm::Sha384 => (
                        &signature::ECDSA_P521_SHA384_ASN1_SIGNING,
                        &signature::ECDSA_P521_SHA384_FIXED_SIGNING,
                    ),
                    HashAlgorithm::Sha512 => (
                        &signature::ECDSA_P521_SHA512_ASN1_SIGNING,
                        &signature::ECDSA_P521_SHA512_FIXED_SIGNING,
                    ),
                };
                let sign = |algorithm| {
                    let signature = pair(algorithm, pkcs8).sign(&SystemRandom::new(), message);
                    signature.unwrap().as_ref().to_vec()
                };
                EcdsaSignature {
                    asn1: sign(asn1),
                    raw: sign(fixed),
                }
            }
        }
    }
}

fn pair(algorithm: &'static EcdsaSigningAlgorithm, pkcs8: &[u8]) -> EcdsaKeyPair {
    EcdsaKeyPair::from_pkcs8(algorithm, pkcs8).unwrap()
}

pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    // Below the order of every curve.
    bytes[0] = 0x11;
    bytes
}

/// An RSA key.
pub(crate) struct RsaSigner(signature::RsaKeyPair);

impl RsaSigner {
    pub(crate) fn generate(size: KeySize) -> Self {
        Self(signature::RsaKeyPair::generate(size).unwrap())
    }

    /// The DER `RSAPublicKey`.
    pub(crate) fn pkcs1(&self) -> Vec<u8> {
        self.0.public_key().as_ref().to_vec()
    }

    pub(crate) fn spki(&self) -> Vec<u8> {
        let der: PublicKeyX509Der<'_> = self.0.public_key().as_der().unwrap();
        der.as_ref().to_vec()
    }

    pub(crate) fn sign(&self, hash: HashAlgorithm, message: &[u8]) -> Vec<u8> {
        self.sign_with(
            match hash {
                HashAlgorithm::Sha256 => &signature::RSA_PKCS1_SHA256,
                HashAlgorithm::Sha384 => &signature::RSA_PKCS1_SHA384,
                HashAlgorithm::Sha512 => &signature::RSA_PKCS1_SHA512,
            },
            message,
        )
    }

    pub(crate) fn sign_with(&self, encoding: &'static dyn RsaEncoding, message: &[u8]) -> Vec<u8> {
        let mut out = vec![0; self.0.public_modulus_len()];
        self.0
            .sign(encoding, &SystemRandom::new(), message, &mut out)
            .unwrap();
        out
    }
}
