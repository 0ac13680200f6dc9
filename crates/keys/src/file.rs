//! Keys in encrypted PKCS#8 files (PBES2: scrypt, AES-256-CBC).

use std::path::Path;

use crate::{Algorithm, Passphrase, SignError, Signer};

/// A key that was read from a file into memory.
pub struct FileSigner {
    algorithm: Algorithm,
    public_key: crypto::PublicKey,
}

/// Why a key file could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum FileKeyError {
    /// Reading or writing failed.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The content is not a key this can use, or the passphrase is wrong.
    #[error("{path}: {reason}")]
    Unusable {
        /// The file.
        path: String,
        /// What is wrong and what to do.
        reason: String,
    },
}

impl std::fmt::Debug for FileSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileSigner")
            .field("algorithm", &self.algorithm)
            .field("public_key", &self.public_key)
            .finish_non_exhaustive()
    }
}

impl FileSigner {
    /// Makes a new key in memory only. For tests; services refuse such keys.
    pub fn generate(_algorithm: Algorithm) -> Result<Self, FileKeyError> {
        unimplemented!()
    }

    /// Makes a new key and writes it, encrypted, to `path`, which must not exist (mode 0600,
    /// file and directory fsynced).
    pub fn create(_path: &Path, _algorithm: Algorithm, _passphrase: &Passphrase) -> Result<Self, FileKeyError> {
        unimplemented!()
    }

    /// Reads a PEM key: `ENCRYPTED PRIVATE KEY` (PBES2) or `PRIVATE KEY`.
    pub fn load(_path: &Path, _passphrase: &Passphrase) -> Result<Self, FileKeyError> {
        unimplemented!()
    }
}

#[async_trait::async_trait]
impl Signer for FileSigner {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    fn public_key(&self) -> &crypto::PublicKey {
        &self.public_key
    }

    async fn sign(&self, _message: &[u8]) -> Result<Vec<u8>, SignError> {
        unimplemented!()
    }
}
