//! minisign and signify: Ed25519 keys and signatures with a key id.
//!
//! ```text
//! untrusted comment: …                          key:       "Ed" ‖ key id (8) ‖ Ed25519 key (32)
//! base64(…)                                     signature: "Ed" or "ED" ‖ key id (8) ‖ Ed25519 (64)
//! trusted comment: …        (minisign only)
//! base64(Ed25519 over signature and comment)
//! ```
//!
//! `ED` signs the BLAKE2b-512 digest of the artifact, `Ed` the artifact.

use blake2::{Blake2b512, Digest as _};
use crypto::{HashAlgorithm, PublicKey};

use super::EntryError;

/// Longest key or signature text, in bytes; comments are short.
const MAX_TEXT: usize = 64 * 1024;

const KEY: usize = 2 + 8 + 32;
const SIGNATURE: usize = 2 + 8 + 64;

/// A key with the id that its owner gave it.
pub(crate) struct Key {
    key: PublicKey,
    canonical: String,
}

/// A detached signature.
pub(super) struct Signature {
    prehashed: bool,
    ed25519: [u8; 64],
    canonical: String,
}

impl Key {
    /// Parses a key file, its second line alone, or 32 bytes of key without id.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, EntryError> {
        let encoded = match text(bytes) {
            Some(text) => {
                let after_comment = text.split_once('\n').map(|(_, rest)| rest);
                after_comment
                    .and_then(decode::<KEY>)
                    .or_else(|| decode::<KEY>(text))
            }
            None => None,
        };
        let encoded = match (encoded, bytes) {
            (Some(encoded), _) => encoded,
            (None, bytes) if bytes.len() == 32 => {
                let mut encoded = [0; KEY];
                let (name, key) = encoded.split_at_mut(10);
                name.iter_mut()
                    .zip(b"Ed")
                    .for_each(|(to, from)| *to = *from);
                key.copy_from_slice(bytes);
                encoded
            }
            _ => {
                return Err(EntryError::invalid(
                    "unable to read minisign public key: Invalid encoded public key",
                ));
            }
        };
        let key = encoded
            .last_chunk::<32>()
            .ok_or_else(|| EntryError::invalid("unable to read minisign public key"))?;
        Ok(Self {
            key: PublicKey::from_ed25519_bytes(key)
                .map_err(|error| EntryError::Invalid(error.to_string()))?,
            canonical: wire::rekor::encode_base64(&encoded),
        })
    }

    /// The key's second line, without its end.
    pub(crate) fn canonical(&self) -> &str {
        &self.canonical
    }
}

impl Signature {
    /// Parses a signature of minisign (four lines) or of signify (two).
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, EntryError> {
        let malformed = || EntryError::invalid("invalid signature provided");
        let text = text(bytes).ok_or_else(malformed)?;
        let mut lines = text.lines();
        let encoded = match (lines.next(), lines.next(), lines.next(), lines.next()) {
            (Some(_), Some(line), None, None) => decode::<SIGNATURE>(line),
            (Some(_), Some(line), Some(_), Some(global)) if lines.all(str::is_empty) => {
                decode::<SIGNATURE>(line).filter(|_| decode::<64>(global).is_some())
            }
            _ => None,
        };
        let encoded = encoded.ok_or_else(malformed)?;
        let prehashed = match encoded.first_chunk() {
            Some(b"Ed") => false,
            Some(b"ED") => true,
            _ => return Err(malformed()),
        };
        let canonical = format!(
            "untrusted comment:\n{}",
            wire::rekor::encode_base64(&encoded)
        );
        Ok(Self {
            prehashed,
            ed25519: *encoded.last_chunk().ok_or_else(malformed)?,
            canonical,
        })
    }

    /// The signature without comments.
    pub(super) fn canonical(&self) -> &str {
        &self.canonical
    }

    pub(super) fn verify(&self, key: &Key, artifact: &[u8]) -> Result<(), EntryError> {
        let digest;
        let message = match self.prehashed {
            true => {
                digest = Blake2b512::digest(artifact);
                digest.as_slice()
            }
            false => artifact,
        };
        key.key
            .verify(HashAlgorithm::Sha512, message, &self.ed25519)
            .map_err(|_| EntryError::invalid("ed25519: invalid signature"))
    }
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes)
        .ok()
        .filter(|text| text.len() <= MAX_TEXT)
}

fn decode<const N: usize>(line: &str) -> Option<[u8; N]> {
    wire::rekor::decode_base64(line)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ed25519 public key of RFC 8032 section 7.1, test 1.
    fn key() -> Vec<u8> {
        hex::decode("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a").unwrap()
    }

    #[test]
    fn a_key_has_one_canonical_form_in_file_line_and_raw_form() {
        let named = [b"Ed", &b"12345678"[..], &key()].concat();
        let line = wire::rekor::encode_base64(&named);
        for text in [line.clone(), format!("untrusted comment: x\n{line}\n")] {
            assert_eq!(Key::parse(text.as_bytes()).unwrap().canonical(), line);
        }
        let raw = Key::parse(&key()).unwrap();
        let unnamed = [b"Ed", &[0; 8][..], &key()].concat();
        assert_eq!(raw.canonical(), wire::rekor::encode_base64(&unnamed));
        assert!(Key::parse(b"").is_err());
        assert!(Key::parse(&named).is_err());
    }

    #[test]
    fn signatures_of_other_lengths_and_algorithms_are_refused() {
        let line = |bytes: &[u8]| wire::rekor::encode_base64(bytes);
        for malformed in [
            String::new(),
            "untrusted comment: x".to_owned(),
            format!("c\n{}\n", line(&[0; 73])),
            format!("c\n{}\n", line(&[0; 74])),
            format!(
                "c\n{}\nt\n{}\n",
                line(&[b"Ed", &[0; 72][..]].concat()),
                line(&[0; 63])
            ),
        ] {
            assert!(
                Signature::parse(malformed.as_bytes()).is_err(),
                "{malformed}"
            );
        }
        assert!(
            Signature::parse(format!("c\n{}\n", line(&[b"Ed", &[0; 72][..]].concat())).as_bytes())
                .is_ok()
        );
    }
}
