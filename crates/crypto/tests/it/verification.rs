//! Which signatures verify, and which do not.

use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature as aws;
use crypto::{Digest, HashAlgorithm, KeyKind, PublicKey, VerifyError};
use der::Encode;
use der::asn1::UintRef;
use ed25519_dalek::Signer;
use num_bigint::BigUint;
use sha2::Digest as _;

use crate::signers::{EcdsaSigner, HASHES, RsaSigner, random};

const MESSAGE: &[u8] = b"the artifact";
const OTHER: &[u8] = b"the artifacu";

/// Asserts that `signature` verifies over the message and over its digest, that it does not over
/// another message, and that no signature with one bit flipped does.
fn assert_verifies(key: &PublicKey, hash: HashAlgorithm, signature: &[u8]) {
    assert_eq!(key.verify(hash, MESSAGE, signature), Ok(()));
    assert_eq!(key.verify_digest(&hash.digest(MESSAGE), signature), Ok(()));
    assert_refuses(key, hash, OTHER, signature);
    for position in 0..signature.len() {
        let mut flipped = signature.to_vec();
        flipped[position] ^= 1 << (position % 8);
        assert_eq!(
            key.verify(hash, MESSAGE, &flipped),
            Err(VerifyError::Invalid),
            "byte {position} of {}",
            hex::encode(signature)
        );
    }
    for other in HASHES.into_iter().filter(|&other| other != hash) {
        assert_refuses(key, other, MESSAGE, signature);
    }
}

fn assert_refuses(key: &PublicKey, hash: HashAlgorithm, message: &[u8], signature: &[u8]) {
    assert_eq!(
        key.verify(hash, message, signature),
        Err(VerifyError::Invalid)
    );
    assert_eq!(
        key.verify_digest(&hash.digest(message), signature),
        Err(VerifyError::Invalid)
    );
}

#[test]
fn ecdsa_verifies_on_every_curve_with_every_hash_in_both_forms() {
    for signer in EcdsaSigner::all() {
        for hash in HASHES {
            let key = signer.public_key();
            let signature = signer.sign(hash, MESSAGE);
            assert_verifies(&key, hash, &signature.asn1);
            assert_verifies(&key, hash, &signature.raw);
        }
    }
}

#[test]
fn ecdsa_refuses_the_signature_of_another_key() {
    for (signer, other) in EcdsaSigner::all().iter().zip(EcdsaSigner::all()) {
        let signature = signer.sign(HashAlgorithm::Sha256, MESSAGE);
        let key = other.public_key();
        assert_refuses(&key, HashAlgorithm::Sha256, MESSAGE, &signature.asn1);
        assert_refuses(&key, HashAlgorithm::Sha256, MESSAGE, &signature.raw);
    }
}

#[test]
fn ecdsa_verifies_raw_signatures_whose_numbers_begin_with_zeros() {
    for signer in EcdsaSigner::all() {
        let key = signer.public_key();
        let half = match key.kind() {
            KeyKind::EcdsaP256 => 32,
            KeyKind::EcdsaP384 => 48,
            _ => 66,
        };
        // P-521 numbers begin with a zero byte half of the time, and with two once in 512.
        let zeros = |raw: &[u8]| raw[0] == 0 || raw[half] == 0;
        let (hash, mut found) = (HashAlgorithm::Sha256, 0);
        for counter in 0..20_000_u32 {
            let message = counter.to_be_bytes();
            let signature = signer.sign(hash, &message);
            if zeros(&signature.raw) {
                assert_eq!(key.verify(hash, &message, &signature.raw), Ok(()));
                found += 1;
                if found == 4 {
                    break;
                }
            }
        }
        assert_eq!(found, 4);
    }
}

#[test]
fn ecdsa_refuses_other_encodings_of_a_valid_signature() {
    for signer in EcdsaSigner::all() {
        let key = signer.public_key();
        let hash = HashAlgorithm::Sha256;
        let signature = signer.sign(hash, MESSAGE);
        let (asn1, raw) = (&signature.asn1, &signature.raw);
        let (r, s) = raw.split_at(raw.len() / 2);
        let zero = vec![0; r.len()];
        let ones = vec![0xff; r.len()];
        let long_form = [&[0x30, 0x82, 0x00], &asn1[1..]].concat();
        let indefinite = [&[0x30, 0x80], &asn1[2..], &[0, 0]].concat();
        for bad in [
            vec![],
            vec![0],
            vec![0x30],
            vec![0x30, 0x00],
            vec![0x30, 0x06, 0x02, 0x01, 0x00, 0x02, 0x01, 0x00],
            asn1[..asn1.len() - 1].to_vec(),
            [asn1, &[0][..]].concat(),
            raw[..raw.len() - 1].to_vec(),
            raw[1..].to_vec(),
            [raw, &[0][..]].concat(),
            [&[0], &raw[..]].concat(),
            [s, r].concat(),
            [r, &zero].concat(),
            [&zero, s].concat(),
            [zero.clone(), zero].concat(),
            [r, &ones].concat(),
            [ones.clone(), ones].concat(),
            long_form,
            indefinite,
            [asn1.as_slice(), asn1].concat(),
            r.to_vec(),
            [0x30; 64].to_vec(),
            vec![0x30; 1 << 16],
        ] {
            assert_refuses(&key, hash, MESSAGE, &bad);
        }
    }
}

