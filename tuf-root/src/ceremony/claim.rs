//! A public key with its owner and a proof that the owner holds the private half.

use crypto::PublicKey;
use keys::Signer;
use serde::{Deserialize, Serialize};
use wire::trust::Base64;

use crate::metadata::{Key, KeyError, KeyId};

/// Longest owner name, in characters.
const MAX_OWNER: usize = 80;

/// A key that somebody offers for the repository, as a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    format: Format,
    /// Who holds the key.
    owner: String,
    /// The key's id, to be read aloud.
    keyid: KeyId,
    /// PEM SubjectPublicKeyInfo.
    public_key: String,
    /// Signature over [`statement`], ASN.1 DER.
    proof: Base64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Format {
    #[serde(rename = "sigkeep-tuf-key-1")]
    V1,
}

/// Why a key was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// Not a claim.
    #[error("not a key file as `tuf-root key claim` writes it: {0}")]
    Malformed(String),
    /// A key itself.
    #[error(
        "this is a key, not a claim to one. A private key stays with its holder, who writes a claim with `tuf-root key claim`; a public key is added with `tuf-root key add --pem`"
    )]
    Pem,
    /// Not a key that clients take.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// An owner that cannot be shown on one line.
    #[error("an owner is 1 to {MAX_OWNER} printable ASCII characters")]
    Owner,
    /// The id in the file is not the key's.
    #[error("the key id in the file is not the one of its key")]
    KeyId,
    /// Whoever wrote the file does not hold the key.
    #[error("the proof does not verify: whoever wrote this file does not hold the key")]
    Proof,
    /// The key did not sign.
    #[error("{0}")]
    Sign(#[from] keys::SignError),
}

impl Claim {
    /// Makes a claim with the key at hand.
    pub async fn make(signer: &dyn Signer, owner: &str) -> Result<Self, ClaimError> {
        let key = Key::new(signer.public_key().clone())?;
        let owner = checked_owner(owner)?;
        let proof = signer.sign(&statement(&owner, key.id())).await?;
        Ok(Self {
            format: Format::V1,
            owner,
            keyid: key.id(),
            public_key: signer.public_key().to_pem(),
            proof: Base64(proof),
        })
    }

    /// Reads a claim and checks its proof.
    pub fn read(bytes: &[u8]) -> Result<Self, ClaimError> {
        if bytes.starts_with(b"-----BEGIN ") {
            return Err(ClaimError::Pem);
        }
        let claim: Self =
            serde_json::from_slice(bytes).map_err(|e| ClaimError::Malformed(e.to_string()))?;
        let key = claim.key()?;
        if key.id() != claim.keyid {
            return Err(ClaimError::KeyId);
        }
        let owner = checked_owner(&claim.owner)?;
        match key.verifies(&statement(&owner, key.id()), &claim.proof.0) {
            true => Ok(claim),
            false => Err(ClaimError::Proof),
        }
    }

    /// The key.
    pub fn key(&self) -> Result<Key, ClaimError> {
        let public = PublicKey::from_pem(&self.public_key)
            .map_err(|e| ClaimError::Malformed(e.to_string()))?;
        Ok(Key::new(public)?)
    }

    /// Who holds it.
    #[must_use]
    pub fn owner(&self) -> &str {
        &self.owner
    }
}

/// An owner's name as it may be kept and shown.
pub(crate) fn checked_owner(owner: &str) -> Result<String, ClaimError> {
    let owner = owner.trim();
    let printable = owner.bytes().all(|b| (b' '..=b'~').contains(&b));
    match printable && (1..=MAX_OWNER).contains(&owner.len()) {
        true => Ok(owner.to_owned()),
        false => Err(ClaimError::Owner),
    }
}

/// What the proof signs. It begins with a letter, and TUF metadata with a brace: a proof can never
/// be taken for a signature over metadata.
fn statement(owner: &str, keyid: KeyId) -> Vec<u8> {
    format!("Sigkeep TUF key, version 1\nheld by: {owner}\nkey id: {keyid}\n").into_bytes()
}
