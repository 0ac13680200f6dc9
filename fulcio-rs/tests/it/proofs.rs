//! Proof of possession, by signature and by certificate signing request.

use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::client::{CSR, INSECURE, KEY, SIGNATURE, body, csr_body, request};
use crate::fixtures;
use crate::keys::{Key, shared_rsa};
use crate::stack::Stack;

const EMAIL: &str = "dev@corp.example";

/// A PEM request by a fresh key, with a subject and names of its own.
pub(crate) fn csr(algorithm: &'static rcgen::SignatureAlgorithm) -> String {
    let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
    let mut parameters = rcgen::CertificateParams::new(vec!["evil.example".to_owned()]).unwrap();
    parameters
        .distinguished_name
        .push(rcgen::DnType::CommonName, "root");
    parameters.serialize_request(&key).unwrap().pem().unwrap()
}

struct Case {
    stack: Stack,
    token: String,
}

impl Case {
    async fn start() -> Self {
        Self::of(Stack::start().await)
    }

    fn of(stack: Stack) -> Self {
        let token = stack.provider.token(&stack.provider.claims());
        Self { stack, token }
    }

    async fn key(&self, pem: &str, signature: &[u8]) -> crate::client::Answer {
        self.stack.post(&body(&self.token, pem, signature)).await
    }

    async fn csr(&self, pem: &str) -> crate::client::Answer {
        self.stack.post(&csr_body(&self.token, pem)).await
    }
}

#[tokio::test]
async fn every_supported_key_proves_with_its_own_hash() {
    let case = Case::start().await;
    for key in [
        Key::p256(),
        Key::p384(),
        Key::p521(),
        Key::ed25519(),
        Key::rsa(KeySize::Rsa2048),
        Key::rsa(KeySize::Rsa3072),
        Key::rsa(KeySize::Rsa4096),
    ] {
        let leaf = case
            .stack
            .post(&request(&case.token, &key, EMAIL))
            .await
            .leaf();
        let certified = crypto::PublicKey::from_certificate_der(&leaf).unwrap();
        assert_eq!(certified.spki_der(), key.spki());
    }
    let key = Key::p256();
    case.key(&key.pem(), &key.sign_fixed(EMAIL.as_bytes()))
        .await
        .chain();
}

#[tokio::test]
async fn proofs_over_something_else_or_by_another_key_are_refused() {
    let case = Case::start().await;
    let (key, other) = (Key::p256(), Key::p256());
    case.key(&key.pem(), &key.sign(b"user-1"))
        .await
        .is_refused(SIGNATURE);
    case.key(&key.pem(), &key.sign(b"DEV@corp.example"))
        .await
        .is_refused(SIGNATURE);
    case.key(&key.pem(), &other.sign(EMAIL.as_bytes()))
        .await
        .is_refused(SIGNATURE);
    case.key(&key.pem(), b"").await.is_refused(SIGNATURE);
    case.key(&key.pem(), &[0; 64]).await.is_refused(SIGNATURE);
    let wrong_hash = STANDARD.decode(fixtures::P384_SHA256_PROOF).unwrap();
    case.key(fixtures::P384_KEY, &wrong_hash)
        .await
        .is_refused(SIGNATURE);
    let rsa = shared_rsa();
    for encoding in [
        &signature::RSA_PSS_SHA256 as &'static dyn signature::RsaEncoding,
        &signature::RSA_PKCS1_SHA512,
    ] {
        case.key(&rsa.pem(), &rsa.sign_rsa(encoding, EMAIL.as_bytes()))
            .await
            .is_refused(SIGNATURE);
    }
}

/// DER with a tag, a definite length, and this content.
pub(crate) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut out = vec![tag];
    match length {
        0..0x80 => out.push(length as u8),
        0x80..0x100 => out.extend([0x81, length as u8]),
        _ => out.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    out.extend_from_slice(content);
    out
}

fn spki(algorithm: &[u8], key: &[u8]) -> String {
    let bits = [&[0], key].concat();
    let der = tlv(0x30, &[tlv(0x30, algorithm), tlv(3, &bits)].concat());
    pem::encode(&pem::Pem::new("PUBLIC KEY", der))
}

fn rsa(bits: usize, exponent: &[u8]) -> String {
    // Odd, of the right length, and without the small factors that would also be refused.
    let modulus = [&[0, 0xc5][..], &vec![0x5b; bits / 8 - 2], &[0x01]].concat();
    let key = tlv(0x30, &[tlv(2, &modulus), tlv(2, exponent)].concat());
    spki(
        &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0],
        &key,
    )
}

#[tokio::test]
async fn insecure_keys_are_refused_as_such() {
    let case = Case::start().await;
    let f4 = [1, 0, 1];
    let p224 = spki(
        &[
            6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 5, 0x2b, 0x81, 4, 0, 0x21,
        ],
        &[&[4][..], &[1; 56]].concat(),
    );
    let x25519 = spki(&[6, 3, 0x2b, 0x65, 0x6e], &[9; 32]);
    for pem in [
        rsa(1024, &f4),
        rsa(2056, &f4),
        rsa(8192, &f4),
        rsa(2048, &[3]),
        p224,
        x25519,
    ] {
        case.key(&pem, b"signature").await.is_refused(INSECURE);
    }
}