#[test]
fn ecdsa_accepts_both_values_of_s_and_none_outside_the_group() {
    // Hardware and cloud signers do not choose the lower one.
    let p256 = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let p384 = "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf\
                581a0db248b0a77aecec196accc52973";
    let p521 = "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa\
                51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409";
    for (signer, order) in EcdsaSigner::all().into_iter().zip([p256, p384, p521]) {
        let order = BigUint::parse_bytes(order.as_bytes(), 16).unwrap();
        let key = signer.public_key();
        let hash = HashAlgorithm::Sha512;
        let raw = signer.sign(hash, MESSAGE).raw;
        let half = raw.len() / 2;
        let s = BigUint::from_bytes_be(&raw[half..]);
        let with = |r: &[u8], s: &BigUint| {
            let mut signature = vec![0; 2 * half];
            let s = s.to_bytes_be();
            signature[half - r.len()..half].copy_from_slice(r);
            signature[2 * half - s.len()..].copy_from_slice(&s);
            signature
        };
        let negated = with(&raw[..half], &(&order - &s));
        assert_eq!(key.verify(hash, MESSAGE, &negated), Ok(()));
        assert_refuses(&key, hash, MESSAGE, &with(&raw[..half], &order));
        assert_refuses(&key, hash, MESSAGE, &with(&order.to_bytes_be(), &s));
        assert_refuses(
            &key,
            hash,
            MESSAGE,
            &with(&raw[..half], &BigUint::from(1_u32)),
        );
        // The same s, not reduced, in a DER integer that has room for it.
        let unreduced = (&s + &order).to_bytes_be();
        let [r, s] = [&raw[..half], &unreduced].map(|number| UintRef::new(number).unwrap());
        assert_refuses(&key, hash, MESSAGE, &[r, s].to_der().unwrap());
    }
}

#[test]
fn rsa_verifies_pkcs1_of_2048_to_4096_bits_with_every_hash() {
    for size in [KeySize::Rsa2048, KeySize::Rsa3072, KeySize::Rsa4096] {
        let signer = RsaSigner::generate(size);
        let key = PublicKey::from_spki_der(&signer.spki()).unwrap();
        for hash in HASHES {
            let signature = signer.sign(hash, MESSAGE);
            assert_verifies(&key, hash, &signature);
            for bad in [
                &signature[1..],
                &signature[..signature.len() - 1],
                &[&signature[..], &[0]].concat(),
                &[&[0], &signature[..]].concat(),
                &[],
                &vec![0; signature.len()],
                &vec![0xff; signature.len()],
            ] {
                assert_refuses(&key, hash, MESSAGE, bad);
            }
        }
    }
}

#[test]
fn rsa_refuses_pss() {
    let signer = RsaSigner::generate(KeySize::Rsa2048);
    let key = PublicKey::from_pkcs1_der(&signer.pkcs1()).unwrap();
    let signature = signer.sign_with(&aws::RSA_PSS_SHA256, MESSAGE);
    assert_refuses(&key, HashAlgorithm::Sha256, MESSAGE, &signature);
}

#[test]
fn rsa_of_other_sizes_parses_but_does_not_verify() {
    for bits in [1024, 2047, 4097, 8192] {
        let key = PublicKey::from_pkcs1_der(&crate::parsing::rsa_pkcs1(bits)).unwrap();
        assert_eq!(key.kind(), KeyKind::Rsa { bits });
        let signature = vec![1; bits.div_ceil(8)];
        for hash in HASHES {
            assert_eq!(
                key.verify(hash, MESSAGE, &signature),
                Err(VerifyError::Unsupported)
            );
            assert_eq!(
                key.verify_digest(&hash.digest(MESSAGE), &signature),
                Err(VerifyError::Unsupported)
            );
        }
    }
}

fn ed25519() -> (ed25519_dalek::SigningKey, PublicKey) {
    let signer = ed25519_dalek::SigningKey::from_bytes(&random());
    let key = PublicKey::from_ed25519_bytes(signer.verifying_key().as_bytes()).unwrap();
    (signer, key)
}

