//! RSA signatures in forms that only some formats use.

use std::ops::RangeInclusive;

use aws_lc_rs::signature::{self, ParsedPublicKey, RsaParameters};

use crate::key::Material;
use crate::{HashAlgorithm, KeyKind, PublicKey, VerifyError};

/// Moduli that are verified with, in bits: below is weak, above only costs time.
pub(crate) const BITS: RangeInclusive<usize> = 2048..=4096;

impl PublicKey {
    /// Verifies an RSASSA-PSS signature (RFC 8017 section 8.1) whose mask uses `hash`, too, and
    /// whose salt is as long as a digest. Keys of 2048 to 4096 bits.
    pub fn verify_pss(
        &self,
        hash: HashAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), VerifyError> {
        let parameters = match hash {
            HashAlgorithm::Sha256 => &signature::RSA_PSS_2048_8192_SHA256,
            HashAlgorithm::Sha384 => &signature::RSA_PSS_2048_8192_SHA384,
            HashAlgorithm::Sha512 => &signature::RSA_PSS_2048_8192_SHA512,
        };
        self.verify_rsa_with(parameters, message, signature)
    }

    /// Verifies a PKCS #1 v1.5 signature over SHA-1, which is broken: two messages with one digest
    /// can be made. For formats that know nothing else (Alpine packages). Keys of 2048 to 4096
    /// bits.
    pub fn verify_sha1_for_legacy_use_only(
        &self,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), VerifyError> {
        self.verify_rsa_with(
            &signature::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
            message,
            signature,
        )
    }

    fn verify_rsa_with(
        &self,
        parameters: &'static RsaParameters,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), VerifyError> {
        let Material::Rsa { keys, .. } = self.material() else {
            return Err(VerifyError::Unsupported);
        };
        if !matches!(self.kind(), KeyKind::Rsa { bits } if BITS.contains(&bits)) {
            return Err(VerifyError::Unsupported);
        }
        ParsedPublicKey::new(parameters, keys.encoded())
            .map_err(|_| VerifyError::Unsupported)?
            .verify_sig(message, signature)
            .map_err(|_| VerifyError::Invalid)
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{KeyPair as _, RsaEncoding, RsaKeyPair};

    use super::*;

    fn sign(pair: &RsaKeyPair, encoding: &'static dyn RsaEncoding) -> Vec<u8> {
        let mut out = vec![0; pair.public_modulus_len()];
        pair.sign(encoding, &SystemRandom::new(), b"message", &mut out)
            .unwrap();
        out
    }

    #[test]
    fn each_form_verifies_as_itself_only() {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        let key = PublicKey::from_spki_der(der.as_ref()).unwrap();
        let pss = sign(&pair, &signature::RSA_PSS_SHA256);
        key.verify_pss(HashAlgorithm::Sha256, b"message", &pss)
            .unwrap();
        let refused = Err(VerifyError::Invalid);
        assert_eq!(
            key.verify_pss(HashAlgorithm::Sha256, b"other", &pss),
            refused
        );
        assert_eq!(
            key.verify_pss(HashAlgorithm::Sha384, b"message", &pss),
            refused
        );
        assert_eq!(key.verify(HashAlgorithm::Sha256, b"message", &pss), refused);
        let pkcs1 = sign(&pair, &signature::RSA_PKCS1_SHA256);
        assert_eq!(
            key.verify_pss(HashAlgorithm::Sha256, b"message", &pkcs1),
            refused
        );
        assert_eq!(
            key.verify_sha1_for_legacy_use_only(b"message", &pkcs1),
            refused
        );
    }

    #[test]
    fn keys_of_another_kind_are_not_rsa_keys() {
        let key = PublicKey::from_ed25519_bytes(&[
            0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64,
            0x07, 0x3a, 0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68,
            0xf7, 0x07, 0x51, 0x1a,
        ])
        .unwrap();
        assert_eq!(
            key.verify_sha1_for_legacy_use_only(b"", b""),
            Err(VerifyError::Unsupported)
        );
    }
}
