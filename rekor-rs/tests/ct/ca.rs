//! A certificate authority to submit for.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use keys::{Algorithm, FileSigner, Signer as _};
use pki::Serial;
use pki::authority::{Issuer, Purpose, Role, Template, prepare};
use pki::certificate::Certificate;
use pki::leaf::{FulcioExtension, Leaf, San};
use pki::name::Subject;

/// 2026-11-21 00:00:00 UTC, in ms.
pub(crate) const NOW_MS: u64 = 1_795_219_200_000;

pub(crate) fn at(offset_secs: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs((NOW_MS / 1000).checked_add_signed(offset_secs).unwrap())
}

pub(crate) const YEAR: i64 = 365 * 24 * 3600;

pub(crate) struct Ca {
    pub(crate) root: Vec<u8>,
    pub(crate) intermediate: Vec<u8>,
    pub(crate) key: FileSigner,
}

impl Ca {
    pub(crate) async fn new() -> Self {
        let template = |role, name: &str, years: i64| Template {
            role,
            subject: Subject {
                organization: "Example".into(),
                common_name: name.into(),
            },
            not_before: at(-YEAR),
            not_after: at(years * YEAR),
        };
        let root_key = FileSigner::generate(Algorithm::EcdsaP384Sha384).unwrap();
        let unsigned = prepare(
            &template(Role::Root, "root", 10),
            root_key.public_key(),
            Issuer::SelfSigned,
        )
        .unwrap();
        let signature = root_key.sign(unsigned.tbs()).await.unwrap();
        let root = unsigned.finish(&signature).unwrap();

        let key = FileSigner::generate(Algorithm::EcdsaP256Sha256).unwrap();
        let role = Role::Intermediate {
            purpose: Purpose::CodeSigning,
        };
        let unsigned = prepare(
            &template(role, "intermediate", 3),
            key.public_key(),
            Issuer::Certificate(&root),
        )
        .unwrap();
        let signature = root_key.sign(unsigned.tbs()).await.unwrap();
        let intermediate = unsigned.finish(&signature).unwrap();
        Self {
            root,
            intermediate,
            key,
        }
    }

    /// A chain to submit: `der`, intermediate, root.
    pub(crate) fn chain(&self, der: Vec<u8>) -> Vec<Vec<u8>> {
        vec![der, self.intermediate.clone(), self.root.clone()]
    }

    pub(crate) async fn precertificate(&self, leaf: &Leaf) -> Vec<u8> {
        let unsigned = leaf.precertificate(&self.intermediate).unwrap();
        let signature = self.key.sign(unsigned.tbs()).await.unwrap();
        unsigned.finish(&signature).unwrap()
    }

    pub(crate) async fn certificate(&self, leaf: &Leaf) -> Vec<u8> {
        let unsigned = leaf.certificate(&self.intermediate, &[]).unwrap();
        let signature = self.key.sign(unsigned.tbs()).await.unwrap();
        unsigned.finish(&signature).unwrap()
    }

    /// A precertificate in which `from` (hexadecimal) is replaced by `to`, of the same length,
    /// before it is signed.
    pub(crate) async fn altered_precertificate(&self, from: &str, to: &str) -> Vec<u8> {
        let precertificate = self.precertificate(&leaf()).await;
        let mut tbs = Certificate::from_der(&precertificate)
            .unwrap()
            .tbs()
            .to_vec();
        let (from, to) = (hex::decode(from).unwrap(), hex::decode(to).unwrap());
        let place = tbs
            .windows(from.len())
            .position(|window| window == from)
            .unwrap();
        tbs[place..place + from.len()].copy_from_slice(&to);
        self.signed(&tbs).await
    }

    /// A certificate with this TBSCertificate.
    pub(crate) async fn signed(&self, tbs: &[u8]) -> Vec<u8> {
        let signature = self.key.sign(tbs).await.unwrap();
        let signature = der(0x03, &[&[0], &signature[..]].concat());
        let algorithm = hex::decode("300a06082a8648ce3d040302").unwrap();
        der(0x30, &[tbs, &algorithm, &signature].concat())
    }
}

/// A leaf with a key and serial number of its own, valid for ten minutes.
pub(crate) fn leaf() -> Leaf {
    let key = FileSigner::generate(Algorithm::EcdsaP256Sha256).unwrap();
    Leaf {
        public_key: key.public_key().clone(),
        san: San::Email("someone@example.com".into()),
        extensions: vec![FulcioExtension {
            number: 1,
            value: "https://issuer.example".into(),
        }],
        not_before: at(0),
        not_after: at(600),
        serial: Serial::random().unwrap(),
    }
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    let header = match length {
        [0, short @ 0..0x80] => vec![tag, short],
        [0, long] => vec![tag, 0x81, long],
        [high, low] => vec![tag, 0x82, high, low],
    };
    [header, content.to_vec()].concat()
}
