//! What goes wrong with tokens.

use std::path::PathBuf;

use cryptoki::error::{Error, RvError};

use crate::{PassphraseError, SignError};

/// Why a key on a token could not be opened, made or used. Never shows a PIN.
#[derive(Debug, thiserror::Error)]
pub enum Pkcs11Error {
    /// The crypto11 configuration file cannot be used.
    #[error("PKCS#11 configuration {path}: {reason}")]
    Configuration {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The token answered with an error, or the connection to it did.
    #[error("PKCS#11: {0}")]
    Device(#[from] Error),
    /// The key cannot be used as it is.
    #[error("{0}")]
    Key(String),
    /// The PKCS#11 library could not be loaded or initialised.
    #[error("PKCS#11 module {path}: {reason}")]
    Module {
        /// The library.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// There is no such key on the token.
    #[error(
        "no such key with this label or id is on the token; `pkcs11-tool --login --list-objects` lists them"
    )]
    NoKey,
    /// No token in any slot is the one that is meant.
    #[error("no such token in any slot; `pkcs11-tool --list-slots` lists them")]
    NoToken,
    /// The PIN's file or variable could not be read.
    #[error("PIN: {0}")]
    Pin(#[from] PassphraseError),
    /// Nothing says where the PIN is.
    #[error("there is no PIN; add pin-source=file:PATH or pin-source=env:NAME to the URI")]
    PinMissing,
    /// The token refused the PIN.
    #[error(
        "the token refused the PIN ({0}); this program does not try it again, because tokens lock after a few wrong ones"
    )]
    PinRefused(RvError),
    /// More than one token fits.
    #[error("{0} tokens fit; add serial= or slot-id= to the URI")]
    TokenAmbiguous(usize),
}

impl Pkcs11Error {
    /// What a caller who wanted a signature is told.
    pub(super) fn into_sign_error(self) -> SignError {
        match &self {
            Self::Device(error) if !is_transient(error) => SignError::Refused(self.to_string()),
            Self::Device(_) | Self::Module { .. } | Self::NoKey | Self::NoToken => {
                SignError::Unavailable(self.to_string())
            }
            _ => SignError::Refused(self.to_string()),
        }
    }
}

/// Whether a new session may succeed where this failed: the token was unplugged, reset or logged
/// out, or its server is gone.
///
/// The generic errors are in the list because network HSMs' modules return them for lost
/// connections.
pub(super) fn is_transient(error: &Error) -> bool {
    matches!(
        error,
        Error::Pkcs11(
            RvError::CryptokiNotInitialized
                | RvError::DeviceError
                | RvError::DeviceMemory
                | RvError::DeviceRemoved
                | RvError::FunctionCanceled
                | RvError::FunctionFailed
                | RvError::GeneralError
                | RvError::HostMemory
                | RvError::KeyHandleInvalid
                | RvError::ObjectHandleInvalid
                | RvError::OperationActive
                | RvError::OperationNotInitialized
                | RvError::SessionClosed
                | RvError::SessionCount
                | RvError::SessionHandleInvalid
                | RvError::SlotIdInvalid
                | RvError::TokenNotPresent
                | RvError::TokenNotRecognized
                | RvError::UserNotLoggedIn
                | RvError::VendorDefined(_),
            _
        )
    )
}
