//! A hierarchy to test with.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, KeyPair,
};
use crypto::PublicKey;
use pki::Unsigned;
use pki::authority::{Issuer, Purpose, Role, Template, prepare};
use pki::leaf::{FulcioExtension, Leaf, San};
use pki::name::Subject;

/// 2026-11-21 00:00:00 UTC.
pub(crate) const NOW: u64 = 1_795_219_200;

pub(crate) fn at(offset_secs: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW.checked_add_signed(offset_secs).unwrap())
}

pub(crate) const YEAR: i64 = 365 * 24 * 3600;

pub(crate) struct Key {
    pair: EcdsaKeyPair,
    pub(crate) public: PublicKey,
}

impl Key {
    pub(crate) fn p256() -> Self {
        Self::generate(
            &ECDSA_P256_SHA256_ASN1_SIGNING,
            "301306072a8648ce3d020106082a8648ce3d030107034200",
        )
    }

    pub(crate) fn p384() -> Self {
        Self::generate(
            &ECDSA_P384_SHA384_ASN1_SIGNING,
            "301006072a8648ce3d020106052b81040022036200",
        )
    }

    fn generate(algorithm: &'static EcdsaSigningAlgorithm, prefix: &str) -> Self {
        let pair = EcdsaKeyPair::generate(algorithm).unwrap();
        let body = [unhex(prefix), pair.public_key().as_ref().to_vec()].concat();
        let spki = [vec![0x30, u8::try_from(body.len()).unwrap()], body].concat();
        Self {
            pair,
            public: PublicKey::from_spki_der(&spki).unwrap(),
        }
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair
            .sign(&SystemRandom::new(), message)
            .unwrap()
            .as_ref()
            .to_vec()
    }

    pub(crate) fn finish(&self, unsigned: Unsigned) -> Vec<u8> {
        let signature = self.sign(unsigned.tbs());
        unsigned.finish(&signature).unwrap()
    }
}

pub(crate) fn unhex(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

pub(crate) fn template(role: Role, name: &str, years: i64) -> Template {
    Template {
        role,
        subject: Subject {
            organization: "Example".into(),
            common_name: name.into(),
        },
        not_before: at(-3600),
        not_after: at(years * YEAR),
    }
}

/// Root (P-384), intermediate (P-256).
pub(crate) struct Hierarchy {
    pub(crate) root_key: Key,
    pub(crate) root: Vec<u8>,
    pub(crate) key: Key,
    pub(crate) intermediate: Vec<u8>,
}

impl Hierarchy {
    pub(crate) fn new(purpose: Purpose) -> Self {
        let root_key = Key::p384();
        let unsigned = prepare(
            &template(Role::Root, "root", 10),
            &root_key.public,
            Issuer::SelfSigned,
        )
        .unwrap();
        let root = root_key.finish(unsigned);
        let key = Key::p256();
        let role = Role::Intermediate { purpose };
        let unsigned = prepare(
            &template(role, "intermediate", 3),
            &key.public,
            Issuer::Certificate(&root),
        )
        .unwrap();
        let intermediate = root_key.finish(unsigned);
        Self {
            root_key,
            root,
            key,
            intermediate,
        }
    }

    pub(crate) fn chain(&self) -> Vec<Vec<u8>> {
        vec![self.intermediate.clone(), self.root.clone()]
    }
}

pub(crate) fn leaf(key: &Key, san: San) -> Leaf {
    let extension = |number, value: &str| FulcioExtension {
        number,
        value: value.into(),
    };
    Leaf {
        public_key: key.public.clone(),
        san,
        extensions: vec![
            extension(1, "https://issuer.example"),
            extension(8, "https://issuer.example"),
        ],
        not_before: at(-5),
        not_after: at(595),
        serial: pki::Serial::from_bytes([0x5a; 20]).unwrap(),
    }
}

/// One DER element.
pub(crate) fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    let header = match length {
        [0, short @ 0..0x80] => vec![tag, short],
        [0, long] => vec![tag, 0x81, long],
        [high, low] => vec![tag, 0x82, high, low],
    };
    [&header[..], content].concat()
}
