//! Signed documents: `{"signatures":[{"keyid":…,"sig":…}],"signed":{…}}`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Key, KeyId, Metadata, RoleKeys, RoleName};
use crate::canonical;

/// Metadata with the signatures it has so far.
///
/// What is signed cannot be changed once it is in a document; signatures are added one by one,
/// wherever they were made, and each is checked when it is added. The bytes that are signed and
/// the bytes that are published are both functions of the content, so a document can be carried
/// to another machine and back.
#[derive(Clone, Debug, PartialEq)]
pub struct Document<T> {
    signed: T,
    signatures: BTreeMap<KeyId, Vec<u8>>,
}

/// One signature, as it stands in a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// The key that signed.
    pub keyid: KeyId,
    /// ASN.1 DER signature, in lower-case hexadecimal digits.
    pub sig: String,
}

/// Why bytes are not a document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// Not JSON, or members that are missing, unknown or of another form.
    #[error("not {role} metadata: {reason}")]
    Malformed {
        /// The role that was expected.
        role: RoleName,
        /// What the parser said.
        reason: String,
    },
    /// Longer than the strictest client reads.
    #[error("{role} metadata of {length} bytes: clients read at most {limit}")]
    TooLong {
        /// The role.
        role: RoleName,
        /// Its length in bytes.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The same content, spelled otherwise than this tool writes it.
    #[error(
        "{0} metadata is not in the form that every client reads alike (it was changed or written by another tool)"
    )]
    Form(RoleName),
}

/// Why signatures are not sufficient.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Fewer keys than needed.
    #[error("{role} version {version} has {valid} of {threshold} signatures that are needed")]
    Threshold {
        /// The role.
        role: RoleName,
        /// The version of the document.
        version: u64,
        /// How many different keys signed.
        valid: usize,
        /// How many must.
        threshold: u32,
    },
    /// A signature that was offered does not verify.
    #[error("the signature of key {0} does not verify")]
    Invalid(KeyId),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<T> {
    signatures: Vec<Signature>,
    signed: T,
}

impl<T: Metadata> Document<T> {
    /// A document without signatures.
    #[must_use]
    pub const fn unsigned(signed: T) -> Self {
        Self {
            signed,
            signatures: BTreeMap::new(),
        }
    }

    /// The content.
    #[must_use]
    pub const fn signed(&self) -> &T {
        &self.signed
    }

    /// Reads a document; accepts exactly the bytes that [`Self::to_json`] gives.
    pub fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        check_length::<T>(bytes.len())?;
        let malformed = |reason: String| DocumentError::Malformed {
            role: T::ROLE,
            reason,
        };
        let envelope: Envelope<T> =
            serde_json::from_slice(bytes).map_err(|e| malformed(e.to_string()))?;
        let mut signatures = BTreeMap::new();
        for Signature { keyid, sig } in envelope.signatures {
            let sig = hex::decode(&sig)
                .map_err(|_| malformed("a signature is not hexadecimal".to_owned()))?;
            if signatures.insert(keyid, sig).is_some() {
                return Err(malformed("two signatures of one key".to_owned()));
            }
        }
        let document = Self {
            signed: envelope.signed,
            signatures,
        };
        // Members given twice, other spellings of numbers and the like: what one reader takes for
        // the content another may not.
        match document.to_json()? == bytes {
            true => Ok(document),
            false => Err(DocumentError::Form(T::ROLE)),
        }
    }

    /// The bytes to publish: indented JSON with a final newline.
    pub fn to_json(&self) -> Result<Vec<u8>, DocumentError> {
        let signatures = self.signatures.iter().map(|(keyid, sig)| Signature {
            keyid: *keyid,
            sig: hex::encode(sig),
        });
        let envelope = Envelope {
            signatures: signatures.collect(),
            signed: &self.signed,
        };
        let mut bytes =
            serde_json::to_vec_pretty(&envelope).map_err(|e| DocumentError::Malformed {
                role: T::ROLE,
                reason: e.to_string(),
            })?;
        bytes.push(b'\n');
        check_length::<T>(bytes.len())?;
        Ok(bytes)
    }

    /// The bytes to sign: the canonical JSON of the content.
    pub fn payload(&self) -> Result<Vec<u8>, DocumentError> {
        let malformed = |reason: String| DocumentError::Malformed {
            role: T::ROLE,
            reason,
        };
        let value = serde_json::to_value(&self.signed).map_err(|e| malformed(e.to_string()))?;
        canonical::encode(&value).map_err(|e| malformed(e.to_string()))
    }

    /// Reads the bytes to sign back into a document without signatures; accepts exactly what
    /// [`Self::payload`] gives.
    pub fn from_payload(payload: &[u8]) -> Result<Self, DocumentError> {
        check_length::<T>(payload.len())?;
        // The canonical form leaves line feeds raw, JSON does not; it has them in strings only.
        let mut json = Vec::with_capacity(payload.len());
        for byte in payload {
            match byte {
                b'\n' => json.extend_from_slice(b"\\n"),
                other => json.push(*other),
            }
        }
        let signed = serde_json::from_slice(&json).map_err(|e| DocumentError::Malformed {
            role: T::ROLE,
            reason: e.to_string(),
        })?;
        let document = Self::unsigned(signed);
        match document.payload()? == payload {
            true => Ok(document),
            false => Err(DocumentError::Form(T::ROLE)),
        }
    }

    /// Keys that have signed.
    pub fn signers(&self) -> impl Iterator<Item = KeyId> {
        self.signatures.keys().copied()
    }

    /// Adds a signature that was made over [`Self::payload`], after checking it.
    pub fn add_signature(&mut self, key: &Key, signature: Vec<u8>) -> Result<(), SignatureError> {
        let payload = self
            .payload()
            .map_err(|_| SignatureError::Invalid(key.id()))?;
        if !key.verifies(&payload, &signature) {
            return Err(SignatureError::Invalid(key.id()));
        }
        self.signatures.insert(key.id(), signature);
        Ok(())
    }

    /// Whether `key` has signed already.
    #[must_use]
    pub fn has_signature_of(&self, key: KeyId) -> bool {
        self.signatures.contains_key(&key)
    }

    /// Checks that enough of a role's keys signed. Signatures of other keys do not matter.
    pub fn verify(
        &self,
        keys: &BTreeMap<KeyId, Key>,
        role: &RoleKeys,
    ) -> Result<(), SignatureError> {
        let payload = self.payload().unwrap_or_default();
        // A set: one key listed twice counts once.
        let members: BTreeSet<KeyId> = role.keyids.iter().copied().collect();
        let signed = |id: &KeyId| {
            keys.get(id)
                .zip(self.signatures.get(id))
                .is_some_and(|(key, sig)| key.id() == *id && key.verifies(&payload, sig))
        };
        let valid = members.iter().filter(|id| signed(id)).count();
        let enough = role.threshold >= 1
            && usize::try_from(role.threshold).is_ok_and(|needed| valid >= needed);
        match enough {
            true => Ok(()),
            false => Err(SignatureError::Threshold {
                role: T::ROLE,
                version: self.signed.version().get(),
                valid,
                threshold: role.threshold,
            }),
        }
    }
}

fn check_length<T: Metadata>(length: usize) -> Result<(), DocumentError> {
    match length <= T::MAX_BYTES {
        true => Ok(()),
        false => Err(DocumentError::TooLong {
            role: T::ROLE,
            length,
            limit: T::MAX_BYTES,
        }),
    }
}
