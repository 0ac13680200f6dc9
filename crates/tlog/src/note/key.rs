//! Keys that verify notes, their ids and their text form.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto::{HashAlgorithm, KeyKind, PublicKey};

use super::is_key_name;

/// Signature type of Ed25519 keys.
const ED25519: u8 = 0x01;
/// Signature type of ECDSA keys.
const ECDSA: u8 = 0x02;
/// Signature type of everything that C2SP assigns no number; a long name follows.
const OTHER: u8 = 0xff;
/// Long name of RSA keys.
const RSA_NAME: &[u8] = b"PKIX-RSA-PKCS#1v1.5";

/// A key that verifies notes, under its name.
///
/// Its text form, "vkey", is `<name>+<hint, 8 hex digits>+<base64 of type and key>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    id: [u8; 32],
    key: PublicKey,
}

/// Not a key that verifies notes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifierKeyError {
    /// Not `<name>+<hint>+<base64>`.
    #[error("malformed note verification key")]
    Malformed,
    /// See [`is_key_name`].
    #[error("malformed key name")]
    Name,
    /// The hint is not that of the name and key.
    #[error("the key hint does not match the key")]
    Hint,
    /// A signature type that is not Ed25519, ECDSA or RSA.
    #[error("unsupported signature type")]
    Type,
    /// The key itself.
    #[error(transparent)]
    Key(#[from] crypto::KeyError),
}

impl VerifierKey {
    /// `key` under `name`.
    pub fn new(name: impl Into<String>, key: PublicKey) -> Result<Self, VerifierKeyError> {
        let name = name.into();
        if !is_key_name(&name) {
            return Err(VerifierKeyError::Name);
        }
        let id = match (key.ed25519_bytes(), key.kind()) {
            (Some(bytes), _) => ed25519_key_id(&name, bytes),
            (None, KeyKind::Rsa { .. }) => rsa_key_id(&name, key.spki_der()),
            (None, _) => key.key_id(),
        };
        Ok(Self { name, id, key })
    }

    /// Parses a vkey.
    pub fn parse(vkey: &str) -> Result<Self, VerifierKeyError> {
        // Names have no `+`, base64 may.
        let mut parts = vkey.splitn(3, '+');
        let (Some(name), Some(hint), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(VerifierKeyError::Malformed);
        };
        let typed = STANDARD
            .decode(key)
            .map_err(|_| VerifierKeyError::Malformed)?;
        let key = match typed.split_first().ok_or(VerifierKeyError::Malformed)? {
            (&ED25519, key) => PublicKey::from_ed25519_bytes(
                key.try_into().map_err(|_| VerifierKeyError::Malformed)?,
            )?,
            (&ECDSA, spki) => {
                let key = PublicKey::from_spki_der(spki)?;
                let is_ecdsa = matches!(
                    key.kind(),
                    KeyKind::EcdsaP256 | KeyKind::EcdsaP384 | KeyKind::EcdsaP521
                );
                if is_ecdsa {
                    key
                } else {
                    return Err(VerifierKeyError::Type);
                }
            }
            (&OTHER, named) => {
                let spki = named.strip_prefix(RSA_NAME).ok_or(VerifierKeyError::Type)?;
                let key = PublicKey::from_spki_der(spki)?;
                if matches!(key.kind(), KeyKind::Rsa { .. }) {
                    key
                } else {
                    return Err(VerifierKeyError::Type);
                }
            }
            _ => return Err(VerifierKeyError::Type),
        };
        let parsed = Self::new(name, key)?;
        if hint != parsed.hex_hint() {
            return Err(VerifierKeyError::Hint);
        }
        Ok(parsed)
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The full key id; as the log's key, its log id.
    #[must_use]
    pub const fn id(&self) -> [u8; 32] {
        self.id
    }

    /// First four bytes of the key id.
    #[must_use]
    pub const fn hint(&self) -> [u8; 4] {
        let [a, b, c, d, ..] = self.id;
        [a, b, c, d]
    }

    /// The key without its name.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.key
    }

    /// Whether `signature` (without hint) is by this key over `text`.
    ///
    /// Ed25519: pure. ECDSA: with the hash as strong as the curve. RSA: PKCS#1 v1.5 with
    /// SHA-256.
    #[must_use]
    pub fn verify(&self, text: &str, signature: &[u8]) -> bool {
        let hash = match self.key.kind() {
            KeyKind::EcdsaP256 | KeyKind::Rsa { .. } => HashAlgorithm::Sha256,
            KeyKind::EcdsaP384 => HashAlgorithm::Sha384,
            KeyKind::EcdsaP521 | KeyKind::Ed25519 => HashAlgorithm::Sha512,
        };
        self.key.verify(hash, text.as_bytes(), signature).is_ok()
    }

    fn hex_hint(&self) -> String {
        format!("{:08x}", u32::from_be_bytes(self.hint()))
    }
}

/// The vkey.
impl std::fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let spki = self.key.spki_der();
        let typed = match (self.key.ed25519_bytes(), self.key.kind()) {
            (Some(bytes), _) => [&[ED25519], bytes.as_slice()].concat(),
            (None, KeyKind::Rsa { .. }) => [&[OTHER], RSA_NAME, spki].concat(),
            (None, _) => [&[ECDSA], spki].concat(),
        };
        write!(
            f,
            "{}+{}+{}",
            self.name,
            self.hex_hint(),
            STANDARD.encode(typed)
        )
    }
}

/// Key hint of Rekor v1 and of every ECDSA key: the first bytes of SHA-256 of the DER SPKI.
#[must_use]
pub fn spki_key_hint(spki_der: &[u8]) -> [u8; 4] {
    let [a, b, c, d, ..] = crypto::sha256(spki_der);
    [a, b, c, d]
}

/// Full 32-byte key id of an Ed25519 note key: `SHA-256(name ‖ 0A ‖ 01 ‖ key)`.
#[must_use]
pub fn ed25519_key_id(name: &str, key: &[u8; 32]) -> [u8; 32] {
    crypto::sha256_concat(&[name.as_bytes(), b"\n", &[ED25519], key])
}

/// Full 32-byte key id of an RSA note key:
/// `SHA-256(name ‖ 0A ‖ FF ‖ "PKIX-RSA-PKCS#1v1.5" ‖ SPKI)`.
#[must_use]
pub fn rsa_key_id(name: &str, spki_der: &[u8]) -> [u8; 32] {
    crypto::sha256_concat(&[name.as_bytes(), b"\n", &[OTHER], RSA_NAME, spki_der])
}
