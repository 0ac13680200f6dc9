//! Making and opening wrapped keys.

use std::io::Read;
use std::path::PathBuf;

use super::envelope::{Binding, DataKey, Envelope};
use super::{KekError, WrappedUri, kek};
use crate::{Algorithm, FileSigner, Passphrase, Signer, durable};

/// Longest file that is read, in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// Why a wrapped key could not be made or opened.
#[derive(Debug, thiserror::Error)]
pub enum WrappedKeyError {
    /// The file was made for something else.
    #[error("file {path}: it was made for the context {found:?}, not {expected:?}")]
    Context {
        /// The file.
        path: PathBuf,
        /// What the URI says.
        expected: String,
        /// What the file says.
        found: String,
    },
    /// There is already something at this path; keys are never overwritten.
    #[error("file {path} exists; keys are never overwritten: use it, or move it away")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Reading or writing failed.
    #[error("file {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The key-encryption key did not do its part. A refusal to decrypt also means that the file was
    /// changed, or was made with another key.
    #[error("key-encryption key: {0}")]
    Kek(#[from] KekError),
    /// The content is not a wrapped key.
    #[error("file {path}: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The system has no randomness to make a key from.
    #[error("the system's random number generator failed")]
    Randomness,
    /// The data key does not open the private key, or the private key is not that of the public one.
    #[error("file {path}: it was changed, or put together from different files")]
    Tampered {
        /// The file.
        path: PathBuf,
    },
}

/// Makes a key in memory, writes it, wrapped, to a file that must not exist (mode 0600, durable), and
/// opens the file.
pub(crate) async fn create(
    uri: &WrappedUri,
    algorithm: Algorithm,
    passphrase: Option<&Passphrase>,
) -> Result<FileSigner, WrappedKeyError> {
    let io = |source| WrappedKeyError::Io {
        path: uri.path.clone(),
        source,
    };
    let made = FileSigner::generate(algorithm).map_err(|_| WrappedKeyError::Randomness)?;
    let public_key = made.public_key();
    let private_key = made
        .private_key_info()
        .map_err(|_| WrappedKeyError::Randomness)?;
    let data_key = DataKey::generate()?;
    let binding = Binding::of(&uri.context, public_key);
    let wrapped = kek::encrypt(&uri.kek, passphrase, data_key.as_bytes(), binding).await?;
    let json = Envelope::seal(&uri.context, public_key, &private_key, &data_key, &wrapped)?
        .to_json()
        .ok_or(WrappedKeyError::Randomness)?;
    match durable::create_private(&uri.path, json.as_bytes()) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(WrappedKeyError::Exists {
                path: uri.path.clone(),
            });
        }
        Err(error) => return Err(io(error)),
    }
    // A key that cannot be opened again must not get a certificate.
    open(uri, passphrase).await
}

/// Opens the file with one call to the key-encryption key.
pub(crate) async fn open(
    uri: &WrappedUri,
    passphrase: Option<&Passphrase>,
) -> Result<FileSigner, WrappedKeyError> {
    let path = || uri.path.clone();
    let malformed = |reason: String| WrappedKeyError::Malformed {
        path: path(),
        reason,
    };
    let tampered = || WrappedKeyError::Tampered { path: path() };
    let mut json = Vec::new();
    std::fs::File::open(&uri.path)
        .and_then(|file| file.take(MAX_FILE).read_to_end(&mut json))
        .map_err(|source| WrappedKeyError::Io {
            path: path(),
            source,
        })?;
    let envelope = Envelope::parse(&json).map_err(malformed)?;
    if envelope.context() != uri.context {
        return Err(WrappedKeyError::Context {
            path: path(),
            expected: uri.context.clone(),
            found: envelope.context().to_owned(),
        });
    }
    let public_key = envelope.public_key().map_err(malformed)?;
    let binding = Binding::of(&uri.context, &public_key);
    let wrapped = envelope
        .wrapped_data_key()
        .ok_or_else(|| malformed("data_key is not base64".to_owned()))?;
    let data_key = kek::decrypt(&uri.kek, passphrase, &wrapped, binding).await?;
    let data_key = DataKey::from_bytes(&data_key).ok_or_else(tampered)?;
    let private_key = envelope.open(&data_key, binding).ok_or_else(tampered)?;
    let signer = FileSigner::from_private_key_info(&private_key).map_err(|_| tampered())?;
    if signer.public_key() != &public_key {
        return Err(tampered());
    }
    Ok(signer)
}