#[test]
fn ed25519_verifies_messages_pure_and_digests_prehashed() {
    let (signer, key) = ed25519();
    let sha512 = HashAlgorithm::Sha512.digest(MESSAGE);
    let pure = signer.sign(MESSAGE).to_bytes();
    let prehashed = signer
        .sign_prehashed(sha2::Sha512::new_with_prefix(MESSAGE), None)
        .unwrap()
        .to_bytes();
    for hash in HASHES {
        assert_eq!(key.verify(hash, MESSAGE, &pure), Ok(()));
        assert_eq!(key.verify(hash, OTHER, &pure), Err(VerifyError::Invalid));
        assert_eq!(
            key.verify(hash, MESSAGE, &prehashed),
            Err(VerifyError::Invalid)
        );
    }
    assert_eq!(key.verify_digest(&sha512, &prehashed), Ok(()));
    assert_eq!(key.verify_digest(&sha512, &pure), Err(VerifyError::Invalid));
    let other = HashAlgorithm::Sha512.digest(OTHER);
    assert_eq!(
        key.verify_digest(&other, &prehashed),
        Err(VerifyError::Invalid)
    );
    for hash in [HashAlgorithm::Sha256, HashAlgorithm::Sha384] {
        assert_eq!(
            key.verify_digest(&hash.digest(MESSAGE), &prehashed),
            Err(VerifyError::Unsupported)
        );
    }
}

#[test]
fn ed25519_signature_over_the_digest_as_a_message_is_not_ed25519ph() {
    let (signer, key) = ed25519();
    let sha512 = HashAlgorithm::Sha512.digest(MESSAGE);
    let signature = signer.sign(sha512.as_bytes()).to_bytes();
    assert_eq!(
        key.verify_digest(&sha512, &signature),
        Err(VerifyError::Invalid)
    );
}

#[test]
fn ed25519ph_with_a_context_does_not_verify() {
    let (signer, key) = ed25519();
    let prehash = sha2::Sha512::new_with_prefix(MESSAGE);
    let signature = signer
        .sign_prehashed(prehash, Some(b"context"))
        .unwrap()
        .to_bytes();
    let sha512 = HashAlgorithm::Sha512.digest(MESSAGE);
    assert_eq!(
        key.verify_digest(&sha512, &signature),
        Err(VerifyError::Invalid)
    );
}

#[test]
fn ed25519ph_verifies_the_vector_of_rfc_8032_section_7_3() {
    let secret = "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42";
    let signature = "98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae41\
                     31f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406";
    let secret: [u8; 32] = hex::decode(secret).unwrap().try_into().unwrap();
    let signer = ed25519_dalek::SigningKey::from_bytes(&secret);
    let key = PublicKey::from_ed25519_bytes(signer.verifying_key().as_bytes()).unwrap();
    let digest = HashAlgorithm::Sha512.digest(b"abc");
    assert_eq!(
        key.verify_digest(&digest, &hex::decode(signature).unwrap()),
        Ok(())
    );
}

#[test]
fn ed25519_refuses_malleated_and_malformed_signatures() {
    let (signer, key) = ed25519();
    let sha512 = HashAlgorithm::Sha512.digest(MESSAGE);
    let prehash = sha2::Sha512::new_with_prefix(MESSAGE);
    let pure = signer.sign(MESSAGE).to_bytes();
    let prehashed = signer.sign_prehashed(prehash, None).unwrap().to_bytes();
    let hash = HashAlgorithm::Sha512;
    for position in 0..64 {
        let (mut pure, mut prehashed) = (pure, prehashed);
        pure[position] ^= 1 << (position % 8);
        prehashed[position] ^= 1 << (position % 8);
        assert_eq!(key.verify(hash, MESSAGE, &pure), Err(VerifyError::Invalid));
        assert_eq!(
            key.verify_digest(&sha512, &prehashed),
            Err(VerifyError::Invalid)
        );
    }
    for bad in [
        &[][..],
        &pure[..63],
        &[&pure[..], &[0]].concat(),
        &plus_order(pure),
    ] {
        assert_eq!(key.verify(hash, MESSAGE, bad), Err(VerifyError::Invalid));
    }
    for bad in [
        &[][..],
        &prehashed[..63],
        &[&prehashed[..], &[0]].concat(),
        &plus_order(prehashed),
    ] {
        assert_eq!(key.verify_digest(&sha512, bad), Err(VerifyError::Invalid));
    }
}

/// The same signature with the group's order added to S.
fn plus_order(mut signature: [u8; 64]) -> Vec<u8> {
    let order = hex::decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let mut carry = 0;
    for (byte, add) in signature[32..].iter_mut().zip(order.unwrap()) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    signature.to_vec()
}

#[test]
fn digests_of_the_wrong_length_cannot_be_made() {
    for hash in HASHES {
        assert!(Digest::new(hash, vec![0; hash.len()]).is_some());
        assert!(Digest::new(hash, vec![0; hash.len() - 1]).is_none());
        assert!(Digest::new(hash, vec![0; hash.len() + 1]).is_none());
    }
}
