//! Opening and making keys, whatever their backend.

use std::sync::Arc;

use crate::{Algorithm, FileKeyError, FileSigner, KeyUri, Passphrase, SharedSigner};

/// Why a key could not be opened or made.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A key in AWS KMS.
    #[cfg(feature = "kms-aws")]
    #[error("key {uri}: {source}")]
    AwsKms {
        /// The key.
        uri: KeyUri,
        /// What is wrong.
        source: crate::AwsKmsError,
    },
    /// A key file.
    #[error(transparent)]
    File(#[from] FileKeyError),
    /// The key's backend is not part of this build.
    #[error("key {0}: this build has no backend for it")]
    NotBuilt(KeyUri),
    /// An encrypted key file needs a passphrase to be made.
    #[error("key {0}: a new key file needs a passphrase")]
    PassphraseMissing(KeyUri),
    /// A key on a PKCS#11 token.
    #[cfg(feature = "pkcs11")]
    #[error("key {uri}: {source}")]
    Pkcs11 {
        /// The key.
        uri: KeyUri,
        /// What is wrong.
        source: crate::Pkcs11Error,
    },
    /// The public half of a key, which cannot be used here or cannot be read.
    #[error("key {uri}: {reason}")]
    Public {
        /// The key.
        uri: KeyUri,
        /// What is wrong.
        reason: String,
    },
    /// The work was cut off because the program is stopping.
    #[error("the key was not opened because the program is stopping")]
    Stopped,
    /// A key in a transit engine.
    #[cfg(feature = "vault")]
    #[error("key {uri}: {source}")]
    Transit {
        /// The key.
        uri: KeyUri,
        /// What is wrong.
        source: crate::TransitError,
    },
    /// A wrapped key file.
    #[cfg(feature = "remote")]
    #[error("key {uri}: {source}")]
    Wrapped {
        /// The key.
        uri: KeyUri,
        /// What is wrong.
        source: crate::WrappedKeyError,
    },
}

/// Opens the key at `uri`; asks its backend for the public key once and pins it.
///
/// `passphrase` is needed for encrypted key files; it is the PIN of a PKCS#11 token whose URI has
/// no `pin-source`.
pub async fn open(
    uri: &KeyUri,
    passphrase: Option<&Passphrase>,
) -> Result<SharedSigner, OpenError> {
    match uri {
        KeyUri::File(path) => {
            let (path, passphrase) = (path.clone(), passphrase.cloned());
            // Deriving the key from the passphrase takes tens of milliseconds of CPU.
            blocking(move || match passphrase {
                Some(passphrase) => FileSigner::load(&path, &passphrase),
                None => FileSigner::load_unencrypted(&path),
            })
            .await
        }
        #[cfg(feature = "kms-aws")]
        KeyUri::AwsKms(location) => {
            let signer = crate::AwsKmsSigner::open(location).await;
            shared(signer, |source| OpenError::AwsKms {
                uri: uri.clone(),
                source,
            })
        }
        #[cfg(feature = "pkcs11")]
        KeyUri::Pkcs11(location) => {
            let (uri, location, passphrase) = (uri.clone(), location.clone(), passphrase.cloned());
            blocking(move || {
                crate::Pkcs11Signer::open(&location, passphrase.as_ref())
                    .map_err(|source| OpenError::Pkcs11 { uri, source })
            })
            .await
        }
        #[cfg(feature = "vault")]
        KeyUri::Transit(location) => {
            let signer = crate::TransitSigner::open(location).await;
            shared(signer, |source| OpenError::Transit {
                uri: uri.clone(),
                source,
            })
        }
        #[cfg(feature = "remote")]
        KeyUri::Wrapped(location) => {
            let signer = crate::wrapped::open(location, passphrase).await;
            shared(signer, |source| OpenError::Wrapped {
                uri: uri.clone(),
                source,
            })
        }
        KeyUri::Public(_) => Err(private_half_needed(uri)),
        #[allow(
            unreachable_patterns,
            reason = "a build with every backend leaves none"
        )]
        _ => Err(OpenError::NotBuilt(uri.clone())),
    }
}

/// Makes a new key at `uri`, where none may be, and opens it.
///
/// The key is made where it lives: a token's or KMS's key never exists outside it.
pub async fn create(
    uri: &KeyUri,
    algorithm: Algorithm,
    passphrase: Option<&Passphrase>,
) -> Result<SharedSigner, OpenError> {
    match uri {
        KeyUri::File(path) => {
            let passphrase = passphrase
                .cloned()
                .ok_or_else(|| OpenError::PassphraseMissing(uri.clone()))?;
            let path = path.clone();
            blocking(move || FileSigner::create(&path, algorithm, &passphrase)).await
        }
        #[cfg(feature = "kms-aws")]
        KeyUri::AwsKms(location) => {
            let signer = crate::AwsKmsSigner::create(location, algorithm).await;
            shared(signer, |source| OpenError::AwsKms {
                uri: uri.clone(),
                source,
            })
        }
        #[cfg(feature = "pkcs11")]
        KeyUri::Pkcs11(location) => {
            let (uri, location, passphrase) = (uri.clone(), location.clone(), passphrase.cloned());
            blocking(move || {
                crate::Pkcs11Signer::create(&location, algorithm, passphrase.as_ref())
                    .map_err(|source| OpenError::Pkcs11 { uri, source })
            })
            .await
        }
        #[cfg(feature = "vault")]
        KeyUri::Transit(location) => {
            let signer = crate::TransitSigner::create(location, algorithm).await;
            shared(signer, |source| OpenError::Transit {
                uri: uri.clone(),
                source,
            })
        }
        #[cfg(feature = "remote")]
        KeyUri::Wrapped(location) => {
            let signer = crate::wrapped::create(location, algorithm, passphrase).await;
            shared(signer, |source| OpenError::Wrapped {
                uri: uri.clone(),
                source,
            })
        }
        KeyUri::Public(_) => Err(private_half_needed(uri)),
        #[allow(
            unreachable_patterns,
            reason = "a build with every backend leaves none"
        )]
        _ => Err(OpenError::NotBuilt(uri.clone())),
    }
}

fn private_half_needed(uri: &KeyUri) -> OpenError {
    OpenError::Public {
        uri: uri.clone(),
        reason: "this is a public key; what signs needs the URI of a private one".to_owned(),
    }
}

async fn blocking<S, E>(
    work: impl FnOnce() -> Result<S, E> + Send + 'static,
) -> Result<SharedSigner, OpenError>
where
    S: crate::Signer + 'static,
    E: Send + 'static,
    OpenError: From<E>,
{
    let signer = tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| OpenError::Stopped)??;
    Ok(Arc::new(signer))
}

#[cfg(feature = "remote")]
fn shared<S: crate::Signer + 'static, E>(
    signer: Result<S, E>,
    error: impl FnOnce(E) -> OpenError,
) -> Result<SharedSigner, OpenError> {
    match signer {
        Ok(signer) => Ok(Arc::new(signer)),
        Err(source) => Err(error(source)),
    }
}
