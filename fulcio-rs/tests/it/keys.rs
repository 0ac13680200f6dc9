//! Keys of clients and of identity providers.

use std::sync::OnceLock;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RsaEncoding, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// A key pair that signs what tests ask for.
pub(crate) enum Key {
    Ecdsa {
        der: EcdsaKeyPair,
        fixed: EcdsaKeyPair,
        curve: &'static str,
    },
    Rsa(RsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

fn ecdsa(
    der: &'static EcdsaSigningAlgorithm,
    fixed: &'static EcdsaSigningAlgorithm,
    curve: &'static str,
) -> Key {
    let pair = EcdsaKeyPair::generate(der).unwrap();
    let pkcs8 = pair.to_pkcs8v1().unwrap();
    let fixed = EcdsaKeyPair::from_pkcs8(fixed, pkcs8.as_ref()).unwrap();
    Key::Ecdsa {
        der: pair,
        fixed,
        curve,
    }
}

impl Key {
    pub(crate) fn p256() -> Self {
        ecdsa(
            &signature::ECDSA_P256_SHA256_ASN1_SIGNING,
            &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
            "P-256",
        )
    }

    pub(crate) fn p384() -> Self {
        ecdsa(
            &signature::ECDSA_P384_SHA384_ASN1_SIGNING,
            &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
            "P-384",
        )
    }

    pub(crate) fn p521() -> Self {
        ecdsa(
            &signature::ECDSA_P521_SHA512_ASN1_SIGNING,
            &signature::ECDSA_P521_SHA512_FIXED_SIGNING,
            "P-521",
        )
    }

    pub(crate) fn ed25519() -> Self {
        Self::Ed25519(Ed25519KeyPair::generate().unwrap())
    }

    pub(crate) fn rsa(size: aws_lc_rs::rsa::KeySize) -> Self {
        Self::Rsa(RsaKeyPair::generate(size).unwrap())
    }

    /// DER SubjectPublicKeyInfo.
    pub(crate) fn spki(&self) -> Vec<u8> {
        let der: PublicKeyX509Der<'_> = match self {
            Self::Ecdsa { der, .. } => der.public_key().as_der().unwrap(),
            Self::Rsa(pair) => pair.public_key().as_der().unwrap(),
            Self::Ed25519(pair) => pair.public_key().as_der().unwrap(),
        };
        der.as_ref().to_vec()
    }

    pub(crate) fn pem(&self) -> String {
        pem::encode(&pem::Pem::new("PUBLIC KEY", self.spki()))
    }

    /// The signature that Fulcio wants from this kind of key.
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Ecdsa { der, .. } => der
                .sign(&SystemRandom::new(), message)
                .unwrap()
                .as_ref()
                .to_vec(),
            Self::Rsa(_) => self.sign_rsa(&signature::RSA_PKCS1_SHA256, message),
            Self::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    pub(crate) fn sign_rsa(&self, encoding: &'static dyn RsaEncoding, message: &[u8]) -> Vec<u8> {
        let Self::Rsa(pair) = self else {
            panic!("not RSA")
        };
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(encoding, &SystemRandom::new(), message, &mut signature)
            .unwrap();
        signature
    }

    /// ECDSA as r‖s.
    pub(crate) fn sign_fixed(&self, message: &[u8]) -> Vec<u8> {
        let Self::Ecdsa { fixed, .. } = self else {
            panic!("not ECDSA")
        };
        fixed
            .sign(&SystemRandom::new(), message)
            .unwrap()
            .as_ref()
            .to_vec()
    }

    /// As a JSON Web Key.
    pub(crate) fn jwk(&self, id: &str) -> Value {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Ecdsa { der, curve, .. } => {
                let point = der.public_key().as_ref();
                let (x, y) = point[1..].split_at((point.len() - 1) / 2);
                json!({"kty": "EC", "crv": curve, "kid": id, "use": "sig", "x": encode(x), "y": encode(y)})
            }
            Self::Rsa(pair) => {
                let key = pair.public_key();
                json!({"kty": "RSA", "kid": id, "use": "sig",
                    "n": encode(key.modulus().big_endian_without_leading_zero()),
                    "e": encode(key.exponent().big_endian_without_leading_zero())})
            }
            Self::Ed25519(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "kid": id, "x": encode(pair.public_key().as_ref())})
            }
        }
    }

    /// A signed token; the algorithm is the one that goes with the key.
    pub(crate) fn token(&self, id: Option<&str>, claims: &Value) -> String {
        let algorithm = match self {
            Self::Ecdsa { .. } => "ES256",
            Self::Rsa(_) => "RS256",
            Self::Ed25519(_) => "EdDSA",
        };
        let mut header = json!({"alg": algorithm, "typ": "JWT"});
        if let Some(id) = id {
            header["kid"] = json!(id);
        }
        let signed = unsigned(&header, claims);
        let signature = match self {
            Self::Ecdsa { .. } => self.sign_fixed(signed.as_bytes()),
            _ => self.sign(signed.as_bytes()),
        };
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// Header and payload of a token.
pub(crate) fn unsigned(header: &Value, claims: &Value) -> String {
    format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    )
}

/// An RSA key that the whole run shares: they are slow to make.
pub(crate) fn shared_rsa() -> &'static Key {
    static KEY: OnceLock<Key> = OnceLock::new();
    KEY.get_or_init(|| Key::rsa(aws_lc_rs::rsa::KeySize::Rsa2048))
}

/// Another one.
pub(crate) fn other_rsa() -> &'static Key {
    static KEY: OnceLock<Key> = OnceLock::new();
    KEY.get_or_init(|| Key::rsa(aws_lc_rs::rsa::KeySize::Rsa2048))
}
