//! Signature verification on aws-lc-rs.

use aws_lc_rs::signature::{self, ParsedPublicKey, RsaParameters};
use der::Encode;
use der::asn1::UintRef;

use crate::curve::Curve;
use crate::ed25519ph;
use crate::key::{Material, PerHash};
use crate::{Digest, HashAlgorithm, KeyKind, PublicKey};

/// A signature was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The signature does not verify under this key.
    #[error("invalid signature")]
    Invalid,
    /// This kind of key cannot be used with this hash.
    #[error("this key cannot verify a signature over this hash")]
    Unsupported,
}

impl PublicKey {
    /// Verifies `signature` over `message`.
    ///
    /// ECDSA: any curve with any hash, ASN.1 DER or raw `r‖s` (IEEE P1363). RSA: PKCS#1 v1.5,
    /// 2048 to 4096 bits. Ed25519: pure; `hash` is not used.
    pub fn verify(
        &self,
        hash: HashAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), VerifyError> {
        self.verify_input(hash, &Input::Message(message), signature)
    }

    /// Verifies `signature` over a message of which only the digest is known.
    ///
    /// As [`Self::verify`], but Ed25519 means Ed25519ph (RFC 8032 section 5.1; SHA-512 only,
    /// empty context).
    pub fn verify_digest(&self, digest: &Digest, signature: &[u8]) -> Result<(), VerifyError> {
        let hash = digest.algorithm();
        let imported =
            aws_lc_rs::digest::Digest::import_less_safe(digest.as_bytes(), hash.implementation())
                .map_err(|_| VerifyError::Unsupported)?;
        self.verify_input(hash, &Input::Digest(&imported), signature)
    }

    fn verify_input(
        &self,
        hash: HashAlgorithm,
        input: &Input<'_>,
        signature: &[u8],
    ) -> Result<(), VerifyError> {
        match self.material() {
            Material::Ecdsa { curve, keys } => verify_ecdsa(*curve, keys, hash, input, signature),
            Material::Rsa { keys, .. } => verify_rsa(self.kind(), keys, hash, input, signature),
            Material::Ed25519 { pure, prehash } => match input {
                Input::Message(_) => input.verify(pure, signature),
                Input::Digest(digest) => ed25519ph::verify(prehash, digest.as_ref(), signature),
            },
        }
    }
}

/// What was signed.
enum Input<'a> {
    Message(&'a [u8]),
    Digest(&'a aws_lc_rs::digest::Digest),
}

impl Input<'_> {
    fn verify(&self, key: &ParsedPublicKey, signature: &[u8]) -> Result<(), VerifyError> {
        match self {
            Self::Message(message) => key.verify_sig(message, signature),
            Self::Digest(digest) => key.verify_digest_sig(digest, signature),
        }
        .map_err(|_| VerifyError::Invalid)
    }
}

fn verify_ecdsa(
    curve: Curve,
    keys: &PerHash,
    hash: HashAlgorithm,
    input: &Input<'_>,
    signature: &[u8],
) -> Result<(), VerifyError> {
    let key = keys
        .get(hash, |point| curve.parse(hash, point))
        .ok_or(VerifyError::Unsupported)?;
    // A raw signature may begin like a DER one, and the other way round, so that only the
    // verification itself can tell the two apart.
    let is_sequence = signature.first() == Some(&0x30);
    if is_sequence && input.verify(key, signature).is_ok() {
        return Ok(());
    }
    let asn1 = asn1_signature(curve, signature).ok_or(VerifyError::Invalid)?;
    input.verify(key, &asn1)
}

/// `Ecdsa-Sig-Value` (RFC 3279 section 2.2.3) of a raw `r‖s`; `None` if the length is wrong.
fn asn1_signature(curve: Curve, raw: &[u8]) -> Option<Vec<u8>> {
    if raw.len() != 2 * curve.field_bytes() {
        return None;
    }
    let (r, s) = raw.split_at(curve.field_bytes());
    [UintRef::new(r).ok()?, UintRef::new(s).ok()?].to_der().ok()
}

fn verify_rsa(
    kind: KeyKind,
    keys: &PerHash,
    hash: HashAlgorithm,
    input: &Input<'_>,
    signature: &[u8],
) -> Result<(), VerifyError> {
    if !matches!(kind, KeyKind::Rsa { bits } if crate::rsa::BITS.contains(&bits)) {
        return Err(VerifyError::Unsupported);
    }
    let parameters: &'static RsaParameters = match hash {
        HashAlgorithm::Sha256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        HashAlgorithm::Sha384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        HashAlgorithm::Sha512 => &signature::RSA_PKCS1_2048_8192_SHA512,
    };
    let key = keys
        .get(hash, |pkcs1| ParsedPublicKey::new(parameters, pkcs1).ok())
        .ok_or(VerifyError::Unsupported)?;
    input.verify(key, signature)
}
