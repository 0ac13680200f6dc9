//! Key custody: everything that signs does so through [`Signer`].

mod file;
mod uri;

pub use file::{FileKeyError, FileSigner};
pub use uri::{KeyUri, KeyUriError, OpenError, Passphrase, open};

use std::sync::Arc;

/// The one algorithm that a key signs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA P-256 over SHA-256.
    EcdsaP256Sha256,
    /// ECDSA P-384 over SHA-384.
    EcdsaP384Sha384,
    /// Pure Ed25519.
    Ed25519,
}

/// Why a signature could not be made. Never says anything about the key's secret.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The backend cannot be reached or is overloaded; trying again later may work.
    #[error("the key's backend is unavailable: {0}")]
    Unavailable(String),
    /// The backend refused.
    #[error("the key's backend refused to sign: {0}")]
    Refused(String),
    /// The backend returned something that does not verify under the key's public half.
    #[error("the key's backend returned a signature that does not verify")]
    BadSignature,
}

/// A private key that lives somewhere: a file, a KMS, an HSM.
///
/// Shaped for the slowest of them: asynchronous and fallible. A signer has exactly one key, pinned
/// when it was opened, and one algorithm. Every signature was verified under
/// [`Self::public_key`] before it is returned.
#[async_trait::async_trait]
pub trait Signer: std::fmt::Debug + Send + Sync {
    /// The algorithm of every signature.
    fn algorithm(&self) -> Algorithm;

    /// The public half.
    fn public_key(&self) -> &crypto::PublicKey;

    /// Signs `message` (not its digest). ECDSA signatures are ASN.1 DER.
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError>;
}

/// A signer that parts of the program share.
pub type SharedSigner = Arc<dyn Signer>;
