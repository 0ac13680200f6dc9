//! Key custody: everything that signs does so through [`Signer`].
//!
//! A key is named by a [`KeyUri`], opened by [`open`] and made by [`create`]. Which backends exist is
//! decided when the program is built; a URI whose backend is missing is refused with a message that
//! names the build that has it.
//!
//! | URI | Where the key is | Feature |
//! |---|---|---|
//! | `file:PATH` | an encrypted PKCS#8 file | always |
//! | `pkcs11:token=…;object=…?module-path=…` | an HSM ([`Pkcs11Uri`]) | `pkcs11` |
//! | `awskms:///…` | AWS KMS ([`AwsKmsUri`]) | `kms-aws` |
//! | `hashivault://…`, `openbao://…` | a transit engine ([`TransitUri`]) | `vault` |
//! | `public:PATH` | not here: its public half, for what only verifies ([`PublicHalf`]) | always |
//! | `wrapped:PATH?kek=URI` | a file that one of the last three encrypts ([`WrappedUri`]) | that one's |

mod awskms;
pub mod durable;
mod file;
mod open;
mod pair;
mod passphrase;
#[cfg(feature = "remote")]
mod pinned;
mod pkcs11;
mod public;
mod sealed;
mod transit;
mod uri;
mod wrapped;

pub use awskms::AwsKmsUri;
#[cfg(feature = "kms-aws")]
pub use awskms::{AwsKmsError, AwsKmsSigner};
pub use file::{FileKeyError, FileSigner};
pub use open::{OpenError, create, open};
pub use passphrase::{Passphrase, PassphraseError, PassphraseSource};
pub use pkcs11::Pkcs11Uri;
#[cfg(feature = "pkcs11")]
pub use pkcs11::{Pkcs11Error, Pkcs11Signer};
pub use public::PublicHalf;
#[cfg(feature = "vault")]
pub use transit::{TransitError, TransitSigner};
pub use transit::{TransitServer, TransitUri};
pub use uri::{KeyUri, KeyUriError};
pub use wrapped::WrappedUri;
#[cfg(feature = "remote")]
pub use wrapped::{KekError, WrappedKeyError};

use std::sync::Arc;

/// The one algorithm that a key signs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// ECDSA P-256 over SHA-256.
    EcdsaP256Sha256,
    /// ECDSA P-384 over SHA-384.
    EcdsaP384Sha384,
    /// Pure Ed25519.
    Ed25519,
}

impl Algorithm {
    /// The hash of the message that is signed; `None` for Ed25519, which takes the message itself.
    #[must_use]
    pub const fn hash(self) -> Option<crypto::HashAlgorithm> {
        match self {
            Self::EcdsaP256Sha256 => Some(crypto::HashAlgorithm::Sha256),
            Self::EcdsaP384Sha384 => Some(crypto::HashAlgorithm::Sha384),
            Self::Ed25519 => None,
        }
    }

    /// The algorithm that a key of this kind signs with, if any does.
    #[must_use]
    pub const fn of_key(kind: crypto::KeyKind) -> Option<Self> {
        match kind {
            crypto::KeyKind::EcdsaP256 => Some(Self::EcdsaP256Sha256),
            crypto::KeyKind::EcdsaP384 => Some(Self::EcdsaP384Sha384),
            crypto::KeyKind::Ed25519 => Some(Self::Ed25519),
            crypto::KeyKind::EcdsaP521 | crypto::KeyKind::Rsa { .. } => None,
        }
    }
}

impl std::fmt::Display for Algorithm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::EcdsaP256Sha256 => "ECDSA P-256 with SHA-256",
            Self::EcdsaP384Sha384 => "ECDSA P-384 with SHA-384",
            Self::Ed25519 => "Ed25519",
        })
    }
}

/// Why a signature could not be made. Never says anything about the key's secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
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

    /// Whether the private half is at hand. If not, [`Self::sign`] always refuses.
    fn can_sign(&self) -> bool {
        true
    }

    /// The public half.
    fn public_key(&self) -> &crypto::PublicKey;

    /// Whether a signature takes a round trip to something else, and so much longer than a
    /// transaction: whoever signs then holds no lock meanwhile.
    fn is_remote(&self) -> bool {
        false
    }

    /// Which key of its backend this is, with its version, as far as a backend has such names: an
    /// ARN, `NAME:v3`, the id on a token. For audit logs; never secret.
    fn key_version(&self) -> Option<&str> {
        None
    }

    /// Signs `message` (not its digest). ECDSA signatures are ASN.1 DER.
    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError>;
}

/// A signer that parts of the program share.
pub type SharedSigner = Arc<dyn Signer>;
