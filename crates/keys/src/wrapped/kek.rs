//! Key-encryption keys: the one remote call of a wrapped key.

use zeroize::Zeroizing;

use super::envelope::Binding;
use crate::{KeyUri, Passphrase};

/// Why a key-encryption key did not encrypt or decrypt.
#[derive(Debug, thiserror::Error)]
pub enum KekError {
    /// AWS KMS.
    #[cfg(feature = "kms-aws")]
    #[error(transparent)]
    AwsKms(#[from] crate::AwsKmsError),
    /// The key's backend is not part of this build.
    #[error("this build has no backend for it")]
    NotBuilt,
    /// A PKCS#11 token.
    #[cfg(feature = "pkcs11")]
    #[error(transparent)]
    Pkcs11(#[from] crate::Pkcs11Error),
    /// The work was cut off because the program is stopping.
    #[error("the program is stopping")]
    Stopped,
    /// A transit engine.
    #[cfg(feature = "vault")]
    #[error(transparent)]
    Transit(#[from] crate::TransitError),
}

/// Encrypts `secret` under the key at `kek`, bound to `binding`.
#[cfg_attr(
    not(feature = "pkcs11"),
    expect(unused_variables, reason = "only tokens have PINs")
)]
pub(super) async fn encrypt(
    kek: &KeyUri,
    passphrase: Option<&Passphrase>,
    secret: &[u8],
    binding: Binding,
) -> Result<Vec<u8>, KekError> {
    match kek {
        #[cfg(feature = "kms-aws")]
        KeyUri::AwsKms(uri) => {
            Ok(crate::awskms::kek::encrypt(uri, secret, binding.as_bytes()).await?)
        }
        #[cfg(feature = "pkcs11")]
        KeyUri::Pkcs11(uri) => {
            let (uri, passphrase) = (uri.clone(), passphrase.cloned());
            let secret = Zeroizing::new(secret.to_vec());
            tokio::task::spawn_blocking(move || {
                crate::pkcs11::kek::encrypt(&uri, passphrase.as_ref(), &secret, binding.as_bytes())
            })
            .await
            .map_err(|_| KekError::Stopped)?
            .map_err(KekError::from)
        }
        #[cfg(feature = "vault")]
        KeyUri::Transit(uri) => {
            Ok(crate::transit::kek::encrypt(uri, secret, binding.as_bytes()).await?)
        }
        _ => Err(KekError::NotBuilt),
    }
}

/// Decrypts what [`encrypt`] returned, if the key and the binding are the same.
#[cfg_attr(
    not(feature = "pkcs11"),
    expect(unused_variables, reason = "only tokens have PINs")
)]
pub(super) async fn decrypt(
    kek: &KeyUri,
    passphrase: Option<&Passphrase>,
    wrapped: &[u8],
    binding: Binding,
) -> Result<Zeroizing<Vec<u8>>, KekError> {
    match kek {
        #[cfg(feature = "kms-aws")]
        KeyUri::AwsKms(uri) => {
            Ok(crate::awskms::kek::decrypt(uri, wrapped, binding.as_bytes()).await?)
        }
        #[cfg(feature = "pkcs11")]
        KeyUri::Pkcs11(uri) => {
            let (uri, passphrase, wrapped) = (uri.clone(), passphrase.cloned(), wrapped.to_vec());
            tokio::task::spawn_blocking(move || {
                crate::pkcs11::kek::decrypt(&uri, passphrase.as_ref(), &wrapped, binding.as_bytes())
            })
            .await
            .map_err(|_| KekError::Stopped)?
            .map_err(KekError::from)
        }
        #[cfg(feature = "vault")]
        KeyUri::Transit(uri) => {
            Ok(crate::transit::kek::decrypt(uri, wrapped, binding.as_bytes()).await?)
        }
        _ => Err(KekError::NotBuilt),
    }
}
