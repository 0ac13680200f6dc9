//! Why an authority could not be made, read or changed.

use std::path::{Path, PathBuf};

/// Why an authority could not be made, read or changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another command is at work.
    #[error("{0}: another command is at work on this authority; wait for it")]
    Busy(PathBuf),
    /// A certificate could not be made.
    #[error("certificate: {0}")]
    Certify(#[from] crate::certify::CertifyError),
    /// A chain is not what it has to be.
    #[error("{path}: {source}")]
    Chain {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: pki::chain::ChainError,
    },
    /// There is an authority already.
    #[error("{0} holds an authority already; `status` says what it is, `next` makes a successor")]
    Exists(PathBuf),
    /// Reading or writing failed.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A key could not be opened or made. Boxed: with every backend it is larger than all the rest.
    #[error(transparent)]
    Key(Box<keys::OpenError>),
    /// A file does not hold what it should.
    #[error("{path}: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// No authority is in the directory.
    #[error("{0} holds no authority (there is no authority.json); `init` makes one")]
    None(PathBuf),
    /// The published trust root does not permit it.
    #[error("{0}")]
    Unpublished(String),
    /// The transcript.
    #[error("transcript: {0}")]
    Transcript(#[from] crate::TranscriptError),
    /// The trust root or its entry.
    #[error("trust root: {0}")]
    Trust(#[from] wire::trust::TrustError),
    /// What was asked for cannot be done as things are.
    #[error("{0}")]
    Usage(String),
}

impl From<keys::OpenError> for Error {
    fn from(error: keys::OpenError) -> Self {
        Self::Key(Box::new(error))
    }
}

impl Error {
    /// Whether a check failed, or something beyond this machine; otherwise the command was used
    /// wrongly.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        match self {
            Self::Chain { .. } | Self::Unpublished(_) | Self::Transcript(_) => true,
            Self::Key(error) => !matches!(
                **error,
                keys::OpenError::File(_)
                    | keys::OpenError::NotBuilt(_)
                    | keys::OpenError::PassphraseMissing(_)
            ),
            Self::Certify(error) => matches!(error, crate::certify::CertifyError::Sign(_)),
            _ => false,
        }
    }

    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}
