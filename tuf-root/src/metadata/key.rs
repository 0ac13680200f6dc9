//! Keys in root metadata.

use crypto::{HashAlgorithm, KeyKind, PublicKey};
use serde::{Deserialize, Serialize};

use super::{KeyId, Sha256};
use crate::canonical;

/// A public key: ECDSA P-256, the one kind that every client verifies.
///
/// ```text
/// {"keytype":"ecdsa","keyval":{"public":"-----BEGIN PUBLIC KEY-----\n…"},"scheme":"ecdsa-sha2-nistp256"}
/// ```
///
/// The PEM text has one form (64 columns, one final line feed), so one public key has one key id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "KeyObject", into = "KeyObject")]
pub struct Key {
    public: PublicKey,
    id: KeyId,
}

/// Why a key cannot be used in TUF metadata.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not ECDSA P-256.
    #[error("TUF clients agree on ECDSA P-256 keys only, and this one is {0:?}; make a P-256 key")]
    Kind(KeyKind),
    /// Not a key.
    #[error("{0}")]
    Malformed(String),
    /// A key, in another spelling than the one its id is made from.
    #[error("the PEM text of the key is not in its normal form")]
    Spelling,
}

impl Key {
    /// The TUF key of a public key.
    pub fn new(public: PublicKey) -> Result<Self, KeyError> {
        if public.kind() != KeyKind::EcdsaP256 {
            return Err(KeyError::Kind(public.kind()));
        }
        let object = KeyObject::of(&public);
        let value =
            serde_json::to_value(&object).map_err(|e| KeyError::Malformed(e.to_string()))?;
        let bytes = canonical::encode(&value).map_err(|e| KeyError::Malformed(e.to_string()))?;
        Ok(Self {
            public,
            id: KeyId(Sha256::of(&bytes)),
        })
    }

    /// SHA-256 of the canonical form of the whole key object.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// Whether `signature` (ASN.1 DER) is this key's over `message`.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.public
            .verify(HashAlgorithm::Sha256, message, signature)
            .is_ok()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyObject {
    keytype: KeyType,
    keyval: KeyValue,
    scheme: Scheme,
}

#[derive(Serialize, Deserialize)]
enum KeyType {
    #[serde(rename = "ecdsa")]
    Ecdsa,
}

#[derive(Serialize, Deserialize)]
enum Scheme {
    #[serde(rename = "ecdsa-sha2-nistp256")]
    EcdsaSha2Nistp256,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyValue {
    public: String,
}

impl KeyObject {
    fn of(public: &PublicKey) -> Self {
        Self {
            keytype: KeyType::Ecdsa,
            keyval: KeyValue {
                public: public.to_pem(),
            },
            scheme: Scheme::EcdsaSha2Nistp256,
        }
    }
}

impl TryFrom<KeyObject> for Key {
    type Error = KeyError;

    fn try_from(object: KeyObject) -> Result<Self, KeyError> {
        let public = PublicKey::from_pem(&object.keyval.public)
            .map_err(|e| KeyError::Malformed(e.to_string()))?;
        if public.to_pem() != object.keyval.public {
            return Err(KeyError::Spelling);
        }
        Self::new(public)
    }
}

impl From<Key> for KeyObject {
    fn from(key: Key) -> Self {
        Self::of(&key.public)
    }
}

#[cfg(test)]
mod tests {
    use keys::{Algorithm, FileSigner, Signer as _};
    use serde_json::{Value, json};

    use super::*;

    fn public(algorithm: Algorithm) -> PublicKey {
        FileSigner::generate(algorithm)
            .unwrap()
            .public_key()
            .clone()
    }

    #[test]
    fn key_id_is_the_hash_of_the_canonical_key_object() {
        let key = Key::new(public(Algorithm::EcdsaP256Sha256)).unwrap();
        let pem = key.public.to_pem();
        let object = format!(
            "{{\"keytype\":\"ecdsa\",\"keyval\":{{\"public\":\"{pem}\"}},\"scheme\":\"ecdsa-sha2-nistp256\"}}"
        );
        assert_eq!(key.id(), KeyId(Sha256::of(object.as_bytes())));
        assert_eq!(
            serde_json::from_value::<Key>(serde_json::to_value(&key).unwrap()).unwrap(),
            key
        );
    }

    #[test]
    fn other_kinds_of_keys_are_refused() {
        for algorithm in [Algorithm::EcdsaP384Sha384, Algorithm::Ed25519] {
            assert!(matches!(
                Key::new(public(algorithm)),
                Err(KeyError::Kind(_))
            ));
        }
    }

    #[test]
    fn key_objects_outside_the_profile_are_refused() {
        let good =
            serde_json::to_value(Key::new(public(Algorithm::EcdsaP256Sha256)).unwrap()).unwrap();
        let pem = good["keyval"]["public"].as_str().unwrap().to_owned();
        let with = |change: &dyn Fn(&mut Value)| {
            let mut value = good.clone();
            change(&mut value);
            value
        };
        for bad in [
            with(&|v| v["x-tuf-on-ci-keyowner"] = json!("@someone")),
            with(&|v| v["keytype"] = json!("ecdsa-sha2-nistp256")),
            with(&|v| v["scheme"] = json!("ecdsa-sha2-nistp384")),
            with(&|v| v["keyval"]["public"] = json!(format!("{pem}\n"))),
            with(&|v| v["keyval"]["public"] = json!(pem.trim_end())),
            with(&|v| v["keyval"]["public"] = json!(pem.replace('\n', "\r\n"))),
            with(&|v| v["keyval"]["public"] = json!("04abcd")),
        ] {
            assert!(serde_json::from_value::<Key>(bad.clone()).is_err(), "{bad}");
        }
    }
}
