//! What a signer pins when it is opened, and the check that every signature passes before release.

use crate::{Algorithm, SignError};

/// The public half of a key that lives elsewhere, with the algorithm that follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pinned {
    algorithm: Algorithm,
    public_key: crypto::PublicKey,
}

/// What a backend is asked to sign.
///
/// ECDSA backends get a digest, computed here: many tokens cannot hash, and some cut a longer input
/// to the length they like without a word. Its type guarantees its length.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    Digest(crypto::Digest),
    Message(Vec<u8>),
}

impl Input {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Digest(digest) => digest.as_bytes(),
            Self::Message(message) => message,
        }
    }
}

impl Pinned {
    /// Pins `public_key`; `None` if nothing here signs with such keys.
    pub(crate) fn new(public_key: crypto::PublicKey) -> Option<Self> {
        Some(Self {
            algorithm: Algorithm::of_key(public_key.kind())?,
            public_key,
        })
    }

    pub(crate) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(crate) fn public_key(&self) -> &crypto::PublicKey {
        &self.public_key
    }

    /// What to send to the backend for `message`.
    pub(crate) fn input(&self, message: &[u8]) -> Input {
        match self.algorithm.hash() {
            Some(hash) => Input::Digest(hash.digest(message)),
            None => Input::Message(message.to_vec()),
        }
    }

    /// Lets a signature out if it verifies under the pinned key.
    ///
    /// A backend that signs with another key (an alias re-pointed, a token exchanged), over other
    /// bytes, or with a bit flipped is caught here, and nothing is released.
    pub(crate) fn release(&self, input: &Input, signature: Vec<u8>) -> Result<Vec<u8>, SignError> {
        let hash = self
            .algorithm
            .hash()
            .unwrap_or(crypto::HashAlgorithm::Sha512);
        let verified = match input {
            // `verify_digest` accepts raw r‖s too, which must not go out as DER.
            Input::Digest(_) if signature.first() != Some(&0x30) => {
                return Err(SignError::BadSignature);
            }
            Input::Digest(digest) => self.public_key.verify_digest(digest, &signature),
            Input::Message(message) => self.public_key.verify(hash, message, &signature),
        };
        match verified {
            Ok(()) => Ok(signature),
            Err(_) => Err(SignError::BadSignature),
        }
    }
}

/// `Ecdsa-Sig-Value` (RFC 3279 section 2.2.3) of a raw `r‖s`; `None` if the length is odd or zero.
#[cfg(any(feature = "pkcs11", test))]
pub(crate) fn asn1_signature(raw: &[u8]) -> Option<Vec<u8>> {
    use pkcs8::der::{Encode, asn1::UintRef};

    if raw.is_empty() || !raw.len().is_multiple_of(2) {
        return None;
    }
    let (r, s) = raw.split_at(raw.len() / 2);
    let (r, s) = (UintRef::new(r).ok()?, UintRef::new(s).ok()?);
    [r, s].to_der().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FileSigner, Signer};

    #[test]
    fn leading_zeros_and_high_bits_of_r_and_s_become_der_integers() {
        let mut raw = [0; 64];
        raw[1] = 0x7f;
        raw[32] = 0x80;
        let der = asn1_signature(&raw).unwrap();
        // r: 31 significant bytes, the first below 0x80; s: 32 bytes that need a zero before them.
        assert_eq!(der[..5], [0x30, 2 + 31 + 2 + 33, 0x02, 31, 0x7f]);
        assert_eq!(der[35..39], [0x02, 33, 0x00, 0x80]);
        assert_eq!(asn1_signature(&raw[..63]), None);
        assert_eq!(asn1_signature(&[]), None);
    }

    #[tokio::test]
    async fn only_a_signature_of_the_pinned_key_over_the_input_is_released() {
        for algorithm in [
            Algorithm::EcdsaP256Sha256,
            Algorithm::EcdsaP384Sha384,
            Algorithm::Ed25519,
        ] {
            let (signer, other) = (
                FileSigner::generate(algorithm).unwrap(),
                FileSigner::generate(algorithm).unwrap(),
            );
            let pinned = Pinned::new(signer.public_key().clone()).unwrap();
            let input = pinned.input(b"message");
            let good = signer.sign(b"message").await.unwrap();
            assert_eq!(pinned.release(&input, good.clone()), Ok(good.clone()));
            let mut damaged = good;
            *damaged.last_mut().unwrap() ^= 1;
            for bad in [
                damaged,
                signer.sign(b"another message").await.unwrap(),
                other.sign(b"message").await.unwrap(),
                Vec::new(),
            ] {
                assert_eq!(
                    pinned.release(&input, bad),
                    Err(SignError::BadSignature),
                    "{algorithm}"
                );
            }
        }
    }

    #[test]
    fn a_digest_of_another_length_cannot_be_made() {
        for length in [0, 31, 33, 64] {
            assert!(crypto::Digest::new(crypto::HashAlgorithm::Sha256, vec![0; length]).is_none());
        }
    }
}
