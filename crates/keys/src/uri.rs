//! Key URIs: `file:PATH`, and the schemes of remote backends.

use std::str::FromStr;

use crate::SharedSigner;

/// Where a key lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyUri {
    /// A PKCS#8 file.
    File(std::path::PathBuf),
}

/// Why a key URI was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("key URI {uri:?}: {reason}")]
pub struct KeyUriError {
    /// The URI as given.
    pub uri: String,
    /// What is wrong and what to write instead.
    pub reason: String,
}

impl FromStr for KeyUri {
    type Err = KeyUriError;

    fn from_str(_uri: &str) -> Result<Self, KeyUriError> {
        unimplemented!()
    }
}

/// The passphrase of an encrypted key file.
#[derive(Clone, Debug)]
pub struct Passphrase(secrecy::SecretString);

impl Passphrase {
    /// A passphrase in memory.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secrecy::SecretString::from(secret.into()))
    }
}

/// Why a key could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A key file.
    #[error(transparent)]
    File(#[from] crate::FileKeyError),
}

/// Opens the key at `uri`; asks its backend for the public key once and pins it.
pub async fn open(_uri: &KeyUri, _passphrase: Option<&Passphrase>) -> Result<SharedSigner, OpenError> {
    unimplemented!()
}