#[tokio::test]
async fn what_is_no_key_is_refused_as_such() {
    let case = Case::start().await;
    let k256 = spki(
        &[
            6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 5, 0x2b, 0x81, 4, 0, 0x0a,
        ],
        &[&[4][..], &[1; 64]].concat(),
    );
    let certificate = pem::encode(&pem::Pem::new("CERTIFICATE", Key::p256().spki()));
    for bad in [
        k256.as_str(),
        &certificate,
        "garbage",
        "",
        &STANDARD.encode(Key::p256().spki()),
    ] {
        case.key(bad, b"signature").await.is_refused(KEY);
    }
}

#[tokio::test]
async fn pkcs1_keys_and_single_line_pem_are_read() {
    let case = Case::start().await;
    let rsa = shared_rsa();
    let crate::keys::Key::Rsa(pair) = rsa else {
        unreachable!()
    };
    let pkcs1 = pem::encode(&pem::Pem::new(
        "RSA PUBLIC KEY",
        signature::KeyPair::public_key(pair).as_ref().to_vec(),
    ));
    let leaf = case.key(&pkcs1, &rsa.sign(EMAIL.as_bytes())).await.leaf();
    assert_eq!(
        crypto::PublicKey::from_certificate_der(&leaf)
            .unwrap()
            .spki_der(),
        rsa.spki()
    );
    let key = Key::p256();
    let line = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        STANDARD.encode(key.spki())
    );
    case.key(&line, &key.sign(EMAIL.as_bytes())).await.chain();
}

#[tokio::test]
async fn keys_outside_the_allow_list_are_refused_after_their_proof() {
    let names = vec!["ecdsa-sha2-256-nistp256".to_owned()];
    let case = Case::of(Stack::with(|config| config.client_signing_algorithms = Some(names)).await);
    case.stack
        .post(&request(&case.token, &Key::p256(), EMAIL))
        .await
        .chain();
    let key = Key::p384();
    let message = "signing algorithm not permitted: *ecdsa.PublicKey, SHA-384";
    case.stack
        .post(&request(&case.token, &key, EMAIL))
        .await
        .is_refused(message);
    case.key(&key.pem(), b"bad").await.is_refused(SIGNATURE);
    let rsa = "signing algorithm not permitted: *rsa.PublicKey, SHA-256";
    case.stack
        .post(&request(&case.token, shared_rsa(), EMAIL))
        .await
        .is_refused(rsa);
}

#[tokio::test]
async fn of_a_request_only_the_key_counts() {
    let case = Case::start().await;
    for algorithm in [
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_ED25519,
        &rcgen::PKCS_RSA_SHA256,
    ] {
        let text = csr(algorithm);
        let leaf = case.csr(&text).await.leaf();
        let certificate = crate::certificates::parse(&leaf);
        assert!(certificate.tbs_certificate().subject().is_empty());
        assert!(!leaf.windows(12).any(|window| window == b"evil.example"));
        let renamed = text.replace("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST");
        case.csr(&renamed).await.chain();
    }
}

#[tokio::test]
async fn what_is_no_request_is_refused_as_such() {
    let case = Case::start().await;
    let good = pem::parse(csr(&rcgen::PKCS_ECDSA_P256_SHA256)).unwrap();
    let der = good.contents();
    let body = json!({
        "credentials": {"oidcIdentityToken": case.token}, "certificateSigningRequest": STANDARD.encode(der),
    });
    case.stack.post(&body).await.is_refused(CSR);
    let other = pem::encode(&pem::Pem::new("CERTIFICATE", der));
    let cut = pem::encode(&pem::Pem::new("CERTIFICATE REQUEST", &der[..der.len() - 1]));
    let longer = pem::encode(&pem::Pem::new("CERTIFICATE REQUEST", [der, &[0]].concat()));
    for bad in ["", "x", &other, &cut, &longer] {
        case.csr(bad).await.is_refused(CSR);
    }
    // "root" as an IA5String with a byte that is not ASCII.
    let position = der.windows(4).position(|window| window == b"root").unwrap();
    let mut lying = der.to_vec();
    lying[position - 2] = 0x16;
    lying[position] = 0xe9;
    case.csr(&pem::encode(&pem::Pem::new("CERTIFICATE REQUEST", lying)))
        .await
        .is_refused(CSR);
}

#[tokio::test]
async fn requests_with_a_bad_signature_or_hash_are_refused() {
    let case = Case::start().await;
    let encode = |der: &[u8]| pem::encode(&pem::Pem::new("CERTIFICATE REQUEST", der));
    let good = pem::parse(csr(&rcgen::PKCS_ED25519))
        .unwrap()
        .into_contents();
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    case.csr(&encode(&flipped)).await.is_refused(SIGNATURE);
    // ecdsa-with-SHA1 in place of ecdsa-with-SHA256.
    let text = csr(&rcgen::PKCS_ECDSA_P256_SHA256);
    let der = pem::parse(&text).unwrap().into_contents();
    let identifier = [0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
    let position = der
        .windows(12)
        .position(|window| window == identifier)
        .unwrap();
    let mut sha1 = der[..position].to_vec();
    sha1.extend([0x30, 9, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1]);
    sha1.extend(&der[position + 12..]);
    let content = &sha1[3..];
    case.csr(&encode(&tlv(0x30, content)))
        .await
        .is_refused(SIGNATURE);

    case.csr(&csr(&rcgen::PKCS_RSA_SHA384))
        .await
        .is_refused("signing algorithm not permitted: *rsa.PublicKey, SHA-384");
    case.csr(fixtures::RSA_PSS_REQUEST)
        .await
        .is_refused("unrecognized signature algorithm: SHA256-RSAPSS");
    let p384 = case.csr(fixtures::P384_SHA256_REQUEST).await;
    p384.is_refused("signing algorithm not permitted: *ecdsa.PublicKey, SHA-256");
}
