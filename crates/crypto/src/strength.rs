//! Refusal of keys that are too weak to certify.

use num_bigint::BigUint;

use crate::key::Material;
use crate::{KeyKind, PublicKey};

/// Why a key is too weak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("weak key: {0}")]
pub struct WeakKey(pub &'static str);

/// Refuses RSA other than 2048, 3072 or 4096 bits with e = 65537, small factors, ROCA
/// (CVE-2017-15361) and close primes (Fermat), and Ed25519 points of small order.
///
/// ECDSA points need no further check: they are on their curve, of prime order and finite.
pub fn check_strength(key: &PublicKey) -> Result<(), WeakKey> {
    match key.material() {
        Material::Ecdsa { .. } => Ok(()),
        Material::Ed25519 { prehash, .. } if prehash.is_weak() => {
            Err(WeakKey("Ed25519 point of small order"))
        }
        Material::Ed25519 { .. } => Ok(()),
        Material::Rsa {
            modulus, exponent, ..
        } => {
            if !matches!(
                key.kind(),
                KeyKind::Rsa {
                    bits: 2048 | 3072 | 4096
                }
            ) {
                return Err(WeakKey("RSA modulus is not 2048, 3072 or 4096 bits"));
            }
            if *exponent != 65_537 {
                return Err(WeakKey("RSA exponent is not 65537"));
            }
            check_modulus(&BigUint::from_bytes_be(modulus))
        }
    }
}

fn check_modulus(modulus: &BigUint) -> Result<(), WeakKey> {
    if ODD_PRIMES.iter().any(|&prime| residue(modulus, prime) == 0) {
        return Err(WeakKey("RSA modulus has a small factor"));
    }
    if is_roca(modulus) {
        return Err(WeakKey("RSA modulus has the ROCA fingerprint"));
    }
    if has_close_factors(modulus) {
        return Err(WeakKey("RSA modulus has factors that are too close"));
    }
    Ok(())
}

/// Primes below this are looked for as factors; also enough for the ROCA fingerprint.
const SIEVE: usize = 752;
/// Odd primes below [`SIEVE`].
const ODD_PRIMES: [u32; 132] = odd_primes();
/// The fingerprint looks at the primes up to this.
const ROCA_LARGEST_PRIME: u32 = 167;
/// Rounds of Fermat's factorisation: enough for primes that differ by up to some thirty times
/// the fourth root of the modulus. Those of a sound generator differ by about its square root.
const FERMAT_ROUNDS: usize = 100;

#[expect(clippy::indexing_slicing, reason = "runs in the compiler only")]
const fn odd_primes() -> [u32; 132] {
    let mut primes = [0; 132];
    let mut found = 0;
    let mut candidate = 3;
    while candidate < SIEVE {
        let mut divisor = 3;
        while divisor * divisor <= candidate && !candidate.is_multiple_of(divisor) {
            divisor += 2;
        }
        if divisor * divisor > candidate {
            primes[found] = candidate as u32;
            found += 1;
        }
        candidate += 2;
    }
    assert!(found == primes.len());
    primes
}

fn residue(value: &BigUint, modulus: u32) -> u32 {
    (value % modulus).iter_u32_digits().next().unwrap_or(0)
}

/// Primes of the flawed generator are `k·M + (65537^a mod M)`, so modulo every small prime the
/// modulus is a power of 65537.
fn is_roca(modulus: &BigUint) -> bool {
    ODD_PRIMES
        .iter()
        .take_while(|&&prime| prime <= ROCA_LARGEST_PRIME)
        .all(|&prime| {
            let residue = residue(modulus, prime);
            let generator = 65_537 % prime;
            let mut power = 1;
            loop {
                if power == residue {
                    return true;
                }
                power = power * generator % prime;
                if power == 1 {
                    return false;
                }
            }
        })
}

/// Fermat's factorisation: looks for `a² - n = b²` with `a` upwards from the root of `n`.
fn has_close_factors(modulus: &BigUint) -> bool {
    let mut a = modulus.sqrt();
    if &a * &a < *modulus {
        a += 1_u32;
    }
    let mut b_squared = &a * &a - modulus;
    for _ in 0..FERMAT_ROUNDS {
        if is_square(&b_squared) {
            return true;
        }
        b_squared += (&a << 1_u32) + 1_u32;
        a += 1_u32;
    }
    false
}

fn is_square(value: &BigUint) -> bool {
    // Squares leave 12 of 64, 16 of 63, 21 of 65 residues: nearly all others are seen cheaply.
    let is_residue = |modulus: u32| {
        let residue = residue(value, modulus);
        (0..modulus).any(|root| root * root % modulus == residue)
    };
    if ![64, 63, 65].into_iter().all(is_residue) {
        return false;
    }
    let root = value.sqrt();
    &root * &root == *value
}
