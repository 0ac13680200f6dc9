//! The file: a private key under a data key.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::signer::WrappedKeyError;

/// The only format there is.
const FORMAT: &str = "sigkeep-wrapped-key-v1";

/// A wrapped key as it is in the file.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Envelope {
    format: String,
    context: String,
    public_key: String,
    data_key: String,
    private_key: String,
}

/// The key that encrypts one private key.
pub(super) struct DataKey(Zeroizing<[u8; 32]>);

/// What both encryptions authenticate.
#[derive(Clone, Copy)]
pub(super) struct Binding([u8; 32]);

impl Binding {
    pub(super) fn of(context: &str, public_key: &crypto::PublicKey) -> Self {
        let mut input = Vec::new();
        for part in [FORMAT.as_bytes(), context.as_bytes(), public_key.spki_der()] {
            input.extend_from_slice(&(part.len() as u64).to_be_bytes());
            input.extend_from_slice(part);
        }
        Self(crypto::sha256(&input))
    }

    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl DataKey {
    pub(super) fn generate() -> Result<Self, WrappedKeyError> {
        let mut key = Zeroizing::new([0; 32]);
        aws_lc_rs::rand::fill(key.as_mut()).map_err(|_| WrappedKeyError::Randomness)?;
        Ok(Self(key))
    }

    /// The key that came back from a key-encryption key; `None` if it cannot be one.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|key| Self(Zeroizing::new(key)))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_ref()
    }

    fn aead(&self) -> Option<RandomizedNonceKey> {
        RandomizedNonceKey::new(&AES_256_GCM, self.as_bytes()).ok()
    }
}

impl Envelope {
    /// Encrypts `private_key_info`; `wrapped_data_key` is `data_key` under the key-encryption key.
    pub(super) fn seal(
        context: &str,
        public_key: &crypto::PublicKey,
        private_key_info: &[u8],
        data_key: &DataKey,
        wrapped_data_key: &[u8],
    ) -> Result<Self, WrappedKeyError> {
        let binding = Binding::of(context, public_key);
        // Encrypted in place, so that no plaintext copy is left; room for the tag keeps it in place.
        let mut sealed = Vec::with_capacity(private_key_info.len() + AES_256_GCM.tag_len());
        sealed.extend_from_slice(private_key_info);
        let nonce = data_key
            .aead()
            .and_then(|aead| {
                aead.seal_in_place_append_tag(Aad::from(binding.as_bytes()), &mut sealed)
                    .ok()
            })
            .ok_or(WrappedKeyError::Randomness)?;
        Ok(Self {
            format: FORMAT.to_owned(),
            context: context.to_owned(),
            public_key: public_key.to_pem(),
            data_key: STANDARD.encode(wrapped_data_key),
            private_key: STANDARD.encode([nonce.as_ref().as_slice(), &sealed].concat()),
        })
    }

    /// Reads a file; what it holds is not believed before [`Self::open`].
    pub(super) fn parse(json: &[u8]) -> Result<Self, String> {
        let envelope: Self = serde_json::from_slice(json)
            .map_err(|error| format!("it is not a wrapped key: {error}"))?;
        if envelope.format != FORMAT {
            return Err(format!(
                "its format is {:?}; this version reads {FORMAT}",
                envelope.format
            ));
        }
        Ok(envelope)
    }

    pub(super) fn to_json(&self) -> Option<String> {
        serde_json::to_string_pretty(self).ok()
    }

    /// What the key is for, as the file says.
    pub(super) fn context(&self) -> &str {
        &self.context
    }

    /// The public key, as the file says.
    pub(super) fn public_key(&self) -> Result<crypto::PublicKey, String> {
        crypto::PublicKey::from_pem(&self.public_key).map_err(|error| error.to_string())
    }

    /// The data key under the key-encryption key.
    pub(super) fn wrapped_data_key(&self) -> Option<Vec<u8>> {
        STANDARD.decode(&self.data_key).ok()
    }

    /// The private key (PKCS#8); `None` if anything does not belong together.
    pub(super) fn open(&self, data_key: &DataKey, binding: Binding) -> Option<Zeroizing<Vec<u8>>> {
        let sealed = STANDARD.decode(&self.private_key).ok()?;
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut opened = Zeroizing::new(sealed.to_vec());
        let length = data_key
            .aead()?
            .open_in_place(nonce, Aad::from(binding.as_bytes()), &mut opened)
            .ok()?
            .len();
        opened.truncate(length);
        Some(opened)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Algorithm, FileSigner, Signer};

    fn key() -> crypto::PublicKey {
        FileSigner::generate(Algorithm::EcdsaP256Sha256)
            .unwrap()
            .public_key()
            .clone()
    }

    #[test]
    fn the_binding_tells_every_field_apart() {
        let (one, two) = (key(), key());
        let binding = |context: &str, key| *Binding::of(context, key).as_bytes();
        assert_eq!(binding("a", &one), binding("a", &one));
        assert_ne!(binding("a", &one), binding("b", &one));
        assert_ne!(binding("a", &one), binding("a", &two));
    }

    #[test]
    fn the_binding_is_what_the_format_says() {
        let key = key();
        let mut input = Vec::new();
        input.extend_from_slice(b"\0\0\0\0\0\0\0\x16sigkeep-wrapped-key-v1");
        input.extend_from_slice(b"\0\0\0\0\0\0\0\x02ca\0\0\0\0\0\0\0\x5b");
        input.extend_from_slice(key.spki_der());
        assert_eq!(Binding::of("ca", &key).as_bytes(), &crypto::sha256(&input));
    }

    #[test]
    fn only_the_same_data_key_and_binding_open_what_was_sealed() {
        let key = key();
        let data_key = DataKey::generate().unwrap();
        let envelope = Envelope::seal("ca", &key, b"private", &data_key, b"wrapped").unwrap();
        let read = Envelope::parse(envelope.to_json().unwrap().as_bytes()).unwrap();
        assert_eq!(read.wrapped_data_key().unwrap(), b"wrapped");
        assert_eq!(read.public_key().unwrap(), key);
        let binding = Binding::of(read.context(), &key);
        assert_eq!(
            read.open(&data_key, binding).unwrap().as_slice(),
            b"private"
        );
        assert!(read.open(&DataKey::generate().unwrap(), binding).is_none());
        assert!(read.open(&data_key, Binding::of("tsa", &key)).is_none());
    }

    #[test]
    fn other_files_are_refused() {
        for json in [
            "",
            "{}",
            "-----BEGIN PRIVATE KEY-----",
            r#"{"format":"sigkeep-wrapped-key-v2","context":"","public_key":"","data_key":"","private_key":""}"#,
        ] {
            assert!(Envelope::parse(json.as_bytes()).is_err(), "{json}");
        }
    }
}
