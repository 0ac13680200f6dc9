//! Which keys are too weak to certify.

use aws_lc_rs::rsa::KeySize;
use crypto::{PublicKey, WeakKey, check_strength};
use num_bigint::BigUint;

use crate::parsing::{pkcs1, rsa_pkcs1};
use crate::signers::{EcdsaSigner, RsaSigner, random};

fn check(modulus: &BigUint, exponent: &[u8]) -> Result<(), WeakKey> {
    let key = PublicKey::from_pkcs1_der(&pkcs1(&modulus.to_bytes_be(), exponent)).unwrap();
    check_strength(&key)
}

fn assert_weak(result: Result<(), WeakKey>, reason: &str) {
    let message = result.unwrap_err().to_string();
    assert!(message.contains(reason), "{message}");
}

/// An odd number of exactly `bits` bits without small factors, the two highest bits set.
fn rough(bits: u64) -> BigUint {
    let mut number = BigUint::from_bytes_be(&random::<512>()) >> (4096 - bits + 8);
    number.set_bit(bits - 1, true);
    number.set_bit(bits - 2, true);
    number.set_bit(0, true);
    next_rough(number)
}

fn next_rough(mut number: BigUint) -> BigUint {
    while (3_u32..752).any(|divisor| &number % divisor == BigUint::ZERO) {
        number += 2_u32;
    }
    number
}

#[test]
fn sound_keys_of_every_kind_pass() {
    for size in [KeySize::Rsa2048, KeySize::Rsa3072, KeySize::Rsa4096] {
        let key = PublicKey::from_pkcs1_der(&RsaSigner::generate(size).pkcs1()).unwrap();
        assert_eq!(check_strength(&key), Ok(()));
    }
    for signer in EcdsaSigner::all() {
        assert_eq!(check_strength(&signer.public_key()), Ok(()));
    }
    let ed25519 = ed25519_dalek::SigningKey::from_bytes(&random()).verifying_key();
    let key = PublicKey::from_ed25519_bytes(ed25519.as_bytes()).unwrap();
    assert_eq!(check_strength(&key), Ok(()));
}

#[test]
fn only_three_rsa_sizes_pass() {
    for bits in [1024, 2047, 2049, 2056, 3071, 4095, 4097, 8192] {
        let key = PublicKey::from_pkcs1_der(&rsa_pkcs1(bits)).unwrap();
        assert_weak(check_strength(&key), "bits");
    }
}

#[test]
fn only_the_usual_exponent_passes() {
    let modulus = rough(1024) * rough(1024);
    assert_eq!(check(&modulus, &[1, 0, 1]), Ok(()));
    for exponent in [&[3][..], &[17], &[1, 0, 3], &[1, 0, 0, 0, 1]] {
        assert_weak(check(&modulus, exponent), "exponent");
    }
}

#[test]
fn a_small_factor_is_found() {
    for prime in [3_u32, 5, 7, 167, 173, 743, 751] {
        let mut modulus = (BigUint::from(1_u32) << 2047_u32) + BigUint::from(1_u32);
        while &modulus % prime != BigUint::ZERO {
            modulus += 2_u32;
        }
        assert_weak(check(&modulus, &[1, 0, 1]), "small factor");
    }
}

#[test]
fn the_fingerprint_of_the_flawed_infineon_generator_is_found() {
    // Any product of powers of 65537 modulo the primorial has it.
    let primorial = (2_u32..=167)
        .filter(|n| (2..*n).all(|divisor| n % divisor != 0))
        .fold(BigUint::from(1_u32), |product, prime| product * prime);
    let generator = BigUint::from(65_537_u32);
    for exponent in [1_u32, 17, 12_345_678] {
        let remainder = generator.modpow(&BigUint::from(exponent), &primorial);
        let mut modulus = (rough(2048) / &primorial - BigUint::from(1_u32)) * &primorial;
        modulus += remainder;
        while (169_u32..752).any(|divisor| &modulus % divisor == BigUint::ZERO) {
            modulus -= &primorial;
        }
        assert_weak(check(&modulus, &[1, 0, 1]), "ROCA");
    }
}

#[test]
fn close_factors_are_found() {
    let p = rough(1024);
    assert_weak(check(&(&p * &p), &[1, 0, 1]), "close");
    let next = next_rough(&p + 2_u32);
    assert_weak(check(&(&p * &next), &[1, 0, 1]), "close");
    // (q-p)² / 8 sqrt(n) is the number of rounds: about 50 and about 200 of them.
    let root = p.sqrt();
    let near = next_rough((&p + &root * 20_u32) | BigUint::from(1_u32));
    assert_weak(check(&(&p * &near), &[1, 0, 1]), "close");
    let far = next_rough((&p + &root * 40_u32) | BigUint::from(1_u32));
    assert_eq!(check(&(&p * &far), &[1, 0, 1]), Ok(()));
}

#[test]
fn ed25519_points_of_small_order_are_weak() {
    let mut identity = [0; 32];
    identity[0] = 1;
    for bytes in [identity, [0; 32]] {
        let key = PublicKey::from_ed25519_bytes(&bytes).unwrap();
        assert_weak(check_strength(&key), "small order");
    }
}
