//! Keys and certificates of signers.

use std::sync::OnceLock;

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    self as algorithms, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair as _, RsaKeyPair,
};
use ed25519_dalek::Signer as _;
use sha2::Digest as _;

/// A signer's key.
pub(crate) struct Key {
    pub(crate) pem: String,
    secret: Secret,
}

enum Secret {
    Ecdsa(EcdsaKeyPair),
    Rsa(&'static RsaKeyPair),
    Ed25519(ed25519_dalek::SigningKey),
}

impl Key {
    pub(crate) fn p256() -> Self {
        Self::ecdsa(&algorithms::ECDSA_P256_SHA256_ASN1_SIGNING)
    }

    /// The same, with signatures of fixed length.
    pub(crate) fn p256_raw() -> Self {
        Self::ecdsa(&algorithms::ECDSA_P256_SHA256_FIXED_SIGNING)
    }

    pub(crate) fn p384_sha384() -> Self {
        Self::ecdsa(&algorithms::ECDSA_P384_SHA384_ASN1_SIGNING)
    }

    pub(crate) fn p521_sha512() -> Self {
        Self::ecdsa(&algorithms::ECDSA_P521_SHA512_ASN1_SIGNING)
    }

    fn ecdsa(algorithm: &'static EcdsaSigningAlgorithm) -> Self {
        let pair = EcdsaKeyPair::generate(algorithm).unwrap();
        let der: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        Self {
            pem: pem("PUBLIC KEY", der.as_ref()),
            secret: Secret::Ecdsa(pair),
        }
    }

    /// One RSA key a process: making one takes a while.
    pub(crate) fn rsa2048() -> Self {
        static PAIR: OnceLock<RsaKeyPair> = OnceLock::new();
        let pair =
            PAIR.get_or_init(|| RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap());
        let der: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        Self {
            pem: pem("PUBLIC KEY", der.as_ref()),
            secret: Secret::Rsa(pair),
        }
    }

    pub(crate) fn ed25519(seed: [u8; 32]) -> Self {
        let key = ed25519_dalek::SigningKey::from_bytes(&seed);
        let mut spki = vec![
            0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
        ];
        spki.extend_from_slice(key.verifying_key().as_bytes());
        Self {
            pem: pem("PUBLIC KEY", &spki),
            secret: Secret::Ed25519(key),
        }
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.secret {
            Secret::Ecdsa(pair) => pair
                .sign(&SystemRandom::new(), message)
                .unwrap()
                .as_ref()
                .to_vec(),
            Secret::Rsa(_) => self.sign_rsa(&algorithms::RSA_PKCS1_SHA256, message),
            Secret::Ed25519(key) => key.sign(message).to_bytes().to_vec(),
        }
    }

    pub(crate) fn sign_rsa(
        &self,
        padding: &'static dyn algorithms::RsaEncoding,
        message: &[u8],
    ) -> Vec<u8> {
        let Secret::Rsa(pair) = &self.secret else {
            panic!("an RSA key")
        };
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(padding, &SystemRandom::new(), message, &mut signature)
            .unwrap();
        signature
    }

    pub(crate) fn sign_ed25519ph(&self, message: &[u8]) -> Vec<u8> {
        let Secret::Ed25519(key) = &self.secret else {
            panic!("an Ed25519 key")
        };
        let prehashed = sha2::Sha512::new().chain_update(message);
        key.sign_prehashed(prehashed, None)
            .unwrap()
            .to_bytes()
            .to_vec()
    }
}

/// Signs as DSSE says.
pub(crate) fn sign_envelope(key: &Key, payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut message = format!(
        "DSSEv1 {} {payload_type} {} ",
        payload_type.len(),
        payload.len()
    )
    .into_bytes();
    message.extend_from_slice(payload);
    key.sign(&message)
}

pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let digits = crate::stack::b64(der);
    let lines: Vec<&str> = digits
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

/// A certificate with the key that it certifies.
pub(crate) struct Certified {
    /// PEM certificate.
    pub(crate) pem: String,
    /// Signs with the certified key.
    pub(crate) key: Key,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

/// Makes a certificate: self-signed, or issued.
pub(crate) fn certify(
    name: &str,
    issuer: Option<&Certified>,
    change: impl FnOnce(&mut rcgen::CertificateParams),
) -> Certified {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2040, 1, 1);
    change(&mut params);
    let certificate = match issuer {
        None => params.self_signed(&pair).unwrap(),
        Some(issuer) => params.signed_by(&pair, &issuer.issuer).unwrap(),
    };
    let secret = EcdsaKeyPair::from_pkcs8(
        &algorithms::ECDSA_P256_SHA256_ASN1_SIGNING,
        &pair.serialize_der(),
    )
    .unwrap();
    let pem = pem("CERTIFICATE", certificate.der());
    let key = Key {
        pem: pem.clone(),
        secret: Secret::Ecdsa(secret),
    };
    Certified {
        pem,
        key,
        issuer: rcgen::Issuer::new(params, pair),
    }
}

/// For [`certify`]: makes it an authority.
pub(crate) fn authority(params: &mut rcgen::CertificateParams) {
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
}
